//! JSON Schemas by prefix: which apply to a key, and whether values are as they ask.

#[cfg(feature = "schema")]
mod schema;
#[cfg(not(feature = "schema"))]
mod schema {
    //! Without the feature there is no schema, and no way to make one.

    #[derive(Debug)]
    pub(crate) enum Schema {}

    impl Schema {
        pub(crate) fn complaints(&self, _: &serde_json::Value) -> std::iter::Empty<(String, String)> {
            match *self {}
        }
    }
}

pub(crate) use schema::Schema;

use crate::error::{ConfigError, Result, Violation};
use crate::prefixes::Prefixes;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Violations that an error keeps.
const MAX_KEPT: usize = 100;

/// The schemas of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemas {
    pub(crate) by_prefix: Prefixes<Arc<Schema>>,
}

/// What was found wrong.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    violations: Vec<Violation>,
    total: usize,
}

impl Findings {
    /// Holds a value against a schema.
    pub(crate) fn look(&mut self, prefix: &str, schema: &Schema, key: &str, value: &Value) {
        let mut complaints = schema.complaints(value);
        let Some((path, reason)) = complaints.next() else { return };
        self.total += 1;
        if self.violations.len() < MAX_KEPT {
            self.violations.push(Violation { key: key.into(), prefix: prefix.into(), path, reason });
        }
    }

    pub(crate) fn into_result(self) -> Result<()> {
        let Self { violations, total } = self;
        if total == 0 { Ok(()) } else { Err(ConfigError::Violates { violations, total }) }
    }
}

impl Schemas {
    /// Holds a value, if there is one, against every schema that its key has.
    pub(crate) fn look<'a>(&self, key: &str, value: impl Fn() -> Option<Cow<'a, Value>>, findings: &mut Findings) {
        for (prefix, schema) in self.by_prefix.of(key) {
            if let Some(value) = value() {
                findings.look(prefix, schema, key, &value);
            }
        }
    }
}
