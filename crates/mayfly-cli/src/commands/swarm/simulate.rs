//! `mayfly swarm simulate`.

use super::args::SimulateArgs;
use crate::support::ui::{Ui, grouped};
use anyhow::Result;
use mayfly_swarm::sim::{SimConfig, SimReport, measure};

pub fn run(args: &SimulateArgs, ui: Ui) -> Result<()> {
    let SimulateArgs { nodes, seed, loss, .. } = *args;
    let config = SimConfig { nodes, seed, loss, topology: args.topology.clone(), ..SimConfig::default() };
    let report = measure(&config)?;
    ui.result(&text(&report), &serde_json::to_value(&report)?)
}

fn text(r: &SimReport) -> String {
    let row = |name: &str, value: String, note: &str| format!("  {name:<12}{value:>14}  {note}\n");
    let ms = |ms: u64| format!("{} ms", grouped(ms as usize));
    let mut text = format!("{} nodes, {}, {:.0} % loss, seed {}\n\n", r.nodes, r.topology, r.loss * 100.0, r.seed);
    text += &row("assemble", ms(r.assemble_ms), "until all knew all");
    text += &row("spread", format!("{} rounds", r.rounds_to_converge), "until the slowest of 20 writes was everywhere");
    text += &row("", ms(r.converge_ms_p95), "95 of 100 writes were faster");
    text += &row("crash", ms(r.detect_ms_max), "until every member knew of it");
    text += &row("cut, healed", ms(r.heal_ms), "until both halves were equal again");
    text += &row("traffic", grouped(r.bytes as usize), "bytes in all");
    text += &row("", grouped(r.bytes_per_write as usize), "bytes of the swarm in the second around a write");
    text += &row("false deaths", r.false_deaths.to_string(), "members declared dead who were not");
    text += &row("replicas", if r.replicas_equal { "equal" } else { "NOT EQUAL" }.into(), "byte for byte, on disk too");
    text
}
