//! One whole session from fixed keys, for `vectors/session.json` and `walkthrough.md`. The agent's
//! half is written by the code that ships, proofs and all.

use std::fmt::Write as _;

use ephemerald::control::{
    proof::SCHEME,
    rotation,
    wire::{
        AcquireAnswer, AcquireRequest, Delivery, EnrollAnswer, EnrollRequest, HeartbeatAnswer,
        HeartbeatRequest, InventoryAnswer, InventoryPage, InventoryRequest, JobState, NONCE_HEADER, Offers,
        PageKind, Reachable, ReportsAnswer, RotateKeyAnswer, StatusAnswer, StatusRequest, Utc,
    },
};

use super::{NOW, ORIGIN, *};

#[path = "acts.rs"]
mod acts;

/// `vectors/session.json`.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Session {
    pub(crate) about: String,
    pub(crate) agent_token: String,
    pub(crate) agent_id: AgentId,
    pub(crate) root: Jwk,
    pub(crate) agent_keys: Vec<Jwk>,
    pub(crate) exchanges: Vec<Exchange>,
}

/// One request and its answer.
#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    /// What happens, for people.
    pub(crate) note: String,
    /// The control plane's clock, Unix seconds.
    pub(crate) now: i64,
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
    pub(crate) status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
    pub(crate) answer: String,
}

/// The session as it is being written.
pub(super) struct Stage {
    pub(super) now: i64,
    pub(super) key: KeyPair,
    issuer: String,
    nonce: Option<String>,
    jti: u8,
    exchanges: Vec<Exchange>,
}

impl Stage {
    fn new() -> Self {
        let key = agent();
        Self { now: NOW, issuer: key.kid().to_owned(), key, nonce: None, jti: 0, exchanges: Vec::new() }
    }

    /// The agent says `body`, the control plane answers.
    pub(super) fn say(&mut self, name: &str, note: &str, path: &str, body: &impl Serialize) -> &mut Exchange {
        let body = serde_json::to_string(body).unwrap();
        self.jti += 1;
        let claims = ProofClaims {
            iss: self.issuer.clone(),
            aud: ORIGIN.to_owned(),
            htm: "POST".to_owned(),
            htu: format!("{ORIGIN}{path}"),
            body: proof::body_digest(body.as_bytes()),
            iat: self.now,
            jti: URL_SAFE_NO_PAD.encode([self.jti; 16]),
            nonce: self.nonce.clone(),
            instance: "3f9c2a7be1d04856".to_owned(),
            epoch: u64::from(self.jti > 1),
        };
        self.exchanges.push(Exchange {
            name: name.to_owned(),
            note: note.to_owned(),
            now: self.now,
            path: path.to_owned(),
            authorization: format!("{SCHEME} {}", claims.sign(&self.key)),
            body,
            status: 200,
            nonce: None,
            answer: String::new(),
        });
        self.now += 1;
        self.exchanges.last_mut().unwrap()
    }

    pub(super) fn enrolled(&mut self, id: &AgentId) {
        self.issuer = id.to_string();
    }

    pub(super) fn nonce(&mut self, nonce: &str) {
        self.nonce = Some(nonce.to_owned());
    }
}

impl Exchange {
    pub(super) fn answers(&mut self, answer: &impl Serialize) -> &mut Self {
        self.answer = serde_json::to_string(answer).unwrap();
        self
    }

    pub(super) fn refuses(&mut self, status: u16, problem: &Value) -> &mut Self {
        self.status = status;
        self.answer = problem.to_string();
        self
    }

    pub(super) fn gives_nonce(&mut self, nonce: &str) {
        self.nonce = Some(nonce.to_owned());
    }
}

pub(super) fn utc(seconds: i64) -> Utc {
    Utc(Timestamp(seconds * 1000))
}

pub(super) fn next_key() -> KeyPair {
    KeyPair::from_seed(&[5; 32])
}

pub(crate) fn session() -> Session {
    let token = json!({"url": ORIGIN, "secret": acts::SECRET, "root": root().public().thumbprint()});
    let mut stage = Stage::new();
    acts::play(&mut stage);
    Session {
        about: "One session between an agent and a control plane, in order. `now` is the clock of both, \
                `agent_keys` are the agent's key and its next one. Every proof is fresh, every body is what the \
                agent sends; `answer` is what a control plane may answer."
            .to_owned(),
        agent_token: format!("eph1.{}", URL_SAFE_NO_PAD.encode(token.to_string())),
        agent_id: acts::id(),
        root: jwk(&root()),
        agent_keys: vec![agent().public().to_jwk(), next_key().public().to_jwk()],
        exchanges: stage.exchanges,
    }
}

/// `walkthrough.md`.
pub(crate) fn walkthrough(session: &Session) -> String {
    let mut text = WALK_HEAD.to_owned();
    let token = session.agent_token.strip_prefix("eph1.").unwrap();
    let token = String::from_utf8(URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
    let _ = write!(text, "\n## The agent token\n\nAn operator makes it and pastes it at the agent.\n\n");
    let _ = write!(text, "```\n{}\n```\n\nInside: `{token}`\n", session.agent_token);
    for (number, exchange) in session.exchanges.iter().enumerate() {
        render(&mut text, number + 1, exchange);
    }
    text
}

fn render(text: &mut String, number: usize, it: &Exchange) {
    let _ = write!(text, "\n## {number}. {}\n\n{}\n\n```http\n", it.name, it.note);
    let host = ORIGIN.strip_prefix("https://").unwrap();
    let _ = write!(
        text,
        "POST {} HTTP/1.1\nHost: {host}\nAuthorization: {}\nContent-Type: application/json\nContent-Length: {}\n\n{}\n```\n\n",
        it.path,
        it.authorization,
        it.body.len(),
        it.body
    );
    let claims = it.authorization.split('.').nth(1).unwrap();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let _ = write!(text, "The proof's claims: `{claims}`\n\n```http\n");
    let (reason, kind) = match it.status {
        200 => ("OK", "application/json"),
        401 => ("Unauthorized", "application/problem+json"),
        404 => ("Not Found", "application/problem+json"),
        _ => ("Conflict", "application/problem+json"),
    };
    let nonce = it.nonce.as_ref().map(|nonce| format!("{NONCE_HEADER}: {nonce}\n")).unwrap_or_default();
    let _ = write!(
        text,
        "HTTP/1.1 {} {reason}\nContent-Type: {kind}\n{nonce}Content-Length: {}\n\n{}\n```\n",
        it.status,
        it.answer.len(),
        it.answer
    );
    let answer: Value = serde_json::from_str(&it.answer).unwrap();
    let jobs = answer["jobs"].as_array().cloned().unwrap_or_default();
    let signed = jobs.iter().map(|job| job["jws"].as_str().unwrap());
    for jws in signed.chain(answer["key_set"].as_str()) {
        let part = |at: usize| {
            let part = jws.split('.').nth(at).unwrap();
            String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let _ = write!(text, "\nSigned in it: header `{}`, payload `{}`\n", part(0), part(1));
    }
}

const WALK_HEAD: &str = "# A session, byte for byte\n
Written by `cargo test --test protocol_vectors -- --ignored` from the fixed keys of `vectors/` and checked by
each run of the tests; `vectors/session.json` has the same for programs. The agent's half is what the shipped
code sends: bodies, proofs and signatures are exact. The answers are one control plane's; yours may order
their fields as they like. Header names are shown as in HTTP/1.1; the agent sends some more, which mean
nothing (`User-Agent`, `Accept`). Lines are not wrapped, and bodies have no line end.\n";
