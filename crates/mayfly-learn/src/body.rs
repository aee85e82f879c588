//! An update as bytes: one for the code, then the values.

use crate::state::values_of;
use crate::{LearnError, Result};

/// What a node sends of a round.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// What its work changed, new minus old; in mode `sync` the gradient.
    Update(Vec<f32>),
    /// The parameters themselves, of a node that is alone in its run: old + (new − old) is not new to the last bit.
    Whole(Vec<f32>),
}

/// Codes on the wire.
const UPDATE: u8 = 0;
const WHOLE: u8 = 1;

impl Body {
    /// Bytes of a body of `len` values, at most.
    pub fn byte_len(len: usize) -> usize {
        1 + len * 4
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (code, values) = match self {
            Self::Update(values) => (UPDATE, values),
            Self::Whole(values) => (WHOLE, values),
        };
        let mut bytes = Vec::with_capacity(Self::byte_len(values.len()));
        bytes.push(code);
        values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        bytes
    }

    /// From bytes, for a network of `len` parameters.
    ///
    /// # Errors
    /// [`LearnError::Length`], [`LearnError::Codec`], and [`LearnError::NotFinite`] for a value that is NaN or infinite.
    pub fn from_bytes(bytes: &[u8], len: usize) -> Result<Self> {
        let want = Self::byte_len(len);
        let Some((code, values)) = bytes.split_first().filter(|_| bytes.len() == want) else {
            return Err(LearnError::Length { what: "an update", want, got: bytes.len() });
        };
        let values = values_of(values);
        if !values.iter().all(|value| value.is_finite()) {
            return Err(LearnError::NotFinite);
        }
        match *code {
            UPDATE => Ok(Self::Update(values)),
            WHOLE => Ok(Self::Whole(values)),
            code => Err(LearnError::Codec { code }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        for body in [Body::Update(vec![1.5, -0.0]), Body::Whole(vec![f32::MIN, 1e-40])] {
            let bytes = body.to_bytes();
            assert_eq!(Body::from_bytes(&bytes, 2).unwrap().to_bytes(), bytes);
            assert!(matches!(Body::from_bytes(&bytes, 3), Err(LearnError::Length { want: 13, got: 9, .. })));
        }
    }

    #[test]
    fn what_is_no_update_is_refused() {
        let bytes = Body::Update(vec![1.0]).to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            Body::from_bytes(&bytes, 1)
        };
        assert!(with(0, UPDATE).is_ok());
        assert!(matches!(with(0, 7), Err(LearnError::Codec { code: 7 })));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(matches!(Body::from_bytes(&Body::Update(vec![value]).to_bytes(), 1), Err(LearnError::NotFinite)));
        }
        assert!(matches!(Body::from_bytes(&[], 1), Err(LearnError::Length { .. })));
    }
}
