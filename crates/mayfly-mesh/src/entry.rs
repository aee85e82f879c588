//! What members agree on, as bytes.

/// The module that applies an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(pub u8);

impl Tag {
    /// The cluster itself: its founding, and later who is a member.
    pub const CLUSTER: Self = Self(0);
    /// Keys and values.
    pub const KV: Self = Self(1);
    /// The registry of models.
    pub const MODELS: Self = Self(2);
    /// Users, roles and tokens.
    pub const AUTH: Self = Self(3);
}

/// The version of the outer form: one byte of format, one of tag, then the module's own.
pub const FORMAT: u8 = 1;

/// What a module is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who applies it.
    pub tag: Tag,
    /// What, in the module's own form.
    pub payload: Vec<u8>,
}

impl Entry {
    /// The bytes for a log and for links.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.payload.len());
        bytes.extend([FORMAT, self.tag.0]);
        bytes.extend(&self.payload);
        bytes
    }

    /// Tag and payload.
    ///
    /// # Errors
    /// What was found instead.
    pub fn decode(bytes: &[u8]) -> Result<(Tag, &[u8]), String> {
        match bytes {
            [FORMAT, tag, payload @ ..] => Ok((Tag(*tag), payload)),
            [format, _, ..] => Err(format!("its format is {format}, this program reads {FORMAT}")),
            _ => Err(format!("it has {} bytes", bytes.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Tag};

    #[test]
    fn bytes_are_as_specified() {
        let entry = Entry { tag: Tag::KV, payload: b"abc".to_vec() };
        let bytes = entry.encode();
        assert_eq!(bytes, [1, 1, b'a', b'b', b'c']);
        assert_eq!(Entry::decode(&bytes), Ok((Tag::KV, &b"abc"[..])));
        assert!(Entry::decode(&[2, 1, 0]).is_err_and(|e| e.contains("format is 2")));
        assert!(Entry::decode(&[1]).is_err());
    }
}
