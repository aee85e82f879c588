//! A call for a run: what is to be trained, before it is known of all rows what they are like.

use crate::run::RECORD_BYTES;
use crate::{How, LearnError, MEMBERS, ModelState, Result, Run, Shard};
use mayfly_base::NodeId;
use mayfly_format::data::Survey;
use mayfly_nn::TrainConfig;
use mayfly_nn::tabular::{FileOptions, TrainOptions, plan, survey, survey_like};
use mayfly_swarm::learn::Digest;
use mayfly_wire::{from_payload, to_payload};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A call's name: BLAKE3 over it.
pub type CallId = Digest;

/// The version of calls that is written and read here.
const VERSION: u32 = 1;

/// What is asked of whoever wants to learn together: a survey of its rows. When `members` nodes have answered, whoever called makes an encoder and a network of the surveys, and the run begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// For people.
    pub name: String,
    /// So many nodes are waited for, the one that calls included.
    pub members: usize,
    /// What is trained.
    pub options: TrainOptions,
    /// How it is done together.
    pub how: How,
    /// What the rows of the node that calls are like: others read their files by it.
    pub first: Survey,
}

/// What can be said in JSON, and what cannot (a survey has infinities).
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    about: String,
    first: Survey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    name: String,
    members: usize,
    options: TrainOptions,
    how: How,
}

impl Call {
    /// A call of a node with these rows, all of which are trained on.
    ///
    /// # Errors
    /// Those of the file, and settings that make no sense. That the rows alone are not learnable, being of one class, is none.
    pub fn new(name: &str, members: usize, options: &TrainOptions, how: How, shard: &Shard) -> Result<Self> {
        let first = survey(&shard.file, &TrainOptions { file: shard.reading.clone(), ..options.clone() })?;
        let options = without_paths(options);
        let call = Self { name: name.to_owned(), members, options, how, first };
        call.check()?;
        Ok(call)
    }

    fn check(&self) -> Result<()> {
        if self.members == 0 || self.members > MEMBERS {
            return Err(LearnError::option("members", self.members, format!("1 to {MEMBERS} nodes learn together")));
        }
        self.how.check()?;
        self.options.check()?;
        self.how.inner(&TrainConfig::default(), &self.options)?;
        Ok(self.first.check("the survey of the call")?)
    }

    /// The call as bytes: those that its name is over.
    ///
    /// # Errors
    /// [`LearnError::Length`] for one that is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (name, options, how) = (self.name.clone(), self.options.clone(), self.how.clone());
        let about = serde_json::to_string(&About { name, members: self.members, options, how });
        let about = about.map_err(|error| LearnError::Record { reason: error.to_string() })?;
        let bytes = to_payload("a call", &Stored { version: VERSION, about, first: self.first.clone() })?;
        match bytes.len() > RECORD_BYTES {
            true => Err(LearnError::Length { what: "the call", want: RECORD_BYTES, got: bytes.len() }),
            false => Ok(bytes),
        }
    }

    /// A call from bytes that are called by this name.
    ///
    /// # Errors
    /// [`LearnError::Digest`] for others, [`LearnError::Record`] for what is no call, and settings that make no sense.
    pub fn from_bytes(bytes: &[u8], id: CallId) -> Result<Self> {
        let got = Digest::of(bytes);
        if got != id {
            return Err(LearnError::Digest { what: "the call", want: id, got });
        }
        let Stored { version, about, first } = from_payload("a call", bytes)?;
        if version != VERSION {
            let reason = format!("the call is of version {version}, and this program reads version {VERSION}");
            return Err(LearnError::Record { reason });
        }
        let about = serde_json::from_str(&about).map_err(|error| LearnError::Record { reason: error.to_string() })?;
        let About { name, members, options, how } = about;
        let call = Self { name, members, options: without_paths(&options), how, first };
        call.check()?;
        Ok(call)
    }

    /// What the rows of another node are like.
    ///
    /// # Errors
    /// Those of the file, where its columns are others; a survey that is too long for a message.
    pub fn survey(&self, shard: &Shard) -> Result<Survey> {
        let options = TrainOptions { file: shard.reading.clone(), ..self.options.clone() };
        let survey = survey_like(&shard.file, &self.first, &options)?;
        let len = to_payload("a survey", &survey)?.len();
        match len > RECORD_BYTES {
            true => Err(LearnError::Length { what: "the survey of this node's rows", want: RECORD_BYTES, got: len }),
            false => Ok(survey),
        }
    }

    /// The surveys of these nodes as one, that of whoever called first.
    ///
    /// # Errors
    /// Columns that do not go together, with node and column.
    pub fn merge(&self, surveys: &BTreeMap<NodeId, Survey>) -> Result<Survey> {
        let labels: Vec<String> = surveys.keys().map(|node| format!("node {}", node.short())).collect();
        let mut all: Vec<(&str, &Survey)> = labels.iter().map(String::as_str).zip(surveys.values()).collect();
        all.sort_by_key(|(_, survey)| **survey != self.first); // stable: the others stay in the order of nodes
        Ok(Survey::merge(all)?.unwrap_or_else(|| self.first.clone()))
    }

    /// The run that comes of it, and the state that it begins with.
    ///
    /// # Errors
    /// As [`Call::merge`]; rows that are not learnable; settings that make no sense.
    pub fn run(&self, surveys: &BTreeMap<NodeId, Survey>) -> Result<(Run, ModelState)> {
        let all = self.merge(surveys)?;
        let rows = all.training_rows();
        let plan = plan(all, "the rows of all nodes", &self.options)?;
        let rounds = self.how.rounds(&plan.config, surveys.len(), rows);
        let config = self.how.inner(&plan.config, &self.options)?;
        let run = self.how.run(&self.name, rounds, &plan.network, &config, plan.encoder);
        run.check()?;
        let state = run.first_state(&plan.network);
        Ok((run, state))
    }
}

/// Files are each node's own matter.
fn without_paths(options: &TrainOptions) -> TrainOptions {
    TrainOptions { test: None, from: None, file: FileOptions::default(), threads: 1, ..options.clone() }
}
