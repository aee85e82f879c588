//! A watcher.

use crate::error::Lagged;
use crate::expect::Revision;
use crate::mailbox::{Mailbox, Taken};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::version::Version;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A watcher of a key or a prefix, until it is dropped. It is told every change after [`Self::since`] once and in order, or that it has missed some.
pub struct Watch {
    store: Arc<Store>,
    mailbox: Arc<Mailbox>,
    since: Revision,
}

/// What a watcher is told: a change, or nothing.
pub type Told = core::result::Result<Option<Arc<Version>>, Lagged>;

impl Watch {
    pub(crate) fn new(store: Arc<Store>, (mailbox, since): (Arc<Mailbox>, Revision)) -> Self {
        Self { store, mailbox, since }
    }

    /// The revision after which it was told everything, or that it has missed something.
    pub fn since(&self) -> Revision {
        self.since
    }

    /// Whether all has been told and nothing more can come, since whoever could write is gone: the last handle on the store, or its feed. Once it is so it stays
    /// so, and a loop that goes on asking gets none at once, again and again.
    pub fn is_over(&self) -> bool {
        self.mailbox.is_over()
    }

    /// The next change that is there already, if there is one.
    ///
    /// # Errors
    /// [`Lagged`] once, where changes were missed before the next one.
    pub fn try_next(&mut self) -> Told {
        told(self.mailbox.take())
    }

    /// The next change, for which it waits so long; none if none came, or at once if none can come any more ([`Self::is_over`]).
    ///
    /// # Errors
    /// [`Lagged`] once, where changes were missed before the next one.
    pub fn next_within(&mut self, limit: Duration) -> Told {
        told(self.mailbox.take_within(limit))
    }

    /// The next change, for a task of any executor; none when none can come any more ([`Self::is_over`]). May be dropped and called again.
    ///
    /// # Errors
    /// [`Lagged`] once, where changes were missed before the next one.
    pub async fn next(&mut self) -> Told {
        poll_fn(|context| match self.mailbox.take_or_wake(context.waker()) {
            Taken::Nothing => Poll::Pending,
            taken => Poll::Ready(told(taken)),
        })
        .await
    }

    /// All changes that are there already; of a batch that is being made this may be the first part.
    ///
    /// # Errors
    /// [`Lagged`] once, where changes were missed before the next one.
    pub fn pending(&mut self) -> core::result::Result<Vec<Arc<Version>>, Lagged> {
        self.mailbox.take_all()
    }

    /// What is watched as it is now; the next change comes after that. What was waiting is in it, and is not told any more.
    pub fn resync(&mut self) -> Snapshot {
        let snapshot = self.store.resync(&self.mailbox);
        self.since = snapshot.revision();
        snapshot
    }
}

fn told(taken: Taken) -> Told {
    match taken {
        Taken::Change(version) => Ok(Some(version)),
        Taken::Lagged(lagged) => Err(lagged),
        Taken::Nothing | Taken::Closed => Ok(None),
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.store.unwatch(&self.mailbox);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({:?}, since {})", self.mailbox.scope, self.since)
    }
}
