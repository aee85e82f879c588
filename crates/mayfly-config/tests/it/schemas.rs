//! Schemas.

use mayfly_config::{Batch, Config, ConfigError, Violation};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn violations<T: std::fmt::Debug>(answer: Result<T, ConfigError>) -> (Vec<Violation>, usize) {
    match answer {
        Err(ConfigError::Violates { violations, total }) => (violations, total),
        other => panic!("{other:?}"),
    }
}

fn keys(found: &[Violation]) -> Vec<&str> {
    found.iter().map(|violation| &*violation.key).collect()
}

#[test]
fn values_are_held_to_the_schemas_of_all_their_prefixes() {
    let config = Config::new();
    config.schema("", &json!({ "not": { "type": "null" } })).unwrap();
    config.schema("pump/", &json!({ "type": "object", "required": ["rate"] })).unwrap();
    config.schema("pump/north", &json!({ "properties": { "rate": { "maximum": 10 } } })).unwrap();
    config.set("other", &json!([1])).unwrap();
    config.set("pump/south", &json!({ "rate": 20 })).unwrap();
    let (found, total) = violations(config.set("pump/north/1", &json!({ "rate": 20 })));
    assert_eq!((total, &*found[0].prefix, &*found[0].path), (1, "pump/north", "/rate"));
    let (found, total) = violations(config.set("pump/north", &Value::Null));
    assert_eq!((total, found.iter().map(|v| &*v.prefix).collect::<Vec<_>>()), (2, vec!["", "pump/"]));
    let text = ConfigError::Violates { violations: found, total }.to_string();
    assert!(
        text.starts_with("2 values are not what schemas ask for: `pump/north`: ")
            && text.contains("(schema for `pump/`)"),
        "{text}"
    );
    assert!(config.check("pump/x", &json!({})).is_err() && config.check("x", &json!({})).is_ok());
    assert_eq!(config.revision(), 2);
    assert!(config.remove_schema("pump/") && !config.remove_schema("pump/"));
    config.set("pump/south", &json!(1)).unwrap();
    assert_eq!(config.schemas().into_keys().collect::<Vec<_>>(), ["", "pump/north"]);
    assert_eq!(config.schemas()[""], json!({ "not": { "type": "null" } }));
}

#[test]
fn a_schema_that_values_violate_is_refused_with_their_keys() {
    let config = Config::new();
    for n in 0..300 {
        config.set(&format!("n/{n:03}"), &(n % 3)).unwrap();
    }
    config.set("m", &"text").unwrap();
    config.delete("n/001").unwrap();
    config.schema("n/", &json!({ "type": "integer" })).unwrap();
    let (found, total) = violations(config.schema("n/", &json!({ "maximum": 1 })));
    assert_eq!((found.len(), total), (100, 100));
    assert_eq!(keys(&found)[..3], ["n/002", "n/005", "n/008"]);
    let (found, total) = violations(config.schema("n/", &json!({ "maximum": 0 })));
    assert_eq!((found.len(), total), (100, 199));
    let text = ConfigError::Violates { violations: found, total }.to_string();
    assert!(text.len() < 1_000 && text.ends_with("; …"), "{text}");
    // The one before is still there, and nothing else.
    assert_eq!(config.schemas().into_iter().collect::<Vec<_>>(), [("n/".to_owned(), json!({ "type": "integer" }))]);
    config.set("n/000", &7).unwrap();
    violations(config.set("n/000", &"x"));
}

#[test]
fn a_batch_is_held_to_schemas_as_a_whole() {
    let config = Config::new();
    config.schema("n/", &json!({ "type": "integer" })).unwrap();
    let mut batch = Batch::new();
    batch
        .set("a", &1)
        .unwrap()
        .set("n/a", &"x")
        .unwrap()
        .set("n/b", &1.5)
        .unwrap()
        .set("n/c", &2)
        .unwrap()
        .delete("n/d");
    assert_eq!(keys(&violations(config.commit(&batch)).0), ["n/a", "n/b"]);
    assert_eq!(config.revision(), 0);
    batch.set("n/a", &1).unwrap().delete("n/b");
    assert_eq!(config.commit(&batch), Ok(Some(1)));
}

#[test]
fn what_is_no_schema_is_refused_and_nothing_is_fetched() {
    let config = Config::new();
    let error = config.schema("a/", &json!({ "properties": { "x": { "type": "number?" } } })).unwrap_err();
    let ConfigError::Schema { prefix, path, .. } = &error else { panic!("{error:?}") };
    assert_eq!((prefix.as_str(), path.as_str()), ("a/", "/properties/x/type"), "{error}");
    for source in ["http://127.0.0.1:9/x.json", "file:///etc/hostname", "other.json"] {
        let error = config.schema("", &json!({ "$ref": source })).unwrap_err();
        assert!(matches!(error, ConfigError::Schema { .. }), "{error:?}");
    }
    assert!(config.schema("", &json!(7)).is_err());
    config.schema("", &json!({ "$ref": "#/$defs/x", "$defs": { "x": { "type": "integer" } } })).unwrap();
    violations(config.set("a", "x"));
    assert_eq!(config.schemas().len(), 1);
}

#[test]
fn messages_name_no_values() {
    let config = Config::new();
    config.schema("", &json!({ "type": "integer", "pattern": "^a" })).unwrap();
    let error = config.set("key", "hunter2").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    let long = config.set("key", &json!({ "hunter2": "x".repeat(1 << 16) })).unwrap_err();
    assert!(long.to_string().len() < 500, "{long}");
}

/// Setting a schema and setting values race: whichever comes first, no value is there at the end that the schema does not allow.
#[test]
fn schemas_that_are_set_beside_writers() {
    for round in 0..200 {
        let config = Config::new();
        for n in 0..50 {
            config.set(&format!("old/{n}"), &n).unwrap();
        }
        let writer = config.clone();
        let writes = std::thread::spawn(move || {
            (0..200)
                .filter(|n| writer.set(&format!("n/{n}"), if n % 7 == round % 7 { &"x" } else { &"1" }).is_ok())
                .count()
        });
        let answer = config.schema("", &json!({ "not": { "const": "x" } }));
        let written = writes.join().unwrap();
        let bad = config
            .snapshot("")
            .iter()
            .filter(|version| version.json().unwrap().as_deref() == Some(&json!("x")))
            .count();
        match answer {
            Ok(()) => assert_eq!(bad, 0),
            Err(ConfigError::Violates { total, .. }) => {
                assert!(total <= bad && written == 200, "{total} {bad} {written}")
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A writer that was let through before a schema was set, and waits for the lock meanwhile, is not let through any more.
#[test]
fn no_value_slips_in_beside_a_schema() {
    let config = Config::new();
    for n in 0..3_000 {
        config.set(&format!("old/{n}"), &n).unwrap(); // so that setting a schema takes its time
    }
    let (writer, is_over) = (config.clone(), Arc::new(AtomicBool::new(false)));
    let ending = is_over.clone();
    let writes = std::thread::spawn(move || {
        while !ending.load(Ordering::Relaxed) {
            if writer.set("bad", "x").is_ok() {
                writer.delete("bad").unwrap();
            }
        }
    });
    let mut times = 0;
    for _ in 0..300 {
        if config.schema("", &json!({ "not": { "const": "x" } })).is_ok() {
            times += 1;
            for _ in 0..100 {
                assert!(config.version("bad").is_none());
            }
            config.remove_schema("");
        }
    }
    is_over.store(true, Ordering::Relaxed);
    writes.join().unwrap();
    assert!(times > 0);
}
