//! What a killed agent was doing, by what it left behind.
//!
//! The ledger is read from a copy: opening the real one would repair it and hide what the next start
//! must cope with. What the ledger says of a grant is held against what JumpCloud shows of its account: the
//! difference is what was under way. A record that was logged and is not in the ledger was on its way to
//! the disk, and a process that the shim killed at a change of the ledger's files died inside a commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
};

use ephemerald::{
    engine::{
        account::{AccountRef, Effect},
        grant::Terms,
        ids::GrantId,
        record::Record,
    },
    sandbox::jumpcloud::State,
};
use rusqlite::{Connection, OpenFlags};

use super::{moment::Moment, oracle};
use crate::process::{Files, World};

/// What a kill can fall into, and how often it must in a run of 64.
const ROWS: [(&str, u32); 16] = [
    ("while the ledger was opened", 3),
    ("inside a commit", 5),
    ("a job was handed out and not in the ledger", 3),
    ("a grant was accepted and not carried out", 3),
    ("a raise was carried out and not known", 3),
    ("a raise was answered and not read back", 2),
    ("a grant was live", 10),
    ("a grant was ending and still there", 5),
    ("a grant was taken away and not read back", 2),
    ("a grant was settling", 5),
    ("a grant was watched", 5),
    ("a report was not acknowledged", 5),
    ("a report had arrived and was not known to", 1),
    ("an ephemeral account was being made", 1),
    ("an ephemeral account was being deleted", 1),
    ("nothing was under way", 0),
];

/// How often a kill fell into what.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) kills: u32,
    rows: BTreeMap<&'static str, u32>,
}

/// How one process died.
pub(crate) struct Death {
    pub(crate) moment: Moment,
    /// The shim killed it.
    pub(crate) struck: bool,
    /// The last record that it logged.
    pub(crate) logged: u64,
    /// Starts in the ledger before this process.
    pub(crate) starts: usize,
}

impl Table {
    /// Looks at what one kill left. How many starts are in the ledger now.
    pub(crate) async fn add(&mut self, world: &World, death: &Death) -> usize {
        let left = Left::read(&world.files);
        let mut fell = left.states(&world.cloud.state());
        let head = left.records.last().map_or(0, |(seq, _)| *seq);
        let starts = left.starts();
        if matches!(death.moment, Moment::Opening(_)) && death.struck && starts == death.starts {
            fell.insert(ROWS[0].0);
        } else if death.struck || death.logged > head {
            fell.insert(ROWS[1].0);
        }
        if left.misses_a_job(world).await {
            fell.insert(ROWS[2].0);
        }
        if !left.outbox.is_empty() {
            fell.insert(ROWS[11].0);
            let arrived = world.operator.results().await.unwrap();
            if arrived.iter().any(|view| left.outbox.contains(&view.seq)) {
                fell.insert(ROWS[12].0);
            }
        }
        if fell.is_empty() {
            fell.insert(ROWS[15].0);
        }
        self.kills += 1;
        for row in fell {
            *self.rows.entry(row).or_default() += 1;
        }
        starts
    }

    /// What no kill, or too few, fell into.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        let least = |quota: u32| quota * self.kills / 64;
        let count = |row| self.rows.get(row).copied().unwrap_or(0);
        ROWS.iter().filter(|(row, quota)| count(row) < least(*quota)).map(|(row, _)| *row).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<46} {:>5}", "kills", self.kills)?;
        ROWS.iter().try_for_each(|(row, _)| {
            writeln!(f, "  {row:<44} {:>5}", self.rows.get(row).copied().unwrap_or(0))
        })
    }
}

/// A ledger as a kill left it.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) records: Vec<(u64, Record)>,
    jobs: BTreeSet<String>,
    outbox: BTreeSet<i64>,
}

/// Where a grant stands by the records.
enum Stand {
    Applying { answered: bool },
    Live,
    Ending,
    Settling,
    Watched,
}

impl Left {
    /// Everything that is durable.
    pub(crate) fn read(files: &Files) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for name in ["ledger.db", "ledger.db-wal"] {
            let from = files.state.join(name);
            if from.exists() {
                fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let file = copy.path().join("ledger.db");
        if !file.exists() {
            return Self::default();
        }
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let mut select = db.prepare("SELECT seq, body FROM journal ORDER BY seq").unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let rows = select.query_map([], row).unwrap().map(Result::unwrap);
        let records: Vec<(u64, Record)> =
            rows.map(|(seq, body)| (seq, serde_json::from_slice(&body).unwrap())).collect();
        let mut outbox = db.prepare("SELECT seq FROM outbox").unwrap();
        let outbox = outbox.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut jobs = db.prepare("SELECT job_id FROM seen").unwrap();
        let jobs: BTreeSet<String> =
            jobs.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let taken = records.iter().filter_map(|(_, record)| match record {
            Record::JobEvidence { job, .. } => Some(job.to_string()),
            _ => None,
        });
        let jobs = jobs.into_iter().chain(taken).collect();
        Self { records, jobs, outbox }
    }

    /// How often an agent has taken this ledger over.
    pub(crate) fn starts(&self) -> usize {
        self.records.iter().filter(|(_, record)| matches!(record, Record::AgentStarted { .. })).count()
    }

    async fn misses_a_job(&self, world: &World) -> bool {
        let requests = world.operator.requests().await.unwrap();
        let results = oracle::results(world).await;
        oracle::silent_jobs(&requests, &results, true).iter().any(|job| !self.jobs.contains(job))
    }

    fn states(&self, cloud: &State) -> BTreeSet<&'static str> {
        let mut grants: BTreeMap<&GrantId, Held<'_>> = BTreeMap::new();
        let mut writes: BTreeMap<&AccountRef, &Effect> = BTreeMap::new();
        for (_, record) in &self.records {
            match record {
                // Each start begins anew: only what the killed process did was under way.
                Record::AgentStarted { .. } => writes.clear(),
                Record::AttemptStarted { at, attempt } => drop(writes.insert(at, &attempt.effect)),
                Record::AttemptEnded { at, .. } => {
                    writes.remove(at);
                    for held in grants.values_mut().filter(|held| held.terms.account == at.account) {
                        held.stand.answered();
                    }
                }
                Record::GrantAccepted(terms) => {
                    grants.insert(&terms.grant, Held { terms, stand: Stand::Applying { answered: false } });
                }
                Record::GrantClosed { about } => {
                    grants.remove(&about.grant);
                }
                _ => {
                    if let Some((grant, stand)) = moved(record)
                        && let Some(held) = grants.get_mut(grant)
                    {
                        held.stand = stand;
                    }
                }
            }
        }
        let ephemeral = writes.values().filter_map(|effect| match effect {
            Effect::Create { .. } => Some(ROWS[13].0),
            Effect::Delete => Some(ROWS[14].0),
            _ => None,
        });
        grants.values().map(|held| held.row(cloud)).chain(ephemeral).collect()
    }
}

/// An open grant.
struct Held<'a> {
    terms: &'a Terms,
    stand: Stand,
}

impl Stand {
    fn answered(&mut self) {
        if let Self::Applying { answered } = self {
            *answered = true;
        }
    }
}

/// Where a grant stands after this record.
fn moved(record: &Record) -> Option<(&GrantId, Stand)> {
    Some(match record {
        Record::GrantActive(active) => (&active.about.grant, Stand::Live),
        Record::GrantEnding(ending) => (&ending.about.grant, Stand::Ending),
        Record::GrantReappeared { about, .. } => (&about.grant, Stand::Ending),
        Record::GrantGone(gone) => (&gone.about.grant, Stand::Settling),
        Record::GrantSettled { about, .. } => (&about.grant, Stand::Watched),
        _ => return None,
    })
}

impl Held<'_> {
    /// Its row, by what JumpCloud shows.
    fn row(&self, cloud: &State) -> &'static str {
        let (email, role) = (self.terms.email.as_str(), self.terms.role.as_str());
        let mut accounts = cloud.accounts.iter();
        let there = accounts.any(|a| a.email == email && a.roles.iter().any(|r| r == role));
        ROWS[match self.stand {
            Stand::Applying { answered: false } if there => 4,
            Stand::Applying { answered: false } => 3,
            Stand::Applying { answered: true } => 5,
            Stand::Live => 6,
            Stand::Ending if there => 7,
            Stand::Ending => 8,
            Stand::Settling => 9,
            Stand::Watched => 10,
        }]
        .0
    }
}
