//! The identity file.

use super::seal::{NONCE_LEN, SALT_LEN, SealCost, SealKey};
use super::{Identity, SEED_LEN, random};
use crate::{Result, WireError};
use mayfly_base::NodeId;
use std::path::Path;
use zeroize::Zeroizing;

const MAGIC: &[u8; 4] = b"MFID";
const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const HEAD_LEN: usize = 40;
const CHECK_LEN: usize = 16;
const TAG_LEN: usize = 16;
const PLAIN_LEN: usize = HEAD_LEN + SEED_LEN + CHECK_LEN;
/// Everything before the nonce of a sealed file is authenticated with the secret.
const AUTHENTICATED: usize = HEAD_LEN + 12 + SALT_LEN;
const SEALED_LEN: usize = AUTHENTICATED + NONCE_LEN + SEED_LEN + TAG_LEN + CHECK_LEN;

/// No identity file is longer.
pub(super) const MOST_BYTES: u64 = SEALED_LEN as u64;

pub(super) fn plain(identity: &Identity) -> Zeroizing<Vec<u8>> {
    let mut out = head(identity, PLAIN);
    out.extend_from_slice(&identity.0.seed[..]);
    append_check(&mut out);
    out
}

pub(super) fn sealed(identity: &Identity, passphrase: &[u8], cost: SealCost) -> Result<Zeroizing<Vec<u8>>> {
    let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
    random(&mut salt)?;
    random(&mut nonce)?;
    let mut out = head(identity, SEALED);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        out.extend(number.to_le_bytes());
    }
    out.extend(salt);
    let secret = SealKey::derive(passphrase, &salt, cost)?.seal(&nonce, &identity.0.seed[..], &out)?;
    out.extend(nonce);
    out.extend(secret);
    append_check(&mut out);
    Ok(out)
}

/// With room for the whole file: a growing vector would leave copies of the seed behind.
fn head(identity: &Identity, mode: u8) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(SEALED_LEN));
    out.extend(MAGIC);
    out.extend([VERSION, mode, 0, 0]);
    out.extend(identity.id().0);
    out
}

fn append_check(out: &mut Vec<u8>) {
    let check = blake3::hash(out);
    out.extend_from_slice(&check.as_bytes()[..CHECK_LEN]);
}

/// The identity in a file's bytes; `path` is for errors.
pub(crate) fn open(path: &Path, bytes: &[u8], passphrase: Option<&[u8]>) -> Result<Identity> {
    let damaged = |what: &str| WireError::Damaged { path: path.into(), what: what.into() };
    let (&[version, mode, r0, r1], rest) = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_first_chunk())
        .ok_or_else(|| damaged("it is no identity file"))?;
    if version != VERSION {
        return Err(WireError::Version { what: "the identity file", found: version.into(), known: VERSION.into() });
    }
    let want = match mode {
        PLAIN => PLAIN_LEN,
        SEALED => SEALED_LEN,
        _ => return Err(damaged("it is neither plain nor sealed")),
    };
    if bytes.len() != want || [r0, r1] != [0, 0] {
        return Err(damaged(&format!("it has {} bytes instead of {want}, or a field that must be 0", bytes.len())));
    }
    let (content, check) = bytes.split_at(want - CHECK_LEN);
    if blake3::hash(content).as_bytes()[..CHECK_LEN] != *check {
        return Err(damaged("the checksum does not fit"));
    }
    let id = NodeId(*rest.first_chunk().ok_or_else(|| damaged("it is too short"))?);
    let secret = match mode {
        PLAIN => Zeroizing::new(content[HEAD_LEN..].to_vec()),
        _ => unseal(path, content, passphrase)?,
    };
    let seed = Zeroizing::new(secret.as_slice().try_into().map_err(|_| damaged("the seed has a wrong length"))?);
    let identity = Identity::from_seed(&seed)?;
    match identity.id() == id {
        false => Err(damaged("the key is not that of the node it names")),
        true if mode == PLAIN && passphrase.is_some() => Err(WireError::NotSealed { path: path.into() }),
        true => Ok(identity),
    }
}

fn unseal(path: &Path, content: &[u8], passphrase: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>> {
    let passphrase = passphrase.ok_or_else(|| WireError::Sealed { path: path.into() })?;
    let (authenticated, rest) = content.split_at(AUTHENTICATED);
    let (nonce, secret) = rest.split_at(NONCE_LEN);
    let number = |at: usize| authenticated[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let cost = SealCost { memory_kib: number(HEAD_LEN), passes: number(HEAD_LEN + 4), lanes: number(HEAD_LEN + 8) };
    let key = SealKey::derive(passphrase, &authenticated[HEAD_LEN + 12..], cost)?;
    key.open(nonce, secret, authenticated).ok_or_else(|| WireError::Passphrase { path: path.into() })
}
