//! The process told to stop, or standing still, at each point of a grant's life.

use std::time::Duration;

use ephemerald::sandbox::{control_plane::RequestView, jumpcloud::Rule};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    machine::Machine,
    preload::sort,
    process::{World, asking::Ask},
};

const WHO: &str = "amara@example.com";

#[tokio::test]
async fn a_process_that_stood_still_over_an_end_takes_the_access_away_at_once_and_once() {
    let machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 3)).await;
    let granted = machine.world.about(&request, "granted").await;

    machine.signal(Signal::STOP);
    machine.stands_still().await;
    let end: jiff::Timestamp = granted["ends_at"].as_str().unwrap().parse().unwrap();
    machine.world.until_past(&(end + Duration::from_secs(4)).to_string()).await;
    machine.world.sees(WHO, Some("Help Desk")).await;
    machine.signal(Signal::CONT);

    machine.world.sees(WHO, Some("Read Only")).await;
    let ended = machine.ended_once(&request).await;
    assert_eq!(ended["reason"], "expired");
    let late = ended["evidence"]["lateness_ms"].as_u64().unwrap();
    assert!(late >= 4_000, "lateness is honest: {late}");
    machine.world.about(&request, "grant_settled").await;
    assert_eq!(machine.writes_to(WHO), 2, "given once, taken once");
}

#[tokio::test]
async fn t9_a_raise_whose_process_stood_still_between_its_commit_and_its_sending_is_not_sent() {
    // Beyond the time that a raise may take in all.
    let (machine, request) = stood_still_after_the_commit(12).await;
    let job = request.job_id.clone().unwrap().to_string();
    let result = machine.world.result(&job).await;
    assert_eq!(result["code"], "failed", "{result}");
    assert_eq!(machine.world.writes(), 0, "it was not sent, and nothing else was");

    let again = machine.world.approved(Ask::role(WHO, "Help Desk", 2)).await;
    machine.ended_once(&again).await;
    assert_eq!(machine.writes_to(WHO), 2);
}

#[tokio::test]
async fn a_raise_whose_moment_to_be_sent_has_passed_is_committed_anew_while_its_time_lasts() {
    let (machine, request) = stood_still_after_the_commit(6).await;
    let granted = machine.world.about(&request, "granted").await;
    assert_eq!(granted["evidence"]["attempts"], 2, "{granted}");
    assert_eq!(machine.writes_to(WHO), 1, "the first one was not sent");
    machine.world.operator.revoke(&request.number, None).await.unwrap();
    machine.ended_once(&request).await;
    assert_eq!(machine.writes_to(WHO), 2, "given once, taken once");
}

/// A raise may be sent up to five seconds after its commit (`timing` has no key for it) and must be there
/// after ten (`raise_timeout` of these files).
async fn stood_still_after_the_commit(seconds: u64) -> (Machine, RequestView) {
    let machine = Machine::ready().await;
    // Each commit stops it, until it is the one that holds the raise.
    machine.orders.strike(1, sort::SYNC, Signal::STOP, true);
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 300)).await;
    machine.stands_still().await;
    while !machine.world.files.log_text().contains("\"kind\":\"attempt_started\",\"raise\":true") {
        machine.orders.strike(1, sort::SYNC, Signal::STOP, true);
        machine.signal(Signal::CONT);
        machine.stands_still().await;
    }
    machine.orders.calm();
    assert_eq!(machine.world.writes(), 0, "it stands still before the raise is sent");
    let committed = jiff::Timestamp::now();
    machine.world.until_past(&(committed + Duration::from_secs(seconds)).to_string()).await;
    machine.signal(Signal::CONT);
    machine.world.logs("\"attempt\":1,\"end\":\"NotDone").await;
    (machine, request)
}

/// Where a grant stands when the process is told to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    Waiting,
    Raising,
    Live,
    Ending,
    Settling,
}

#[tokio::test]
async fn told_to_stop_while_a_job_waits_it_does_it_after_the_next_start() {
    told_to_stop_at(Point::Waiting).await;
}

#[tokio::test]
async fn told_to_stop_while_it_raises_it_records_the_answer_and_ends_the_grant_later() {
    told_to_stop_at(Point::Raising).await;
}

#[tokio::test]
async fn told_to_stop_while_a_grant_is_live_it_takes_nothing_away_and_does_so_when_it_is_due() {
    told_to_stop_at(Point::Live).await;
}

#[tokio::test]
async fn told_to_stop_while_it_takes_access_away_it_records_the_answer_first() {
    told_to_stop_at(Point::Ending).await;
}

#[tokio::test]
async fn told_to_stop_while_an_ending_settles_the_next_start_settles_it() {
    told_to_stop_at(Point::Settling).await;
}

async fn told_to_stop_at(point: Point) {
    let mut machine = Machine::ready().await;
    machine.world.cloud.set_faults(slow(if point == Point::Waiting { "GET" } else { "PUT" }), 1);
    let seconds = if matches!(point, Point::Ending | Point::Settling) { 4 } else { 10 };
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", seconds)).await;
    match point {
        Point::Waiting => machine.world.leased(&request).await,
        Point::Raising => machine.world.logs("\"kind\":\"attempt_started\",\"raise\":true").await,
        Point::Live => drop(machine.world.about(&request, "granted").await),
        Point::Ending => machine.world.logs("\"kind\":\"attempt_started\",\"raise\":false").await,
        Point::Settling => machine.world.logs("\"kind\":\"grant_gone\"").await,
    }
    machine.signal(Signal::TERM);

    assert_eq!(machine.ends().await, Some(0), "{}", machine.world.agent.tail());
    let said = machine.world.files.log_text();
    assert!(said.contains("stopped; live grants are taken over at the next start"), "{said}");
    let count = |kind: &str| said.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert_eq!(count("attempt_started"), count("attempt_ended"), "no write is left in doubt");
    if point == Point::Live {
        machine.world.sees(WHO, Some("Help Desk")).await;
    }
    machine.verifies().await;

    machine.world.agent.start();
    machine.ended_once(&request).await;
    machine.world.sees(WHO, Some("Read Only")).await;
    machine.world.about(&request, "grant_settled").await;
    assert_eq!(machine.writes_to(WHO), 2, "given once, taken once");
}

#[tokio::test]
async fn told_twice_it_ends_at_once_and_the_next_start_finds_out_what_became_of_the_raise() {
    let mut machine = Machine::ready().await;
    machine.world.cloud.set_faults(slow("PUT"), 1);
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 20)).await;
    machine.world.logs("\"kind\":\"attempt_started\",\"raise\":true").await;
    machine.signal(Signal::TERM);
    machine.world.logs("stopping: no new jobs").await;
    machine.signal(Signal::TERM);
    assert_eq!(machine.ends().await, Some(1), "{}", machine.world.agent.tail());

    machine.world.agent.start();
    let job = request.job_id.clone().unwrap().to_string();
    machine.world.result(&job).await;
    machine.world.about(&request, "grant_settled").await;
    machine.world.sees(WHO, Some("Read Only")).await;
    assert_eq!(machine.world.results_of(&request).await.len(), 1, "one job, one result");
    assert!(machine.spans(WHO).len() <= 1, "given at most once");
}

/// Requests of this method take a second and a half.
fn slow(method: &str) -> Vec<Rule> {
    let rule = json!({"method": method, "delay_ms": 1500, "fault": {"kind": "latency"}});
    vec![serde_json::from_value(rule).unwrap()]
}

/// Told to stop at any moment, five times over, under one live grant after the other.
#[tokio::test]
async fn told_to_stop_again_and_again_it_ends_everything_once() {
    let mut machine = Machine::on(World::enrolled().await).await;
    let mut requests = Vec::new();
    for (number, who) in ["amara", "bruno", "chiara"].iter().enumerate() {
        let who = format!("{who}@example.com");
        requests.push(machine.world.approved(Ask::role(&who, "Help Desk", 3 + number as u64)).await);
    }
    for number in 0..6 {
        machine
            .world
            .until_past(&(jiff::Timestamp::now() + Duration::from_millis(170 * number)).to_string())
            .await;
        machine.signal(Signal::TERM);
        assert_eq!(machine.ends().await, Some(0), "{}", machine.world.agent.tail());
        machine.world.agent.start();
        machine.world.agent.ready().await;
    }
    for (request, who) in requests.iter().zip(["amara", "bruno", "chiara"]) {
        machine.world.about(request, "grant_settled").await;
        assert_eq!(machine.world.results_of(request).await.len(), 1, "one job, one result");
        let who = format!("{who}@example.com");
        machine.world.sees(&who, Some("Read Only")).await;
        assert!(machine.spans(&who).len() <= 1, "given at most once");
    }
    machine.verifies().await;
}
