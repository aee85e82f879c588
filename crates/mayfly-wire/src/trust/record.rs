//! One statement about a key, signed by a member.

use crate::{Identity, PublicKey, Result, to_payload};
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

const CONTEXT: &str = "mayfly trust record 2";
const ROTATION: &str = "mayfly rotation 1";

/// What a member states. What follows from a set of records is in `docs/formats/wire.md`; times are for people and decide nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Record {
    /// The first member founds a swarm, which is named after it.
    Found {
        /// The founder's public key.
        key: Vec<u8>,
        /// When, milliseconds since 1970 by the founder's clock.
        at_ms: u64,
    },
    /// A member lets a key in.
    Admit {
        /// The swarm.
        swarm: NodeId,
        /// The new member's public key.
        key: Vec<u8>,
        /// The member who says so.
        by: NodeId,
        /// When, by that member's clock.
        at_ms: u64,
    },
    /// A member shuts a key out, for good, and every key that it was rotated into.
    Revoke {
        /// The swarm.
        swarm: NodeId,
        /// Who is shut out.
        id: NodeId,
        /// The member who says so.
        by: NodeId,
        /// When, by that member's clock.
        at_ms: u64,
        /// Whom these keys let in and who stays. Any other admission by them is void, whenever it was signed.
        keeps: Vec<NodeId>,
    },
    /// A member takes a new key; the old one is gone for good.
    Rotate {
        /// The swarm.
        swarm: NodeId,
        /// The member until now, who signs.
        old: NodeId,
        /// The new public key.
        key: Vec<u8>,
        /// When, by the member's clock.
        at_ms: u64,
        /// The new key's signature: nobody can rotate into a key that is not theirs.
        proof: Vec<u8>,
        /// Whom the old key let in and who stays. Any other admission by it is void, whenever it was signed.
        keeps: Vec<NodeId>,
    },
}

impl Record {
    pub(super) fn rotation(swarm: NodeId, old: NodeId, new: &Identity, at_ms: u64, keeps: Vec<NodeId>) -> Result<Self> {
        let proof = new.sign(ROTATION, &[swarm.0, old.0].concat())?;
        Ok(Self::Rotate { swarm, old, key: new.public_key().bytes().to_vec(), at_ms, proof, keeps })
    }

    pub(super) fn check_proof(swarm: NodeId, old: NodeId, new: &PublicKey, proof: &[u8]) -> Result<()> {
        new.verify(ROTATION, &[swarm.0, old.0].concat(), proof)
    }

    /// Who has to have signed; for a founding record, the key in it.
    pub(super) fn signer(&self) -> Result<NodeId> {
        Ok(match self {
            Self::Found { key, .. } => PublicKey::new(key)?.id(),
            Self::Admit { by, .. } | Self::Revoke { by, .. } => *by,
            Self::Rotate { old, .. } => *old,
        })
    }

    /// The swarm that the record is for.
    pub(super) fn swarm(&self) -> Result<NodeId> {
        match self {
            Self::Found { .. } => self.signer(),
            Self::Admit { swarm, .. } | Self::Revoke { swarm, .. } | Self::Rotate { swarm, .. } => Ok(*swarm),
        }
    }
}

/// BLAKE3 of a record's bytes: its name where sets of records are compared.
pub(crate) type RecordHash = [u8; 32];

/// A record and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    /// What is stated.
    pub body: Record,
    /// ML-DSA-87 over the body.
    pub signature: Vec<u8>,
}

impl SignedRecord {
    pub(super) fn sign(body: Record, by: &Identity) -> Result<Self> {
        let signature = by.sign(CONTEXT, &to_payload("a trust record", &body)?)?;
        Ok(Self { body, signature })
    }

    /// Is this the signature of that key?
    pub(super) fn verify(&self, key: &PublicKey) -> Result<()> {
        key.verify(CONTEXT, &to_payload("a trust record", &self.body)?, &self.signature)
    }

    pub(super) fn hash(&self) -> Result<RecordHash> {
        Ok(*blake3::hash(&to_payload("a trust record", self)?).as_bytes())
    }

    /// Bytes that it takes, near enough to fill pages by.
    pub(super) fn size(&self) -> usize {
        let body = match &self.body {
            Record::Found { key, .. } => key.len(),
            Record::Admit { key, .. } => key.len() + 64,
            Record::Revoke { keeps, .. } => 32 * keeps.len() + 96,
            Record::Rotate { key, proof, keeps, .. } => key.len() + proof.len() + 32 * keeps.len() + 64,
        };
        body + self.signature.len() + 32
    }
}
