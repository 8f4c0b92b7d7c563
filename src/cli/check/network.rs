//! The way to one origin: name, port, the proxy's consent, TLS, whose answer it is; in this order, with
//! nothing sent that proves who we are, but to the proxy.

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Method, Url,
    header::{ACCEPT, DATE, HeaderValue},
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    super::Exit,
    report::{Part, Verdict},
};
use crate::{
    clock,
    engine::time::Timestamp,
    http::{Answer, Door, Request, SendFault, Shown},
};

const PATIENCE: Duration = Duration::from_secs(5);
/// A certificate that ends sooner than this is worth a warning: most are renewed a month before.
const SOON_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// How far our clock was ahead of the server's, if it told its own. `None` when there is no way.
pub(super) struct Reached {
    pub(super) ahead_ms: Option<i64>,
}

/// Goes as far as it gets, through the door's proxy if it has one; `api` is a path where no web page belongs.
pub(super) async fn reach(door: &Door, api: Option<&str>, part: &mut Part<'_>) -> Option<Reached> {
    let (host, port, by) = match door.proxy() {
        Some(proxy) => (proxy.host().to_owned(), proxy.port(), " (the proxy)"),
        None => {
            let origin = Url::parse(door.origin()).ok()?;
            let host = origin.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
            (host, origin.port_or_known_default()?, "")
        }
    };
    let addresses = match timeout(PATIENCE, lookup_host((host.as_str(), port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            let advice = "check the URL's spelling and this machine's DNS";
            part.step("DNS", Verdict::fail(Exit::Transient, format!("{host}{by}: {error}"), advice));
            return None;
        }
        Err(_) => {
            let found = format!("{host}{by}: no answer within 5 s");
            part.step("DNS", Verdict::fail(Exit::Transient, found, "check this machine's DNS"));
            return None;
        }
    };
    part.step("DNS", Verdict::ok(format!("{host}{by}: {}", counted(&addresses))));
    match connected(&addresses).await {
        Ok(how) => part.step("TCP", Verdict::ok(format!("{host}:{port}{by}: {how}"))),
        Err(problem) => {
            let found = format!("{host}:{port}{by}: {problem}");
            let advice =
                "is it up, and does a firewall let this machine out? A proxy is set with control_plane.proxy";
            part.step("TCP", Verdict::fail(Exit::Transient, found, advice));
            return None;
        }
    }
    if let Some(proxy) = door.proxy() {
        match proxy.ask(PATIENCE).await {
            Ok(found) => part.step("tunnel", Verdict::ok(found)),
            Err(problem) => {
                part.step("tunnel", Verdict::fail(Exit::Refused, problem, "see docs/networks.md"));
                return None;
            }
        }
    }
    knock(door, api, part).await
}

fn counted(addresses: &[SocketAddr]) -> String {
    let six = addresses.iter().filter(|address| address.is_ipv6()).count();
    match (addresses.len() - six, six) {
        (four, 0) => format!("{four} addresses"),
        (0, six) => format!("{six} addresses, IPv6 only"),
        (four, six) => format!("{four} addresses, and {six} of IPv6"),
    }
}

/// Each family apart: one that is dead delays every connection, and shows nowhere else.
async fn connected(addresses: &[SocketAddr]) -> Result<String, String> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(SocketAddr::is_ipv6);
    match tokio::join!(connect(&four), connect(&six)) {
        (None, None) => Err("no address".to_owned()),
        (Some(Ok(())), None | Some(Ok(()))) | (None, Some(Ok(()))) => Ok("connected".to_owned()),
        (Some(Ok(())), Some(Err(dead))) => Ok(format!("connected over IPv4; IPv6 is dead ({dead})")),
        (Some(Err(dead)), Some(Ok(()))) => Ok(format!("connected over IPv6; IPv4 is dead ({dead})")),
        (Some(Err(problem)), None) | (None, Some(Err(problem))) => Err(problem),
        (Some(Err(four)), Some(Err(six))) if four == six => Err(four),
        (Some(Err(four)), Some(Err(six))) => Err(format!("IPv4: {four}; IPv6: {six}")),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Option<Result<(), String>> {
    if addresses.is_empty() {
        return None;
    }
    Some(match timeout(PATIENCE, TcpStream::connect(addresses)).await {
        Ok(made) => made.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err("no answer within 5 s".to_owned()),
    })
}

/// A request without credentials: any answer at all shows that the TLS session stands.
async fn knock(door: &Door, api: Option<&str>, part: &mut Part<'_>) -> Option<Reached> {
    let request = Request {
        method: if api.is_some() { Method::GET } else { Method::HEAD },
        path: api.unwrap_or("/").to_owned(),
        headers: vec![(ACCEPT, HeaderValue::from_static("application/json"))],
        body: None,
        total_timeout: Some(PATIENCE),
    };
    let answer = door.send(request).await;
    let problem = match &answer {
        Ok(_) | Err(SendFault::TooLarge { .. }) => None,
        Err(SendFault::NotSent { why } | SendFault::MaybeSent { why }) => Some(why),
    };
    if let Some(why) = problem {
        let (exit, advice) = if why.contains("certificate") {
            (
                Exit::Config,
                "for a private CA name its PEM file: control_plane.ca_file, or ssl_ca_cert in the connection file",
            )
        } else {
            (Exit::Transient, "is this the right port, and does it speak TLS?")
        };
        part.step("TLS", Verdict::fail(exit, why.as_str(), advice));
        return None;
    }
    part.step("TLS", trusted(door.shown().as_ref(), clock::now().wall));
    let answer = answer.ok();
    let judged = answer.as_ref().filter(|_| api.is_some());
    if let Some(sign) = judged.and_then(|answer| door.foreign(answer)) {
        part.step("answer", foreign(&sign));
        return None;
    }
    let server = answer.as_ref().and_then(date);
    Some(Reached { ahead_ms: server.map(|server| clock::now().wall.0 - server) })
}

/// Somebody else answers.
pub(super) fn foreign(sign: &str) -> Verdict {
    let advice = "sign in to the network, or ask its owner to let this host through unchanged";
    Verdict::fail(Exit::Transient, sign, advice)
}

fn trusted(shown: Option<&Shown>, now: Timestamp) -> Verdict {
    let Some(Shown { issuer, ends_at, .. }) = shown else {
        return Verdict::ok("none: plain HTTP on loopback");
    };
    let day = jiff::Timestamp::from_millisecond(*ends_at).map(|end| end.strftime("%F").to_string());
    let day = day.unwrap_or_else(|_| "an unknown day".to_owned());
    let found = format!("certificate trusted, issued by {issuer}, until {day}");
    if ends_at - now.0 < SOON_MS {
        return Verdict::warn(found, "it must be renewed by then: when it has run out, nothing can be sent");
    }
    Verdict::ok(found)
}

/// The server's clock. A date has whole seconds: on the average it is half a second behind.
fn date(answer: &Answer) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(answer.headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(date.timestamp().as_millisecond() + 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::report::Report;

    #[test]
    fn the_issuer_and_the_end_are_told_and_an_end_that_is_near_is_a_warning() {
        let now = Timestamp(1_893_456_000_000);
        let said = |days: i64| {
            let ends_at = now.0 + days * 24 * 60 * 60 * 1000;
            let shown = Shown { subject: "CN=a".to_owned(), issuer: "CN=Corp".to_owned(), ends_at };
            let mut report = Report::default();
            report.part("p").step("TLS", trusted(Some(&shown), now));
            report.render()
        };
        assert!(said(90).contains("issued by CN=Corp, until 2030-04-01"), "{}", said(90));
        assert!(!said(90).contains("WARN") && said(6).contains("WARN"), "{}", said(6));
    }

    #[tokio::test]
    async fn a_family_that_is_dead_is_told_and_the_other_one_is_enough() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = open.local_addr().unwrap().port();
        let both = ["127.0.0.1", "::1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
        let said = connected(&both).await.unwrap();
        assert!(said.contains("over IPv4; IPv6 is dead"), "{said}");
        assert!(connected(&both[1..]).await.is_err());
        assert_eq!(connected(&both[..1]).await.unwrap(), "connected");
    }
}
