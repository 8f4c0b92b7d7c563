//! What the commands print as JSON, as docs/output.md lists it: a script that was written from that page goes on working.
//!
//! `EPHEMERALD_WRITE_OUTPUT=1 cargo test --test stories shapes` writes the page's lists anew.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::process::{
    PATIENCE, World,
    asking::{Ask, grant_claims},
};

const BEGIN: &str = "<!-- lists -->\n";

/// Every path of a value with what is there: `grants[].role  text`.
fn paths(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => return, // what it is where there is something, another command or another moment shows
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(items) => {
            items.iter().for_each(|item| paths(item, &format!("{at}[]"), into));
            return;
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if at.is_empty() { "" } else { "." };
                paths(field, &format!("{at}{dot}{name}"), into);
            }
            return;
        }
    };
    into.insert(format!("{at}  {kind}"));
}

/// The page as it is found, and as it should be.
struct Page {
    listed: String,
    made: String,
}

impl Page {
    /// A command that changes nothing is asked again until it shows what is listed: what the control plane has answered
    /// by now, say.
    async fn show(&mut self, world: &World, args: &[&str], shown: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut section = section(world, args, shown).await;
        while !self.listed.contains(&section) && Instant::now() < deadline && !is_writing() {
            sleep(Duration::from_millis(100)).await;
            section = self::section(world, args, shown).await;
        }
        self.made += &section;
    }

    async fn order(&mut self, world: &World, args: &[&str], shown: &str) {
        self.made += &section(world, args, shown).await;
    }
}

fn is_writing() -> bool {
    std::env::var_os("EPHEMERALD_WRITE_OUTPUT").is_some()
}

async fn section(world: &World, args: &[&str], shown: &str) -> String {
    let said = world.agent.command(&[&["--output", "json"], args].concat()).await;
    let value = |text: &str| {
        serde_json::from_str::<Value>(text).unwrap_or_else(|_| panic!("{args:?}: {}", said.text))
    };
    let one_a_line = args.starts_with(&["audit", "export"]);
    let values: Vec<Value> =
        if one_a_line { said.printed.lines().map(value).collect() } else { vec![value(&said.printed)] };
    let mut found = BTreeSet::new();
    values.iter().for_each(|value| paths(value, "", &mut found));
    let lines: String = found.into_iter().map(|line| line + "\n").collect();
    format!("\n### `{shown}`\n\n```text\n{lines}```\n")
}

async fn looked_at(page: &mut Page, world: &World, grant: &str) {
    page.show(world, &["version"], "version").await;
    page.show(world, &["check"], "check").await;
    page.show(world, &["status"], "status").await;
    page.show(world, &["health"], "health").await;
    page.show(world, &["grants", "list"], "grants list").await;
    page.show(world, &["grants", "show", grant], "grants show GRANT").await;
    page.show(world, &["config", "show"], "config show").await;
    let job = world.files.root.join("job.json");
    let mut claims = grant_claims("g-1", "dmitri@example.com", "Help Desk", 60);
    for (name, value) in [("v", 1), ("iat", 1_800_000_000), ("start_by", 1_800_000_600)] {
        claims[name] = value.into();
    }
    for (name, value) in [("iss", "https://jit.example.com"), ("aud", "agent-1"), ("job_id", "job-1")] {
        claims[name] = value.into();
    }
    fs::write(&job, claims.to_string()).unwrap();
    let job = job.to_str().unwrap();
    page.show(world, &["policy", "test", job], "policy test JOB.json").await;
    page.show(world, &["policy", "explain", job], "policy explain JOB.json").await;
}

async fn proved(page: &mut Page, world: &World) {
    page.show(world, &["audit", "verify"], "audit verify").await;
    page.show(world, &["audit", "export"], "audit export").await;
    page.show(world, &["ledger", "check"], "ledger check").await;
    let copy = world.files.root.join("copy");
    page.order(world, &["ledger", "backup", copy.to_str().unwrap()], "ledger backup DIR").await;
    let bundle = world.files.root.join("bundle.json");
    page.order(world, &["support-bundle", "--to", bundle.to_str().unwrap()], "support-bundle").await;
}

async fn ordered(page: &mut Page, world: &World, grant: &str) {
    page.order(world, &["rotate-key"], "rotate-key").await;
    page.order(world, &["revoke", grant], "revoke GRANT").await;
    page.order(world, &["freeze"], "freeze, thaw").await;
    page.order(world, &["drain"], "drain").await;
}

/// With everything that may be configured, so that everything is shown.
async fn with_a_state_key() -> World {
    let world = World::enrolled().await;
    let file = world.files.root.join("state.key");
    fs::write(&file, "a1".repeat(32)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let line = format!("[agent]\nstate_key_file = \"{}\"\n", file.display());
    world.rewrite_config(|text| text.replace("[agent]\n", &line));
    let sealed = world.agent.command(&["state", "seal", "--yes"]).await;
    assert_eq!(sealed.code, Some(0), "{}", sealed.text);
    world.started().await
}

#[tokio::test]
async fn the_json_of_each_command_is_what_its_page_lists() {
    let mut world = with_a_state_key().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 300)).await;
    world.about(&request, "granted").await;
    let grant = request.grant_id.unwrap().to_string();
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/output.md"));
    let text = fs::read_to_string(&file).unwrap();
    let (head, listed) = text.split_once(BEGIN).unwrap();
    let mut page = Page { listed: listed.to_owned(), made: String::new() };
    looked_at(&mut page, &world, &grant).await;
    proved(&mut page, &world).await;
    ordered(&mut page, &world, &grant).await;
    world.agent.kill().await;
    page.order(&world, &["state", "unseal", "--yes"], "state seal, state unseal").await;
    if is_writing() {
        fs::write(&file, format!("{head}{BEGIN}{}", page.made)).unwrap();
    } else {
        let of = |text: &str| text.split("\n### ").map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(of(listed), of(&page.made), "EPHEMERALD_WRITE_OUTPUT=1 cargo test --test stories shapes");
    }
}
