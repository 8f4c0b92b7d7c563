//! A connection that is kept for the next request: what was left on it is nobody's answer, and what
//! breaks on it is not sent again.

use ephemerald::engine::{ids::AccountId, observed::FaultClass};
use reqwest::Method;

use crate::{
    WRITTEN,
    agent_side::{assert_log_is_clean, door, jumpcloud, put, request},
    certs::Authority,
    chunked, h2,
    pipe::End,
    whole,
    wild::{Reply, When, Wild},
};

/// How often each race is run.
const ROUNDS: usize = 100;

#[tokio::test]
async fn bytes_behind_an_answer_are_never_the_answer_to_the_next_request() {
    let authority = Authority::new("wire");
    for (what, first) in [
        ("by length", whole("first") + &whole("smuggled")),
        ("in chunks", chunked("first one") + &whole("smuggled")),
        (
            "by a length that is too short",
            whole("first") + "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        ),
        ("of no length", "HTTP/1.1 204 No Content\r\n\r\n".to_owned() + &whole("smuggled")),
    ] {
        let tls = authority.server(&["http/1.1"]);
        let server = Wild::start(Some(tls), When::Asked, move |n| {
            Reply::of(if n.is_multiple_of(2) { first.clone() } else { whole("second") }, End::Kept)
        });
        let door = door(&server.origin("https"), &authority);
        for round in 0..ROUNDS {
            let one = door.send(request(Method::GET, "/first")).await.unwrap();
            assert!(one.status == 204 || one.body.starts_with(b"first"));
            // At once: before anybody had time to look what else lies there.
            let two = door.send(request(Method::GET, "/second")).await;
            assert_eq!(two.map(|answer| answer.body).unwrap(), b"second", "{what}, round {round}");
        }
        assert_eq!(server.requests(), 2 * ROUNDS, "{what}");
    }
}

#[tokio::test]
async fn a_write_on_a_kept_connection_that_breaks_may_have_happened_and_is_sent_once() {
    let authority = Authority::new("wire");
    for end in [End::Reset, End::Fin, End::Goodbye] {
        for alpn in ["http/1.1", "h2"] {
            let tls = authority.server(&[alpn]);
            let good =
                if alpn == "h2" { h2::answer(1, WRITTEN.as_bytes()) } else { whole(WRITTEN).into_bytes() };
            let server = Wild::start(Some(tls), When::Asked, move |n| {
                if n.is_multiple_of(2) { Reply::of(good.clone(), End::Kept) } else { Reply::of("", end) }
            });
            let client = jumpcloud(&server.origin("https"), &authority);
            for round in 1..=20 {
                client.get(&AccountId::new("a1").unwrap()).await.unwrap();
                let fault = put(&client).await.unwrap_err();
                assert_eq!(fault.class, FaultClass::Ambiguous, "{alpn}, {end:?}");
                assert_eq!((server.requests(), server.connections()), (2 * round, round), "{alpn}, {end:?}");
            }
        }
    }
    assert_log_is_clean();
}

#[tokio::test]
async fn a_write_that_meets_a_connection_just_closed_is_sent_at_most_once() {
    let authority = Authority::new("wire");
    for end in [End::Reset, End::Goodbye] {
        let tls = authority.server(&["http/1.1"]);
        // Said to be kept, and closed all the same.
        let server = Wild::start(Some(tls), When::Asked, move |_| Reply::of(whole(WRITTEN), end));
        let client = jumpcloud(&server.origin("https"), &authority);
        for round in 1..=ROUNDS {
            let before = server.requests();
            match put(&client).await {
                // A connection that was seen to be closed before anything was written is not used.
                Ok(()) => assert_eq!(server.requests(), before + 1, "{end:?}, round {round}"),
                Err(fault) => {
                    assert_eq!(fault.class, FaultClass::Ambiguous, "{end:?}, round {round}");
                    assert_eq!(server.requests(), before, "{end:?}, round {round}");
                }
            }
        }
    }
}
