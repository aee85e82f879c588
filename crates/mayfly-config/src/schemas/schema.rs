//! One JSON Schema.

use crate::error::{ConfigError, Result, words};
use jsonschema::Validator;
use serde_json::Value;

/// A schema, as it was given and as it is asked.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) source: Value,
    validator: Validator,
}

impl Schema {
    /// Nothing outside of the document is looked up.
    pub(crate) fn new(prefix: &str, source: &Value) -> Result<Self> {
        let built = jsonschema::options().offline().build(source);
        let validator = built.map_err(|e| ConfigError::Schema {
            prefix: prefix.into(),
            path: e.instance_path().to_string(),
            reason: words(&e),
        })?;
        Ok(Self { source: source.clone(), validator })
    }

    /// What is wrong with a value, and where; without the value.
    pub(crate) fn complaints<'a>(&'a self, value: &'a Value) -> impl Iterator<Item = (String, String)> + 'a {
        let errors = (!self.validator.is_valid(value)).then(|| self.validator.iter_errors(value));
        errors.into_iter().flatten().map(|e| (e.instance_path().to_string(), words(&e.masked())))
    }
}
