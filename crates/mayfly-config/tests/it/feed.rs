//! A store that follows another one.

use mayfly_config::{Batch, Config, ConfigError, Expect, Fed, Feed, Lagged, Limits};

fn followed() -> (Config, Feed) {
    Config::following(Limits::default())
}

fn state(config: &Config) -> Vec<(String, u64)> {
    config.snapshot("").iter().map(|version| (version.key().to_owned(), version.revision())).collect()
}

#[test]
fn nobody_but_the_feed_writes() {
    let (config, mut feed) = followed();
    feed.apply(5, vec![Fed::put("a", b"1")]).unwrap();
    let refused = [
        config.set("a", &2).map(Some),
        config.compare_and_set("a", Expect::At(5), &2).map(Some),
        config.delete("a"),
        config.commit(Batch::new().delete("a")),
    ];
    assert!(refused.iter().all(|answer| answer == &Err(ConfigError::Following)), "{refused:?}");
    assert_eq!((state(&config), config.revision(), feed.revision()), (vec![("a".into(), 5)], 5, 5));
}

#[test]
fn changes_have_the_revisions_of_the_other_store_and_never_go_back() {
    let (config, mut feed) = followed();
    let mut watch = config.watch_prefix("");
    feed.apply(5, vec![Fed::put("a", b"1"), Fed::put("b", b"{\"x\": 2}")]).unwrap();
    feed.apply(9, vec![Fed::delete("a"), Fed::delete("absent")]).unwrap();
    feed.apply(10, vec![]).unwrap();
    for revision in [0, 9, 10] {
        let error = feed.apply(revision, vec![Fed::put("a", b"2")]).unwrap_err();
        assert_eq!(error, ConfigError::Backwards { key: None, revision, have: 10 });
    }
    assert!(matches!(feed.apply(11, vec![Fed::put("c", b"2"), Fed::put("", b"2")]), Err(ConfigError::Key { .. })));
    assert_eq!((state(&config), config.revision()), (vec![("b".into(), 5)], 10));
    let told: Vec<_> =
        watch.pending().unwrap().iter().map(|v| (v.key().to_owned(), v.revision(), v.is_deleted())).collect();
    assert_eq!(told, [("a".into(), 5, false), ("b".into(), 5, false), ("a".into(), 9, true)]);
}

#[test]
fn a_state_that_is_loaded_takes_the_place_of_the_one_that_was() {
    let (config, mut feed) = followed();
    feed.load(20, vec![(5, Fed::put("a", b"1")), (20, Fed::put("b", b"2"))]).unwrap();
    assert_eq!((state(&config), config.revision()), (vec![("a".into(), 5), ("b".into(), 20)], 20));
    feed.apply(21, vec![Fed::put("c", b"3")]).unwrap();
    let kept = config.version("a").unwrap();
    let (mut watch, mut key) = (config.watch_prefix("c"), config.watch("z").unwrap());
    feed.load(40, vec![(5, Fed::put("a", b"1")), (30, Fed::put("b", b"4")), (33, Fed::put("d", b"5"))]).unwrap();
    assert_eq!(state(&config), [("a".into(), 5), ("b".into(), 30), ("d".into(), 33)]);
    assert!(std::sync::Arc::ptr_eq(&kept, &config.version("a").unwrap()), "it has not changed");
    let history: Vec<_> = config.history("c").iter().map(|v| (v.revision(), v.is_deleted())).collect();
    assert_eq!(history, [(21, false), (40, true)]);
    for watch in [&mut watch, &mut key] {
        assert_eq!(watch.try_next().unwrap_err(), Lagged { resume: 41 });
        assert!(watch.try_next().unwrap().is_none());
    }
    feed.apply(41, vec![Fed::put("c", b"6")]).unwrap();
    assert_eq!(watch.try_next().unwrap().unwrap().revision(), 41);
}

#[test]
fn a_state_that_goes_back_is_not_loaded() {
    let (config, mut feed) = followed();
    feed.load(20, vec![(5, Fed::put("a", b"1")), (20, Fed::put("b", b"2"))]).unwrap();
    let (before, mut watch) = (state(&config), config.watch_prefix(""));
    let back =
        |key: Option<&str>, revision, have| Err(ConfigError::Backwards { key: key.map(Into::into), revision, have });
    assert_eq!(feed.load(19, vec![]), back(None, 19, 20));
    assert_eq!(feed.load(30, vec![(6, Fed::put("a", b"1")), (19, Fed::put("b", b"2"))]), back(Some("b"), 19, 20));
    assert_eq!(feed.load(30, vec![(6, Fed::put("a", b"1")), (31, Fed::put("c", b"2"))]), back(Some("c"), 31, 30));
    assert_eq!(feed.apply(15, vec![]).unwrap_err().to_string(), "revision 15 cannot come after 20");
    assert!((state(&config), config.revision()) == (before.clone(), 20) && watch.try_next().unwrap().is_none());
    // The same state again is no step back.
    feed.load(20, vec![(5, Fed::put("a", b"1")), (20, Fed::put("b", b"2"))]).unwrap();
    assert_eq!(state(&config), before);
}

#[test]
fn what_is_no_json_is_there_and_cannot_be_read() {
    let (config, mut feed) = followed();
    feed.apply(3, vec![Fed::put("a", b"hello"), Fed::put("b", b"\xff"), Fed::put("c", b"")]).unwrap();
    let error = config.get::<String>("a").unwrap_err();
    assert!(matches!(&error, ConfigError::Unreadable { key, revision: 3, .. } if key == "a"), "{error:?}");
    assert!(error.to_string().contains("its 5 bytes are no JSON"), "{error}");
    assert!(config.version("b").unwrap().json().is_err() && config.snapshot("").get::<String>("c").is_err());
    feed.apply(4, vec![Fed::put("a", b"\"hello\"")]).unwrap();
    assert_eq!(*config.get::<String>("a").unwrap().unwrap(), "hello");
}

#[test]
fn watchers_are_told_when_the_feed_is_gone() {
    let (config, mut feed) = followed();
    let mut watch = config.watch_prefix("");
    feed.apply(1, vec![Fed::put("a", b"1")]).unwrap();
    drop(feed);
    let mut late = config.watch_prefix("");
    let long = std::time::Duration::from_secs(300);
    assert!(watch.next_within(long).unwrap().is_some());
    assert!(watch.next_within(long).unwrap().is_none() && late.next_within(long).unwrap().is_none());
    assert!(watch.is_over() && late.is_over());
    assert_eq!(*config.get::<u8>("a").unwrap().unwrap(), 1);
}

/// Nobody reads the store by a handle any more, but what it is fed is still told.
#[test]
fn watchers_are_told_as_long_as_there_is_a_feed() {
    let (config, mut feed) = followed();
    let mut watch = config.watch("a").unwrap();
    drop(config);
    assert!(watch.try_next().unwrap().is_none() && !watch.is_over());
    feed.apply(1, vec![Fed::put("a", b"1")]).unwrap();
    assert_eq!(watch.try_next().unwrap().unwrap().revision(), 1);
    feed.load(5, vec![]).unwrap();
    drop(feed);
    assert!(!watch.is_over());
    assert_eq!(watch.try_next().unwrap_err(), Lagged { resume: 6 });
    assert!(watch.is_over() && watch.try_next().unwrap().is_none());
}
