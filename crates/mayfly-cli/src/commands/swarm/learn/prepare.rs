//! What a run begins with: rows, a network, and how it is trained.

use super::args::HowArgs;
use super::ask::Found;
use crate::commands::train::args::{ScheduleName, TrainArgs};
use crate::commands::train::words::{as_flags, say_decisions};
use crate::support::exit::Usage;
use crate::support::ui::{Ui, grouped};
use anyhow::{Context, Result};
use mayfly_learn::{LearnError, Mode, Shard};
use mayfly_nn::tabular::{FileOptions, ModelKind, Opened, Parts, Predictor, TrainOptions};
use mayfly_nn::{BatchRows, Model, Schedule};
use std::path::{Path, PathBuf};

/// Passes over all rows, unless told.
const EPOCHS: usize = 15;

/// A training taken apart, to be done together.
pub struct Prepared {
    pub parts: Parts,
    /// The data file, wherever a node runs.
    pub file: PathBuf,
    pub reading: FileOptions,
    pub epochs: usize,
    name: String,
}

impl Prepared {
    pub fn of(args: &TrainArgs, ui: Ui) -> Result<Self> {
        let options = options(args)?;
        let file = args.data.canonicalize().with_context(|| format!("cannot read {}", args.data.display()))?;
        let opened = Opened::open(&file, &options).map_err(as_flags)?;
        say_decisions(&opened, &options, ui);
        let parts = opened.read().and_then(mayfly_nn::tabular::Training::into_parts).map_err(as_flags)?;
        let (rows, parameters) = (grouped(parts.training.len()), grouped(parts.network.param_count()));
        let test = if parts.test.is_empty() {
            "none to test".into()
        } else {
            format!("{} to test", grouped(parts.test.len()))
        };
        ui.note(format!("{rows} rows to train on, {test}; {parameters} parameters; {}", parts.config.algorithm.name()));
        let name = args.data.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { parts, file, reading: options.file, epochs: args.epochs.unwrap_or(EPOCHS), name })
    }

    /// Rows of a step.
    pub fn batch(&self) -> usize {
        match self.parts.config.batch {
            BatchRows::Rows(rows) => rows,
            BatchRows::Full => self.parts.training.len(),
        }
    }

    /// Rounds after which `members` nodes together have passed as many rows as are asked for.
    pub fn rounds(&self, how: &HowArgs, members: usize, rows: usize) -> u64 {
        let steps = self.local_steps(how).max(1);
        let a_round = self.batch() as u64 * steps * members as u64;
        how.rounds.unwrap_or_else(|| (self.epochs as u64 * rows as u64).div_ceil(a_round.max(1)).max(1))
    }

    pub fn local_steps(&self, how: &HowArgs) -> u64 {
        how.local_steps.unwrap_or_else(|| how.mode.local_steps())
    }

    /// The rows of a node: of these numbers, or all of the file.
    pub fn shard(&self, rows: Option<Vec<u64>>) -> Shard {
        Shard { file: self.file.clone(), rows, reading: self.reading.clone() }
    }

    /// Writes the network that the run begins with into a folder; what the run is made of.
    pub fn found(&self, how: &HowArgs, folder: &Path, members: usize, rounds: u64, shard: Shard) -> Result<Found> {
        let model = folder.join("first.mayfly");
        let first = Model::new(self.parts.network.clone()).with_encoder(&self.parts.encoder)?;
        Predictor::new(first, Some(self.parts.encoder.clone()))?.save(&model, ModelKind::Native)?;
        let found = Found {
            model,
            name: self.name.clone(),
            mode: how.mode,
            rounds,
            local_steps: self.local_steps(how),
            outer_lr: how.outer_lr,
            min_reports: how.min_reports,
            max_share: how.max_share,
            config: self.parts.config.clone(),
            members,
            shard,
        };
        found.run(&self.parts.network, self.parts.encoder.clone()).check().map_err(as_flag)?;
        Ok(found)
    }
}

/// The options of a training, as far as they make sense where nodes train together.
fn options(args: &TrainArgs) -> Result<TrainOptions> {
    let given = [
        ("--schedule", args.schedule.is_some_and(|schedule| schedule != ScheduleName::Constant)),
        ("--patience", args.patience.is_some_and(|patience| patience > 0)),
        ("--desired-error", args.desired_error.is_some()),
        ("--stream", args.stream),
        ("--algorithm cascade", args.algorithm.as_deref() == Some("cascade")),
        ("--plot", args.plot.is_some()),
        ("--config", args.config.is_some()),
    ];
    if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
        return Err(Usage(format!("{option} does not go with learning together")).into());
    }
    let options = args.options()?;
    Ok(TrainOptions { patience: Some(0), schedule: Some(Schedule::Constant), threads: 1, ..options })
}

/// A setting of the library as it is written on the command line: "local steps" becomes --local-steps.
fn as_flag(error: LearnError) -> anyhow::Error {
    match error {
        LearnError::Option { option, got, want } => {
            Usage(format!("--{} {got}: {want}", option.replace(' ', "-"))).into()
        }
        other => other.into(),
    }
}

/// What a mode is in a few words.
pub fn words(mode: Mode, steps: u64) -> String {
    match mode {
        Mode::Sync => "sync, an exchange every step".to_owned(),
        mode => format!("{mode}, an exchange every {steps} steps"),
    }
}
