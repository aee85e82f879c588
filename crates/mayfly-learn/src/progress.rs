//! What a node says of a run.

use serde::{Deserialize, Serialize};

/// How a run goes at a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The run; of a call that waits, the call.
    pub run: String,
    /// The call that it came of: it may be called by this name too.
    pub call: Option<String>,
    /// Of a call that waits: how many have answered, where that is known.
    pub answers: Option<usize>,
    /// Of a call that waits: how many are waited for.
    pub awaited: Option<usize>,
    /// What people call it.
    pub name: String,
    /// Its mode.
    pub mode: String,
    /// Rounds whose state is here.
    pub round: u64,
    /// Rounds that are decided, as far as is known here.
    pub round_decided: u64,
    /// Rounds of the run.
    pub rounds: u64,
    /// In mode auto: steps of each node so far.
    pub steps: u64,
    /// In mode auto: steps of each node at the end, where that is what ends the run.
    pub steps_total: Option<u64>,
    /// In mode auto: steps between two exchanges, at present.
    pub local_steps: u64,
    /// In mode auto: how much of what differs between nodes comes back from round to round; about 0 where rows are alike, near 1 where they are not.
    pub drift: Option<f64>,
    /// Who takes part.
    pub members: usize,
    /// Rows of this node.
    pub rows: u64,
    /// Mean loss of this node's last work.
    pub loss: Option<f64>,
    /// How alike the last updates were.
    pub agreement: Option<f64>,
    /// Who leads.
    pub leader: Option<String>,
    /// The state.
    pub state: String,
    /// Are all rounds decided, and is the last state here?
    pub is_over: bool,
    /// Has this node left the run, as it was told to?
    pub has_left: bool,
    /// Seconds since this node takes part.
    pub seconds: f64,
    /// Milliseconds of training.
    pub train_ms: f64,
    /// Bytes of messages, bodies and states that were sent.
    pub bytes_sent: u64,
    /// Updates that counted late.
    pub late: u64,
    /// Updates that were refused.
    pub refused: u64,
    /// Why this node has stopped taking part.
    pub error: Option<String>,
}
