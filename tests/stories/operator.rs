//! Somebody at the agent's own machine stops raises and ends grants, whoever else is there.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use serde_json::{Value, json};

use crate::process::{World, agent::Said, asking::Ask};

const PERSON: &str = "dmitri@example.com";
const OTHER: &str = "farid@example.com";

/// Runs a command of the operator's; the first JSON value that it printed.
async fn told(world: &World, args: &[&str], code: i32) -> Value {
    let said = world.agent.command(&[args, &["--output", "json"]].concat()).await;
    assert_eq!(said.code, Some(code), "{args:?}: {}", said.text);
    let mut values = serde_json::Deserializer::from_str(&said.text).into_iter::<Value>();
    values.next().unwrap_or_else(|| panic!("{args:?} printed nothing")).unwrap()
}

async fn ordered(world: &World, args: &[&str], code: i32) -> Said {
    let said = world.agent.command(args).await;
    assert_eq!(said.code, Some(code), "{args:?}: {}", said.text);
    said
}

async fn granted(world: &World, account: &str) -> ephemerald::sandbox::control_plane::RequestView {
    let request = world.approved(Ask::role(account, "Manager", 300)).await;
    world.about(&request, "granted").await;
    request
}

#[tokio::test]
async fn t18_a_frozen_agent_refuses_over_a_kill_and_a_thawed_one_grants() {
    let mut world = World::ready().await;
    let live = granted(&world, PERSON).await;
    let frozen = told(&world, &["freeze", "--reason", "incident 4711"], 0).await;
    assert_eq!(frozen["recorded"], true);
    let refused = world.approved(Ask::role(OTHER, "Manager", 300)).await;
    assert_eq!(world.result(refused.job_id.clone().unwrap().as_str()).await["code"], "frozen");

    world.agent.kill().await;
    world.agent.start();
    world.logs("control plane: in contact").await;
    let refused = world.approved(Ask::role(OTHER, "Manager", 300)).await;
    assert_eq!(world.result(refused.job_id.clone().unwrap().as_str()).await["code"], "frozen");
    let status = told(&world, &["status"], 0).await;
    assert_eq!(status["frozen"]["reason"], "incident 4711");
    world.sees(PERSON, Some("Manager")).await;
    let extension = world.sent(extend(live.grant_id.clone().unwrap().as_str())).await;
    assert_eq!(world.result(&extension).await["code"], "frozen", "more time is more access");

    ordered(&world, &["thaw"], 0).await;
    granted(&world, OTHER).await;
}

fn extend(grant: &str) -> ephemerald::sandbox::control_plane::JobSpec {
    let request = json!({"number": "AR-9", "requester": "visitor@example.com",
        "approvers": ["boss@example.com"], "justification": "a story"});
    let job = json!({"type": "extend", "grant_id": grant, "duration_s": 400, "request": request});
    let claims = json!({"integration": "main", "job": job});
    ephemerald::sandbox::control_plane::JobSpec { claims, ..Default::default() }
}

#[tokio::test]
async fn everything_is_revoked_while_the_control_plane_is_away_and_it_hears_later_who_did_it() {
    let mut world = World::ready().await;
    let first = granted(&world, PERSON).await;
    let second = granted(&world, OTHER).await;
    world.stop_control_plane().await;

    let ended = told(&world, &["revoke", "--all", "--reason", "laptop stolen"], 0).await;

    assert_eq!((ended["proven"].as_array().unwrap().len(), &ended["by"]), (2, &json!("daemon")));
    world.sees(PERSON, Some("Help Desk")).await;
    world.sees(OTHER, Some("Help Desk")).await;
    world.restart_control_plane().await;
    for request in [first, second] {
        let report = world.about(&request, "grant_ended").await;
        assert_eq!(report["reason"], "operator");
        let uid = fs::metadata(&world.files.state).unwrap().uid();
        assert_eq!(report["detail"], format!("by uid {uid} at the agent: laptop stolen"));
    }
    let none = told(&world, &["revoke", "--all"], 0).await;
    assert_eq!(none["proven"], json!([]));
    ordered(&world, &["revoke", "no-such-grant"], 4).await;
    ordered(&world, &["revoke"], 2).await;
}

#[tokio::test]
async fn a_grant_is_revoked_although_the_daemon_was_killed_and_the_next_one_reports_it() {
    let mut world = World::ready().await;
    let request = granted(&world, PERSON).await;
    let other = granted(&world, OTHER).await;
    assert!(world.agent.kill().await, "it ran until then");
    let stranger = give_away(&world.files.state, &world.files.connection);

    let grant = request.grant_id.clone().unwrap();
    let ended = told(&world, &["revoke", grant.as_str(), "--reason", "no daemon"], 0).await;

    assert_eq!((&ended["by"], &ended["proven"]), (&json!("alone"), &json!([grant.as_str()])));
    world.sees(PERSON, Some("Help Desk")).await;
    world.sees(OTHER, Some("Manager")).await;
    if let Some(owner) = stranger {
        let owners = fs::read_dir(&world.files.state).unwrap().map(|e| e.unwrap().metadata().unwrap().uid());
        assert!(owners.into_iter().all(|uid| uid == owner), "root left files that the daemon cannot use");
    }
    ordered(&world, &["revoke", "--unit", "all"], 0).await;
    world.sees(OTHER, Some("Help Desk")).await;
    ordered(&world, &["audit", "verify"], 0).await;

    world.agent.start();
    world.agent.ready().await;
    for request in [request, other] {
        assert_eq!(world.about(&request, "grant_ended").await["reason"], "operator");
        assert_eq!(world.results_of(&request).await, ["granted"]);
    }
}

/// Gives the state directory and the connection's secret to another user, as root: the daemon's, in real life.
fn give_away(dir: &Path, connection: &Path) -> Option<u32> {
    const OWNER: u32 = 65_534;
    if fs::metadata(dir).unwrap().uid() != 0 {
        return None;
    }
    let inside = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    for path in inside.chain([dir.to_path_buf(), connection.to_path_buf()]) {
        std::os::unix::fs::chown(path, Some(OWNER), Some(OWNER)).unwrap();
    }
    Some(OWNER)
}

#[tokio::test]
async fn a_drained_agent_has_ended_and_proven_everything_and_takes_nothing_more() {
    let world = World::ready().await;
    let request = granted(&world, PERSON).await;

    let said = ordered(&world, &["drain", "--reason", "decommissioned"], 0).await;

    assert!(said.text.contains("1 grant is gone"), "{}", said.text);
    world.sees(PERSON, Some("Help Desk")).await;
    world.about(&request, "grant_settled").await;
    let refused = world.approved(Ask::role(OTHER, "Manager", 300)).await;
    assert_eq!(world.result(refused.job_id.clone().unwrap().as_str()).await["code"], "frozen");
    let said = ordered(&world, &["status"], 0).await;
    assert!(said.text.contains("! draining since") && said.text.contains("decommissioned"), "{}", said.text);
}

#[tokio::test]
async fn a_grant_that_jumpcloud_does_not_let_go_is_named_and_can_be_given_up_in_the_books() {
    let world = World::ready().await;
    let request = granted(&world, PERSON).await;
    let grant = request.grant_id.clone().unwrap();
    let refuses = json!({"method": "PUT", "fault": {"kind": "error_before", "status": 400}});
    world.cloud.set_faults(vec![serde_json::from_value(refuses).unwrap()], 1);

    let ended = told(&world, &["revoke", "--account", PERSON, "--timeout", "2s"], 9).await;
    assert_eq!(ended["remaining"][0]["grant_id"], grant.as_str());
    ordered(&world, &["forget", grant.as_str(), "--reason", "ticket 1"], 2).await;
    ordered(&world, &["forget", grant.as_str(), "--confirm", "--reason", "ticket 1"], 0).await;

    let report = world.about(&request, "grant_ended").await;
    assert_eq!(
        (&report["reason"], &report["evidence"]["verified_by_read"]),
        (&json!("abandoned"), &json!(false))
    );
    let overdue = ordered(&world, &["grants", "list", "--overdue"], 9).await;
    assert!(overdue.text.contains("given up"), "{}", overdue.text);
    ordered(&world, &["forget", grant.as_str(), "--confirm", "--reason", "ticket 1"], 4).await;
    ordered(&world, &["drain", "--timeout", "1s"], 9).await;

    world.cloud.set_faults(Vec::new(), 1);
    world.sees(PERSON, Some("Help Desk")).await;
    world.about(&request, "grant_settled").await;
    ordered(&world, &["grants", "list", "--overdue"], 0).await;
}

#[tokio::test]
async fn whoever_is_not_root_may_freeze_and_end_and_not_thaw_and_not_give_up() {
    let world = World::ready().await;
    if fs::metadata(&world.files.state).unwrap().uid() != 0 {
        eprintln!("NOT TRIED: this needs root, to become somebody else");
        return;
    }
    granted(&world, PERSON).await;
    let program = open_to_others(&world);
    let as_other = async |args: &[&str]| {
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=0", "--clear-groups"]).arg(&program);
        let output = command.arg("--config").arg(&world.files.config).args(args).output().await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    for (args, code, words) in [
        (&["status"][..], 0, "All is well"),
        (&["freeze", "--reason", "by a member of the group"], 0, "Frozen"),
        (&["thaw"], 4, "only root may do this"),
        (&["forget", "g", "--confirm", "--reason", "x"], 4, "only root may do this"),
        (&["rotate-key"], 4, "only root"),
        (&["revoke", "--all"], 0, "1 grant is gone"),
    ] {
        let (ended, text) = as_other(args).await;
        assert!(ended == Some(code) && text.contains(words), "{args:?}: {ended:?} {text}");
    }
    let export = ordered(&world, &["audit", "export", "--kind", "raises_frozen"], 0).await;
    assert!(export.text.contains(r#"\"uid\":65534"#), "who did it is in the journal: {}", export.text);
    let status = told(&world, &["status"], 0).await;
    assert_eq!(status["frozen"]["by_uid"], 65_534);
    ordered(&world, &["thaw"], 0).await;
}

/// A copy of the program and the files that somebody else may use, but for the state and the key.
fn open_to_others(world: &World) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let program = world.files.root.join("ephemerald");
    fs::copy(env!("CARGO_BIN_EXE_ephemerald"), &program).unwrap();
    fs::set_permissions(&world.files.root, fs::Permissions::from_mode(0o755)).unwrap();
    for file in [&program, &world.files.config] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    program
}

#[tokio::test]
async fn a_watch_without_a_terminal_says_each_change_in_a_line_and_bears_a_restart() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut world = World::ready().await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    command.arg("--config").arg(&world.files.config).args(["grants", "watch"]);
    let mut watch = command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // A look may come while the grant is still being made: what it was before is not for us to say.
    let mut seen = async |state: &str| {
        let mut said = Vec::new();
        let look = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it watches on");
                let found = line.contains("dmitri@example.com Manager: ")
                    && line.split([':', ' ']).any(|word| word == state);
                said.push(line);
                if found {
                    return;
                }
            }
        };
        let found = tokio::time::timeout(crate::process::PATIENCE, look).await;
        assert!(found.is_ok(), "never {state}: {said:#?}");
    };
    let request = granted(&world, PERSON).await;
    seen("active").await;
    world.agent.kill().await;
    world.agent.start();
    world.agent.ready().await;
    ordered(&world, &["revoke", request.grant_id.clone().unwrap().as_str()], 0).await;
    seen("settling").await;
}
