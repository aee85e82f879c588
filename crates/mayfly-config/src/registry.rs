//! Who watches what.

use crate::expect::Revision;
use crate::mailbox::{Deferred, Mailbox};
use crate::prefixes::Prefixes;
use crate::scope::Scope;
use crate::version::Version;
use std::collections::HashMap;
use std::sync::Arc;

/// All watchers of a store. Those of a thing are in the order in which they came, which is that of their ids.
#[derive(Default)]
pub(crate) struct Registry {
    keys: HashMap<Arc<str>, Vec<Arc<Mailbox>>>,
    prefixes: Prefixes<Vec<Arc<Mailbox>>>,
    next_id: u64,
    is_closed: bool,
}

impl Registry {
    pub(crate) fn add(&mut self, scope: Scope) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(self.next_id, scope, self.is_closed));
        self.next_id += 1;
        let all = match &mailbox.scope {
            Scope::Key(key) => self.keys.entry(key.clone()).or_default(),
            Scope::Prefix(prefix) => self.prefixes.entry(prefix),
        };
        all.push(mailbox.clone());
        mailbox
    }

    pub(crate) fn remove(&mut self, mailbox: &Mailbox) {
        let all = match &mailbox.scope {
            Scope::Key(key) => self.keys.get_mut(key),
            Scope::Prefix(prefix) => self.prefixes.get_mut(prefix),
        };
        let Some(all) = all else { return };
        if let Ok(at) = all.binary_search_by_key(&mailbox.id, |one| one.id) {
            all.remove(at);
        }
        if all.is_empty() {
            match &mailbox.scope {
                Scope::Key(key) => drop(self.keys.remove(key)),
                Scope::Prefix(prefix) => drop(self.prefixes.remove(prefix)),
            }
        }
    }

    /// Tells everyone whom a change concerns.
    pub(crate) fn tell(&self, version: &Arc<Version>, limit: usize, deferred: &mut Deferred) {
        for mailbox in self.keys.get(version.key()).into_iter().flatten() {
            mailbox.push(version, limit, deferred);
        }
        for mailbox in self.prefixes.of(version.key()).flat_map(|(_, all)| all) {
            mailbox.push(version, limit, deferred);
        }
    }

    /// Tells all that they have missed what came up to this revision.
    pub(crate) fn lag(&self, through: Revision, deferred: &mut Deferred) {
        self.all().for_each(|mailbox| mailbox.lag(through, deferred));
    }

    /// Tells all, also those that are yet to come, that nothing more will come.
    pub(crate) fn close(&mut self, deferred: &mut Deferred) {
        self.is_closed = true;
        self.all().for_each(|mailbox| mailbox.close(deferred));
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.keys.values().flatten().chain(self.prefixes.iter().flat_map(|(_, all)| all))
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.prefixes.iter().next().is_none()
    }
}
