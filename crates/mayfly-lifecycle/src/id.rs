//! Names that nobody guesses.
use crate::error::{LifeError, Result};
use std::fmt;

/// An instance's name: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct InstanceId(pub [u8; 16]);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceId({self})")
    }
}

/// What an instance gets from the system's randomness: its name, and the key of the commitment to its weights.
pub(crate) struct Born {
    pub(crate) id: InstanceId,
    pub(crate) commitment_key: [u8; 32],
}

impl Born {
    pub(crate) fn draw() -> Result<Born> {
        let mut bytes = [0; 48];
        getrandom::fill(&mut bytes).map_err(|e| LifeError::Randomness { reason: e.to_string() })?;
        let mut born = Born { id: InstanceId::default(), commitment_key: [0; 32] };
        born.id.0.copy_from_slice(&bytes[..16]);
        born.commitment_key.copy_from_slice(&bytes[16..]);
        Ok(born)
    }
}
