//! The members, as a log of signed records makes them.

use super::record::{Record, SignedRecord};
use super::sealed_file;
use crate::{Identity, PublicKey, Result, WireError, from_payload, to_payload};
use mayfly_base::NodeId;
use std::collections::BTreeMap;

const MAGIC: &[u8; 4] = b"MFTL";
const MOST_MEMBERS: usize = 65_536;

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

/// What came of merging another node's list.
#[derive(Debug, Default)]
pub struct Merge {
    /// What is new here.
    pub changes: Vec<Change>,
    /// Records that were refused, by their place in the other's log, and why.
    pub refused: Vec<(usize, WireError)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    Revoked,
    RotatedInto(NodeId),
}

/// Whom a swarm trusts. The rules are in `docs/formats/wire.md`.
#[derive(Clone, Debug)]
pub struct TrustList {
    swarm: NodeId,
    log: Vec<SignedRecord>,
    members: BTreeMap<NodeId, PublicKey>,
    gone: BTreeMap<NodeId, Gone>,
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
        let Some(Record::Found { key, .. }) = records.first().map(|first| &first.body) else {
            return Err(WireError::Founding { at: 0 });
        };
        let founder = PublicKey::new(key)?;
        records[0].verify(&founder)?;
        let members = BTreeMap::from([(founder.id(), founder.clone())]);
        let mut list = Self { swarm: founder.id(), log: Vec::new(), members, gone: BTreeMap::new() };
        for (at, record) in records.into_iter().enumerate() {
            match at {
                0 => list.log.push(record),
                _ if matches!(record.body, Record::Found { .. }) => return Err(WireError::Founding { at }),
                _ => drop(list.apply(record)?),
            }
        }
        Ok(list)
    }

    /// The swarm's name: its founder's id.
    pub fn swarm(&self) -> NodeId {
        self.swarm
    }

    /// The log, in an order in which another node can take it.
    pub fn records(&self) -> &[SignedRecord] {
        &self.log
    }

    /// The members and their keys, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (NodeId, &PublicKey)> {
        self.members.iter().map(|(id, key)| (*id, key))
    }

    /// The ids that were revoked or rotated away.
    pub fn gone(&self) -> impl ExactSizeIterator<Item = NodeId> {
        self.gone.keys().copied()
    }

    /// Whom a member let in: who else to look at when its key was stolen.
    pub fn admitted_by(&self, id: NodeId) -> Vec<NodeId> {
        let keys = self.log.iter().filter_map(|record| match &record.body {
            Record::Admit { key, by, .. } if *by == id => PublicKey::new(key).ok(),
            _ => None,
        });
        keys.map(|key| key.id()).collect()
    }

    /// The key of a member.
    ///
    /// # Errors
    /// [`WireError::Revoked`], [`WireError::NotMember`].
    pub fn member(&self, id: NodeId) -> Result<&PublicKey> {
        match self.gone.get(&id) {
            Some(_) => Err(WireError::Revoked { id }),
            None => self.members.get(&id).ok_or(WireError::NotMember { id }),
        }
    }

    /// 32 bytes that are equal for lists with the same members and the same revocations, whatever the order they came in.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.swarm.0).update(&(self.members.len() as u64).to_le_bytes());
        for id in self.members.keys().chain(self.gone.keys()) {
            hasher.update(&id.0);
        }
        *hasher.finalize().as_bytes()
    }

    /// Takes a record in.
    ///
    /// # Errors
    /// [`WireError::OtherSwarm`]; [`WireError::NotMember`] or [`WireError::Revoked`] when its signer is none here, or when it lets in a key that is gone;
    /// [`WireError::Signature`], [`WireError::PublicKey`], [`WireError::Full`]. Nothing is changed then.
    pub fn apply(&mut self, record: SignedRecord) -> Result<Change> {
        let got = record.body.swarm()?;
        if got != self.swarm {
            return Err(WireError::OtherSwarm { what: "the record", want: self.swarm, got });
        }
        let change = self.plan(&record.body)?;
        if change == Change::Nothing {
            return Ok(change);
        }
        record.verify(self.member(record.body.signer()?)?)?;
        self.commit(&record.body)?;
        self.log.push(record);
        Ok(change)
    }

    /// What a record would change, its signature aside.
    fn plan(&self, body: &Record) -> Result<Change> {
        match body {
            Record::Found { .. } => Ok(Change::Nothing),
            Record::Admit { key, .. } => self.plan_new(PublicKey::new(key)?.id()),
            Record::Revoke { id, .. } => Ok(match self.gone.get(id) {
                Some(Gone::Revoked) => Change::Nothing,
                _ => Change::Removed(*id),
            }),
            Record::Rotate { swarm, old, key, proof, .. } => {
                let key = PublicKey::new(key)?;
                if self.gone.get(old) == Some(&Gone::RotatedInto(key.id())) {
                    return Ok(Change::Nothing);
                }
                self.member(*old)?;
                if self.plan_new(key.id())? == Change::Nothing {
                    return Err(WireError::NotMember { id: *old });
                }
                Record::check_proof(*swarm, *old, &key, proof)?;
                Ok(Change::Rotated { old: *old, new: key.id() })
            }
        }
    }

    fn plan_new(&self, id: NodeId) -> Result<Change> {
        if self.gone.contains_key(&id) {
            return Err(WireError::Revoked { id });
        }
        if self.members.contains_key(&id) {
            return Ok(Change::Nothing);
        }
        if self.members.len() + self.gone.len() >= MOST_MEMBERS {
            return Err(WireError::Full { limit: MOST_MEMBERS });
        }
        Ok(Change::Added(id))
    }

    fn commit(&mut self, body: &Record) -> Result<()> {
        match body {
            Record::Found { .. } => {}
            Record::Admit { key, .. } => self.insert(PublicKey::new(key)?),
            Record::Revoke { id, .. } => self.revoke_with_successors(*id),
            Record::Rotate { old, key, .. } => {
                let key = PublicKey::new(key)?;
                self.members.remove(old);
                self.gone.insert(*old, Gone::RotatedInto(key.id()));
                self.insert(key);
            }
        }
        Ok(())
    }

    fn insert(&mut self, key: PublicKey) {
        self.members.insert(key.id(), key);
    }

    /// A stolen key may have been rotated into the thief's, so the whole chain goes.
    fn revoke_with_successors(&mut self, id: NodeId) {
        let mut next = Some(id);
        while let Some(id) = next {
            self.members.remove(&id);
            next = match self.gone.insert(id, Gone::Revoked) {
                Some(Gone::RotatedInto(successor)) => Some(successor),
                _ => None,
            };
        }
    }

    /// Takes in what is new in another node's log.
    pub fn merge(&mut self, records: &[SignedRecord]) -> Merge {
        let mut merge = Merge::default();
        for (at, record) in records.iter().enumerate() {
            match self.apply(record.clone()) {
                Ok(Change::Nothing) => {}
                Ok(change) => merge.changes.push(change),
                Err(error) => merge.refused.push((at, error)),
            }
        }
        merge
    }

    /// Lets a key in.
    ///
    /// # Errors
    /// Those of [`TrustList::apply`].
    pub fn admit(&mut self, by: &Identity, key: &PublicKey, now_ms: u64) -> Result<Change> {
        let key = key.bytes().to_vec();
        self.sign_and_apply(by, Record::Admit { swarm: self.swarm, key, by: by.id(), at_ms: now_ms })
    }

    /// Shuts a key out for good, and every key it was rotated into. A key that was never a member can be shut out as well.
    ///
    /// # Errors
    /// Those of [`TrustList::apply`].
    pub fn revoke(&mut self, by: &Identity, id: NodeId, now_ms: u64) -> Result<Change> {
        self.sign_and_apply(by, Record::Revoke { swarm: self.swarm, id, by: by.id(), at_ms: now_ms })
    }

    /// Puts a new key in an old one's place: the old one signs, the new one proves that it is there.
    ///
    /// # Errors
    /// Those of [`TrustList::apply`].
    pub fn rotate(&mut self, old: &Identity, new: &Identity, now_ms: u64) -> Result<Change> {
        let body = Record::rotation(self.swarm, old.id(), new, now_ms)?;
        self.sign_and_apply(old, body)
    }

    fn sign_and_apply(&mut self, by: &Identity, body: Record) -> Result<Change> {
        self.member(by.id())?;
        self.apply(SignedRecord::sign(body, by)?)
    }

    /// The list as `trust.list` holds it.
    ///
    /// # Errors
    /// [`WireError::Payload`], which does not happen for records that were read or made here.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let records: Result<Vec<Vec<u8>>> = self.log.iter().map(|r| to_payload("a trust record", r)).collect();
        let mut items = Vec::new();
        for record in records? {
            items.extend((record.len() as u32).to_le_bytes());
            items.extend(record);
        }
        Ok(sealed_file::wrap(MAGIC, self.log.len(), &items))
    }

    /// The list of such bytes, every record verified.
    ///
    /// # Errors
    /// [`WireError::Payload`] when they are not a trust list, and those of [`TrustList::from_records`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (count, mut rest) = sealed_file::unwrap(MAGIC, "the trust list", bytes)?;
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
            return Err(WireError::Payload { what: "the trust list", reason });
        }
        Self::from_records(records)
    }
}
