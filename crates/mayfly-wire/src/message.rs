//! Payloads: postcard in and out, with errors that name what was read.

use crate::{Result, WireError};
use serde::{Deserialize, Serialize};

/// A value as postcard bytes.
///
/// # Errors
/// [`WireError::Payload`] when a value of this type has no postcard form (a sequence of unknown length).
pub fn to_payload<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|e| WireError::Payload { what, reason: e.to_string() })
}

/// A value from exactly these postcard bytes. Sequences take memory as their elements are read, not as their length says.
///
/// # Errors
/// [`WireError::Payload`] when the bytes are not a `T`, [`WireError::Trailing`] when something follows.
pub fn from_payload<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T> {
    let read = postcard::take_from_bytes(bytes);
    let (value, rest) = read.map_err(|e| WireError::Payload { what, reason: e.to_string() })?;
    if rest.is_empty() { Ok(value) } else { Err(WireError::Trailing { what }) }
}
