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
    highest_counter: u64,
    last_generation: u64,
    #[serde(default)]
    rolled_back: Option<RolledBack>,
    pub(crate) active: Option<ActivePack>,
    pub(crate) previous: Option<PreviousPack>,
}

/// What must never be forgotten of a pack, whatever happens to the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    /// Only grows: also a rollback leaves it.
    pub(crate) highest_counter: u64,
    /// Only grows, so that a generation means one pack for ever.
    pub(crate) last_generation: u64,
    /// The latest pack that was left by a rollback. Older ones have lower counters and need no memory.
    pub(crate) rolled_back: Option<RolledBack>,
}

/// A pack that a rollback has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolledBack {
    /// Its folder, which is gone.
    pub generation: u64,
    /// Its counter, which stays out.
    pub counter: u64,
}

impl History {
    /// What both know.
    fn join(&mut self, other: &Self) {
        self.highest_counter = self.highest_counter.max(other.highest_counter);
        self.last_generation = self.last_generation.max(other.last_generation);
        let latest = |pack: &RolledBack| (pack.counter, pack.generation);
        self.rolled_back = self.rolled_back.into_iter().chain(other.rolled_back).max_by_key(latest);
    }
}

impl Slots {
    fn history(&self) -> History {
        let Self { highest_counter, last_generation, rolled_back, .. } = *self;
        History { highest_counter, last_generation, rolled_back }
    }

    fn learn(&mut self, other: &History) {
        let mut history = self.history();
        history.join(other);
        let History { highest_counter, last_generation, rolled_back } = history;
        (self.highest_counter, self.last_generation, self.rolled_back) =
            (highest_counter, last_generation, rolled_back);
    }
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

    /// The latest pack of a name that a rollback has left: it comes back by no upgrade.
    pub fn rolled_back(&self, name: &str) -> Option<RolledBack> {
        self.packs.get(name)?.rolled_back
    }

    /// May a pack of this counter become active?
    ///
    /// # Errors
    /// [`PackError::Downgrade`] for a counter below the highest, [`PackError::RolledBack`] for one that a rollback has left.
    pub(crate) fn check_counter(&self, name: &str, counter: u64) -> Result<()> {
        if let Some(installed) = self.highest_counter(name).filter(|highest| counter < *highest) {
            return Err(PackError::Downgrade { name: name.to_owned(), found: counter, installed });
        }
        match self.rolled_back(name).filter(|left| counter <= left.counter) {
            Some(_) => Err(PackError::RolledBack { name: name.to_owned(), counter }),
            None => Ok(()),
        }
    }

    /// The number for a new folder, above every number that was used and above `on_disk`.
    pub(crate) fn next_generation(&self, name: &str, on_disk: u64) -> u64 {
        self.packs.get(name).map_or(0, |slots| slots.last_generation).max(on_disk).saturating_add(1)
    }

    /// What must never be forgotten of each pack.
    pub(crate) fn histories(&self) -> BTreeMap<String, History> {
        self.packs.iter().map(|(name, slots)| (name.clone(), slots.history())).collect()
    }

    /// Takes over what another copy remembers.
    pub(crate) fn learn(&mut self, histories: &BTreeMap<String, History>) {
        for (name, history) in histories {
            self.packs.entry(name.clone()).or_default().learn(history);
        }
    }

    /// Takes in a pack that lies on disk while nothing says what it was to the store: the newest generation is the active pack
    /// and the one before it the way back, both as if the upgrade had just been made. What was rolled back stays out.
    pub(crate) fn find(&mut self, new: &Activation<'_>) {
        if self.rolled_back(new.name).is_some_and(|left| left.generation == new.generation) {
            return;
        }
        let slots = self.packs.entry(new.name.to_owned()).or_default();
        if let Some(active) = &mut slots.active {
            active.watched_until = None; // the older one has become the active pack's way back: it counts as good
        }
        self.activate(new);
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

    /// The previous pack becomes active again; the counter stays high, and what is left stays out. Returns its generation.
    pub(crate) fn rollback(&mut self, name: &str) -> Result<u64> {
        let slots = self.packs.get_mut(name).ok_or_else(|| PackError::NotInstalled { name: name.to_owned() })?;
        let previous = slots.previous.take().ok_or_else(|| PackError::NoPreviousPack { name: name.to_owned() })?;
        let PreviousPack { generation, version, counter, .. } = previous;
        let left = slots.active.replace(ActivePack { generation, version, counter, watched_until: None });
        let left = left.map(|pack| RolledBack { generation: pack.generation, counter: pack.counter });
        let mut history = slots.history();
        history.rolled_back = left;
        slots.learn(&history);
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

    /// The generations in use, by name and number.
    pub(crate) fn needed(&self) -> Vec<(String, u64)> {
        let of = |slots: &Slots| {
            let active = slots.active.as_ref().map(|pack| pack.generation);
            active.into_iter().chain(slots.previous.as_ref().map(|pack| pack.generation))
        };
        self.packs.iter().flat_map(|(name, slots)| of(slots).map(|number| (name.clone(), number))).collect()
    }

    /// Is the folder of this generation in use?
    pub(crate) fn needs(&self, name: &str, generation: u64) -> bool {
        let active = self.active(name).is_some_and(|a| a.generation == generation);
        active || self.previous(name).is_some_and(|p| p.generation == generation)
    }
}
