//! The promises of `fuzz/src` without a fuzzing engine: every kept input is played, then inputs that are
//! made from them (`mutator`), the same ones each time. `EPHEMERALD_FUZZ_RUNS=N` plays N for each subject,
//! `EPHEMERALD_SEED=N` others, `EPHEMERALD_FUZZ_INPUT=FILE` one file alone.
//!
//! Refuses to look at what the code does inside: that is for libFuzzer (`cargo fuzz run NAME`).
// The bodies are public in the package of libFuzzer's targets.
#![expect(unreachable_pub, reason = "shared with another package")]

mod mutator;

#[path = "../../fuzz/src/answers.rs"]
mod answers;
#[path = "../../fuzz/src/configuration.rs"]
mod configuration;
#[path = "../../fuzz/src/connection.rs"]
mod connection;
#[path = "../../fuzz/src/jobs.rs"]
mod jobs;
#[path = "../../fuzz/src/policy.rs"]
mod policy;
#[path = "../../fuzz/src/rows.rs"]
mod rows;
#[path = "../../fuzz/src/trust.rs"]
mod trust;
#[path = "../../fuzz/src/wheel.rs"]
mod wheel;

use std::{
    env, fs,
    io::Write as _,
    panic,
    path::{Path, PathBuf},
    thread,
};

use mutator::Mutator;

#[test]
fn no_received_job_is_believed_without_its_signature_or_beyond_what_it_says() {
    play("jobs", 1_200, jobs::jobs);
}

#[test]
fn no_body_of_jumpcloud_is_read_as_more_or_less_than_it_holds() {
    play("answers", 12_000, answers::answers);
}

#[test]
fn no_connection_tells_its_secret() {
    play("connection", 12_000, connection::connection);
}

#[test]
fn no_configuration_tells_a_password_or_means_two_things() {
    play("configuration", 1_500, configuration::configuration);
}

#[test]
fn no_policy_lets_in_what_it_does_not_name() {
    play("policy", 1_500, policy::policy);
}

#[test]
fn no_row_of_the_ledger_becomes_a_raise() {
    play("rows", 1_200, rows::rows);
}

#[test]
fn no_key_set_proof_new_key_or_token_is_believed_without_what_vouches_for_it() {
    play("trust", 12_000, trust::trust);
}

#[test]
fn no_sequence_of_timers_tells_the_wheel_from_a_sorted_map() {
    play("wheel", 4_000, wheel::wheel);
}

fn play(subject: &str, runs: usize, promise: fn(&[u8])) {
    if let Ok(file) = env::var("EPHEMERALD_FUZZ_INPUT") {
        return promise(&fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}")));
    }
    let corpus = files(&root().join("fuzz/corpus").join(subject));
    assert!(!corpus.is_empty(), "no input of {subject} is kept: this test plays nothing");
    for (name, input) in &corpus {
        holds(subject, name, input, promise);
    }
    let words = fs::read_to_string(root().join("fuzz/dictionaries").join(format!("{subject}.dict")));
    let seed = number("EPHEMERALD_SEED").unwrap_or(1);
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let mut mutator = Mutator::new(seed as u64, &inputs, &words.unwrap_or_default());
    let runs = number("EPHEMERALD_FUZZ_RUNS").unwrap_or(runs);
    for run in 0..runs {
        holds(subject, &format!("run {run} of seed {seed}"), &mutator.next_input(), promise);
    }
    say(&format!("{subject}: {} kept inputs, {runs} made from them with seed {seed}", inputs.len()));
}

fn holds(subject: &str, name: &str, input: &[u8], promise: fn(&[u8])) {
    if let Err(broken) = panic::catch_unwind(|| promise(input)) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{subject}"));
        fs::write(&file, input).expect("the target directory takes a file");
        let test = thread::current().name().unwrap_or_default().to_owned();
        say(&format!("{subject}: {name} breaks a promise. Play it again with"));
        say(&format!("  EPHEMERALD_FUZZ_INPUT={} cargo test --test fuzz {test}", file.display()));
        panic::resume_unwind(broken);
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    files.sort();
    let read =
        |path: PathBuf| (path.display().to_string(), fs::read(&path).expect("a kept input can be read"));
    files.into_iter().map(read).collect()
}

fn number(name: &str) -> Option<usize> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// To be seen of a test that passes, too.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
