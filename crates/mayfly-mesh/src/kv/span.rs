//! Which keys a request means.

use std::ops::Bound;

/// Keys from one on, as `key` and `range_end` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span<'a> {
    /// One key.
    Key(&'a [u8]),
    /// This key and all after it: `range_end` is `\0`.
    From(&'a [u8]),
    /// From the first up to, and without, the second.
    Between(&'a [u8], &'a [u8]),
}

impl<'a> Span<'a> {
    pub(crate) fn new(key: &'a [u8], range_end: &'a [u8]) -> Self {
        match range_end {
            [] => Self::Key(key),
            [0] => Self::From(key),
            end => Self::Between(key, end),
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match *self {
            Self::Key(own) => key == own,
            Self::From(start) => key >= start,
            Self::Between(start, end) => key >= start && key < end,
        }
    }

    /// None for a span that ends before it begins.
    pub(crate) fn bounds(&self) -> Option<(&'a [u8], Bound<&'a [u8]>)> {
        match *self {
            Self::Key(key) => Some((key, Bound::Included(key))),
            Self::From(start) => Some((start, Bound::Unbounded)),
            Self::Between(start, end) => (start < end).then_some((start, Bound::Excluded(end))),
        }
    }
}
