//! Who made a snapshot: a statement about it, signed with the key of a node. `docs/formats/mesh.md`.

use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::logged::Applied;
use mayfly_wire::{Identity, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN};
use serde::{Deserialize, Serialize};

/// What a signature on a backup is for: the context of ML-DSA-87.
const SEALED_AS: &str = "mayfly mesh backup 1";
pub(super) const MAGIC: &[u8; 6] = b"mfseal";
const FORMAT: u16 = 1;
const STATEMENT_FORMAT: u32 = 1;
/// A statement is far shorter.
const MAX_STATEMENT: usize = 64 << 10;

/// What whoever made a backup says of it. The bytes that are signed are kept as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statement {
    format: u32,
    /// 16 hexadecimal digits, as the next one.
    cluster: String,
    member: String,
    index: u64,
    term: u64,
    revision: i64,
    /// The length of the stream, and the BLAKE3 that it ends with.
    bytes: u64,
    digest: String,
    /// Seconds since 1970.
    signed_at: i64,
    /// The node id of the signer: 64 hexadecimal digits.
    signer: String,
    /// What made it.
    by: String,
}

/// What every statement says.
#[derive(Deserialize)]
struct Formatted {
    format: u32,
}

/// The stream that is signed, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    pub(crate) owner: Owner,
    pub(crate) at: Applied,
    pub(crate) revision: i64,
    pub(crate) bytes: u64,
    pub(crate) digest: [u8; 32],
}

/// The bytes that follow on a stream.
pub(crate) fn seal(sealed: &Sealed, identity: &Identity, now_s: i64) -> Result<Vec<u8>> {
    let failed = |what: String| MeshError::Snapshot { what: format!("it cannot be signed: {what}") };
    let Sealed { owner, at, revision, bytes, digest } = *sealed;
    let statement = Statement {
        format: STATEMENT_FORMAT,
        cluster: format!("{:016x}", owner.cluster),
        member: format!("{:016x}", owner.member),
        index: at.index,
        term: at.term,
        revision,
        bytes,
        digest: blake3::Hash::from(digest).to_hex().to_string(),
        signed_at: now_s,
        signer: identity.id().to_string(),
        by: concat!("mayfly ", env!("CARGO_PKG_VERSION")).into(),
    };
    let statement = serde_json::to_vec(&statement).map_err(|e| failed(e.to_string()))?;
    let signature = identity.sign(SEALED_AS, &statement).map_err(|e| failed(e.to_string()))?;
    let mut out = MAGIC.to_vec();
    out.extend(FORMAT.to_be_bytes());
    out.extend((statement.len() as u32).to_be_bytes()); // a statement is short
    out.extend(&statement);
    out.extend(identity.public_key().bytes());
    out.extend(signature);
    Ok(out)
}

/// A seal that was found.
pub(super) struct Found {
    pub(super) statement: Statement,
    signed: Vec<u8>,
    key: PublicKey,
    signature: Vec<u8>,
    /// Its length in the file.
    pub(super) bytes: u64,
}

/// Why the bytes behind a stream are no seal.
pub(super) enum NoSeal {
    /// It has a later format.
    Newer(u32),
    Broken(String),
}

/// The seal that these bytes begin with.
pub(super) fn find(bytes: &[u8]) -> std::result::Result<Found, NoSeal> {
    let broken = |what: &str| NoSeal::Broken(what.into());
    let rest =
        bytes.strip_prefix(MAGIC).ok_or_else(|| broken("what follows on the state is neither zeros nor a seal"))?;
    let (format, rest) = rest.split_first_chunk().ok_or_else(|| broken("its seal is cut"))?;
    match u16::from_be_bytes(*format) {
        FORMAT => {}
        newer @ 2.. => return Err(NoSeal::Newer(newer.into())),
        0 => return Err(broken("its seal has no format")),
    }
    let (len, rest) = rest.split_first_chunk().ok_or_else(|| broken("its seal is cut"))?;
    let len = u32::from_be_bytes(*len) as usize;
    if len > MAX_STATEMENT {
        return Err(NoSeal::Broken(format!("its seal claims a statement of {len} bytes")));
    }
    let (signed, rest) = rest.split_at_checked(len).ok_or_else(|| broken("its seal is cut"))?;
    let (key, rest) = rest.split_at_checked(PUBLIC_KEY_LEN).ok_or_else(|| broken("its seal is cut"))?;
    let (signature, rest) = rest.split_at_checked(SIGNATURE_LEN).ok_or_else(|| broken("its seal is cut"))?;
    let unread = |e: serde_json::Error| NoSeal::Broken(format!("its statement cannot be read: {e}"));
    // Before the rest: a later one may have other fields.
    let Formatted { format } = serde_json::from_slice(signed).map_err(unread)?;
    if format > STATEMENT_FORMAT {
        return Err(NoSeal::Newer(format));
    }
    let statement: Statement = serde_json::from_slice(signed).map_err(unread)?;
    let key = PublicKey::new(key).map_err(|e| NoSeal::Broken(e.to_string()))?;
    let (signed, signature) = (signed.to_vec(), signature.to_vec());
    Ok(Found { statement, signed, key, signature, bytes: (bytes.len() - rest.len()) as u64 })
}

/// What [`is_seal`] reads.
#[cfg(test)]
pub(crate) fn sealed(owner: Owner, identity: &Identity) -> Vec<u8> {
    let sealed = Sealed { owner, at: Applied::NONE, revision: 1, bytes: 9, digest: [5; 32] };
    seal(&sealed, identity, 1).expect("signed")
}

/// See `fuzz`.
pub(crate) fn is_seal(bytes: &[u8]) -> bool {
    find(bytes).is_ok_and(|found| found.verify(1, Applied::NONE, 0, 0, &[0; 32]).is_some() || found.bytes > 0)
}

impl Found {
    /// Is it signed by whom it names, and about this stream? What is wrong, if something is.
    pub(super) fn verify(
        &self,
        cluster: u64,
        at: Applied,
        revision: i64,
        bytes: u64,
        digest: &[u8; 32],
    ) -> Option<String> {
        let said = &self.statement;
        if self.key.id().to_string() != said.signer {
            return Some(format!("the key in it is that of {}", self.key.id()));
        }
        if self.key.verify(SEALED_AS, &self.signed, &self.signature).is_err() {
            return Some("it is not the signature of that key over this statement".into());
        }
        let is_about_this = said.cluster == format!("{cluster:016x}")
            && (said.index, said.term, said.revision, said.bytes) == (at.index, at.term, revision, bytes)
            && said.digest == blake3::Hash::from(*digest).to_hex().as_str();
        (!is_about_this).then(|| format!("it is about another state, that of {} at entry {}", said.cluster, said.index))
    }

    pub(super) fn signer(&self) -> mayfly_base::NodeId {
        self.key.id()
    }
}

impl Statement {
    /// The member that made it; 0 for what is none.
    pub(super) fn member(&self) -> u64 {
        u64::from_str_radix(&self.member, 16).unwrap_or(0)
    }

    pub(super) fn signed_at(&self) -> i64 {
        self.signed_at
    }

    /// Who is said to have signed.
    pub(super) fn signer(&self) -> &str {
        &self.signer
    }
}
