//! What a person sees while models train, and how a signal ends it well.
use crate::support::signals::Signals;
use crate::support::ui::Ui;
use anyhow::Result;
use indicatif::ProgressBar;
use mayfly_forecast::{Progress, Watch};
use mayfly_nn::Control;
use std::io::IsTerminal;

/// Where there is no terminal, about this many lines are written over a model's training.
const QUIET_LINES: usize = 4;

/// Shows progress and stops when asked to.
pub(super) struct Eye {
    ui: Ui,
    signals: Signals,
    bar: Option<ProgressBar>,
    /// The model that the bar belongs to, and its number.
    model: (String, usize),
    said: usize,
}

impl Eye {
    pub(super) fn new(ui: Ui) -> Result<Eye> {
        Ok(Eye { ui, signals: Signals::listen()?, bar: None, model: (String::new(), 0), said: 0 })
    }

    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// What a signal ended before there was anything to keep: its exit code is the signal's.
pub(super) fn interrupted(what: &'static str) -> anyhow::Error {
    match Signals::listen().map(|signals| signals.check()) {
        Ok(Err(signal)) => anyhow::Error::from(signal).context(what),
        _ => anyhow::anyhow!(what),
    }
}

impl Watch for Eye {
    fn progress(&mut self, progress: &Progress<'_>) {
        let Progress { model, number, step, steps, train_loss, validation_loss } = *progress;
        if (self.model.0.as_str(), self.model.1) != (model, number[0]) {
            self.finish();
            self.bar = Some(self.ui.progress("step", steps));
            (self.model, self.said) = ((model.to_owned(), number[0]), 0);
        }
        let held = validation_loss.map(|v| format!(", validation {v:.5}")).unwrap_or_default();
        // Of a local model each step is a series, and there is no one loss.
        let loss = if train_loss.is_nan() { String::new() } else { format!(": loss {train_loss:.5}{held}") };
        let line = format!("{model} ({} of {}){loss}", number[0], number[1]);
        if let Some(bar) = self.bar.as_ref().filter(|_| std::io::stderr().is_terminal()) {
            bar.set_position(step as u64);
            bar.set_message(line);
        } else if step * QUIET_LINES / steps.max(1) > self.said {
            self.said = step * QUIET_LINES / steps.max(1);
            self.ui.note(format!("{line}, step {step}/{steps}"));
        }
    }

    fn control(&mut self) -> Control {
        if self.signals.came() { Control::Stop } else { Control::Continue }
    }
}
