//! What a body or a state is called.

use core::fmt;
use core::str::FromStr;
use mayfly_base::{NodeId, ParseNodeIdError};
use serde::{Deserialize, Serialize};

/// BLAKE3 over the bytes of a body, a state or a record.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Of numbers, as their bits in little-endian order.
    pub fn of_values<'v>(parts: impl IntoIterator<Item = &'v [f32]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            let mut bytes = [0; 4_096];
            for chunk in part.chunks(bytes.len() / 4) {
                for (place, value) in bytes.chunks_exact_mut(4).zip(chunk) {
                    place.copy_from_slice(&value.to_le_bytes());
                }
                hasher.update(&bytes[..chunk.len() * 4]);
            }
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = ParseNodeIdError;

    /// From 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|NodeId(bytes)| Self(bytes))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..5].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
