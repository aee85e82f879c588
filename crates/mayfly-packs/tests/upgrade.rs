//! Upgrade, crash and rollback: a store against a model, with a crash before every step, and a live host.

mod common;

use common::*;
use mayfly_packs::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

const NAME: &str = "test-pack";
const OPTIONS: StoreOptions = StoreOptions { grace_s: 300, watch_s: 60 };

fn engine() -> Arc<dyn Engine> {
    static ENGINE: OnceLock<Arc<dyn Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| new_engine(EngineKind::Wasmtime, &small_options()).unwrap()).clone()
}

/// A pack whose kernel adds `counter` to every element, with a golden vector that says so (or lies).
fn pack(counter: u64, honest: bool, body: &str) -> PackFiles {
    let wat = good_wat("")
        .replace("f32.const 1)", &format!("f32.const {counter})"))
        .replace("(i32.const 0)))", &format!("{body} (i32.const 0)))"));
    let wasm = wat::parse_str(wat).unwrap();
    let sum = if honest { counter as f32 + 1.0 } else { -1.0 };
    let named = |name: &str, values: &[f32]| GoldenTensor {
        name: name.into(),
        tensor: Tensor::from_f32(&[values.len()], values),
        max_ulp: None,
    };
    let case = GoldenCase {
        kernel: "k".into(),
        params: vec![],
        inputs: vec![named("x", &[1.0])],
        outputs: vec![named("y", &[sum])],
        max_ulp: 0,
    };
    let golden = Golden { cases: vec![case] }.to_json();
    let mut text = manifest(&wasm, &key(1));
    text["counter"] = json!(counter);
    text["version"] = json!(format!("1.0.{counter}"));
    text["golden"] = json!({"path": "golden.json", "hash": format!("sha256:{}", sha256_hex(golden.as_bytes()))});
    PackFiles::Memory(signed(&text, &[("k.wasm", &wasm), ("golden.json", golden.as_bytes())], &key(1)))
}

fn cached_pack(counter: u64, honest: bool) -> PackFiles {
    static PACKS: OnceLock<std::sync::Mutex<BTreeMap<(u64, bool), PackFiles>>> = OnceLock::new();
    let mut packs = PACKS.get_or_init(Default::default).lock().unwrap();
    packs.entry((counter, honest)).or_insert_with(|| pack(counter, honest, "")).clone()
}

fn open(folder: &Path) -> Store {
    let mut store = Store::open(folder, OPTIONS).unwrap();
    if store.trust().unwrap().keys.is_empty() {
        store.set_trust(&trust()).unwrap();
    }
    store
}

fn added(pack: &Pack) -> f32 {
    call(pack).unwrap()[0] - 1.0
}

/// Stops before a step, as a crash would.
struct CrashBefore(usize);

impl Steps for CrashBefore {
    fn before(&mut self, _step: &'static str) -> Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| PackError::Other { what: "crash".into() })?;
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Op {
    Upgrade { counter: u64, honest: bool },
    Rollback,
    Settle,
    Later(u64),
    Reopen,
    LoseState,
}

fn op() -> impl Strategy<Value = (Op, Option<usize>)> {
    let one = prop_oneof![
        4 => (1u64..9, prop::bool::weighted(0.8)).prop_map(|(counter, honest)| Op::Upgrade { counter, honest }),
        2 => Just(Op::Rollback),
        2 => Just(Op::Settle),
        1 => (1u64..400).prop_map(Op::Later),
        1 => Just(Op::Reopen),
        1 => Just(Op::LoseState),
    ];
    (one, prop::option::weighted(0.4, 0usize..14))
}

/// The model: counters where the store has generations.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    active: Option<(u64, bool)>,
    previous: Option<(u64, u64)>,
    highest: u64,
    /// The highest counter that a rollback has left.
    left: u64,
}

impl Model {
    fn apply(&mut self, op: &Op, now: u64) {
        match op {
            Op::Upgrade { counter, honest } if *honest && *counter >= self.highest && *counter > self.left => {
                if let Some((old, settled)) = self.active {
                    match &mut self.previous {
                        Some((_, until)) if !settled => *until = (*until).max(now + 300),
                        previous => *previous = Some((old, now + 300)),
                    }
                }
                self.active = Some((*counter, self.previous.is_none()));
                self.highest = *counter;
            }
            Op::Rollback => {
                if let Some((target, _)) = self.previous.take() {
                    self.left = self.left.max(self.active.map_or(0, |(counter, _)| counter));
                    self.active = Some((target, true));
                }
            }
            Op::Settle => self.active = self.active.map(|(counter, _)| (counter, true)),
            Op::Later(_) if self.active.is_some_and(|(_, settled)| settled) => {
                self.previous = self.previous.filter(|(_, until)| now <= *until);
            }
            _ => {}
        }
    }

    fn of(store: &Store) -> Self {
        let state = store.state();
        Self {
            active: state.active(NAME).map(|a| (a.counter, a.watched_until.is_none())),
            previous: state.previous(NAME).map(|p| (p.counter, p.kept_until)),
            highest: state.highest_counter(NAME).unwrap_or(0),
            left: state.rolled_back(NAME).map_or(0, |left| left.counter),
        }
    }
}

fn run(store: &mut Store, op: &Op, now: u64, steps: &mut dyn Steps) -> Result<()> {
    match op {
        Op::Upgrade { counter, honest } => {
            store.activate(&cached_pack(*counter, *honest), &Policy::at(now), &*engine(), steps).map(drop)
        }
        Op::Rollback => store.rollback(NAME, steps).map(drop),
        Op::Settle => store.settle(NAME, steps),
        Op::Later(_) => store.expire(now, steps),
        Op::Reopen | Op::LoseState => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("MAYFLY_HEAVY").is_some() { 1000 } else { 12 }, ..ProptestConfig::default() })]

    #[test]
    fn a_store_survives_a_crash_before_every_step(ops in prop::collection::vec(op(), 1..10)) {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, mut model, mut now) = (open(folder.path()), Model::default(), NOW);
        for (op, crash) in &ops {
            if let Op::Later(seconds) = op {
                now += seconds;
            }
            let mut after = model.clone();
            after.apply(op, now);
            match crash {
                None => drop(run(&mut store, op, now, &mut ())),
                Some(step) => {
                    let _ = run(&mut store, op, now, &mut CrashBefore(*step));
                    drop(store);
                    // What a kill in the middle of writing leaves besides, and what somebody else has put there.
                    let packs = folder.path().join("packs").join(NAME);
                    std::fs::write(folder.path().join(".trust.json.Xy12ab.tmp"), b"half").unwrap();
                    std::fs::create_dir_all(packs.join(".mayfly-ab34.tmp/rope")).unwrap();
                    std::fs::create_dir_all(packs.join("999/rope")).unwrap();
                    store = open(folder.path());
                    prop_assert!(!folder.path().join(".trust.json.Xy12ab.tmp").exists(), "rubbish is removed");
                    prop_assert!(!packs.join(".mayfly-ab34.tmp").exists(), "rubbish is removed");
                    prop_assert!(packs.join("999/rope").exists(), "what is not the store's is not");
                    std::fs::remove_dir_all(packs.join("999")).unwrap();
                }
            }
            if matches!(op, Op::Reopen) {
                drop(store);
                store = open(folder.path());
            }
            if matches!(op, Op::LoseState) {
                drop(store);
                let _ = std::fs::remove_file(folder.path().join("state.json")); // there is none before the first pack
                store = open(folder.path());
                let found = Model::of(&store);
                let pack = |model: &Model| (model.active.map(|a| a.0), model.previous.map(|p| p.0), model.highest, model.left);
                prop_assert_eq!(pack(&found), pack(&model), "what was installed, and what must stay out");
                // The rest counts as just installed: nobody knows the times any more.
                model = found;
                continue;
            }
            let found = Model::of(&store);
            prop_assert!(found == after || (crash.is_some() && found == model), "{:?}: {:?} became {:?}, not {:?}", op, model, found, after);
            model = found;
            let slots = [model.active.map(|a| a.0), model.previous.map(|p| p.0)];
            let state = store.state();
            let generations = [state.active(NAME).map(|a| a.generation), state.previous(NAME).map(|p| p.generation)];
            for (counter, generation) in slots.into_iter().zip(generations).filter_map(|(c, g)| c.zip(g)) {
                let pack = store.load(NAME, generation, &Policy::at(now), &*engine()).unwrap();
                prop_assert_eq!(added(&pack), counter as f32, "what the state names is whole and the right one");
            }
        }
    }
}

fn host(folder: &Path, counter: u64) -> Host {
    let mut store = open(folder);
    store.activate(&cached_pack(counter, true), &Policy::at(NOW), &*engine(), &mut ()).unwrap();
    Host::open(store, NAME, engine(), HealthPolicy::default(), &Policy::at(NOW)).unwrap()
}

#[test]
fn a_call_in_flight_ends_on_the_old_pack() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), 1);
    let old = host.pack();
    host.upgrade(&cached_pack(2, true), &Policy::at(NOW)).unwrap();
    assert_eq!((added(&old), added(&host.pack())), (1.0, 2.0));
    host.rollback(&Policy::at(NOW)).unwrap();
    assert_eq!(added(&host.pack()), 1.0);
    assert!(matches!(host.rollback(&Policy::at(NOW)), Err(PackError::NoPreviousPack { .. })));
}

#[test]
fn a_canary_keeps_a_bad_pack_out() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), 1);
    let error = host.upgrade(&cached_pack(2, false), &Policy::at(NOW)).unwrap_err();
    assert!(matches!(error, PackError::CanaryFailed { .. }), "{error:?}");
    assert_eq!((added(&host.pack()), host.generation()), (1.0, 1));
    assert!(matches!(host.upgrade(&cached_pack(0, true), &Policy::at(NOW)), Err(PackError::Downgrade { .. })));
}

#[test]
fn a_pack_that_fails_under_watch_is_rolled_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), 1);
    // Passes its golden vector of one element, fails on more.
    let bad = pack(2, true, "(if (i32.gt_u (local.get $n) (i32.const 4)) (then (unreachable)))");
    host.upgrade(&bad, &Policy::at(NOW)).unwrap();
    for _ in 0..9 {
        call(&host.pack()).unwrap_err();
    }
    // The canary's call is one of ten.
    assert_eq!(host.watch(&Policy::at(NOW + 1)).unwrap(), WatchEvent::RolledBack { calls: 10, failures: 9 });
    assert_eq!(added(&host.pack()), 1.0);
    assert_eq!(host.watch(&Policy::at(NOW + 2)).unwrap(), WatchEvent::Unchanged);
}

#[test]
fn two_upgrades_within_the_watch_keep_the_good_target() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), 1);
    host.upgrade(&cached_pack(2, true), &Policy::at(NOW)).unwrap();
    host.upgrade(&cached_pack(3, true), &Policy::at(NOW + 10)).unwrap();
    assert_eq!(added(&host.pack()), 3.0);
    assert_eq!(host.watch(&Policy::at(NOW + 69)).unwrap(), WatchEvent::Unchanged);
    host.rollback(&Policy::at(NOW + 69)).unwrap();
    assert_eq!(added(&host.pack()), 1.0, "not 2, which nobody knows to be good");
}

#[test]
fn after_watch_and_grace_the_old_pack_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), 1);
    host.upgrade(&cached_pack(2, true), &Policy::at(NOW)).unwrap();
    assert_eq!(host.watch(&Policy::at(NOW + 60)).unwrap(), WatchEvent::Settled);
    assert_eq!(host.watch(&Policy::at(NOW + 301)).unwrap(), WatchEvent::Unchanged);
    assert!(matches!(host.rollback(&Policy::at(NOW + 301)), Err(PackError::NoPreviousPack { .. })));
    let generations = std::fs::read_dir(folder.path().join("packs").join(NAME)).unwrap().count();
    assert_eq!(generations, 1);
}

#[test]
fn a_store_belongs_to_one_process_and_believes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    assert!(matches!(Store::open(folder.path(), OPTIONS), Err(PackError::StoreBusy { .. })));
    store.activate(&cached_pack(1, true), &Policy::at(NOW), &*engine(), &mut ()).unwrap();
    let module = folder.path().join("packs").join(NAME).join("1/k.wasm");
    std::fs::write(&module, b"changed").unwrap();
    let error = store.load(NAME, 1, &Policy::at(NOW), &*engine()).err().unwrap();
    assert!(matches!(error, PackError::HashMismatch { .. }), "{error:?}");
}
