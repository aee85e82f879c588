//! Why a link ends, as a number that crosses the wire.

use std::fmt;

/// Why a link was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The node leaves.
    Leaving,
    /// A newer link to the same node took its place.
    Replaced,
    /// The node is not on the other's trust list.
    NotMember,
    /// The node's key was revoked or rotated away.
    Revoked,
    /// The other side sent something that no correct program sends.
    Protocol,
    /// The handshake or the join took too long.
    TooSlow,
    /// The join token was refused.
    JoinRefused,
    /// The other side has as many links as it takes.
    TooMany,
    /// Nobody closed it: the path or the process is gone.
    Lost,
    /// A number that this version does not know.
    Other(u32),
}

const CODES: [CloseReason; 8] = [
    CloseReason::Leaving,
    CloseReason::Replaced,
    CloseReason::NotMember,
    CloseReason::Revoked,
    CloseReason::Protocol,
    CloseReason::TooSlow,
    CloseReason::JoinRefused,
    CloseReason::TooMany,
];

impl CloseReason {
    /// The number on the wire. [`CloseReason::Lost`] never crosses it and has the number of "protocol".
    pub fn code(self) -> u32 {
        match self {
            Self::Other(code) => code,
            known => CODES.iter().position(|reason| *reason == known).unwrap_or(4) as u32,
        }
    }

    /// The reason of a number.
    pub fn from_code(code: u64) -> Self {
        let known = usize::try_from(code).ok().and_then(|at| CODES.get(at)).copied();
        known.unwrap_or(Self::Other(u32::try_from(code).unwrap_or(u32::MAX)))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaving => "it leaves",
            Self::Replaced => "a newer link took its place",
            Self::NotMember => "not a member",
            Self::Revoked => "the key was revoked",
            Self::Protocol => "a frame was refused",
            Self::TooSlow => "the handshake took too long",
            Self::JoinRefused => "the join token was refused",
            Self::TooMany => "too many links",
            Self::Lost => "the path or the process is gone",
            Self::Other(code) => return write!(f, "for reason {code}, which is unknown here"),
        })
    }
}
