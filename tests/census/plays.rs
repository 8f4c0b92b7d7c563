//! The plays whose requests are counted. What follows an effect later (settling, watch, observation) is
//! pushed out of its play by the configuration, and has a play of its own.

use std::{fs, time::Duration};

use ephemerald::sandbox::{
    control_plane::{JobSpec, RequestView},
    jumpcloud::{Entry, Event},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    counting::{Calls, count, without},
    process::{PATIENCE, World, asking::Ask},
    table::Row,
};

const READ_WRITE_READ: &str = "1 read of what is there, 1 write, 1 read that proves it";

/// A world with other waiting times (the lines of the configuration to write instead), and what its
/// start took.
async fn world(lines: &[(&str, &str)]) -> (World, Calls) {
    let mut world = World::enrolled().await;
    let mut text = fs::read_to_string(&world.files.config).unwrap();
    for (old, new) in lines {
        assert!(text.contains(old), "{old} is not in the configuration");
        text = text.replace(old, new);
    }
    fs::write(&world.files.config, text).unwrap();
    world.agent.start();
    world.agent.ready().await;
    // A start reads three things, the lists with a look beyond their ends; before they are through, nothing
    // else can be told apart.
    until(&world, |calls| {
        let of = |kind| calls.get(kind).copied().unwrap_or_default();
        of("whose key") >= 1 && of("roles") >= 2 && of("listing") >= 2
    })
    .await;
    let start = count(&world.cloud.log_since(0));
    // That JumpCloud answered does not say that the agent has heard it: a job that comes before asks anew.
    tested(&world).await;
    (world, start)
}

/// Shorter than any grant here, as by default: an ending within the settling time of its grant has one read
/// more, because the first might show what was there before the grant.
const SETTLE: Duration = Duration::from_secs(2);

/// Nothing happens by itself within the time of a test but the look that settles an ending.
const CALM: &[(&str, &str)] = &[
    ("observe_interval = \"1s\"", "observe_interval = \"1h\""),
    ("settle = \"1s\"", "settle = \"2s\""),
    ("watch = [\"2s\", \"3s\"]", "watch = [\"30m\", \"40m\"]"),
];

/// Waits until the requests so far are as wanted.
async fn until(world: &World, wanted: impl Fn(&Calls) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let calls = count(&world.cloud.log_since(0));
        if wanted(&calls) {
            return;
        }
        assert!(Instant::now() < deadline, "JumpCloud was asked for {calls:?} only\n{}", world.agent.tail());
        sleep(Duration::from_millis(20)).await;
    }
}

/// A grant and its end by time: the entries before the end of the grant, and those from then on until
/// the ending is reported.
async fn granted_and_expired(world: &World, ask: Ask) -> (Calls, Calls) {
    let mark = world.cloud.log_end();
    let request = world.approved(ask).await;
    let granted = world.about(&request, "granted").await;
    world.about(&request, "grant_ended").await;
    let entries = world.cloud.log_since(mark);
    let (before, after) = split(&entries, &granted);
    world.about(&request, "grant_settled").await; // whose look belongs to no play here
    (count(before), count(after))
}

fn split<'a>(entries: &'a [Entry], granted: &Value) -> (Vec<&'a Entry>, Vec<&'a Entry>) {
    let ends_at: jiff::Timestamp = granted["ends_at"].as_str().unwrap().parse().unwrap();
    entries.iter().partition(|entry| entry.at_ms < ends_at.as_millisecond())
}

/// What happens between now and the report with this code about the request's grant.
async fn calls_until(world: &World, mark: u64, request: &RequestView, code: &str) -> Calls {
    world.about(request, code).await;
    count(&world.cloud.log_since(mark))
}

/// Every effect, one after the other.
pub(crate) async fn effects() -> Vec<Row> {
    let (world, _) = world(CALM).await;
    let mut rows = ended_by_time(&world).await;
    let asked = ended_by_request(&world).await;
    // A role first, an ephemeral account last.
    rows.splice(2..2, asked);
    rows.extend(without_effect(&world).await);
    rows
}

async fn ended_by_time(world: &World) -> Vec<Row> {
    let (grant, expiry) = granted_and_expired(world, Ask::role("dmitri@example.com", "Manager", 3)).await;
    let ephemeral = Ask::ephemeral("visitor@example.com", "Help Desk", 3);
    let (create, delete) = granted_and_expired(world, ephemeral).await;
    vec![
        Row::of("a grant, to an account named by its address", grant).at_most(3).because(
            "1 read that finds the address (no filter is proven, so a listing: a page for each 100 \
             administrators), 1 write, 1 read that proves it",
        ),
        Row::of("its expiry", expiry).at_most(3).because(READ_WRITE_READ),
        Row::of("an ephemeral account, created", create)
            .at_most(3)
            .because("1 listing that shows the address free, 1 write, 1 read that proves it"),
        Row::of("its deletion at the end", delete)
            .at_most(3)
            .because("1 write and 2 complete listings that agree: a 404 alone proves nothing"),
    ]
}

async fn ended_by_request(world: &World) -> Vec<Row> {
    let request = world.approved(Ask::role("elif@example.com", "Manager", 300)).await;
    let granted = world.about(&request, "granted").await;
    let grant = granted["grant_id"].as_str().unwrap();

    let mark = world.cloud.log_end();
    let covered = world.approved(Ask::role("elif@example.com", "Help Desk", 300)).await;
    let covered = calls_until(world, mark, &covered, "already_granted").await;

    let mark = world.cloud.log_end();
    let job = world.sent(extension(grant)).await;
    assert_eq!(world.result(&job).await["code"], "extended");
    let extended = count(&world.cloud.log_since(mark));

    let at: jiff::Timestamp = granted["at"].as_str().unwrap().parse().unwrap();
    world.until_past(&(at + SETTLE).to_string()).await;
    let mark = world.cloud.log_end();
    world.operator.revoke(&request.number, None).await.unwrap();
    let revoked = calls_until(world, mark, &request, "grant_ended").await;
    world.about(&request, "grant_settled").await;
    vec![
        Row::of("an early revoke", revoked).at_most(3).because(READ_WRITE_READ),
        Row::of("an extension", extended).at_most(0).because("nothing: the access is there"),
        Row::of("a grant of a role that the account has by itself", covered)
            .at_most(1)
            .because("1 read that shows it"),
    ]
}

async fn without_effect(world: &World) -> Vec<Row> {
    let mark = world.cloud.log_end();
    let job = world.sent(plain("sync")).await;
    assert_eq!(world.result(&job).await["code"], "synced");
    let synced = count(&world.cloud.log_since(mark));

    let mark = world.cloud.log_end();
    tested(world).await;
    let test = count(&world.cloud.log_since(mark));

    let mark = world.cloud.log_end();
    assert_eq!(world.agent.command(&["check"]).await.code, Some(0));
    let checked = count(&world.cloud.log_since(mark));
    vec![
        Row::of("a `sync` job", synced).at_most(3).because(
            "1 read of each thing in the inventory, begun after the job came: whose key it is, the roles, \
             the administrators (a page for each 100)",
        ),
        Row::of("a `test` job", test).at_most(3).because("1 read of each thing that is tested"),
        Row::of("`ephemerald check`", checked).at_most(5).because("1 read of each thing that is checked"),
    ]
}

/// A job that says no more than its type.
fn plain(kind: &str) -> JobSpec {
    JobSpec { claims: json!({"integration": "main", "job": {"type": kind}}), ..JobSpec::default() }
}

async fn tested(world: &World) {
    let job = world.sent(plain("test")).await;
    assert_eq!(world.result(&job).await["code"], "tested");
}

fn extension(grant: &str) -> JobSpec {
    let request = json!({
        "number": "AR-2", "requester": "visitor@example.com",
        "approvers": ["boss@example.com"], "justification": "a census",
    });
    let job = json!({"type": "extend", "grant_id": grant, "duration_s": 600, "request": request});
    JobSpec { claims: json!({"integration": "main", "job": job}), ..JobSpec::default() }
}

/// The start, and what an interval of observation costs with and without a live grant. An interval of a
/// second stands for the minute that is the default.
pub(crate) async fn quiet() -> Vec<Row> {
    let (world, start) = world(&[]).await;
    let mark = world.cloud.log_end();
    // Three intervals in which nothing may happen: there is no condition to wait for.
    sleep(Duration::from_secs(3)).await;
    let idle = count(&world.cloud.log_since(mark));

    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 300)).await;
    world.about(&request, "granted").await;
    let mark = world.cloud.log_end();
    let listings = |entries: &[Entry]| -> Vec<usize> {
        let listing = |(_, entry): &(usize, &Entry)| count([*entry]).contains_key("listing");
        entries.iter().enumerate().filter(listing).map(|(at, _)| at).collect()
    };
    let before = count(&world.cloud.log_since(0))["listing"];
    until(&world, |calls| calls["listing"] >= before + 4).await;
    let entries = world.cloud.log_since(mark);
    let seen = listings(&entries);
    let three = count(&entries[seen[0]..seen[3]]);
    assert!(three.values().all(|count| count % 3 == 0), "no regular interval: {three:?}");
    let live = three.into_iter().map(|(kind, count)| (kind, count / 3)).collect();

    vec![
        Row::of("a start", start).because(
            "whose key it is, which organization and roles there are, who is there (each list with a look beyond its end): all that a raise must know",
        ),
        Row::of("an interval of observation (1 minute), nobody has access", idle)
            .because("nothing is owed to anybody; where the policy allows ephemeral accounts, one listing in ten minutes looks for orphans"),
        Row::of("an interval of observation, somebody has access", live)
            .because("one listing for all accounts together, a page for each 100 administrators"),
    ]
}

/// What follows an ending: the second look that settles it, and the watch of three looks, as many as by
/// default.
pub(crate) async fn afterwards() -> Vec<Row> {
    let lines = [
        ("observe_interval = \"1s\"", "observe_interval = \"1h\""),
        ("watch = [\"2s\", \"3s\"]", "watch = [\"3s\", \"5s\", \"7s\"]"),
    ];
    let (world, _) = world(&lines).await;
    let mut rows = Vec::new();
    for (what, ask, ending) in [
        ("after a role was taken back: settling and watch", Ask::role("dmitri@example.com", "Manager", 2), 3),
        (
            "after an ephemeral account was deleted: settling and watch",
            Ask::ephemeral("visitor@example.com", "Help Desk", 2),
            3,
        ),
    ] {
        let mark = world.cloud.log_end();
        let closed = world.files.log_text().matches("\"account_closed\"").count();
        let request = world.approved(ask).await;
        let granted = world.about(&request, "granted").await;
        world.about(&request, "grant_settled").await;
        let deadline = Instant::now() + PATIENCE;
        while world.files.log_text().matches("\"account_closed\"").count() == closed {
            assert!(Instant::now() < deadline, "the watch does not end\n{}", world.agent.tail());
            sleep(Duration::from_millis(50)).await;
        }
        let entries = world.cloud.log_since(mark);
        let (_, mut after) = split(&entries, &granted);
        after.retain(|entry| matches!(entry.event, Event::Request(_)));
        let ended = count(after.iter().copied().take(ending));
        let minimum = "nothing is due: a late request, or a stale read, would show here";
        rows.push(Row::of(what, without(&count(after), &ended)).because(minimum));
    }
    rows
}
