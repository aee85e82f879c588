//! Random calls against a model: all changes there ever were, in a list, and a map.

use crate::audience::{Audience, Event, Of};
use mayfly_config::{Batch, Config, ConfigError, Expect, Limits, Revision, Snapshot, Watch};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const KEYS: [&str; 7] = ["a", "a/", "a/b", "a/c", "ä", "b", "b/x"];
const PREFIXES: [&str; 5] = ["", "a", "a/", "b", "c"];

#[derive(Clone, Copy, Debug)]
enum Wish {
    Anything,
    Absent,
    /// The revision that the key has.
    Right,
    /// One that lies so far back.
    Wrong(u64),
}

#[derive(Clone, Debug)]
enum Act {
    Change {
        key: &'static str,
        wish: Wish,
        value: Option<Value>,
    },
    Batch(Vec<(&'static str, Wish, Option<Option<Value>>)>),
    Watch(Of),
    Unwatch(usize),
    Read {
        watcher: usize,
        most: usize,
    },
    ReadAll(usize),
    Resync(usize),
    Snapshot(&'static str),
    #[cfg_attr(not(feature = "schema"), allow(dead_code))]
    Schema {
        prefix: &'static str,
        kind: Option<usize>,
    },
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![(0..6i64).prop_map(|n| json!(n)), "[xy]{0,2}".prop_map(|s| json!(s)), Just(json!({ "n": [1, null] }))]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => Just(Wish::Anything),
        1 => Just(Wish::Absent),
        2 => Just(Wish::Right),
        1 => (1..5u64).prop_map(Wish::Wrong),
    ]
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KEYS[..])
}

fn prefix() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&PREFIXES[..])
}

fn act() -> impl Strategy<Value = Act> {
    let part = (key(), wish(), prop::option::of(prop::option::of(value())));
    prop_oneof![
        8 => (key(), wish(), prop::option::weighted(0.7, value())).prop_map(|(key, wish, value)| Act::Change { key, wish, value }),
        3 => prop::collection::vec(part, 0..6).prop_map(Act::Batch),
        2 => prop_oneof![key().prop_map(|k| Of::Key(k.into())), prefix().prop_map(|p| Of::Prefix(p.into()))].prop_map(Act::Watch),
        1 => (0..9usize).prop_map(Act::Unwatch),
        3 => (0..9usize, 1..5usize).prop_map(|(watcher, most)| Act::Read { watcher, most }),
        1 => (0..9usize).prop_map(Act::ReadAll),
        1 => (0..9usize).prop_map(Act::Resync),
        1 => prefix().prop_map(Act::Snapshot),
        1 => (prefix(), prop::option::of(0..3usize)).prop_map(|(prefix, kind)| Act::Schema { prefix, kind }),
    ]
}

/// Schemas, and what they ask for.
const KINDS: [(&str, fn(&Value) -> bool); 3] = [
    (r#"{"type": ["integer", "string"]}"#, |v| v.is_i64() || v.is_string()),
    (r#"{"minimum": 2}"#, |v| v.as_i64().is_none_or(|n| n >= 2)),
    (r#"{"not": {"const": ""}}"#, |v| v != ""),
];

struct Watcher {
    of: Of,
    watch: Watch,
    audience: Audience,
}

struct Model {
    limits: Limits,
    revision: Revision,
    /// What is remembered of each key.
    keys: BTreeMap<String, Vec<Event>>,
    schemas: BTreeMap<&'static str, usize>,
    watchers: Vec<Watcher>,
    snapshots: Vec<(Snapshot, Vec<Event>)>,
}

impl Model {
    fn newest(&self, key: &str) -> Option<&Event> {
        self.keys.get(key).and_then(|all| all.last()).filter(|event| event.value.is_some())
    }

    fn expect(&self, key: &str, wish: Wish) -> (Expect, bool) {
        let found = self.newest(key).map(|event| event.revision);
        match wish {
            Wish::Anything => (Expect::Anything, true),
            Wish::Absent => (Expect::Absent, found.is_none()),
            Wish::Right => found.map_or((Expect::Absent, true), |at| (Expect::At(at), true)),
            Wish::Wrong(back) => {
                let at = self.revision.saturating_sub(back);
                (Expect::At(at), found == Some(at))
            }
        }
    }

    fn is_allowed(&self, key: &str, value: &Value) -> bool {
        self.schemas.iter().all(|(prefix, kind)| !key.starts_with(prefix) || KINDS[*kind].1(value))
    }

    /// What a change does, in the order of keys.
    fn change(&mut self, key: &str, revision: Revision, value: Option<Value>) -> bool {
        if value.is_none() && self.newest(key).is_none() {
            return false;
        }
        let event = Event { revision, key: key.into(), value };
        for watcher in self.watchers.iter_mut().filter(|watcher| watcher.of.has(key)) {
            watcher.audience.untold.push_back(event.clone());
        }
        let history = self.keys.entry(key.into()).or_default();
        history.push(event);
        history.drain(..history.len().saturating_sub(self.limits.history));
        true
    }

    /// At the end of a change: of deleted keys the last are remembered.
    fn forget(&mut self) {
        let ends = self.keys.values().filter_map(|all| all.last()).filter(|event| event.value.is_none());
        let deleted: BTreeSet<(Revision, String)> = ends.map(|event| (event.revision, event.key.clone())).collect();
        for (_, key) in deleted.iter().rev().skip(self.limits.deleted_keys) {
            self.keys.remove(key);
        }
    }

    fn state(&self, prefix: &str) -> Vec<Event> {
        let all = self.keys.keys().filter(|key| key.starts_with(prefix));
        all.filter_map(|key| self.newest(key).cloned()).collect()
    }
}

/// Makes the changes, here and there, and compares the answers.
fn commit(model: &mut Model, config: &Config, changes: &BTreeMap<&str, (Wish, Option<Option<Value>>)>, single: bool) {
    let (mut batch, mut conflict) = (Batch::new(), None);
    for (key, (wish, effect)) in changes {
        let (expect, holds) = model.expect(key, *wish);
        batch.expect(key, expect);
        match effect {
            Some(Some(value)) => {
                batch.set(key, value).unwrap();
            }
            Some(None) => {
                batch.delete(key);
            }
            None => {}
        }
        if !holds && conflict.is_none() {
            let found = model.newest(key).map(|event| event.revision);
            conflict = Some(ConfigError::Conflict { key: (*key).into(), expected: expect, found });
        }
    }
    let answer = match changes.first_key_value() {
        Some((key, (wish, Some(effect)))) if single => {
            let (expect, _) = model.expect(key, *wish);
            match effect {
                Some(value) => config.compare_and_set(key, expect, value).map(Some),
                None => config.compare_and_delete(key, expect),
            }
        }
        _ => config.commit(&batch),
    };
    let puts = changes.iter().filter_map(|(key, (_, effect))| Some((*key, effect.as_ref()?.as_ref()?)));
    let bad: BTreeSet<&str> = puts.filter(|(key, value)| !model.is_allowed(key, value)).map(|(key, _)| key).collect();
    if !bad.is_empty() {
        let Err(ConfigError::Violates { violations, .. }) = answer else { panic!("{answer:?} for {bad:?}") };
        assert_eq!(violations.iter().map(|violation| &*violation.key).collect::<BTreeSet<_>>(), bad);
        return;
    }
    if let Some(conflict) = conflict {
        assert_eq!(answer, Err(conflict));
        return;
    }
    let revision = model.revision + 1;
    let mut is_change = false;
    for (key, (_, effect)) in changes {
        let Some(value) = effect.clone() else { continue };
        is_change |= model.change(key, revision, value);
    }
    model.revision += u64::from(is_change);
    model.forget();
    assert_eq!(answer, Ok(is_change.then_some(revision)));
}

fn schema(model: &mut Model, config: &Config, prefix: &'static str, kind: Option<usize>) {
    #[cfg(feature = "schema")]
    match kind {
        None => assert_eq!(config.remove_schema(prefix), model.schemas.remove(prefix).is_some()),
        Some(kind) => {
            let answer = config.schema(prefix, &serde_json::from_str(KINDS[kind].0).unwrap());
            let state = model.state(prefix);
            let bad = state.iter().filter(|event| !KINDS[kind].1(event.value.as_ref().unwrap()));
            let bad: Vec<&str> = bad.map(|event| &*event.key).collect();
            match answer {
                Ok(()) => {
                    model.schemas.insert(prefix, kind);
                }
                Err(ConfigError::Violates { violations, total }) => {
                    assert_eq!(violations.iter().map(|violation| &*violation.key).collect::<Vec<_>>(), bad);
                    assert_eq!(total, bad.len());
                    return;
                }
                other => panic!("{other:?}"),
            }
            assert!(bad.is_empty());
        }
    }
    #[cfg(not(feature = "schema"))]
    let _ = (model, config, prefix, kind);
}

fn events(snapshot: &Snapshot) -> Vec<Event> {
    snapshot.iter().map(|version| Event::of(version)).collect()
}

fn run(model: &mut Model, config: &Config, act: Act) {
    let count = model.watchers.len().max(1);
    match act {
        Act::Change { key, wish, value } => commit(model, config, &BTreeMap::from([(key, (wish, Some(value)))]), true),
        Act::Batch(parts) => {
            let changes = parts.into_iter().map(|(key, wish, effect)| (key, (wish, effect))).collect();
            commit(model, config, &changes, false);
        }
        Act::Watch(of) => {
            let watch = of.watch(config);
            assert_eq!(watch.since(), model.revision);
            model.watchers.push(Watcher { watch, audience: Audience::new(model.limits.waiting), of });
        }
        Act::Unwatch(at) => {
            if !model.watchers.is_empty() {
                model.watchers.remove(at % count);
            }
        }
        Act::Read { watcher, most } => {
            if let Some(watcher) = model.watchers.get_mut(watcher % count) {
                for _ in 0..most {
                    watcher.audience.told(&watcher.watch.try_next());
                }
            }
        }
        Act::ReadAll(watcher) => {
            if let Some(Watcher { watch, audience, .. }) = model.watchers.get_mut(watcher % count) {
                match watch.pending() {
                    Err(lagged) => audience.lagged(lagged, true),
                    Ok(all) => {
                        for version in all {
                            audience.told(&Ok(Some(version)));
                        }
                        audience.told(&Ok(None));
                    }
                }
            }
        }
        Act::Resync(at) => {
            let Some(watcher) = model.watchers.get_mut(at % count) else { return };
            let snapshot = watcher.watch.resync();
            watcher.audience = Audience::new(model.limits.waiting);
            let of = watcher.of.clone();
            let expected = model.state("").into_iter().filter(|event| of.has(&event.key)).collect();
            assert_eq!(snapshot.revision(), model.revision);
            model.snapshots.push((snapshot, expected));
        }
        Act::Snapshot(prefix) => {
            let snapshot = config.snapshot(prefix);
            assert_eq!(snapshot.revision(), model.revision);
            model.snapshots.push((snapshot, model.state(prefix)));
        }
        Act::Schema { prefix, kind } => schema(model, config, prefix, kind),
    }
}

/// What can be read now.
fn compare(model: &Model, config: &Config) {
    assert_eq!(config.revision(), model.revision);
    for key in KEYS {
        let newest = model.newest(key);
        let found = config.get::<Value>(key).unwrap();
        assert_eq!(found.as_deref(), newest.and_then(|event| event.value.as_ref()));
        assert_eq!(found.map(|found| found.revision()), newest.map(|event| event.revision));
        assert_eq!(config.version(key).map(|version| Event::of(&version)).as_ref(), newest);
        let history: Vec<Event> = config.history(key).iter().map(|version| Event::of(version)).collect();
        assert_eq!(Some(&history).filter(|history| !history.is_empty()), model.keys.get(key));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("MAYFLY_HEAVY").is_some() { 20_000 } else { 1_000 }))]

    #[test]
    fn every_answer_is_that_of_a_list_of_all_changes(
        acts in prop::collection::vec(act(), 1..80), history in 1..4usize, deleted_keys in 0..3usize, waiting in 1..5usize,
    ) {
        let mut limits = Limits::default();
        (limits.history, limits.deleted_keys, limits.waiting) = (history, deleted_keys, waiting);
        let config = Config::with_limits(limits);
        let mut model = Model {
            limits, revision: 0, keys: BTreeMap::new(), schemas: BTreeMap::new(), watchers: Vec::new(), snapshots: Vec::new(),
        };
        for act in acts {
            run(&mut model, &config, act);
            compare(&model, &config);
        }
        for watcher in &mut model.watchers {
            while watcher.audience.told(&watcher.watch.try_next()) {}
        }
        // Snapshots are what they were, whatever came after them.
        for (snapshot, expected) in &model.snapshots {
            assert_eq!(&events(snapshot), expected);
            for key in KEYS {
                let one = expected.iter().find(|event| event.key == key);
                assert_eq!(snapshot.version(key).map(|version| Event::of(version)).as_ref(), one);
            }
        }
    }
}
