//! `audit export`: records of the journal, one line of JSON each, with what their verification needs.
//!
//! Refuses nothing of what is stored: a row that does not fit the chain is exported as it is, and does not
//! verify.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    failure, journal,
    line::{End, FORMAT, Header, Record},
};
use crate::{
    cli::{Exit, Failure, output},
    clock,
    config::Config,
    ledger::{
        StoredRow,
        export::{JournalFile, genesis},
    },
};

/// Which records. Without a filter: all.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Args {
    /// From this time on: RFC 3339, or how long ago ("36h")
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<i64>,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<i64>,
    /// Only this kind of record; may be said several times
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only records about this grant
    #[arg(long, value_name = "GRANT")]
    grant: Option<String>,
    /// Only records about this account: its address or JumpCloud's id
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only records about this job
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Also a line without its body for each record left out: the whole chain can be verified then
    #[arg(long)]
    with_chain: bool,
}

/// Prints them.
pub(super) fn run(config: &Config, args: &Args) -> Result<Exit, Failure> {
    let file = JournalFile::open(&journal(config)?).map_err(failure)?;
    let header =
        Header { export: FORMAT.to_owned(), ledger_id: file.ledger_id.clone(), filtered: args.is_filter() };
    output::json_line(&header)?;
    let mut head = genesis(&file.ledger_id);
    let mut filter = Filter { args, keys: HashSet::new() };
    let (mut records, mut printed) = (0, Ok(()));
    file.each(|row| {
        let wanted = filter.takes(&row);
        let (prev, next) = (head.hash, (row.seq, row.hash));
        if wanted || args.with_chain {
            records += 1;
            printed = output::json_line(&Record::of(row, &prev, wanted));
        }
        (head.seq, head.hash) = next;
        printed.is_ok()
    })
    .map_err(failure)?;
    printed?;
    output::json_line(&End { end: head.seq.0, hash: super::hex(&head.hash), records })?;
    Ok(Exit::Done)
}

impl Args {
    fn is_filter(&self) -> bool {
        self.since.is_some()
            || self.until.is_some()
            || !self.kind.is_empty()
            || self.grant.is_some()
            || self.account.is_some()
            || self.job.is_some()
    }
}

/// Takes rows in the journal's order: an account's later records name it by a key that an earlier one
/// ties to its address.
struct Filter<'a> {
    args: &'a Args,
    keys: HashSet<String>,
}

impl Filter<'_> {
    fn takes(&mut self, row: &StoredRow) -> bool {
        let args = self.args;
        let body: Value = serde_json::from_slice(&row.body).unwrap_or_default();
        let is = |key: &str, wanted: &str| body[key].as_str() == Some(wanted);
        let about_account = args.account.as_ref().is_none_or(|account| self.is_about(&body, account));
        about_account
            && args.since.is_none_or(|since| row.at >= since)
            && args.until.is_none_or(|until| row.at <= until)
            && (args.kind.is_empty() || args.kind.contains(&row.kind))
            && args.grant.as_ref().is_none_or(|grant| is("grant", grant))
            && args.job.as_ref().is_none_or(|job| is("job", job) || is("grant_job", job))
    }

    fn is_about(&mut self, body: &Value, account: &str) -> bool {
        // In the records of an account it is `at`, in those of a grant the terms name it.
        let key = [&body["at"]["account"], &body["account"]].into_iter().find_map(key_of);
        let named = body["email"].as_str().is_some_and(|email| email.eq_ignore_ascii_case(account))
            || key.as_ref().is_some_and(|key| key.eq_ignore_ascii_case(account));
        if named {
            self.keys.extend(key);
            return true;
        }
        key.is_some_and(|key| self.keys.contains(&key))
    }
}

/// An account's id or tagged address.
fn key_of(account: &Value) -> Option<String> {
    let of_kind = account["standing"].as_str().or_else(|| account["ephemeral"].as_str());
    of_kind.or_else(|| account.as_str()).map(str::to_owned)
}

/// UTC milliseconds from RFC 3339 or from how long ago it was.
fn instant(text: &str) -> Result<i64, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let ago = humantime::parse_duration(text)
        .map_err(|_| "expected RFC 3339, such as 2026-11-25T21:00:00Z, or how long ago, such as 36h")?;
    let ago = i64::try_from(ago.as_millis()).map_err(|_| "that long ago there was no journal")?;
    Ok(clock::now().wall.0.saturating_sub(ago))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Seq;

    fn row(kind: &str, body: &str) -> StoredRow {
        let (stream, kind, body) = (String::new(), kind.to_owned(), body.as_bytes().to_vec());
        StoredRow { seq: Seq(1), stream, at: 1_000, kind, body, hash: [0; 32] }
    }

    fn taken(args: &Args, rows: &[StoredRow]) -> Vec<String> {
        let mut filter = Filter { args, keys: HashSet::new() };
        rows.iter().filter(|row| filter.takes(row)).map(|row| row.kind.clone()).collect()
    }

    #[test]
    fn an_account_is_found_by_its_address_also_where_a_record_names_it_by_its_id_only() {
        let rows = [
            row(
                "a",
                r#"{"at":{"integration":"jc","account":{"standing":"5f01"}},"email":"Ada@example.com"}"#,
            ),
            row("b", r#"{"at":{"integration":"jc","account":{"standing":"5f01"}},"n":1}"#),
            row("c", r#"{"at":{"integration":"jc","account":{"standing":"5f02"}},"n":1}"#),
            row("d", r#"{"grant":"g","grant_job":"j","email":"ada@example.com"}"#),
        ];
        let of = |account: &str| taken(&Args { account: Some(account.into()), ..Args::default() }, &rows);
        assert_eq!(of("ada@example.com"), ["a", "b", "d"]);
        assert_eq!(of("5f02"), ["c"]);
        let of = |args: Args| taken(&args, &rows);
        assert_eq!(of(Args { grant: Some("g".into()), ..Args::default() }), ["d"]);
        assert_eq!(of(Args { job: Some("j".into()), ..Args::default() }), ["d"]);
        assert_eq!(of(Args { kind: vec!["b".into(), "c".into()], ..Args::default() }), ["b", "c"]);
        assert!(of(Args { since: Some(1_001), ..Args::default() }).is_empty());
        assert_eq!(of(Args { since: Some(1_000), until: Some(1_000), ..Args::default() }).len(), 4);
    }

    #[test]
    fn a_time_is_said_as_an_instant_or_as_how_long_ago() {
        assert_eq!(instant("1970-01-01T00:00:01Z").unwrap(), 1_000);
        assert!(instant("2h").unwrap() < clock::now().wall.0 - 3_600_000);
        assert!(instant("yesterday").unwrap_err().contains("RFC 3339"));
    }
}
