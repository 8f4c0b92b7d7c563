//! Makes the vectors from fixed keys. What each case should come to is written here by hand, and
//! compared by the tests with what the code does.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

#[path = "jobs.rs"]
mod jobs;
#[path = "more.rs"]
pub(crate) mod more;
#[path = "session.rs"]
pub(crate) mod session;

const NOW: i64 = 1_795_500_000;
const ORIGIN: &str = "https://cp.example.com";

pub(crate) fn all() {
    write("jobs.json", &jobs::file());
    write("key-sets.json", &key_sets());
    write("proofs.json", &proofs());
    write("agent-tokens.json", &tokens());
    write("thumbprints.json", &thumbprints());
    write("rotations.json", &more::rotations());
    write("inventory.json", &more::inventory());
    write("approvals.json", &more::approvals());
    let session = session::session();
    write("session.json", &session);
    fs::write(docs().join("walkthrough.md"), session::walkthrough(&session)).unwrap();
}

fn write<T: Serialize>(file: &str, content: &T) {
    let dir = docs().join("vectors");
    fs::create_dir_all(&dir).unwrap();
    let mut text = serde_json::to_string_pretty(content).unwrap();
    text.push('\n');
    fs::write(dir.join(file), text).unwrap();
}

fn root() -> KeyPair {
    KeyPair::from_seed(&[1; 32])
}

fn signing() -> KeyPair {
    KeyPair::from_seed(&[2; 32]).named("jobs-2026-11")
}

fn stranger() -> KeyPair {
    KeyPair::from_seed(&[3; 32])
}

fn agent() -> KeyPair {
    KeyPair::from_seed(&[4; 32])
}

fn jwk(key: &KeyPair) -> Jwk {
    Jwk { kid: Some(key.kid().to_owned()), ..key.public().to_jwk() }
}

fn set_claims(version: u64) -> Value {
    json!({"v": 1, "version": version, "iat": NOW - 1000, "keys": [jwk(&signing())]})
}

fn key_set(claims: &Value) -> String {
    jws::sign(KEY_SET_TYP, &root(), &serde_json::to_vec(claims).unwrap())
}

fn key_sets() -> KeySets {
    let held = key_set(&set_claims(3));
    let mut cases = Vec::new();
    let mut case = |name: &str, root: &KeyPair, key_set: String, version: Option<u64>| {
        let accepted = version.is_some();
        cases.push(KeySetCase { name: name.to_owned(), root: jwk(root), key_set, accepted, version });
    };
    let root = root();
    case("the same set again", &root, held.clone(), Some(3));
    case("a newer set", &root, key_set(&set_claims(4)), Some(4));
    case("an older set", &root, key_set(&set_claims(2)), None);
    let mut other = set_claims(3);
    other["keys"][0] = json!(jwk(&stranger()));
    case("another set of the same version", &root, key_set(&other), None);
    case(
        "another root",
        &stranger(),
        jws::sign(KEY_SET_TYP, &stranger(), set_claims(4).to_string().as_bytes()),
        None,
    );
    let posing = stranger().named(root.kid());
    case(
        "a stranger under the root's kid",
        &root,
        jws::sign(KEY_SET_TYP, &posing, set_claims(4).to_string().as_bytes()),
        None,
    );
    let by_signer = jws::sign(KEY_SET_TYP, &signing(), set_claims(4).to_string().as_bytes());
    case("signed by a job-signing key", &root, by_signer, None);
    case("typ of a job", &root, jws::sign(JOB_TYP, &root, set_claims(4).to_string().as_bytes()), None);
    let mut changed = set_claims(4);
    changed["keys"] = json!([]);
    case("no keys", &root, key_set(&changed), None);
    changed["keys"] = json!([jwk(&signing()), jwk(&signing())]);
    case("a kid twice", &root, key_set(&changed), None);
    changed["keys"] = json!([{"kty": "EC", "crv": "P-256", "x": "AA", "kid": "x"}]);
    case("a key of another kind", &root, key_set(&changed), None);
    changed = set_claims(4);
    changed["v"] = json!(2);
    case("protocol version 2", &root, key_set(&changed), None);
    changed = set_claims(4);
    changed["note"] = json!("x");
    case("unknown field", &root, key_set(&changed), None);
    KeySets {
        about: "Key sets shown to an agent that has pinned `pinned_root` and holds `held` (version 3)."
            .to_owned(),
        pinned_root: root.kid().to_owned(),
        held,
        cases,
    }
}

fn proofs() -> Proofs {
    let (path, body) = ("/v1/agent/reports", r#"{"reports":[]}"#);
    let claims = proof_claims(path, body);
    let proof = claims.sign(&agent());
    let mut cases = Vec::new();
    let mut case =
        |name: &str, (origin, method, path, body): (&str, &str, &str, &str), proof: &str, accepted| {
            let own = str::to_owned;
            let (origin, method, path) = (own(origin), own(method), own(path));
            cases.push(ProofCase {
                name: own(name),
                origin,
                method,
                path,
                body: own(body),
                proof: own(proof),
                accepted,
            });
        };
    let request = (ORIGIN, "POST", path, body);
    case("the request it was made for", request, &proof, true);
    let no_nonce = ProofClaims { nonce: None, ..claims.clone() };
    case("without a nonce", request, &no_nonce.sign(&agent()), true);
    case("another body", (ORIGIN, "POST", path, "{}"), &proof, false);
    case("another path", (ORIGIN, "POST", "/v1/agent/status", body), &proof, false);
    case("a query added", (ORIGIN, "POST", "/v1/agent/reports?x=1", body), &proof, false);
    case("another method", (ORIGIN, "PUT", path, body), &proof, false);
    case("another origin", ("https://cp.example.org", "POST", path, body), &proof, false);
    case("another key", request, &claims.sign(&stranger()), false);
    case("a stranger under the agent's kid", request, &claims.sign(&stranger().named(agent().kid())), false);
    let as_job = jws::sign(JOB_TYP, &agent(), &serde_json::to_vec(&claims).unwrap());
    case("typ of a job", request, &as_job, false);
    let extra = serde_json::to_string(&claims).unwrap().replacen('{', "{\"admin\":true,", 1);
    case("unknown claim", request, &jws::sign(proof::PROOF_TYP, &agent(), extra.as_bytes()), false);
    let twice = serde_json::to_string(&claims).unwrap().replacen('{', "{\"iss\":\"agent-1\",", 1);
    case("a claim twice", request, &jws::sign(proof::PROOF_TYP, &agent(), twice.as_bytes()), false);
    Proofs {
        about: "Request proofs and whether each belongs to the request beside it, made with agent_key. A control \
                plane also checks iat, jti and nonce."
            .to_owned(),
        agent_key: agent().public().to_jwk(),
        cases,
    }
}

fn proof_claims(path: &str, body: &str) -> ProofClaims {
    ProofClaims {
        iss: "agent-7f3a".to_owned(),
        aud: ORIGIN.to_owned(),
        htm: "POST".to_owned(),
        htu: format!("{ORIGIN}{path}"),
        body: proof::body_digest(body.as_bytes()),
        iat: NOW,
        jti: "AAECAwQFBgcICQoLDA0ODw".to_owned(),
        nonce: Some("n-1".to_owned()),
        instance: "3f9c2a".to_owned(),
        epoch: 7,
    }
}

fn tokens() -> Tokens {
    let pack = |value: Value| format!("eph1.{}", URL_SAFE_NO_PAD.encode(value.to_string()));
    let root = root().public().thumbprint();
    let token = |url: &str| pack(json!({"url": url, "secret": "example-only-0123456789", "root": root}));
    let mut cases = Vec::new();
    let mut case = |name: &str, token: String, url: Option<&str>| {
        let accepted = url.is_some();
        cases.push(TokenCase { name: name.to_owned(), token, accepted, url: url.map(str::to_owned) });
    };
    case("https", token(ORIGIN), Some(ORIGIN));
    case("white space around it", format!(" {}\n", token(ORIGIN)), Some(ORIGIN));
    case("https with a port", token("https://cp.example.com:8443"), Some("https://cp.example.com:8443"));
    case("plain http on loopback", token("http://127.0.0.1:8080"), Some("http://127.0.0.1:8080"));
    case("plain http elsewhere", token("http://cp.example.com"), None);
    case("plain http on a name that begins like loopback", token("http://localhost.example.com"), None);
    case("the default port spelt out", token("https://cp.example.com:443"), None);
    case("capitals", token("https://CP.example.com"), None);
    case("a path", token("https://cp.example.com/x"), None);
    case("user information", token("https://u:p@cp.example.com"), None);
    case("empty", String::new(), None);
    case("no prefix", token(ORIGIN).replacen("eph1.", "", 1), None);
    case("a newer prefix", token(ORIGIN).replacen("eph1", "eph2", 1), None);
    case("cut short", token(ORIGIN)[..60].to_owned(), None);
    case("no root", pack(json!({"url": ORIGIN, "secret": "example-only-0123456789"})), None);
    case(
        "a root that is no thumbprint",
        pack(json!({"url": ORIGIN, "secret": "example-only-0123456789", "root": "AA"})),
        None,
    );
    case("a short secret", pack(json!({"url": ORIGIN, "secret": "short", "root": root})), None);
    let extra = json!({"url": ORIGIN, "secret": "example-only-0123456789", "root": root, "x": 1});
    case("unknown field", pack(extra), None);
    Tokens {
        about: "Agent tokens as they are pasted, and the URL of those that are accepted.".to_owned(),
        cases,
    }
}

fn thumbprints() -> Thumbprints {
    let mut cases = Vec::new();
    let mut case = |name: &str, jwk: Value, thumbprint: Option<&str>| {
        let jwk = serde_json::from_value(jwk).unwrap();
        let accepted = thumbprint.is_some();
        cases.push(ThumbprintCase {
            name: name.to_owned(),
            jwk,
            accepted,
            thumbprint: thumbprint.map(str::to_owned),
        });
    };
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let known = Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    case("the key of RFC 8037 appendix A", json!({"kty": "OKP", "crv": "Ed25519", "x": x}), known);
    case(
        "kid and use do not count",
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k", "use": "sig"}),
        known,
    );
    case("another curve", json!({"kty": "OKP", "crv": "X25519", "x": x}), None);
    case("another kind", json!({"kty": "EC", "crv": "Ed25519", "x": x}), None);
    case("31 bytes", json!({"kty": "OKP", "crv": "Ed25519", "x": &x[..42]}), None);
    case("for encryption", json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "enc"}), None);
    Thumbprints { about: "RFC 7638 thumbprints with SHA-256 of Ed25519 public keys.".to_owned(), cases }
}
