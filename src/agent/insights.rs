//! Asks Directory Insights, now and then, whether somebody else changed an administrator, and tells
//! the loop to look. The listing that follows is the truth; this only makes it come sooner.
//!
//! Refuses to be needed: no answer, a plan without it, or garbage is one line in the log and a later
//! try, never a fault of the integration. Text of JumpCloud's is not logged, only checked names.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep,
};

use crate::{
    clock,
    engine::{
        ids::{AccountId, IntegrationId},
        time::{Millis, Timestamp},
    },
    executor::{Clients, Keyed},
    jumpcloud::Change,
};

/// Between two questions.
const EVERY: Duration = Duration::from_secs(10);
/// After one that was not answered.
const RETRY: Duration = Duration::from_secs(10 * 60);
/// How far back each question reaches: how late an event may come is not documented.
const OVERLAP: Millis = Millis(10 * 60_000);

/// Watches one integration.
pub(super) struct Watcher {
    integration: IntegrationId,
    /// Whatever key is in use is asked with.
    clients: Arc<Clients>,
    hints: mpsc::Sender<IntegrationId>,
    seen: Seen,
    /// The key that was asked with last, and the account that it belongs to.
    own: Option<(String, AccountId)>,
    available: Option<bool>,
}

impl Watcher {
    pub(super) fn start_all(
        clients: &Arc<Clients>,
        hints: &mpsc::Sender<IntegrationId>,
        stop: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let one = |(integration, key): (IntegrationId, Keyed)| {
            key.insights?;
            let (clients, hints, seen) = (Arc::clone(clients), hints.clone(), Seen::default());
            let watcher = Self { integration, clients, hints, seen, own: None, available: None };
            Some(tokio::spawn(watcher.run(stop.clone())))
        };
        clients.all().into_iter().filter_map(one).collect()
    }

    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let wait = tokio::select! {
                wait = self.ask() => wait,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One question; when to ask again.
    async fn ask(&mut self) -> Duration {
        let Some(Keyed { client, insights: Some(insights) }) = self.clients.current(&self.integration) else {
            return RETRY;
        };
        if self.own.as_ref().is_none_or(|(key, _)| key != client.key()) {
            // Without it our own changes count as somebody else's, which costs a listing.
            let account = client.who_am_i().await.ok().and_then(|me| me.account);
            self.own = account.map(|account| (client.key().to_owned(), account));
        }
        let since = Timestamp(clock::now().wall.0.saturating_sub_unsigned(OVERLAP.0));
        let answer = insights.changes(since).await;
        let available = answer.is_ok();
        if self.available.replace(available) != Some(available) {
            let origin = insights.origin();
            match &answer {
                Ok(_) => {
                    tracing::info!(integration = %self.integration, origin, "insights: watched for changes by others")
                }
                Err(fault) => {
                    tracing::warn!(integration = %self.integration, origin, status = fault.status, class = ?fault.class, "insights: not available; changes by others are found at the regular look")
                }
            }
        }
        let Ok(changes) = answer else { return RETRY };
        let mut look = false;
        let own = self.own.as_ref().map(|(_, account)| account);
        for change in self.seen.news(changes).iter().filter(|change| !change.is_by(own)) {
            self.tell(change);
            look = true;
        }
        if look {
            // A full channel holds hints enough.
            let _ = self.hints.try_send(self.integration.clone());
        }
        EVERY
    }

    fn tell(&self, change: &Change) {
        tracing::info!(
            integration = %self.integration,
            event = change.kind.as_str(),
            account = change.target.as_ref().map(AccountId::as_str),
            actor.email = change.actor_email.as_ref().map(crate::engine::ids::Email::as_str),
            "insights: an administrator was changed by somebody else; looking"
        );
    }
}

/// The events of the last question. Each question reaches over the one before.
#[derive(Debug, Default)]
struct Seen(Option<HashSet<String>>);

impl Seen {
    /// What was not there the last time. The first answer is no news: a start looks by itself.
    fn news(&mut self, changes: Vec<Change>) -> Vec<Change> {
        let ids = changes.iter().map(|change| change.id.clone()).collect();
        let Some(before) = self.0.replace(ids) else { return Vec::new() };
        let mut told = HashSet::new();
        let is_new = |change: &Change| !before.contains(&change.id) && told.insert(change.id.clone());
        changes.into_iter().filter(is_new).collect()
    }
}

#[cfg(test)]
#[cfg(feature = "sandbox")]
mod tests {
    use std::{future::pending, net::Ipv4Addr, sync::Mutex};

    use axum::{Router, extract::Request, http::StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        jumpcloud::{Client, Connection, Setup},
        sandbox::tls::{Identity, Transport, serve},
        secrets::Secret,
    };

    type Answer = Arc<Mutex<(u16, String)>>;

    /// A watcher of a JumpCloud whose own account is `me1` and whose Insights answer what is set.
    async fn watcher() -> (Watcher, Answer, mpsc::Receiver<IntegrationId>) {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::in_dir(dir.path()).unwrap();
        let pem = std::fs::read_to_string(identity.ca_file()).unwrap();
        let set: Answer = Arc::new(Mutex::new((200, "[]".to_owned())));
        let answer = Arc::clone(&set);
        let router = Router::new().fallback(move |request: Request| {
            let me = json!({"_id": "me1", "email": "me@example.com", "organization": "org1"});
            let insights = request.uri().path().starts_with("/insights/");
            let (status, body) =
                if insights { answer.lock().unwrap().clone() } else { (200, me.to_string()) };
            async move { (StatusCode::from_u16(status).unwrap(), body) }
        });
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let serving = serve(listen, Transport::Tls(identity), router, pending()).await.unwrap();
        let json =
            json!({"url": format!("https://{}", serving.addr), "token": "t", "ssl_ca_cert_content": pem});
        let connection = Connection::parse(&Secret::new(json.to_string()), "jc.json").unwrap();
        let setup = Setup { proxy: None, page_size: 100, rate_per_second: 100, clock: clock::now };
        let client = Client::new(&connection, &setup).unwrap();
        let insights = client.insights(&connection, &setup).unwrap().unwrap();
        let (hints, heard) = mpsc::channel(4);
        let (integration, clients) = (IntegrationId::new("main").unwrap(), Arc::new(Clients::default()));
        let key = Keyed { client: Arc::new(client), insights: Some(Arc::new(insights)) };
        clients.put(&integration, key, false);
        let watcher =
            Watcher { integration, clients, hints, seen: Seen::default(), own: None, available: None };
        (watcher, set, heard)
    }

    fn event(id: &str, actor: &str, method: &str) -> Value {
        json!({"id": id, "event_type": "admin_update", "resource": {"id": "a1"},
            "initiated_by": {"id": actor, "email": "b@example.com"}, "auth_method": method})
    }

    #[tokio::test]
    async fn only_a_new_change_by_somebody_else_is_a_hint() {
        let (mut watcher, set, mut heard) = watcher().await;
        let old = event("e1", "boss", "session");
        for (events, hints, why) in [
            (json!([old]), 0, "what was there before the start is no news"),
            (json!([old]), 0, "seen before: the questions overlap"),
            (json!([old, event("e2", "me1", "api-key")]), 0, "our own write"),
            (json!([old, event("e3", "me1", "session")]), 1, "our account's owner in the console"),
            (json!([old, event("e4", "boss", "api-key"), event("e4", "boss", "api-key")]), 1, "another key"),
            (json!([]), 0, "nothing"),
        ] {
            set.lock().unwrap().1 = events.to_string();
            assert_eq!(watcher.ask().await, EVERY, "{why}");
            assert_eq!(std::iter::from_fn(|| heard.try_recv().ok()).count(), hints, "{why}");
        }
    }

    #[tokio::test]
    async fn a_hostile_answer_does_nothing_but_make_the_next_question_later() {
        let (mut watcher, set, mut heard) = watcher().await;
        watcher.ask().await;
        let deep = "[".repeat(100_000);
        let huge = format!("[{}]", "\"x\",".repeat(2_000_000));
        for (status, body) in [
            (403, "[]"),
            (404, ""),
            (500, "<html>"),
            (200, "<html>"),
            (200, "{}"),
            (200, &deep),
            (200, &huge),
        ] {
            *set.lock().unwrap() = (status, body.to_owned());
            assert_eq!(watcher.ask().await, RETRY, "{status} {:.20}", body);
            assert_eq!(watcher.available, Some(false));
        }
        *set.lock().unwrap() = (200, json!([{"id": 5}, [], "x", {"event_type": "admin_update"}]).to_string());
        assert_eq!(watcher.ask().await, EVERY);
        assert!(heard.try_recv().is_err());
        *set.lock().unwrap() = (200, json!([event("e9", "boss", "session")]).to_string());
        watcher.ask().await;
        assert!(heard.try_recv().is_ok(), "and it works again afterwards");
    }
}
