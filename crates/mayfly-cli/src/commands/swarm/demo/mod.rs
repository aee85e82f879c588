//! `mayfly swarm demo`: real processes on loopback, behind relays that lose and cut.

pub mod crew;
mod report;

use super::args::DemoArgs;
use super::control::{Ask, Bytes, Client};
use super::picture;
use super::relay::Faults;
use crate::support::child::unless_interrupted;
use crate::support::output::{Files, Output, PICTURE};
use crate::support::ui::Ui;
use anyhow::{Result, bail};
use crew::{Crew, Seen};
use mayfly_base::Rng;
use report::Report;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A write that was acknowledged.
pub struct Write {
    key: String,
    by: usize,
    acknowledged: Instant,
    took_ms: f64,
    json_bytes: usize,
    /// Made while nobody was down or cut off: those are measured.
    is_calm: bool,
}

/// Between writes.
const PAUSE: Duration = Duration::from_millis(40);
/// For the swarm to form, and to become equal again.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(args: &DemoArgs, ui: Ui) -> Result<()> {
    if !(0.0..=0.5).contains(&args.loss) {
        bail!("--loss is a share from 0 to 0.5, not {}", args.loss);
    }
    let mut files = Files::reading([])?;
    let plot = args.plot.as_deref().map(|path| files.writing("--plot", path, PICTURE)).transpose()?;
    files.refuse_json(ui)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(unless_interrupted(play(args, plot.as_ref(), ui)))?;
    files.result(ui, &report.text(), &report.json())
}

async fn play(args: &DemoArgs, plot: Option<&Output>, ui: Ui) -> Result<Report> {
    let faults = Faults::new(args.loss);
    ui.note(format!("starting {} processes …", args.nodes));
    let mut crew = Crew::start(usize::from(args.nodes), &args.topology, Some(faults.clone())).await?;
    crew.wait_for_all(PATIENCE).await?;
    let seen = Seen::default();
    for i in 0..crew.len() {
        crew.watch(i, &seen).await?;
    }
    let before = faults.bytes();
    let writes = act(&mut crew, args.seconds, &seen, &faults, ui).await?;
    ui.note("waiting until all are equal …");
    let equal = crew.wait_for_equal(PATIENCE).await?;
    let lost = crew.count_missing(&writes).await?;
    let statuses = crew.statuses().await?;
    let arrivals = seen.take();
    if let Some(plot) = plot {
        let spread = spread_of(&writes, &arrivals, crew.len());
        plot.write(|out| Ok(out.write_all(picture::draw(&statuses, &spread).as_bytes())?))?;
        ui.note(format!("picture in {plot}"));
    }
    crew.stop().await;
    Ok(Report::new(&writes, &arrivals, &statuses, faults.bytes() - before, lost, equal))
}

/// Writes all the time; kills, restarts, cuts and heals on the way.
async fn act(crew: &mut Crew, seconds: u64, seen: &Seen, faults: &Faults, ui: Ui) -> Result<Vec<Write>> {
    let start = Instant::now();
    let at = |share: f64| Duration::from_secs_f64(seconds as f64 * share);
    let (mut rng, mut writes) = (Rng::new(7), Vec::new());
    let victim = crew.len() - 1;
    let mut stage = 0;
    for i in 0.. {
        let now = start.elapsed();
        if now > at(1.0) {
            break;
        }
        match stage {
            0 if now > at(0.4) => {
                ui.note(format!("kill -9 of node {victim}, in the middle of its writes"));
                writes.extend(crew.kill_while_writing(victim).await);
            }
            1 if now > at(0.55) => {
                ui.note("restart from its disk");
                crew.restart(victim).await?;
                crew.watch(victim, seen).await?;
            }
            2 if now > at(0.7) => {
                ui.note("cut in two halves");
                faults.cut(crew.halves());
            }
            3 if now > at(0.9) => {
                ui.note("healed");
                faults.cut(BTreeMap::new().into_iter().collect());
            }
            _ => stage -= 1,
        }
        stage += 1;
        let by = rng.below(crew.len() as u64) as usize;
        if stage != 1 || by != victim {
            writes.extend(put(crew.client(by)?, by, format!("demo/{i}"), stage == 0).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
    faults.cut(BTreeMap::new().into_iter().collect());
    Ok(writes)
}

/// One write; nothing when it was not acknowledged.
async fn put(client: &mut Client, by: usize, key: String, is_calm: bool) -> Option<Write> {
    let value = format!("written by node {by} as {key}, some sixty bytes of text, as settings have");
    let json_bytes = serde_json::json!({
        "key": key, "value": value, "stamp": { "ms": 1_767_225_600_000_u64, "count": 0, "node": "0".repeat(64) },
    });
    let begun = Instant::now();
    client.ask(&Ask::Put { key: key.clone(), value: Bytes::Text(value) }).await.ok()?;
    let (acknowledged, took_ms) = (Instant::now(), begun.elapsed().as_secs_f64() * 1e3);
    Some(Write { key, by, acknowledged, took_ms, json_bytes: json_bytes.to_string().len(), is_calm })
}

/// When each node had the calm write that is nearest to the middle of them, in milliseconds after it was acknowledged.
fn spread_of(writes: &[Write], arrivals: &BTreeMap<(usize, String), Instant>, nodes: usize) -> Vec<f64> {
    let calm: Vec<&Write> = writes.iter().filter(|write| write.is_calm).collect();
    let Some(write) = calm.get(calm.len() / 2) else { return Vec::new() };
    let after = |i: usize| {
        let arrived = arrivals.get(&(i, write.key.clone()))?;
        Some(arrived.saturating_duration_since(write.acknowledged).as_secs_f64() * 1e3)
    };
    (0..nodes).filter_map(after).collect()
}

/// A number of a status.
fn number(status: &Value, name: &str) -> f64 {
    status[name].as_f64().unwrap_or(0.0)
}
