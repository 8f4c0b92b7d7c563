//! What the files in `vectors/` hold.

use super::*;

/// `vectors/jobs.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Jobs {
    pub(crate) about: String,
    pub(crate) agent_id: AgentId,
    pub(crate) ledger_created_at: i64,
    pub(crate) now: i64,
    pub(crate) max_start_by_s: u64,
    pub(crate) max_skew_s: u64,
    pub(crate) root: Jwk,
    pub(crate) key_set: String,
    pub(crate) cases: Vec<JobCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct JobCase {
    pub(crate) name: String,
    /// Judged then instead of at the file's `now`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) now: Option<i64>,
    pub(crate) jws: String,
    pub(crate) expect: JobExpect,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(crate) struct JobExpect {
    pub(crate) accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
}

impl Jobs {
    pub(crate) fn verifier(&self) -> Verifier {
        let pinned = self.root.kid.clone().unwrap();
        Verifier {
            agent: self.agent_id.clone(),
            keys: KeySet::verify(&self.key_set, &self.root, &pinned).unwrap(),
            ledger_created_at: Timestamp(self.ledger_created_at * 1000),
            max_start_by: Millis::from_secs(self.max_start_by_s),
            max_skew: Millis::from_secs(self.max_skew_s),
        }
    }
}

pub(crate) fn judge(verifier: &Verifier, jws: &str, now: i64) -> JobExpect {
    let hex = |digest| serde_json::to_value::<ephemerald::engine::job::Digest>(digest).unwrap();
    let hex = |digest| hex(digest).as_str().unwrap().to_owned();
    match verifier.verify(jws, Timestamp(now * 1000)) {
        Ok(job) => JobExpect {
            accepted: true,
            code: None,
            rule: None,
            job_id: Some(job.claims.job_id.to_string()),
            digest: Some(hex(job.digest)),
        },
        Err(refusal) => JobExpect {
            accepted: false,
            code: Some(refusal.code.to_string()),
            rule: refusal.rule.map(|rule| rule.to_string()),
            job_id: refusal.job_id.map(|id| id.to_string()),
            digest: refusal.digest.map(hex),
        },
    }
}

/// `vectors/key-sets.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeySets {
    pub(crate) about: String,
    pub(crate) pinned_root: String,
    pub(crate) held: String,
    pub(crate) cases: Vec<KeySetCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct KeySetCase {
    pub(crate) name: String,
    pub(crate) root: Jwk,
    pub(crate) key_set: String,
    pub(crate) accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
}

/// `vectors/proofs.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Proofs {
    pub(crate) about: String,
    pub(crate) agent_key: Jwk,
    pub(crate) cases: Vec<ProofCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ProofCase {
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) proof: String,
    pub(crate) accepted: bool,
}

/// `vectors/agent-tokens.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) about: String,
    pub(crate) cases: Vec<TokenCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TokenCase {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

/// `vectors/thumbprints.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Thumbprints {
    pub(crate) about: String,
    pub(crate) cases: Vec<ThumbprintCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ThumbprintCase {
    pub(crate) name: String,
    pub(crate) jwk: Jwk,
    pub(crate) accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thumbprint: Option<String>,
}
