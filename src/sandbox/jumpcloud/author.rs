//! Who makes a change: the owner of a key, a service account, or a human in the console.
//!
//! Refuses to carry a credential.

/// Who makes a change, as log and Directory Insights name them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Author {
    /// For the log: an address, the name of a service account, or `console`.
    pub(super) name: String,
    /// Identifier of the administrator or service account.
    pub(super) id: String,
    /// Address; none for a service account.
    pub(super) email: Option<String>,
    /// How they proved who they are, as `auth_method` says it.
    pub(super) auth: &'static str,
    /// The organization they acted in, where it is not that of their object.
    pub(super) organization: Option<String>,
}

impl Author {
    /// A human in the console: the named administrator, or one that the service knows nothing of.
    pub(super) fn in_the_console(admin: Option<(String, String)>) -> Self {
        let (id, email) = admin.unwrap_or_else(|| {
            ("5f00c0de0000000000c0501e".to_owned(), "console@simulated.example".to_owned())
        });
        Self { name: "console".to_owned(), id, email: Some(email), auth: "session", organization: None }
    }

    /// Whether a service account acts.
    pub(super) const fn is_service(&self) -> bool {
        self.email.is_none()
    }
}
