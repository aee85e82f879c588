//! What waits for one watcher, and what has to wait until a lock is released.

use crate::error::Lagged;
use crate::expect::Revision;
use crate::locks::lock;
use crate::scope::Scope;
use crate::version::Version;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// What a change leaves to be done once its locks are released: values may have a `Drop` of their own, and wakers run an executor's code.
#[derive(Default)]
pub(crate) struct Deferred {
    wake: Vec<Arc<Mailbox>>,
    /// Mostly there is one at most.
    first: Option<Arc<Version>>,
    more: Vec<Arc<Version>>,
}

impl Deferred {
    pub(crate) fn let_go(&mut self, versions: impl IntoIterator<Item = Arc<Version>>) {
        let mut versions = versions.into_iter();
        if self.first.is_none() {
            self.first = versions.next();
        }
        self.more.extend(versions);
    }

    /// Does it. The watchers first: a `Drop` that panics shall not keep anybody waiting.
    pub(crate) fn finish(self) {
        for mailbox in self.wake {
            mailbox.wake();
        }
    }
}

/// What waits for one watcher.
pub(crate) struct Mailbox {
    /// Higher than those of all that were in its list before.
    id: AtomicU64,
    pub(crate) scope: Scope,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Version>>,
    /// The newest revision that was let go.
    lost: Revision,
    /// Is the watcher still to be told of that?
    is_lagged: bool,
    is_closed: bool,
    /// Does a thread wait?
    is_awaited: bool,
    /// The task that waits.
    waker: Option<Waker>,
}

/// Some systems do not take arbitrary times.
const LONGEST_NAP: Duration = Duration::from_secs(3_600);

/// What a watcher finds.
pub(crate) enum Taken {
    Change(Arc<Version>),
    Lagged(Lagged),
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

impl Queue {
    fn take_lag(&mut self) -> Option<Lagged> {
        std::mem::take(&mut self.is_lagged).then_some(Lagged { resume: self.lost + 1 })
    }

    fn take(&mut self) -> Taken {
        if let Some(lagged) = self.take_lag() {
            return Taken::Lagged(lagged);
        }
        match self.waiting.pop_front() {
            Some(version) => Taken::Change(version),
            None if self.is_closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// Lets the oldest revision go, as a whole.
    fn lose_oldest(&mut self, deferred: &mut Deferred) {
        let Some(oldest) = self.waiting.front().map(|version| version.revision()) else { return };
        while self.waiting.front().is_some_and(|version| version.revision() == oldest) {
            deferred.let_go(self.waiting.pop_front());
        }
        (self.lost, self.is_lagged) = (oldest, true);
    }

    fn clear(&mut self, through: Revision, deferred: &mut Deferred) {
        deferred.let_go(self.waiting.drain(..));
        (self.lost, self.is_lagged) = (through, false);
    }

    fn has_waiter(&self) -> bool {
        self.is_awaited || self.waker.is_some()
    }
}

impl Mailbox {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { id: AtomicU64::new(0), scope, queue: Mutex::default(), arrived: Condvar::new() }
    }

    fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed) // written and read under the lock of its list
    }

    pub(crate) fn set_id(&self, id: u64) {
        self.id.store(id, Ordering::Relaxed);
    }

    /// Takes itself out of the list that it is in.
    pub(crate) fn leave(&self, list: &mut Vec<Arc<Self>>) {
        if let Ok(at) = list.binary_search_by_key(&self.id(), |one| one.id()) {
            list.remove(at);
        }
    }

    /// Adds a change. Where too many wait the oldest revisions are let go, so that the newest is among them.
    pub(crate) fn push(self: &Arc<Self>, version: &Arc<Version>, limit: usize, deferred: &mut Deferred) {
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= limit.max(1) {
            queue.lose_oldest(deferred);
        }
        // What is left of a revision that was let go: a revision is told as a whole, or not.
        if version.revision() > queue.lost {
            queue.waiting.push_back(version.clone());
        }
        if queue.has_waiter() {
            deferred.wake.push(self.clone());
        }
    }

    /// Everything up to this revision counts as missed.
    pub(crate) fn lag(self: &Arc<Self>, through: Revision, deferred: &mut Deferred) {
        let mut queue = lock(&self.queue);
        queue.clear(through, deferred);
        queue.is_lagged = true;
        deferred.wake.push(self.clone());
    }

    /// Everything up to this revision counts as told.
    pub(crate) fn catch_up(&self, through: Revision, deferred: &mut Deferred) {
        lock(&self.queue).clear(through, deferred);
    }

    /// Nothing more will come.
    pub(crate) fn close(self: &Arc<Self>, deferred: &mut Deferred) {
        lock(&self.queue).is_closed = true;
        deferred.wake.push(self.clone());
    }

    fn wake(&self) {
        let waker = lock(&self.queue).waker.take();
        self.arrived.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What is next.
    pub(crate) fn take(&self) -> Taken {
        lock(&self.queue).take()
    }

    /// All that waits, unless something was missed before it.
    pub(crate) fn take_all(&self) -> Result<Vec<Arc<Version>>, Lagged> {
        let mut queue = lock(&self.queue);
        match queue.take_lag() {
            Some(lagged) => Err(lagged),
            None => Ok(queue.waiting.drain(..).collect()),
        }
    }

    /// Has all been told, and will nothing more come?
    pub(crate) fn is_over(&self) -> bool {
        let queue = lock(&self.queue);
        queue.is_closed && !queue.is_lagged && queue.waiting.is_empty()
    }

    /// What is next, for which it waits so long.
    pub(crate) fn take_within(&self, limit: Duration) -> Taken {
        let end = Instant::now().checked_add(limit);
        let mut queue = lock(&self.queue);
        loop {
            let taken = queue.take();
            let left = end.map_or(LONGEST_NAP, |end| end.saturating_duration_since(Instant::now()));
            if !matches!(taken, Taken::Nothing) || left.is_zero() {
                return taken;
            }
            queue.is_awaited = true;
            let woken = self.arrived.wait_timeout(queue, left.min(LONGEST_NAP));
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
            queue.is_awaited = false;
        }
    }

    /// What is next, and who is to be woken if there is nothing.
    pub(crate) fn take_or_wake(&self, waker: &Waker) -> Taken {
        // Cloning and dropping wakers is an executor's code: it runs before the lock and after it.
        let mut waker = Some(waker.clone());
        let mut queue = lock(&self.queue);
        let taken = queue.take();
        if matches!(taken, Taken::Nothing) {
            std::mem::swap(&mut queue.waker, &mut waker);
        }
        drop(queue);
        taken
    }
}
