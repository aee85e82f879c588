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
    /// Keys of sealed files.
    pub sealing_keys: u64,
}

impl Wiped {
    /// With what was overwritten at another time.
    pub(crate) fn and(self, more: Wiped) -> Wiped {
        Wiped {
            parameters: self.parameters + more.parameters,
            packed_weights: self.packed_weights + more.packed_weights,
            arena: self.arena + more.arena,
            sealing_keys: self.sealing_keys + more.sealing_keys,
        }
    }

    /// All kinds together.
    pub fn bytes(&self) -> u64 {
        self.parameters + self.packed_weights + self.arena + self.sealing_keys
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
    /// Sealed files that were written in its life. The key of each is wiped, which erases every copy of it.
    pub sealed_files: u32,
    /// What protected its pages, as read back from the system.
    pub protection: Protection,
    /// Hash of the certificate before; zeros for the first.
    pub previous: [u8; 32],
}

/// Bytes of a certificate in its only form.
pub(crate) const BYTES: usize = 1 + 32 + 8 + 16 + 33 + 4 * 32 + 8 + 8 + 1 + 8 + 32 + 4 + 25;

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
        for bytes in [self.wiped.parameters, self.wiped.packed_weights, self.wiped.arena, self.wiped.sealing_keys] {
            form.put(&bytes.to_le_bytes());
        }
        form.put(&self.sealed_files.to_le_bytes());
        for (_, hold) in self.protection.each() {
            let (kind, errno) = code(hold);
            form.put(&[kind]);
            form.put(&errno.to_le_bytes());
        }
        form.bytes
    }

    /// The certificate of these bytes, if they are one: what [`Certificate::to_bytes`] gives, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Certificate> {
        let mut read = Read(bytes);
        let certificate = if read.byte()? == VERSION { read.certificate()? } else { return None };
        read.0.is_empty().then_some(certificate)
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

/// The answer of a number and an error, in their only form.
fn hold((kind, errno): (u8, i32)) -> Option<Hold> {
    match (kind, errno) {
        (0, 0) => Some(Hold::NotAsked),
        (1, 0) => Some(Hold::Holds),
        (2, errno) => Some(Hold::Refused(errno)),
        (3, 0) => Some(Hold::Unconfirmed),
        (4, 0) => Some(Hold::NotHere),
        _ => None,
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

/// Bytes that are read from the front.
struct Read<'a>(&'a [u8]);

impl Read<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*part)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn owner(&mut self) -> Option<Option<NodeId>> {
        match (self.byte()?, NodeId(self.take()?)) {
            (0, id) if id == NodeId::default() => Some(None),
            (1, id) => Some(Some(id)),
            _ => None,
        }
    }

    fn reason(&mut self) -> Option<Reason> {
        let byte = self.byte()?;
        Reason::ALL.into_iter().find(|reason| *reason as u8 == byte)
    }

    fn wiped(&mut self) -> Option<Wiped> {
        let (parameters, packed_weights) = (self.number()?, self.number()?);
        Some(Wiped { parameters, packed_weights, arena: self.number()?, sealing_keys: self.number()? })
    }

    fn hold(&mut self) -> Option<Hold> {
        hold((self.byte()?, i32::from_le_bytes(self.take()?)))
    }

    fn protection(&mut self) -> Option<Protection> {
        let (locked, undumped, fork_wiped) = (self.hold()?, self.hold()?, self.hold()?);
        Some(Protection { locked, undumped, fork_wiped, guarded: self.hold()?, secret: self.hold()? })
    }

    /// All but the version.
    fn certificate(&mut self) -> Option<Certificate> {
        let (node, number, instance) = (NodeId(self.take()?), self.number()?, InstanceId(self.take()?));
        let owner = self.owner()?;
        let (task, plan, commitment, previous) = (self.take()?, self.take()?, self.take()?, self.take()?);
        let (born_unix_ms, lived_ns, reason, calls) = (self.number()?, self.number()?, self.reason()?, self.number()?);
        let (wiped, sealed_files) = (self.wiped()?, u32::from_le_bytes(self.take()?));
        let protection = self.protection()?;
        Some(Certificate {
            node,
            number,
            instance,
            owner,
            task,
            plan,
            commitment,
            born_unix_ms,
            lived_ns,
            reason,
            calls,
            wiped,
            sealed_files,
            protection,
            previous,
        })
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
            wiped: Wiped { parameters: 10, packed_weights: 11, arena: 12, sealing_keys: 32 },
            sealed_files: 1,
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
            Certificate { wiped: Wiped { sealing_keys: 64, ..plain.wiped }, ..plain },
            Certificate { sealed_files: 2, ..plain },
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
        assert_eq!(
            (bytes[last - 20], bytes[last - 12], bytes[last - 4]),
            (12, 32, 1),
            "what was wiped, before the protections"
        );
    }

    /// Bytes are a certificate in one way only: whatever is read is written again as it was.
    #[test]
    fn the_form_is_the_only_one() {
        let refused = Protection { locked: Hold::Refused(12), guarded: Hold::NotHere, ..Protection::default() };
        for certificate in [
            certificate(),
            Certificate {
                owner: Some(NodeId([0; 32])),
                protection: refused,
                reason: Reason::Shutdown,
                ..certificate()
            },
        ] {
            let bytes = certificate.to_bytes();
            assert_eq!(Certificate::from_bytes(&bytes), Some(certificate));
            for cut in 0..bytes.len() {
                assert_eq!(Certificate::from_bytes(&bytes[..cut]), None);
            }
            assert_eq!(Certificate::from_bytes(&[&bytes[..], &[0]].concat()), None);
            for at in 0..bytes.len() {
                for change in 1..=255 {
                    let mut other = bytes;
                    other[at] ^= change;
                    if let Some(read) = Certificate::from_bytes(&other) {
                        assert!(read != certificate && read.to_bytes() == other, "{at} {change}");
                    }
                }
            }
        }
    }
}
