//! Ctrl-C, `kill`, and a terminal that is closed: each asks for an end, which a training makes a good one.
use super::exit::Interrupted;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The signal that came first; 0 while none did.
#[derive(Clone)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// From now on SIGINT, SIGTERM and SIGHUP ask for an end instead of being one. Only a second Ctrl-C ends the process at once.
    pub fn listen() -> Result<Signals> {
        static LISTENING: OnceLock<Signals> = OnceLock::new();
        if let Some(signals) = LISTENING.get() {
            return Ok(signals.clone());
        }
        let signals = Signals(Arc::default());
        system::listen(signals.0.clone()).context("cannot listen for signals")?;
        Ok(LISTENING.get_or_init(|| signals).clone())
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// An error if one came: for work of which a part is worth nothing.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Interrupted(u8::try_from(signal).unwrap_or(0))),
        }
    }
}

#[cfg(unix)]
mod system {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    /// `timeout -s INT` sends its signal twice in a row, and a person does not press a key twice so fast.
    const ONE_PRESS: Duration = Duration::from_millis(300);

    pub fn listen(first: Arc<AtomicUsize>) -> std::io::Result<()> {
        let mut wanted = vec![SIGINT, SIGTERM];
        if !hangups_are_ignored() {
            wanted.push(SIGHUP);
        }
        let mut signals = Signals::new(wanted)?;
        let answer = move || {
            let mut pressed: Option<Instant> = None;
            for signal in signals.forever() {
                let _ = first.compare_exchange(0, signal as usize, Ordering::Relaxed, Ordering::Relaxed);
                // SIGTERM and SIGHUP come twice when a service is stopped or a terminal is closed: they stay a request.
                if signal == SIGINT && pressed.is_some_and(|at| at.elapsed() > ONE_PRESS) {
                    std::process::exit(128 + SIGINT);
                }
                if signal == SIGINT {
                    pressed.get_or_insert_with(Instant::now);
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(answer).map(drop)
    }

    /// Under `nohup` a closed terminal is to be no event. Elsewhere than on Linux nothing tells without unsafe code.
    fn hangups_are_ignored() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask >> (SIGHUP - 1) & 1 == 1
    }
}

#[cfg(not(unix))]
mod system {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag::{register_conditional_shutdown, register_usize};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    pub fn listen(first: Arc<AtomicUsize>) -> std::io::Result<()> {
        let pressed = Arc::new(AtomicBool::new(false));
        register_conditional_shutdown(SIGINT, 128 + SIGINT, pressed.clone())?;
        signal_hook::flag::register(SIGINT, pressed)?;
        for signal in [SIGINT, SIGTERM] {
            register_usize(signal, first.clone(), signal as usize)?;
        }
        Ok(())
    }
}
