//! Watchers of prefixes.

use crate::mailbox::{Deferred, Mailbox};
use crate::prefixes::Prefixes;
use crate::version::Version;
use std::sync::Arc;

/// Watchers by prefix, those of one in the order of their ids.
#[derive(Default)]
pub(crate) struct Registry {
    prefixes: Prefixes<Vec<Arc<Mailbox>>>,
    next_id: u64,
}

impl Registry {
    pub(crate) fn add(&mut self, prefix: &str, mailbox: Arc<Mailbox>) {
        mailbox.set_id(self.next_id);
        self.next_id += 1;
        self.prefixes.entry(prefix).push(mailbox);
    }

    pub(crate) fn remove(&mut self, prefix: &str, mailbox: &Mailbox) {
        let Some(all) = self.prefixes.get_mut(prefix) else { return };
        mailbox.leave(all);
        if all.is_empty() {
            self.prefixes.remove(prefix);
        }
    }

    pub(crate) fn tell(&self, version: &Arc<Version>, limit: usize, deferred: &mut Deferred) {
        for mailbox in self.prefixes.of(version.key()).flat_map(|(_, all)| all) {
            mailbox.push(version, limit, deferred);
        }
    }

    pub(crate) fn each(&self, act: &mut dyn FnMut(&Arc<Mailbox>)) {
        self.prefixes.iter().flat_map(|(_, all)| all).for_each(act);
    }
}

#[cfg(test)]
impl Registry {
    pub(crate) fn is_empty(&self) -> bool {
        self.prefixes.iter().next().is_none()
    }
}
