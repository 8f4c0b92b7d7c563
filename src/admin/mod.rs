//! The operator's window: an HTTP server on a local Unix socket, and its client.
//!
//! Refuses: any network address. Who may look is the file mode of the socket (0660) and of its
//! directory; who may change something is root and the daemon's own user.

pub mod client;
pub mod server;
pub mod view;
