//! `mayfly swarm learn start`: a run on the nodes of a swarm.

use super::args::StartArgs;
use super::ask::{Found, LearnAsk};
use super::prepare::{Prepared, as_flag, file_of, found, name_of, options};
use crate::commands::train::words::as_flags;
use crate::support::exit::Usage;
use crate::support::ui::{Ui, grouped};
use anyhow::{Context, Result};
use mayfly_learn::{Call, Shard, read_shard};
use mayfly_nn::tabular::{Predictor, plan_like};
use std::path::Path;

/// Digits of a run's name that are enough.
const DIGITS: usize = 10;

pub async fn start(args: &StartArgs, ui: Ui) -> Result<()> {
    if args.train.output.is_some() || args.train.test.is_some() {
        let instead = "a run goes on after this command: `mayfly swarm learn save` writes the network, and `mayfly eval` tests it";
        return Err(Usage(format!("-o and --test do not go with start: {instead}")).into());
    }
    let folder = tempfile::tempdir()?;
    let learn = match (&args.train.from, &args.schema) {
        (Some(_), _) => found_from(args, folder.path(), ui)?,
        (None, Some(schema)) => found_like(args, schema, folder.path(), ui)?,
        (None, None) => call(args, folder.path(), ui)?,
    };
    let answer = super::ask(&args.node, learn).await?;
    let run = answer["run"].as_str().context("the node did not name its run")?;
    let name = &run[..DIGITS.min(run.len())];
    let others = match args.members - 1 {
        0 => String::new(),
        1 => format!("; it begins when another node says: mayfly swarm learn join {name} --shard DATA"),
        n => format!("; it begins when {n} other nodes say: mayfly swarm learn join {name} --shard DATA"),
    };
    ui.result(&format!("run {run}{others}"), &answer)
}

/// Asks all who join what their rows are like, and begins then.
fn call(args: &StartArgs, folder: &Path, ui: Ui) -> Result<LearnAsk> {
    let options = options(&args.train)?;
    let shard = Shard { file: file_of(&args.train)?, rows: None, reading: options.file.clone() };
    let (name, how) = (name_of(&args.train), args.how.how(args.train.epochs));
    let call = Call::new(&name, usize::from(args.members), &options, how, &shard).map_err(as_flag)?;
    let rows = grouped(usize::try_from(call.first.training_rows())?);
    ui.note(format!("{rows} rows here; to predict: {}", call.first.target_names().join(", ")));
    for left in call.first.left_out() {
        ui.note(format!("left out: {} ({})", left.name, left.reason.text()));
    }
    let path = folder.join("call");
    std::fs::write(&path, call.to_bytes()?)?;
    Ok(LearnAsk::Call { call: path, shard })
}

/// Goes on with a network, whose encoder is that of the run.
fn found_from(args: &StartArgs, folder: &Path, ui: Ui) -> Result<LearnAsk> {
    let prepared = Prepared::of(&args.train, &args.how, ui)?;
    let shard = prepared.shard(Some(prepared.parts.row_numbers.clone()));
    Ok(LearnAsk::Found(Box::new(prepared.found(folder, usize::from(args.members), shard)?)))
}

/// Takes the encoder of a model: the rows of no node need to be known.
fn found_like(args: &StartArgs, schema: &Path, folder: &Path, ui: Ui) -> Result<LearnAsk> {
    let options = options(&args.train)?;
    let encoder = Predictor::load(schema)?.encoder;
    let encoder = encoder.with_context(|| format!("{} does not say what its columns are", schema.display()))?;
    let plan = plan_like(encoder, &options).map_err(as_flags)?;
    let shard = Shard { file: file_of(&args.train)?, rows: None, reading: options.file.clone() };
    let rows = read_shard(&shard, &plan.encoder)?.len();
    let (members, how) = (usize::from(args.members), args.how.how(args.train.epochs));
    // The others' rows are not known here: that they have as many is a guess.
    let rounds = how.rounds(&plan.config, members, (rows * members) as u64);
    ui.note(format!("{} rows here; {rounds} rounds", grouped(rows)));
    let (name, config) = (name_of(&args.train), how.inner(&plan.config, &options).map_err(as_flag)?);
    let about = Found { model: schema.to_owned(), name, rounds, how, config, members, shard };
    Ok(LearnAsk::Found(Box::new(found(&plan, folder, about)?)))
}
