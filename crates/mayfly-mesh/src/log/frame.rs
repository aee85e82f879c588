//! What is written and flushed at once: entries, the end of the log that they follow on, and what is known beside. `docs/formats/mesh.md`.

use crate::ballot::Ballot;
use crate::logged::{Applied, Logged};

/// Frames begin at multiples of this: what was flushed is never written again, not even in part.
pub(super) const BLOCK: u64 = 4096;
const MAGIC: [u8; 8] = *b"mflog\0\0\x01";
/// Magic, hash, sequence number, number of entries, three places, vote.
const HEAD: usize = 8 + HASH + 8 + 4 + 3 * 16 + 17;
/// Term, length, hash.
const ROW: usize = 8 + 4 + HASH;
const HASH: usize = 16;

/// Marks the frames of one log, so that what others left in its slots, or clients wrote into values, is not taken for them.
pub(crate) type Key = [u8; 32];

/// What a log knows beside its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The last entry that it may have forgotten.
    pub(crate) purged: Applied,
    /// The last entry known to be on a majority's disks.
    pub(crate) committed: Applied,
    pub(crate) vote: Option<Ballot>,
}

/// A frame that was found.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) seq: u64,
    /// The log ends here before the entries: what it had beyond is forgotten.
    pub(super) after: Applied,
    pub(super) known: Known,
    pub(super) rows: Vec<Row>,
    /// Its length in whole blocks.
    pub(super) bytes: u64,
}

/// Where in its frame the bytes of an entry are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) term: u64,
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) hash: [u8; HASH],
}

/// The length of a frame with entries of these lengths, in whole blocks.
pub(super) fn bytes_of(lens: impl Iterator<Item = usize>) -> u64 {
    let bytes = lens.fold(HEAD, |sum, len| sum + ROW + len);
    (bytes as u64).next_multiple_of(BLOCK)
}

/// A frame's bytes and where its entries are in it.
pub(super) fn encode(key: &Key, seq: u64, after: Applied, known: Known, entries: &[Logged]) -> (Vec<u8>, Vec<Row>) {
    let bytes = bytes_of(entries.iter().map(|logged| logged.entry.len()));
    let mut out = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    out.extend(MAGIC);
    out.extend([0; HASH]);
    out.extend(seq.to_be_bytes());
    out.extend((entries.len() as u32).to_be_bytes()); // a slot bounds it
    for at in [after, known.purged, known.committed] {
        out.extend(at.index.to_be_bytes());
        out.extend(at.term.to_be_bytes());
    }
    let Ballot { term, member, is_elected } = known.vote.unwrap_or_default();
    out.extend(term.to_be_bytes());
    out.extend(member.to_be_bytes());
    out.push(known.vote.map_or(0, |_| 1 + u8::from(is_elected)));
    let mut offset = (HEAD + entries.len() * ROW) as u64;
    let mut rows = Vec::with_capacity(entries.len());
    for Logged { at, entry } in entries {
        let row = Row { term: at.term, offset, len: entry.len() as u32, hash: hash(key, &[entry]) };
        out.extend(row.term.to_be_bytes());
        out.extend(row.len.to_be_bytes());
        out.extend(row.hash);
        offset += u64::from(row.len);
        rows.push(row);
    }
    let sum = hash(key, &[&out[MAGIC.len() + HASH..]]);
    out[MAGIC.len()..MAGIC.len() + HASH].copy_from_slice(&sum);
    entries.iter().for_each(|logged| out.extend(&logged.entry));
    out.resize(usize::try_from(bytes).unwrap_or(out.len()), 0);
    (out, rows)
}

/// The frame at the beginning of `bytes`, if there is a whole one.
pub(super) fn decode(key: &Key, bytes: &[u8]) -> Option<Frame> {
    let mut head = Take(bytes);
    if head.array::<8>()? != MAGIC {
        return None;
    }
    let sum = head.array::<HASH>()?;
    let (seq, count) = (head.number()?, u32::from_be_bytes(head.array()?));
    let [after, purged, committed] = [head.place()?, head.place()?, head.place()?];
    let ballot = |is_elected, [term, member]: [u64; 2]| Ballot { term, member, is_elected };
    let voted = [head.number()?, head.number()?];
    let vote = match head.array()? {
        [0] => None,
        [1] => Some(ballot(false, voted)),
        [2] => Some(ballot(true, voted)),
        _ => return None,
    };
    let table = (count as usize).checked_mul(ROW)?;
    let mut offset = (HEAD as u64).checked_add(table as u64)?;
    if sum != hash(key, &[bytes.get(MAGIC.len() + HASH..HEAD.checked_add(table)?)?]) {
        return None;
    }
    let mut rows = Vec::with_capacity(count as usize); // its table was there
    for _ in 0..count {
        let row =
            Row { term: head.number()?, offset, len: u32::from_be_bytes(head.array()?), hash: head.array::<HASH>()? };
        let end = offset.checked_add(u64::from(row.len))?;
        if !is_whole(key, bytes.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)?, &row.hash) {
            return None;
        }
        offset = end;
        rows.push(row);
    }
    Some(Frame { seq, after, known: Known { purged, committed, vote }, rows, bytes: offset.next_multiple_of(BLOCK) })
}

/// See `fuzz`: a frame with the sums that its bytes should have is read, and written as one that reads the same.
pub(crate) fn reads_again(bytes: &[u8]) -> bool {
    const KEY: Key = [3; 32];
    let mut bytes = bytes.to_vec();
    let Some(frame) = with_sums(&KEY, &mut bytes).and_then(|()| decode(&KEY, &bytes)) else { return false };
    let entries: Option<Vec<Logged>> = (0..)
        .zip(&frame.rows)
        .map(|(i, row)| {
            let (from, len) = (usize::try_from(row.offset).ok()?, row.len as usize);
            let at = Applied { index: frame.after.index.wrapping_add(1).wrapping_add(i), term: row.term };
            Some(Logged { at, entry: bytes.get(from..from.checked_add(len)?)?.to_vec() })
        })
        .collect();
    let written = entries.map(|entries| encode(&KEY, frame.seq, frame.after, frame.known, &entries).0);
    let again = written.and_then(|written| decode(&KEY, &written));
    assert_eq!(format!("{:?}", Some(&frame)), format!("{:?}", again.as_ref()));
    true
}

/// What [`reads_again`] reads.
#[cfg(test)]
pub(crate) fn written(entries: &[Logged], known: Known) -> Vec<u8> {
    let after = entries.first().map_or(Applied::NONE, |first| Applied { index: first.at.index - 1, ..first.at });
    encode(&[3; 32], 7, after, known, entries).0
}

/// Nobody guesses a sum of 16 bytes: this one puts them in, as far as there are bytes for them.
fn with_sums(key: &Key, bytes: &mut [u8]) -> Option<()> {
    let count = u32::from_be_bytes(*bytes.get(MAGIC.len() + HASH + 8..HEAD)?.first_chunk()?) as usize;
    let mut offset = HEAD.checked_add(count.checked_mul(ROW)?)?;
    let table = offset;
    for row in (HEAD..bytes.len().min(table)).step_by(ROW) {
        let len = u32::from_be_bytes(*bytes.get(row + 8..)?.first_chunk()?) as usize;
        let end = offset.checked_add(len)?;
        let sum = hash(key, &[bytes.get(offset..end)?]);
        bytes.get_mut(row + 12..row + ROW)?.copy_from_slice(&sum);
        offset = end;
    }
    let sum = hash(key, &[bytes.get(MAGIC.len() + HASH..table)?]);
    bytes.get_mut(MAGIC.len()..MAGIC.len() + HASH)?.copy_from_slice(&sum);
    Some(())
}

/// Are these the bytes of an entry?
pub(super) fn is_whole(key: &Key, entry: &[u8], want: &[u8; HASH]) -> bool {
    hash(key, &[entry]) == *want
}

fn hash(key: &Key, parts: &[&[u8]]) -> [u8; HASH] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part);
    }
    let hash = hasher.finalize();
    core::array::from_fn(|i| hash.as_bytes()[i])
}

/// Bytes that are taken from the front.
struct Take<'a>(&'a [u8]);

impl Take<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn place(&mut self) -> Option<Applied> {
        Some(Applied { index: self.number()?, term: self.number()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Known) {
        let at = |index, term| Applied { index, term };
        let vote = Some(Ballot { term: 9, member: 4, is_elected: true });
        let known = Known { purged: at(2, 1), committed: at(6, 8), vote };
        let entries = [
            Logged { at: at(7, 8), entry: b"one".to_vec() },
            Logged { at: at(8, 9), entry: vec![] },
            Logged { at: at(9, 9), entry: vec![7; 5000] },
        ];
        (encode(&[3; 32], 77, at(6, 8), known, &entries).0, known)
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, known) = sample();
        assert_eq!(bytes.len() as u64 % BLOCK, 0);
        let frame = decode(&[3; 32], &bytes).expect("whole");
        assert_eq!((frame.seq, frame.after, frame.known), (77, Applied { index: 6, term: 8 }, known));
        assert_eq!(frame.bytes, bytes.len() as u64);
        let terms_and_bytes: Vec<_> = frame
            .rows
            .iter()
            .map(|row| (row.term, &bytes[row.offset as usize..row.offset as usize + row.len as usize]))
            .collect();
        assert_eq!(terms_and_bytes, [(8, &b"one"[..]), (9, b""), (9, &[7; 5000])]);
    }

    #[test]
    fn a_byte_that_is_another_is_noticed() {
        let (bytes, _) = sample();
        let used = HEAD + 3 * ROW + 3 + 5000;
        for i in 0..used {
            let mut other = bytes.clone();
            other[i] ^= 0x10;
            assert!(decode(&[3; 32], &other).is_none(), "byte {i}");
        }
        for len in 0..used {
            assert!(decode(&[3; 32], &bytes[..len]).is_none(), "cut after {len}");
        }
        assert!(decode(&[4; 32], &bytes).is_none(), "another log's");
    }
}
