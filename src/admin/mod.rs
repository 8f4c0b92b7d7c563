//! The operator's window: an HTTP server on a local Unix socket, and its client.
//!
//! Refuses: any network address. Who may look, stop raises and end grants is the file mode of the socket
//! (0660) and its group; who may let raises go on or give up on an ending is root alone.

pub mod client;
pub mod command;
mod peer;
pub mod server;
pub mod view;

pub use peer::this_process;
