//! What is left of a life: a statement of the node on which it was lived.
use crate::id::InstanceId;
use crate::state::Reason;
use mayfly_base::NodeId;
use mayfly_vault::{Hold, Protection};

/// Bytes that were overwritten, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wiped {
    /// The flat array of parameters.
    pub parameters: u64,
    /// Weights as inference reads them.
    pub packed_weights: u64,
    /// Inputs, outputs and everything between.
    pub arena: u64,
}

impl Wiped {
    /// All kinds together.
    pub fn bytes(&self) -> u64 {
        self.parameters + self.packed_weights + self.arena
    }
}

/// The statement that an instance was dissolved. Each holds the hash of the one before it on the same node, so that a missing one shows.
///
/// It is what the node says, not physics: `docs/design/lifecycle.md` says what it is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The node that states it.
    pub node: NodeId,
    /// Certificates of this node before this one, since it started.
    pub number: u64,
    /// The instance.
    pub instance: InstanceId,
    /// Whose it was.
    pub owner: Option<NodeId>,
    /// Hash of the task.
    pub task: [u8; 32],
    /// Name of the plan in the pool: a hash of the network's description, batch, precision and instruction set.
    pub plan: [u8; 32],
    /// Keyed BLAKE3 of the parameters at the end. The key was drawn for this instance and is not kept, so nobody can try weights against it.
    pub commitment: [u8; 32],
    /// Milliseconds since 1970 by the wall clock, which may be wrong.
    pub born_unix_ms: u64,
    /// Nanoseconds from birth to death by the clock of the lease, which is not.
    pub lived_ns: u64,
    /// Why it ended.
    pub reason: Reason,
    /// Calls that were admitted.
    pub calls: u64,
    /// Bytes that were overwritten.
    pub wiped: Wiped,
    /// What protected its pages, as read back from the system.
    pub protection: Protection,
    /// Hash of the certificate before; zeros for the first.
    pub previous: [u8; 32],
}

/// Bytes of a certificate in its only form.
const BYTES: usize = 1 + 32 + 8 + 16 + 33 + 4 * 32 + 8 + 8 + 1 + 8 + 24 + 25;

/// Version of the form.
const VERSION: u8 = 1;

impl Certificate {
    /// The certificate in its only form, which is hashed and signed: `docs/formats/certificate.md`.
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut form = Form { bytes: [0; BYTES], at: 0 };
        form.put(&[VERSION]);
        form.put(&self.node.0);
        form.put(&self.number.to_le_bytes());
        form.put(&self.instance.0);
        form.put(&[u8::from(self.owner.is_some())]);
        form.put(&self.owner.unwrap_or_default().0);
        for hash in [&self.task, &self.plan, &self.commitment, &self.previous] {
            form.put(hash);
        }
        form.put(&self.born_unix_ms.to_le_bytes());
        form.put(&self.lived_ns.to_le_bytes());
        form.put(&[self.reason as u8]);
        form.put(&self.calls.to_le_bytes());
        for bytes in [self.wiped.parameters, self.wiped.packed_weights, self.wiped.arena] {
            form.put(&bytes.to_le_bytes());
        }
        for (_, hold) in self.protection.each() {
            let (kind, errno) = code(hold);
            form.put(&[kind]);
            form.put(&errno.to_le_bytes());
        }
        form.bytes
    }

    /// What the next certificate of the node holds as `previous`.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.to_bytes()).as_bytes()
    }
}

/// The number of an answer of the system, and its error.
fn code(hold: Hold) -> (u8, i32) {
    match hold {
        Hold::NotAsked => (0, 0),
        Hold::Holds => (1, 0),
        Hold::Refused(errno) => (2, errno),
        Hold::Unconfirmed => (3, 0),
        Hold::NotHere => (4, 0),
    }
}

/// Bytes that are filled from the front.
struct Form {
    bytes: [u8; BYTES],
    at: usize,
}

impl Form {
    fn put(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Certificate {
        Certificate {
            node: NodeId([1; 32]),
            number: 2,
            instance: InstanceId([3; 16]),
            owner: None,
            task: [4; 32],
            plan: [5; 32],
            commitment: [6; 32],
            born_unix_ms: 7,
            lived_ns: 8,
            reason: Reason::Asked,
            calls: 9,
            wiped: Wiped { parameters: 10, packed_weights: 11, arena: 12 },
            protection: Protection::default(),
            previous: [13; 32],
        }
    }

    /// Every field is in the form, and no two are confused.
    #[test]
    fn every_field_changes_the_hash() {
        let plain = certificate();
        let refused = Protection { locked: Hold::Refused(12), ..Protection::default() };
        let others = [
            Certificate { node: NodeId([2; 32]), ..plain },
            Certificate { number: 3, ..plain },
            Certificate { instance: InstanceId([4; 16]), ..plain },
            Certificate { owner: Some(NodeId([0; 32])), ..plain },
            Certificate { owner: Some(NodeId([9; 32])), ..plain },
            Certificate { task: [5; 32], ..plain },
            Certificate { plan: [4; 32], ..plain },
            Certificate { commitment: [5; 32], ..plain },
            Certificate { born_unix_ms: 8, ..plain },
            Certificate { lived_ns: 9, ..plain },
            Certificate { reason: Reason::Ttl, ..plain },
            Certificate { calls: 10, ..plain },
            Certificate { wiped: Wiped { parameters: 11, ..plain.wiped }, ..plain },
            Certificate { wiped: Wiped { packed_weights: 12, ..plain.wiped }, ..plain },
            Certificate { wiped: Wiped { arena: 11, ..plain.wiped }, ..plain },
            Certificate { protection: refused, ..plain },
            Certificate { protection: Protection { locked: Hold::Refused(13), ..refused }, ..plain },
            Certificate { protection: Protection { secret: Hold::Holds, ..plain.protection }, ..plain },
            Certificate { previous: [6; 32], ..plain },
        ];
        let mut hashes: Vec<_> = others.iter().chain([&plain]).map(Certificate::hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), others.len() + 1);
    }

    #[test]
    fn the_form_is_full() {
        let bytes = Certificate { owner: Some(NodeId([1; 32])), ..certificate() }.to_bytes();
        assert_eq!(bytes[0], VERSION);
        assert_eq!(&bytes[1..33], &[1; 32]);
        let last = bytes.len() - 25;
        assert_eq!(bytes[last - 8], 12, "the arena's bytes stand before the protections");
    }
}
