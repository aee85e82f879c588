//! What a store remembers of each pack: pure transitions, so that every one of them is one file written.

use crate::error::{PackError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All packs of a store by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreState {
    pub(crate) version: u32,
    pub(crate) packs: BTreeMap<String, Slots>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slots {
    /// Only grows: also a rollback leaves it.
    pub(crate) highest_counter: u64,
    /// Only grows, so that a generation means one pack for ever.
    pub(crate) last_generation: u64,
    pub(crate) active: Option<ActivePack>,
    pub(crate) previous: Option<PreviousPack>,
}

/// The pack in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivePack {
    /// Its folder.
    pub generation: u64,
    /// Its version.
    pub version: String,
    /// Its counter.
    pub counter: u64,
    /// Seconds since 1970 until which it is watched; `None` when it has passed.
    pub watched_until: Option<u64>,
}

/// The pack to go back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousPack {
    /// Its folder.
    pub generation: u64,
    /// Its version.
    pub version: String,
    /// Its counter.
    pub counter: u64,
    /// Seconds since 1970 until which it is kept; longer while the active pack is watched.
    pub kept_until: u64,
}

/// A pack about to become the active one.
pub(crate) struct Activation<'a> {
    pub(crate) name: &'a str,
    pub(crate) generation: u64,
    pub(crate) version: &'a str,
    pub(crate) counter: u64,
    pub(crate) now: u64,
    pub(crate) watch_s: u64,
    pub(crate) grace_s: u64,
}

impl StoreState {
    /// Names of the packs that are installed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.packs.iter().filter(|(_, slots)| slots.active.is_some()).map(|(name, _)| name.as_str())
    }

    /// The pack in use under a name.
    pub fn active(&self, name: &str) -> Option<&ActivePack> {
        self.packs.get(name)?.active.as_ref()
    }

    /// The pack that a rollback would bring back.
    pub fn previous(&self, name: &str) -> Option<&PreviousPack> {
        self.packs.get(name)?.previous.as_ref()
    }

    /// The highest counter that was ever active under a name.
    pub fn highest_counter(&self, name: &str) -> Option<u64> {
        self.packs.get(name).map(|slots| slots.highest_counter)
    }

    pub(crate) fn next_generation(&self, name: &str) -> u64 {
        self.packs.get(name).map_or(1, |slots| slots.last_generation + 1)
    }

    /// The new pack becomes active. The old one becomes the rollback target if it has passed its watch; if it has not, the
    /// older target stays, since it is the last one that is known to be good.
    pub(crate) fn activate(&mut self, new: &Activation<'_>) {
        let slots = self.packs.entry(new.name.to_owned()).or_default();
        slots.highest_counter = slots.highest_counter.max(new.counter);
        slots.last_generation = slots.last_generation.max(new.generation);
        let kept_until = new.now.saturating_add(new.grace_s);
        if let Some(old) = slots.active.take() {
            let is_good = old.watched_until.is_none();
            if is_good || slots.previous.is_none() {
                let ActivePack { generation, version, counter, .. } = old;
                slots.previous = Some(PreviousPack { generation, version, counter, kept_until });
            } else if let Some(previous) = &mut slots.previous {
                previous.kept_until = previous.kept_until.max(kept_until);
            }
        }
        // The first pack of a name has nothing to go back to, so there is nothing to watch for.
        let watched_until = slots.previous.is_some().then(|| new.now.saturating_add(new.watch_s));
        let (generation, version, counter) = (new.generation, new.version.to_owned(), new.counter);
        slots.active = Some(ActivePack { generation, version, counter, watched_until });
    }

    /// The watch is over.
    pub(crate) fn settle(&mut self, name: &str) {
        if let Some(active) = self.packs.get_mut(name).and_then(|slots| slots.active.as_mut()) {
            active.watched_until = None;
        }
    }

    /// The previous pack becomes active again; the counter stays high. Returns its generation.
    pub(crate) fn rollback(&mut self, name: &str) -> Result<u64> {
        let slots = self.packs.get_mut(name).ok_or_else(|| PackError::NotInstalled { name: name.to_owned() })?;
        let previous = slots.previous.take().ok_or_else(|| PackError::NoPreviousPack { name: name.to_owned() })?;
        let PreviousPack { generation, version, counter, .. } = previous;
        slots.active = Some(ActivePack { generation, version, counter, watched_until: None });
        Ok(generation)
    }

    /// Forgets rollback targets whose time is over, unless the active pack is still watched.
    pub(crate) fn expire(&mut self, now: u64) {
        for slots in self.packs.values_mut() {
            let watched = slots.active.as_ref().is_some_and(|active| active.watched_until.is_some());
            if !watched && slots.previous.as_ref().is_some_and(|p| now > p.kept_until) {
                slots.previous = None;
            }
        }
    }

    /// Is the folder of this generation in use?
    pub(crate) fn needs(&self, name: &str, generation: u64) -> bool {
        let active = self.active(name).is_some_and(|a| a.generation == generation);
        active || self.previous(name).is_some_and(|p| p.generation == generation)
    }
}
