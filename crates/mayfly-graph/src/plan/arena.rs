//! Offsets in one arena, best fit over the lifetimes of the values.
use alloc::vec::Vec;
use core::ops::Range;

/// Offsets are multiples of this many f32: 64 bytes, a cache line and the widest vector.
pub(crate) const STEP: usize = 16;

/// Hands out ranges and takes them back.
#[derive(Default)]
pub(crate) struct Arena {
    /// Free ranges below `end`, sorted, never adjacent.
    free: Vec<Range<usize>>,
    end: usize,
}

/// Up to a whole step; the largest length stays, and makes the plan too large.
pub(crate) fn rounded(len: usize) -> usize {
    len.checked_next_multiple_of(STEP).unwrap_or(usize::MAX)
}

impl Arena {
    /// The smallest free range that fits, or new space at the end.
    pub(crate) fn take(&mut self, len: usize) -> Range<usize> {
        let len = rounded(len);
        let best = (0..self.free.len()).filter(|i| self.free[*i].len() >= len).min_by_key(|i| self.free[*i].len());
        let Some(i) = best else { return self.grow(len) };
        let start = self.free[i].start;
        self.free[i].start += len;
        if self.free[i].is_empty() {
            self.free.remove(i);
        }
        start..start + len
    }

    /// Extends the arena, using a free range that touches the end.
    fn grow(&mut self, len: usize) -> Range<usize> {
        let start = match self.free.last() {
            Some(last) if last.end == self.end => last.start,
            _ => self.end,
        };
        if start < self.end {
            self.free.pop();
        }
        self.end = start.saturating_add(len);
        start..self.end
    }

    /// Gives a range back (its end is rounded up as it was when taken).
    pub(crate) fn give(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let i = self.free.partition_point(|r| r.start < range.start);
        self.free.insert(i, range);
        if i + 1 < self.free.len() && self.free[i].end == self.free[i + 1].start {
            self.free[i].end = self.free.remove(i + 1).end;
        }
        if i > 0 && self.free[i - 1].end == self.free[i].start {
            self.free[i - 1].end = self.free.remove(i).end;
        }
    }

    /// How long the arena has to be.
    pub(crate) fn len(&self) -> usize {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Live ranges never overlap, and everything given back merges into one.
        #[test]
        fn ranges_are_disjoint(ops in proptest::collection::vec((1usize..100, any::<bool>()), 1..60)) {
            let mut arena = Arena::default();
            let mut live: Vec<Range<usize>> = Vec::new();
            for (len, give) in ops {
                if give && !live.is_empty() {
                    arena.give(live.swap_remove(len % live.len()));
                    continue;
                }
                let r = arena.take(len);
                prop_assert!(r.len() >= len && r.start % STEP == 0 && r.end <= arena.len());
                prop_assert!(live.iter().all(|l| l.end <= r.start || r.end <= l.start));
                live.push(r);
            }
            live.drain(..).for_each(|r| arena.give(r));
            prop_assert_eq!(arena.free.len(), 1);
            prop_assert_eq!(&arena.free[0], &(0..arena.len()));
        }
    }
}
