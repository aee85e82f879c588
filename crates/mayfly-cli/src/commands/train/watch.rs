//! What a person sees while a network trains, and how a signal ends it well.
use crate::support::signals::Signals;
use crate::support::ui::Ui;
use anyhow::Result;
use indicatif::ProgressBar;
use mayfly_nn::fann::CascadeReport;
use mayfly_nn::tabular::{Training, TrainingObserver};
use mayfly_nn::{BatchReport, Control, EpochReport, Observer};
use std::io::IsTerminal;
use std::time::Instant;

/// Where there is no terminal, about this many lines are written over a training.
const QUIET_LINES: usize = 10;

/// Shows progress and stops when asked to.
pub(super) struct Watch {
    ui: Ui,
    /// None when nobody knows how far a training goes.
    bar: Option<ProgressBar>,
    signals: Signals,
    start: Instant,
    rows: usize,
    epochs: usize,
    terminal: bool,
}

impl Watch {
    pub(super) fn new(ui: Ui, training: &Training) -> Result<Watch> {
        let epochs = training.epochs();
        Ok(Watch {
            ui,
            bar: epochs.map(|epochs| ui.progress("epoch", epochs)),
            signals: Signals::listen()?,
            start: Instant::now(),
            rows: training.epoch_rows(),
            epochs: epochs.unwrap_or(0),
            terminal: std::io::stderr().is_terminal(),
        })
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn control(&self) -> Control {
        if self.signals.came() { Control::Stop } else { Control::Continue }
    }
}

impl Observer for Watch {
    fn epoch(&mut self, report: &EpochReport) -> Control {
        let held = report.validation_loss.map(|v| format!(", validation {v:.5}")).unwrap_or_default();
        let rate = report.epoch as f64 * self.rows as f64 / self.start.elapsed().as_secs_f64().max(1e-9);
        let line = format!("loss {:.5}{held}, {rate:.0} rows/s", report.train_loss);
        if let Some(bar) = self.bar.as_ref().filter(|_| self.terminal) {
            bar.set_position(report.epoch);
            bar.set_message(line);
        } else if (report.epoch as usize).is_multiple_of(self.epochs.div_ceil(QUIET_LINES).max(1)) {
            self.ui.note(format!("epoch {}/{}: {line}", report.epoch, self.epochs));
        }
        self.control()
    }

    fn batch(&mut self, _: &BatchReport) -> Control {
        self.control()
    }
}

impl TrainingObserver for Watch {
    fn grown(&mut self, report: &CascadeReport) -> Control {
        let installed = report.installed.map(|a| format!(" (+ {a})")).unwrap_or_default();
        let held = report.validation_mse.map(|v| format!(", validation {v:.5}")).unwrap_or_default();
        let (neurons, mse, fails) = (report.neurons, report.mse, report.bit_fail);
        self.ui.note(format!("{neurons} hidden neurons{installed}: error {mse:.5}{held}, {fails} outputs off"));
        self.control()
    }
}
