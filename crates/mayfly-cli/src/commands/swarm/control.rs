//! The local control socket: a line of JSON in, a line of JSON out; `watch` goes on.
//! Only this machine's user reaches it: the folder of the node is theirs.

use anyhow::{Context, Result, anyhow, bail};
use mayfly_swarm::{Changed, Runtime, Watched};
use mayfly_wire::{Endpoint, Transport};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// What a running node can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub enum Ask {
    Status,
    Token { minutes: u64, contact: Vec<SocketAddr> },
    Revoke { node: String },
    Get { key: String },
    Put { key: String, value: String },
    Delete { key: String },
    Keys { prefix: String },
    Watch { prefix: String },
}

/// Longest line that is read: a value of 1 MiB as JSON, escaped.
const LINE_BYTES: u64 = 8 << 20;

pub fn socket_of(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Serves until the node ends.
pub fn serve(runtime: Runtime<Endpoint>, data: &Path, extra: Value) -> Result<()> {
    let path = socket_of(data);
    let _ = std::fs::remove_file(&path); // of a node that was killed; the memory's lock says that none runs
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (runtime, extra) = (runtime.clone(), extra.clone());
            tokio::spawn(async move {
                if let Err(error) = converse(&runtime, stream, &extra).await {
                    tracing::debug!(%error, "control");
                }
            });
        }
    });
    Ok(())
}

async fn converse(runtime: &Runtime<Endpoint>, stream: UnixStream, extra: &Value) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let mut line = String::new();
        if (&mut lines).take(LINE_BYTES).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str(&line) {
            Ok(Ask::Watch { prefix }) => return watch(runtime, prefix.as_bytes(), &mut write).await,
            Ok(ask) => answer(runtime, ask, extra).await.unwrap_or_else(|e| json!({ "error": format!("{e:#}") })),
            Err(e) => json!({ "error": format!("this is no question: {e}") }),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

async fn watch(runtime: &Runtime<Endpoint>, prefix: &[u8], write: &mut tokio::net::unix::OwnedWriteHalf) -> Result<()> {
    let mut changes = runtime.watch(prefix);
    write.write_all(b"{\"watching\":true}\n").await?;
    loop {
        let line = match changes.next().await {
            Some(Watched::Changed(change)) => change_json(&change),
            Some(Watched::Missed(count)) => json!({ "missed": count }),
            Some(_) => continue,
            None => return Ok(()),
        };
        write.write_all(format!("{line}\n").as_bytes()).await?;
    }
}

fn change_json(change: &Changed) -> Value {
    let mut object = json!({
        "key": String::from_utf8_lossy(&change.key),
        "at_ms": change.at_ms,
        "written_ms": change.written_ms,
        "by": change.by.to_string(),
    });
    object["value"] = change.value.as_deref().map_or(Value::Null, bytes_json);
    object
}

/// Text as text, other bytes as hexadecimal digits.
fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

async fn answer(runtime: &Runtime<Endpoint>, ask: Ask, extra: &Value) -> Result<Value> {
    match ask {
        Ask::Status => Ok(status(runtime, extra)),
        Ask::Token { minutes, contact } => token(runtime, minutes, &contact),
        Ask::Revoke { node } => revoke(runtime, &node),
        Ask::Get { key } => {
            let value = runtime.read(key.as_bytes()).ok_or_else(|| anyhow!("there is no key {key}"))?;
            Ok(json!({ "key": key, "value": bytes_json(&value) }))
        }
        Ask::Put { key, value } => {
            runtime.write(key.as_bytes(), value.into_bytes()).await?;
            Ok(json!({ "key": key, "stored": true }))
        }
        Ask::Delete { key } => {
            runtime.delete(key.as_bytes()).await?;
            Ok(json!({ "key": key, "deleted": true }))
        }
        Ask::Keys { prefix } => {
            let found = runtime.scan(prefix.as_bytes(), 100_000);
            Ok(json!({ "keys": found.iter().map(|(key, _)| String::from_utf8_lossy(key)).collect::<Vec<_>>() }))
        }
        Ask::Watch { .. } => bail!("watch is served elsewhere"),
    }
}

fn status(runtime: &Runtime<Endpoint>, extra: &Value) -> Value {
    let status = runtime.status();
    let traffic = runtime.traffic();
    let members: Vec<Value> = status.members.iter().map(|m| {
        json!({
            "id": m.id.to_string(), "addr": m.addr.to_string(), "state": m.state, "generation": m.generation,
            "role": m.metadata.role, "load_permille": m.metadata.load_permille, "capabilities": m.metadata.capabilities,
            "since_ms": status.up_ms.saturating_sub(m.since_ms),
        })
    }).collect();
    let links: Vec<Value> = runtime
        .links()
        .iter()
        .map(|link| {
            json!({
                "id": link.peer.id.to_string(), "rtt_ms": link.rtt_ms, "sent_bytes": link.sent_bytes,
                "received_bytes": link.received_bytes, "lost_packets": link.lost_packets,
            })
        })
        .collect();
    let mut object = json!({
        "id": status.id.to_string(), "addr": status.addr.to_string(), "topology": status.topology,
        "neighbours": status.neighbours.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "members": members, "links": links, "keys": status.keys, "tombstones": status.tombstones,
        "memory_bytes": status.memory_bytes, "root": status.root, "up_ms": status.up_ms,
        "messages": traffic.messages, "message_bytes": traffic.message_bytes,
        "datagrams": traffic.datagrams, "datagram_bytes": traffic.datagram_bytes, "refused": traffic.refused,
        "swarm": runtime.transport().trust().swarm().to_string(),
    });
    if let (Some(object), Some(extra)) = (object.as_object_mut(), extra.as_object()) {
        object.extend(extra.clone());
    }
    object
}

fn token(runtime: &Runtime<Endpoint>, minutes: u64, contact: &[SocketAddr]) -> Result<Value> {
    let own = [runtime.status().addr];
    let contact = if contact.is_empty() { &own } else { contact };
    let token = runtime.transport().issue_token(minutes.saturating_mul(60_000), contact)?;
    Ok(json!({ "token": token.to_string(), "expires_ms": token.expires_ms() }))
}

fn revoke(runtime: &Runtime<Endpoint>, node: &str) -> Result<Value> {
    let id = node.parse().with_context(|| format!("{node} is no node's name: `mayfly swarm members` lists them"))?;
    let endpoint = runtime.transport();
    if id == endpoint.id() {
        bail!("a node does not revoke itself: ask another member");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    endpoint.trust().revoke(endpoint.identity(), id, now.as_millis() as u64)?;
    runtime.forget(id);
    Ok(json!({ "revoked": node }))
}

/// A connection to a running node.
pub struct Client {
    lines: BufReader<UnixStream>,
}

impl Client {
    pub async fn connect(data: &Path) -> Result<Self> {
        let path = socket_of(data);
        let stream = UnixStream::connect(&path).await;
        let stream = stream.with_context(|| format!("no node runs in {} (--data names its folder)", data.display()))?;
        Ok(Self { lines: BufReader::new(stream) })
    }

    /// Asks, and waits for the answer; an answer that is an error becomes one.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Value> {
        let line = serde_json::to_string(ask)? + "\n";
        self.lines.get_mut().write_all(line.as_bytes()).await?;
        self.next().await?.context("the node ended before it answered")
    }

    /// The next line; nothing when the node has ended.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        let mut line = String::new();
        if self.lines.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{error}"),
            None => Ok(Some(answer)),
        }
    }
}
