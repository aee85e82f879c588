//! What a person sees while a network trains, and Ctrl-C.
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use mayfly_nn::{BatchReport, Control, EpochReport, Observer};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Where there is no terminal, about this many lines are written over a training.
const QUIET_LINES: usize = 10;

/// Shows progress and stops when asked to.
pub(super) struct Watch {
    ui: Ui,
    bar: ProgressBar,
    interrupt: Interrupt,
    start: Instant,
    rows: usize,
    epochs: usize,
    terminal: bool,
}

/// Ctrl-C.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on Ctrl-C asks for an end instead of being one.
    pub(super) fn listen() -> Result<Interrupt> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = interrupted.clone();
        let handler = move || {
            // The second Ctrl-C does not wait for the end of a step.
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        };
        ctrlc::set_handler(handler).context("cannot listen for Ctrl-C")?;
        Ok(Interrupt(interrupted))
    }

    /// Whether it came.
    pub(super) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Watch {
    pub(super) fn new(ui: Ui, epochs: usize, rows: usize) -> Result<Watch> {
        Ok(Watch {
            ui,
            bar: ui.progress(epochs),
            interrupt: Interrupt::listen()?,
            start: Instant::now(),
            rows,
            epochs,
            terminal: std::io::stderr().is_terminal(),
        })
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn control(&self) -> Control {
        if self.interrupt.came() { Control::Stop } else { Control::Continue }
    }
}

impl Observer for Watch {
    fn epoch(&mut self, report: &EpochReport) -> Control {
        let held = report.validation_loss.map(|v| format!(", validation {v:.5}")).unwrap_or_default();
        let rate = report.epoch as f64 * self.rows as f64 / self.start.elapsed().as_secs_f64().max(1e-9);
        let line = format!("loss {:.5}{held}, {rate:.0} rows/s", report.train_loss);
        if self.terminal {
            self.bar.set_position(report.epoch);
            self.bar.set_message(line);
        } else if (report.epoch as usize).is_multiple_of(self.epochs.div_ceil(QUIET_LINES).max(1)) {
            self.ui.note(format!("epoch {}/{}: {line}", report.epoch, self.epochs));
        }
        self.control()
    }

    fn batch(&mut self, _: &BatchReport) -> Control {
        self.control()
    }
}
