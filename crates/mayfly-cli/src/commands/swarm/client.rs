//! The commands that talk to a running node.

use super::args::SwarmCommand;
use super::control::{Ask, Bytes, Client};
use super::target::Target;
use crate::support::text;
use crate::support::ui::{Ui, grouped, seconds, written};
use anyhow::{Context, Result, bail};
use mayfly_base::atomic::{self, Access};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// The largest value, in bytes.
const MOST_VALUE: u64 = 1 << 20;
/// Keys asked for at once.
const PAGE_KEYS: usize = 1000;

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
            ui.result(&members_text(&status), &json!({ "members": status["members"] }))
        }
        SwarmCommand::Topology(target) => {
            let status = one(&target, Ask::Status).await?;
            let object = json!({ "topology": status["topology"], "neighbours": status["neighbours"] });
            ui.result(&topology_text(&status), &object)
        }
        SwarmCommand::Token { target, minutes, contact, output } => {
            let answer = one(&target, Ask::Token { minutes, contact }).await?;
            hand_out(&answer, minutes, output.as_deref(), ui)
        }
        SwarmCommand::Revoke { node, with_admitted, target } => {
            let answer = one(&target, Ask::Revoke { node, with_admitted }).await?;
            ui.result(&revoked_text(&answer), &answer)
        }
        SwarmCommand::Get { key, output, target } => {
            let answer = one(&target, Ask::Get { key }).await?;
            show_value(&answer, output.as_deref(), ui)
        }
        SwarmCommand::Put { key, value, file, target } => {
            let value = Bytes::of(&value_of(value, file)?);
            let answer = one(&target, Ask::Put { key, value }).await?;
            ui.result("stored", &answer)
        }
        SwarmCommand::Keys { prefix, target } => keys(&target, prefix, ui).await,
        SwarmCommand::Delete { key, target } => {
            let answer = one(&target, Ask::Delete { key }).await?;
            ui.result("deleted", &answer)
        }
        SwarmCommand::Watch { prefix, target } => watch(&target, prefix, ui).await,
        SwarmCommand::Demo(_) | SwarmCommand::Simulate(_) | SwarmCommand::Key(_) | SwarmCommand::Learn(_) => Ok(()), // run elsewhere
    }
}

fn str_of<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

async fn watch(target: &Target, prefix: String, ui: Ui) -> Result<()> {
    let mut client = Client::connect(&target.data).await?;
    client.ask(&Ask::Watch { prefix }).await?;
    while let Some(change) = client.next().await? {
        if let Some(missed) = change["missed"].as_u64() {
            ui.note(format!("{missed} changes went by unseen: they came faster than they were read here"));
            if ui.json {
                ui.result("", &change)?;
            }
            continue;
        }
        let value = match &change["value"] {
            Value::Null => "(deleted)".into(),
            value => shown(value),
        };
        let by: String = str_of(&change, "by").chars().take(10).collect();
        ui.result(&format!("{}  {value}  by {by}", shown(&change["key"])), &change)?;
    }
    Ok(())
}

/// A key or a value on one line; other members wrote it.
fn shown(bytes: &Value) -> String {
    match bytes {
        Value::String(words) => text::plain(words),
        other => format!("0x{}", text::plain(str_of(other, "hex"))),
    }
}

/// A token is a secret: a file gets it for its owner alone, and a file that it is redirected to is looked at.
fn hand_out(answer: &Value, minutes: u64, output: Option<&Path>, ui: Ui) -> Result<()> {
    let token = str_of(answer, "token");
    if let Some(path) = output {
        let written = atomic::write(path, Access::Private, |out| writeln!(out, "{token}"));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        let text = format!("token in {}: lets one node in, for {minutes} minutes", path.display());
        return ui.result(&text, &json!({ "output": path, "expires_ms": answer["expires_ms"] }));
    }
    ui.note(format!("lets one node in, for {minutes} minutes: mayfly node --data DIR --token TOKEN"));
    if let Some(mode) = stdout_mode().filter(|mode| mode & 0o077 != 0) {
        ui.note(format!("the file it goes to may be read by others (mode {mode:03o}), and who reads the token can use it: -o FILE keeps it private"));
    }
    ui.result(token, answer)
}

/// The permissions of the file that standard output is redirected to, if it is.
fn stdout_mode() -> Option<u32> {
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;
    let out = std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned().ok()?);
    let meta = out.metadata().ok()?;
    meta.is_file().then(|| meta.permissions().mode() & 0o777)
}

fn revoked_text(answer: &Value) -> String {
    let (id, already) = (str_of(answer, "revoked"), answer["already"] == true);
    let mut text = format!("{id} {}", if already { "was shut out before" } else { "is shut out" });
    let let_in: Vec<&str> = answer["admitted"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !let_in.is_empty() && !already {
        let what = if answer["admitted_stay"] == true {
            "stay members: revoke those you do not know"
        } else {
            "are out with it"
        };
        let _ = write!(text, "\nit let in {}, who {what}", let_in.join(", "));
    }
    text
}

/// The value's bytes and nothing else, to a file or down a pipe; on a terminal a line that cannot steer it.
fn show_value(answer: &Value, output: Option<&Path>, ui: Ui) -> Result<()> {
    let value: Bytes = serde_json::from_value(answer["value"].clone()).context("the node's answer has no value")?;
    let bytes = value.into_bytes()?;
    if let Some(path) = output.filter(|path| *path != Path::new("-")) {
        let written = atomic::write(path, Access::Usual, |out| out.write_all(&bytes));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        let text = format!("{} bytes in {}", grouped(bytes.len()), path.display());
        return ui.result(&text, &json!({ "key": answer["key"], "output": path, "bytes": bytes.len() }));
    }
    if ui.json {
        return ui.result("", answer);
    }
    let mut out = std::io::stdout().lock();
    written(match out.is_terminal() {
        true => writeln!(out, "{}", text::lines(&String::from_utf8_lossy(&bytes))),
        false => out.write_all(&bytes).and_then(|()| out.flush()),
    })
}

/// The bytes to write: of the argument, of standard input, or of a file.
fn value_of(value: Option<String>, file: Option<PathBuf>) -> Result<Vec<u8>> {
    match (value, file) {
        (_, Some(path)) if path != Path::new("-") => {
            let file = std::fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            read_value(file, &path.display().to_string())
        }
        (Some(value), None) if value != "-" => Ok(value.into_bytes()),
        _ => read_value(std::io::stdin(), "standard input"),
    }
}

fn read_value(input: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MOST_VALUE + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > MOST_VALUE {
        bail!("{name} has more than the {MOST_VALUE} bytes that a value may have");
    }
    Ok(bytes)
}

/// All keys, page by page.
async fn keys(target: &Target, prefix: String, ui: Ui) -> Result<()> {
    let mut client = Client::connect(&target.data).await?;
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let ask = Ask::Keys { prefix: prefix.clone(), after: after.take(), limit: Some(PAGE_KEYS) };
        let answer = client.ask(&ask).await?;
        let page: Vec<Bytes> =
            serde_json::from_value(answer["keys"].clone()).context("the node's answer has no keys")?;
        after = page.last().cloned();
        match ui.json {
            true => all.extend(page),
            false => page.iter().try_for_each(|key| ui.result(&shown(&json!(key)), &Value::Null))?,
        }
        if answer["more"] != true || after.is_none() {
            break;
        }
    }
    if ui.json { ui.result("", &json!({ "keys": all })) } else { Ok(()) }
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
        return match status["trusted"].as_u64().unwrap_or(1) {
            0 | 1 => "no other members yet: `mayfly swarm token` lets one in\n".into(),
            n => format!("none of the {} other members has been met: --join HOST:PORT at the start names one\n", n - 1),
        };
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
