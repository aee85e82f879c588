//! What is to happen, in the order of time, then of its making.

use alloc::collections::BinaryHeap;
use core::cmp::{Ordering, Reverse};

/// Events of simulated time.
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<Due<E>>>,
    turn: u64,
}

/// When, the how manieth that was made, and what.
struct Due<E>(u64, u64, E);

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl<E> Eq for Due<E> {}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Due<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), turn: 0 }
    }

    /// Something is to happen at a moment.
    pub(crate) fn push(&mut self, at: u64, event: E) {
        self.turn += 1;
        self.heap.push(Reverse(Due(at, self.turn, event)));
    }

    /// The next thing up to a moment: when, the how manieth that was made, and what.
    pub(crate) fn pop_until(&mut self, ms: u64) -> Option<(u64, u64, E)> {
        self.heap.peek().filter(|Reverse(Due(at, ..))| *at <= ms)?;
        self.heap.pop().map(|Reverse(Due(at, turn, event))| (at, turn, event))
    }
}
