//! The frame of the two trust files: magic, version, count, items, BLAKE3.

use crate::{Result, WireError};

/// 2 since revocations and rotations name whom they keep.
pub(super) const LIST_VERSION: u8 = 2;
pub(super) const BOOK_VERSION: u8 = 1;
const HEAD_LEN: usize = 12;

pub(super) fn wrap(magic: &[u8; 4], version: u8, count: usize, items: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_LEN + items.len() + blake3::OUT_LEN);
    out.extend(magic);
    out.extend([version, 0, 0, 0]);
    out.extend((count as u32).to_le_bytes());
    out.extend(items);
    let hash = blake3::hash(&out);
    out.extend(hash.as_bytes());
    out
}

/// The number of items and their bytes.
pub(super) fn unwrap<'a>(magic: &[u8; 4], known: u8, what: &'static str, bytes: &'a [u8]) -> Result<(u32, &'a [u8])> {
    let damaged = |reason: &str| WireError::Payload { what, reason: reason.into() };
    let (content, hash) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>().ok_or_else(|| damaged("it is too short"))?;
    let (head, items) = content.split_first_chunk::<HEAD_LEN>().ok_or_else(|| damaged("it is too short"))?;
    let [m0, m1, m2, m3, version, r0, r1, r2, c0, c1, c2, c3] = *head;
    if [m0, m1, m2, m3] != *magic {
        return Err(damaged("it starts with other bytes"));
    }
    if version < known {
        return Err(damaged("it was written by mayfly 0.1.0, by rules that no longer hold: found the swarm anew"));
    }
    if version != known {
        return Err(WireError::Version { what, found: version.into(), known: known.into() });
    }
    if blake3::hash(content) != blake3::Hash::from_bytes(*hash) || [r0, r1, r2] != [0; 3] {
        return Err(damaged("the checksum does not fit"));
    }
    Ok((u32::from_le_bytes([c0, c1, c2, c3]), items))
}
