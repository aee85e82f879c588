//! Time and threads of a node, so that a simulator drives the same code.

use crate::error::{MeshError, Result};
use std::future::Future;
use std::time::Duration;

/// How a node passes time, and where it waits for its disk.
pub trait Pace: Clone + Send + Sync + 'static {
    /// Waits for so long. False when the node ends.
    fn pause(&self, time: Duration) -> impl Future<Output = bool> + Send;

    /// Since any beginning; it only goes on.
    fn now(&self) -> Duration;

    /// Waits for the disk where that holds nobody up.
    fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send;
}

/// tokio's time and threads.
#[derive(Clone)]
pub(crate) struct Threads {
    pub(crate) ends: tokio::sync::watch::Receiver<bool>,
    pub(crate) begun: std::time::Instant,
}

impl Pace for Threads {
    async fn pause(&self, time: Duration) -> bool {
        let mut ends = self.ends.clone();
        let waited = tokio::time::timeout(time, ends.wait_for(|ends| *ends)).await;
        waited.is_err()
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn aside<T: Send + 'static>(&self, act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let done = tokio::task::spawn_blocking(act).await;
        done.map_err(|_| MeshError::Stopped { reason: "what waited for the disk has panicked".into() })?
    }
}
