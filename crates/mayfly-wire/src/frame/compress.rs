//! LZ4 blocks with their length in front.

use super::check_len;
use crate::{Result, WireError};
use lz4_flex::block;
use zeroize::Zeroizing;

/// One byte of LZ4 can stand for at most this many.
const MOST_GROWTH: u64 = 255;
const LEN: usize = 4;

/// The payload compressed, or nothing when that does not make it shorter.
pub(super) fn pack(payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; LEN + block::get_maximum_output_size(payload.len())]);
    out[..LEN].copy_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
    let len = LEN + block::compress_into(payload, &mut out[LEN..]).ok()?;
    out.truncate(len);
    (len < payload.len()).then_some(out)
}

/// The payload of a compressed one, of at most `limit` bytes.
pub(super) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>> {
    let (len, block) = packed.split_first_chunk::<LEN>().ok_or(WireError::Truncated {
        what: "a compressed payload",
        need: LEN as u64,
        have: packed.len() as u64,
    })?;
    let declared = u64::from(u32::from_le_bytes(*len));
    check_len("a decompressed payload", declared, limit as u64)?;
    let compressed = block.len() as u64;
    if declared > compressed * MOST_GROWTH {
        return Err(WireError::Bomb { compressed, declared });
    }
    let mut out = vec![0; declared as usize];
    match block::decompress_into(block, &mut out) {
        Ok(got) if got as u64 == declared => Ok(out),
        _ => Err(WireError::Decompress { declared }),
    }
}
