//! People who keep asking for access: each account has one open request at a time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ephemerald::{
    control::wire::{Ephemeral, Target},
    engine::ids::{Email, IntegrationId, RoleName},
    sandbox::control_plane::{Operator, RequestSpec, RequestState},
};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::Dice;
use crate::process::World;

/// Who asks, and for which role.
pub(crate) const PEOPLE: [(&str, &str); 12] = [
    ("amara@example.com", "Help Desk"),
    ("bruno@example.com", "Help Desk"),
    ("chiara@example.com", "Manager"),
    ("dmitri@example.com", "Manager"),
    ("elif@example.com", "Manager"),
    ("farid@example.com", "Manager"),
    ("greta@example.com", "Administrator"),
    ("hana@example.com", "Administrator"),
    ("guest-one@example.com", "Read Only"),
    ("guest-two@example.com", "Help Desk"),
    ("guest-three@example.com", "Manager"),
    ("guest-four@example.com", "Help Desk"),
];

/// Begins to ask; the first half ends it.
pub(crate) fn begin(world: &World, seed: u64) -> (Arc<watch::Sender<bool>>, JoinHandle<()>) {
    let stop = Arc::new(watch::Sender::new(false));
    let load = tokio::spawn(run(world.operator.clone(), Arc::clone(&stop), Dice(seed ^ 0xa5a5)));
    (stop, load)
}

/// Asks until `stop`, then waits for nothing.
async fn run(operator: Operator, stop: Arc<watch::Sender<bool>>, mut dice: Dice) {
    let mut open: BTreeMap<usize, String> = BTreeMap::new();
    while !*stop.borrow() {
        for (person, (address, role)) in PEOPLE.iter().enumerate() {
            if let Some(number) = open.get(&person) {
                let state = operator.show(number).await.unwrap().state;
                if !is_over(state) {
                    // One in forty looks ends a grant before its time.
                    if state == RequestState::Granted && dice.below(40) == 0 {
                        revoke(&operator, number).await;
                    }
                    continue;
                }
            }
            let spec = spec(address, role, 1 + dice.below(3));
            let number = operator.request(&spec).await.unwrap().number;
            operator.approve(&number, &[email("boss@example.com")]).await.unwrap();
            open.insert(person, number);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Ends a grant before its time, unless it has just come to its end.
async fn revoke(operator: &Operator, number: &str) {
    if let Err(error) = operator.revoke(number, Some("done early")).await {
        assert!(is_over(operator.show(number).await.unwrap().state), "{number}: {error}");
    }
}

/// Whether nothing will follow for the request.
pub(crate) fn is_over(state: RequestState) -> bool {
    use RequestState as S;
    matches!(state, S::Ended | S::Refused | S::AlreadyGranted | S::DryRun | S::Withdrawn)
}

fn spec(address: &str, role: &str, seconds: u64) -> RequestSpec {
    let person = || Ephemeral { requester: email(address), firstname: None, lastname: None };
    let guest = address.starts_with("guest-");
    RequestSpec {
        requester: email("visitor@example.com"),
        integration: IntegrationId::new("main").unwrap(),
        target: if guest { Target::Ephemeral(person()) } else { Target::Email(email(address)) },
        role: RoleName::new(role).unwrap(),
        duration_s: seconds,
        justification: Some("under load".into()),
        start_within_s: 600,
        agent: None,
    }
}

fn email(address: &str) -> Email {
    Email::new(address).unwrap()
}
