//! Who a node is.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A node's name: 32 bytes that nobody else has, in practice the BLAKE3 hash of its public key.
///
/// Written as 64 lower-case hexadecimal digits; [`NodeId::short`] is for people. The order is that of the bytes and breaks ties everywhere.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 32]);

impl NodeId {
    /// The first ten digits: enough to tell the members of a swarm apart on a screen, too few to trust.
    pub fn short(&self) -> impl fmt::Display {
        Digits(*self, 5)
    }
}

/// The first bytes of an id in hexadecimal.
struct Digits(NodeId, usize);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0[..self.1].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digits(*self, 32).fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.short())
    }
}

/// Text that is no node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseNodeIdError {
    /// The text has this many bytes instead of 64.
    Length(usize),
    /// The byte at this place is no hexadecimal digit.
    Digit(usize),
}

impl fmt::Display for ParseNodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(got) => write!(f, "a node id has 64 hexadecimal digits, not {got}"),
            Self::Digit(at) => write!(f, "character {} of the node id is no hexadecimal digit", at + 1),
        }
    }
}

impl core::error::Error for ParseNodeIdError {}

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return Err(ParseNodeIdError::Length(text.len()));
        }
        let digit = |at: usize| (text[at] as char).to_digit(16).ok_or(ParseNodeIdError::Digit(at));
        let mut id = Self::default();
        for (i, byte) in id.0.iter_mut().enumerate() {
            *byte = (digit(2 * i)? << 4 | digit(2 * i + 1)?) as u8;
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_and_back() {
        let id = NodeId(core::array::from_fn(|i| (i * 37) as u8));
        let text = id.to_string();
        assert!(text.starts_with("00254a6f94b9"), "{text}");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        assert_eq!(id.short().to_string(), text[..10]);
    }

    #[test]
    fn other_text_is_refused() {
        assert_eq!("00".parse::<NodeId>(), Err(ParseNodeIdError::Length(2)));
        let mut text = "0".repeat(64);
        text.replace_range(9..10, "g");
        assert_eq!(text.parse::<NodeId>(), Err(ParseNodeIdError::Digit(9)));
        assert_eq!("é".repeat(32).parse::<NodeId>(), Err(ParseNodeIdError::Digit(0)));
    }
}
