//! `rotations.json`, `inventory.json` and `approvals.json`.

use std::collections::BTreeMap;

use ephemerald::control::{
    approval, rotation,
    wire::{APPROVAL_TYP, InventoryItem, InventoryPage, JobBody, JobClaims, ROTATION_TYP, RotateKeyRequest},
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

/// `vectors/approvals.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Approvals {
    pub(crate) about: String,
    pub(crate) now: i64,
    /// As in `[approval_keys]` of a policy.
    pub(crate) approval_keys: BTreeMap<String, String>,
    pub(crate) cases: Vec<ApprovalCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ApprovalCase {
    pub(crate) name: String,
    pub(crate) claims: JobClaims,
    pub(crate) signed_by: Vec<String>,
}

pub(crate) fn approvals() -> Approvals {
    let (grace, joan) = (KeyPair::from_seed(&[7; 32]), KeyPair::from_seed(&[8; 32]));
    let text = |key: &KeyPair| URL_SAFE_NO_PAD.encode(key.public().as_bytes());
    let job: JobClaims = serde_json::from_value(jobs::grant()).unwrap();
    let by = |key: &KeyPair| approval::approve(&job, key, NOW - 20, NOW + 880);
    let mut cases = Vec::new();
    let mut case = |name: &str, approvals: &[String], signed_by: &[&str], change: fn(&mut JobClaims)| {
        let mut claims = job.clone();
        if let JobBody::Grant(grant) = &mut claims.job {
            grant.request.approvals = approvals.to_vec();
        }
        change(&mut claims);
        let signed_by = signed_by.iter().map(|name| (*name).to_owned()).collect();
        cases.push(ApprovalCase { name: name.to_owned(), claims, signed_by });
    };
    case("approved by grace", &[by(&grace)], &["grace@example.com"], |_| {});
    case("by both", &[by(&joan), by(&grace)], &["grace@example.com", "joan@example.com"], |_| {});
    case("the same twice", &[by(&grace), by(&grace)], &["grace@example.com"], |_| {});
    case("not approved", &[], &[], |_| {});
    case("by a stranger", &[by(&stranger())], &[], |_| {});
    case("by a stranger under grace's kid", &[by(&stranger().named(grace.kid()))], &[], |_| {});
    case("another job id", &[by(&grace)], &[], |c| {
        c.job_id = ephemerald::engine::ids::JobId::new("job-2").unwrap()
    });
    case("a longer duration", &[by(&grace)], &[], |c| {
        if let JobBody::Grant(grant) = &mut c.job {
            grant.duration_s += 1;
        }
    });
    case("another reason", &[by(&grace)], &[], |c| {
        if let JobBody::Grant(grant) = &mut c.job {
            grant.request.justification = None;
        }
    });
    case("a later start", &[by(&grace)], &["grace@example.com"], |c| c.start_by += 60);
    for (name, approval) in odd_approvals(&job, &grace) {
        case(name, &[approval], &[], |_| {});
    }
    Approvals {
        about: "Claims of jobs, and whose approvals in them count at `now` (Unix seconds). Seeds: grace 07…, joan \
                08…, a stranger 03…."
            .to_owned(),
        now: NOW,
        approval_keys: BTreeMap::from([
            ("grace@example.com".to_owned(), text(&grace)),
            ("joan@example.com".to_owned(), text(&joan)),
        ]),
        cases,
    }
}

/// Signatures by the right key that do not count.
fn odd_approvals(job: &JobClaims, key: &KeyPair) -> Vec<(&'static str, String)> {
    let timed = |iat, exp| approval::approve(job, key, iat, exp);
    let good = timed(NOW - 20, NOW + 880);
    let payload = URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
    let mut extra: Value = serde_json::from_slice(&payload).unwrap();
    extra["note"] = json!("fine");
    vec![
        ("over at this second", timed(NOW - 600, NOW)),
        ("of the future", timed(NOW + 121, NOW + 600)),
        ("with a life of more than 12 hours", timed(NOW, NOW + 43_201)),
        ("typ of a job", jws::sign(JOB_TYP, key, &payload)),
        ("unknown claim", jws::sign(APPROVAL_TYP, key, extra.to_string().as_bytes())),
    ]
}
