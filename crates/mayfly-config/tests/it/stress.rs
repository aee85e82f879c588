//! Many threads. What they have seen is held against the list of all changes, afterwards.

use crate::audience::{Audience, Event, Of};
use mayfly_base::Rng;
use mayfly_config::{Batch, Config, ConfigError, Expect, Lagged, Limits, Revision, Told, Watch};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const KEYS: u64 = 12;

fn rounds(short: u64) -> u64 {
    if std::env::var_os("MAYFLY_HEAVY").is_some() { short * 20 } else { short }
}

fn key(rng: &mut Rng) -> String {
    format!("{}/{}", ["a", "b", "ab"][rng.below(3) as usize], rng.below(KEYS))
}

/// Random changes; gives what was changed when.
fn write(config: &Config, seed: u64, count: u64) -> Vec<Event> {
    let (mut rng, mut done) = (Rng::new(seed), Vec::new());
    for n in 0..count {
        let (mut batch, mut events) = (Batch::new(), BTreeMap::new());
        for _ in 0..[1, 1, 1, 2, 5][rng.below(5) as usize] {
            let key = key(&mut rng);
            // A deletion of what is not there is no event, and nobody can tell beforehand: only known keys are deleted.
            let found = config.version(&key).map(|version| version.revision());
            let value = (found.is_none() || rng.below(4) > 0).then(|| json!([seed, n]));
            match (&value, found) {
                (Some(value), _) => {
                    batch.set(&key, value).unwrap().expect(&key, Expect::Anything);
                }
                (None, Some(at)) => {
                    batch.delete(&key).expect(&key, Expect::At(at));
                }
                (None, None) => {}
            }
            events.insert(key, value);
        }
        match config.commit(&batch) {
            Ok(Some(revision)) => {
                done.extend(events.into_iter().map(|(key, value)| Event { revision, key, value }));
            }
            Err(ConfigError::Conflict { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    done
}

/// What a watcher is told, until nothing more comes.
fn listen(mut watch: Watch, naps: bool) -> Vec<Told> {
    let mut all = Vec::new();
    loop {
        let told = watch.next_within(Duration::from_secs(300));
        if matches!(told, Ok(None)) {
            return all;
        }
        if naps && all.len() % 8 == 0 {
            thread::sleep(Duration::from_millis(1)); // falls behind
        }
        all.push(told);
    }
}

/// The state at a revision, by the list of all changes.
fn state(log: &[Event], revision: Revision, prefix: &str) -> BTreeMap<String, Revision> {
    let mut state = BTreeMap::new();
    for event in log.iter().filter(|event| event.revision <= revision && event.key.starts_with(prefix)) {
        match event.value {
            Some(_) => state.insert(event.key.clone(), event.revision),
            None => state.remove(&event.key),
        };
    }
    state
}

/// Snapshots as they are taken, and that no key goes back meanwhile.
fn look(config: &Config, seed: u64, is_over: &AtomicBool) -> Vec<(Revision, &'static str, BTreeMap<String, Revision>)> {
    let (mut rng, mut taken, mut seen) = (Rng::new(seed), Vec::new(), BTreeMap::<String, Revision>::new());
    while !is_over.load(Ordering::Relaxed) {
        let at_least = config.revision();
        let key = key(&mut rng);
        if let Some(last) = config.history(&key).last() {
            let before = seen.insert(key.clone(), last.revision()).unwrap_or(0);
            assert!(last.revision() >= before, "{key} went back from {before} to {}", last.revision());
        }
        if rng.below(16) == 0 && taken.len() < 200 {
            let prefix = ["", "a", "a/", "b/"][rng.below(4) as usize];
            let snapshot = config.snapshot(prefix);
            assert!(snapshot.revision() >= at_least);
            let all = snapshot.iter().map(|version| (version.key().to_owned(), version.revision())).collect();
            taken.push((snapshot.revision(), prefix, all));
        }
    }
    taken
}

struct Seen {
    log: Vec<Event>,
    told: Vec<(Of, Revision, Vec<Told>)>,
    taken: Vec<(Revision, &'static str, BTreeMap<String, Revision>)>,
    revision: Revision,
    histories: BTreeMap<String, Vec<Revision>>,
}

/// Four write, two read, eleven watch.
fn crowd(config: Config, round: u64) -> Seen {
    let is_over = Arc::new(AtomicBool::new(false));
    let prefixes = ["", "", "a", "a/", "b/1"].map(|prefix| Of::Prefix(prefix.into()));
    let keys = ["a/1", "a/1", "b/3", "ab/0", "ab/11", "none"].map(|key| Of::Key(key.into()));
    let listeners = prefixes.into_iter().chain(keys).enumerate().map(|(n, of)| {
        let watch = of.watch(&config);
        (of, watch.since(), thread::spawn(move || listen(watch, n % 2 == 0)))
    });
    let listeners: Vec<_> = listeners.collect();
    let lookers = [1, 2].map(|n| {
        let (config, is_over) = (config.clone(), is_over.clone());
        thread::spawn(move || look(&config, round * 100 + n, &is_over))
    });
    let writers = [3, 4, 5, 6].map(|n| {
        let config = config.clone();
        thread::spawn(move || write(&config, round * 100 + n, 1_000))
    });
    let mut log: Vec<Event> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    log.sort_by(|a, b| (a.revision, &a.key).cmp(&(b.revision, &b.key)));
    is_over.store(true, Ordering::Relaxed);
    let taken = lookers.into_iter().flat_map(|looker| looker.join().unwrap()).collect();
    let revision = config.revision();
    let history = |key: &String| config.history(key).iter().map(|version| version.revision()).collect();
    let histories = state(&log, revision, "").into_keys().map(|key| (key.clone(), history(&key))).collect();
    drop(config);
    let told = listeners.into_iter().map(|(of, since, thread)| (of, since, thread.join().unwrap())).collect();
    Seen { log, told, taken, revision, histories }
}

#[test]
fn watchers_and_snapshots_agree_with_the_list_of_all_changes() {
    for round in 0..rounds(3) {
        let mut limits = Limits::default();
        (limits.waiting, limits.deleted_keys) = ([4, 64, 1_000_000][round as usize % 3], 5);
        let Seen { log, told, taken, revision, histories } = crowd(Config::with_limits(limits), round);
        // Each revision was given once, and none was left out.
        let revisions: BTreeSet<Revision> = log.iter().map(|event| event.revision).collect();
        assert!(revisions.iter().copied().eq(1..=revision));
        let keys: BTreeSet<(Revision, &str)> = log.iter().map(|event| (event.revision, &*event.key)).collect();
        assert_eq!(keys.len(), log.len());
        for (of, since, told) in told {
            let mut audience = Audience::new(limits.waiting);
            let is_its = |event: &&Event| event.revision > since && of.has(&event.key);
            audience.untold.extend(log.iter().filter(is_its).cloned());
            for told in &told {
                match told {
                    Err(lagged) => audience.lagged(*lagged, false),
                    _ => assert!(audience.told(told)),
                }
                assert!(limits.waiting < 1_000_000 || told.is_ok());
            }
            assert!(audience.untold.is_empty(), "{of:?}: {:?}", audience.untold);
        }
        assert!(taken.len() > 10);
        for (revision, prefix, all) in taken {
            assert_eq!(all, state(&log, revision, prefix), "at {revision} under `{prefix}`");
        }
        for (key, history) in histories {
            let of_key: Vec<Revision> =
                log.iter().filter(|event| event.key == key).map(|event| event.revision).collect();
            assert!(of_key.ends_with(&history) && !history.is_empty(), "{key}: {history:?} of {of_key:?}");
        }
    }
}

#[test]
fn of_eight_who_count_none_is_lost() {
    const COUNTS: u64 = 500;
    let config = Config::new();
    let mut watch = config.watch("n").unwrap();
    let threads = (0..8).map(|_| {
        let config = config.clone();
        thread::spawn(move || {
            for _ in 0..COUNTS {
                loop {
                    let now = config.get::<u64>("n").unwrap();
                    let expect = now.as_ref().map_or(Expect::Absent, |now| Expect::At(now.revision()));
                    let next = now.map_or(0, |now| *now) + 1;
                    match config.compare_and_set("n", expect, &next) {
                        Ok(_) => break,
                        Err(ConfigError::Conflict { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    // Whoever watches and falls behind finds back, and sees nothing twice.
    let mut last = 0;
    while last < 8 * COUNTS {
        let now = match watch.next_within(Duration::from_secs(300)) {
            Ok(version) => *version.unwrap().get::<u64>().unwrap().unwrap(),
            Err(Lagged { .. }) => *watch.resync().get::<u64>("n").unwrap().unwrap(),
        };
        assert!(now > last);
        last = now;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(
        (last, *config.get::<u64>("n").unwrap().unwrap(), config.revision()),
        (8 * COUNTS, 8 * COUNTS, 8 * COUNTS)
    );
}

/// Two keys that are always set together are never seen apart.
#[test]
fn what_is_set_together_is_seen_together() {
    let config = Config::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let (mut watch, reader) = (config.watch_prefix("pair/"), config.clone());
    let looking = is_over.clone();
    let look = thread::spawn(move || {
        while !looking.load(Ordering::Relaxed) {
            let snapshot = reader.snapshot("pair/");
            let [a, b] = ["pair/a", "pair/b"].map(|key| snapshot.get::<u64>(key).unwrap().map(|n| *n));
            assert_eq!(a, b);
        }
    });
    for n in 0..rounds(2_000) {
        config.commit(Batch::new().set("pair/a", &n).unwrap().set("pair/b", &n).unwrap()).unwrap();
        if n % 3 == 0 {
            config.commit(Batch::new().delete("pair/a").delete("pair/b")).unwrap();
        }
        let told: Vec<(Revision, String)> =
            watch.pending().unwrap().iter().map(|v| (v.revision(), v.key().into())).collect();
        assert!(told.chunks(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].1 == "pair/a" && pair[1].1 == "pair/b"));
    }
    is_over.store(true, Ordering::Relaxed);
    look.join().unwrap();
}

/// Watchers come and go under writers, as clients of configmesh must not: there a watcher that goes makes a writer panic.
#[test]
fn watchers_come_and_go_under_writers() {
    let config = Config::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let writers = [1, 2].map(|seed| {
        let (config, is_over) = (config.clone(), is_over.clone());
        thread::spawn(move || {
            let mut rng = Rng::new(seed);
            while !is_over.load(Ordering::Relaxed) {
                config.set(&key(&mut rng), &1).unwrap();
            }
        })
    });
    let watchers = [3, 4, 5, 6].map(|seed| {
        let config = config.clone();
        thread::spawn(move || {
            let (mut rng, mut kept) = (Rng::new(seed), Vec::new());
            for _ in 0..rounds(5_000) {
                let mut watch =
                    if rng.below(2) == 0 { config.watch(&key(&mut rng)).unwrap() } else { config.watch_prefix("a") };
                let since = watch.since();
                match watch.try_next() {
                    Ok(told) => assert!(told.is_none_or(|version| version.revision() > since)),
                    // A thread may be stopped here while a thousand changes are made.
                    Err(Lagged { resume }) => assert!(resume > since + 1),
                }
                kept.push(watch);
                if kept.len() > 20 {
                    kept.swap_remove(rng.below(20) as usize);
                }
            }
        })
    });
    watchers.into_iter().for_each(|watcher| watcher.join().unwrap());
    is_over.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}
