//! What a run begins with: rows, a network, and how it is trained.

use super::args::HowArgs;
use super::ask::Found;
use crate::commands::train::args::{ScheduleName, TrainArgs};
use crate::commands::train::words::{as_flags, say_decisions};
use crate::support::exit::Usage;
use crate::support::ui::{Ui, grouped};
use anyhow::{Context, Result};
use mayfly_learn::{How, LearnError, Mode, Shard};
use mayfly_nn::tabular::{FileOptions, ModelKind, Opened, Parts, Plan, Predictor, TrainOptions};
use mayfly_nn::{BatchRows, Model, Schedule, TrainConfig};
use std::path::{Path, PathBuf};

/// A training taken apart, to be done together.
pub struct Prepared {
    pub parts: Parts,
    /// The data file, wherever a node runs.
    pub file: PathBuf,
    pub reading: FileOptions,
    pub epochs: usize,
    pub how: How,
    /// How each node trains, where that is not how all rows in one place would be trained on.
    inner: TrainConfig,
    name: String,
}

impl Prepared {
    pub fn of(args: &TrainArgs, how: &HowArgs, ui: Ui) -> Result<Self> {
        let (options, how) = (options(args)?, how.how(args.epochs));
        let file = file_of(args)?;
        let opened = Opened::open(&file, &options).map_err(as_flags)?;
        say_decisions(&opened, &options, ui);
        let parts = opened.read().and_then(mayfly_nn::tabular::Training::into_parts).map_err(as_flags)?;
        let (rows, parameters) = (grouped(parts.training.len()), grouped(parts.plan.network.param_count()));
        let test = if parts.test.is_empty() {
            "none to test".into()
        } else {
            format!("{} to test", grouped(parts.test.len()))
        };
        ui.note(format!(
            "{rows} rows to train on, {test}; {parameters} parameters; {}",
            parts.plan.config.algorithm.name()
        ));
        let inner = how.inner(&parts.plan.config, &options).map_err(as_flag)?;
        Ok(Self { parts, file, reading: options.file, epochs: how.epochs as usize, how, inner, name: name_of(args) })
    }

    /// Rows of a step.
    pub fn batch(&self) -> usize {
        match self.parts.plan.config.batch {
            BatchRows::Rows(rows) => rows,
            BatchRows::Full => self.parts.training.len(),
        }
    }

    /// The rows of a node: of these numbers, or all of the file.
    pub fn shard(&self, rows: Option<Vec<u64>>) -> Shard {
        Shard { file: self.file.clone(), rows, reading: self.reading.clone() }
    }

    /// What a run of `members` nodes is made of, the first of which has these rows.
    pub fn found(&self, folder: &Path, members: usize, shard: Shard) -> Result<Found> {
        let rounds = self.how.rounds(&self.parts.plan.config, members, self.parts.training.len() as u64);
        found(
            &self.parts.plan,
            folder,
            Found {
                model: PathBuf::new(),
                name: self.name.clone(),
                rounds,
                how: self.how.clone(),
                config: self.inner.clone(),
                members,
                shard,
            },
        )
    }
}

/// Writes the network that a run begins with into a folder; what the run is made of.
pub fn found(plan: &Plan, folder: &Path, found: Found) -> Result<Found> {
    let model = folder.join("first.mayfly");
    let first = Model::new(plan.network.clone()).with_encoder(&plan.encoder)?;
    Predictor::new(first, Some(plan.encoder.clone()))?.save(&model, ModelKind::Native)?;
    found.run(&plan.network, plan.encoder.clone()).check().map_err(as_flag)?;
    Ok(Found { model, ..found })
}

/// The data file, wherever a node runs.
pub fn file_of(args: &TrainArgs) -> Result<PathBuf> {
    args.data.canonicalize().with_context(|| format!("cannot read {}", args.data.display()))
}

/// What people may call a run.
pub fn name_of(args: &TrainArgs) -> String {
    args.data.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The options of a training, as far as they make sense where nodes train together.
pub fn options(args: &TrainArgs) -> Result<TrainOptions> {
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
pub fn as_flag(error: LearnError) -> anyhow::Error {
    match error {
        LearnError::Option { option, got, want } => {
            Usage(format!("--{} {got}: {want}", option.replace(' ', "-"))).into()
        }
        LearnError::Nn(error) => as_flags(error),
        other => other.into(),
    }
}

/// What is done, in a few words.
pub fn words(found: &Found) -> String {
    let (how, rounds) = (&found.how, found.rounds);
    match how.mode {
        Mode::Auto if how.rounds.is_none() => {
            format!("auto, an exchange every 1 to {} steps, {rounds} steps of each", how.local_steps())
        }
        Mode::Auto => format!("auto, an exchange every 1 to {} steps, {rounds} rounds", how.local_steps()),
        Mode::Sync => format!("sync, an exchange every step, {rounds} rounds"),
        mode => format!("{mode}, an exchange every {} steps, {rounds} rounds", how.local_steps()),
    }
}
