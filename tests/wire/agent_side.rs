//! What stands on the agent's side of the wire: its own door and clients, pointed at a bad server, and
//! the canaries that must come nowhere else.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use ephemerald::{
    clock,
    control::{
        client::{Client as Control, Speaker},
        keys::KeyPair,
        wire::{Code, Report, Utc},
    },
    engine::{
        action::RoleField,
        codes::ResultCode,
        ids::{AccountId, AgentId, JobId, RoleName},
        observed::Fault,
        time::Timestamp,
    },
    http::{Door, DoorOptions, Request},
    jumpcloud::{Client, Connection, Setup},
    secrets::Secret,
};
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use tracing_subscriber::fmt::MakeWriter;

use crate::{certs::Authority, wild::find};

/// The API key.
pub(crate) const KEY: &str = "jca_wire_canary_key";
/// What stands in `Authorization`.
pub(crate) const BEARER: &str = "Bearer wire_canary_bearer";

pub(crate) fn options(origin: &str, authority: &Authority) -> DoorOptions {
    DoorOptions {
        origin: origin.to_owned(),
        extra_ca_pem: Some(authority.pem.clone().into_bytes()),
        only_extra_ca: true,
        proxy: None,
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(20),
        max_body: 1 << 20,
        user_agent: "ephemerald/test".to_owned(),
    }
}

pub(crate) fn door(origin: &str, authority: &Authority) -> Door {
    listen();
    carrying(Door::new(options(origin, authority)).unwrap())
}

/// The key is meant for its origin: other tests of this process have a client with the same one.
pub(crate) fn carrying(door: Door) -> Door {
    door.carrying(&Secret::new(KEY.to_owned()))
}

/// A request that carries both kinds of credential.
pub(crate) fn request(method: Method, path: &str) -> Request {
    let secret = |text| {
        let mut value = HeaderValue::from_static(text);
        value.set_sensitive(true);
        value
    };
    let body = (method != Method::GET).then(|| b"{}".to_vec());
    let headers = vec![(HeaderName::from_static("x-api-key"), secret(KEY)), (AUTHORIZATION, secret(BEARER))];
    Request { method, path: path.to_owned(), headers, body, total_timeout: None }
}

pub(crate) fn jumpcloud(origin: &str, authority: &Authority) -> Client {
    client(origin, &format!(r#""token": "{KEY}""#), authority)
}

/// The same with a service account, whose tokens are made at the same place.
pub(crate) fn service_account(origin: &str, authority: &Authority) -> Client {
    client(origin, r#""client_id": "wire", "client_secret": "wire_canary_of_a_service""#, authority)
}

fn client(origin: &str, credential: &str, authority: &Authority) -> Client {
    listen();
    let pem = serde_json::to_string(&authority.pem).unwrap();
    let json = format!(r#"{{"url": "{origin}", {credential}, "ssl_ca_cert_content": {pem}}}"#);
    let connection = Connection::parse(&Secret::new(json), "wire.json").unwrap();
    let setup = Setup { proxy: None, page_size: 100, rate_per_second: 100_000, clock: clock::now };
    Client::new(&connection, &setup).unwrap()
}

/// The write of the tests: `PUT /api/users/a1`.
pub(crate) async fn put(client: &Client) -> Result<(), Fault> {
    let (id, role) = (AccountId::new("a1").unwrap(), RoleName::new("Manager").unwrap());
    client.set_roles(&id, &[role], RoleField::One, None).await
}

pub(crate) fn control(origin: &str, authority: &Authority) -> Control {
    let speaker = Speaker { instance: "wire".to_owned(), epoch: 1 };
    let agent = AgentId::new("agent-wire").unwrap();
    Control::new(Arc::new(door(origin, authority)), KeyPair::from_seed(&[7; 32]), &agent, speaker, clock::now)
}

/// A report as the outbox holds one.
pub(crate) fn report() -> Report {
    let code = Code::Result(ResultCode::Tested);
    Report {
        seq: 7,
        at: Utc(Timestamp(1_700_000_000_000)),
        kind: code.kind(),
        job_id: Some(JobId::new("job-1").unwrap()),
        grant_id: None,
        code,
        rule: None,
        reason: None,
        detail: None,
        integration: None,
        account: None,
        role: None,
        evidence: None,
        ends_at: None,
        receipt: None,
        session_may_persist_until: None,
        policy_hash: None,
    }
}

/// Neither credential is in it, plain.
#[track_caller]
pub(crate) fn assert_clean(what: &str, bytes: &[u8]) {
    assert_eq!(
        find(bytes, b"wire_canary"),
        None,
        "a credential is in {what}: {}",
        String::from_utf8_lossy(bytes)
    );
}

/// Nor in anything that was logged so far, by anybody, at any level.
#[track_caller]
pub(crate) fn assert_log_is_clean() {
    let log = listen().0.lock().unwrap();
    assert!(log.lines > 0, "the log was listened to");
    assert!(log.leaks.is_empty(), "a credential is in the log:\n{}", log.leaks.join("\n"));
}

/// The log of the whole process at its loudest.
fn listen() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let loudest = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false);
        loudest.with_max_level(tracing::Level::TRACE).init();
        log
    })
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Lines>>);

/// Only what should not be there is kept: the rest is large.
#[derive(Default)]
struct Lines {
    lines: usize,
    leaks: Vec<String>,
}

impl io::Write for Log {
    /// One line a call.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap();
        log.lines += 1;
        if find(bytes, b"wire_canary").is_some() {
            log.leaks.push(String::from_utf8_lossy(bytes).into_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
