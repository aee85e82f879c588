//! Ways to learn together.

use crate::{LearnError, Result};
use mayfly_swarm::learn::{Exchange, Outer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who exchanges what, how often, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// As `local`, with gradient descent at each node, and as many steps between two exchanges as its rows are like those of others: 50 where they are alike, 2 where
    /// they have nothing in common. That is measured in every round.
    Auto,
    /// The mean gradient of every step, and one optimiser for all.
    Sync,
    /// Some steps at each node, and Nesterov's method on the mean of what they changed, exchanged all to all: DiLoCo (Douillard et al. 2023).
    Local,
    /// Some steps at each node, and the mean of what they changed, by way of a leader: FedAvg (McMahan et al. 2017).
    Fedavg,
    /// As FedAvg, and each node is pulled towards where the round began: FedProx (Li et al. 2020).
    Fedprox,
    /// As FedAvg, and Adam on the mean of what changed: FedAdam (Reddi et al. 2021).
    Fedadam,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Auto, Self::Sync, Self::Local, Self::Fedavg, Self::Fedprox, Self::Fedadam];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sync => "sync",
            Self::Local => "local",
            Self::Fedavg => "fedavg",
            Self::Fedprox => "fedprox",
            Self::Fedadam => "fedadam",
        }
    }

    /// Who gets bodies.
    pub fn exchange(self) -> Exchange {
        match self {
            Self::Auto | Self::Sync | Self::Local => Exchange::All,
            Self::Fedavg | Self::Fedprox | Self::Fedadam => Exchange::Leader,
        }
    }

    /// What the mean does to the network; in `sync` the optimiser decides that.
    pub fn outer(self) -> Outer {
        match self {
            Self::Sync | Self::Fedavg | Self::Fedprox => Outer::Plain { rate: 1.0 },
            Self::Auto | Self::Local => Outer::Nesterov { rate: 0.7, momentum: 0.9 },
            Self::Fedadam => Outer::Adam { rate: 1e-2, beta1: 0.9, beta2: 0.99, tau: 1e-3 },
        }
    }

    /// Steps between two exchanges, unless told; in `auto` the most of them.
    pub fn local_steps(self) -> u64 {
        if self == Self::Sync { 1 } else { 50 }
    }

    /// Refuses settings that make no sense.
    pub(crate) fn check(self, rounds: u64, local_steps: u64, outer_lr: f64, max_share: f64) -> Result<()> {
        let refuse = |option, got: String, want: &str| Err(LearnError::option(option, got, want));
        if rounds == 0 {
            return refuse("rounds", "0".into(), "at least 1 is wanted");
        }
        if local_steps == 0 || (self == Self::Sync && local_steps != 1) {
            let want = "at least 1 is wanted, and just 1 in mode sync";
            return refuse("local steps", local_steps.to_string(), want);
        }
        if !(outer_lr > 0.0 && outer_lr.is_finite()) {
            return refuse("outer lr", outer_lr.to_string(), "a number above 0 is wanted");
        }
        if !(max_share > 0.0 && max_share <= 1.0) {
            return refuse("max share", max_share.to_string(), "more than 0 and at most 1 is wanted");
        }
        Ok(())
    }

    /// How strongly a node is pulled towards where the round began.
    pub fn proximal(self) -> f32 {
        if self == Self::Fedprox { 0.1 } else { 0.0 }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = LearnError;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| LearnError::option("mode", name, format!("there are {known}")))
    }
}
