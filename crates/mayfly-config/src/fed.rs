//! Changes of the store that is followed.

use crate::error::words;
use crate::version::Content;
use serde_json::Value;
use std::fmt;

/// A change of the store that is followed.
#[derive(Clone, PartialEq)]
pub struct Fed {
    pub(crate) key: Box<str>,
    pub(crate) content: Content,
}

impl Fed {
    /// A key was set to these bytes. Where they are no JSON, the key exists and cannot be read.
    pub fn put(key: &str, bytes: &[u8]) -> Self {
        let content = match serde_json::from_slice::<Value>(bytes) {
            Ok(value) => value.into(),
            Err(e) => Content::Unreadable(format!("its {} bytes are no JSON: {}", bytes.len(), words(&e))),
        };
        Self { key: key.into(), content }
    }

    /// A key was deleted.
    pub fn delete(key: &str) -> Self {
        Self { key: key.into(), content: Content::Deleted }
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Fed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fed({:?})", self.key)
    }
}
