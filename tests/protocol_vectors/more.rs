//! `rotations.json` and `inventory.json`.

use ephemerald::control::{
    rotation,
    wire::{InventoryItem, InventoryPage, ROTATION_TYP, RotateKeyRequest},
};

use super::*;

/// `vectors/rotations.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rotations {
    pub(crate) about: String,
    pub(crate) agent_id: AgentId,
    pub(crate) origin: String,
    pub(crate) old: Jwk,
    pub(crate) cases: Vec<RotationCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RotationCase {
    pub(crate) name: String,
    pub(crate) request: RotateKeyRequest,
    pub(crate) accepted: bool,
}

pub(crate) fn rotations() -> Rotations {
    let (old, new) = (agent(), KeyPair::from_seed(&[5; 32]));
    let id = AgentId::new("agent-7f3a").unwrap();
    let good = || rotation::announce(&id, ORIGIN, old.public(), &new, NOW);
    let mut cases = Vec::new();
    let mut case = |name: &str, request: RotateKeyRequest, accepted: bool| {
        cases.push(RotationCase { name: name.to_owned(), request, accepted });
    };
    case("a new key", good(), true);
    let other = AgentId::new("agent-9999").unwrap();
    case("for another agent", rotation::announce(&other, ORIGIN, old.public(), &new, NOW), false);
    let elsewhere = "https://other.example.com";
    case("for another control plane", rotation::announce(&id, elsewhere, old.public(), &new, NOW), false);
    let after = stranger();
    case("after another key", rotation::announce(&id, ORIGIN, after.public(), &new, NOW), false);
    case("the old key again", rotation::announce(&id, ORIGIN, old.public(), &old, NOW), false);
    let swapped = RotateKeyRequest { key: stranger().public().to_jwk(), ..good() };
    case("another key than the one that signed", swapped, false);
    let claims = URL_SAFE_NO_PAD.decode(good().proof.split('.').nth(1).unwrap()).unwrap();
    let by = |typ: &str, key: &KeyPair, claims: &[u8]| RotateKeyRequest {
        proof: jws::sign(typ, key, claims),
        ..good()
    };
    case("signed by the old key", by(ROTATION_TYP, &old, &claims), false);
    case(
        "signed by the old key under the new one's kid",
        by(ROTATION_TYP, &agent().named(new.kid()), &claims),
        false,
    );
    case("typ of a proof", by(proof::PROOF_TYP, &new, &claims), false);
    let mut extra: Value = serde_json::from_slice(&claims).unwrap();
    extra["admin"] = json!(true);
    case("unknown claim", by(ROTATION_TYP, &new, extra.to_string().as_bytes()), false);
    Rotations {
        about:
            "Bodies of rotate-key from agent_id, proven by the key `old`, and whether the new key is taken."
                .to_owned(),
        agent_id: id,
        origin: ORIGIN.to_owned(),
        old: agent().public().to_jwk(),
        cases,
    }
}

/// `vectors/inventory.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Inventory {
    pub(crate) about: String,
    pub(crate) cases: Vec<PageCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PageCase {
    pub(crate) name: String,
    pub(crate) items: Vec<InventoryItem>,
    /// The text that is hashed.
    pub(crate) canonical: String,
    pub(crate) hash: String,
}

pub(crate) fn inventory() -> Inventory {
    let mut cases = Vec::new();
    // The canonical text is written here by hand; what the code makes of the items is compared with it.
    let mut case = |name: &str, items: Value, canonical: &str| {
        let items: Vec<InventoryItem> = serde_json::from_value(items).unwrap();
        let hash = InventoryPage::hash_of(&items);
        cases.push(PageCase { name: name.to_owned(), items, canonical: canonical.to_owned(), hash });
    };
    case("no items", json!([]), "[]");
    case(
        "roles",
        json!([{"role": {"name": "Help Desk", "grantable": true}}, {"role": {"name": "Manager", "grantable": false}}]),
        r#"[{"role":{"grantable":true,"name":"Help Desk"}},{"role":{"grantable":false,"name":"Manager"}}]"#,
    );
    case(
        "an account",
        json!([{"account": {"id": "5f1b2c3d4e5f60718293a4b5", "email": "ada@example.com", "suspended": false}}]),
        r#"[{"account":{"email":"ada@example.com","id":"5f1b2c3d4e5f60718293a4b5","suspended":false}}]"#,
    );
    case(
        "permissions",
        json!([
            {"permission": {"account": "5f", "role": "Help Desk", "type": "jit", "grant_id": "grant-1"}},
            {"permission": {"account": "5f", "role": "Manager", "type": "external"}}
        ]),
        r#"[{"permission":{"account":"5f","grant_id":"grant-1","role":"Help Desk","type":"jit"}},{"permission":{"account":"5f","role":"Manager","type":"external"}}]"#,
    );
    case(
        "a role with quotes, a backslash, a slash and letters beyond ASCII",
        json!([{"role": {"name": "Über \"Admin\" \\ a/b \u{1f511}\u{2028}x", "grantable": true}}]),
        "[{\"role\":{\"grantable\":true,\"name\":\"Über \\\"Admin\\\" \\\\ a/b \u{1f511}\u{2028}x\"}}]",
    );
    Inventory { about: "Pages of the inventory: the text that is hashed, and its SHA-256.".to_owned(), cases }
}
