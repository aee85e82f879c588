//! One network from a file's rows, divided among processes of this machine or simulated nodes.

use super::args::DemoArgs;
use super::compare::{Compared, compare, measure, yardstick};
use super::prepare::Prepared;
use super::processes;
use super::report::Report;
use super::rows::{divide, part, shard};
use super::simulate::simulate;
use crate::commands::model::convert;
use crate::support::child::unless_interrupted;
use crate::support::model::{Kind, Loaded};
use crate::support::output::{Files, Output};
use crate::support::ui::Ui;
use anyhow::{Result, bail};
use mayfly_nn::tabular::{ModelKind, Predictor};
use mayfly_nn::{InMemory, Model, Network};

pub fn run(args: &DemoArgs, ui: Ui) -> Result<()> {
    let nodes = usize::from(args.simulate.unwrap_or(args.nodes));
    if let Some(kill) = args.kill.iter().find(|kill| kill.node >= nodes) {
        bail!("--kill {}@…: there are processes 0 to {}", kill.node, nodes - 1);
    }
    let mut files = Files::reading([("the data", &*args.train.data)])?;
    let model = args.train.output.as_deref().map(|path| files.writing("-o", path, super::MODEL)).transpose()?;
    files.refuse_json(ui)?;
    let prepared = Prepared::of(&args.train, &args.how, ui)?;
    let (report, network) = learn(args, &prepared, nodes, ui)?;
    if let Some(output) = &model {
        save(&prepared, network, output, ui)?;
    }
    files.result(ui, &report.text(), &report.json())?;
    match report.is_common() {
        true => Ok(()),
        false => bail!("the nodes did not end with the same network"),
    }
}

fn learn(args: &DemoArgs, prepared: &Prepared, nodes: usize, ui: Ui) -> Result<(Report, Network)> {
    let parts = divide(prepared, args.split, nodes)?;
    let folder = tempfile::tempdir()?;
    let (rows, seed) = (prepared.parts.training.len(), prepared.parts.plan.config.seed);
    let found = prepared.found(folder.path(), nodes, shard(prepared, &parts[0]))?;
    let (rounds, local_steps) = (found.rounds, found.how.local_steps());
    let compared = if args.no_compare { None } else { Some(compared(prepared, &parts, ui)?) };
    let (progress, network, history) = match args.simulate {
        Some(_) => {
            let came = simulate(prepared, &found, &parts, seed, ui)?;
            (came.progress, came.network, Some(came.history))
        }
        None => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let played = processes::play(&args.kill, prepared, &parts, found, ui);
            let (progress, network) = runtime.block_on(unless_interrupted(played))?;
            (progress, network, None)
        }
    };
    let (on, over) = yardstick(prepared);
    let measured = measure(&network, &prepared.parts.plan.encoder, on, over)?;
    let steps = match progress.iter().map(|progress| progress.steps).max() {
        Some(steps) if steps > 0 => steps, // as many in each round as its state said
        _ => rounds * local_steps,
    };
    let passed = steps as f64 * (prepared.batch() * nodes) as f64;
    let (passes, parameters) = (passed / rows as f64, network.params().len());
    let (mode, split) = (args.how.mode, args.split);
    let report = Report { mode, split, steps, passes, parameters, seed, progress, measured, compared, history };
    Ok((report, network))
}

fn save(prepared: &Prepared, network: Network, output: &Output, ui: Ui) -> Result<()> {
    let kind = Kind::of(output.path()).unwrap_or(Kind::Model(ModelKind::Native));
    let model = Model::new(network).with_encoder(&prepared.parts.plan.encoder)?;
    let predictor = Predictor::new(model, Some(prepared.parts.plan.encoder.clone()))?;
    convert::write(&Loaded::from(predictor), kind, output, "model", ui)
}

fn compared(prepared: &Prepared, parts: &[Vec<usize>], ui: Ui) -> Result<Compared> {
    ui.note(format!("to compare with: all rows in one place, and each node alone, {} passes …", prepared.epochs));
    let shards: Vec<InMemory> = parts.iter().map(|rows| part(&prepared.parts.training, rows)).collect::<Result<_>>()?;
    compare(prepared, &shards)
}
