//! Changes, expectations, and what is remembered.

use mayfly_config::{Batch, Config, ConfigError, Expect, Limits, MAX_KEY_BYTES};

#[test]
fn keys_have_a_length() {
    let config = Config::new();
    let long = "ä".repeat(MAX_KEY_BYTES / 2);
    config.set(&long, &1).unwrap();
    config.set("a", &1).unwrap();
    for key in ["", &format!("{long}x")] {
        let refused = [
            config.set(key, &1).map(drop),
            config.compare_and_set(key, Expect::Absent, &1).map(drop),
            config.delete(key).map(drop),
            config.watch(key).map(drop),
            config.check(key, &serde_json::json!(1)),
            config.commit(Batch::new().delete("a").expect(key, Expect::Absent)).map(drop),
        ];
        for refusal in refused {
            assert!(matches!(refusal, Err(ConfigError::Key { bytes, .. }) if bytes == key.len()), "{refusal:?}");
        }
        assert!(config.get::<u8>(key).unwrap().is_none() && config.history(key).is_empty());
    }
    assert_eq!(config.revision(), 2);
}

#[test]
fn of_several_who_expect_the_same_one_succeeds() {
    let config = Config::new();
    assert_eq!(config.compare_and_set("a", Expect::Absent, &1), Ok(1));
    let error = config.compare_and_set("a", Expect::Absent, &2).unwrap_err();
    assert_eq!(error.to_string(), "`a`: expected no such key, found revision 1; read it and try again");
    assert_eq!(config.compare_and_set("a", Expect::At(1), &3), Ok(2));
    let error = config.compare_and_delete("a", Expect::At(1)).unwrap_err();
    assert_eq!(error, ConfigError::Conflict { key: "a".into(), expected: Expect::At(1), found: Some(2) });
    assert_eq!(config.compare_and_delete("a", Expect::At(2)), Ok(Some(3)));
    assert_eq!(config.delete("a"), Ok(None));
    // Deleted is not there, whatever is remembered of it.
    let error = config.compare_and_set("a", Expect::At(3), &4).unwrap_err();
    assert_eq!(error, ConfigError::Conflict { key: "a".into(), expected: Expect::At(3), found: None });
    assert_eq!(config.compare_and_set("a", Expect::Absent, &4), Ok(4));
    assert_eq!(config.revision(), 4);
}

#[test]
fn a_batch_happens_as_a_whole_or_not_at_all() {
    let config = Config::new();
    config.set("b", &0).unwrap();
    let mut batch = Batch::new();
    batch
        .set("a", &1)
        .unwrap()
        .set("c", &3)
        .unwrap()
        .delete("b")
        .expect("d", Expect::Absent)
        .expect("b", Expect::At(7));
    assert!(matches!(config.commit(&batch), Err(ConfigError::Conflict { found: Some(1), .. })));
    assert_eq!((config.revision(), config.snapshot("").iter().count()), (1, 1));
    assert_eq!(config.commit(batch.expect("b", Expect::At(1))), Ok(Some(2)));
    let now: Vec<_> =
        config.snapshot("").iter().map(|version| (version.key().to_owned(), version.revision())).collect();
    assert_eq!(now, [("a".to_owned(), 2), ("c".to_owned(), 2)]);
    // Nothing to change makes no revision; what is said later of a key counts.
    assert_eq!(config.commit(Batch::new().delete("b").expect("a", Expect::At(2))), Ok(None));
    assert_eq!(config.commit(&Batch::new()), Ok(None));
    config.commit(Batch::new().set("a", &1).unwrap().delete("a")).unwrap();
    assert_eq!((config.version("a").is_none(), config.revision()), (true, 3));
}

#[test]
fn history_and_deleted_keys_are_bounded() {
    let mut limits = Limits::default();
    (limits.history, limits.deleted_keys) = (3, 2);
    let config = Config::with_limits(limits);
    for n in 1..=5 {
        config.set("a", &n).unwrap();
    }
    config.delete("a").unwrap();
    let history = config.history("a");
    assert_eq!(history.iter().map(|version| version.revision()).collect::<Vec<_>>(), [4, 5, 6]);
    assert_eq!(history.iter().map(|version| version.is_deleted()).collect::<Vec<_>>(), [false, false, true]);
    for key in ["b", "c"] {
        config.set(key, &0).unwrap();
        config.delete(key).unwrap();
    }
    // One that was set again counts no more.
    assert!(config.history("a").is_empty());
    config.set("b", &1).unwrap();
    config.set("d", &1).unwrap();
    config.delete("d").unwrap();
    assert_eq!([3, 2, 2], ["b", "c", "d"].map(|key| config.history(key).len()));
    limits.history = 0;
    let config = Config::with_limits(limits);
    for n in 1..=5 {
        config.set("a", &n).unwrap();
    }
    assert_eq!(config.history("a").len(), 1);
}

#[test]
fn a_hundred_thousand_keys_are_found_and_forgotten() {
    let mut limits = Limits::default();
    limits.deleted_keys = 10;
    let config = Config::with_limits(limits);
    let key = |n: u32| format!("k/{n}");
    for n in 0..100_000 {
        config.set(&key(n), &n).unwrap();
    }
    assert!((0..100_000).all(|n| *config.get::<u32>(&key(n)).unwrap().unwrap() == n));
    let before = config.snapshot("k/");
    for n in 0..100_000 {
        config.delete(&key(n)).unwrap();
    }
    assert_eq!((before.iter().count(), config.snapshot("").iter().count()), (100_000, 0));
    assert_eq!((0..100_000).filter(|n| !config.history(&key(*n)).is_empty()).count(), 10);
}
