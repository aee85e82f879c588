//! Questions of other members that this one does not act on, counted by the reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a question of another member is refused. The numbers are those of the answer on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Why {
    /// Its bytes are no question of this format.
    Unreadable = 1,
    /// It is of another cluster, for another member, or from another identity than it says.
    NotForUs = 2,
    /// This member has ended.
    Ended = 3,
    /// More questions at once than are answered.
    Busy = 4,
    /// It is of a member that was taken out.
    Removed = 5,
    /// It is about artefacts that this member does not keep, or cannot.
    NotKept = 6,
    /// It is of a cluster that was given up, since its majority was lost: this one took its place.
    GivenUp = 7,
}

const ALL: [(Why, &str); 7] = [
    (Why::Unreadable, "unreadable"),
    (Why::NotForUs, "not_for_us"),
    (Why::Ended, "ended"),
    (Why::Busy, "busy"),
    (Why::Removed, "removed"),
    (Why::NotKept, "not_kept"),
    (Why::GivenUp, "given_up"),
];

/// How many there were of each.
#[derive(Debug, Default)]
pub struct Refused([AtomicU64; ALL.len()]);

impl Refused {
    /// One more, with the code of its refusal.
    pub(crate) fn note(&self, code: u16) {
        if let Some(place) = ALL.iter().position(|(why, _)| *why as u16 == code) {
            self.0[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were refused for a reason.
    pub fn count(&self, why: Why) -> u64 {
        let place = ALL.iter().position(|(other, _)| *other == why);
        place.map_or(0, |place| self.0[place].load(Ordering::Relaxed))
    }

    /// All of them, by a word for the reason.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ALL.iter().zip(&self.0).map(|((_, word), count)| (*word, count.load(Ordering::Relaxed)))
    }
}
