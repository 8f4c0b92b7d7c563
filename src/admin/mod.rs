//! The operator's window: an HTTP server on a local Unix socket, and its client; and, where the configuration
//! names an address, the answers to probes.
//!
//! Refuses: any network address but that one, where nothing can be ordered. Who may look, stop raises and end grants is the file mode of the socket
//! (0660) and its group; who may let raises go on or give up on an ending is root alone.

pub mod client;
pub mod command;
mod guarded;
mod peer;
pub mod probes;
pub mod server;
pub mod view;

pub use peer::this_process;
