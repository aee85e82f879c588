//! Why one round of an import ends.

use super::super::advice::is_passing;
use super::super::connect::Reached;
use super::super::words::line;
use anyhow::Error;
use tonic::{Code, Status};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Dest,
}

/// Why one round of work ends.
pub enum Stop {
    /// Another endpoint may go on with it.
    Lost(Side, Status),
    /// The source has no history from there on: all is compared anew.
    Compacted,
    /// Somebody else has noted progress, or this program has and was not told.
    NotAlone,
    Over(Error),
}

impl Stop {
    pub fn of(side: Side, reached: &Reached, status: Status) -> Self {
        if is_passing(&status) { Self::Lost(side, status) } else { Self::Over(reached.failed(&status)) }
    }

    /// Of changes, the first of which is of a key.
    pub fn of_change(reached: &Reached, key: Option<&[u8]>, status: Status) -> Self {
        let is_too_long = status.message().contains("request is too large");
        match key.filter(|_| is_too_long || status.code() == Code::OutOfRange) {
            Some(key) => {
                let error = reached.failed(&status);
                Self::Over(error.context(format!("the value of {} cannot be taken over", line(key))))
            }
            None => Self::of(Side::Dest, reached, status),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Over(error)
    }
}
