//! The thread that ends leases in time though nobody calls.
use crate::clock::Clock;
use crate::error::{LifeError, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// The longest sleep while a lease has an end. A machine that was suspended wakes with a sleep that is too long by the clock of the leases, and this bounds it.
const LONGEST: Duration = Duration::from_millis(25);

/// What is over and has a call under way is looked at again so soon.
const SHORTEST: Duration = Duration::from_millis(1);

/// By which the keeper is woken before it meant to.
#[derive(Default)]
pub(crate) struct Alarm {
    /// When it looks again.
    wake_ns: AtomicU64,
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Alarm {
    /// Something ends at `due_ns`: wakes the keeper if it would sleep longer. Called after the end was written where the keeper looks.
    pub(crate) fn set(&self, due_ns: u64) {
        if due_ns < self.wake_ns.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// Starts the thread. `reap` ends what is over and says when it has to look again (`u64::MAX` for never), or that there is nothing to look after any more.
pub(crate) fn start(
    alarm: Arc<Alarm>,
    clock: Arc<dyn Clock>,
    reap: impl Fn() -> Option<u64> + Send + 'static,
) -> Result<()> {
    let inside = Arc::clone(&alarm);
    let work = move || {
        while !inside.stopped.load(Ordering::SeqCst) {
            // From here on whoever writes an end wakes us, so none is missed between looking and sleeping.
            inside.wake_ns.store(u64::MAX, Ordering::SeqCst);
            let Some(next) = reap() else { return };
            inside.wake_ns.store(next, Ordering::SeqCst);
            match next {
                u64::MAX => thread::park(),
                _ => {
                    let sleep = Duration::from_nanos(next.saturating_sub(clock.now_ns()));
                    thread::park_timeout(sleep.clamp(SHORTEST, LONGEST));
                }
            }
        }
    };
    let thread = thread::Builder::new().name("mayfly-keeper".to_owned()).spawn(work);
    let thread = thread.map_err(|source| LifeError::Thread { source })?;
    let _ = alarm.thread.set(thread.thread().clone());
    Ok(())
}
