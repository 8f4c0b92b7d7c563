//! The second signature: an approver's own key, which the control plane does not hold, over exactly the
//! job that is approved.
//!
//! An approval repeats the job, with its id, agent and integration; whatever the control plane changes
//! in the job makes it another one. It binds a job id, which is used once, and its life is shorter than
//! the memory of job ids, so it cannot be played back. Refuses, by not counting it, an approval of
//! something else, of another time, by a key that the policy does not name. Whether there are enough is
//! the policy's to say.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    jws,
    keys::{KeyPair, PublicKey},
    verify::DEFAULT_MAX_SKEW,
    wire::{APPROVAL_TYP, ApprovalClaims, JobBody, JobClaims, MAX_APPROVAL_BYTES, Request, VERSION},
};
use crate::{
    engine::time::{Millis, Timestamp},
    strict,
};

/// The longest life of an approval. Job ids are remembered for a day after their start-by instant.
pub const LONGEST_LIFE: Millis = Millis::from_secs(12 * 3600);

/// Which of `keys` (public keys in base64url) have approved exactly this job, at `now`.
#[must_use]
pub fn signers<'a>(
    claims: &JobClaims,
    keys: impl IntoIterator<Item = &'a String>,
    now: Timestamp,
) -> Vec<String> {
    let Some(request) = request(&claims.job) else { return Vec::new() };
    let keys: Vec<(&String, PublicKey)> =
        keys.into_iter().filter_map(|text| Some((text, public(text)?))).collect();
    let mut signed: Vec<String> = Vec::new();
    for approval in &request.approvals {
        let by = keys.iter().find(|(text, key)| !signed.contains(text) && covers(approval, key, claims, now));
        signed.extend(by.map(|(text, _)| (*text).clone()));
    }
    signed
}

/// The approval of a job by `key`, until `exp`; `iat` and `exp` in Unix seconds.
#[must_use]
pub fn approve(claims: &JobClaims, key: &KeyPair, iat: i64, exp: i64) -> String {
    let approval = ApprovalClaims {
        v: VERSION,
        aud: claims.aud.clone(),
        job_id: claims.job_id.clone(),
        integration: claims.integration.clone(),
        iat,
        exp,
        job: bare(&claims.job),
    };
    let payload = serde_json::to_vec(&approval).expect("approval claims serialise");
    jws::sign(APPROVAL_TYP, key, &payload)
}

fn covers(approval: &str, key: &PublicKey, claims: &JobClaims, now: Timestamp) -> bool {
    let find = |kid: &str| (kid == key.thumbprint()).then(|| key.clone());
    let Ok(verified) = jws::verify(approval, APPROVAL_TYP, MAX_APPROVAL_BYTES, find) else { return false };
    if strict::check(&verified.payload).is_err() {
        return false;
    }
    let Ok(said) = serde_json::from_slice::<ApprovalClaims>(&verified.payload) else { return false };
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    let timely = at(said.iat) <= now + DEFAULT_MAX_SKEW
        && now < at(said.exp)
        && at(said.exp).since(at(said.iat)) <= LONGEST_LIFE;
    timely
        && said.v == VERSION
        && said.aud == claims.aud
        && said.job_id == claims.job_id
        && said.integration == claims.integration
        && said.job == bare(&claims.job)
}

/// The job without the approvals that it carries: what an approval is about.
fn bare(job: &JobBody) -> JobBody {
    let mut job = job.clone();
    match &mut job {
        JobBody::Grant(grant) => grant.request.approvals.clear(),
        JobBody::Extend(extend) => extend.request.approvals.clear(),
        JobBody::Revoke(_) | JobBody::Sync {} | JobBody::Test {} => {}
    }
    job
}

fn request(job: &JobBody) -> Option<&Request> {
    match job {
        JobBody::Grant(grant) => Some(&grant.request),
        JobBody::Extend(extend) => Some(&extend.request),
        JobBody::Revoke(_) | JobBody::Sync {} | JobBody::Test {} => None,
    }
}

fn public(text: &str) -> Option<PublicKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(PublicKey::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_500_000;

    fn claims() -> JobClaims {
        let text = serde_json::json!({
            "v": 1, "iss": "https://cp.example.com", "aud": "agent-1", "job_id": "job-1", "iat": NOW,
            "start_by": NOW + 300, "integration": "acme",
            "job": {"type": "grant", "grant_id": "grant-1", "target": {"email": "ada@example.com"},
                    "role": "Help Desk", "duration_s": 3600, "request": {"number": "AR-1"}},
        });
        serde_json::from_value(text).unwrap()
    }

    fn with(approval: &str) -> JobClaims {
        let mut claims = claims();
        if let JobBody::Grant(grant) = &mut claims.job {
            grant.request.approvals = vec![approval.to_owned(), approval.to_owned()];
        }
        claims
    }

    fn text(key: &KeyPair) -> String {
        URL_SAFE_NO_PAD.encode(key.public().as_bytes())
    }

    fn count(claims: &JobClaims, key: &KeyPair, now: i64) -> usize {
        signers(claims, [&text(key)], Timestamp(now * 1000)).len()
    }

    #[test]
    fn an_approval_counts_once_and_only_for_the_job_that_it_repeats() {
        let key = KeyPair::from_seed(&[9; 32]);
        let approval = approve(&claims(), &key, NOW, NOW + 600);
        assert_eq!(signers(&with(&approval), [&text(&key)], Timestamp(NOW * 1000)), [text(&key)]);

        let change = |change: fn(&mut JobClaims)| {
            let mut claims = with(&approval);
            change(&mut claims);
            count(&claims, &key, NOW)
        };
        assert_eq!(change(|_| {}), 1);
        assert_eq!(change(|c| c.start_by += 60), 1, "when it is delivered is the control plane's business");
        assert_eq!(change(|c| c.job_id = crate::engine::ids::JobId::new("job-2").unwrap()), 0);
        assert_eq!(change(|c| c.aud = crate::engine::ids::AgentId::new("agent-2").unwrap()), 0);
        assert_eq!(change(|c| c.integration = crate::engine::ids::IntegrationId::new("b").unwrap()), 0);
        let body = |change: fn(&mut super::super::wire::GrantBody)| {
            let mut claims = with(&approval);
            if let JobBody::Grant(grant) = &mut claims.job {
                change(grant);
            }
            count(&claims, &key, NOW)
        };
        assert_eq!(body(|g| g.duration_s += 1), 0);
        assert_eq!(body(|g| g.until = Some(NOW + 60)), 0);
        assert_eq!(body(|g| g.role = crate::engine::ids::RoleName::new("Manager").unwrap()), 0);
        assert_eq!(body(|g| g.request.number = None), 0);
    }

    #[test]
    fn an_approval_by_another_key_or_of_another_time_does_not_count() {
        let (key, other) = (KeyPair::from_seed(&[9; 32]), KeyPair::from_seed(&[8; 32]));
        let good = with(&approve(&claims(), &key, NOW, NOW + 600));
        assert_eq!((count(&good, &key, NOW), count(&good, &other, NOW)), (1, 0));
        assert_eq!(count(&good, &key, NOW + 600), 0, "it is over");
        assert_eq!(count(&good, &key, NOW - 121), 0, "it is of the future");
        let long = with(&approve(&claims(), &key, NOW, NOW + 12 * 3600 + 1));
        assert_eq!(count(&long, &key, NOW), 0, "it would outlive the memory of job ids");
        let posing = with(&approve(&claims(), &other.named(key.kid()), NOW, NOW + 600));
        assert_eq!(count(&posing, &key, NOW), 0);
    }
}
