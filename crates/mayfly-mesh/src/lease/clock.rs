//! A clock that nobody sets.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time that only goes on, counted from any beginning: never that of the wall, which people and daemons set.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// Another clock, for simulations and tests.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Duration {
        self.0()
    }
}

impl Default for Clock {
    /// The system's monotonic clock.
    fn default() -> Self {
        let start = Instant::now();
        Self::new(move || start.elapsed())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
