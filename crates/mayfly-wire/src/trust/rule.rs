//! Who is a member: a function of the set of records, whatever order they came in.
//!
//! 1. Every record counts whose signature is that of a key which the founder, or a chain of records from it, ever named. Nothing is taken back by what comes later.
//! 2. A key is **shut out** when a revocation names it, and so is every key that it was rotated into. A key that was rotated into two others was in two hands:
//!    both of them are shut out.
//! 3. A revocation **closes the book** of the keys it shuts out, a rotation that of the old key: of what the key admitted, only whom the record names stays.
//!    Where several records close one book, whom all of them name stays.
//! 4. A key **stands** when it is the founder's, when a standing key admitted it and that admission stays, or when a standing key that is not shut out was rotated
//!    into it and into nothing else.
//! 5. The **members** are the keys that stand, were not shut out and were not rotated away.
//!
//! Revocations are never void: two members who revoke each other are both out, and a stolen key can shut out, but never let in, once its book is closed.

use super::Record;
use crate::{PublicKey, Result};
use mayfly_base::NodeId;
use std::collections::{BTreeMap, BTreeSet};

type Ids = BTreeSet<NodeId>;

/// What the records say, in the shape in which the rule asks for it. Grows and never shrinks, but for the lists of whom closed books keep.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Every key that was ever named.
    pub(super) keys: BTreeMap<NodeId, PublicKey>,
    admitted: BTreeMap<NodeId, Ids>,
    rotated: BTreeMap<NodeId, Ids>,
    /// By a key, whom its revocations keep.
    revoked: BTreeMap<NodeId, Ids>,
    /// By a key, whom its own rotations keep.
    handed_over: BTreeMap<NodeId, Ids>,
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The members and their keys.
    pub(super) members: BTreeMap<NodeId, PublicKey>,
    pub(super) shut_out: Ids,
    pub(super) stand: Ids,
}

impl Facts {
    /// # Errors
    /// [`crate::WireError::PublicKey`].
    pub(super) fn add(&mut self, body: &Record) -> Result<()> {
        match body {
            Record::Found { key, .. } => drop(self.name(key)?),
            Record::Admit { key, by, .. } => {
                let id = self.name(key)?;
                self.admitted.entry(*by).or_default().insert(id);
            }
            Record::Revoke { id, keeps, .. } => close(&mut self.revoked, *id, keeps),
            Record::Rotate { old, key, keeps, .. } => {
                let new = self.name(key)?;
                self.rotated.entry(*old).or_default().insert(new);
                close(&mut self.handed_over, *old, keeps);
            }
        }
        Ok(())
    }

    fn name(&mut self, key: &[u8]) -> Result<NodeId> {
        let key = PublicKey::new(key)?;
        let id = key.id();
        self.keys.entry(id).or_insert(key);
        Ok(id)
    }

    /// Was it rotated into another key?
    pub(super) fn is_rotated(&self, id: NodeId) -> bool {
        self.rotated.contains_key(&id)
    }

    pub(super) fn admitted_by(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.admitted.get(&id).into_iter().flatten().copied()
    }

    /// A key and all that it was rotated into.
    pub(super) fn with_successors(&self, id: NodeId) -> Ids {
        let (mut found, mut next) = (Ids::from([id]), vec![id]);
        while let Some(id) = next.pop() {
            for &new in self.rotated.get(&id).into_iter().flatten() {
                if found.insert(new) {
                    next.push(new);
                }
            }
        }
        found
    }

    /// The rule.
    pub(super) fn derive(&self, founder: NodeId) -> Standing {
        let mut shut_out = Ids::new();
        let mut books: BTreeMap<NodeId, Vec<&Ids>> = BTreeMap::new();
        for (id, keeps) in &self.revoked {
            for key in self.with_successors(*id) {
                shut_out.insert(key);
                books.entry(key).or_default().push(keeps);
            }
        }
        for (id, keeps) in &self.handed_over {
            books.entry(*id).or_default().push(keeps);
        }
        for (id, new) in self.rotated.iter().filter(|(_, new)| new.len() > 1) {
            shut_out.extend(new.iter().flat_map(|new| self.with_successors(*new)).filter(|new| new != id));
        }
        let stays =
            |by: &NodeId, id: &NodeId| books.get(by).is_none_or(|all| all.iter().all(|keeps| keeps.contains(id)));
        let (mut stand, mut next) = (Ids::from([founder]), vec![founder]);
        while let Some(by) = next.pop() {
            let admitted = self.admitted.get(&by).into_iter().flatten().filter(|id| stays(&by, id));
            let rotated = self.rotated.get(&by).filter(|new| new.len() == 1 && !shut_out.contains(&by));
            for &id in admitted.chain(rotated.into_iter().flatten()) {
                if stand.insert(id) {
                    next.push(id);
                }
            }
        }
        let is_member = |id: &NodeId| !shut_out.contains(id) && !self.is_rotated(*id);
        let member = |id: &NodeId| Some((*id, self.keys.get(id)?.clone()));
        let members = stand.iter().filter(|id| is_member(id)).filter_map(member).collect();
        Standing { members, shut_out, stand }
    }
}

/// Whom this record keeps and all others that close the same book do.
fn close(books: &mut BTreeMap<NodeId, Ids>, id: NodeId, keeps: &[NodeId]) {
    let keeps: Ids = keeps.iter().copied().collect();
    match books.get_mut(&id) {
        Some(all) => all.retain(|id| keeps.contains(id)),
        None => drop(books.insert(id, keeps)),
    }
}
