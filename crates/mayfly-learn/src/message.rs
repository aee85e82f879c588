//! What nodes say to each other besides bodies.

use crate::{CallId, RunId};
use mayfly_format::data::Survey;
use mayfly_swarm::learn::{Digest, Message, Roster};
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// For the core of a run.
    Say { run: RunId, message: Message },
    /// A body or a state is wanted.
    Fetch { run: RunId, digest: Digest },
    /// The record of a run is wanted, or a call.
    Record { run: RunId },
    /// What the rows of a node are like that answers a call.
    Survey { call: CallId, survey: Box<Survey> },
    /// A node wants to be there from the beginning, with so many rows.
    Enrol { run: RunId, rows: u64 },
}

impl Ask {
    pub(crate) fn run(&self) -> RunId {
        match self {
            Self::Say { run, .. } | Self::Fetch { run, .. } | Self::Record { run } | Self::Enrol { run, .. } => *run,
            Self::Survey { call, .. } => *call,
        }
    }
}

/// What is said to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It was taken.
    Taken,
    /// It is on its way.
    Coming,
    /// It is not here.
    NotHere,
    /// The record.
    Record(Vec<u8>),
    /// A call: what is asked for is not known before it is answered.
    Call(Vec<u8>),
    /// The run that came of the call.
    Run(RunId),
    /// It cannot be used, for this reason.
    Refused(String),
    /// The run has not begun.
    NotYet,
    /// It has, with these.
    Begun(Roster),
}

/// What a body says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) run: RunId,
    pub(crate) digest: Digest,
}
