//! Answers that contradict themselves, or are not HTTP: no read may believe them, no write may take
//! them for "done" or for "not sent".

use ephemerald::engine::observed::FaultClass;

use crate::{
    LISTING, WRITTEN,
    agent_side::{assert_log_is_clean, control, door, jumpcloud, put, report, request},
    certs::Authority,
    pipe::End,
    whole,
    wild::{Reply, When, Wild},
};

/// Each said after the whole request, then TLS's goodbye.
fn bad_answers(body: &str) -> Vec<(&'static str, Vec<u8>)> {
    let length = body.len();
    let with = |head: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").into_bytes();
    let says = |length: &str| with(&format!("Content-Length: {length}"), body);
    let in_chunks = |chunks: &str| with("Transfer-Encoding: chunked", chunks);
    let nested = "[".repeat(200_000);
    vec![
        ("a length that is longer than the body", says(&(length + 1).to_string())),
        ("a length that is shorter than the body", says(&(length - 1).to_string())),
        ("two lengths that differ", with(&format!("Content-Length: {length}\r\nContent-Length: 2"), body)),
        ("two lengths in one line", says(&format!("2, {length}"))),
        ("a length in letters", says("many")),
        ("a negative length", says("-1")),
        ("a length with a sign", says(&format!("+{length}"))),
        ("a length beyond 64 bits", says("99999999999999999999999")),
        ("a chunk size that is no number", in_chunks(&format!("xyz\r\n{body}\r\n0\r\n\r\n"))),
        ("a chunk size beyond 64 bits", in_chunks(&format!("FFFFFFFFFFFFFFFFF\r\n{body}\r\n0\r\n\r\n"))),
        ("a chunk that is longer than its size", in_chunks(&format!("2\r\n{body}\r\n0\r\n\r\n"))),
        ("chunks without the last one", in_chunks(&format!("{length:x}\r\n{body}\r\n"))),
        ("chunks said, none sent", in_chunks(body)),
        (
            "a body in an encoding nobody asked for",
            with("Content-Encoding: gzip\r\nContent-Length: 4", "\x1f\u{8}{}"),
        ),
        ("JSON twice", whole(&format!("{body}{body}")).into_bytes()),
        ("JSON too deep", whole(&nested).into_bytes()),
        ("a sign-in page", whole("<html>sign in</html>").into_bytes()),
        ("HTTP/0.9", body.as_bytes().to_vec()),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a version from the future", format!("HTTP/3.0 200 OK\r\n\r\n{body}").into_bytes()),
        ("a status that is none", format!("HTTP/1.1 20 OK\r\n\r\n{body}").into_bytes()),
        (
            "a switch of protocols",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
        ),
        ("an interim answer and no other", b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()),
        ("a header line without a colon", with("Content-Length 2", "{}")),
        ("a header with a NUL", with("X: a\0b", body)),
        ("zeros", vec![0; 4096]),
        ("HTTP/2 frames to a request of HTTP/1.1", b"\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("nothing", Vec::new()),
    ]
}

#[tokio::test]
async fn an_answer_that_contradicts_itself_is_no_listing_no_success_and_not_unsent() {
    let authority = Authority::new("wire");
    for ((what, listing), (_, written)) in bad_answers(LISTING).into_iter().zip(bad_answers(WRITTEN)) {
        let said = [listing, written.clone(), written];
        let tls = authority.server(&["http/1.1"]);
        let server =
            Wild::start(Some(tls), When::Asked, move |n| Reply::of(said[n.min(2)].clone(), End::Goodbye));
        let client = jumpcloud(&server.origin("https"), &authority);
        let read = client.list().await.expect_err(what);
        assert_eq!(read.class, FaultClass::Ambiguous, "{what}");
        // Each on a connection of its own: the last one is being closed.
        let client = jumpcloud(&server.origin("https"), &authority);
        let write = put(&client).await.expect_err(what);
        assert_eq!(write.class, FaultClass::Ambiguous, "{what}");
        let control = control(&server.origin("https"), &authority);
        control.report(&[report()]).await.expect_err(what);
        assert_eq!(server.requests(), 3, "{what}: nothing is repeated");
    }
    assert_log_is_clean();
}

#[tokio::test]
async fn no_encoding_is_asked_for_and_a_bomb_stays_as_small_as_it_came() {
    let authority = Authority::new("wire");
    let bomb = bomb(64 << 20);
    assert!(bomb.len() < 512 << 10, "{}", bomb.len());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
    let said = [head.into_bytes(), bomb.clone()].concat();
    let tls = authority.server(&["http/1.1"]);
    let server = Wild::start(Some(tls), When::Asked, move |_| Reply::of(said.clone(), End::Kept));
    let answer = door(&server.origin("https"), &authority).send(request(reqwest::Method::GET, "/")).await;
    assert!(answer.unwrap().body == bomb, "as it came");
    let read = jumpcloud(&server.origin("https"), &authority).list().await.unwrap_err();
    assert_eq!(read.class, FaultClass::Ambiguous);
    assert!(!server.heard().to_ascii_lowercase().contains("accept-encoding"), "{}", server.heard());
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_never_taken_for_a_part_of_it() {
    let authority = Authority::new("wire");
    for when in [When::Connected, When::Head] {
        for (body, end) in
            [(WRITTEN, End::Fin), (WRITTEN, End::Reset), ("<html>", End::Goodbye), ("<html>", End::Reset)]
        {
            let tls = authority.server(&["http/1.1"]);
            let server = Wild::start(Some(tls), when, move |_| Reply::of(whole(body), end));
            let client = jumpcloud(&server.origin("https"), &authority);
            for _ in 0..20 {
                let written = put(&client).await;
                // It may be the answer if it came just in time; it is never "not sent".
                let class = written.map_err(|fault| fault.class);
                assert!(
                    class == Err(FaultClass::Ambiguous) || (class == Ok(()) && body == WRITTEN),
                    "{class:?}"
                );
            }
            assert!(server.requests() <= 20, "{when:?}: nothing is repeated");
        }
    }
    assert_log_is_clean();
}

/// `size` zeros in the gzip format (RFC 1951, section 3.2.6: fixed codes), by hand.
fn bomb(size: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let mut code = |value: u16, length: u32| bits.extend((0..length).rev().map(|n| value >> n & 1 == 1));
    code(0b1, 1);
    code(0b10, 2);
    code(0x30, 8);
    for _ in 0..size / 258 {
        // 258 bytes from one byte back.
        code(0b1100_0101, 8);
        code(0, 5);
    }
    code(0, 7);
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    bomb.extend(bits.chunks(8).map(byte));
    bomb.extend_from_slice(&[0; 8]);
    bomb
}
