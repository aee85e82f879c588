//! Validation against the published JSON Schema, which is compiled in.
//!
//! Only the keywords that the published file uses are known; a test refuses a schema with any other. Depth is bounded by
//! `serde_json`'s own limit of 128 for the document, and by the schema, which does not recurse.

use crate::error::{PackError, Result};
use regex_lite::Regex;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::OnceLock;

/// A schema with its patterns compiled.
pub(crate) struct Schema {
    root: Value,
    patterns: HashMap<String, Regex>,
}

/// The manifest's schema.
pub(crate) fn manifest_schema() -> Result<&'static Schema> {
    static SCHEMA: OnceLock<Result<Schema>> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::new(crate::manifest::SCHEMA)).as_ref().map_err(Clone::clone)
}

impl Schema {
    fn new(text: &str) -> Result<Self> {
        let root: Value = serde_json::from_str(text).map_err(PackError::other)?;
        let mut patterns = HashMap::new();
        collect_patterns(&root, &mut patterns)?;
        Ok(Self { root, patterns })
    }

    /// # Errors
    /// [`PackError::SchemaViolation`] with the JSON pointer of the first place that does not fit.
    pub(crate) fn check(&self, document: &Value) -> Result<()> {
        self.check_at(&self.root, document, "")
    }

    fn check_at(&self, schema: &Value, value: &Value, path: &str) -> Result<()> {
        let Value::Object(rules) = schema else { return Ok(()) };
        if let Some(Value::String(reference)) = rules.get("$ref") {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let target = target.ok_or_else(|| PackError::other(format!("schema has no {reference}")))?;
            self.check_at(target, value, path)?;
        }
        check_kind(rules, value, path)?;
        self.check_any_of(rules, value, path)?;
        match value {
            Value::String(text) => self.check_text(rules, text, path),
            Value::Number(number) => check_number(rules, number, path),
            Value::Array(items) => self.check_items(rules, items, path),
            Value::Object(members) => self.check_members(rules, members, path),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn check_any_of(&self, rules: &Map<String, Value>, value: &Value, path: &str) -> Result<()> {
        let Some(Value::Array(choices)) = rules.get("anyOf") else { return Ok(()) };
        let mut first = Ok(());
        for choice in choices {
            match self.check_at(choice, value, path) {
                Ok(()) => return Ok(()),
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    fn check_text(&self, rules: &Map<String, Value>, text: &str, path: &str) -> Result<()> {
        let length = text.chars().count() as u64;
        check_range(rules, "minLength", "maxLength", length, "characters", path)?;
        match rules.get("pattern").and_then(Value::as_str) {
            Some(pattern) if !self.patterns.get(pattern).is_some_and(|regex| regex.is_match(text)) => {
                Err(PackError::schema(path, format!("expected text of the form {pattern}, found {}", shown(text))))
            }
            _ => Ok(()),
        }
    }

    fn check_items(&self, rules: &Map<String, Value>, items: &[Value], path: &str) -> Result<()> {
        check_range(rules, "minItems", "maxItems", items.len() as u64, "items", path)?;
        let Some(rule) = rules.get("items") else { return Ok(()) };
        items.iter().enumerate().try_for_each(|(i, item)| self.check_at(rule, item, &format!("{path}/{i}")))
    }

    fn check_members(&self, rules: &Map<String, Value>, members: &Map<String, Value>, path: &str) -> Result<()> {
        check_range(rules, "minProperties", "maxProperties", members.len() as u64, "members", path)?;
        for name in rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                return Err(PackError::schema(path, format!("`{name}` is missing")));
            }
        }
        let known = rules.get("properties").and_then(Value::as_object);
        for (name, value) in members {
            let place = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some(rule) = rules.get("propertyNames") {
                self.check_at(rule, &Value::String(name.clone()), &place)?;
            }
            match (known.and_then(|k| k.get(name)), rules.get("additionalProperties")) {
                (Some(rule), _) => self.check_at(rule, value, &place)?,
                (None, Some(Value::Bool(false))) => return Err(PackError::schema(place, "no such member")),
                (None, Some(rule)) => self.check_at(rule, value, &place)?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// `type`, `const` and `enum`.
fn check_kind(rules: &Map<String, Value>, value: &Value, path: &str) -> Result<()> {
    if let Some(Value::String(wanted)) = rules.get("type") {
        let fits = match wanted.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_u64() || value.is_i64(),
            "null" => value.is_null(),
            _ => false,
        };
        if !fits {
            return Err(PackError::schema(path, format!("expected {wanted}, found {}", shown(&value.to_string()))));
        }
    }
    if let Some(wanted) = rules.get("const").filter(|wanted| *wanted != value) {
        return Err(PackError::schema(path, format!("expected {wanted}, found {}", shown(&value.to_string()))));
    }
    match rules.get("enum") {
        Some(Value::Array(choices)) if !choices.contains(value) => {
            let choices = Value::Array(choices.clone());
            Err(PackError::schema(path, format!("expected one of {choices}, found {}", shown(&value.to_string()))))
        }
        _ => Ok(()),
    }
}

fn check_number(rules: &Map<String, Value>, number: &serde_json::Number, path: &str) -> Result<()> {
    let value = number.as_f64().unwrap_or(f64::NAN);
    let bound = |name| rules.get(name).and_then(Value::as_f64);
    if bound("minimum").is_some_and(|least| !(value >= least)) || bound("maximum").is_some_and(|most| !(value <= most))
    {
        let show = |name| bound(name).map_or("any".into(), |b| b.to_string());
        let what = format!("expected {} to {}, found {number}", show("minimum"), show("maximum"));
        return Err(PackError::schema(path, what));
    }
    Ok(())
}

fn check_range(rules: &Map<String, Value>, least: &str, most: &str, n: u64, what: &str, path: &str) -> Result<()> {
    let bound = |name: &str| rules.get(name).and_then(Value::as_u64);
    if bound(least).is_some_and(|least| n < least) || bound(most).is_some_and(|most| n > most) {
        let (least, most) = (bound(least).unwrap_or(0), bound(most).unwrap_or(u64::MAX));
        return Err(PackError::schema(path, format!("expected {least} to {most} {what}, found {n}")));
    }
    Ok(())
}

fn collect_patterns(schema: &Value, patterns: &mut HashMap<String, Regex>) -> Result<()> {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(pattern)) = members.get("pattern") {
                let compiled = Regex::new(pattern).map_err(PackError::other)?;
                patterns.insert(pattern.clone(), compiled);
            }
            members.values().try_for_each(|member| collect_patterns(member, patterns))
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect_patterns(item, patterns)),
        _ => Ok(()),
    }
}

/// The text, cut to what fits an error message.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).collect();
    if cut.len() < text.len() { format!("`{cut}…`") } else { format!("`{cut}`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KNOWN: &[&str] = &[
        "$schema",
        "$id",
        "title",
        "$defs",
        "$ref",
        "type",
        "const",
        "enum",
        "anyOf",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "items",
        "minProperties",
        "maxProperties",
        "required",
        "properties",
        "propertyNames",
        "additionalProperties",
    ];

    fn keywords(schema: &Value, out: &mut Vec<String>) {
        let Value::Object(members) = schema else { return };
        for (name, rule) in members {
            out.push(name.clone());
            match (name.as_str(), rule) {
                ("properties" | "$defs", Value::Object(named)) => named.values().for_each(|rule| keywords(rule, out)),
                ("anyOf", Value::Array(rules)) => rules.iter().for_each(|rule| keywords(rule, out)),
                ("items" | "additionalProperties" | "propertyNames", rule) => keywords(rule, out),
                _ => {}
            }
        }
    }

    #[test]
    fn every_keyword_of_the_published_schema_is_checked() {
        let mut found = Vec::new();
        keywords(&manifest_schema().unwrap().root, &mut found);
        assert!(found.len() > 100);
        for keyword in found {
            assert!(KNOWN.contains(&keyword.as_str()), "{keyword} would be ignored");
        }
    }

    #[test]
    fn each_keyword_can_fail() {
        let cases = [
            (json!({"type": "object"}), json!([]), ""),
            (json!({"type": "integer"}), json!(1.5), ""),
            (json!({"const": 1}), json!(2), ""),
            (json!({"enum": ["a"]}), json!("b"), ""),
            (json!({"anyOf": [{"type": "null"}, {"type": "string"}]}), json!(1), ""),
            (json!({"pattern": "^a$"}), json!("ab"), ""),
            (json!({"pattern": "^a$"}), json!("a\n"), ""),
            (json!({"minLength": 2}), json!("ä"), ""),
            (json!({"maxLength": 1}), json!("ab"), ""),
            (json!({"minimum": 0}), json!(-1), ""),
            (json!({"maximum": 3}), json!(4), ""),
            (json!({"minItems": 1}), json!([]), ""),
            (json!({"maxItems": 1}), json!([1, 2]), ""),
            (json!({"items": {"type": "null"}}), json!([null, 1]), "/1"),
            (json!({"minProperties": 1}), json!({}), ""),
            (json!({"maxProperties": 0}), json!({"a": 1}), ""),
            (json!({"required": ["a"]}), json!({"b": 1}), ""),
            (json!({"properties": {"a": {"type": "null"}}}), json!({"a": 1}), "/a"),
            (json!({"additionalProperties": false}), json!({"a/b": 1}), "/a~1b"),
            (json!({"additionalProperties": {"type": "null"}}), json!({"a": 1}), "/a"),
            (json!({"propertyNames": {"pattern": "^x"}}), json!({"a": 1}), "/a"),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}), json!(1), ""),
        ];
        for (schema, document, place) in cases {
            let checked = Schema::new(&schema.to_string()).unwrap().check(&document);
            match checked {
                Err(PackError::SchemaViolation { path, .. }) => assert_eq!(path, place, "{schema}"),
                other => panic!("{schema} of {document}: {other:?}"),
            }
        }
    }
}
