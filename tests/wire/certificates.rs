//! Servers that cannot prove who they are: nothing is said to them, and the operator is told what to do.

use std::sync::Arc;

use ephemerald::{engine::observed::FaultClass, http::SendFault};
use reqwest::Method;
use rustls::ServerConfig;

use crate::{
    agent_side::{assert_clean, assert_log_is_clean, control, door, jumpcloud, put, report, request},
    certs::{self, Authority},
    pipe::End,
    whole,
    wild::{Reply, When, Wild},
};

/// What is wrong, the server, what the error must say.
fn impostors(authority: &Authority) -> Vec<(&'static str, Arc<ServerConfig>, [&'static str; 2])> {
    let of = |edit: fn(&mut rcgen::CertificateParams)| authority.server_with(&["http/1.1"], edit);
    let untrusted = "not signed by a trusted authority";
    vec![
        ("expired", of(certs::expired), ["expired", "renew it, or set this machine's clock"]),
        ("not yet valid", of(certs::not_yet_valid), ["not valid yet", "set this machine's clock"]),
        ("another name", of(certs::of_another_name), ["not valid for name", "the URL must name the server"]),
        ("for clients only", of(certs::for_clients_only), ["certificate", "needs one for servers"]),
        ("self-signed", certs::self_signed(), [untrusted, "private CA"]),
        ("another authority", Authority::new("other").server(&["http/1.1"]), [untrusted, "private CA"]),
        (
            "an authority of the same name",
            Authority::new("wire").server(&["http/1.1"]),
            [untrusted, "renewed"],
        ),
        (
            "a missing intermediate",
            authority.server_of_a_hidden_intermediate(),
            [untrusted, "does not send its intermediate certificate"],
        ),
    ]
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_is_told_nothing_and_the_error_says_what_to_do() {
    let authority = Authority::new("wire");
    for (what, tls, says) in impostors(&authority) {
        let server = Wild::start(Some(tls), When::Asked, |_| Reply::of(whole("{}"), End::Kept));
        let origin = server.origin("https");
        let fault = door(&origin, &authority).send(request(Method::PUT, "/")).await.unwrap_err();
        let text = fault.to_string();
        assert!(matches!(fault, SendFault::NotSent { .. }), "{what}: {text}");
        assert!(says.iter().all(|word| text.contains(word)), "{what}: {says:?} in {text:?}");
        let client = jumpcloud(&origin, &authority);
        assert_eq!(client.list().await.unwrap_err().class, FaultClass::NotSent, "{what}");
        assert_eq!(put(&client).await.unwrap_err().class, FaultClass::NotSent, "{what}");
        let error = control(&origin, &authority).report(&[report()]).await.unwrap_err().to_string();
        assert!(says.iter().all(|word| error.contains(word)), "{what}: {error}");

        assert_eq!((server.connections(), server.requests()), (4, 0), "{what}");
        assert_eq!(server.heard(), "", "{what}: not a byte of a request");
        assert_clean("what it received", &server.raw());
        assert_clean("an error", format!("{fault:?} {error}").as_bytes());
    }
    assert_log_is_clean();
}

#[tokio::test]
async fn a_server_that_speaks_only_an_old_tls_is_told_nothing() {
    let authority = Authority::new("wire");
    // ServerHello of TLS 1.1 with a suite that the client does not even have; and the alert that a server
    // gives which cannot go up to what the client offers.
    let body = [&[3, 2][..], &[9; 32], &[0, 0xc0, 0x13, 0]].concat();
    let hello = [&[0x16, 3, 2, 0, 42, 2, 0, 0, 38][..], &body].concat();
    let alert = vec![0x15, 3, 2, 0, 2, 2, 70];
    for (what, said) in [("TLS 1.1", hello), ("an alert", alert)] {
        let server = Wild::start(None, When::Connected, move |_| Reply::of(said.clone(), End::Fin));
        let fault =
            door(&server.origin("https"), &authority).send(request(Method::PUT, "/")).await.unwrap_err();
        let text = fault.to_string();
        assert!(matches!(fault, SendFault::NotSent { .. }), "{what}: {text}");
        assert!(text.contains("TLS 1.2 nor 1.3"), "{what}: {text}");
        assert_clean("what it received", &server.raw());
    }
}

#[tokio::test]
async fn a_server_without_tls_at_an_https_address_is_told_nothing() {
    let authority = Authority::new("wire");
    for said in [whole("{}"), "HTTP/1.1 400 plain HTTP\r\n\r\n".to_owned(), "\0\0\0".to_owned()] {
        let server = Wild::start(None, When::Connected, move |_| Reply::of(said.clone(), End::Fin));
        let fault =
            door(&server.origin("https"), &authority).send(request(Method::PUT, "/")).await.unwrap_err();
        assert!(matches!(fault, SendFault::NotSent { .. }), "{fault}");
        assert_clean("what it received", &server.raw());
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_certainly_not_sent() {
    // RFC 6761: no resolver answers for it.
    let authority = Authority::new("wire");
    let fault =
        door("https://jumpcloud.invalid", &authority).send(request(Method::PUT, "/")).await.unwrap_err();
    assert!(matches!(fault, SendFault::NotSent { .. }), "{fault}");
    assert!(fault.to_string().contains("dns"), "{fault}");
    assert_clean("an error", format!("{fault:?}").as_bytes());
}
