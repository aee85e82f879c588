//! The certificates of a host: one chain, and figures.
use crate::certificate::Certificate;
use crate::host_config::Witness;
use crate::state::Reason;
use mayfly_base::NodeId;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where certificates get their number and the hash of the one before.
pub(crate) struct Ledger {
    node: NodeId,
    chain: Mutex<Chain>,
    ends: [AtomicU64; Reason::ALL.len()],
    witness: Arc<dyn Witness>,
}

struct Chain {
    number: u64,
    previous: [u8; 32],
}

impl Ledger {
    pub(crate) fn new(node: NodeId, witness: Arc<dyn Witness>) -> Ledger {
        let chain = Mutex::new(Chain { number: 0, previous: [0; 32] });
        Ledger { node, chain, ends: [const { AtomicU64::new(0) }; Reason::ALL.len()], witness }
    }

    /// The node that certificates name.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// Puts a certificate into the chain. The witness sees them in the order of the chain.
    pub(crate) fn enter(&self, mut certificate: Certificate) -> Certificate {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        certificate.node = self.node;
        certificate.number = chain.number;
        certificate.previous = chain.previous;
        *chain = Chain { number: chain.number + 1, previous: certificate.hash() };
        self.witness.dissolved(&certificate);
        if let Some(ends) = self.ends.get(certificate.reason as usize - 1) {
            ends.fetch_add(1, Ordering::Relaxed);
        }
        certificate
    }

    /// How many lives ended for each reason.
    pub(crate) fn ends(&self) -> [(Reason, u64); Reason::ALL.len()] {
        Reason::ALL.map(|reason| (reason, self.ends[reason as usize - 1].load(Ordering::Relaxed)))
    }
}
