//! Brings settings up to what a store has.

use super::error::MeshConfigResult;
use super::news::{self, News};
use crate::store::Store;
use mayfly_config::{Feed, Revision};
use std::sync::Arc;

pub(super) struct Tail {
    prefix: Arc<str>,
    feed: Feed,
}

impl Tail {
    /// Takes the whole state.
    pub(super) fn start(store: &Store, prefix: Arc<str>, feed: Feed) -> MeshConfigResult<Self> {
        let mut tail = Self { feed, prefix };
        tail.take(news::read_state(store, &tail.prefix)?)?;
        Ok(tail)
    }

    pub(super) fn revision(&self) -> Revision {
        self.feed.revision()
    }

    /// Takes what is new. Was that all there is?
    pub(super) fn catch_up(&mut self, store: &Store) -> MeshConfigResult<bool> {
        let news = news::read(store, &self.prefix, self.feed.revision())?;
        self.take(news)
    }

    fn take(&mut self, news: News) -> MeshConfigResult<bool> {
        match news {
            News::State { entries, at } => {
                self.feed.load(at, entries)?;
                Ok(true)
            }
            News::Changes { by_revision, upto, is_all } => {
                for (revision, changes) in by_revision {
                    self.feed.apply(revision, changes.into_values().collect())?;
                }
                if upto > self.feed.revision() {
                    self.feed.apply(upto, Vec::new())?;
                }
                Ok(is_all)
            }
        }
    }
}
