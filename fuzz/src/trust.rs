//! What the agent and its control plane believe each other by, beside jobs: key sets, request proofs, new agent keys and
//! agent tokens. The first byte says which (`0` to `3`). What follows and begins with `{` is content, signed (or wrapped) here
//! as it should be, so that it gets past the signature; everything else is as received.
//!
//! Refuses one that is believed without a signature that another check finds good, one that is read otherwise than it was
//! signed, a successor that is older, a proof that covers another request, and an error that tells a token.

use std::sync::OnceLock;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::{
    control::{
        jws,
        keys::{KEY_SET_TYP, KeyPair, KeySet, sign_key_set},
        proof::{self, PROOF_TYP},
        rotation,
        token::AgentToken,
        wire::{KeySetClaims, ROTATION_TYP, RotateKeyRequest},
    },
    engine::ids::AgentId,
    strict,
};
use serde_json::{Value, json};

const ORIGIN: &str = "https://cp.example.com";
const HELD: u64 = 3;

/// Judges one of them.
pub fn trust(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let Ok(text) = str::from_utf8(rest) else { return };
    match which {
        b'0' => key_set(text),
        b'1' => request_proof(text),
        b'2' => new_key(text),
        b'3' => agent_token(text),
        _ => {}
    }
}

/// The fixed seeds of the published vectors.
fn key(seed: u8) -> &'static KeyPair {
    static KEYS: [OnceLock<KeyPair>; 6] = [const { OnceLock::new() }; 6];
    KEYS[usize::from(seed)].get_or_init(|| KeyPair::from_seed(&[seed; 32]))
}

fn received(text: &str, typ: &str, signer: &KeyPair) -> String {
    if text.starts_with('{') { jws::sign(typ, signer, text.as_bytes()) } else { text.to_owned() }
}

/// Not the way in which the program does it: by the header as a JSON value, over the received bytes. What was signed.
fn signed_by(key: &KeyPair, typ: &str, jws: &str) -> Option<Value> {
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return None };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let bytes = decoded(header)?;
    let fields: Value = serde_json::from_slice(&bytes).ok()?;
    let expected = json!({"alg": "EdDSA", "typ": typ, "kid": key.public().thumbprint()});
    let signed = &jws.as_bytes()[..header.len() + 1 + payload.len()];
    let good = UnparsedPublicKey::new(&ED25519, key.public().as_bytes()).verify(signed, &decoded(signature)?);
    let payload = decoded(payload)?;
    let holds = strict::check(&bytes).is_ok() && fields == expected && good.is_ok();
    (holds && strict::check(&payload).is_ok()).then(|| serde_json::from_slice(&payload).ok())?
}

fn key_set(text: &str) {
    let root = key(1);
    let jws = received(text, KEY_SET_TYP, root);
    let pinned = root.public().thumbprint();
    let verified = KeySet::verify(&jws, &root.public().to_jwk(), &pinned);
    assert_eq!(verified, KeySet::verify(&jws, &root.public().to_jwk(), &pinned), "judged in two ways");
    let successor = held().successor(&jws, &root.public().to_jwk(), &pinned);
    let Ok(set) = verified else {
        assert!(successor.is_err(), "a successor that is no key set");
        return;
    };
    let said = signed_by(root, KEY_SET_TYP, &jws).expect("a key set without the root's signature");
    assert_eq!(said["version"], set.version(), "another version than was signed");
    let keys = said["keys"].as_array().expect("a key set has keys");
    for said in keys {
        let found = said["kid"].as_str().and_then(|kid| set.find(kid));
        let x = found.map(|key| URL_SAFE_NO_PAD.encode(key.as_bytes()));
        assert!(said["kid"].is_null() || x.as_deref() == said["x"].as_str(), "another key than was signed");
    }
    assert!(set.find("a name that nobody gave").is_none());
    assert!(successor.is_err() || set.version() >= HELD, "an older set came after a newer one");
    if set.version() == HELD && successor.is_ok() {
        let same = held().find("jobs-2026-11").map(|key| URL_SAFE_NO_PAD.encode(key.as_bytes()));
        assert!(keys.len() == 1 && same.as_deref() == keys[0]["x"].as_str(), "one version, two sets");
    }
    // The thief of a key that signs jobs does not appoint its successor.
    for thief in [key(2), &key(2).clone().named(&pinned)] {
        let theirs = jws::sign(KEY_SET_TYP, thief, said.to_string().as_bytes());
        assert!(KeySet::verify(&theirs, &root.public().to_jwk(), &pinned).is_err(), "appointed by a thief");
        assert!(KeySet::verify(&theirs, &key(2).public().to_jwk(), &pinned).is_err(), "another root");
    }
}

/// Version 3, with the key of the published vectors.
fn held() -> &'static KeySet {
    static SET: OnceLock<KeySet> = OnceLock::new();
    SET.get_or_init(|| {
        let mut signs = key(2).public().to_jwk();
        signs.kid = Some("jobs-2026-11".to_owned());
        let claims = KeySetClaims { v: 1, version: HELD, iat: 1_795_499_000, keys: vec![signs] };
        let root = key(1).public();
        KeySet::verify(&sign_key_set(&claims, key(1)), &root.to_jwk(), &root.thumbprint())
            .expect("a set of our own")
    })
}

fn request_proof(text: &str) {
    let agent = key(4);
    let jws = received(text, PROOF_TYP, agent);
    let peeked = proof::peek_issuer(&jws);
    let Ok(claims) = proof::verify(&jws, agent.public()) else { return };
    let said = signed_by(agent, PROOF_TYP, &jws).expect("a proof without the agent's signature");
    assert_eq!(
        serde_json::to_value(&claims).expect("claims serialise"),
        said,
        "read otherwise than it was signed"
    );
    assert_eq!(peeked.as_ref(), Ok(&claims.iss), "another key would be looked up");
    assert!(proof::verify(&jws, key(3).public()).is_err(), "a stranger's key");
    for (method, path, body) in
        [("POST", "/v1/agent/reports", "{\"reports\":[]}"), ("GET", "/v1/agent/jobs", "")]
    {
        if claims.covers(ORIGIN, method, path, body.as_bytes()) {
            assert!(!claims.covers(ORIGIN, method, path, b"another body"));
            assert!(!claims.covers(ORIGIN, "DELETE", path, body.as_bytes()));
            assert!(!claims.covers(ORIGIN, method, "/another/path", body.as_bytes()));
            assert!(!claims.covers("https://another.example.com", method, path, body.as_bytes()));
        }
    }
}

fn new_key(text: &str) {
    let (old, new) = (key(4), key(5));
    let request = RotateKeyRequest { key: new.public().to_jwk(), proof: received(text, ROTATION_TYP, new) };
    let agent = AgentId::new("agent-7f3a").expect("a plain name");
    let Ok(taken) = rotation::verify(&request, &agent, ORIGIN, old.public()) else { return };
    assert_eq!(&taken, new.public());
    let said = signed_by(new, ROTATION_TYP, &request.proof).expect("a new key that did not sign");
    assert_eq!(said["old"], old.public().thumbprint());
    assert_eq!(said["new"], new.public().thumbprint());
    let other = AgentId::new("agent-9999").expect("a plain name");
    assert!(rotation::verify(&request, &other, ORIGIN, old.public()).is_err(), "for another agent");
    assert!(rotation::verify(&request, &agent, "https://another.example.com", old.public()).is_err());
    assert!(rotation::verify(&request, &agent, ORIGIN, key(3).public()).is_err(), "after another key");
    let iat = said["iat"].as_i64().expect("claims of a rotation have a time");
    let again = rotation::announce(&agent, ORIGIN, new.public(), new, iat);
    assert!(rotation::verify(&again, &agent, ORIGIN, new.public()).is_err(), "the same key again");
}

fn agent_token(text: &str) {
    let wrapped = || format!("eph1.{}", URL_SAFE_NO_PAD.encode(text));
    let token = if text.starts_with('{') { wrapped() } else { text.to_owned() };
    match AgentToken::parse(&token) {
        Ok(read) => {
            let body = token.trim().strip_prefix("eph1.").and_then(|body| URL_SAFE_NO_PAD.decode(body).ok());
            let said: Value = serde_json::from_slice(&body.expect("a token holds base64")).expect("and JSON");
            assert_eq!(said, json!({"url": read.url, "secret": read.secret, "root": read.root}));
            assert_eq!(AgentToken::parse(&read.to_text()).as_ref(), Ok(&read), "it is not what it was");
            let (scheme, host) = read.url.split_once("://").expect("an origin");
            let loopback = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
                host.strip_prefix(name).is_some_and(|port| port.is_empty() || port.starts_with(':'))
            });
            assert!(scheme == "https" || (scheme == "http" && loopback), "in the clear to {host}");
            assert!(!host.contains(['/', '@', '?', '#', '%', ' ']), "more than an origin: {host}");
            assert!(!format!("{read:?}").contains(&read.secret), "a secret is shown");
        }
        Err(error) => {
            let said = error.to_string();
            assert!(token.trim().len() < 16 || !said.contains(token.trim()), "an error tells the token");
        }
    }
}
