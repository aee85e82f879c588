//! Values as types.

use mayfly_config::{Config, ConfigError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Server {
    host: String,
    ports: Vec<u16>,
    #[serde(skip)]
    secret: String,
}

fn server() -> Server {
    Server { host: "north".into(), ports: vec![80, 443], secret: "s3cret".into() }
}

#[test]
fn what_is_read_is_what_the_json_says() {
    let config = Config::new();
    config.set("server", &server()).unwrap();
    let expected = Server { secret: String::new(), ..server() };
    assert_eq!(*config.get::<Server>("server").unwrap().unwrap(), expected);
    assert_eq!(*config.get::<Value>("server").unwrap().unwrap(), json!({ "host": "north", "ports": [80, 443] }));
    config.set("text", "plain").unwrap();
    config.set("nothing", &None::<u8>).unwrap();
    config.set("nan", &f64::NAN).unwrap();
    config.set("big", &u64::MAX).unwrap();
    assert_eq!(*config.get::<String>("text").unwrap().unwrap(), "plain");
    assert_eq!(*config.get::<Option<u8>>("nothing").unwrap().unwrap(), None);
    assert_eq!(*config.get::<u64>("big").unwrap().unwrap(), u64::MAX);
    assert_eq!(*config.get::<Value>("nan").unwrap().unwrap(), Value::Null);
    assert!(config.get::<String>("absent").unwrap().is_none());
}

#[test]
fn a_version_is_decoded_once_and_shared_by_all_who_read_it() {
    #[derive(Debug)]
    struct Counted;
    static DECODED: AtomicUsize = AtomicUsize::new(0);
    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            DECODED.fetch_add(1, Ordering::Relaxed);
            u8::deserialize(from).map(|_| Self)
        }
    }
    let config = Config::new();
    let mut watch = config.watch_prefix("");
    config.set("a", &1).unwrap();
    let first = config.get::<Counted>("a").unwrap().unwrap().into_value();
    let told = watch.try_next().unwrap().unwrap().get::<Counted>().unwrap().unwrap();
    let all = [
        config.get::<Counted>("a").unwrap().unwrap().into_value(),
        config.clone().version("a").unwrap().get::<Counted>().unwrap().unwrap(),
        config.snapshot("").get::<Counted>("a").unwrap().unwrap().into_value(),
        config.history("a")[0].get::<Counted>().unwrap().unwrap(),
        told,
    ];
    assert!(all.iter().all(|one| Arc::ptr_eq(one, &first)));
    assert_eq!(DECODED.load(Ordering::Relaxed), 1);
    // A second type does not take the place of the first.
    assert_eq!(*config.get::<u8>("a").unwrap().unwrap(), 1);
    assert!(Arc::ptr_eq(&config.get::<Counted>("a").unwrap().unwrap().into_value(), &first));
    config.set("a", &2).unwrap();
    config.get::<Counted>("a").unwrap();
    assert_eq!(DECODED.load(Ordering::Relaxed), 2);
}

#[test]
fn a_text_is_shared_and_may_be_read_as_what_it_names() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Mode {
        Slow,
    }
    let config = Config::new();
    config.set("mode", "Slow").unwrap();
    let text = || config.get::<String>("mode").unwrap().unwrap().into_value();
    let mode = || config.get::<Mode>("mode").unwrap().unwrap().into_value();
    assert_eq!((&**text(), &*mode()), ("Slow", &Mode::Slow));
    assert!(Arc::ptr_eq(&text(), &text()) && Arc::ptr_eq(&mode(), &mode()));
    assert!(Arc::ptr_eq(&text(), &config.version("mode").unwrap().get::<String>().unwrap().unwrap()));
    assert!(config.get::<u8>("mode").is_err());
}

#[test]
fn a_value_of_another_type_is_an_error_that_says_where() {
    let config = Config::new();
    let revision = config.set("server", &json!({ "host": "north", "ports": [80, "http"] })).unwrap();
    let Err(ConfigError::Type { key, revision: at, wanted, path, reason }) = config.get::<Server>("server") else {
        panic!()
    };
    assert_eq!((key.as_str(), at, path.as_str()), ("server", revision, "ports[1]"));
    assert!(wanted.ends_with("Server") && reason.contains("u16"), "{wanted}: {reason}");
    let error = config.version("server").unwrap().get::<u8>().unwrap_err().to_string();
    assert!(
        error.starts_with("`server` at revision 1 is no u8: invalid type: map") && error.ends_with("at `.`"),
        "{error}"
    );
    config.set("long", &"x".repeat(1 << 20)).unwrap();
    assert!(config.get::<u8>("long").unwrap_err().to_string().len() < 500);
    // What cannot be decoded is not kept as anything.
    assert!(config.get::<Value>("server").unwrap().is_some());
}

#[test]
fn what_json_does_not_have_is_refused() {
    let config = Config::new();
    let keyed_by_lists = BTreeMap::from([(vec![1], 2)]);
    let error = config.set("a", &keyed_by_lists).unwrap_err();
    assert!(matches!(&error, ConfigError::NotJson { key, .. } if key == "a"), "{error}");
    assert!(error.to_string().contains("key must be a string"), "{error}");
    assert_eq!(config.revision(), 0);
}

#[test]
fn nothing_that_is_printed_for_debugging_has_values() {
    let config = Config::new();
    config.set("key", "hunter2").unwrap();
    let watch = config.watch("key").unwrap();
    let all = [
        format!("{config:?}"),
        format!("{:?}", config.version("key")),
        format!("{:?}", config.snapshot("")),
        format!("{watch:?}"),
        format!("{:?}", mayfly_config::Fed::put("key", b"\"hunter2\"")),
    ];
    assert!(all.iter().all(|text| !text.contains("hunter2") && text.len() > 5), "{all:?}");
}
