//! `mayfly swarm learn DATA`: real processes of this machine, each with its part of the rows.

use super::args::Kill;
use super::ask::{Found, LearnAsk};
use super::line::Line;
use super::prepare::{Prepared, words};
use super::rows::shard;
use crate::commands::swarm::control::Ask;
use crate::commands::swarm::demo::crew::Crew;
use crate::support::ui::Ui;
use anyhow::{Context, Result, bail};
use mayfly_learn::Progress;
use mayfly_nn::Network;
use mayfly_nn::tabular::Predictor;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// For processes to find each other.
const ASSEMBLE: Duration = Duration::from_secs(60);
/// A round that takes longer is one that does not come.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at the nodes.
const LOOK: Duration = Duration::from_millis(50);
/// A process that was killed is started again after so long.
const DOWN: Duration = Duration::from_secs(2);
/// Starts them, lets them learn, and stops them: how each has fared, and the network.
pub async fn play(
    kills: &[Kill],
    prepared: &Prepared,
    parts: &[Vec<usize>],
    found: Found,
    ui: Ui,
) -> Result<(Vec<Progress>, Network)> {
    let (nodes, total) = (parts.len(), found.rounds);
    ui.note(format!("starting {nodes} processes; {} …", words(&found)));
    let mut crew = Crew::start(nodes, "mesh", None).await?;
    crew.wait_for_all(ASSEMBLE).await?;
    let path = found.model.with_file_name("together.mayfly");
    let run = begin(prepared, parts, &mut crew, found).await?;
    let progress = follow(&mut crew, kills, total, ui).await?;
    crew.client(0)?.ask(&Ask::Learn { learn: LearnAsk::Save { run, path: path.clone() } }).await?;
    crew.stop().await;
    Ok((progress, Predictor::load(&path)?.model.network))
}

/// The first founds the run, the others join.
async fn begin(prepared: &Prepared, parts: &[Vec<usize>], crew: &mut Crew, found: Found) -> Result<String> {
    let answer = crew.client(0)?.ask(&Ask::Learn { learn: LearnAsk::Found(Box::new(found)) }).await?;
    let run = answer["run"].as_str().context("the node did not name its run")?.to_owned();
    for (i, rows) in parts.iter().enumerate().skip(1) {
        let learn = LearnAsk::Join { run: run.clone(), shard: shard(prepared, rows) };
        crew.client(i)?.ask(&Ask::Learn { learn }).await?;
    }
    Ok(run)
}

/// How far a node is, in rounds, or in steps where these are what ends the run.
fn place(progress: &Progress) -> u64 {
    if progress.steps_total.is_some() { progress.steps } else { progress.round }
}

/// Watches until all are at the end, after so many rounds or steps; kills who is to be killed. How each has fared.
async fn follow(crew: &mut Crew, kills: &[Kill], total: u64, ui: Ui) -> Result<Vec<Progress>> {
    let mut all: BTreeMap<usize, Progress> = BTreeMap::new();
    let mut due = Due::new(kills);
    let mut line = Line::new(total, ui);
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
        let now = all.values().map(place).max().unwrap_or(0);
        if now > furthest {
            (furthest, moved) = (now, Instant::now());
        }
        line.show(&all, furthest);
        let is_over = all.len() == crew.len() && all.values().all(|progress| progress.is_over);
        if is_over && due.is_over() {
            line.end();
            return Ok(all.into_values().collect());
        }
        if moved.elapsed() > PATIENCE {
            bail!("after {furthest} of {total} rounds, or steps of mode auto, it does not go on");
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
