//! Holds the requests to a hand-made server against the contract with JumpCloud.

use std::sync::{Arc, Mutex};

use axum::http::request::Parts;
use ephemerald::sandbox::jumpcloud::contract::{Contract, Sent, documents_of_environment};

/// One for a server; it sees every request.
#[derive(Clone)]
pub(crate) struct Judge {
    contract: Arc<Contract>,
    violations: Arc<Mutex<Vec<String>>>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        let contract = Contract::load(documents_of_environment().as_deref()).unwrap();
        Self { contract: Arc::new(contract), violations: Arc::default() }
    }

    pub(crate) fn see(&self, head: &Parts, body: &str) {
        let found = self.contract.judge_request(&Sent::of(head, body.as_bytes()));
        self.violations.lock().unwrap().extend(found.iter().map(ToString::to_string));
    }
}

/// Fails the test when it is dropped, if something was not within the contract.
pub(crate) struct Judged(pub(crate) Judge);

impl Drop for Judged {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let found = self.0.violations.lock().unwrap();
            assert!(found.is_empty(), "outside JumpCloud's API as it is described:\n{}", found.join("\n"));
        }
    }
}
