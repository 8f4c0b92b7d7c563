//! Fails the test in which something left the description of JumpCloud's API, where the simulated
//! JumpCloud is another process: it is asked over its control API.

use std::{fs, path::PathBuf, time::Duration};

use ephemerald::{
    http::{Door, DoorOptions, Request},
    sandbox::jumpcloud::contract::DOCUMENTS_VARIABLE,
};
use serde_json::Value;

/// Asks the simulated JumpCloud, at the end of a test, whether all was as its API is described.
pub(crate) struct WithinContract {
    pub(crate) origin: String,
    pub(crate) ca: PathBuf,
}

impl WithinContract {
    fn report(&self) -> Value {
        let door = Door::new(DoorOptions {
            origin: self.origin.clone(),
            extra_ca_pem: Some(fs::read(&self.ca).unwrap()),
            only_extra_ca: true,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(5),
            max_body: 1 << 20,
            user_agent: "test".to_owned(),
        });
        let request = Request {
            method: reqwest::Method::GET,
            path: "/_sandbox/contract".to_owned(),
            headers: Vec::new(),
            body: None,
            total_timeout: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(door.unwrap().send(request)).unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }
}

impl Drop for WithinContract {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let report = self.report();
            assert_eq!(report["violations"], Value::Array(Vec::new()), "{report:#}");
            let documents = std::env::var_os(DOCUMENTS_VARIABLE).is_some_and(|dir| !dir.is_empty());
            assert_eq!(report["published_documents"], documents, "{report:#}");
        }
    }
}
