//! The policy of a case: what the file says, and the judge's own reading of it.

use std::fmt::Write as _;

use super::chance::Chance;

pub(crate) const ROLES: [&str; 7] = [
    "Help Desk",
    "Manager",
    "Administrator",
    "Command Runner",
    "Billing Only",
    "Administrator With Billing",
    "Chief Pirate",
];

const MINUTE: u64 = 60_000;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What the policy allows; times in milliseconds.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) dry_run: bool,
    pub(crate) roles: Vec<(&'static str, u64)>,
    pub(crate) denied: Vec<&'static str>,
    pub(crate) longest: u64,
    pub(crate) continuous: u64,
    pub(crate) rest: u64,
    pub(crate) live: usize,
    pub(crate) hourly: usize,
    pub(crate) protected: Vec<&'static str>,
    pub(crate) allow: Vec<&'static str>,
    pub(crate) deny: Vec<&'static str>,
    pub(crate) ephemeral: bool,
    /// Number, justification, two approvers, another requester.
    pub(crate) needs: [bool; 4],
    /// The key of the approver, where one must sign.
    pub(crate) approver: Option<String>,
    pub(crate) windows: Vec<(Vec<usize>, u64, u64)>,
    /// Minutes east of UTC.
    pub(crate) offset: i64,
    pub(crate) whole: bool,
}

impl Rules {
    pub(crate) fn random(chance: &mut Chance, key: &str) -> Self {
        let minutes = |chance: &mut Chance, of: &[u64]| chance.of(of) * MINUTE;
        let roles = ROLES[..4].iter().filter(|_| chance.percent(80)).copied().collect::<Vec<_>>();
        let roles = roles.into_iter().map(|role| (role, minutes(chance, &[5, 30, 60, 120]))).collect();
        let some = |chance: &mut Chance, percent, of: &[&'static str]| {
            if chance.percent(percent) { vec![chance.of(of)] } else { Vec::new() }
        };
        let continuous = minutes(chance, &[60, 120, 240]);
        let hours = chance.percent(25);
        Self {
            dry_run: chance.percent(10),
            roles,
            denied: some(chance, 20, &["Manager", "Administrator"]),
            longest: minutes(chance, &[20, 60, 120]),
            continuous,
            rest: minutes(chance, &[15, 60, 180]),
            live: chance.of(&[1, 2, 3, 50, 50]),
            hourly: chance.of(&[1, 3, 5, 100, 100]),
            protected: some(chance, 30, &["ada@example.com", "BOB@example.com"]),
            allow: some(chance, 15, &["*@example.com", "ada@example.com", "*@other.example"]),
            deny: some(chance, 20, &["cleo@example.com", "*@other.example"]),
            ephemeral: chance.percent(60),
            needs: std::array::from_fn(|_| chance.percent(25)),
            approver: chance.percent(30).then(|| key.to_owned()),
            windows: if hours { windows(chance) } else { Vec::new() },
            offset: chance.of(&[0, 60, -300, 330]),
            whole: chance.percent(70),
        }
    }

    /// The policy file.
    pub(crate) fn file(&self) -> String {
        let list = |items: &[&str]| format!("{items:?}");
        let mode = if self.dry_run { "dry_run" } else { "enforce" };
        let mut text = format!("mode = \"{mode}\"\nmax_duration = \"{}ms\"\n", self.longest);
        let _ = writeln!(text, "max_continuous = \"{}ms\"\ncool_down = \"{}ms\"", self.continuous, self.rest);
        let _ = writeln!(text, "max_live_grants = {}\nmax_grants_per_hour = {}", self.live, self.hourly);
        let _ = writeln!(text, "protected_accounts = {}", list(&self.protected));
        let _ = writeln!(text, "denied_roles = {}\n[roles]", list(&self.denied));
        for (role, longest) in &self.roles {
            let _ = writeln!(text, "{role:?} = \"{longest}ms\"");
        }
        let _ = writeln!(text, "[accounts]\nallow = {}\ndeny = {}", list(&self.allow), list(&self.deny));
        let _ = writeln!(text, "[ephemeral]\nallowed = {}\ndomains = [\"example.com\"]", self.ephemeral);
        let [number, reason, approvers, other] = self.needs;
        let _ = writeln!(text, "[require]\nrequest_number = {number}\njustification = {reason}");
        let _ = writeln!(text, "approvers = {}", if approvers { 2 } else { 0 });
        let _ = writeln!(text, "requester_not_approver = {other}\n[hours]\nwhole = {}", self.whole);
        let (sign, minutes) = (if self.offset < 0 { '-' } else { '+' }, self.offset.abs());
        let _ = writeln!(text, "zone = \"{sign}{:02}:{:02}\"", minutes / 60, minutes % 60);
        let windows: Vec<String> = self.windows.iter().map(written).collect();
        let _ = writeln!(text, "windows = {windows:?}");
        if let Some(key) = &self.approver {
            let _ = writeln!(text, "[approval_keys]\n\"grace@example.com\" = {key:?}");
        }
        text
    }
}

fn windows(chance: &mut Chance) -> Vec<(Vec<usize>, u64, u64)> {
    (0..chance.between(1, 4))
        .map(|_| {
            let days = (0..7).filter(|_| chance.percent(70)).collect::<Vec<_>>();
            let days = if days.is_empty() { vec![0] } else { days };
            let from = chance.between(0, 23) * 60;
            (days, from, (from + chance.between(1, 20) * 60) % 1_440)
        })
        .collect()
}

fn written((days, from, until): &(Vec<usize>, u64, u64)) -> String {
    let days: Vec<&str> = days.iter().map(|day| DAYS[*day]).collect();
    let time = |minutes: u64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    format!("{} {}-{}", days.join(","), time(*from), time(*until))
}
