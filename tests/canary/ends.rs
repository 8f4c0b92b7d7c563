//! How a process ends: told to, or by a signal upon which the kernel writes its memory down.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::{
    outlets,
    process::{PATIENCE, World, asking::Ask, secrets::files_in},
    scan::assert_clean,
    skipped,
};

async fn ended_by(world: &mut World, signal: Signal) -> ExitStatus {
    let mut child = world.agent.running.take().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap()
}

fn cores_in(dir: &Path) -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("core");
    files_in(dir).into_iter().filter(named).collect()
}

/// What a program that holds this text leaves in the directory when it aborts; none where the kernel writes it elsewhere.
fn core_of_a_careless_program(dir: &Path, text: &str) -> Option<Vec<u8>> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -c unlimited; kill -ABRT $$", "sh", text]).current_dir(dir);
    let dumped = shell.status().unwrap().core_dumped();
    let core = cores_in(dir).pop().filter(|_| dumped)?;
    Some(fs::read(core).unwrap())
}

#[tokio::test]
async fn an_agent_that_is_aborted_leaves_no_core_where_another_program_does() {
    let most = getrlimit(Resource::Core).maximum;
    // What it inherits lets it.
    setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).unwrap();
    let world = World::enrolled().await;
    // Confined, it may write no file there, a core neither: then nothing would be shown of what forbids cores.
    world.rewrite_config(|text| format!("{text}\n[hardening]\nlandlock = \"off\"\n"));
    let mut world = world.started().await;
    let canaries = world.secrets();
    let elsewhere = tempfile::tempdir().unwrap();
    match core_of_a_careless_program(elsewhere.path(), &world.api_key) {
        Some(core) => assert!(canaries.iter().any(|canary| canary.is_in(&core)), "a core shows nothing"),
        None => skipped("cores", "the kernel writes none into the directory of a program that aborts"),
    }
    // Not SEGV: the runtime takes the first one for a full stack, and looks again.
    for signal in [Signal::ABORT, Signal::QUIT, Signal::ILL] {
        if world.agent.running.is_none() {
            world.agent.start();
            world.agent.ready().await;
        }
        let pid = world.agent.running.as_ref().unwrap().id().unwrap();
        let at = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        let before = cores_in(&at);
        let status = ended_by(&mut world, signal).await;
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        let left: Vec<_> = cores_in(&at).into_iter().filter(|core| !before.contains(core)).collect();
        left.iter().for_each(|core| fs::remove_file(core).unwrap());
        assert!(!status.core_dumped() && left.is_empty(), "{signal:?}: the kernel wrote {left:?}");
        world.files.hold_nowhere(&canaries);
    }
}

#[tokio::test]
async fn an_agent_that_is_told_to_stop_with_a_live_grant_says_no_secret_on_its_way() {
    let mut world = World::ready().await;
    let settled = world.approved(Ask::role("dmitri@example.com", "Manager", 1)).await;
    world.about(&settled, "grant_settled").await;
    let live = world.approved(Ask::role("elif@example.com", "Manager", 300)).await;
    world.about(&live, "granted").await;
    let sync = serde_json::json!({"integration": "main", "job": {"type": "sync"}});
    let job =
        world.sent(ephemerald::sandbox::control_plane::JobSpec { claims: sync, ..Default::default() }).await;
    world.result(&job).await;
    let canaries = world.secrets();
    let status = ended_by(&mut world, Signal::TERM).await;
    assert_eq!(status.code(), Some(0), "{}", world.agent.tail());
    world.logs("stopped; live grants are taken over at the next start").await;
    assert_clean(&outlets::of_an_agent_that_has_ended(&world).await, &canaries);
}
