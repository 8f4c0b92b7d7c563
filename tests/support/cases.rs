//! Many generated cases of one property: counted, each made from its number alone, the first failure told
//! with the command that plays it again.

use std::{
    collections::BTreeMap,
    io::Write as _,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What came of one case.
pub(crate) struct Verdict {
    /// What happened in it, how often: a property whose cases never get there proves nothing.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    /// What was wrong.
    pub(crate) failure: Option<String>,
}

/// A property and how a case of it is judged.
pub(crate) struct Property {
    pub(crate) name: &'static str,
    /// The test target, for the command that plays a case again.
    pub(crate) target: &'static str,
    pub(crate) judge: fn(u64) -> Verdict,
    /// The story of a failing case, as short as it can be told.
    pub(crate) tell: fn(u64) -> String,
    /// What must have happened at least this often over 2,000 cases.
    pub(crate) quotas: &'static [(&'static str, u64)],
}

impl Property {
    /// Plays the cases on two threads and prints what they held.
    pub(crate) fn holds(&self, cases: Range<u64>) {
        let (seen, failures) = self.played(cases.clone());
        let count = cases.end - cases.start;
        // Not by `println!`: the counts are to be seen of a test that passes, too.
        let _ = writeln!(std::io::stderr(), "{}: {count} cases, with {seen:?}", self.name);
        if let Some((case, failure)) = failures.iter().next() {
            let Self { name, target, .. } = self;
            panic!(
                "{}\n{failure}\n{name}: {} of {count} cases fail, {case} first:\n\
                 EPHEMERALD_SEED={case} cargo test --test {target} one_case -- --nocapture",
                (self.tell)(*case),
                failures.len(),
            );
        }
        let enough =
            |(what, least): &(&str, u64)| seen.get(what).copied().unwrap_or(0) >= least * count / 2_000;
        let rare: Vec<_> = self.quotas.iter().filter(|quota| !enough(quota)).collect();
        assert!(rare.is_empty(), "happened too seldom: {rare:?} of {seen:?}");
    }

    /// How many cases fail; nothing is printed.
    pub(crate) fn failures(&self, cases: Range<u64>) -> usize {
        self.played(cases).1.len()
    }

    /// The case that the environment names, if it names one.
    pub(crate) fn one(&self) {
        let Some(case) = std::env::var("EPHEMERALD_SEED").ok().and_then(|n| n.parse().ok()) else { return };
        let verdict = self.judged(case);
        let _ = writeln!(std::io::stderr(), "{}: case {case}, with {:?}", self.name, verdict.seen);
        let failure = verdict.failure.map(|what| format!("{}\n{what}", (self.tell)(case)));
        assert!(failure.is_none(), "{}", failure.unwrap_or_default());
    }

    fn played(&self, cases: Range<u64>) -> (BTreeMap<&'static str, u64>, BTreeMap<u64, String>) {
        let (mut seen, mut failures) = (BTreeMap::<_, u64>::new(), BTreeMap::new());
        std::thread::scope(|scope| {
            let half = |odd| {
                let cases = cases.clone().filter(move |case| case % 2 == odd);
                scope.spawn(move || cases.map(|case| (case, self.judged(case))).collect::<Vec<_>>())
            };
            for half in [half(0), half(1)] {
                for (case, verdict) in half.join().unwrap() {
                    verdict.seen.into_iter().for_each(|(what, n)| *seen.entry(what).or_default() += n);
                    failures.extend(verdict.failure.map(|failure| (case, failure)));
                }
            }
        });
        (seen, failures)
    }

    fn judged(&self, case: u64) -> Verdict {
        catch_unwind(AssertUnwindSafe(|| (self.judge)(case))).unwrap_or_else(|_| Verdict {
            seen: BTreeMap::new(),
            failure: Some(format!("case {case} panics")),
        })
    }
}

/// The normal run, unless `EPHEMERALD_CASES` says another number.
pub(crate) fn normal() -> Range<u64> {
    0..asked_for().unwrap_or(2_000)
}

/// The extended run, of other cases than the normal one.
pub(crate) fn extended() -> Range<u64> {
    1_000_000..1_000_000 + asked_for().unwrap_or(100_000)
}

fn asked_for() -> Option<u64> {
    std::env::var("EPHEMERALD_CASES").ok()?.parse().ok()
}

/// The fewest of `deeds` that still fail: leaves out one after another.
pub(crate) fn shrunk<D: Clone>(mut deeds: Vec<D>, fails: impl Fn(&[D]) -> bool) -> Vec<D> {
    let mut at = 0;
    while at < deeds.len() {
        let mut fewer = deeds.clone();
        fewer.remove(at);
        if fails(&fewer) {
            deeds = fewer;
            at = 0;
        } else {
            at += 1;
        }
    }
    deeds
}
