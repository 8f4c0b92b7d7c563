//! The way to one origin: name, port, TLS, in this order, with nothing sent that proves who we are.

use std::time::Duration;

use reqwest::{Method, Url, header::DATE};
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
    http::{Door, Request, SendFault},
};

const PATIENCE: Duration = Duration::from_secs(5);

/// How far our clock was ahead of the server's, if it told its own. `None` when there is no way.
pub(super) struct Reached {
    pub(super) ahead_ms: Option<i64>,
}

/// Goes as far as it gets, through the proxy of this URL if there is one.
pub(super) async fn reach(proxy: Option<String>, door: &Door, part: &mut Part<'_>) -> Option<Reached> {
    let first = Url::parse(proxy.as_deref().unwrap_or_else(|| door.origin())).ok()?;
    let by = if proxy.is_some() { " (the proxy)" } else { "" };
    let host = first.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let port = first.port_or_known_default()?;
    let looked_up = timeout(PATIENCE, lookup_host((host, port))).await;
    let addresses: Vec<_> = match looked_up {
        Ok(Ok(found)) => found.collect(),
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
    part.step("DNS", Verdict::ok(format!("{host}{by}: {} addresses", addresses.len())));
    let connected = timeout(PATIENCE, TcpStream::connect(&*addresses)).await;
    let refused = match connected {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer within 5 s".to_owned()),
    };
    if let Some(problem) = refused {
        let found = format!("{host}:{port}{by}: {problem}");
        let advice =
            "is it up, and does a firewall let this machine out? A proxy is set with control_plane.proxy";
        part.step("TCP", Verdict::fail(Exit::Transient, found, advice));
        return None;
    }
    part.step("TCP", Verdict::ok(format!("{host}:{port}{by}: connected")));
    knock(door, part).await
}

/// A request without credentials: any answer at all shows that the TLS session stands.
async fn knock(door: &Door, part: &mut Part<'_>) -> Option<Reached> {
    let request = Request {
        method: Method::HEAD,
        path: "/".to_owned(),
        headers: Vec::new(),
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
    let plain = door.origin().starts_with("http:");
    part.step("TLS", Verdict::ok(if plain { "none: plain HTTP on loopback" } else { "certificate trusted" }));
    let date = answer.ok().and_then(|answer| answer.headers.get(DATE).cloned());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok());
    // A date has whole seconds: on the average it is half a second behind.
    let server = date.map(|date| date.timestamp().as_millisecond() + 500);
    Some(Reached { ahead_ms: server.map(|server| clock::now().wall.0 - server) })
}
