//! `support-bundle`: one JSON file that tells somebody far away how this agent stands.
//!
//! It is text, so that it can be read before it is sent. Refuses: secrets (no part of it holds one, and what is
//! known as one is taken out of the whole once more), addresses of people unless asked for, and changing
//! anything. What cannot be had is told as such; a bundle of a dead agent is still one.

mod redact;

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use serde_json::{Value, json};

use super::{Exit, Failure, Global, Output, check, ledger, output};
use crate::{admin::client, clock, config::Loaded, control::wire::Utc};

/// Lines at the end of the log.
const LINES: usize = 2_000;

/// They are ignored, which surprises people; told by name only, because a value may hold a password.
const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"];

/// What goes into it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write it; it must not exist yet
    #[arg(long, value_name = "FILE", default_value = "ephemerald-support.json")]
    to: PathBuf,
    /// A log to take the end of, for example what `journalctl -u ephemerald -o cat` prints
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Keep the addresses of people instead of numbering them
    #[arg(long)]
    with_addresses: bool,
}

/// Gathers, redacts, writes, and says what to do with it.
pub(super) async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let loaded = global.load();
    let secrets = loaded.as_ref().map(|loaded| redact::secrets(&loaded.config)).unwrap_or_default();
    let whole = gather(loaded, args).await;
    let text = serde_json::to_string_pretty(&whole).map_err(|error| Failure::new(Exit::Failed, error))?;
    let mut text = redact::without(&secrets, text + "\n");
    if !args.with_addresses {
        text = redact::numbered(&text);
    }
    let failed = |error| {
        let what = format!("{}: {error}; name a new file with --to", args.to.display());
        Failure::new(Exit::Failed, what)
    };
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.to).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let told = format!("{}: {} bytes; read it before you send it", args.to.display(), text.len());
    match global.output {
        Output::Json => output::json(&json!({"file": args.to, "bytes": text.len()}))?,
        Output::Human => output::folded(&(told + "\n"))?,
    }
    Ok(Exit::Done)
}

async fn gather(loaded: Result<Loaded, Failure>, args: &Args) -> Value {
    let set = |name: &&str| std::env::var_os(name).is_some();
    let machine = json!({
        "kernel": read("/proc/sys/kernel/osrelease"),
        "system": read("/etc/os-release"),
        "up_and_idle_seconds": read("/proc/uptime"),
        "memory": read("/proc/meminfo").map(|text| text.lines().take(3).collect::<Vec<_>>().join("; ")),
        "proxy_variables_set": PROXY_VARIABLES.into_iter().filter(set).collect::<Vec<_>>(),
    });
    let mut whole = json!({
        "made_at": Utc(clock::now().wall).to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": machine,
    });
    if let Some(log) = &args.log {
        whole["log"] = tail(log);
    }
    match loaded {
        Ok(loaded) => of_the_agent(&loaded, &mut whole).await,
        Err(failure) => whole["configuration"] = json!({"problem": failure.to_string()}),
    }
    whole
}

async fn of_the_agent(loaded: &Loaded, whole: &mut Value) {
    let config = &loaded.config;
    let socket = &config.agent.control_socket;
    let or_problem = |asked: Result<Value, client::AskError>| match asked {
        Ok(value) => value,
        Err(error) => json!({"problem": error.to_string()}),
    };
    whole["configuration"] = json!(loaded.entries);
    whole["policy"] = match fs::read_to_string(&config.policy_file) {
        Ok(text) => json!(text),
        Err(error) => json!({"problem": format!("{}: {error}", config.policy_file.display())}),
    };
    whole["status"] = or_problem(client::status(socket).await.map(|view| json!(view)));
    whole["health"] = or_problem(client::health(socket).await.map(|view| json!(view)));
    whole["grants"] = or_problem(client::grants(socket).await.map(|view| json!(view)));
    whole["metrics"] = or_problem(client::metrics(socket).await.map(|text| json!(text)));
    whole["ledger"] = ledger::told(config);
    whole["check"] = check::told(loaded).await;
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn tail(path: &std::path::Path) -> Value {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            json!(lines[lines.len().saturating_sub(LINES)..])
        }
        Err(error) => json!({"problem": format!("{}: {error}", path.display())}),
    }
}
