//! docs/policy-cookbook.md and the examples of docs/policy.md: every policy in them is one, and says what the page says.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

const CONFIG: &str = r#"
[agent]
state_dir = "@DIR@/state"
control_socket = "@DIR@/control.sock"

[policy]
file = "@DIR@/policy.toml"

[[integration]]
name = "main"
connection_file = "@DIR@/main.json"
"#;

/// (policy, what is asked of it, with the answer), in the order of the page.
fn recipes(page: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap();
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for block in text.split("\n```").skip(1) {
        if let Some(policy) = block.strip_prefix("toml\n") {
            found.push((policy.to_owned(), Vec::new()));
        } else if let (Some(asked), Some(last)) = (block.strip_prefix("text\n"), found.last_mut()) {
            last.1.extend(asked.lines().map(str::to_owned));
        }
    }
    found
}

/// The claims of `ROLE for [a new account of] ADDRESS, LENGTH, INSTANT[, more]`, and the instant.
fn claims(asked: &str) -> (Value, String) {
    let mut parts = asked.split(", ");
    let (role, whom) = parts.next().unwrap().split_once(" for ").unwrap();
    let target = match whom.strip_prefix("a new account of ") {
        Some(person) => json!({"ephemeral": {"requester": person}}),
        None => json!({"email": whom}),
    };
    let length = humantime::parse_duration(parts.next().unwrap()).unwrap();
    let at = parts.next().unwrap().to_owned();
    let mut request = json!({
        "number": "AR-1", "requester": "visitor@example.com",
        "approvers": ["boss@example.com"], "justification": "a recipe",
    });
    for more in parts {
        match more.split_once(' ').unwrap() {
            ("no", what) => drop(request.as_object_mut().unwrap().remove(what).unwrap()),
            ("approvers", who) => request["approvers"] = who.split(' ').collect(),
            _ => panic!("{more}"),
        }
    }
    let claims = json!({
        "v": 1, "iss": "https://jit.example.com", "aud": "agent-1", "job_id": "job-1",
        "iat": 1_764_000_000, "start_by": 1_800_000_000, "integration": "main",
        "job": {
            "type": "grant", "grant_id": "grant-1", "target": target, "role": role,
            "duration_s": length.as_secs(), "request": request,
        },
    });
    (claims, at)
}

fn program(dir: &Path, args: &[&str]) -> String {
    let config = dir.join("ephemerald.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    let done = command.arg("--config").arg(config).args(["--output", "json"]).args(args).output().unwrap();
    assert!(!done.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The program's own summary: the verdict, and the rule of a refusal.
fn verdict(dir: &Path, asked: &str) -> String {
    let (claims, at) = claims(asked);
    fs::write(dir.join("job.json"), claims.to_string()).unwrap();
    let job = dir.join("job.json");
    let said: Value =
        serde_json::from_str(&program(dir, &["policy", "test", job.to_str().unwrap(), "--at", &at])).unwrap();
    let job = &said["job"];
    let rule = job["rule"].as_str().map(|rule| format!(", {rule}")).unwrap_or_default();
    job["verdict"].as_str().unwrap().to_owned() + &rule
}

#[test]
fn every_policy_in_the_documents_says_what_its_page_says() {
    let dir = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("@DIR@", dir.path().to_str().unwrap());
    fs::write(dir.path().join("ephemerald.toml"), config).unwrap();
    let mut asked_of_all = 0;
    for (policy, asked) in recipes("policy-cookbook.md").into_iter().chain(recipes("policy.md")) {
        fs::write(dir.path().join("policy.toml"), &policy).unwrap();
        let said: Value = serde_json::from_str(&program(dir.path(), &["policy", "explain"])).unwrap();
        assert!(said["rules"].as_array().is_some_and(|rules| rules.len() == 14), "{policy}\n{said}");
        for line in asked {
            let (asked, expected) = line.rsplit_once(": ").unwrap();
            assert_eq!(verdict(dir.path(), asked), expected, "{line}\n{policy}");
            asked_of_all += 1;
        }
    }
    assert!(asked_of_all >= 18, "{asked_of_all} lines are too few: the page was not read");
}
