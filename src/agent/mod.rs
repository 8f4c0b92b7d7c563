//! The agent: everything put together, and the one loop that owns the engine.
//!
//! ```text
//!   control ─┐                                   ┌─▶ ledger ─ durable ─▶ raises ─┐
//!   admin ───┼─▶ Loop ─▶ Engine::handle ─▶ Step ─┤                               ├─▶ executor ─▶ JumpCloud
//!   clock ───┤                                   └─▶ reads, lowers ──────────────┘        │
//!   executor ┴◀───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The loop never awaits the disk or the network: it hands work out and takes answers in. Refuses to
//! start on a ledger that another daemon holds, that is missing though it existed, or that is newer
//! than this version. Starts without a control plane, without a policy and without a readable
//! connection: then it raises nothing, and says so.

mod alone;
mod assemble;
mod at_rest;
pub mod confines;
mod connect;
mod deeds;
mod heads;
mod heard;
mod insights;
mod intake;
mod inventory;
mod journal_log;
mod keeper;
mod meters;
mod offers;
mod opening;
mod pages;
mod parked;
mod policy;
mod receipts;
mod recovery;
mod report;
mod reporter;
mod rotation;
mod state_key;
mod status;
mod talk;
mod turn;
mod views;

pub use alone::alone;
pub use assemble::{AgentError, control_door, run};
pub use connect::{Prepared, open, prepare, settings};
pub use offers::offers;
pub use state_key::{FILES as SEALED_FILES, TAG_KEY, keying};
