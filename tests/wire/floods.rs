//! Answers without end: each of them meets a limit of size or of time, and the door goes on.

use std::time::Duration;

use ephemerald::http::{Door, SendFault};
use reqwest::Method;

use crate::{
    agent_side::{assert_log_is_clean, carrying, options, request},
    certs::Authority,
    h2,
    pipe::End,
    whole,
    wild::{Part, Reply, When, Wild},
};

const OK: &str = "HTTP/1.1 200 OK\r\n";
/// For those who never come to an end.
const SOON: Duration = Duration::from_millis(400);

/// What it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    Size,
    Time,
    /// A limit of the library's.
    Refusal,
}

fn reply(text: &str) -> Reply {
    Reply::of(text, End::Silence)
}

fn endless(text: impl Into<Vec<u8>>) -> Part {
    Part::Endless(text.into())
}

fn drip(text: &str) -> Part {
    Part::Drip(text.as_bytes().to_vec(), Duration::from_millis(20))
}

fn bodies() -> Vec<(&'static str, Meets, Reply)> {
    let mebibyte = "x".repeat(1 << 20);
    let large = format!("{OK}Content-Length: 2000000\r\n\r\n{mebibyte}{mebibyte}");
    vec![
        ("a body with a length beyond the limit", Meets::Size, reply(&large)),
        ("a body that never ends", Meets::Size, reply(&format!("{OK}\r\n")).then(endless("x".repeat(4096)))),
        (
            "chunks that never end",
            Meets::Size,
            reply(&format!("{OK}Transfer-Encoding: chunked\r\n\r\n"))
                .then(endless("400\r\n".to_owned() + &"x".repeat(1024) + "\r\n")),
        ),
        (
            "a chunk size that never ends",
            Meets::Refusal,
            reply(&format!("{OK}Transfer-Encoding: chunked\r\n\r\n1")).then(endless(";x".repeat(2048))),
        ),
        (
            "trailers that never end",
            Meets::Refusal,
            reply(&format!("{OK}Transfer-Encoding: chunked\r\n\r\n0\r\n"))
                .then(endless("X: y\r\n".repeat(512))),
        ),
    ]
}

fn heads() -> Vec<(&'static str, Meets, Reply)> {
    let mebibyte = "x".repeat(1 << 20);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    vec![
        ("one header of several MiB", Meets::Refusal, reply(&format!("{OK}X: {}", mebibyte.repeat(4)))),
        ("headers that never end", Meets::Refusal, reply(OK).then(endless("X: y\r\n".repeat(512)))),
        ("two hundred headers", Meets::Refusal, reply(&format!("{OK}{many}\r\n"))),
        (
            "a status line that never ends",
            Meets::Refusal,
            reply("HTTP/1.1 200 ").then(endless("x".repeat(4096))),
        ),
        (
            "interim answers that never end",
            Meets::Time,
            reply("").then(endless("HTTP/1.1 100 Continue\r\n\r\n".repeat(64))),
        ),
        (
            "empty lines before the answer that never end",
            Meets::Refusal,
            reply("").then(endless("\r\n".repeat(2048))),
        ),
    ]
}

fn waits() -> Vec<(&'static str, Meets, Reply)> {
    vec![
        ("no answer", Meets::Time, reply("")),
        ("half a head", Meets::Time, reply("HTTP/1.1 200 OK\r\nContent-Le")),
        ("half a body", Meets::Time, reply(&whole("{}")[..70])),
        ("a head that drips", Meets::Time, reply("").then(drip(&whole(&"x".repeat(100))))),
        (
            "a body that drips",
            Meets::Time,
            reply(&format!("{OK}Content-Length: 1000\r\n\r\n")).then(drip(&"x".repeat(1000))),
        ),
    ]
}

fn h2_floods() -> Vec<(&'static str, Meets, Reply)> {
    let silent = |bytes: Vec<u8>| Reply::of(bytes, End::Silence);
    let large = vec![b'x'; 16_384];
    vec![
        ("a body over HTTP/2 that never ends", Meets::Size, {
            let head = h2::headers(1, 1 << 30);
            // The client's window lets so much through, no more.
            silent(head).then(Part::Bytes(h2::data(1, &large, false).repeat(80)))
        }),
        (
            "continuations that never end",
            Meets::Refusal,
            silent(h2::open_headers(1))
                .then(Part::Endless(h2::frame(h2::CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y']).repeat(64))),
        ),
        ("empty data that never ends", Meets::Refusal, {
            silent(h2::headers(1, 10)).then(Part::Endless(h2::data(1, b"", false).repeat(64)))
        }),
        ("no answer over HTTP/2", Meets::Time, silent(Vec::new())),
    ]
}

#[tokio::test]
async fn every_answer_without_end_meets_a_limit_and_may_have_been_carried_out() {
    let authority = Authority::new("wire");
    let all = [bodies(), heads(), waits()].concat().into_iter().map(|flood| ("http/1.1", flood));
    for (alpn, (what, meets, reply)) in all.chain(h2_floods().into_iter().map(|flood| ("h2", flood))) {
        let server = Wild::start(Some(authority.server(&[alpn])), When::Asked, move |_| reply.clone());
        let mut options = options(&server.origin("https"), &authority);
        // Whoever drips is faster than the one, and not done within the other.
        (options.read_timeout, options.total_timeout) = (SOON, SOON);
        if meets != Meets::Time {
            // What is to meet a limit of size must not be saved by the clock.
            (options.read_timeout, options.total_timeout) =
                (Duration::from_secs(20), Duration::from_secs(20));
        }
        let fault =
            carrying(Door::new(options).unwrap()).send(request(Method::PUT, "/")).await.expect_err(what);
        let text = fault.to_string();
        match (&fault, meets) {
            (SendFault::TooLarge { limit }, Meets::Size) => assert_eq!(*limit, 1 << 20, "{what}"),
            (SendFault::MaybeSent { .. }, Meets::Time) => {
                assert!(text.contains("timed out"), "{what}: {text}")
            }
            (SendFault::MaybeSent { .. }, Meets::Refusal) => {
                assert!(!text.contains("timed out"), "{what}: {text}");
            }
            _ => panic!("{what} was to meet {meets:?}: {fault:?}"),
        }
        assert_eq!(server.requests(), 1, "{what}: nothing is repeated");
    }
    assert_log_is_clean();
}
