//! The trust list, kept equal among members: pushed to all when it changes, compared with somebody every two seconds.

use super::Runtime;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mayfly_base::Rng;
use mayfly_wire::{Peer, Transport, TrustList, TrustStore};
use std::time::Duration;
use tracing::{info, warn};

/// "My list has this digest": answered by nothing, or by the whole list when it differs.
const TOPIC_ASK: u16 = 3;
/// "This is my list": answered by nothing.
const TOPIC_PUSH: u16 = 4;
const COMPARE_TIME: Duration = Duration::from_secs(2);

impl<T: Transport> Runtime<T> {
    pub(super) fn answer_trust(&self, topic: u16, payload: Vec<u8>) -> Option<Vec<u8>> {
        let trust = self.0.trust.clone()?;
        match topic {
            TOPIC_ASK if payload == trust.digest() => Some(Vec::new()),
            TOPIC_ASK => trust.list().to_bytes().ok(),
            TOPIC_PUSH => {
                tokio::task::spawn_blocking(move || take(&trust, &payload));
                Some(Vec::new())
            }
            _ => None,
        }
    }

    pub(super) async fn spread_trust(self, trust: Arc<TrustStore>) {
        let (mut changed, mut stop) = (trust.watch(), self.0.stop.subscribe());
        let mut rng = Rng::new(u64::from(self.0.transport.addr().port()));
        while stop.borrow_and_update().is_none() {
            tokio::select! {
                change = changed.changed() => match change {
                    Ok(()) => self.push_trust(&trust),
                    Err(_) => return,
                },
                () = tokio::time::sleep(COMPARE_TIME) => self.compare_trust(&trust, &mut rng).await,
                _ = stop.changed() => {}
            }
        }
    }

    fn alive(&self) -> Vec<Peer> {
        let node = self.node();
        let alive = node.members().filter(|member| member.state == crate::membership::MemberState::Alive);
        alive.map(|member| Peer { id: member.id, addr: member.addr }).collect()
    }

    fn push_trust(&self, trust: &TrustStore) {
        let list = trust.list();
        for gone in list.gone() {
            self.forget(gone);
        }
        let Ok(bytes) = list.to_bytes() else { return };
        let bytes = Arc::new(bytes);
        for to in self.alive() {
            let (runtime, bytes) = (self.clone(), bytes.clone());
            tokio::spawn(async move { runtime.0.transport.request(to, TOPIC_PUSH, &bytes).await.map(drop) });
        }
    }

    async fn compare_trust(&self, trust: &Arc<TrustStore>, rng: &mut Rng) {
        let alive = self.alive();
        let Some(&to) = alive.get(rng.below(alive.len() as u64) as usize) else { return };
        if let Ok(answer) = self.0.transport.request(to, TOPIC_ASK, &trust.digest()).await
            && !answer.is_empty()
        {
            let trust = trust.clone();
            let _ = tokio::task::spawn_blocking(move || take(&trust, &answer)).await; // it logs what went wrong
        }
    }
}

/// Signatures are verified one by one; what is not signed by a member changes nothing.
fn take(trust: &TrustStore, bytes: &[u8]) {
    let merged = TrustList::from_bytes(bytes).and_then(|list| trust.merge(list.records()));
    match merged {
        Ok(merge) if !merge.changes.is_empty() => info!(changes = merge.changes.len(), "trust list changed"),
        Ok(_) => {}
        Err(error) => warn!(%error, "a trust list was refused"),
    }
}
