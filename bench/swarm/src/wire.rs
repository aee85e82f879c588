//! The wire: handshakes by policy, a large body beside plain TCP, messages beside JSON.

use crate::report::{Row, median};
use anyhow::{Context, Result, ensure};
use mayfly_base::{NodeId, Rng};
use mayfly_wire::{
    CloseReason, Endpoint, EndpointConfig, Event, Frame, Identity, KeyExchange, Kind, Limits, Peer, Transport,
    TrustList, TrustStore, to_payload,
};
use serde::Serialize;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BODY: usize = 64 << 20;
/// What the transfer shall reach of plain TCP's throughput.
const FLOOR: f64 = 0.6;

pub fn rows(rounds: usize) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut rows = Vec::new();
        for policy in [KeyExchange::Hybrid, KeyExchange::Pure] {
            rows.extend(handshakes(policy, rounds).await?);
        }
        rows.push(transfer(rounds).await?);
        rows.extend(messages()?);
        Ok(rows)
    })
}

fn identity(number: u8) -> Result<Identity> {
    Ok(Identity::from_seed(&[number; 32])?)
}

fn endpoint(number: u8, policy: KeyExchange) -> Result<Endpoint> {
    let mut list = TrustList::found(&identity(1)?, 1)?;
    list.admit(&identity(1)?, identity(2)?.public_key(), 2)?;
    let mut config = EndpointConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.key_exchange = policy;
    Ok(Endpoint::bind(identity(number)?, Arc::new(TrustStore::in_memory(list)), config)?)
}

fn peer(of: &Endpoint) -> Peer {
    Peer { id: of.id(), addr: of.addr() }
}

/// Time until both sides have said Hello, and every byte on the wire until then: of a first contact, and of one that resumes.
async fn handshakes(policy: KeyExchange, rounds: usize) -> Result<[Row; 2]> {
    let server = endpoint(2, policy)?;
    let (mut first, mut resumed) = (Measured::default(), Measured::default());
    for _ in 0..rounds {
        let client = endpoint(1, policy)?; // a new one remembers no session
        first.add(&client, peer(&server)).await?;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await; // the session's ticket comes after the handshake
        client.disconnect(server.id(), CloseReason::Leaving);
        while !client.links().is_empty() || !server.links().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        resumed.add(&client, peer(&server)).await?;
        client.close().await;
    }
    let name = |what| format!("handshake, {what}, {}", policy.group_names()[0]);
    Ok([first.row(name("first")), resumed.row(name("resumed"))])
}

#[derive(Default)]
struct Measured {
    ms: Vec<f64>,
    sent: Vec<f64>,
    received: Vec<f64>,
}

impl Measured {
    async fn add(&mut self, client: &Endpoint, to: Peer) -> Result<()> {
        let start = Instant::now();
        client.connect(to).await?;
        self.ms.push(start.elapsed().as_secs_f64() * 1e3);
        let links = client.links();
        let link = links.first().context("the link is gone")?;
        self.sent.push(link.sent_bytes as f64);
        self.received.push(link.received_bytes as f64);
        Ok(())
    }

    fn row(self, bench: String) -> Row {
        let bytes = |values| json!(median(values) as u64);
        let figures = vec![
            ("ms", json!(median(self.ms))),
            ("sent_bytes", bytes(self.sent)),
            ("received_bytes", bytes(self.received)),
        ];
        Row::new(bench, figures)
    }
}

/// 64 MiB from memory to memory, over a link and over plain TCP, in turns.
async fn transfer(rounds: usize) -> Result<Row> {
    let mut rng = Rng::new(1);
    let body: Arc<Vec<u8>> = Arc::new((0..BODY / 8).flat_map(|_| rng.next_u64().to_le_bytes()).collect());
    let (a, b) = (Arc::new(endpoint(1, KeyExchange::Hybrid)?), endpoint(2, KeyExchange::Hybrid)?);
    a.connect(peer(&b)).await?;
    let (mut ours, mut tcp) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(over_link(&a, &b, body.clone()).await?);
        tcp.push(over_tcp(body.clone()).await?);
    }
    let (ours, tcp) = (median(ours), median(tcp));
    let figures = vec![
        ("mib_per_s", json!(ours)),
        ("tcp_mib_per_s", json!(tcp)),
        ("ratio", json!(ours / tcp)),
        ("floor", json!(FLOOR)),
    ];
    Ok(Row::new("transfer of 64 MiB, loopback", figures))
}

fn mib_per_s(start: Instant) -> f64 {
    (BODY >> 20) as f64 / start.elapsed().as_secs_f64()
}

async fn over_link(a: &Arc<Endpoint>, b: &Endpoint, body: Arc<Vec<u8>>) -> Result<f64> {
    let start = Instant::now();
    let (from, to, sent) = (a.clone(), peer(b), body.clone());
    let sending = tokio::spawn(async move {
        let mut writer = from.body(to, 1, b"", sent.len() as u64).await?;
        writer.write(&sent).await?;
        writer.finish().await
    });
    let received = loop {
        if let Event::Body { body, .. } = b.next().await.context("the endpoint is closed")? {
            break body.read_to_end(BODY as u64).await?;
        }
    };
    let speed = mib_per_s(start);
    sending.await??;
    ensure!(received == *body, "the body differs");
    Ok(speed)
}

async fn over_tcp(body: Arc<Vec<u8>>) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let start = Instant::now();
    let sent = body.clone();
    let sending = tokio::spawn(async move {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(&sent).await?;
        stream.shutdown().await
    });
    let (mut stream, _) = listener.accept().await?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await?;
    let speed = mib_per_s(start);
    sending.await??;
    ensure!(received == *body, "the body differs");
    Ok(speed)
}

/// A list of members as gossip sends it. In JSON the id is text, as anybody would write it there.
#[derive(Serialize)]
struct Member<I> {
    id: I,
    addr: SocketAddr,
    incarnation: u64,
    state: &'static str,
}

fn members<I>(id: impl Fn(NodeId) -> I) -> Vec<Member<I>> {
    let mut rng = Rng::new(2);
    let mut member = |port: u16| Member {
        id: id(NodeId(std::array::from_fn(|_| rng.next_u64() as u8))),
        addr: SocketAddr::from(([10, 1, 2, port as u8], 7000 + port)),
        incarnation: rng.below(1000),
        state: "alive",
    };
    (0..32).map(&mut member).collect()
}

fn messages() -> Result<Vec<Row>> {
    let mut rng = Rng::new(3);
    let mut delta = || rng.normal() as f32 * 1e-3;
    let dense: Vec<f32> = (0..4096).map(|_| delta()).collect();
    let sparse: Vec<(u32, f32)> = (0..1024_u32).map(|i| (i * 37, delta())).collect();
    let (key, value) = ("sensors/17/last", 20.5_f64);
    Ok(vec![
        beside_json("control: 32 members", &members(|id| id), &members(|id| id.to_string()))?,
        beside_json(
            "control: one write",
            &(key, value, 1_764_000_000_123_u64),
            &json!({ "key": key, "value": value, "at_ms": 1_764_000_000_123_u64 }),
        )?,
        beside_json("weights: 4,096 dense f32", &dense, &dense)?,
        beside_json("weights: 1,024 changed f32", &sparse, &sparse)?,
    ])
}

/// The whole frame, header and compression counted, against the bare JSON text.
fn beside_json(bench: &str, ours: &impl Serialize, theirs: &impl Serialize) -> Result<Row> {
    let payload = to_payload("a message", ours)?;
    let frame = Frame::encode(Kind::Request, 1, 1, &payload, Limits::default().payload)?.len();
    let text = serde_json::to_vec(theirs)?.len();
    let less = 100.0 * (1.0 - frame as f64 / text as f64);
    Ok(Row::new(bench, vec![("bytes", json!(frame)), ("json_bytes", json!(text)), ("less_percent", json!(less))]))
}
