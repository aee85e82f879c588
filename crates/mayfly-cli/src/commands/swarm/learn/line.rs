//! What a person sees while nodes learn.

use crate::support::ui::Ui;
use indicatif::ProgressBar;
use mayfly_learn::Progress;
use std::collections::BTreeMap;
use std::io::IsTerminal;

/// Where there is no terminal, about so many lines are written over a run.
const QUIET_LINES: u64 = 10;

/// The line that a person watches.
pub struct Line {
    bar: ProgressBar,
    ui: Ui,
    /// Rounds, or steps where these are what ends the run.
    total: u64,
    is_terminal: bool,
    said: u64,
}

impl Line {
    pub fn new(total: u64, ui: Ui) -> Self {
        Self {
            bar: ui.progress("learning", total as usize),
            ui,
            total,
            is_terminal: std::io::stderr().is_terminal(),
            said: 0,
        }
    }

    /// How all are, and where the furthest is.
    pub fn show(&mut self, all: &BTreeMap<usize, Progress>, place: u64) {
        let losses: Vec<f64> = all.values().filter_map(|progress| progress.loss).collect();
        let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let agreement = all.values().find_map(|progress| progress.agreement).unwrap_or(0.0);
        let drift = all.values().find_map(|progress| Some((progress.drift?, progress.local_steps)));
        let alike = match drift {
            Some((drift, steps)) => format!("drift {:.2}: an exchange every {steps} steps", drift.max(0.0)),
            None => format!("updates {:.0} % alike", agreement * 100.0),
        };
        let sent: u64 = all.values().map(|progress| progress.bytes_sent).sum();
        let line = format!("loss {loss:.4}, {alike}, {:.1} MB sent", sent as f64 / 1e6);
        let step = self.total.div_ceil(QUIET_LINES).max(1);
        if self.is_terminal {
            self.bar.set_position(place);
            self.bar.set_message(line);
        } else if place >= self.said + step || (place == self.total && self.said < place) {
            self.said = if place == self.total { place } else { place - place % step };
            self.ui.note(format!("{place}/{}: {line}", self.total));
        }
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
