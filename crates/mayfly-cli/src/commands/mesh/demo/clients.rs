//! Who writes, reads and watches, all the time.

use super::check::{Answer, Call, Change, What};
use anyhow::{Context, Result};
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{PutRequest, RangeRequest, WatchCreateRequest, WatchRequest};
use mayfly_mesh::proto::mvccpb::KeyValue;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

pub const PREFIX: &str = "demo/";
const WRITERS: u64 = 8;
const READERS: u64 = 2;
const KEYS: u64 = 64;
const VALUE_BYTES: usize = 256;
/// How long a client waits for an answer, and between two tries when there is none.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(5);

/// What all clients share.
pub struct Shared {
    pub begun: Instant,
    calls: Mutex<Vec<Call>>,
    /// By the member that is watched.
    told: Vec<Mutex<Vec<Change>>>,
    values: AtomicU64,
    is_over: AtomicBool,
}

impl Shared {
    pub fn now_us(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    fn told_upto(&self, member: usize) -> i64 {
        self.told(member).last().map_or(0, |change| change.revision)
    }

    pub fn told(&self, member: usize) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.told[member].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clients.
pub struct Clients {
    pub shared: Arc<Shared>,
    asking: JoinSet<()>,
    watching: JoinSet<()>,
}

/// A connection that is made when it is needed, and again.
pub fn channel(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint.connect_timeout(Duration::from_millis(300)).tcp_nodelay(true).connect_lazy())
}

impl Clients {
    /// Each rests so long between two requests.
    pub fn start(addresses: &[String], pause: Duration) -> Result<Self> {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            calls: Mutex::default(),
            told: addresses.iter().map(|_| Mutex::default()).collect(),
            values: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let (mut asking, mut watching) = (JoinSet::new(), JoinSet::new());
        for client in 0..WRITERS + READERS {
            let members = addresses.iter().map(|address| channel(address).map(KvClient::new));
            asking.spawn(ask(shared.clone(), members.collect::<Result<_>>()?, client, pause));
        }
        for (i, address) in addresses.iter().enumerate() {
            watching.spawn(watch(shared.clone(), WatchClient::new(channel(address)?), i));
        }
        Ok(Self { shared, asking, watching })
    }

    /// No more questions; gives those that were asked.
    pub async fn finish(&mut self) -> Vec<Call> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        while self.asking.join_next().await.is_some() {}
        std::mem::take(&mut self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until watchers have come to a revision, and gives what each was told. Who has not come there by then has gaps.
    pub async fn watched(&mut self, revision: i64, patience: Duration) -> Vec<Vec<Change>> {
        let until = Instant::now() + patience;
        let members = 0..self.shared.told.len();
        while members.clone().any(|i| self.shared.told_upto(i) < revision) && Instant::now() < until {
            tokio::time::sleep(AGAIN).await;
        }
        self.watching.abort_all();
        members.map(|i| std::mem::take(&mut *self.shared.told(i))).collect()
    }
}

/// Asks any member, one question after the other.
async fn ask(shared: Arc<Shared>, mut members: Vec<KvClient<Channel>>, client: u64, pause: Duration) {
    let mut rng = Rng::stream(7, client);
    while !shared.is_over.load(Ordering::Relaxed) {
        let key = format!("{PREFIX}{:02}", rng.below(KEYS));
        let member = rng.below(members.len() as u64) as usize;
        let kv = &mut members[member];
        let (what, asked_us) = match client < WRITERS {
            true => (What::Put { value: shared.values.fetch_add(1, Ordering::Relaxed) }, shared.now_us()),
            false => (What::Get, shared.now_us()),
        };
        let answer = tokio::time::timeout(PATIENCE, one(kv, &key, &what)).await;
        let answer = answer.ok().and_then(Result::ok);
        let is_answered = answer.is_some();
        let answer = answer.map(|(revision, found)| Answer { at_us: shared.now_us(), revision, found });
        shared.note(Call { key, what, asked_us, answer });
        let rest = if is_answered { pause } else { pause.max(AGAIN) };
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }
}

async fn one(kv: &mut KvClient<Channel>, key: &str, what: &What) -> Result<(i64, Option<(u64, i64)>)> {
    match what {
        What::Put { value } => {
            let put = PutRequest { key: key.into(), value: text(*value), ..PutRequest::default() };
            let header = kv.put(put).await?.into_inner().header;
            Ok((header.context("no header")?.revision, None))
        }
        What::Get => {
            let response = kv.range(RangeRequest { key: key.into(), ..RangeRequest::default() }).await?.into_inner();
            let found = response.kvs.first().map(|kv| Ok::<_, anyhow::Error>((number(&kv.value)?, kv.mod_revision)));
            Ok((response.header.context("no header")?.revision, found.transpose()?))
        }
    }
}

fn text(value: u64) -> Vec<u8> {
    format!("{value:<VALUE_BYTES$}").into_bytes()
}

fn number(value: &[u8]) -> Result<u64> {
    Ok(std::str::from_utf8(value)?.trim().parse()?)
}

fn change(kv: &KeyValue) -> Result<Change> {
    let (key, value) = (String::from_utf8(kv.key.clone())?, number(&kv.value)?);
    Ok(Change { revision: kv.mod_revision, key, value })
}

/// Watches one member for as long as it takes; when it goes away, on from there when it is back.
async fn watch(shared: Arc<Shared>, client: WatchClient<Channel>, member: usize) {
    loop {
        let from = shared.told_upto(member) + 1;
        let _ = events(client.clone(), from, &mut |change| {
            shared.told(member).push(change);
            true
        })
        .await; // it is watched again
        tokio::time::sleep(AGAIN * 10).await;
    }
}

/// Everything from a revision on, until `each` has enough.
async fn events(
    mut client: WatchClient<Channel>,
    from: i64,
    each: &mut (dyn FnMut(Change) -> bool + Send),
) -> Result<()> {
    let create = WatchCreateRequest {
        key: PREFIX.into(),
        range_end: "demo0".into(),
        start_revision: from,
        ..WatchCreateRequest::default()
    };
    let ask = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    // The stream of questions stays open: a watch ends with it.
    let asks = futures_util::StreamExt::chain(futures_util::stream::iter([ask]), futures_util::stream::pending());
    let mut answers = client.watch(asks).await?.into_inner();
    while let Some(response) = answers.message().await? {
        anyhow::ensure!(!response.canceled, "the watch was ended: {}", response.cancel_reason);
        for kv in response.events.iter().filter_map(|event| event.kv.as_ref()) {
            if !each(change(kv)?) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The history up to a revision, in one go.
pub async fn history(address: &str, upto: i64) -> Result<Vec<Change>> {
    let mut history = Vec::new();
    if upto > 1 {
        let client = WatchClient::new(channel(address)?);
        events(client, 1, &mut |change| {
            let is_before = change.revision < upto;
            if change.revision <= upto {
                history.push(change);
            }
            is_before
        })
        .await?;
    }
    Ok(history)
}
