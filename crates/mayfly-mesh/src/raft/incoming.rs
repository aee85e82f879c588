//! A snapshot that comes in chunks.

use super::codec::{Faulty, id_from, place_of, stored_from, vote_from};
use super::spool::{CHUNK, Spool};
use super::types::{Id, StoredMembers, Vote};
use crate::proto::linkpb::Chunk;
use std::io::Write;
use std::path::Path;

/// A snapshot that is being received.
#[derive(Default)]
pub(super) struct Incoming(pub(super) Option<Part>);

pub(super) struct Part {
    pub(super) at: Id,
    pub(super) hash: [u8; 32],
    length: u64,
    pub(super) spool: Spool,
}

/// A chunk that was checked.
pub(super) struct Checked {
    pub(super) vote: Vote,
    pub(super) at: Id,
    hash: [u8; 32],
    pub(super) length: u64,
    offset: u64,
    bytes: Vec<u8>,
    pub(super) membership: StoredMembers,
}

/// A chunk, if it can be one.
pub(super) fn checked(chunk: Chunk) -> Faulty<Checked> {
    let vote = vote_from(chunk.vote)?;
    let at = id_from(chunk.at.ok_or("it does not say what it is a snapshot of")?);
    let hash = chunk.hash.try_into().map_err(|_| "its hash has not 32 bytes")?;
    let end = chunk.offset.checked_add(chunk.bytes.len() as u64);
    if chunk.bytes.len() > CHUNK || end.is_none_or(|end| end > chunk.length) {
        return Err("it is longer than it says".into());
    }
    if place_of(at).term > vote.leader_id.term {
        return Err("it is of a later term than its sender's".into());
    }
    let membership = stored_from(chunk.membership.ok_or("it does not say who the members are")?)?;
    Ok(Checked { vote, at, hash, length: chunk.length, offset: chunk.offset, bytes: chunk.bytes, membership })
}

impl Incoming {
    /// How much of the snapshot is here after a chunk. What is here of another one is dropped.
    pub(super) fn add(&mut self, chunk: Checked, folder: Option<&Path>) -> Faulty<u64> {
        let is_same = |part: &Part| part.at == chunk.at && part.hash == chunk.hash && part.length == chunk.length;
        if !self.0.as_ref().is_some_and(is_same) {
            let spool = Spool::new(folder).map_err(|e| e.to_string())?;
            self.0 = Some(Part { at: chunk.at, hash: chunk.hash, length: chunk.length, spool });
        }
        let Some(part) = &mut self.0 else { return Ok(0) };
        if chunk.offset == part.spool.len() {
            part.spool.write_all(&chunk.bytes).map_err(|e| e.to_string())?;
        }
        Ok(part.spool.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Checked, Incoming};
    use crate::logged::Applied;
    use crate::raft::codec::id_of;
    use crate::raft::types::{StoredMembers, Vote};
    use std::io::Read;

    /// The chunks of a snapshot.
    fn chunks(index: u64, bytes: &[u8]) -> Vec<Checked> {
        let chunk = |(i, part): (usize, &[u8])| Checked {
            vote: Vote { leader_id: openraft::vote::RaftLeaderId::new(1, 1), committed: true },
            at: id_of(Applied { index, term: 1 }).expect("a place"),
            hash: *blake3::hash(bytes).as_bytes(),
            length: bytes.len() as u64,
            offset: i as u64 * 100,
            bytes: part.to_vec(),
            membership: StoredMembers::default(),
        };
        bytes.chunks(100).enumerate().map(chunk).collect()
    }

    /// etcd#18055: a snapshot that was whole and not installed yet went away when the next one came, and the member ended.
    #[test]
    fn a_snapshot_is_still_there_when_the_next_one_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        for place in [None, Some(folder.path())] {
            let (one, other, half) = (vec![1; 950], vec![2; 720], vec![3; 500]);
            let mut incoming = Incoming::default();
            let mut receive = |chunks: Vec<Checked>| {
                let length = chunks[0].length;
                let had = chunks.into_iter().map(|chunk| incoming.add(chunk, place).expect("added")).last();
                incoming.0.take_if(|part| had == Some(length) && part.spool.hash() == part.hash)
            };
            let one_whole = receive(chunks(7, &one)).expect("it is whole");
            assert!(receive(chunks(8, &half).drain(..3).collect()).is_none());
            let other_whole = receive(chunks(9, &other)).expect("what was half is dropped for a newer one");
            for (part, want) in [(one_whole, one), (other_whole, other)] {
                let mut found = Vec::new();
                part.spool.into_reader().expect("readable").read_to_end(&mut found).expect("read");
                assert_eq!(found, want);
            }
        }
    }
}
