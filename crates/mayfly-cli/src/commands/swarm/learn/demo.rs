//! `mayfly swarm learn DATA`: real processes of this machine, each with its part of the rows.

use super::args::{DemoArgs, Kill};
use super::ask::LearnAsk;
use super::compare::{Compared, compare, measure, yardstick};
use super::prepare::{Prepared, words};
use super::report::Report;
use crate::commands::model::convert;
use crate::commands::swarm::control::Ask;
use crate::commands::swarm::demo::crew::Crew;
use crate::support::child::unless_interrupted;
use crate::support::model::{Kind, Loaded};
use crate::support::output::{Files, Output};
use crate::support::ui::Ui;
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use mayfly_learn::{Progress, Split};
use mayfly_nn::tabular::{ModelKind, Predictor};
use mayfly_nn::{InMemory, Measured};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

/// For processes to find each other.
const ASSEMBLE: Duration = Duration::from_secs(60);
/// A round that takes longer is one that does not come.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at the nodes.
const LOOK: Duration = Duration::from_millis(50);
/// A process that was killed is started again after so long.
const DOWN: Duration = Duration::from_secs(2);
/// Where there is no terminal, about so many lines are written over a run.
const QUIET_LINES: u64 = 10;

pub fn run(args: &DemoArgs, ui: Ui) -> Result<()> {
    let nodes = usize::from(args.nodes);
    if let Some(kill) = args.kill.iter().find(|kill| kill.node >= nodes) {
        bail!("--kill {}@…: there are processes 0 to {}", kill.node, nodes - 1);
    }
    let mut files = Files::reading([("the data", &*args.train.data)])?;
    let model = args.train.output.as_deref().map(|path| files.writing("-o", path, super::MODEL)).transpose()?;
    files.refuse_json(ui)?;
    let prepared = Prepared::of(&args.train, ui)?;
    let parts = divide(&prepared, args.split, nodes)?;
    let compared = if args.no_compare { None } else { Some(compared(&prepared, &parts, ui)?) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (report, predictor) = runtime.block_on(unless_interrupted(play(args, &prepared, &parts, compared, ui)))?;
    if let Some(output) = &model {
        save(predictor, output, ui)?;
    }
    files.result(ui, &report.text(), &report.json())?;
    match report.is_common() {
        true => Ok(()),
        false => bail!("the nodes did not end with the same network"),
    }
}

fn save(predictor: Predictor, output: &Output, ui: Ui) -> Result<()> {
    let kind = Kind::of(output.path()).unwrap_or(Kind::Model(ModelKind::Native));
    convert::write(&Loaded::from(predictor), kind, output, "model", ui)
}

/// The places, among the training rows, of each node's.
fn divide(prepared: &Prepared, split: Split, nodes: usize) -> Result<Vec<Vec<usize>>> {
    let training = &prepared.parts.training;
    let classes = Split::classes(training.targets(), prepared.parts.encoder.target_width());
    let of = split.assign(&classes, nodes, prepared.parts.config.seed)?;
    let mut parts = vec![Vec::new(); nodes];
    of.iter().enumerate().for_each(|(row, node)| parts[*node].push(row));
    Ok(parts)
}

fn compared(prepared: &Prepared, parts: &[Vec<usize>], ui: Ui) -> Result<Compared> {
    ui.note(format!("to compare with: all rows in one place, and each node alone, {} passes …", prepared.epochs));
    let shards: Vec<InMemory> = parts.iter().map(|rows| part(&prepared.parts.training, rows)).collect::<Result<_>>()?;
    compare(prepared, &shards)
}

fn part(all: &InMemory, rows: &[usize]) -> Result<InMemory> {
    let (inputs, targets) = (all.inputs().len() / all.len(), all.targets().len() / all.len());
    let pick =
        |values: &[f32], len: usize| rows.iter().flat_map(|row| values[row * len..(row + 1) * len].to_vec()).collect();
    Ok(InMemory::new(inputs, targets, pick(all.inputs(), inputs), pick(all.targets(), targets))?)
}

async fn play(
    args: &DemoArgs,
    prepared: &Prepared,
    parts: &[Vec<usize>],
    compared: Option<Compared>,
    ui: Ui,
) -> Result<(Report, Predictor)> {
    let nodes = parts.len();
    let rounds = prepared.rounds(&args.how, nodes, prepared.parts.training.len());
    ui.note(format!(
        "starting {nodes} processes; {}, {rounds} rounds …",
        words(&args.how, prepared.local_steps(&args.how))
    ));
    let mut crew = Crew::start(nodes, "mesh", None).await?;
    crew.wait_for_all(ASSEMBLE).await?;
    let folder = tempfile::tempdir()?;
    let run = begin(args, prepared, parts, &mut crew, folder.path(), rounds).await?;
    let progress = follow(&mut crew, &args.kill, rounds, ui).await?;
    let path = folder.path().join("together.mayfly");
    crew.client(0)?.ask(&Ask::Learn { learn: LearnAsk::Save { run, path: path.clone() } }).await?;
    crew.stop().await;
    let predictor = Predictor::load(&path)?;
    let measured = measured(prepared, &predictor)?;
    let parameters = prepared.parts.network.params().len();
    let local_steps = prepared.local_steps(&args.how);
    let passes =
        rounds as f64 * (local_steps as usize * prepared.batch() * nodes) as f64 / prepared.parts.training.len() as f64;
    let seed = prepared.parts.config.seed;
    let report = Report {
        mode: args.how.mode,
        split: args.split,
        local_steps,
        passes,
        parameters,
        seed,
        progress,
        measured,
        compared,
    };
    Ok((report, predictor))
}

fn measured(prepared: &Prepared, predictor: &Predictor) -> Result<Measured> {
    let (rows, over) = yardstick(prepared);
    measure(&predictor.model.network, &prepared.parts.encoder, rows, over)
}

/// The first founds the run, the others join.
async fn begin(
    args: &DemoArgs,
    prepared: &Prepared,
    parts: &[Vec<usize>],
    crew: &mut Crew,
    folder: &Path,
    rounds: u64,
) -> Result<String> {
    let shard = |i: usize| {
        let numbers = parts[i].iter().map(|row| prepared.parts.row_numbers[*row]).collect();
        prepared.shard(Some(numbers))
    };
    let found = prepared.found(&args.how, folder, parts.len(), rounds, shard(0))?;
    let answer = crew.client(0)?.ask(&Ask::Learn { learn: LearnAsk::Found(Box::new(found)) }).await?;
    let run = answer["run"].as_str().context("the node did not name its run")?.to_owned();
    for i in 1..parts.len() {
        let learn = LearnAsk::Join { run: run.clone(), shard: shard(i) };
        crew.client(i)?.ask(&Ask::Learn { learn }).await?;
    }
    Ok(run)
}

/// Watches until all are at the end; kills who is to be killed. How each has fared.
async fn follow(crew: &mut Crew, kills: &[Kill], rounds: u64, ui: Ui) -> Result<Vec<Progress>> {
    let mut all: BTreeMap<usize, Progress> = BTreeMap::new();
    let mut due = Due::new(kills);
    let mut line = Line::new(rounds, ui);
    let (mut begun, mut furthest, mut moved) = (None, 0, Instant::now());
    loop {
        for i in 0..crew.len() {
            let Ok(client) = crew.client(i) else { continue };
            let answer = client.ask(&Ask::Learn { learn: LearnAsk::Progress }).await?;
            let runs: Vec<Progress> = serde_json::from_value(answer["runs"].clone())?;
            if let Some(progress) = runs.into_iter().next() {
                if let Some(error) = &progress.error {
                    bail!("node {i}: {error}");
                }
                all.insert(i, progress);
            }
        }
        if all.values().any(|progress| progress.members > 0) {
            begun.get_or_insert_with(Instant::now);
        }
        let round = all.values().map(|progress| progress.round).max().unwrap_or(0);
        if round > furthest {
            (furthest, moved) = (round, Instant::now());
        }
        line.show(&all, furthest);
        let is_over = all.len() == crew.len() && all.values().all(|progress| progress.is_over);
        if is_over && due.is_over() {
            line.end();
            return Ok(all.into_values().collect());
        }
        if moved.elapsed() > PATIENCE {
            bail!("round {} of {rounds} does not come to an end", furthest + 1);
        }
        if let Some(begun) = begun {
            due.carry_out(crew, begun, ui).await?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Kills and starts that are still to come, the last first.
struct Due(Vec<(Duration, usize, Act)>);

#[derive(Clone, Copy)]
enum Act {
    Kill,
    Start,
}

impl Due {
    fn new(kills: &[Kill]) -> Self {
        let both = |kill: &Kill| [(kill.after, kill.node, Act::Kill), (kill.after + DOWN, kill.node, Act::Start)];
        let mut due: Vec<_> = kills.iter().flat_map(both).collect();
        due.sort_by_key(|(after, ..)| std::cmp::Reverse(*after));
        Self(due)
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    async fn carry_out(&mut self, crew: &mut Crew, begun: Instant, ui: Ui) -> Result<()> {
        while let Some((_, node, act)) = self.0.pop_if(|(after, ..)| begun.elapsed() >= *after) {
            match act {
                Act::Kill => {
                    ui.note(format!("kill -9 of node {node}"));
                    crew.kill(node);
                }
                Act::Start => {
                    ui.note(format!("node {node} starts again"));
                    crew.restart(node).await?;
                }
            }
        }
        Ok(())
    }
}

/// The line that a person watches.
struct Line {
    bar: ProgressBar,
    ui: Ui,
    rounds: u64,
    is_terminal: bool,
    said: u64,
}

impl Line {
    fn new(rounds: u64, ui: Ui) -> Self {
        Self {
            bar: ui.progress("round", rounds as usize),
            ui,
            rounds,
            is_terminal: std::io::stderr().is_terminal(),
            said: 0,
        }
    }

    fn show(&mut self, all: &BTreeMap<usize, Progress>, round: u64) {
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

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
