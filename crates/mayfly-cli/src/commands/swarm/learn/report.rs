//! What came of learning together.

use super::compare::{Compared, score};
use crate::support::metrics::{headline, number, over};
use crate::support::ui::{grouped, seconds};
use mayfly_learn::{Mode, Progress, Split};
use mayfly_nn::Measured;
use serde_json::{Value, json};

pub struct Report {
    pub mode: Mode,
    pub split: Split,
    /// Steps of each node.
    pub steps: u64,
    pub passes: f64,
    pub parameters: usize,
    pub seed: u64,
    pub progress: Vec<Progress>,
    pub measured: Measured,
    pub compared: Option<Compared>,
    /// A name for all that happened in a simulation.
    pub history: Option<u64>,
}

impl Report {
    /// Have all the same network?
    pub fn is_common(&self) -> bool {
        self.progress.windows(2).all(|pair| pair[0].state == pair[1].state)
    }

    fn seconds(&self) -> f64 {
        self.progress.iter().map(|progress| progress.seconds).fold(0.0, f64::max)
    }

    fn rounds(&self) -> u64 {
        self.progress.iter().map(|progress| progress.round).max().unwrap_or(0)
    }

    /// Steps between two exchanges, on average.
    fn local_steps(&self) -> f64 {
        self.steps as f64 / self.rounds().max(1) as f64
    }

    fn drift(&self) -> Option<f64> {
        self.progress.iter().find_map(|progress| progress.drift)
    }

    fn bytes_sent(&self) -> u64 {
        self.progress.iter().map(|progress| progress.bytes_sent).sum()
    }

    /// Had every update gone once, as bare numbers, to everybody whom it had to reach.
    fn bytes_as_f32(&self) -> u64 {
        let nodes = self.progress.len() as u64;
        let copies = match self.mode {
            Mode::Auto | Mode::Sync | Mode::Local => nodes * (nodes - 1),
            _ => 2 * (nodes - 1), // to the leader, and back
        };
        copies * self.rounds() * self.parameters as u64 * 4
    }

    /// The share of the time in which a node does not train.
    fn exchange_share(&self) -> f64 {
        let share = |progress: &Progress| 1.0 - progress.train_ms / 1e3 / progress.seconds.max(1e-9);
        self.progress.iter().map(share).sum::<f64>() / self.progress.len().max(1) as f64
    }

    fn gap(&self) -> Option<f64> {
        self.compared.as_ref().map(|compared| (compared.centralised - score(&self.measured)) * 100.0)
    }

    pub fn json(&self) -> Value {
        let compared =
            |value: fn(&Compared) -> f64| self.compared.as_ref().map_or(Value::Null, |one| number(value(one)));
        let sum = |value: fn(&Progress) -> u64| self.progress.iter().map(value).sum::<u64>();
        json!({
            "mode": self.mode.name(), "nodes": self.progress.len(), "split": self.split.to_string(), "rounds": self.rounds(),
            "steps": self.steps, "local_steps": number(self.local_steps()), "drift": self.drift().map_or(Value::Null, number), "passes": number(self.passes), "parameters": self.parameters,
            "seconds": number(self.seconds()), "seconds_centralised": compared(|one| one.seconds),
            "exchange_share": number(self.exchange_share()),
            "bytes_sent": self.bytes_sent(), "bytes_as_f32": self.bytes_as_f32(),
            "accuracy": number(score(&self.measured)), "accuracy_centralised": compared(|one| one.centralised),
            "gap_points": self.gap().map_or(Value::Null, number), "accuracy_best_alone": compared(|one| one.best_alone),
            "digest": self.progress.first().map(|progress| progress.state.clone()), "digests_equal": self.is_common(),
            "refused": sum(|progress| progress.refused), "late": self.progress.iter().map(|progress| progress.late).max(),
            "history": self.history.map(|history| format!("{history:016x}")),
            "rows": self.progress.iter().map(|progress| progress.rows).collect::<Vec<_>>(), "seed": self.seed,
        })
    }

    pub fn text(&self) -> String {
        let row = |name: &str, value: String, note: &str| format!("  {name:<12}{value:>14}  {note}\n");
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        let nodes = self.progress.len();
        let mut text = format!("\n{}: {}\n\n", over(self.measured.over), headline(&self.measured));
        text +=
            &row("together", percent(score(&self.measured)), &format!("{nodes} nodes, {}, {}", self.mode, self.split));
        if let Some(compared) = &self.compared {
            text += &row(
                "one place",
                percent(compared.centralised),
                &format!("all rows, as many passes, in {}", seconds(compared.seconds)),
            );
            if compared.best_alone.is_finite() {
                text += &row("alone", percent(compared.best_alone), "the best of the nodes, each with its own rows");
            }
        }
        let simulated = if self.history.is_some() { ", in simulated time" } else { "" };
        text += &row(
            "time",
            seconds(self.seconds()),
            &format!(
                "{} exchanges, one every {:.0} steps{simulated}",
                grouped(self.rounds() as usize),
                self.local_steps()
            ),
        );
        if let Some(drift) = self.drift() {
            text += &row("drift", format!("{:.2}", drift.max(0.0)), "how unlike the nodes' rows are, from 0 to 1");
        }
        text += &row("exchange", format!("{:.0} %", self.exchange_share() * 100.0), "of it a node did not train");
        text += &row("sent", grouped(self.bytes_sent() as usize), "bytes by all: updates, states, messages");
        let common = if self.is_common() { "equal" } else { "NOT EQUAL" };
        text + &row("networks", common.into(), "by their digests")
    }
}
