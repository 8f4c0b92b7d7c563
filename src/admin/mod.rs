//! The operator's window: a read-only HTTP server on a local Unix socket, and its client.
//!
//! Refuses: anything that changes state, any network address. Who may ask is the file mode of
//! the socket (0660) and of its directory.

pub mod client;
pub mod server;
pub mod view;
