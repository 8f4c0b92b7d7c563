//! `jobs.json`.

use super::*;

pub(super) fn grant() -> Value {
    json!({
        "v": 1, "iss": ORIGIN, "aud": "agent-7f3a", "job_id": "job-1", "iat": NOW - 10,
        "start_by": NOW + 300, "integration": "acme",
        "job": {
            "type": "grant", "grant_id": "grant-1", "target": {"email": "ada@example.com"},
            "role": "Help Desk", "duration_s": 3600,
            "request": {
                "number": "AR-1001", "requester": "ada@example.com",
                "approvers": ["grace@example.com"], "justification": "ticket 4711"
            }
        }
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut claims = grant();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    claims.pointer_mut(parent).unwrap()[key] = value;
    claims
}

fn without(pointer: &str) -> Value {
    let mut claims = grant();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    claims.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    claims
}

fn sign(claims: &Value) -> String {
    sign_text(&claims.to_string())
}

fn sign_text(payload: &str) -> String {
    jws::sign(JOB_TYP, &signing(), payload.as_bytes())
}

fn with_header(header: &str) -> String {
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(grant().to_string()));
    let signature = URL_SAFE_NO_PAD.encode(signing().sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

struct Expected(Vec<JobCase>);

impl Expected {
    fn accepted(&mut self, name: &str, jws: String) {
        self.push(name, jws, (true, None, None, Some("job-1")));
    }

    /// The signature holds, a rule refuses it; the id may be believed.
    fn rejected(&mut self, name: &str, rule: &str, jws: String) {
        self.push(name, jws, (false, Some("rejected"), Some(rule), Some("job-1")));
    }

    /// The signature does not hold: no id is believed, no digest kept.
    fn forged(&mut self, name: &str, rule: &str, jws: String) {
        let expect = JobExpect {
            accepted: false,
            code: Some("rejected".to_owned()),
            rule: Some(rule.to_owned()),
            job_id: None,
            digest: None,
        };
        self.0.push(JobCase { name: name.to_owned(), now: None, jws, expect });
    }

    /// The last case is judged at this time.
    fn at(&mut self, now: i64) {
        self.0.last_mut().unwrap().now = Some(now);
    }

    fn push(&mut self, name: &str, jws: String, told: (bool, Option<&str>, Option<&str>, Option<&str>)) {
        let (accepted, code, rule, job_id) = told;
        let own = |text: Option<&str>| text.map(str::to_owned);
        let payload = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1).unwrap()).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &payload);
        let digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let expect = JobExpect {
            accepted,
            code: own(code),
            rule: own(rule),
            job_id: own(job_id),
            digest: Some(digest),
        };
        self.0.push(JobCase { name: name.to_owned(), now: None, jws, expect });
    }
}

pub(super) fn file() -> Jobs {
    let mut cases = Expected(Vec::new());
    accepted_jobs(&mut cases);
    forged_jobs(&mut cases);
    misdirected_jobs(&mut cases);
    untimely_jobs(&mut cases);
    malformed_jobs(&mut cases);
    Jobs {
        about: "Compact JWS of jobs and what agent_id must make of each at `now` (Unix seconds), its own or else \
                the file's. `digest` is the SHA-256 of the payload bytes, hexadecimal."
            .to_owned(),
        agent_id: AgentId::new("agent-7f3a").unwrap(),
        ledger_created_at: NOW - 86_400,
        now: NOW,
        max_start_by_s: 7 * 86_400,
        max_skew_s: 120,
        root: jwk(&root()),
        key_set: key_set(&set_claims(3)),
        cases: cases.0,
    }
}

fn accepted_jobs(cases: &mut Expected) {
    cases.accepted("grant to an existing administrator by e-mail", sign(&grant()));
    let id = json!({"account_id": "5f1b2c3d4e5f60718293a4b5"});
    cases.accepted("grant to an existing administrator by id", sign(&with("/job/target", id)));
    let ephemeral =
        json!({"ephemeral": {"requester": "ada@example.com", "firstname": "Ada", "lastname": "Lovelace"}});
    cases.accepted("grant of an ephemeral account", sign(&with("/job/target", ephemeral)));
    cases.accepted("grant with an absolute end", sign(&with("/job/until", json!(NOW + 1800))));
    cases.accepted("grant with an empty request", sign(&with("/job/request", json!({}))));
    let revoke = json!({"type": "revoke", "grant_id": "grant-1", "reason": "done early"});
    cases.accepted("revoke", sign(&with("/job", revoke.clone())));
    let mut late = with("/job", revoke);
    late["iat"] = json!(NOW - 100_000_000);
    late["start_by"] = json!(NOW - 99_999_000);
    cases.accepted("revoke long after its start-by: no time rule gates an ending", sign(&late));
    let extend =
        json!({"type": "extend", "grant_id": "grant-1", "duration_s": 600, "request": {"number": "AR-2"}});
    cases.accepted("extend", sign(&with("/job", extend)));
    cases.accepted("sync", sign(&with("/job", json!({"type": "sync"}))));
    cases.accepted("test", sign(&with("/job", json!({"type": "test"}))));
    cases.accepted("start-by is this very second", sign(&with("/start_by", json!(NOW))));
    cases.accepted("issued in the future within the skew", sign(&with("/iat", json!(NOW + 120))));
    cases.accepted("issued in the second of the ledger's creation", sign(&with("/iat", json!(NOW - 86_400))));
}

fn forged_jobs(cases: &mut Expected) {
    let good = sign(&grant());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = URL_SAFE_NO_PAD.encode(with("/job/role", json!("Administrator")).to_string());
    cases.forged("payload exchanged after signing", "bad_signature", format!("{header}.{other}.{signature}"));
    cases.forged("empty signature", "bad_signature", format!("{signed}."));
    let payload = grant().to_string();
    let stranger = stranger();
    let unknown = jws::sign(JOB_TYP, &stranger, payload.as_bytes());
    cases.forged("signed by a key that is not in the set", "unknown_key", unknown);
    let posing = jws::sign(JOB_TYP, &stranger.named("jobs-2026-11"), payload.as_bytes());
    cases.forged("signed by a stranger under a pinned kid", "bad_signature", posing);
    cases.forged("signed by the root key", "unknown_key", jws::sign(JOB_TYP, &root(), payload.as_bytes()));
    let proof_typ = jws::sign("ephemerald-proof+jwt", &signing(), payload.as_bytes());
    cases.forged("typ of another kind of object", "bad_signature", proof_typ);
    for (name, header) in [
        ("alg none", r#"{"alg":"none","typ":"ephemerald-job+jws","kid":"jobs-2026-11"}"#),
        ("alg HS256", r#"{"alg":"HS256","typ":"ephemerald-job+jws","kid":"jobs-2026-11"}"#),
        ("no kid", r#"{"alg":"EdDSA","typ":"ephemerald-job+jws"}"#),
        ("no typ", r#"{"alg":"EdDSA","kid":"jobs-2026-11"}"#),
        ("crit", r#"{"alg":"EdDSA","typ":"ephemerald-job+jws","kid":"jobs-2026-11","crit":["exp"],"exp":1}"#),
        (
            "a key in the header",
            r#"{"alg":"EdDSA","typ":"ephemerald-job+jws","kid":"jobs-2026-11","jwk":{}}"#,
        ),
        ("alg twice", r#"{"alg":"none","alg":"EdDSA","typ":"ephemerald-job+jws","kid":"jobs-2026-11"}"#),
    ] {
        cases.forged(&format!("header: {name}"), "bad_signature", with_header(header));
    }
    cases.forged("padding", "malformed", format!("{good}=="));
    cases.forged("standard base64 alphabet", "malformed", format!("{signed}.{}", "+/".repeat(43)));
    cases.forged("two parts", "malformed", signed.to_owned());
    cases.forged("four parts", "malformed", format!("{good}.{header}"));
    cases.forged("not a JWS", "malformed", "{}".to_owned());
    let long = with("/job/request/justification", json!("x".repeat(50_000)));
    cases.forged("longer than 64 KiB", "malformed", sign(&long));
}

fn misdirected_jobs(cases: &mut Expected) {
    cases.rejected("addressed to another agent", "wrong_agent", sign(&with("/aud", json!("agent-9999"))));
    cases.rejected("protocol version 2", "unsupported_version", sign(&with("/v", json!(2))));
    cases.rejected("protocol version 0", "unsupported_version", sign(&with("/v", json!(0))));
    let newer = json!({"type": "lend", "grant_id": "grant-1"});
    let told = (false, Some("unsupported_job_type"), None, Some("job-1"));
    cases.push("job type that version 1 does not have", sign(&with("/job", newer)), told);
}

fn untimely_jobs(cases: &mut Expected) {
    let told = (false, Some("expired_before_start"), None, Some("job-1"));
    cases.push("start-by was a second ago", sign(&with("/start_by", json!(NOW - 1))), told);
    let far = json!(NOW + 7 * 86_400 + 1);
    cases.rejected("start-by too far away", "start_by_too_far", sign(&with("/start_by", far)));
    let old = json!(NOW - 86_401);
    cases.rejected("issued before the ledger", "issued_before_ledger", sign(&with("/iat", old)));
    let future = json!(NOW + 121);
    cases.rejected("issued in the future beyond the skew", "issued_in_future", sign(&with("/iat", future)));
    // The longest that a job may wait, and a second more: `iat` is ten seconds before the file's `now`.
    let longest = NOW - 10 + 7 * 86_400;
    let still_startable = || sign(&with("/start_by", json!(longest + 60)));
    cases.accepted("issued as long ago as a job may wait", still_startable());
    cases.at(longest);
    cases.rejected("issued longer ago than a job may wait", "stale", still_startable());
    cases.at(longest + 1);
}

fn malformed_jobs(cases: &mut Expected) {
    let mut bad = |name: &str, claims: Value| cases.rejected(name, "malformed", sign(&claims));
    bad("unknown field at the top", with("/priority", json!("high")));
    bad("unknown field in the job", with("/job/force", json!(true)));
    bad("unknown field in the request", with("/job/request/approved", json!(true)));
    bad("unknown field in a sync", with("/job", json!({"type": "sync", "full": true})));
    bad(
        "revoke that names an account",
        with("/job", json!({"type": "revoke", "grant_id": "g", "email": "a@b.c"})),
    );
    let both = json!({"email": "ada@example.com", "account_id": "5f1b2c3d4e5f60718293a4b5"});
    bad("null instead of an absent field", with("/job/until", Value::Null));
    bad("null in the request", with("/job/request/number", Value::Null));
    bad("two targets", with("/job/target", both));
    bad("no target", without("/job/target"));
    bad("no start-by", without("/start_by"));
    bad("no version", without("/v"));
    bad("no duration", without("/job/duration_s"));
    bad("duration of nothing", with("/job/duration_s", json!(0)));
    bad("negative duration", with("/job/duration_s", json!(-1)));
    bad("fractional duration", with("/job/duration_s", json!(1.5)));
    bad("duration as text", with("/job/duration_s", json!("3600")));
    bad("grant id with a slash", with("/job/grant_id", json!("../admin")));
    bad("account id with a query", with("/job/target", json!({"account_id": "5f1b?x=1"})));
    bad("e-mail with a line break", with("/job/target", json!({"email": "ada@example.com\r\nBcc: x@y.z"})));
    bad("audience as a list", with("/aud", json!(["agent-7f3a"])));
    bad("no audience", without("/aud"));
    bad("no time of issue", without("/iat"));
    bad("time of issue as text", with("/iat", json!("1790000000")));
    bad("protocol version as text", with("/v", json!("1")));
    bad("no role", without("/job/role"));
    bad("role of nothing", with("/job/role", json!("")));
    bad("role with a line break", with("/job/role", json!("Help Desk\nAdministrator")));
    bad("role as a list", with("/job/role", json!(["Help Desk", "Administrator"])));
    bad("no grant id", without("/job/grant_id"));
    bad("revoke of nothing", with("/job", json!({"type": "revoke"})));
    bad("extension of nothing", with("/job", json!({"type": "extend", "duration_s": 600})));
    bad("job that is no object", with("/job", json!("grant")));
    bad("too many approvers", with("/job/request/approvers", json!(vec!["a@example.com"; 33])));
    // Without one readable id there is none to answer by.
    let nameless = (false, Some("rejected"), Some("malformed"), None);
    let text = grant().to_string();
    let twice = text.replacen("\"role\":", "\"role\":\"Read Only\",\"role\":", 1);
    cases.push("a key twice", sign_text(&twice), nameless);
    let escaped = text.replacen("\"role\":", "\"role\":\"Read Only\",\"\\u0072ole\":", 1);
    cases.push("a key twice, once escaped", sign_text(&escaped), nameless);
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    cases.push("nested too deeply", sign_text(&text.replacen("3600", &deep, 1)), nameless);
    cases.push("text after the end", sign_text(&format!("{text}{{}}")), nameless);
    cases.push("not JSON", sign_text("grant=1"), nameless);
    cases.push("job id with a slash", sign(&with("/job_id", json!("a/b"))), nameless);
    cases.push("no job id", sign(&without("/job_id")), nameless);
}
