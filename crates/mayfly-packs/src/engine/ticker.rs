//! The clock of budgets: a thread that advances the epoch of an engine until the engine is gone.

use crate::error::{PackError, Result};
use std::time::Duration;

const LEAST: Duration = Duration::from_millis(1);

/// Starts the thread; it ends by itself one tick after the engine was dropped.
pub(super) fn start(engine: &wasmtime::Engine, tick: Duration) -> Result<Duration> {
    let (weak, tick) = (engine.weak(), tick.max(LEAST));
    let beat = move || {
        loop {
            std::thread::sleep(tick);
            match weak.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    let thread = std::thread::Builder::new().name("mayfly-pack-epoch".into());
    thread.spawn(beat).map_err(PackError::other)?;
    Ok(tick)
}

/// Ticks that a call of this budget gets: rounded up, and one more since it may begin just before a tick.
pub(super) fn ticks(budget: Duration, tick: Duration) -> u64 {
    let (budget, tick) = (budget.as_nanos(), tick.as_nanos().max(1));
    u64::try_from(budget.div_ceil(tick)).unwrap_or(u64::MAX / 2).min(u64::MAX / 2) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_rounded_up_and_one_more() {
        let ms = Duration::from_millis;
        assert_eq!(ticks(ms(10), ms(10)), 2);
        assert_eq!(ticks(ms(11), ms(10)), 3);
        assert_eq!(ticks(Duration::ZERO, ms(10)), 1);
        assert_eq!(ticks(Duration::MAX, Duration::from_nanos(1)), u64::MAX / 2 + 1);
    }
}
