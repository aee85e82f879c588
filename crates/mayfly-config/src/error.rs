//! What is refused, and why.

use crate::expect::{Expect, Revision};
use std::fmt;

/// Result with [`ConfigError`].
pub type Result<T> = core::result::Result<T, ConfigError>;

/// Why a call was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key that is none.
    #[error("a key of {bytes} bytes (`{start}`): keys have 1 to {max}")]
    Key {
        /// How it begins.
        start: String,
        /// Its length.
        bytes: usize,
        /// The longest.
        max: usize,
    },
    /// The value cannot be read as the type that was asked for.
    #[error("`{key}` at revision {revision} is no {wanted}: {reason}, at `{path}`")]
    Type {
        /// The key.
        key: String,
        /// The revision of its value.
        revision: Revision,
        /// The type.
        wanted: &'static str,
        /// Where in the value, `.` for the whole.
        path: String,
        /// What serde says.
        reason: String,
    },
    /// The value is none that JSON has.
    #[error("what `{key}` is to be set to cannot be written as JSON: {reason}")]
    NotJson {
        /// The key.
        key: String,
        /// What serde says.
        reason: String,
    },
    /// The store that is followed has something under this key that is no JSON.
    #[error("`{key}` at revision {revision} cannot be read: {reason}; set it anew")]
    Unreadable {
        /// The key.
        key: String,
        /// The revision of its value.
        revision: Revision,
        /// What is there.
        reason: String,
    },
    /// What the change expected is not so.
    #[error("`{key}`: expected {expected}, found {}; read it and try again", Found(*found))]
    Conflict {
        /// The key.
        key: String,
        /// What was expected.
        expected: Expect,
        /// The revision of the key, if it exists.
        found: Option<Revision>,
    },
    /// Values that schemas do not allow.
    #[error("{total} values are not what schemas ask for: {}", List(violations))]
    Violates {
        /// The first hundred of them.
        violations: Vec<Violation>,
        /// How many there are.
        total: usize,
    },
    /// A schema that is none.
    #[error("the schema for `{prefix}` is none: {reason}, at `{path}`")]
    Schema {
        /// For which keys.
        prefix: String,
        /// Where in the schema, as a JSON pointer.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A watcher has missed changes.
    #[error(transparent)]
    Lagged(#[from] Lagged),
    /// This store follows another one.
    #[error("this store follows another one: write there, not here")]
    Following,
    /// What a feed brings is older than what is here.
    #[error("{}revision {revision} cannot come after {have}", OfKey(key.as_deref()))]
    Backwards {
        /// The key, if it is about one.
        key: Option<String>,
        /// What was brought.
        revision: Revision,
        /// What is here.
        have: Revision,
    },
}

/// A value that a schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// The prefix of the schema.
    pub prefix: String,
    /// Where in the value, as a JSON pointer; empty for the whole.
    pub path: String,
    /// What is wrong, without the value itself.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, prefix, path, reason } = self;
        write!(f, "`{key}`")?;
        if !path.is_empty() {
            write!(f, " at {path}")?;
        }
        write!(f, ": {reason} (schema for `{prefix}`)")
    }
}

/// A watcher has missed changes, since more waited for it than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes before revision {resume} were missed: take `resync`, or go on from there")]
pub struct Lagged {
    /// From this revision on nothing is missed: what comes next is at it or later.
    pub resume: Revision,
}

/// Shows what was found in place of what was expected.
struct Found(Option<Revision>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Expect::Absent, Expect::At).fmt(f)
    }
}

struct OfKey<'a>(Option<&'a str>);

impl fmt::Display for OfKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |key| write!(f, "`{key}`: "))
    }
}

struct List<'a>(&'a [Violation]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, violation) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{violation}")?;
        }
        if self.0.len() > SHOWN { f.write_str("; …") } else { Ok(()) }
    }
}

/// Violations that a message names; the error has more.
const SHOWN: usize = 8;

/// Characters of others' words that an error keeps.
const MAX_WORDS: usize = 300;

/// Others' words, which may hold a whole value, cut.
pub(crate) fn words(of: &dyn fmt::Display) -> String {
    let all = of.to_string();
    match all.char_indices().nth(MAX_WORDS) {
        Some((at, _)) => format!("{}…", &all[..at]),
        None => all,
    }
}
