//! Which frame ids were seen on a link.

use crate::{Result, WireError};

/// How far behind the newest id a frame may come in.
const WIDTH: u32 = 16_384;
const WORDS: usize = WIDTH as usize / 64;

/// Lets each id of a link through once. Streams may overtake each other, so ids come out of order; those more than 16,384 behind the newest
/// are refused because nobody remembers whether they came (the sliding window of RFC 4303, appendix A2).
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    newest: u32,
    /// Bit `id % WIDTH` for the ids in `newest − WIDTH + 1 ..= newest`.
    seen: Box<[u64; WORDS]>,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { newest: 0, seen: Box::new([0; WORDS]) }
    }
}

impl ReplayWindow {
    /// Notes an id.
    ///
    /// # Errors
    /// [`WireError::Replayed`] for one that came before, lies too far back, or is 0.
    pub fn accept(&mut self, id: u32) -> Result<()> {
        let refused = WireError::Replayed { id, newest: self.newest };
        if id == 0 || (id <= self.newest && (self.newest - id >= WIDTH || self.is_seen(id))) {
            return Err(refused);
        }
        if id > self.newest {
            self.advance(id);
        }
        self.seen[slot(id)] |= bit(id);
        Ok(())
    }

    fn is_seen(&self, id: u32) -> bool {
        self.seen[slot(id)] & bit(id) != 0
    }

    /// Forgets the ids that fall out behind a new newest one.
    fn advance(&mut self, id: u32) {
        if id - self.newest >= WIDTH {
            self.seen.fill(0);
        } else {
            (self.newest + 1..=id).for_each(|id| self.seen[slot(id)] &= !bit(id));
        }
        self.newest = id;
    }
}

fn slot(id: u32) -> usize {
    (id % WIDTH) as usize / 64
}

fn bit(id: u32) -> u64 {
    1 << (id % 64)
}
