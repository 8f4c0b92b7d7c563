//! Rows of the ledger: each line of the input is the body of a stored row, or after `open ` what is kept of
//! a stream for its revocation. They are folded, an engine starts on what came out, JumpCloud answers it,
//! and time passes.
//!
//! Refuses a raise, whatever the rows say: a raise comes from a verified job, and a row is none. Refuses a
//! row that is dropped in silence, and a record that is stored otherwise than it is read.

use std::collections::VecDeque;

use ephemerald::{
    engine::{
        Engine,
        action::{Action, Look, Read, Step},
        ids::{AccountId, Email, IntegrationId, OrgId, RoleName},
        input::{Input, Outcome},
        observed::{DiscoveredRole, Listing, ObservedAccount, WhoAmI},
        policy::Policy,
        record::Record,
        settings::{IntegrationSettings, RoleMode, Settings, Timing},
        state::State,
        time::{BootId, BootTime, Millis, Now, Timestamp},
    },
    ledger::{Head, Loaded, Open, OpenStream, Opened, Seq, StoredRow, codec},
};

const BEGAN: i64 = 1_790_000_000_000;
/// More rows than any stream has, and few enough for a fuzzer.
const MOST_ROWS: usize = 64;
/// How often the engine is heard after its start.
const TURNS: usize = 48;

/// Reads rows and lets an engine live on them.
pub fn rows(data: &[u8]) {
    let loaded = loaded(data);
    let opened = opened(&loaded);
    for row in &loaded.rows {
        if let Ok(record) = codec::record(row) {
            stored_again_it_is_the_same(&record);
        }
    }
    let (restored, unreadable) = codec::restore(&loaded, &opened);
    let bad = loaded.rows.iter().filter(|row| codec::record(row).is_err()).map(|row| row.seq);
    assert!(bad.eq(unreadable.iter().copied()), "a row was dropped in silence");
    let mut state = restored.state.clone();
    // Two seconds after the kept grants were accepted, in the same boot or in the next one.
    let boot_id = BootId(1 + u64::from(data.len() % 2 == 1));
    let now = Now { wall: Timestamp(BEGAN + 3_000), boot: BootTime(1_003_000), boot_id };
    let (engine, step) = Engine::new(settings(), restored, 7, now);
    let mut life = Life { engine, now, state: &mut state, todo: VecDeque::new() };
    life.take(step);
    life.hear(Input::Policy(Some(Box::new(generous()))));
    for _ in 0..TURNS {
        life.turn();
    }
}

fn loaded(data: &[u8]) -> Loaded {
    let mut loaded = Loaded::default();
    for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(MOST_ROWS) {
        if let Some(prefix) = line.strip_prefix(b"open ") {
            let entry = Open { account: None, ends_at: None, revoke: Some(prefix.to_vec()) };
            let stream = format!("grant/{}", loaded.open.len());
            loaded.open.push(OpenStream { stream, snapshot: Seq(1), entry, intact: true });
            continue;
        }
        let number = loaded.rows.len() + 1;
        let (seq, at) = (Seq(number as u64), BEGAN + number as i64 * 10);
        let record: Option<Record> = serde_json::from_slice(line).ok();
        let stream = record.as_ref().map_or_else(|| "grant/unreadable".to_owned(), Record::stream);
        let kind = record.as_ref().map_or("unreadable", Record::kind).to_owned();
        loaded.rows.push(StoredRow { seq, stream, at, kind, body: line.to_vec(), hash: [0; 32] });
    }
    loaded
}

fn opened(loaded: &Loaded) -> Opened {
    let last = loaded.rows.last();
    Opened {
        created: false,
        created_at: BEGAN,
        ledger_id: "0".repeat(32),
        head: Head { seq: last.map_or(Seq(0), |row| row.seq), hash: [0; 32] },
        newest_at: last.map_or(BEGAN, |row| row.at),
        replaces: None,
        restored_at: None,
        acknowledged: None,
        is_behind: false,
        quarantined: Vec::new(),
        unproven: vec![],
        ballast: true,
    }
}

fn stored_again_it_is_the_same(record: &Record) {
    let body = serde_json::to_vec(record).expect("a record serialises");
    let again: Record = serde_json::from_slice(&body).expect("what was written can be read");
    assert_eq!(&again, record, "stored otherwise than it was read");
}

/// An engine, and everything it asks for.
struct Life<'a> {
    engine: Engine,
    now: Now,
    /// The fold of what it started on and of what it wrote.
    state: &'a mut State,
    todo: VecDeque<Input>,
}

impl Life<'_> {
    /// The next answer, or the next time that something is due.
    fn turn(&mut self) {
        let input = self.todo.pop_front().unwrap_or(Input::Tick);
        if matches!(input, Input::Tick) {
            let next = self.engine.next_wake().unwrap_or(self.now.boot + Millis(60_000));
            self.wait(next.since(self.now.boot).0.clamp(1, 86_400_000));
        } else {
            self.wait(40);
        }
        self.hear(input);
    }

    fn wait(&mut self, ms: u64) {
        self.now.wall = self.now.wall + Millis(ms);
        self.now.boot = self.now.boot + Millis(ms);
    }

    fn hear(&mut self, input: Input) {
        let step = self.engine.handle(self.now, input);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        assert!(step.raises.is_empty(), "rows became a raise: {:?}", step.raises);
        for entry in &step.records {
            self.state.apply(entry.seq, entry.at, &entry.record);
            stored_again_it_is_the_same(&entry.record);
            let row = codec::row(entry, self.state);
            assert_eq!(row.stream, entry.record.stream());
        }
        if let Some(last) = step.records.last() {
            self.todo.push_back(Input::Durable(last.seq));
        }
        for action in step.actions {
            match action {
                Action::Read(read) => self.todo.push_back(answer(&read)),
                Action::Lower(lower) => {
                    self.todo.push_back(Input::Outcome(lower.call(), Outcome::Written(Ok(()))));
                }
                Action::Inventory(_) | Action::Requeue(_) | Action::Warn(_) => {}
            }
        }
    }
}

fn answer(read: &Read) -> Input {
    let outcome = match &read.what {
        Look::WhoAmI => {
            Outcome::WhoAmI(Ok(WhoAmI { account: None, email: None, role: None, org: Some(org()) }))
        }
        Look::Roles => Outcome::Roles(Ok(["Read Only", "Help Desk", "Manager"].map(discovered).to_vec())),
        Look::List => Outcome::List(Ok(Listing {
            accounts: vec![account(&id("00000000000000000000a003"))],
            complete: true,
            org: Some(org()),
            tagged: Vec::new(),
            requests: 1,
            throttled: false,
        })),
        Look::Get(id) => Outcome::Get(Ok(account(id))),
    };
    Input::Outcome(read.call, outcome)
}

fn account(id: &AccountId) -> ObservedAccount {
    ObservedAccount {
        id: id.clone(),
        email: Email::new("ada@example.com").expect("a plain address"),
        org: Some(org()),
        suspended: false,
        roles: vec![role("Read Only")],
        plural: false,
        mfa_required: Some(true),
        mfa_enrolled: Some(true),
        api_key_allowed: Some(false),
    }
}

fn discovered(name: &str) -> DiscoveredRole {
    let scopes = ["read", "help", "manage"].iter().take(name.len() % 3 + 1);
    DiscoveredRole { name: role(name), scopes: Some(scopes.map(|scope| (*scope).to_owned()).collect()) }
}

/// Lets everything in: if nothing is raised, then not because of the policy.
fn generous() -> Policy {
    let roles = ["Help Desk", "Manager"].map(|name| (role(name), Millis(86_400_000)));
    Policy { hash: "0".repeat(64), roles: roles.into(), ..Policy::default() }
}

fn settings() -> Settings {
    let integration = IntegrationSettings {
        id: IntegrationId::new("jc").expect("a plain name"),
        role_mode: RoleMode::Single,
        role_order: Vec::new(),
        floor_role: role("Read Only"),
        exclude_accounts: Vec::new(),
        offered_roles: None,
        email_template: None,
        observe_interval: Millis(60_000),
        rate_per_second: 10,
    };
    Settings { integrations: vec![integration], timing: Timing::default() }
}

fn role(name: &str) -> RoleName {
    RoleName::new(name).expect("a plain name")
}

fn id(text: &str) -> AccountId {
    AccountId::new(text).expect("a plain id")
}

fn org() -> OrgId {
    OrgId::new("5f0000000000000000000001").expect("a plain id")
}
