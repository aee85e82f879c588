//! The local control socket: a line of JSON in, a line of JSON out; `watch` goes on.
//! Only this machine's user reaches it: the folder of the node is theirs.

use super::Node;
use super::learn::ask::{self, LearnAsk, LearnHub};
use super::node::check_reachable;
use crate::support::text;
use anyhow::{Context, Result, anyhow, bail};
use mayfly_base::NodeId;
use mayfly_swarm::{Changed, Watched};
use mayfly_wire::{Admitted, Change, Transport, TrustList, WireError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// What a running node can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub enum Ask {
    Status,
    Token {
        minutes: u64,
        contact: Vec<SocketAddr>,
    },
    Revoke {
        node: String,
        #[serde(default)]
        with_admitted: bool,
    },
    Get {
        key: String,
    },
    Put {
        key: String,
        value: Bytes,
    },
    Delete {
        key: String,
    },
    /// In order, those behind `after`; `more` is true in the answer when these are not all.
    Keys {
        prefix: String,
        #[serde(default)]
        after: Option<Bytes>,
        #[serde(default)]
        limit: Option<usize>,
    },
    Watch {
        prefix: String,
    },
    Learn {
        learn: LearnAsk,
    },
}

/// Text as text, other bytes as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    Text(String),
    Hex { hex: String },
}

impl Bytes {
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::Hex { hex: text::hex(bytes) },
        }
    }

    pub fn into_bytes(self) -> Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Hex { hex } => {
                let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
                let digit = |c: u8| (c as char).to_digit(16);
                let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
                let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
                bytes.filter(|_| rest.is_empty()).context("these are no hexadecimal digits in pairs")
            }
        }
    }
}

/// Keys in one answer, unless more are asked for.
const MOST_KEYS: usize = 100_000;
/// Fewest digits of a name by which a member may be called.
const FEWEST_DIGITS: usize = 8;
/// What fits into the address of a socket.
const SOCKET_PATH: usize = 100;

/// Longest line that is read: a value of 1 MiB as JSON, escaped.
const LINE_BYTES: u64 = 8 << 20;

pub fn socket_of(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// A path of the socket that an address has room for (108 bytes): by way of its open folder where the name is longer.
fn within_reach(path: &Path) -> std::io::Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd;
    if path.as_os_str().len() <= SOCKET_PATH || !cfg!(target_os = "linux") {
        return Ok((path.into(), None));
    }
    let folder = std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    Ok((short.join(path.file_name().unwrap_or_default()), Some(folder)))
}

/// Serves until the node ends.
pub fn serve(runtime: Node, hub: LearnHub, data: &Path, extra: Value) -> Result<()> {
    let path = socket_of(data);
    // Others must not find it before it is its owner's alone: it gets its name last.
    let draft = data.join(".control.sock.tmp");
    let _ = std::fs::remove_file(&draft); // of a node that was killed; the memory's lock says that none runs
    let bound = within_reach(&draft).and_then(|(short, _folder)| UnixListener::bind(short));
    let listener = bound.with_context(|| format!("cannot listen on {}", path.display()))?;
    let private = std::fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o600));
    private
        .and_then(|()| std::fs::rename(&draft, &path))
        .with_context(|| format!("cannot keep others out of {}", path.display()))?;
    let served = Arc::new(Served { runtime, hub, extra });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = served.clone();
            tokio::spawn(async move {
                if let Err(error) = converse(&served, stream).await {
                    tracing::debug!(%error, "control");
                }
            });
        }
    });
    Ok(())
}

/// Whom is asked.
struct Served {
    runtime: Node,
    hub: LearnHub,
    /// What a status says besides.
    extra: Value,
}

async fn converse(served: &Served, stream: UnixStream) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let mut line = String::new();
        if (&mut lines).take(LINE_BYTES).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str(&line) {
            Ok(Ask::Watch { prefix }) => return watch(&served.runtime, prefix.as_bytes(), &mut write).await,
            Ok(ask) => answer(served, ask).await.unwrap_or_else(|e| json!({ "error": format!("{e:#}") })),
            Err(e) => json!({ "error": format!("this is no question: {e}") }),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

async fn watch(runtime: &Node, prefix: &[u8], write: &mut tokio::net::unix::OwnedWriteHalf) -> Result<()> {
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
        "key": Bytes::of(&change.key),
        "at_ms": change.at_ms,
        "written_ms": change.written_ms,
        "by": change.by.to_string(),
    });
    object["value"] = change.value.as_deref().map_or(Value::Null, |value| json!(Bytes::of(value)));
    object
}

async fn answer(served: &Served, ask: Ask) -> Result<Value> {
    let Served { runtime, hub, extra } = served;
    match ask {
        Ask::Learn { learn } => ask::answer(runtime, hub, learn).await,
        Ask::Status => Ok(status(runtime, extra)),
        Ask::Token { minutes, contact } => token(runtime, minutes, &contact),
        Ask::Revoke { node, with_admitted } => {
            revoke(runtime, &node, if with_admitted { Admitted::Go } else { Admitted::Stay })
        }
        Ask::Get { key } => {
            let value = runtime.read(key.as_bytes()).ok_or_else(|| anyhow!("there is no key {key}"))?;
            Ok(json!({ "key": key, "value": Bytes::of(&value) }))
        }
        Ask::Put { key, value } => {
            runtime.write(key.as_bytes(), value.into_bytes()?).await?;
            Ok(json!({ "key": key, "stored": true }))
        }
        Ask::Delete { key } => {
            runtime.delete(key.as_bytes()).await?;
            Ok(json!({ "key": key, "deleted": true }))
        }
        Ask::Keys { prefix, after, limit } => {
            let after = after.map(Bytes::into_bytes).transpose()?;
            let limit = limit.unwrap_or(MOST_KEYS).clamp(1, MOST_KEYS);
            let mut found = runtime.keys(prefix.as_bytes(), after.as_deref(), limit + 1);
            let more = found.len() > limit;
            found.truncate(limit);
            Ok(json!({ "keys": found.iter().map(|key| Bytes::of(key)).collect::<Vec<_>>(), "more": more }))
        }
        Ask::Watch { .. } => bail!("watch is served elsewhere"),
    }
}

fn status(runtime: &Node, extra: &Value) -> Value {
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
        "trusted": runtime.transport().trust().member_count(),
    });
    if let (Some(object), Some(extra)) = (object.as_object_mut(), extra.as_object()) {
        object.extend(extra.clone());
    }
    object
}

fn token(runtime: &Node, minutes: u64, contact: &[SocketAddr]) -> Result<Value> {
    let own = [runtime.status().addr];
    contact.iter().try_for_each(|addr| check_reachable("--contact", *addr))?;
    let contact = if contact.is_empty() { &own } else { contact };
    let token = runtime.transport().issue_token(minutes.saturating_mul(60_000), contact)?;
    Ok(json!({ "token": token.to_string(), "expires_ms": token.expires_ms() }))
}

/// Shuts a member out. Whoever names nobody is told so: a revocation that does nothing is worse than none.
fn revoke(runtime: &Node, node: &str, admitted: Admitted) -> Result<Value> {
    let endpoint = runtime.transport();
    let list = endpoint.trust().list();
    let id = member_called(&list, node)?;
    if id == endpoint.id() {
        bail!("a node does not revoke itself: ask another member");
    }
    let let_in: Vec<String> = list.admitted_by(id).iter().map(ToString::to_string).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let change = endpoint.trust().revoke_with(endpoint.identity(), id, admitted, now.as_millis() as u64)?;
    runtime.forget(id);
    let stay = admitted == Admitted::Stay;
    Ok(
        json!({ "revoked": id.to_string(), "already": change == Change::Nothing, "admitted": let_in, "admitted_stay": stay }),
    )
}

/// The one key of the list whose name is this, or starts with it; one that is gone has to be named whole.
fn member_called(list: &TrustList, name: &str) -> Result<NodeId> {
    let name = name.to_ascii_lowercase();
    if let Ok(id) = name.parse::<NodeId>() {
        return match list.member(id) {
            Err(WireError::NotMember { .. }) => {
                bail!("nobody was shut out: {name} is no member (`mayfly swarm members` lists them)")
            }
            _ => Ok(id),
        };
    }
    if name.len() < FEWEST_DIGITS || !name.bytes().all(|c| c.is_ascii_hexdigit()) {
        bail!(
            "{name} is no node's name: 64 hexadecimal digits, or the first {FEWEST_DIGITS} of them at least (`mayfly swarm members` lists them)"
        );
    }
    let called: Vec<NodeId> = list.members().map(|(id, _)| id).filter(|id| id.to_string().starts_with(&name)).collect();
    match called[..] {
        [id] => Ok(id),
        [] => bail!("nobody was shut out: no member's name starts with {name} (`mayfly swarm members` lists them)"),
        _ => bail!("nobody was shut out: the names of {} members start with {name}, so give more of it", called.len()),
    }
}

/// A connection to a running node.
pub struct Client {
    lines: BufReader<UnixStream>,
}

impl Client {
    pub async fn connect(data: &Path) -> Result<Self> {
        let path = socket_of(data);
        let stream = match within_reach(&path) {
            Ok((short, _folder)) => UnixStream::connect(short).await,
            Err(error) => Err(error),
        };
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
            Some(error) => bail!("{}", text::plain(error)), // it may quote what strangers said
            None => Ok(Some(answer)),
        }
    }
}
