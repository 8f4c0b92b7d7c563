//! The timer wheel beside a sorted map and a heap: `cargo bench --bench wheel`.
//!
//! Each run of a rival is a process of its own, so that memory can be told apart; figures are medians
//! (of five runs at a million entries; one run at ten million).
//! Time is the thread's processor time: a busy neighbour costs cache, not whole time slices.
//! Without `--bench` (as `cargo test --all-targets` runs it) it only proves on a few entries that it works.
#![expect(clippy::print_stdout, reason = "the table is its output")]

mod rivals;

use std::{env, fs, hint::black_box, process::Command, time::Duration};

use ephemerald::engine::wheel::Wheel;
use rivals::{Heap, Timers, Tree};
use rustix::time::{ClockId, clock_gettime};

const KINDS: [&str; 3] = ["Wheel", "BTreeMap", "lazy BinaryHeap"];
const COLUMNS: [&str; 8] =
    ["insert", "cancel", "re-insert", "expire", "next wake", "bytes", "longest advance", "burst"];
const DAY: u64 = 86_400_000;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [cell, kind, entries] = &args[..]
        && cell == "cell"
    {
        let cells = measure(kind, entries.parse().expect("a number of entries"));
        println!("{}", cells.map(|cell| cell.to_string()).join(" "));
    } else if args.iter().any(|arg| arg == "--bench") {
        table(1_000_000, 5);
        table(10_000_000, 1);
    } else {
        for kind in KINDS {
            measure(kind, 10_000);
        }
    }
}

/// Prints one table; each figure is the median of `runs` processes.
fn table(entries: usize, runs: usize) {
    println!("| {entries} live entries | {} |", COLUMNS.join(" | "));
    println!("|---{}|", "|---:".repeat(COLUMNS.len()));
    for kind in KINDS {
        let runs: Vec<[f64; 8]> = (0..runs).map(|_| in_own_process(kind, entries)).collect();
        let median = |column: usize| {
            let mut values: Vec<f64> = runs.iter().map(|run| run[column]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let cells: Vec<String> = (0..COLUMNS.len()).map(|column| format!("{:.1}", median(column))).collect();
        println!("| {kind} | {} |", cells.join(" | "));
    }
    println!();
}

fn in_own_process(kind: &str, entries: usize) -> [f64; 8] {
    let program = env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args(["cell", kind, &entries.to_string()])
        .output()
        .expect("this program runs again");
    let text = String::from_utf8(output.stdout).expect("figures are text");
    let figures: Vec<f64> = text.split(' ').map(|figure| figure.trim().parse().expect("a figure")).collect();
    figures.try_into().expect("one figure per column")
}

fn measure(kind: &str, entries: usize) -> [f64; 8] {
    match kind {
        "Wheel" => run(&|| Wheel::<u32>::new(0), entries),
        "BTreeMap" => run(&Tree::default, entries),
        _ => run(&Heap::default, entries),
    }
}

fn run<T: Timers>(new: &dyn Fn() -> T, entries: usize) -> [f64; 8] {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let deadlines: Vec<u64> = (0..entries).map(|_| random.deadline()).collect();
    let mut order: Vec<u32> = (0..).take(entries).collect();
    random.shuffle(&mut order);
    let mut handles = vec![T::Handle::default(); entries];
    // Touched now, so that the memory of the results does not count as the timers'.
    handles.fill(black_box(T::Handle::default()));

    let mut timers = new();
    let before = resident();
    let insert = per(entries, || fill(&mut timers, &deadlines, &mut handles));
    let bytes = (resident() - before) / count(entries);

    let wakes = entries.min(1_000_000);
    let next_wake = per(wakes, || {
        for _ in 0..wakes {
            black_box(black_box(&timers).next_wake());
        }
    });
    let reinsert = per(entries, || {
        for item in &order {
            let handle = &mut handles[*item as usize];
            assert!(timers.cancel(*handle), "the timer waits");
            *handle = timers.insert(random.deadline(), *item);
        }
    });
    let cancel = per(entries, || {
        let cancelled = order.iter().filter(|item| timers.cancel(handles[**item as usize])).count();
        assert_eq!(cancelled, entries);
    });

    let (expire, _) = expire(new(), &deadlines, &mut handles, false);
    let (_, longest) = self::expire(new(), &deadlines, &mut handles, true);
    [insert, cancel, reinsert, expire, next_wake, bytes, millis(longest), burst(new())]
}

fn fill<T: Timers>(timers: &mut T, deadlines: &[u64], handles: &mut [T::Handle]) {
    for ((item, deadline), handle) in (0..).zip(deadlines).zip(handles) {
        *handle = timers.insert(*deadline, item);
    }
}

/// Lets a second pass at a time until all have fired: nanoseconds per entry, and the longest advance
/// if asked for (which costs two clock readings per call).
fn expire<T: Timers>(
    mut timers: T,
    deadlines: &[u64],
    handles: &mut [T::Handle],
    each: bool,
) -> (f64, Duration) {
    fill(&mut timers, deadlines, handles);
    let mut fired = Vec::new();
    let (mut now, mut total, mut longest) = (0, 0, Duration::ZERO);
    let nanos = per(deadlines.len(), || {
        while total < deadlines.len() {
            now += 1_000;
            let mut more = true;
            while more {
                let start = each.then(cpu_time);
                more = timers.advance(now, &mut fired);
                longest = longest.max(start.map_or(Duration::ZERO, |start| cpu_time() - start));
                total += fired.len();
                fired.clear();
            }
        }
    });
    (nanos, longest)
}

/// Milliseconds to collect 100,000 timers of one deadline, two days away.
fn burst<T: Timers>(mut timers: T) -> f64 {
    let mut fired = Vec::with_capacity(100_000);
    for item in 0..100_000 {
        timers.insert(2 * DAY, item);
    }
    while timers.advance(2 * DAY - 1, &mut fired) {}
    assert!(fired.is_empty());
    let start = cpu_time();
    while timers.advance(2 * DAY, &mut fired) {}
    let burst = millis(cpu_time() - start);
    assert_eq!(fired.len(), 100_000);
    burst
}

/// xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// As grants have it: a quarter of an hour to thirty days, plus up to a minute of jitter.
    fn deadline(&mut self) -> u64 {
        const GRANTS: [u64; 8] =
            [900_000, 1_800_000, 3_600_000, 14_400_000, 28_800_000, DAY, 7 * DAY, 30 * DAY];
        let grant = GRANTS[(self.next() % 8) as usize];
        grant + self.next() % grant.min(DAY) + self.next() % 60_000
    }

    fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            items.swap(last, usize::try_from(other).expect("an index of the slice"));
        }
    }
}

/// Nanoseconds per operation.
fn per(operations: usize, work: impl FnOnce()) -> f64 {
    let start = cpu_time();
    work();
    (cpu_time() - start).as_secs_f64() * 1e9 / count(operations)
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("processor time is positive")
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn count(entries: usize) -> f64 {
    entries as f64
}

/// Bytes of memory that this process holds (Linux; zero elsewhere).
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}
