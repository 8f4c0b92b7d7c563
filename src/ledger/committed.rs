//! Proof that a thing was made durable. Refuses to be made by anything but the ledger.

/// A value whose batch is on disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    /// Only the code that has just seen the commit return may call this.
    pub(super) const fn after_sync(value: T) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// The value, to be acted on.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}
