//! The commands that talk to a running node.

use super::args::{SwarmCommand, Target};
use super::control::{Ask, Client};
use crate::support::ui::{Ui, grouped, seconds};
use anyhow::Result;
use serde_json::Value;
use std::fmt::Write;

pub fn run(command: SwarmCommand, ui: Ui) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(talk(command, ui))
}

async fn talk(command: SwarmCommand, ui: Ui) -> Result<()> {
    let one = async |target: &Target, ask: Ask| Client::connect(&target.data).await?.ask(&ask).await;
    match command {
        SwarmCommand::Status { target, watch: false } => {
            let status = one(&target, Ask::Status).await?;
            ui.result(&status_text(&status), &status)
        }
        SwarmCommand::Status { target, .. } => watch_status(&target, ui).await,
        SwarmCommand::Members(target) => {
            let status = one(&target, Ask::Status).await?;
            ui.result(&members_text(&status), &serde_json::json!({ "members": status["members"] }))
        }
        SwarmCommand::Topology(target) => {
            let status = one(&target, Ask::Status).await?;
            let object = serde_json::json!({ "topology": status["topology"], "neighbours": status["neighbours"] });
            ui.result(&topology_text(&status), &object)
        }
        SwarmCommand::Token { target, minutes, contact } => {
            let answer = one(&target, Ask::Token { minutes, contact }).await?;
            ui.note(format!("lets one node in, for {minutes} minutes: mayfly node --data DIR --token TOKEN"));
            ui.result(str_of(&answer, "token"), &answer)
        }
        SwarmCommand::Revoke { node, target } => {
            let answer = one(&target, Ask::Revoke { node: node.clone() }).await?;
            ui.result(&format!("{node} is shut out"), &answer)
        }
        SwarmCommand::Get { key, target } => {
            let answer = one(&target, Ask::Get { key }).await?;
            let text = answer["value"].as_str().map_or_else(|| str_of(&answer["value"], "hex").into(), String::from);
            ui.result(&text, &answer)
        }
        SwarmCommand::Put { key, value, target } => {
            let answer = one(&target, Ask::Put { key, value }).await?;
            ui.result("stored", &answer)
        }
        SwarmCommand::Delete { key, target } => {
            let answer = one(&target, Ask::Delete { key }).await?;
            ui.result("deleted", &answer)
        }
        SwarmCommand::Watch { prefix, target } => watch(&target, prefix, ui).await,
        SwarmCommand::Demo(_) | SwarmCommand::Simulate(_) => Ok(()), // run elsewhere
    }
}

fn str_of<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

async fn watch(target: &Target, prefix: String, ui: Ui) -> Result<()> {
    let mut client = Client::connect(&target.data).await?;
    client.ask(&Ask::Watch { prefix }).await?;
    while let Some(change) = client.next().await? {
        let value = match &change["value"] {
            Value::Null => "(deleted)".into(),
            Value::String(text) => text.clone(),
            other => format!("0x{}", str_of(other, "hex")),
        };
        let by: String = str_of(&change, "by").chars().take(10).collect();
        ui.result(&format!("{}  {value}  by {by}", str_of(&change, "key")), &change)?;
    }
    Ok(())
}

async fn watch_status(target: &Target, ui: Ui) -> Result<()> {
    let mut client = Client::connect(&target.data).await?;
    loop {
        let status = client.ask(&Ask::Status).await?;
        let text = status_text(&status);
        // Home, the text, and nothing left of the last one below it.
        let screen = format!("\x1b[H\x1b[2J{text}");
        ui.result(if ui.json { "" } else { &screen }, &status)?;
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

pub fn status_text(status: &Value) -> String {
    let number = |name: &str| status[name].as_u64().unwrap_or(0) as usize;
    let mut text = format!(
        "node {} at {}, up {}\n",
        &str_of(status, "id").get(..10).unwrap_or_default(),
        str_of(status, "addr"),
        seconds(number("up_ms") as f64 / 1e3)
    );
    let count = |name: &str, one: &str| {
        let n = number(name);
        format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
    };
    let root = str_of(status, "root").get(..8).unwrap_or_default();
    let (keys, tombstones) = (count("keys", "key"), count("tombstones", "tombstone"));
    let _ = writeln!(text, "memory  {keys}, {}, {tombstones}, root {root}", count("memory_bytes", "byte"));
    let (messages, packets) = (count("messages", "message"), count("datagrams", "packet"));
    let (of_messages, of_packets) = (count("message_bytes", "byte"), count("datagram_bytes", "byte"));
    let _ = writeln!(text, "traffic {messages} of {of_messages}, {packets} of {of_packets}\n");
    text + &members_text(status)
}

fn members_text(status: &Value) -> String {
    let none = Vec::new();
    let members = status["members"].as_array().unwrap_or(&none);
    if members.is_empty() {
        return "no other members yet: `mayfly swarm token` lets one in\n".into();
    }
    let (links, neighbours) = (status["links"].as_array().unwrap_or(&none), &status["neighbours"]);
    let is_neighbour = |id: &str| neighbours.as_array().is_some_and(|list| list.iter().any(|n| n == id));
    let mut text = format!(
        "  {:<11} {:<6} {:<21} {:<7} {:>9} {:>13} {:>13}\n",
        "member", "state", "address", "role", "rtt", "sent", "received"
    );
    for member in members {
        let id = str_of(member, "id");
        let link = links.iter().find(|link| link["id"] == id);
        let bytes = |name: &str| link.and_then(|l| l[name].as_u64()).map_or("–".into(), |n| grouped(n as usize));
        let rtt = link.and_then(|link| link["rtt_ms"].as_f64()).map_or("–".into(), |ms| seconds(ms / 1e3));
        let _ = writeln!(
            text,
            "{} {:<11} {:<6} {:<21} {:<7} {:>9} {:>13} {:>13}",
            if is_neighbour(id) { "·" } else { " " },
            id.get(..10).unwrap_or_default(),
            str_of(member, "state").to_lowercase(),
            str_of(member, "addr"),
            str_of(member, "role").to_lowercase(),
            rtt,
            bytes("sent_bytes"),
            bytes("received_bytes")
        );
    }
    text
}

fn topology_text(status: &Value) -> String {
    let mut text = format!("{}: this node talks to\n", str_of(status, "topology"));
    for id in status["neighbours"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(text, "  {}", id.get(..10).unwrap_or_default());
    }
    text
}
