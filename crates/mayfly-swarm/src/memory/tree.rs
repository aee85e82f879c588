//! A hash tree over the records: equal roots, equal memories.

use super::record::Version;
use alloc::boxed::Box;
use alloc::vec;

/// Buckets per branch, and branches.
pub const FAN: usize = 16;

/// Records lie in 256 buckets by the hash of their key; a bucket's hash is the sum of its records' hashes, so that one is put in or taken out in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    buckets: Box<[u128]>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { buckets: vec![0; FAN * FAN].into() }
    }
}

/// The bucket of a key: the highest byte of its place.
fn bucket_of(key: &[u8]) -> usize {
    (super::record::place_of(key) >> 56) as usize
}

fn hash_of(key: &[u8], (stamp, check): Version) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key).update(&stamp.ms.to_le_bytes()).update(&stamp.count.to_le_bytes());
    let hash = hasher.update(&stamp.node.0).update(&check.to_le_bytes()).finalize();
    u128::from_le_bytes(core::array::from_fn(|i| hash.as_bytes()[i]))
}

impl Tree {
    /// Puts a version of a key in.
    pub(crate) fn insert(&mut self, key: &[u8], version: Version) {
        let bucket = &mut self.buckets[bucket_of(key)];
        *bucket = bucket.wrapping_add(hash_of(key, version));
    }

    /// Takes a version of a key out, which must be in.
    pub(crate) fn remove(&mut self, key: &[u8], version: Version) {
        let bucket = &mut self.buckets[bucket_of(key)];
        *bucket = bucket.wrapping_sub(hash_of(key, version));
    }

    /// One number for everything.
    pub fn root(&self) -> u128 {
        digest(&self.branches())
    }

    /// A hash for each branch of 16 buckets.
    pub fn branches(&self) -> [u128; FAN] {
        core::array::from_fn(|branch| digest(&self.buckets(branch)))
    }

    /// The hashes of the buckets of a branch below 16.
    pub fn buckets(&self, branch: usize) -> [u128; FAN] {
        core::array::from_fn(|i| self.buckets[branch % FAN * FAN + i])
    }
}

/// Where sums differ, digests differ, too; a plain sum of sums would let differences cancel out.
fn digest(hashes: &[u128; FAN]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for hash in hashes {
        hasher.update(&hash.to_le_bytes());
    }
    let hash = hasher.finalize();
    u128::from_le_bytes(core::array::from_fn(|i| hash.as_bytes()[i]))
}
