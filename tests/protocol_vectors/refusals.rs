//! docs/protocol/refusals.md: everything hostile that is published as a vector, in one table. What each test of this program
//! judges, a person can read there.
//!
//! `EPHEMERALD_WRITE_REFUSALS=1 cargo test --test protocol_vectors refusals` writes it anew.

use std::{fmt::Write as _, fs};

use serde_json::Value;

const HEAD: &str = "\
# What is refused

Every forged, altered, stale, foreign or confused message that is published as a [vector](vectors), and how an agent (for proofs
and rotations: a control plane) answers it. The table is made from the vectors, and each of them is judged in the tests by the code
that ships (`cargo test --test protocol_vectors`). [Codes](codes.md) says what each rule means.

A job that comes again is not in it, because it is no single message: a replayed job is answered again and not carried out
again, and one id with another content is refused aloud (`job_equivocated`).

| | what | refused with |
|--:|---|---|
";

/// (file, what its cases are).
const FILES: [(&str, &str); 6] = [
    ("jobs", "job"),
    ("approvals", "approval"),
    ("key-sets", "key set"),
    ("agent-tokens", "agent token"),
    ("rotations", "new agent key"),
    ("proofs", "request"),
];

/// How a refused case is answered; `None` for one that is accepted.
fn refused(case: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(|text| format!("`{text}`"));
    if let Some(expect) = case.get("expect") {
        let said = [text(&expect["code"]), text(&expect["rule"])];
        return (expect["accepted"] == false)
            .then(|| said.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
    if let Some(signers) = case.get("signed_by") {
        return signers
            .as_array()
            .unwrap()
            .is_empty()
            .then(|| "it does not count: `approval_required`".to_owned());
    }
    (case["accepted"] == false).then(|| "not taken".to_owned())
}

#[test]
fn the_page_of_refusals_is_made_from_the_vectors() {
    let mut page = HEAD.to_owned();
    let (mut number, mut jobs) = (0, 0);
    for (file, what) in FILES {
        for case in super::read(&format!("vectors/{file}.json"))["cases"].as_array().unwrap() {
            let Some(how) = refused(case) else { continue };
            number += 1;
            jobs += u32::from(what == "job");
            writeln!(
                page,
                "| {number} | {what}: {} | {how} |",
                case["name"].as_str().unwrap().replace('|', "\\|")
            )
            .unwrap();
        }
    }
    assert!(jobs >= 60, "{jobs} jobs of {number}");
    let path = super::docs().join("refusals.md");
    if std::env::var_os("EPHEMERALD_WRITE_REFUSALS").is_some() {
        fs::write(path, page).unwrap();
    } else {
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            page,
            "EPHEMERALD_WRITE_REFUSALS=1 cargo test --test protocol_vectors refusals"
        );
    }
}
