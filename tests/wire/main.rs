//! The wire as an enemy: a server that says what it likes, byte for byte, over real TCP and TLS, to the
//! agent's one door, to its clients, and to the shipped program.
//!
//! What must hold: a read that is not whole is an error and never a shorter answer; a write whose
//! answer is not whole may have happened; nothing is sent a second time by itself; a credential reaches
//! the server that it is for, over a connection that proved to be that server, and nobody else.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod agent_side;
mod answers;
mod certificates;
mod certs;
mod cuts;
mod floods;
mod h2;
mod http2;
mod kept;
mod pipe;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "../process/mod.rs"]
mod process;
mod redirects;
mod story;
mod tunnel;
mod wild;

/// An answer of JumpCloud's to a listing: two administrators, and that there are two.
const LISTING: &str = r#"{"totalCount":2,"results":[{"_id":"a1","email":"a1@example.com","roleName":"Manager"},{"_id":"b2","email":"b2@example.com","roleName":"Help Desk"}]}"#;
/// The page behind it.
const NO_MORE: &str = r#"{"totalCount":2,"results":[]}"#;
/// An answer to a write, or to the reading of one administrator.
const WRITTEN: &str = r#"{"_id":"a1","email":"a1@example.com","roleName":"Manager"}"#;
/// An answer of the control plane's to reports.
const ACKED: &str = r#"{"acked":[7],"server_time":"2026-11-26T00:00:00Z"}"#;

/// A whole answer of HTTP/1.1.
fn whole(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The same in three chunks.
fn chunked(body: &str) -> String {
    let third = body.len() / 3;
    let parts = [&body[..third], &body[third..2 * third], &body[2 * third..], ""];
    let chunks: String = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect();
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
}

/// The same, ended by the end of the connection.
fn until_closed(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}")
}
