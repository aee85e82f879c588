//! A new cluster that goes on from the state of another.

use super::open;
use super::{Store, note};
use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::kv;
use crate::logged::Applied;
use crate::member_file::{self, Stage};
use crate::module::{Fault, Module, Refounding};
use redb::WriteTransaction;
use std::path::Path;

/// A new cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refound {
    /// Its only member.
    pub owner: Owner,
    /// The revision that it stands at.
    pub revision: i64,
}

impl Store {
    /// Makes a new cluster of the state that is here, in one transaction. The log is begun anew at the next start.
    pub(crate) fn refound(self, folder: &Path, at: Applied, bump_revision: u32) -> Result<Refound> {
        let how = Refounding { at, before: self.owner, bump_revision };
        let owner = Owner { cluster: member_file::draw(folder)?, member: at.index };
        self.transact(|transaction| {
            super::log::forget(transaction)?;
            refound_in(transaction, &self.modules, &how, owner)?;
            open::note_was(transaction, self.owner)
        })?;
        member_file::write(folder, owner, Stage::Founded)?;
        Ok(Refound { owner, revision: self.read(kv::revision)? })
    }
}

/// The entry that founds a cluster after this one.
pub(crate) fn after(last: Applied) -> Result<Applied> {
    let at = last.index.checked_add(1).zip(last.term.checked_add(1));
    let at = at.map(|(index, term)| Applied { index, term });
    at.ok_or_else(|| MeshError::Snapshot { what: "it stands at the last entry that there can be".into() })
}

/// The entry that founds the cluster is applied: every module does its part, and the file is another member's.
pub(super) fn refound_in(
    transaction: &WriteTransaction,
    modules: &[Box<dyn Module>],
    how: &Refounding,
    owner: Owner,
) -> std::result::Result<(), Fault> {
    for module in modules {
        module.refound(transaction, how)?;
    }
    note(transaction, how.at)?;
    open::mark(transaction, owner)
}
