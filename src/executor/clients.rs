//! The clients of the integrations, each with the key it carries, exchanged while calls are under way: a call
//! that has begun ends with the client that it began with.
//!
//! Of two keys that JumpCloud took for the pinned organization, the newer is in use and the older is kept
//! beside it until the next change. Refuses to forget a key that is in use.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    engine::ids::IntegrationId,
    jumpcloud::{Client, Insights},
};

/// What one key opens.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// JumpCloud's API.
    pub client: Arc<Client>,
    /// Directory Insights, where it is asked.
    pub insights: Option<Arc<Insights>>,
}

/// All integrations that can be used.
#[derive(Debug, Default)]
pub struct Clients(RwLock<BTreeMap<IntegrationId, Keys>>);

#[derive(Debug)]
struct Keys {
    current: Keyed,
    previous: Option<Keyed>,
    /// JumpCloud did not know the key in use and knew the one before.
    doubted: bool,
}

impl Clients {
    /// Takes a key into use. The one in use before is kept beside it if `keep` says so.
    pub fn put(&self, integration: &IntegrationId, key: Keyed, keep: bool) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let previous = all.remove(integration).map(|keys| keys.current).filter(|_| keep);
        all.insert(integration.clone(), Keys { current: key, previous, doubted: false });
    }

    /// Takes the key that was in use before into use again; false if there is none.
    pub fn swap(&self, integration: &IntegrationId) -> bool {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = all.get_mut(integration) else { return false };
        let Some(previous) = keys.previous.as_mut() else { return false };
        std::mem::swap(previous, &mut keys.current);
        keys.doubted = false;
        true
    }

    /// The key in use was not known to JumpCloud, and another one was.
    pub(super) fn doubt(&self, integration: &IntegrationId) {
        if let Some(keys) = self.0.write().unwrap_or_else(PoisonError::into_inner).get_mut(integration) {
            keys.doubted = true;
        }
    }

    /// Whether that has happened since the last question.
    pub fn take_doubt(&self, integration: &IntegrationId) -> bool {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.get_mut(integration).is_some_and(|keys| std::mem::take(&mut keys.doubted))
    }

    /// The key in use.
    #[must_use]
    pub fn current(&self, integration: &IntegrationId) -> Option<Keyed> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(integration).map(|keys| keys.current.clone())
    }

    /// The one in use before.
    #[must_use]
    pub fn previous(&self, integration: &IntegrationId) -> Option<Keyed> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(integration).and_then(|keys| keys.previous.clone())
    }

    /// All keys that are in use.
    #[must_use]
    pub fn all(&self) -> BTreeMap<IntegrationId, Keyed> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(id, keys)| (id.clone(), keys.current.clone())).collect()
    }
}
