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
    rounds: u64,
    is_terminal: bool,
    said: u64,
}

impl Line {
    pub fn new(rounds: u64, ui: Ui) -> Self {
        Self {
            bar: ui.progress("round", rounds as usize),
            ui,
            rounds,
            is_terminal: std::io::stderr().is_terminal(),
            said: 0,
        }
    }

    pub fn show(&mut self, all: &BTreeMap<usize, Progress>, round: u64) {
        let losses: Vec<f64> = all.values().filter_map(|progress| progress.loss).collect();
        let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let agreement = all.values().find_map(|progress| progress.agreement).unwrap_or(0.0);
        let sent: u64 = all.values().map(|progress| progress.bytes_sent).sum();
        let line =
            format!("loss {loss:.4}, updates {:.0} % alike, {:.1} MB sent", agreement * 100.0, sent as f64 / 1e6);
        let step = self.rounds.div_ceil(QUIET_LINES).max(1);
        if self.is_terminal {
            self.bar.set_position(round);
            self.bar.set_message(line);
        } else if round >= self.said + step || (round == self.rounds && self.said < round) {
            self.said = round - round % step;
            if round == self.rounds {
                self.said = round;
            }
            self.ui.note(format!("round {round}/{}: {line}", self.rounds));
        }
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
