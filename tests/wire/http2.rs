//! HTTP/2: the door offers it, and a server that takes it may refuse, go away or lie in frames.

use ephemerald::{engine::observed::FaultClass, http::SendFault};
use reqwest::Method;

use crate::{
    LISTING, WRITTEN,
    agent_side::{assert_clean, assert_log_is_clean, door, jumpcloud, put, request},
    certs::Authority,
    h2,
    pipe::End,
    whole,
    wild::{Reply, When, Wild},
};

#[tokio::test]
async fn the_server_chooses_between_http_2_and_http_1_1() {
    let authority = Authority::new("wire");
    for (alpn, speaks_h2) in
        [(&["h2", "http/1.1"][..], true), (&["h2"], true), (&["http/1.1"], false), (&[], false)]
    {
        let server = Wild::start(Some(authority.server(alpn)), When::Asked, move |_| {
            Reply::of(if speaks_h2 { h2::answer(1, b"yes") } else { whole("yes").into_bytes() }, End::Kept)
        });
        let answer =
            door(&server.origin("https"), &authority).send(request(Method::GET, "/a")).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"yes"[..]));
        assert_eq!(server.heard().starts_with("PRI * HTTP/2.0"), speaks_h2, "{alpn:?}");
    }
    // What the door does not offer is not spoken.
    let server = Wild::start(Some(authority.server(&["http/1.0"])), When::Asked, |_| Reply::of("", End::Fin));
    let fault = door(&server.origin("https"), &authority).send(request(Method::GET, "/a")).await.unwrap_err();
    assert!(matches!(fault, SendFault::NotSent { .. }), "{fault}");
    assert_eq!(server.heard(), "");
}

#[tokio::test]
async fn a_stream_that_is_refused_is_not_repeated_by_the_library() {
    let refused = |code: u32| h2::frame(h2::RST_STREAM, 0, 1, &code.to_be_bytes());
    let goes_away = |last: u32, code: u32| {
        h2::frame(h2::GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
    };
    let half = |body: &str| [h2::headers(1, body.len()), h2::data(1, &body.as_bytes()[..20], false)].concat();
    let authority = Authority::new("wire");
    let mut heard = 0;
    for (what, said) in [
        ("REFUSED_STREAM", Box::new(move |_: &str| refused(7)) as Box<dyn Fn(&str) -> Vec<u8>>),
        ("CANCEL", Box::new(move |_| refused(8))),
        ("INTERNAL_ERROR", Box::new(move |_| refused(2))),
        ("NO_ERROR", Box::new(move |_| refused(0))),
        ("HTTP_1_1_REQUIRED", Box::new(move |_| refused(13))),
        ("GOAWAY before the stream", Box::new(move |_| goes_away(0, 0))),
        ("GOAWAY with an error", Box::new(move |_| goes_away(0, 1))),
        ("GOAWAY after the stream, and no answer", Box::new(move |_| goes_away(1, 0))),
        (
            "a body that is cut by a reset of its stream",
            Box::new(move |body| [half(body), refused(8)].concat()),
        ),
        ("a body that is cut without an error", Box::new(move |body| [half(body), refused(0)].concat())),
        (
            "a body shorter than its length",
            Box::new(|body| [h2::headers(1, body.len() + 1), h2::data(1, body.as_bytes(), true)].concat()),
        ),
        (
            "a body longer than its length",
            Box::new(|body| [h2::headers(1, body.len() - 1), h2::data(1, body.as_bytes(), true)].concat()),
        ),
        ("data before headers", Box::new(|body| h2::data(1, body.as_bytes(), true))),
        ("an answer to another stream", Box::new(|body| h2::answer(3, body.as_bytes()))),
        ("a frame beyond the size that is allowed", Box::new(|_| h2::data(1, &[b'x'; 20_000], true))),
        ("HTTP/1.1", Box::new(|body| whole(body).into_bytes())),
    ] {
        let (listing, written) = (said(LISTING), said(WRITTEN));
        let server = Wild::start(Some(authority.server(&["h2"])), When::Asked, move |n| {
            Reply::of(if n == 0 { listing.clone() } else { written.clone() }, End::Goodbye)
        });
        let client = jumpcloud(&server.origin("https"), &authority);
        assert_eq!(client.list().await.expect_err(what).class, FaultClass::Ambiguous, "{what}");
        assert_eq!(put(&client).await.expect_err(what).class, FaultClass::Ambiguous, "{what}");
        // The second call may meet a connection that is just closing, and is then never heard of.
        assert!((1..=2).contains(&server.requests()), "{what}: two calls, {} requests", server.requests());
        heard += server.requests();
    }
    assert!(heard > 24, "of 32 requests {heard} were heard");
    assert_log_is_clean();
}

#[tokio::test]
async fn a_redirect_over_http_2_is_not_followed_either() {
    let authority = Authority::new("wire");
    let thief = Wild::start(Some(authority.server(&["h2"])), When::Asked, |_| Reply::of("", End::Fin));
    let elsewhere = format!("{}/x", thief.origin("https"));
    for status in [301, 302, 303, 307, 308] {
        let to = elsewhere.clone();
        let server = Wild::start(Some(authority.server(&["h2"])), When::Asked, move |_| {
            Reply::of(h2::redirect(1, status, &to), End::Kept)
        });
        let client = jumpcloud(&server.origin("https"), &authority);
        let fault = put(&client).await.unwrap_err();
        assert_eq!((fault.class, fault.status), (FaultClass::Redirected, Some(status)));
        assert_eq!((server.requests(), thief.connections()), (1, 0), "{status}");
    }
    assert_clean("what the other server heard", &thief.raw());
    assert_log_is_clean();
}
