//! Whole swarms in simulated time: rounds and bytes until a write is everywhere, with and without failures, and what it would have cost in JSON.

use crate::report::Row;
use anyhow::{Context, Result};
use mayfly_swarm::memory::Message;
use mayfly_swarm::sim::{Sim, SimConfig, measure, rounds_to_reach};
use mayfly_swarm::topology;
use mayfly_wire::{Frame, Kind, Limits};
use serde_json::{Value, json};

const NODES: [usize; 6] = [4, 8, 16, 32, 64, 128];
/// Rounds per doubling of the members that gossip on a mesh may take.
const PER_DOUBLING: f64 = 3.0;

pub fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for name in topology::NAMES {
        for nodes in NODES {
            rows.push(convergence(name, nodes)?);
        }
    }
    rows.push(beside_json()?);
    Ok(rows)
}

fn convergence(name: &str, nodes: usize) -> Result<Row> {
    let config = SimConfig { nodes, topology: name.into(), ..SimConfig::default() };
    let report = measure(&config)?;
    let after =
        |failures| -> Result<Value> { Ok(rounds_to_reach(&config, failures)?.map_or(Value::Null, Value::from)) };
    let mut figures = vec![
        ("rounds", json!(report.rounds_to_converge)),
        ("rounds_p50", json!(report.rounds_p50)),
        ("bytes_per_write", json!(report.bytes_per_write)),
        ("rounds_one_failed", after(1)?),
        ("rounds_two_failed", after(2)?),
        ("rounds_half_failed", after((nodes - 1) / 2)?),
        ("detect_ms_max", json!(report.detect_ms_max)),
        ("heal_ms", json!(report.heal_ms)),
        ("false_deaths", json!(report.false_deaths)),
        ("replicas_equal", json!(report.replicas_equal)),
    ];
    if name == "mesh" {
        figures.push(("ceiling_rounds", json!(PER_DOUBLING * (nodes as f64).log2())));
    }
    Ok(Row::new(format!("convergence, {name}, {nodes} nodes"), figures))
}

/// Everything that five nodes ask and answer in a minute of ten writes a second, as frames and as JSON.
fn beside_json() -> Result<Row> {
    let mut sim = Sim::new(SimConfig::default())?;
    sim.run_until(50, 60_000, Sim::agrees_on_members).context("they do not find each other")?;
    sim.keep_messages();
    for i in 0..600_usize {
        let value = format!("written by node {} as key {i}, some sixty bytes of text, as settings have", i % 5);
        sim.write(i % 5, format!("demo/{i}").as_bytes(), Some(value.as_bytes()))?;
        sim.run_for(100);
    }
    let (mut ours, mut theirs) = (0, 0);
    let messages = sim.take_messages();
    for payload in &messages {
        ours += Frame::encode(Kind::Request, 2, 1, payload, Limits::default().payload)?.len();
        theirs += readable(serde_json::to_value(Message::decode(payload)?)?).to_string().len();
    }
    let less = 100.0 * (1.0 - ours as f64 / theirs as f64);
    let figures = vec![
        ("messages", json!(messages.len())),
        ("bytes", json!(ours)),
        ("json_bytes", json!(theirs)),
        ("less_percent", json!(less)),
    ];
    Ok(Row::new("traffic, 5 nodes, 600 writes", figures))
}

/// As somebody would write it in JSON: bytes that are text as text, names of nodes as hexadecimal digits.
fn readable(value: Value) -> Value {
    match value {
        Value::Array(items) => match items.iter().map(byte).collect::<Option<Vec<u8>>>() {
            Some(bytes) if !bytes.is_empty() => Value::String(text(bytes)),
            _ => Value::Array(items.into_iter().map(readable).collect()),
        },
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| if name == "known" { (name, value) } else { (name, readable(value)) })
            .collect(),
        other => other,
    }
}

fn byte(value: &Value) -> Option<u8> {
    value.as_u64()?.try_into().ok()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| e.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
}
