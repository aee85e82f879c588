//! The clock that leases run on.
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds since some moment before the process began. Never goes back.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time.
    fn now_ns(&self) -> u64;
}

/// Time since the machine started, suspension included. Nobody sets it: wall time has no part in it.
///
/// On Linux this is `CLOCK_BOOTTIME`. Elsewhere it is the standard library's monotonic clock, which on macOS stands still while the machine is suspended.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl Clock for BootClock {
    #[cfg(target_os = "linux")]
    fn now_ns(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
    }

    #[cfg(not(target_os = "linux"))]
    fn now_ns(&self) -> u64 {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock that moves when it is told to: for simulations.
#[derive(Debug, Default)]
pub struct SimulatedClock(AtomicU64);

impl SimulatedClock {
    /// Moves the clock on.
    pub fn advance_ns(&self, ns: u64) {
        self.0.fetch_add(ns, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now_ns(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_moves_and_never_back() {
        let start = BootClock.now_ns();
        let mut last = start;
        for _ in 0..10_000 {
            let now = BootClock.now_ns();
            assert!(now >= last);
            last = now;
        }
        assert!(last > start);
    }
}
