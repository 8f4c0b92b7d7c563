//! Answers that somebody else gives in a server's name: told as that, on both channels.

use std::{net::Ipv4Addr, sync::Arc};

use ephemerald::{
    clock,
    control::{
        client::{Client as Control, ControlError, Speaker},
        keys::KeyPair,
        wire::{HeartbeatRequest, JobState},
    },
    engine::{
        ids::{AgentId, JobId},
        observed::FaultClass,
    },
    http::{Door, Request},
    jumpcloud::{Client, Connection, Setup},
    secrets::Secret,
};
use reqwest::Method;

use crate::{
    authority::Authority,
    bench::{Server, options, says},
};

const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";
const LOGIN: &str =
    "HTTP/1.1 302 Found\r\nlocation: https://login.hotel.example/?to=x\r\ncontent-length: 0\r\n\r\n";

async fn portal(authority: &Authority, answer: &'static str) -> Server {
    Server::at((Ipv4Addr::LOCALHOST, 0).into(), authority.server(&["127.0.0.1"]), answer).await
}

#[tokio::test]
async fn a_captive_portal_is_told_as_one_and_not_as_a_refusal() {
    let authority = Authority::new("servers");
    for (answer, sign) in [(PAGE, "200 with a web page"), (LOGIN, "302, a redirect to login.hotel.example")] {
        let server = portal(&authority, answer).await;
        let door = Door::new(options(&server.origin(), &authority.pem)).unwrap();
        let request = Request {
            method: Method::GET,
            path: "/".to_owned(),
            headers: Vec::new(),
            body: None,
            total_timeout: None,
        };
        let told = door.foreign(&door.send(request).await.unwrap()).unwrap();
        says(&told, &["an answer that is not from 127.0.0.1", sign, "captive portal"]);

        let speaker = Speaker { instance: "networks".to_owned(), epoch: 1 };
        let (key, agent) = (KeyPair::from_seed(&[7; 32]), AgentId::new("agent-networks").unwrap());
        let control = Control::new(Arc::new(door), key, &agent, speaker, clock::now);
        let asked = HeartbeatRequest { state: JobState::Accepted, revoke_only: false };
        let error = control.heartbeat(&JobId::new("job").unwrap(), &asked).await.unwrap_err();
        assert!(matches!(error, ControlError::Foreign { .. }) && !error.needs_a_person(), "{error}");
        says(&error.to_string(), &["/v1/agent/jobs/job/heartbeat", sign, "captive portal"]);
    }
}

#[tokio::test]
async fn a_portal_s_page_is_no_listing_and_no_proof_of_absence() {
    let authority = Authority::new("servers");
    let server = portal(&authority, PAGE).await;
    let pem = serde_json::to_string(&authority.pem).unwrap();
    let json = format!(
        r#"{{"url": "{}", "token": "jca_networks_captive", "ssl_ca_cert_content": {pem}, "ssl_ca_only": true}}"#,
        server.origin()
    );
    let connection = Connection::parse(&Secret::new(json), "networks.json").unwrap();
    let setup = Setup { proxy: None, page_size: 100, rate_per_second: 100, clock: clock::now };
    let client = Client::new(&connection, &setup).unwrap();
    assert_eq!(client.list().await.unwrap_err().class, FaultClass::Ambiguous);
}
