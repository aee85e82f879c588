//! The one who says what is over, and the one who asks.

use super::lessor::{Lessor, Reply};
use super::{LeaseAsk, LeaseTime};
use crate::entry::Entry;
use crate::error::{MeshError, Result};
use crate::store::Store;
use futures_util::future::join_all;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// After a sign that something may be new, so much of it is waited for.
const TOGETHER: Duration = Duration::from_millis(100);
/// Between two tries to read what cannot be read.
const FAILED: Duration = Duration::from_secs(5);

/// What leases need of an engine.
pub(crate) trait Host: Sync {
    fn lessor(&self) -> &Lessor;

    /// The term in which this member leads, if it does.
    fn leads(&self) -> Option<u64>;

    /// Does something that may wait for the disk.
    fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Store, &Lessor) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send;

    /// Brings an entry into the order if this member leads, and waits until it is applied here.
    fn say(&self, entry: Entry) -> impl Future<Output = Result<()>> + Send;

    /// What tells of commits to this member's state.
    fn commits(&self) -> watch::Receiver<()>;

    /// Until something is committed, at most so long. False when the node has ended.
    fn wait(&self, commits: &mut watch::Receiver<()>, most: Option<Duration>) -> impl Future<Output = bool> + Send;

    /// For so long. False when the node has ended.
    fn pause(&self, time: Duration) -> impl Future<Output = bool> + Send;
}

/// Ends leases whose time is over while this member leads; until the node ends.
pub(crate) async fn drive(host: impl Host) {
    let mut commits = host.commits();
    loop {
        commits.mark_unchanged();
        let wait = match host.leads() {
            Some(term) => match say(&host, term).await {
                Ok(wait) => wait,
                Err(MeshError::NoLeader { .. }) => Some(TOGETHER), // not yet, or no more
                Err(error) => {
                    tracing::warn!(%error, "leases cannot be looked at");
                    Some(FAILED)
                }
            },
            None => {
                host.lessor().follow();
                None
            }
        };
        if !(host.wait(&mut commits, wait).await && host.pause(TOGETHER).await) {
            return;
        }
    }
}

async fn say(host: &impl Host, term: u64) -> Result<Option<Duration>> {
    let (sayings, wait) = host.aside(move |store, lessor| lessor.say(store, term)).await?;
    let said = join_all(sayings.iter().map(|saying| host.say(saying.entry.clone()))).await;
    for (saying, said) in sayings.iter().zip(said) {
        match said {
            Ok(()) => host.lessor().said(saying, term),
            Err(error) => tracing::debug!(%error, "what is over will be said again"),
        }
    }
    Ok(wait)
}

/// Asks this member, which leads: since the question came, a majority has said so.
pub(crate) async fn ask(host: &impl Host, ask: LeaseAsk) -> Result<Option<LeaseTime>> {
    loop {
        let term = host.leads().ok_or_else(|| MeshError::NoLeader { reason: "this member does not lead".into() })?;
        match host.aside(move |store, lessor| lessor.answer(store, term, ask)).await? {
            Reply::Known(time) => return Ok(time),
            Reply::Ending => {
                if !host.pause(TOGETHER).await {
                    return Err(MeshError::Stopped { reason: "it was closed".into() });
                }
            }
            Reply::First(back) => {
                host.say(back.entry.clone()).await?;
                host.lessor().taken_back(&back);
            }
        }
    }
}
