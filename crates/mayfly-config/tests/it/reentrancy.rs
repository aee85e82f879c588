//! Users' code that runs within a call may call again, and may panic.

use mayfly_config::{Config, Limits, Watch};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

thread_local! {
    /// The store that the values below call, and whether they panic.
    static STORE: RefCell<Option<Config>> = const { RefCell::new(None) };
    static PANICS: Cell<bool> = const { Cell::new(false) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Reads and writes the key that is being changed, or panics.
fn intrude() {
    let Some(config) = STORE.with_borrow_mut(Option::take) else { return }; // once: what it does must not lead here again
    CALLS.set(CALLS.get() + 1);
    assert!(!PANICS.get(), "as asked");
    config.get::<u8>("other").unwrap();
    config.set("other", &1).unwrap();
    config.set("a", &0).unwrap();
    config.snapshot("");
    drop(config.watch_prefix("").resync());
    config.history("a");
    config.delete("other").unwrap();
}

fn arm(config: &Config, panics: bool) {
    STORE.set(Some(config.clone()));
    PANICS.set(panics);
    CALLS.set(0);
}

fn armed(config: &Config, panics: bool, call: impl FnOnce()) -> bool {
    arm(config, panics);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    STORE.set(None);
    assert_eq!((CALLS.get(), outcome.is_err()), (1, panics));
    outcome.is_ok()
}

fn forgetful() -> Config {
    let mut limits = Limits::default();
    (limits.history, limits.waiting, limits.deleted_keys) = (1, 1, 0);
    Config::with_limits(limits)
}

struct Busy;

impl Serialize for Busy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        intrude();
        to.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for Busy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        intrude();
        u8::deserialize(from).map(|_| Self)
    }
}

/// Busy when it is dropped.
#[derive(Deserialize)]
struct Sticky(#[allow(dead_code, reason = "only that it is there counts")] u8);

impl Drop for Sticky {
    fn drop(&mut self) {
        intrude();
    }
}

#[test]
fn values_that_call_the_store_while_they_are_written_or_read() {
    for panics in [false, true] {
        let config = forgetful();
        let is_done = armed(&config, panics, || {
            config.set("a", &Busy).unwrap();
        });
        assert_eq!(config.version("a").is_some(), is_done);
        config.set("a", &2).unwrap();
        armed(&config, panics, || drop(config.get::<Busy>("a").unwrap()));
        assert!(config.get::<u8>("a").unwrap().is_some());
    }
}

#[test]
fn values_that_call_the_store_while_they_are_let_go() {
    let changes: [(&str, fn(&Config)); 3] = [
        ("replaced", |config| {
            config.set("a", &5).unwrap();
        }),
        ("deleted and forgotten", |config| {
            config.delete("a").unwrap();
        }),
        ("replaced, with a watcher", |config| {
            config.set("a", &5).unwrap();
        }),
    ];
    for (name, change) in changes {
        for panics in [false, true] {
            let config = forgetful();
            let mut told = config.watch("a").unwrap();
            let watch = name.contains("watcher").then(|| config.watch_prefix(""));
            config.set("a", &4).unwrap();
            drop(config.get::<Sticky>("a").unwrap());
            drop(told.try_next());
            let before = config.revision();
            armed(&config, panics, || change(&config));
            assert!(config.revision() > before, "{name}");
            // What was changed is changed, and who watches was told before the value was let go.
            assert!(told.try_next().map_or(true, |version| version.is_some()), "{name}");
            assert!(config.set("a", &6).is_ok() && config.get::<u8>("a").unwrap().is_some());
            drop(watch);
        }
    }
}

#[test]
fn values_that_call_the_store_while_a_watcher_lets_them_go() {
    let ways: [fn(Watch); 4] =
        [drop, |mut watch| drop(watch.resync()), |mut watch| drop(watch.try_next()), |mut watch| drop(watch.pending())];
    for way in ways {
        let mut limits = Limits::default();
        limits.history = 1;
        let config = Config::with_limits(limits);
        let watch = config.watch("a").unwrap();
        config.set("a", &4).unwrap();
        drop(config.get::<Sticky>("a").unwrap());
        // History has forgotten it now: it waits for the watcher alone.
        config.set("a", &5).unwrap();
        armed(&config, false, || way(watch));
        assert!(config.set("a", &1).is_ok());
    }
}

/// The last count on a value is the one that is let go, whichever list it is in.
#[test]
fn values_that_call_the_store_while_lists_let_them_go() {
    let mut limits = Limits::default();
    (limits.history, limits.waiting) = (1, 2);
    let config = Config::with_limits(limits);
    let mut watch = config.watch_prefix("");
    config.set("a", &4).unwrap();
    drop(config.get::<Sticky>("a").unwrap());
    config.set("a", &5).unwrap();
    // It waits for the watcher alone, and the next change pushes it out.
    armed(&config, false, || {
        config.set("b", &1).unwrap();
    });
    assert!(watch.try_next().is_err());

    (limits.history, limits.deleted_keys) = (3, 0);
    let config = Config::with_limits(limits);
    config.set("a", &3).unwrap();
    config.set("a", &4).unwrap();
    drop(config.get::<Sticky>("a").unwrap());
    // It is in the history of a key that is forgotten, and not the first there.
    armed(&config, false, || {
        config.delete("a").unwrap();
    });
    config.set("a", &1).unwrap();

    let config = forgetful();
    config.set("a", &4).unwrap();
    drop(config.get::<Sticky>("a").unwrap());
    drop(config.snapshot(""));
    config.set("a", &5).unwrap();
    // It is in the order of keys alone, which the next snapshot brings up to date.
    armed(&config, false, || drop(config.snapshot("")));
    config.set("a", &1).unwrap();
}

struct Called(AtomicBool);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_value_that_panics_keeps_nobody_waiting() {
    let config = forgetful();
    config.set("a", &4).unwrap();
    drop(config.get::<Sticky>("a").unwrap());
    let called = Arc::new(Called(AtomicBool::new(false)));
    let mut watch = config.watch("a").unwrap();
    {
        let mut next = std::pin::pin!(watch.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&Waker::from(called.clone()))).is_pending());
    }
    armed(&config, true, || {
        config.set("a", &5).unwrap();
    });
    assert!(called.0.load(Ordering::Relaxed));
}

struct Setter(Config);

impl Wake for Setter {
    fn wake(self: Arc<Self>) {
        self.0.set("woken", &1).unwrap();
    }
}

#[test]
fn a_waker_that_calls_the_store() {
    let config = Config::new();
    let mut watch = config.watch("a").unwrap();
    let waker = Waker::from(Arc::new(Setter(config.clone())));
    for n in 1..=3 {
        {
            let mut next = std::pin::pin!(watch.next());
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        config.set("a", &n).unwrap();
        assert_eq!(config.get::<u8>("woken").unwrap().unwrap().revision(), config.revision());
        assert!(watch.try_next().unwrap().is_some());
    }
}

#[test]
fn who_sets_while_it_reads_a_watcher() {
    let config = Config::new();
    let mut watch = config.watch_prefix("");
    config.set("n", &0).unwrap();
    let mut seen = Vec::new();
    while let Some(version) = watch.try_next().unwrap() {
        let n = *version.get::<u64>().unwrap().unwrap();
        seen.push(n);
        if n < 10 {
            config.set("n", &(n + 1)).unwrap();
        }
    }
    assert_eq!(seen, (0..=10).collect::<Vec<_>>());
}
