//! When a majority is lost for good: a member that is left founds a new cluster, alone, of what it has. `docs/design/mesh.md`.

use crate::cluster;
use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::kv;
use crate::log::{Log, Shelf};
use crate::logged::Applied;
use crate::member_file;
use crate::models::{self, Blobs, Manifest};
use crate::module::Module;
use crate::proto::etcdserverpb::AlarmMember;
use crate::proto::meshpb::Membership;
use crate::store::{Refound, Store, after};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of entries that are applied at once.
const MAX_BYTES: usize = 8 << 20;

/// A stopped member, looked at. As long as it is held, no other process opens its folder.
pub struct Survivor {
    store: Store,
    folder: PathBuf,
    /// None for a cluster of one that never kept one.
    log: Result<Option<Log>>,
    facts: Facts,
}

/// What a survivor knows of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Which cluster, and who it is in it.
    pub owner: Owner,
    /// Who is a member, as far as it knows.
    pub members: Vec<Known>,
    /// The last entry whose effect is in the state.
    pub applied: Applied,
    /// The revision of that state.
    pub revision: i64,
    /// The last entry that it knew to be on a majority's disks. Those up to here will be applied.
    pub committed: Applied,
    /// The last entry of its log. Those after `committed` will be discarded.
    pub last: Applied,
    /// The newest term that it voted in.
    pub term: u64,
    /// Alarms that are up.
    pub alarms: Vec<AlarmMember>,
    /// Artefacts that the registry wants and that are not in the folder, as `name@version` and digest.
    pub missing: Vec<(String, String)>,
    /// Why its log cannot be read, if it cannot.
    pub unread_log: Option<MeshError>,
    /// Clusters that it was recovered from before.
    pub before: Vec<u64>,
}

/// A member, as another one knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Where it was found.
    pub address: String,
    /// Does it have a vote?
    pub is_voter: bool,
}

/// What becomes of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogUse {
    /// What is known to be on a majority's disks is applied; what cannot be read is an error.
    Committed,
    /// It is left aside, since it or an entry in it cannot be read: the state stays as it is.
    Nothing,
}

impl Facts {
    /// Entries of the log that will be applied.
    pub fn to_apply(&self, log: LogUse) -> u64 {
        match log {
            LogUse::Committed => self.committed.index.saturating_sub(self.applied.index),
            LogUse::Nothing => 0,
        }
    }

    /// Entries of the log that will be discarded: those not known to be on a majority's disks, or all that are not applied. None where the log cannot be
    /// read, and nobody knows.
    pub fn discarded(&self, log: LogUse) -> Option<u64> {
        let kept = self.applied.index + self.to_apply(log);
        self.unread_log.is_none().then(|| self.last.index.saturating_sub(kept))
    }
}

impl Survivor {
    /// Looks at the member of a folder, which must not run.
    ///
    /// # Errors
    /// [`MeshError::NoMember`], [`MeshError::InUse`], and those of [`Store::open`].
    pub fn open(folder: &Path, modules: Vec<Box<dyn Module>>) -> Result<Self> {
        let none = |what: &'static str| MeshError::NoMember { path: folder.into(), what };
        if member_file::read(folder)?.is_none() {
            return Err(none("there is no member of a mesh in it"));
        }
        let store = Store::open(folder, modules)?;
        if store.applied()? == Applied::NONE {
            return Err(none("its member was let in and never got a state"));
        }
        let log = if store.has_log()? { store.open_log().map(Some) } else { Ok(None) };
        let facts = facts(&store, folder, &log)?;
        Ok(Self { store, folder: folder.into(), log, facts })
    }

    /// What it knows.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Founds a new cluster of what is here, with this member alone. What the old one says is refused from then on.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`], [`MeshError::UnreadableEntry`]. It may be done again: what was applied stays applied.
    pub fn recover(self, log: LogUse, bump_revision: u32) -> Result<Refound> {
        let Self { store, folder, log: found, facts } = self;
        match (found, log) {
            (_, LogUse::Nothing) => {}
            (Ok(Some(log)), LogUse::Committed) => {
                apply(&store, &log.shelf(), facts.applied.index + 1..facts.committed.index + 1)?
            }
            (Ok(None), LogUse::Committed) => {}
            (Err(error), LogUse::Committed) => return Err(error),
        }
        let last = Applied { index: facts.last.index.max(facts.applied.index), term: facts.term.max(facts.last.term) };
        store.refound(&folder, after(last)?, bump_revision)
    }
}

fn facts(store: &Store, folder: &Path, log: &Result<Option<Log>>) -> Result<Facts> {
    let applied = store.applied()?;
    let (members, before, revision, alarms, wanted) = store.read(|state| {
        let members = cluster::membership(state)?.membership.unwrap_or_default();
        Ok((members, cluster::before(state)?, kv::revision(state)?, kv::alarms(state)?, models::wanted(state)?))
    })?;
    let blobs = Blobs::at(&folder.join(models::FOLDER));
    let missing = wanted.into_iter().filter_map(|version| {
        let manifest = Manifest::read(&version.signed?.manifest).ok()?;
        let is_here = blobs.len(manifest.digest().ok()?).is_ok_and(|len| len == Some(manifest.size));
        (!is_here).then(|| (format!("{}@{}", version.name, version.version), manifest.digest))
    });
    let (committed, last, term) = match log {
        Ok(Some(log)) => {
            let (shelf, (_, last)) = (log.shelf(), log.shelf().ends());
            let known = shelf.known();
            // It is written with what comes after, so that it may be of entries which were not.
            let committed = if known.committed.index > last.index { last } else { known.committed };
            let committed = if committed.index < applied.index { applied } else { committed };
            (committed, last, known.vote.map_or(last.term, |vote| vote.term))
        }
        _ => (applied, applied, applied.term),
    };
    Ok(Facts {
        owner: store.owner(),
        members: known(members),
        applied,
        revision,
        committed,
        last,
        term: term.max(applied.term),
        alarms,
        missing: missing.collect(),
        unread_log: log.as_ref().err().cloned(),
        before,
    })
}

fn known(membership: Membership) -> Vec<Known> {
    let voters: Vec<u64> = membership.voters.iter().flat_map(|set| set.member.iter().copied()).collect();
    let known = |member: crate::proto::meshpb::Member| {
        let seat = member.seat.unwrap_or_default();
        Known { id: member.id, name: seat.name, address: seat.address, is_voter: voters.contains(&member.id) }
    };
    membership.members.into_iter().map(known).collect()
}

/// Applies what the state lacks.
fn apply(store: &Store, shelf: &Arc<Shelf>, entries: Range<u64>) -> Result<()> {
    let mut next = entries.start;
    while next < entries.end {
        let found = shelf.fetch(shelf.look_up(next..entries.end, MAX_BYTES))?;
        if found.is_empty() {
            let what = "its log lacks it".into();
            return Err(MeshError::UnreadableEntry { index: next, what });
        }
        next += found.len() as u64;
        store.apply(&found)?;
    }
    Ok(())
}
