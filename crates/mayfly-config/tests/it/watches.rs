//! Watchers.

use mayfly_config::{Batch, Config, Lagged, Limits, Watch};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// Longer than any test waits that does not hang.
const LONG: Duration = Duration::from_secs(300);

fn small(waiting: usize) -> Config {
    let mut limits = Limits::default();
    limits.waiting = waiting;
    Config::with_limits(limits)
}

fn revisions(watch: &mut Watch) -> Vec<u64> {
    watch.pending().unwrap().iter().map(|version| version.revision()).collect()
}

#[test]
fn a_watcher_is_told_what_comes_after_it_and_of_its_own_keys_alone() {
    let config = Config::new();
    config.set("a/b", &1).unwrap();
    let (mut key, mut prefix, mut all) =
        (config.watch("a/b").unwrap(), config.watch_prefix("a/"), config.watch_prefix(""));
    assert_eq!((key.since(), config.watch_prefix("").since()), (1, 1));
    config.set("a/b", &2).unwrap();
    config.set("a/bc", &3).unwrap();
    config.set("a", &4).unwrap();
    config.delete("a/b").unwrap();
    config.delete("a/b").unwrap();
    assert_eq!(
        (revisions(&mut key), revisions(&mut prefix), revisions(&mut all)),
        (vec![2, 5], vec![2, 3, 5], vec![2, 3, 4, 5])
    );
    assert!(key.try_next().unwrap().is_none());
}

#[test]
fn a_slow_watcher_is_told_from_where_on_it_has_all() {
    let config = small(3);
    let mut watch = config.watch_prefix("");
    for n in 1..=5 {
        config.set("a", &n).unwrap();
    }
    assert_eq!(watch.try_next().unwrap_err(), Lagged { resume: 3 });
    assert_eq!(revisions(&mut watch), [3, 4, 5]);
    for n in 6..=9 {
        config.set("a", &n).unwrap();
    }
    let mut all = Vec::new();
    assert_eq!(watch.pending().unwrap_err(), Lagged { resume: 7 });
    while let Some(version) = watch.try_next().unwrap() {
        all.push(*version.get::<u64>().unwrap().unwrap());
    }
    assert_eq!(all, [7, 8, 9]);
    // Told once: what comes next is complete.
    config.set("a", &10).unwrap();
    assert_eq!(revisions(&mut watch), [10]);
}

#[test]
fn a_revision_is_told_as_a_whole_or_the_watcher_lags() {
    let config = small(3);
    let mut watch = config.watch_prefix("");
    let batch = |keys: &[&str]| {
        let mut batch = Batch::new();
        for key in keys {
            batch.set(key, &0).unwrap();
        }
        config.commit(&batch).unwrap();
    };
    batch(&["a", "b"]);
    batch(&["c", "d"]);
    assert_eq!(watch.try_next().unwrap_err(), Lagged { resume: 2 });
    assert_eq!(revisions(&mut watch), [2, 2]);
    // More than fits: none of it, and it is said.
    batch(&["a", "b", "c", "d"]);
    assert_eq!(watch.try_next().unwrap_err(), Lagged { resume: 4 });
    assert!(watch.try_next().unwrap().is_none());
    config.set("a", &1).unwrap();
    assert_eq!(revisions(&mut watch), [4]);
    // Its beginning was told already: what is missed then is said, and the next is a beginning again.
    batch(&["a", "b", "c"]);
    assert_eq!(watch.try_next().unwrap().unwrap().revision(), 5);
    batch(&["a", "b"]);
    assert_eq!(watch.try_next().unwrap_err(), Lagged { resume: 6 });
    assert_eq!(revisions(&mut watch), [6, 6]);
}

#[test]
fn resync_gives_the_state_and_goes_on_from_there() {
    let config = small(2);
    let mut watch = config.watch_prefix("a");
    let mut key = config.watch("ab").unwrap();
    for n in 1..=5 {
        config.set(&format!("a{n}"), &n).unwrap();
    }
    config.set("b", &0).unwrap();
    config.set("ab", &0).unwrap();
    let snapshot = watch.resync();
    assert_eq!((snapshot.revision(), watch.since(), snapshot.iter().count()), (7, 7, 6));
    assert!(watch.try_next().unwrap().is_none());
    config.set("a1", &9).unwrap();
    assert_eq!(revisions(&mut watch), [8]);
    assert_eq!(*snapshot.get::<u8>("a1").unwrap().unwrap(), 1);
    assert!(snapshot.version("b").is_none());
    // A watcher of a key gets that key alone.
    let snapshot = key.resync();
    assert_eq!(snapshot.iter().map(|version| version.key()).collect::<Vec<_>>(), ["ab"]);
    assert!(snapshot.version("a1").is_none() && snapshot.version("ab").is_some());
}

#[test]
fn a_thread_waits_until_there_is_something_or_nothing_can_come() {
    let config = Config::new();
    let (mut first, mut second) = (config.watch("a").unwrap(), config.watch_prefix(""));
    let told = std::thread::spawn(move || {
        let change = first.next_within(LONG).unwrap().unwrap();
        (*change.get::<u8>().unwrap().unwrap(), first.next_within(Duration::MAX).unwrap().is_none())
    });
    assert!(second.next_within(Duration::from_millis(1)).unwrap().is_none());
    config.set("a", &7).unwrap();
    assert_eq!(second.next_within(LONG).unwrap().unwrap().revision(), 1);
    let other = config.clone();
    drop(config);
    other.set("b", &7).unwrap();
    assert_eq!(second.next_within(LONG).unwrap().unwrap().revision(), 2);
    drop(other);
    assert_eq!(told.join().unwrap(), (7, true));
    assert!(second.next_within(LONG).unwrap().is_none());
    assert_eq!(second.resync().revision(), 2);
}

#[test]
fn what_waits_is_told_also_when_nothing_more_can_come() {
    let config = small(2);
    let mut watch = config.watch_prefix("");
    for n in 1..=3 {
        config.set("a", &n).unwrap();
    }
    drop(config);
    assert!(!watch.is_over());
    assert_eq!(watch.next_within(LONG).unwrap_err(), Lagged { resume: 2 });
    assert!(!watch.is_over());
    assert_eq!(revisions(&mut watch), [2, 3]);
    assert!(watch.is_over());
}

/// The loop of docs/howto/config.md.
#[test]
fn a_loop_that_asks_whether_it_is_over_ends() {
    let (config, mut told) = (Config::new(), Vec::new());
    let mut watch = config.watch_prefix("");
    let apply = std::thread::spawn(move || {
        while !watch.is_over() {
            match watch.next_within(Duration::from_millis(1)) {
                Ok(Some(change)) => told.push(change.revision()),
                Ok(None) => {}
                Err(lagged) => panic!("{lagged}"),
            }
        }
        told
    });
    for n in 1..=100 {
        config.set("a", &n).unwrap();
    }
    drop(config);
    assert_eq!(apply.join().unwrap(), (1..=100).collect::<Vec<_>>());
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_task_waits_until_there_is_something_or_nothing_can_come() {
    let config = small(2);
    let mut watch = config.watch_prefix("");
    let (said, heard) = std::sync::mpsc::channel();
    let task = std::thread::spawn(move || {
        block_on(async {
            loop {
                let told = watch.next().await.map(|version| version.map(|version| version.revision()));
                let is_end = told == Ok(None);
                said.send(told).unwrap();
                if is_end {
                    return;
                }
            }
        });
    });
    for n in 1..=100 {
        assert_eq!(config.set("a", &n), Ok(n));
        assert_eq!(heard.recv(), Ok(Ok(Some(n))));
    }
    drop(config);
    assert_eq!(heard.recv(), Ok(Ok(None)));
    task.join().unwrap();
}

#[test]
fn a_question_that_is_given_up_loses_nothing() {
    let config = Config::new();
    let mut watch = config.watch_prefix("");
    {
        let mut next = pin!(watch.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    config.set("a", &1).unwrap();
    assert_eq!(block_on(watch.next()).unwrap().unwrap().revision(), 1);
}

#[test]
fn a_watcher_that_is_gone_keeps_nothing() {
    #[derive(serde::Deserialize)]
    struct Plain(#[allow(dead_code, reason = "only that it is there counts")] u8);
    let mut limits = Limits::default();
    limits.history = 1;
    let config = Config::with_limits(limits);
    let watch = config.watch("a").unwrap();
    config.set("a", &1).unwrap();
    let value = Arc::downgrade(&config.get::<Plain>("a").unwrap().unwrap().into_value());
    config.set("a", &2).unwrap();
    assert!(value.upgrade().is_some(), "the watcher has not been told yet");
    drop(watch);
    assert!(value.upgrade().is_none());
}
