//! `sandbox`: everything simulated, on loopback, for trying and developing. Never for production.

use std::{net::SocketAddr, path::PathBuf};

use super::{Exit, Failure, Output};

/// The whole story, or one part of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End after the story; exit 0 only if every step was verified
    #[arg(long)]
    once: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Only the simulated JumpCloud
    Jumpcloud(Listen),
    /// Only the reference control plane
    ControlPlane(Listen),
    /// File an access request with the sandbox's control plane
    Request(Request),
    /// Approve an access request
    Approve {
        /// Its number
        number: String,
        /// Who approves
        #[arg(long, value_name = "EMAIL")]
        by: String,
    },
    /// List access requests
    Requests,
}

/// Where a part listens and how.
#[derive(Debug, clap::Args)]
pub(super) struct Listen {
    /// Address and port on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to write the throw-away authority's certificate
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// No TLS; loopback only
    #[arg(long)]
    plain_http: bool,
    /// Directory for files; a temporary one when absent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// An access request.
#[derive(Debug, clap::Args)]
pub(super) struct Request {
    /// Whose access
    #[arg(long, value_name = "EMAIL")]
    account: String,
    /// The role, as JumpCloud spells it
    #[arg(long, value_name = "NAME")]
    role: String,
    /// For how long
    #[arg(long, value_name = "TIME", default_value = "1m")]
    duration: humantime::Duration,
    /// Create an ephemeral account instead of raising an existing one
    #[arg(long)]
    ephemeral: bool,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "trying the sandbox")]
    justification: String,
}

/// Starts what was asked for.
pub(super) async fn run(args: Args, _output: Output) -> Result<Exit, Failure> {
    let what = match (args.part, args.once) {
        (None, false) => "sandbox".to_owned(),
        (None, true) => "sandbox --once".to_owned(),
        (Some(part), _) => format!("sandbox: {part:?}"),
    };
    Err(Failure::new(Exit::Failed, format!("{what}: not wired yet")))
}
