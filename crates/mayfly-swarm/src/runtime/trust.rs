//! The trust list, kept equal among members: news are told when there are some and to everyone whom a link comes up to, and the list is compared with
//! somebody's every two seconds.
//! All of it in messages of bounded size (`mayfly_wire::TrustExchange`).

use super::Runtime;
use super::node_loop::{REFUSED, TOPIC_TRUST};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use mayfly_base::{NodeId, Rng};
use mayfly_wire::{Peer, Reply, Transport, TrustAsk, TrustExchange, TrustStore, WireError, from_payload};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{debug, info, warn};

const COMPARE_TIME: Duration = Duration::from_secs(2);
/// How many are told what was heard from another; who signed it tells everybody.
const PASSED_ON_TO: usize = 3;

impl<T: Transport> Runtime<T> {
    /// Verifying and writing to disk take a while, so others wait here and not in the loop of events.
    pub(super) fn answer_trust(&self, from: Peer, payload: Vec<u8>, reply: Reply) {
        let Some(trust) = self.0.trust.clone() else { return reply.refuse(REFUSED, "this node has no trust list") };
        let runtime = self.clone();
        tokio::spawn(async move {
            let told = match from_payload("a question about trust", &payload) {
                Ok(TrustAsk::Take { digest, .. }) => Some(digest),
                _ => None,
            };
            let store = trust.clone();
            match blocking(move || store.answer(&payload)).await {
                Ok(answer) => reply.answer(answer),
                Err(error) => {
                    warn!(peer = %from.id.short(), %error, "a message about the trust list was refused");
                    return reply.refuse(REFUSED, error.to_string());
                }
            }
            if let Some(told) = told {
                runtime.equalise_with(&trust, from, told).await;
            }
        });
    }

    /// Says which list this node has. Whoever was let in a moment before others were, and called here only now, would otherwise not know them until the next
    /// comparison; and two who do not know each other find no way to learn it when everyone else is gone.
    pub(super) fn greet_with_trust(&self, peer: Peer) {
        let Some(trust) = self.0.trust.clone() else { return };
        match trust.news(trust.record_count(), self.0.transport.id()) {
            Ok(news) => self.tell(vec![peer], news.message),
            Err(error) => warn!(%error, "the trust list cannot be told of"),
        }
    }

    fn tell(&self, to: Vec<Peer>, message: Vec<u8>) {
        let message = Arc::new(message);
        for to in to {
            let (runtime, message) = (self.clone(), message.clone());
            tokio::spawn(async move {
                if let Err(error) = runtime.0.transport.request(to, TOPIC_TRUST, &message).await {
                    complain(to, &error); // the next comparison with it makes up for this
                }
            });
        }
    }

    pub(super) async fn spread_trust(self, trust: Arc<TrustStore>) {
        let (mut changed, mut stop) = (trust.watch(), self.0.stop.subscribe());
        let here = self.0.transport.id().0;
        let mut rng = Rng::new(u64::from_le_bytes(core::array::from_fn(|i| here[i])));
        let mut told = trust.record_count();
        while stop.borrow_and_update().is_none() {
            tokio::select! {
                change = changed.changed() => match change {
                    Ok(()) => told = self.tell_trust(&trust, told, &mut rng),
                    Err(_) => return,
                },
                () = tokio::time::sleep(COMPARE_TIME) => {
                    let alive = self.alive();
                    if let Some(&to) = alive.get(rng.below(alive.len() as u64) as usize) {
                        self.compare_with(&trust, to).await;
                    }
                }
                _ = stop.changed() => {}
            }
        }
    }

    fn alive(&self) -> Vec<Peer> {
        let node = self.node();
        let alive = node.members().filter(|member| member.state == crate::membership::MemberState::Alive);
        alive.map(|member| Peer { id: member.id, addr: member.addr }).collect()
    }

    /// Those alive, and those whose link is up although nobody has said so yet.
    fn within_reach(&self) -> Vec<Peer> {
        let mut peers = self.alive();
        let known: BTreeSet<NodeId> = peers.iter().map(|peer| peer.id).collect();
        let linked = self.0.transport.links().into_iter().map(|link| link.peer);
        peers.extend(linked.filter(|peer| !known.contains(&peer.id)));
        peers
    }

    /// Whoever is no member any more is dropped at once; the others hear of it. Returns how many records they have been told of.
    fn tell_trust(&self, trust: &TrustStore, told: usize, rng: &mut Rng) -> usize {
        let known: Vec<_> = self.node().members().map(|member| member.id).collect();
        known.into_iter().filter(|id| trust.member(*id).is_err()).for_each(|id| self.forget(id));
        let news = match trust.news(told, self.0.transport.id()) {
            Ok(news) => news,
            Err(error) => {
                warn!(%error, "news about the trust list cannot be told");
                return told;
            }
        };
        let mut to = self.within_reach();
        if !news.is_own {
            rng.shuffle(&mut to);
            to.truncate(PASSED_ON_TO);
        }
        self.tell(to, news.message);
        news.known
    }

    /// Fetches what is missing here and not there, unless that is being done: the next comparison is soon.
    async fn compare_with(&self, trust: &Arc<TrustStore>, with: Peer) {
        if let Ok(_turn) = self.0.trust_turn.try_lock() {
            self.equalise(trust, with).await;
        }
    }

    /// However often a peer says which list it has while others are asked, it is asked once after them, if its last word still differs.
    async fn equalise_with(&self, trust: &Arc<TrustStore>, with: Peer, its: [u8; 32]) {
        if self.waiting().insert(with.id, its).is_some() {
            return;
        }
        let _turn = self.0.trust_turn.lock().await; // one at a time: what one has fetched, the next need not
        let its = self.waiting().remove(&with.id);
        if its.is_some_and(|its| its != trust.digest()) {
            self.equalise(trust, with).await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<NodeId, [u8; 32]>> {
        self.0.trust_waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn equalise(&self, trust: &Arc<TrustStore>, with: Peer) {
        match self.fetch_trust(trust, with).await {
            Ok(0) => {}
            Ok(taken) => info!(peer = %with.id.short(), records = taken, "trust list grew"),
            Err(error) => complain(with, &error),
        }
    }

    async fn fetch_trust(&self, trust: &Arc<TrustStore>, with: Peer) -> Result<usize, WireError> {
        let (mut exchange, mut ask) = TrustExchange::start(trust)?;
        loop {
            let answer = self.0.transport.request(with, TOPIC_TRUST, &ask).await?;
            let store = trust.clone();
            let (next, back) =
                blocking(move || exchange.answered(&store, &answer).map(|next| (next, exchange))).await?;
            exchange = back;
            match next {
                Some(next) => ask = next,
                None => return Ok(exchange.finish().taken),
            }
        }
    }
}

/// For work that verifies signatures or writes to disk.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, WireError> + Send + 'static,
) -> Result<R, WireError> {
    let failed = |error: tokio::task::JoinError| WireError::Tls { what: "the trust list", reason: error.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// A member that cannot be reached is everyday; one that refuses, or sends what is refused, is not.
fn complain(peer: Peer, error: &WireError) {
    let is_everyday = matches!(
        error,
        WireError::Connect { .. }
            | WireError::Lost { .. }
            | WireError::TimedOut { .. }
            | WireError::ClosedBy { .. }
            | WireError::Closed
    );
    match is_everyday {
        true => debug!(peer = %peer.id.short(), %error, "trust lists not compared"),
        false => warn!(peer = %peer.id.short(), %error, "trust lists not compared"),
    }
}
