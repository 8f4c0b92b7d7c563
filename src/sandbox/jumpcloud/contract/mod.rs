//! What JumpCloud's API is said to be, and every exchange held against it: the request of a client,
//! the answer of the simulation.
//!
//! Always against the project's own description (`docs/jumpcloud/openapi.json`), and against the
//! documents that JumpCloud publishes where their directory is known. Judges only: nothing is refused
//! or answered differently because of a verdict. A verdict names fields and types, never a value.

mod console;
mod deviations;
mod document;
mod exchange;
mod operation;
mod own;
mod published;
mod watch;

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use self::document::{Document, Lookup};
pub(super) use self::{console::router, watch::Watch};
pub use self::{
    deviations::switches_that_spoil_answers,
    exchange::Sent,
    watch::{Report, Seen},
};

/// The environment variable that names the directory of the documents that JumpCloud publishes.
pub const DOCUMENTS_VARIABLE: &str = "EPHEMERALD_JUMPCLOUD_DOCS";

/// The directory that [`DOCUMENTS_VARIABLE`] names, unless it is unset or empty.
#[must_use]
pub fn documents_of_environment() -> Option<PathBuf> {
    env::var_os(DOCUMENTS_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The file cannot be read.
    #[error(
        "cannot read {0}, a document that JumpCloud publishes; put it there or unset {DOCUMENTS_VARIABLE}"
    )]
    File(PathBuf, #[source] io::Error),
    /// The file is not what it should be.
    #[error("{0} cannot be used: {1}; expected a Swagger 2.0 document of JumpCloud")]
    Content(PathBuf, String),
}

/// Descriptions that exchanges are held against.
#[derive(Debug)]
pub struct Contract {
    own: Arc<Document>,
    published: Vec<Document>,
}

/// Something that the descriptions do not allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Who did it.
    pub by: By,
    /// The operation, such as `PUT /api/users/{id}`; method and path where there is none.
    pub call: String,
    /// Which description says otherwise.
    pub against: Against,
    /// What is wrong; no value of the exchange stands in it.
    pub problem: String,
}

/// Who did something that is not described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// ephemerald, by its `User-Agent`.
    Agent,
    /// Another client.
    OtherClient,
    /// The simulated JumpCloud, in an answer.
    Simulation,
}

/// A description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The project's own.
    Project,
    /// What JumpCloud publishes.
    Published,
}

impl Contract {
    /// The project's own description, and JumpCloud's documents in `published` if a directory is given.
    ///
    /// # Errors
    /// [`ContractError`] names the file that is missing or cannot be used.
    pub fn load(published: Option<&Path>) -> Result<Self, ContractError> {
        static OWN: OnceLock<Arc<Document>> = OnceLock::new();
        let own = OWN.get_or_init(|| Arc::new(own::document()));
        let published = published.map_or_else(|| Ok(Vec::new()), published::documents)?;
        Ok(Self { own: Arc::clone(own), published })
    }

    /// Whether JumpCloud's documents take part.
    #[must_use]
    pub fn knows_published(&self) -> bool {
        !self.published.is_empty()
    }

    /// What is wrong with a request. Only the agent is held to its own list of calls.
    #[must_use]
    pub fn judge_request(&self, sent: &Sent) -> Vec<Violation> {
        let by = if sent.is_from_agent() { By::Agent } else { By::OtherClient };
        let (call, problems) = match self.own.find(&sent.method, &sent.path) {
            Lookup::Operation(operation) => {
                let mut problems = operation.problems_of(sent);
                if by == By::Agent && !operation.for_agent {
                    problems.push("this call is described, but not one that the agent may send".to_owned());
                }
                (operation.name.clone(), problems)
            }
            Lookup::NoMethod(route) => {
                (format!("{} {route}", sent.method), vec!["the route has no such method".to_owned()])
            }
            Lookup::Nowhere => {
                (format!("{} {}", sent.method, sent.path), vec!["there is no such route".to_owned()])
            }
        };
        let mut found = of(by, &call, Against::Project, problems);
        for document in &self.published {
            if let Lookup::Operation(operation) = document.find(&sent.method, &sent.path) {
                found.extend(of(by, &operation.name, Against::Published, operation.problems_of(sent)));
            }
        }
        found
    }

    /// What is wrong with the answer to a request: its status, and its JSON body if it has one (a bare
    /// text is plain text). The answer to a call that is not described is not judged.
    #[must_use]
    pub fn judge_answer(&self, sent: &Sent, status: u16, body: Option<&serde_json::Value>) -> Vec<Violation> {
        let mut found = Vec::new();
        let documents = std::iter::once((Against::Project, &*self.own));
        let documents = documents.chain(self.published.iter().map(|document| (Against::Published, document)));
        for (against, document) in documents {
            if let Lookup::Operation(operation) = document.find(&sent.method, &sent.path) {
                let problems = operation.problems_of_answer(status, body, against == Against::Project);
                found.extend(of(By::Simulation, &operation.name, against, problems));
            }
        }
        found
    }
}

fn of(by: By, call: &str, against: Against, problems: Vec<String>) -> Vec<Violation> {
    let violation = |problem| Violation { by, call: call.to_owned(), against, problem };
    problems.into_iter().map(violation).collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            By::Agent => "the agent's request",
            By::OtherClient => "a client's request",
            By::Simulation => "the simulation's answer",
        };
        let against = match self.against {
            Against::Project => "the project's description",
            Against::Published => "JumpCloud's published document",
        };
        write!(formatter, "{}: {by} is not within {against}: {}", self.call, self.problem)
    }
}
