//! The answer cut at every one of its bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ephemerald::engine::{ids::AccountId, observed::FaultClass};

use crate::{
    ACKED, LISTING, NO_MORE, WRITTEN,
    agent_side::{assert_log_is_clean, control, jumpcloud, put, report},
    certs::Authority,
    chunked, h2,
    pipe::End,
    until_closed, whole,
    wild::{Reply, When, Wild},
};

/// A server of one or several answers a call, one of which is cut where the test says.
struct Cutting {
    authority: Authority,
    server: Wild,
    at: Arc<AtomicUsize>,
    nth: Arc<AtomicUsize>,
    length: usize,
}

impl Cutting {
    fn start(alpn: &'static str, answer: impl Into<Vec<u8>>, end: End) -> Self {
        Self::of(alpn, vec![answer.into()], 0, end)
    }

    /// The `cut`th answer is cut; the others are whole and their connection is kept.
    fn of(alpn: &'static str, answers: Vec<Vec<u8>>, cut: usize, end: End) -> Self {
        let authority = Authority::new("wire");
        let (at, nth) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (place, number, length) = (Arc::clone(&at), Arc::clone(&nth), answers[cut].len());
        let tls = authority.server(&[alpn]);
        let server = Wild::start(Some(tls), When::Asked, move |_| {
            let (place, number) = (place.load(Ordering::SeqCst), number.fetch_add(1, Ordering::SeqCst));
            let answer = answers.get(number).map_or(&[][..], Vec::as_slice);
            if number == cut && place <= length {
                Reply::of(&answer[..place], end)
            } else {
                Reply::of(answer, End::Kept)
            }
        });
        Self { authority, server, at, nth, length }
    }

    /// Every place before the end; then the end.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let (at, nth) = (Arc::clone(&self.at), Arc::clone(&self.nth));
        (0..=self.length).inspect(move |place| {
            at.store(*place, Ordering::SeqCst);
            nth.store(0, Ordering::SeqCst);
        })
    }

    /// Nothing is cut any more.
    fn heal(&self) {
        self.at.store(usize::MAX, Ordering::SeqCst);
        self.nth.store(0, Ordering::SeqCst);
    }

    fn origin(&self) -> String {
        self.server.origin("https")
    }

    /// Each call was one request: nothing repeats by itself.
    fn assert_asked_once_each(&self, what: &str) {
        assert_eq!(self.server.requests(), self.length + 1, "{what}: one request a call");
    }
}

#[tokio::test]
async fn a_listing_cut_at_any_byte_is_an_error_and_never_a_shorter_listing() {
    for (what, shape, end) in [
        ("by length, reset", whole as fn(&str) -> String, End::Reset),
        ("by length, TLS goodbye", whole, End::Goodbye),
        ("in chunks, TLS goodbye", chunked, End::Goodbye),
        ("in chunks, FIN", chunked, End::Fin),
        ("until closed, reset", until_closed, End::Reset),
        ("until closed, TLS goodbye", until_closed, End::Goodbye),
    ] {
        for page in [0, 1] {
            let mut pages = [whole(LISTING).into_bytes(), whole(NO_MORE).into_bytes()];
            pages[page] = shape([LISTING, NO_MORE][page]).into_bytes();
            let cutting = Cutting::of("http/1.1", pages.to_vec(), page, end);
            let client = jumpcloud(&cutting.origin(), &cutting.authority);
            for place in cutting.places() {
                match client.list().await {
                    // The next page may meet the connection that was closed behind a whole answer.
                    Err(fault) => assert_eq!(fault.class, FaultClass::Ambiguous, "{what}, cut at {place}"),
                    Ok(listing) => {
                        assert_eq!(place, cutting.length, "page {page} {what}, cut at {place}: {listing:?}");
                        assert!(listing.complete && listing.accounts.len() == 2, "{what}: {listing:?}");
                    }
                }
            }
            println!("page {page} of a listing {what}: cut at each of {} bytes", cutting.length);
            if shape("") != until_closed("") {
                cutting.heal();
                let client = jumpcloud(&cutting.origin(), &cutting.authority);
                assert_eq!(client.list().await.map(|l| (l.complete, l.accounts.len())), Ok((true, 2)));
            }
        }
    }
    assert_log_is_clean();
}

#[tokio::test]
async fn a_write_whose_answer_is_cut_at_any_byte_may_have_happened() {
    for (what, answer, end) in [
        ("write by length, reset", whole(WRITTEN), End::Reset),
        ("write by length, FIN", whole(WRITTEN), End::Fin),
        ("write in chunks, TLS goodbye", chunked(WRITTEN), End::Goodbye),
        // Without TLS's goodbye the end of an answer that has no length can be forged.
        ("write until closed, FIN", until_closed(WRITTEN), End::Fin),
    ] {
        let cutting = Cutting::start("http/1.1", answer, end);
        let client = jumpcloud(&cutting.origin(), &cutting.authority);
        for place in cutting.places() {
            let written = put(&client).await;
            if place == cutting.length && !what.contains("until closed") {
                assert_eq!(written, Ok(()), "{what}: the whole answer is one");
            } else {
                let fault = written.expect_err(&format!("{what}, cut at {place}: done?"));
                assert_eq!(fault.class, FaultClass::Ambiguous, "{what}, cut at {place}");
                assert!(fault.may_have_happened());
            }
        }
        cutting.assert_asked_once_each(what);
        println!("{what}: cut at each of {} bytes", cutting.length);
    }
    assert_log_is_clean();
}

#[tokio::test]
async fn over_http_2_the_same_holds_at_every_byte() {
    let cutting = Cutting::start("h2", h2::answer(1, WRITTEN.as_bytes()), End::Reset);
    let client = jumpcloud(&cutting.origin(), &cutting.authority);
    for place in cutting.places() {
        match client.get(&AccountId::new("a1").unwrap()).await {
            Ok(_) => assert_eq!(place, cutting.length),
            Err(fault) => assert_eq!(fault.class, FaultClass::Ambiguous, "cut at {place}"),
        }
    }
    cutting.assert_asked_once_each("read over HTTP/2, reset");
    println!("read over HTTP/2, reset: cut at each of {} bytes", cutting.length);

    let cutting = Cutting::start("h2", h2::answer(1, WRITTEN.as_bytes()), End::Goodbye);
    let client = jumpcloud(&cutting.origin(), &cutting.authority);
    for place in cutting.places() {
        match put(&client).await {
            Ok(()) => assert_eq!(place, cutting.length),
            Err(fault) => assert_eq!(fault.class, FaultClass::Ambiguous, "cut at {place}"),
        }
    }
    cutting.assert_asked_once_each("write over HTTP/2, TLS goodbye");
    println!("write over HTTP/2, TLS goodbye: cut at each of {} bytes", cutting.length);
    assert_log_is_clean();
}

#[tokio::test]
async fn a_report_whose_answer_is_cut_at_any_byte_is_not_acknowledged() {
    for (what, answer, end) in [
        ("report by length, reset", whole(ACKED), End::Reset),
        ("report in chunks, TLS goodbye", chunked(ACKED), End::Goodbye),
        ("report until closed, TLS goodbye", until_closed(ACKED), End::Goodbye),
    ] {
        let cutting = Cutting::start("http/1.1", answer, end);
        let client = control(&cutting.origin(), &cutting.authority);
        for place in cutting.places() {
            // Only what stands in `acked` leaves the outbox: no answer, no leaving.
            match client.report(&[report()]).await {
                Ok(answer) => {
                    assert!(place == cutting.length && answer.acked == [7], "{what}, cut at {place}")
                }
                Err(error) => assert!(place < cutting.length, "{what}: the whole answer is one: {error}"),
            }
        }
        cutting.assert_asked_once_each(what);
        println!("{what}: cut at each of {} bytes", cutting.length);
    }
}
