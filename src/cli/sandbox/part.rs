//! One simulated part as a process of its own: a line of JSON once it listens, then until a signal.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};

use super::super::{Exit, Failure, output};
use crate::sandbox::{control_plane, jumpcloud};

/// Where a part listens and what it leaves behind.
#[derive(Debug, clap::Args)]
struct Listen {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// No TLS; loopback only
    #[arg(long)]
    plain_http: bool,
    /// Directory for state and certificates; a temporary one when absent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to write the throw-away authority's certificate
    #[arg(long, value_name = "FILE", conflicts_with = "plain_http")]
    write_ca: Option<PathBuf>,
}

/// The simulated JumpCloud.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without options it is one organization with ten administrators, behaves as JumpCloud is believed to, and
listens on a free port. It prints one line of JSON once it listens. While it runs, faults, switches, a
human in the console and the log of what really happened are at URL/_sandbox/. docs/sandbox.md has all
routes, faults, switches and scripts, with examples.")]
pub(super) struct Jumpcloud {
    #[command(flatten)]
    listen: Listen,
    /// Where to write the connection JSON for the agent
    #[arg(long, value_name = "FILE")]
    write_connection: Option<PathBuf>,
    /// A population to start with where the data directory has none yet
    #[arg(long, value_name = "FILE")]
    seed_file: Option<PathBuf>,
    /// A provider with three organizations, two of which its administrator's key sees
    #[arg(long, conflicts_with = "seed_file")]
    multi_tenant: bool,
    /// A service account, which the connection names instead of an API key
    #[arg(long)]
    service_account: bool,
    /// Behaviour where the real one's is unknown: a JSON object of switches
    #[arg(long, value_name = "FILE")]
    switches: Option<PathBuf>,
    /// One switch, after those of the file; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    switch: Vec<String>,
    /// Faults from the start: {"faults": [...], "seed": 1}
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// What a human in the console does by itself
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// The reference control plane.
#[derive(Debug, clap::Args)]
pub(super) struct ControlPlane {
    #[command(flatten)]
    listen: Listen,
    /// Where to write a new one-time agent token
    #[arg(long, value_name = "FILE")]
    write_token: Option<PathBuf>,
}

pub(super) async fn jumpcloud(args: Jumpcloud) -> Result<Exit, Failure> {
    let place = Place::of(args.listen.data_dir.as_deref())?;
    let Listen { listen, plain_http, .. } = args.listen;
    let mut options = jumpcloud::Options::in_data_dir(listen, &place.dir, plain_http);
    (options.multi_tenant, options.service_account) = (args.multi_tenant, args.service_account);
    let switches: jumpcloud::Switches = read(args.switches.as_deref())?.unwrap_or_default();
    options.switches = switches.with(&args.switch).map_err(|what| Failure::new(Exit::Usage, what))?;
    if let Some(given) = read::<jumpcloud::Rules>(args.faults.as_deref())? {
        (options.faults, options.seed) = (given.faults, given.seed);
    }
    options.script = read(args.script.as_deref())?;
    options.seed_file = args.seed_file;
    let stop = Stop::listen()?;
    let part = jumpcloud::run(options, stop.asked()).await.map_err(failed)?;
    if let Some(file) = &args.listen.write_ca {
        part.write_ca(file).map_err(failed)?;
    }
    if let Some(file) = &args.write_connection {
        part.write_connection(file).map_err(failed)?;
    }
    let ca_file = args.listen.write_ca.as_ref().or(part.ca_file.as_ref());
    announce(&json!({
        "listening": part.addr, "url": part.url, "ca_file": ca_file, "data_dir": place.dir,
        "connection_file": args.write_connection, "org_id": part.org_id,
    }))?;
    finish(part.done).await
}

pub(super) async fn control_plane(args: ControlPlane) -> Result<Exit, Failure> {
    let place = Place::of(args.listen.data_dir.as_deref())?;
    let mut options = control_plane::Options::new(args.listen.listen, &place.dir);
    options.plain_http = args.listen.plain_http;
    let stop = Stop::listen()?;
    let part = control_plane::run(options, stop.asked()).await.map_err(failed)?;
    if let Some(file) = &args.listen.write_ca {
        part.write_ca(file).map_err(failed)?;
    }
    if let Some(file) = &args.write_token {
        part.write_token(file).await.map_err(failed)?;
    }
    let ca_file = args.listen.write_ca.as_ref().or(part.ca_file.as_ref());
    announce(&json!({
        "listening": part.addr, "url": part.url, "ca_file": ca_file, "data_dir": place.dir,
        "token_file": args.write_token,
    }))?;
    finish(part.done).await
}

/// What a file of JSON says; nothing if no file is named.
fn read<T: DeserializeOwned>(file: Option<&Path>) -> Result<Option<T>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Usage,
            format!("{}: {error}; docs/sandbox.md says what it may hold", file.display()),
        )
    };
    let text = std::fs::read(file).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&text).map(Some).map_err(|error| wrong(&error))
}

/// A directory of files, one that was named or one that goes when the part ends.
struct Place {
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    fn of(named: Option<&Path>) -> Result<Self, Failure> {
        if let Some(dir) = named {
            let dir = std::path::absolute(dir).map_err(|error| Failure::new(Exit::Failed, error))?;
            std::fs::create_dir_all(&dir)
                .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", dir.display())))?;
            return Ok(Self { dir, _temporary: None });
        }
        let made = tempfile::Builder::new().prefix("ephemerald-sandbox-").tempdir();
        let made = made.map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Self { dir: made.path().to_owned(), _temporary: Some(made) })
    }
}

/// SIGTERM and SIGINT, heard from before the part listens.
struct Stop {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, error));
        Ok(Self { term: on(SignalKind::terminate())?, int: on(SignalKind::interrupt())? })
    }

    async fn asked(mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

fn announce(what: &Value) -> Result<(), Failure> {
    output::text(&format!("{what}\n"))
}

async fn finish(done: JoinHandle<io::Result<()>>) -> Result<Exit, Failure> {
    match done.await {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(error)) => Err(Failure::new(Exit::Failed, error)),
        Err(error) => Err(Failure::new(Exit::Failed, error)),
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Exit::Failed, error)
}
