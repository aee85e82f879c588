//! What the demo measured.

use super::super::percentile;
use super::{Write, number};
use crate::support::ui::grouped;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

pub struct Report {
    nodes: usize,
    writes: usize,
    write_ms: Vec<f64>,
    propagate_ms: Vec<f64>,
    converge_ms: Vec<f64>,
    handshake_ms: Vec<f64>,
    bytes_sent: u64,
    bytes_as_json: u64,
    lost: usize,
    equal: bool,
    key_exchange: String,
    signature: String,
}

impl Report {
    pub fn new(
        writes: &[Write],
        arrivals: &BTreeMap<(usize, String), Instant>,
        statuses: &[Value],
        bytes_sent: u64,
        lost: usize,
        equal: bool,
    ) -> Self {
        let nodes = statuses.len();
        let (mut propagate_ms, mut converge_ms) = (Vec::new(), Vec::new());
        for write in writes.iter().filter(|write| write.is_calm) {
            let others = (0..nodes).filter(|&i| i != write.by);
            let arrived: Vec<f64> = others
                .filter_map(|i| {
                    let arrived = arrivals.get(&(i, write.key.clone()))?;
                    Some(arrived.saturating_duration_since(write.acknowledged).as_secs_f64() * 1e3)
                })
                .collect();
            // A write that did not get everywhere in time never converged.
            let all =
                if arrived.len() + 1 < nodes { f64::INFINITY } else { arrived.iter().copied().fold(0.0, f64::max) };
            converge_ms.push(all);
            propagate_ms.extend(arrived);
        }
        let json: usize = writes.iter().map(|write| write.json_bytes).sum();
        let text = |name: &str| statuses.first().and_then(|s| s[name].as_str()).unwrap_or_default().to_string();
        Self {
            nodes,
            writes: writes.len(),
            write_ms: sorted(writes.iter().map(|write| write.took_ms).collect()),
            propagate_ms: sorted(propagate_ms),
            converge_ms: sorted(converge_ms),
            handshake_ms: sorted(statuses.iter().map(|s| number(s, "handshake_ms")).filter(|&ms| ms > 0.0).collect()),
            bytes_sent,
            bytes_as_json: (json * (nodes - 1)) as u64,
            lost,
            equal,
            key_exchange: text("key_exchange"),
            signature: text("signature"),
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "nodes": self.nodes, "writes": self.writes,
            "write_ms_p50": percentile(&self.write_ms, 50), "write_ms_p95": percentile(&self.write_ms, 95),
            "propagate_ms_p95": percentile(&self.propagate_ms, 95), "converge_ms_p95": percentile(&self.converge_ms, 95),
            "bytes_sent": self.bytes_sent, "bytes_as_json": self.bytes_as_json,
            "lost_acknowledged": self.lost, "replicas_equal": self.equal,
            "handshake_ms_p50": percentile(&self.handshake_ms, 50),
            "key_exchange": self.key_exchange, "signature": self.signature,
        })
    }

    pub fn text(&self) -> String {
        let ms = |sorted: &[f64], percent| format!("{:.1} ms", percentile(sorted, percent));
        let row = |name: &str, value: String, note: &str| format!("  {name:<12}{value:>14}  {note}\n");
        let mut text = format!("\n{} processes, {} writes acknowledged\n\n", self.nodes, self.writes);
        text += &row("write", ms(&self.write_ms, 50), "the middle one, on the writer's disk when acknowledged");
        text += &row("", ms(&self.write_ms, 95), "95 of 100 were faster");
        text += &row(
            "propagate",
            ms(&self.propagate_ms, 95),
            "until another node had it, 95 of 100, while nothing was broken",
        );
        text += &row("converge", ms(&self.converge_ms, 95), "until every node had it");
        text += &row("handshake", ms(&self.handshake_ms, 50), &format!("{}, {}", self.key_exchange, self.signature));
        text += &row(
            "sent",
            grouped(self.bytes_sent as usize),
            "bytes of UDP in all: membership, gossip, handshakes, repeats",
        );
        text += &row(
            "as JSON",
            grouped(self.bytes_as_json as usize),
            "bytes, had each record gone once to each other node, and nothing else",
        );
        text += &row("lost", self.lost.to_string(), "acknowledged writes that some node lacks");
        text + &row("replicas", if self.equal { "equal" } else { "NOT EQUAL" }.into(), "by the hash of the memory")
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
