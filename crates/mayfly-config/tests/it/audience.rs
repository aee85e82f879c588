//! What a watcher must be told: every change of what it watches, in order, but for revisions that it is told to have missed.

use mayfly_config::{Lagged, Revision, Told, Version, Watch};
use serde_json::Value;
use std::collections::VecDeque;

/// A change as a test knows it; none is a deletion.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub revision: Revision,
    pub key: String,
    pub value: Option<Value>,
}

impl Event {
    pub fn of(version: &Version) -> Self {
        let value = version.json().unwrap().map(|value| value.into_owned());
        Self { revision: version.revision(), key: version.key().into(), value }
    }
}

/// What is watched.
#[derive(Clone, Debug)]
pub enum Of {
    Key(String),
    Prefix(String),
}

impl Of {
    pub fn has(&self, key: &str) -> bool {
        match self {
            Self::Key(one) => one == key,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
        }
    }

    pub fn watch(&self, config: &mayfly_config::Config) -> Watch {
        match self {
            Self::Key(key) => config.watch(key).unwrap(),
            Self::Prefix(prefix) => config.watch_prefix(prefix),
        }
    }
}

/// What one watcher has still to be told.
#[derive(Debug)]
pub struct Audience {
    pub untold: VecDeque<Event>,
    waiting: usize,
}

impl Audience {
    pub fn new(waiting: usize) -> Self {
        Self { untold: VecDeque::new(), waiting }
    }

    /// Holds what it was told next against what it must be told. Says whether there was anything.
    pub fn told(&mut self, told: &Told) -> bool {
        match told {
            Ok(Some(version)) => {
                assert_eq!(Some(Event::of(version)), self.untold.pop_front());
                true
            }
            Ok(None) => {
                assert_eq!(self.untold.make_contiguous(), [], "told nothing");
                false
            }
            Err(lagged) => {
                self.lagged(*lagged, true);
                true
            }
        }
    }

    /// No more may be missed than has to be: the newest revision is there if it fits, and nothing is missed unless more waited than may.
    pub fn lagged(&mut self, Lagged { resume }: Lagged, is_all_known: bool) {
        let before = self.untold.len();
        let newest = self.untold.back().unwrap().revision;
        let of_newest = self.untold.iter().filter(|event| event.revision == newest).count();
        self.untold.retain(|event| event.revision >= resume);
        assert!(self.untold.len() < before, "nothing was missed before {resume}");
        if is_all_known {
            assert!(before > self.waiting, "{before} waited, and some were missed");
            assert!(of_newest > self.waiting || resume <= newest, "the newest was missed");
        }
    }
}
