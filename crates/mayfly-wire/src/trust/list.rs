//! The members, as a set of signed records makes them.

use super::record::{Record, RecordHash, SignedRecord};
use super::rule::{Facts, Standing};
use super::sealed_file;
use crate::{Identity, PublicKey, Result, WireError, from_payload, to_payload};
use mayfly_base::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

const MAGIC: &[u8; 4] = b"MFTL";
/// Keys that a list ever names, and so many records again that shut keys out.
pub(super) const MOST_MEMBERS: usize = 65_536;

/// What a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It was so already.
    Nothing,
    /// A new member.
    Added(NodeId),
    /// A member is gone.
    Removed(NodeId),
    /// A member has a new key.
    Rotated {
        /// The name until now.
        old: NodeId,
        /// The name from now on.
        new: NodeId,
    },
}

/// What came of merging another node's records.
#[derive(Debug, Default)]
pub struct Merge {
    /// Who came and who went.
    pub changes: Vec<Change>,
    /// How many of the records are new here, whether or not they changed who is a member.
    pub taken: usize,
    /// Records that were refused, by their place among those given, and why.
    pub refused: Vec<(usize, WireError)>,
}

/// What becomes of those whom a revoked member let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Whoever is known here stays.
    Stay,
    /// They go as well, and whom they let in, unless somebody else admitted them too.
    Go,
}

/// Whom a swarm trusts: a set of signed records that only grows, and the members that follow from it whatever order the records came in.
/// The rule is in `docs/formats/wire.md`.
#[derive(Clone, Debug)]
pub struct TrustList {
    swarm: NodeId,
    /// In an order in which the record that names a key comes before those it signed.
    log: Arc<Vec<SignedRecord>>,
    hashes: Arc<Vec<RecordHash>>,
    places: BTreeMap<RecordHash, u32>,
    facts: Facts,
    standing: Standing,
}

impl TrustList {
    /// A new swarm with one member.
    ///
    /// # Errors
    /// [`WireError::Tls`] when the crypto library fails.
    pub fn found(founder: &Identity, now_ms: u64) -> Result<Self> {
        let key = founder.public_key().bytes().to_vec();
        Self::from_records(vec![SignedRecord::sign(Record::Found { key, at_ms: now_ms }, founder)?])
    }

    /// The list of a log, every record of it verified.
    ///
    /// # Errors
    /// [`WireError::Founding`] and those of [`TrustList::apply`].
    pub fn from_records(records: Vec<SignedRecord>) -> Result<Self> {
        let mut records = records.into_iter();
        let first = records.next().ok_or(WireError::Founding { at: 0 })?;
        let Record::Found { key, .. } = &first.body else { return Err(WireError::Founding { at: 0 }) };
        let founder = PublicKey::new(key)?;
        first.verify(&founder)?;
        let mut list = Self {
            swarm: founder.id(),
            hashes: Arc::new(vec![first.hash()?]),
            log: Arc::default(),
            places: BTreeMap::new(),
            facts: Facts::default(),
            standing: Standing::default(),
        };
        list.facts.add(&first.body)?;
        list.log = Arc::new(vec![first]);
        for (at, record) in records.enumerate() {
            if matches!(record.body, Record::Found { .. }) {
                return Err(WireError::Founding { at: at + 1 });
            }
            list.insert(record)?;
        }
        list.standing = list.facts.derive(list.swarm);
        Ok(list)
    }

    /// The swarm's name: its founder's id.
    pub fn swarm(&self) -> NodeId {
        self.swarm
    }

    /// The records, in an order in which another node can take them.
    pub fn records(&self) -> &[SignedRecord] {
        &self.log
    }

    /// Their hashes, in the same order.
    pub(super) fn hashes(&self) -> &[RecordHash] {
        &self.hashes
    }

    /// Hashes in ascending order with their places in the log; the founding record, which every list of the swarm has, is left out.
    pub(super) fn places(&self) -> &BTreeMap<RecordHash, u32> {
        &self.places
    }

    /// The members and their keys, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (NodeId, &PublicKey)> {
        self.standing.members.iter().map(|(id, key)| (*id, key))
    }

    /// The ids that were revoked or rotated away.
    pub fn gone(&self) -> impl ExactSizeIterator<Item = NodeId> {
        let rotated = self.facts.keys.keys().filter(|id| self.facts.is_rotated(**id));
        let gone: std::collections::BTreeSet<_> = self.standing.shut_out.iter().chain(rotated).copied().collect();
        gone.into_iter()
    }

    /// Whom a member let in: who else to look at when its key was stolen.
    pub fn admitted_by(&self, id: NodeId) -> Vec<NodeId> {
        self.facts.admitted_by(id).collect()
    }

    /// The key of a member.
    ///
    /// # Errors
    /// [`WireError::Revoked`], [`WireError::NotMember`].
    pub fn member(&self, id: NodeId) -> Result<&PublicKey> {
        match self.standing.members.get(&id) {
            Some(key) => Ok(key),
            None if self.is_gone(id) => Err(WireError::Revoked { id }),
            None => Err(WireError::NotMember { id }),
        }
    }

    fn is_gone(&self, id: NodeId) -> bool {
        self.standing.shut_out.contains(&id) || self.facts.is_rotated(id)
    }

    /// 32 bytes that are equal for lists of the same records, whatever order they came in: such lists have the same members.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.swarm.0);
        for hash in self.places.keys() {
            hasher.update(hash);
        }
        *hasher.finalize().as_bytes()
    }

    /// Takes a record in.
    ///
    /// # Errors
    /// [`WireError::OtherSwarm`]; [`WireError::NotMember`] when no record here names its signer;
    /// [`WireError::Signature`], [`WireError::PublicKey`], [`WireError::Full`]. Nothing is changed then.
    pub fn apply(&mut self, record: SignedRecord) -> Result<Change> {
        let mut merge = self.merge(std::slice::from_ref(&record));
        match merge.refused.pop() {
            Some((_, error)) => Err(error),
            None => Ok(merge.changes.pop().unwrap_or(Change::Nothing)),
        }
    }

    /// Takes in what is new among another node's records.
    pub fn merge(&mut self, records: &[SignedRecord]) -> Merge {
        let (mut merge, mut is_plain) = (Merge::default(), true);
        for (at, record) in records.iter().enumerate() {
            match self.insert(record.clone()) {
                Ok(true) => {
                    merge.taken += 1;
                    match self.let_in(&record.body) {
                        Some(change) => merge.changes.extend(change),
                        None => is_plain = false,
                    }
                }
                Ok(false) => {}
                Err(error) => merge.refused.push((at, error)),
            }
        }
        if !is_plain {
            let mut before = std::mem::replace(&mut self.standing, self.facts.derive(self.swarm)).members;
            before.retain(|id, _| !merge.changes.contains(&Change::Added(*id)));
            merge.changes = self.changes_since(&before);
        }
        merge
    }

    /// Puts a record into the set; says whether it was new.
    fn insert(&mut self, record: SignedRecord) -> Result<bool> {
        let got = record.body.swarm()?;
        if got != self.swarm {
            return Err(WireError::OtherSwarm { what: "the record", want: self.swarm, got });
        }
        let hash = record.hash()?;
        if matches!(record.body, Record::Found { .. }) || self.places.contains_key(&hash) {
            return Ok(false);
        }
        let signer = record.body.signer()?;
        record.verify(self.facts.keys.get(&signer).ok_or(WireError::NotMember { id: signer })?)?;
        if let Record::Rotate { swarm, old, key, proof, .. } = &record.body {
            Record::check_proof(*swarm, *old, &PublicKey::new(key)?, proof)?;
        }
        self.check_room(&record.body)?;
        self.facts.add(&record.body)?;
        self.places.insert(hash, self.log.len() as u32);
        Arc::make_mut(&mut self.hashes).push(hash);
        Arc::make_mut(&mut self.log).push(record);
        Ok(true)
    }

    /// Room for revocations is not taken by admissions.
    fn check_room(&self, body: &Record) -> Result<()> {
        let full = Err(WireError::Full { limit: MOST_MEMBERS });
        match body {
            Record::Revoke { .. } if self.log.len() >= 2 * MOST_MEMBERS => full,
            Record::Admit { .. } | Record::Rotate { .. } if self.log.len() >= MOST_MEMBERS + MOST_MEMBERS / 2 => full,
            Record::Admit { .. } | Record::Rotate { .. } if self.facts.keys.len() >= MOST_MEMBERS => full,
            _ => Ok(()),
        }
    }

    /// The common case without going over everything: a member, whose book is open because it was neither revoked nor rotated away, lets a key in.
    /// Nothing when it is not that.
    fn let_in(&mut self, body: &Record) -> Option<Option<Change>> {
        let Record::Admit { key, by, .. } = body else { return None };
        let key = PublicKey::new(key).ok()?;
        let id = key.id();
        let is_plain = self.standing.members.contains_key(by) && !self.is_gone(id);
        let is_known = self.standing.members.contains_key(&id);
        if !is_plain || !(is_known || self.facts.admitted_by(id).next().is_none()) {
            return None;
        }
        self.standing.stand.insert(id);
        self.standing.members.insert(id, key);
        Some((!is_known).then_some(Change::Added(id)))
    }

    fn changes_since(&self, before: &BTreeMap<NodeId, PublicKey>) -> Vec<Change> {
        let now = &self.standing.members;
        let mut new: Vec<NodeId> = now.keys().filter(|id| !before.contains_key(id)).copied().collect();
        let mut changes = Vec::new();
        for &old in before.keys().filter(|id| !now.contains_key(id)) {
            let successors = self.facts.with_successors(old);
            match new.iter().position(|id| successors.contains(id)) {
                Some(at) => changes.push(Change::Rotated { old, new: new.swap_remove(at) }),
                None => changes.push(Change::Removed(old)),
            }
        }
        changes.extend(new.into_iter().map(Change::Added));
        changes
    }

    /// Lets a key in.
    ///
    /// # Errors
    /// [`WireError::NotMember`] or [`WireError::Revoked`] when `by` is no member, [`WireError::Revoked`] when the key is gone, and those of [`TrustList::apply`].
    pub fn admit(&mut self, by: &Identity, key: &PublicKey, now_ms: u64) -> Result<Change> {
        self.member(by.id())?;
        let id = key.id();
        if self.is_gone(id) {
            return Err(WireError::Revoked { id });
        }
        if self.standing.members.contains_key(&id) {
            return Ok(Change::Nothing);
        }
        let key = key.bytes().to_vec();
        self.apply(SignedRecord::sign(Record::Admit { swarm: self.swarm, key, by: by.id(), at_ms: now_ms }, by)?)
    }

    /// Shuts a key out for good, and every key it was rotated into; whom it let in stays. A key that was never a member can be shut out as well.
    ///
    /// # Errors
    /// Those of [`TrustList::revoke_with`].
    pub fn revoke(&mut self, by: &Identity, id: NodeId, now_ms: u64) -> Result<Change> {
        self.revoke_with(by, id, Admitted::Stay, now_ms)
    }

    /// As [`TrustList::revoke`], and says what becomes of those whom the key let in.
    ///
    /// # Errors
    /// [`WireError::NotMember`] or [`WireError::Revoked`] when `by` is no member, and those of [`TrustList::apply`].
    pub fn revoke_with(&mut self, by: &Identity, id: NodeId, admitted: Admitted, now_ms: u64) -> Result<Change> {
        self.member(by.id())?;
        if self.standing.shut_out.contains(&id) {
            return Ok(Change::Nothing);
        }
        let keeps = match admitted {
            Admitted::Stay => self.facts.with_successors(id).into_iter().flat_map(|id| self.kept(id)).collect(),
            Admitted::Go => Vec::new(),
        };
        let body = Record::Revoke { swarm: self.swarm, id, by: by.id(), at_ms: now_ms, keeps };
        self.apply(SignedRecord::sign(body, by)?)?;
        Ok(Change::Removed(id))
    }

    /// Whom a key let in, as far as they stand.
    fn kept(&self, by: NodeId) -> Vec<NodeId> {
        self.facts.admitted_by(by).filter(|id| self.standing.stand.contains(id)).collect()
    }

    /// Puts a new key in an old one's place: the old one signs, the new one proves that it is there.
    ///
    /// # Errors
    /// [`WireError::NotMember`] or [`WireError::Revoked`] when the old key is no member, [`WireError::Revoked`] and [`WireError::KeyInUse`] when the new one is
    /// known, and those of [`TrustList::apply`].
    pub fn rotate(&mut self, old: &Identity, new: &Identity, now_ms: u64) -> Result<Change> {
        self.member(old.id())?;
        match self.member(new.id()) {
            Ok(_) => return Err(WireError::KeyInUse { id: new.id() }),
            Err(WireError::Revoked { id }) => return Err(WireError::Revoked { id }),
            Err(_) => {}
        }
        let body = Record::rotation(self.swarm, old.id(), new, now_ms, self.kept(old.id()))?;
        self.apply(SignedRecord::sign(body, old)?)
    }

    /// The list as `trust.list` holds it.
    ///
    /// # Errors
    /// [`WireError::Payload`], which does not happen for records that were read or made here.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut items = Vec::new();
        for record in self.log.iter() {
            let record = to_payload("a trust record", record)?;
            items.extend((record.len() as u32).to_le_bytes());
            items.extend(record);
        }
        Ok(sealed_file::wrap(MAGIC, sealed_file::LIST_VERSION, self.log.len(), &items))
    }

    /// The list of such bytes, every record verified.
    ///
    /// # Errors
    /// [`WireError::Payload`] when they are not a trust list, and those of [`TrustList::from_records`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let what = "the trust list";
        let (count, mut rest) = sealed_file::unwrap(MAGIC, sealed_file::LIST_VERSION, what, bytes)?;
        let mut records = Vec::new();
        while let Some((len, after)) = rest.split_first_chunk() {
            let len = u32::from_le_bytes(*len) as usize;
            let cut = || WireError::Truncated { what: "a trust record", need: len as u64, have: after.len() as u64 };
            let (record, after) = after.split_at_checked(len).ok_or_else(cut)?;
            records.push(from_payload("a trust record", record)?);
            rest = after;
        }
        if !rest.is_empty() || records.len() != count as usize {
            let reason = format!("{} records instead of {count}", records.len());
            return Err(WireError::Payload { what, reason });
        }
        Self::from_records(records)
    }
}
