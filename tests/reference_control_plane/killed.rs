//! A control plane in a process of its own, killed with SIGKILL.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use ephemerald::sandbox::control_plane::{Operator, RequestState, run};

use crate::bench::{Agent, Plane, approved, result};

const DATA: &str = "EPHEMERALD_TEST_CONTROL_PLANE_DATA";

/// Not a test: the process that the test below kills.
#[tokio::test]
#[ignore = "started by a_killed_control_plane_forgets_nothing_that_it_answered"]
async fn control_plane_process() {
    let Ok(data) = env::var(DATA) else { return };
    let running = run(Plane::options(Path::new(&data)), std::future::pending()).await.unwrap();
    println!("\nREADY");
    running.done.await.unwrap().unwrap();
}

/// Kills its process when dropped, so that a failing test leaves nothing behind.
struct Process(Child);

impl Process {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed::control_plane_process", "--ignored", "--nocapture"])
            .env(DATA, data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "READY"), "it did not start");
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_killed_control_plane_forgets_nothing_that_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    let operator = Operator::of_data_dir(dir.path()).unwrap();
    let agent = Agent::at(&operator, dir.path()).await;
    let number = approved(&operator).await;
    let first = agent.acquire(0, &[]).await;
    let tested = result(3, "other", "other", "tested");
    assert_eq!(agent.report(&[&tested]).await, [3]);
    drop(process);

    let _process = Process::start(dir.path());
    let operator = Operator::of_data_dir(dir.path()).unwrap();
    let agent = agent.moved(&operator);
    assert_eq!(operator.show(&number).await.unwrap().state, RequestState::Leased);
    assert_eq!(agent.heartbeat(first[0]["job_id"].as_str().unwrap()).await.unwrap()["cancelled"], false);
    assert_eq!(agent.report(&[&tested]).await, [3]);
    assert_eq!(operator.results().await.unwrap()[0].repeats, 1);
}
