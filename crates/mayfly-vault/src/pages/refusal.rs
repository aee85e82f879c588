//! What is asked of the system, and how it says no.

/// A call of the system that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    pub(super) what: &'static str,
    pub(super) errno: i32,
}

/// What is asked of pages besides locking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Advice {
    DontDump,
    WipeOnFork,
}
