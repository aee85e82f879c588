//! Why a node of the mesh cannot start or go on. What a client did wrong is [`crate::EtcdError`].

use crate::ids::Owner;
use std::path::PathBuf;

/// Result with [`MeshError`].
pub type Result<T> = core::result::Result<T, MeshError>;

/// Why a node of the mesh cannot start or go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// The system refused something. The node ends: what a failed flush has left on the disk, nobody knows.
    #[error("cannot {action} {path}: {reason}")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process has the file open.
    #[error("{path} is in use: another node runs in this folder; stop it, or choose another folder")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The node had a file, and it is not there any more.
    #[error(
        "{path} is missing or empty although this node was founded: bring the file back from a backup, or join as a new member in an empty folder"
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// A file that does not say whose it is.
    #[error("{path} lies here without its member.json: bring that file back, or choose an empty folder")]
    Unowned {
        /// The file.
        path: PathBuf,
    },
    /// A folder that has a mesh, where one was to be made.
    #[error("{path} has a mesh already: choose another folder, or move that one away first")]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The file of another node.
    #[error("{path} is the file of {found}, this node is {want}: each node keeps its own file")]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: Owner,
        /// Who asks.
        want: Owner,
    },
    /// A file of a later version of this program.
    #[error("{path} has format {found}, this program reads up to {known}: run a newer one")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest format that is known here.
        known: u32,
    },
    /// The file is not what was written.
    #[error("{path} is damaged: {what}; remove this member and add it again as a new one, or restore a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// An entry that this version cannot apply. To skip it would be to fork.
    #[error("entry {index} cannot be applied: {what}; run a newer program")]
    UnreadableEntry {
        /// Its index.
        index: u64,
        /// What was found.
        what: String,
    },
    /// A snapshot that is cut, damaged or of another cluster.
    #[error("the snapshot cannot be used: {what}")]
    Snapshot {
        /// What was found.
        what: String,
    },
    /// More entries wait than are taken.
    #[error("too many requests wait for the disk")]
    Busy,
    /// Nobody may take entries or answer readers now. Nothing happened.
    #[error("no leader: {reason}")]
    NoLeader {
        /// What is known.
        reason: String,
    },
    /// Whether an entry is or will be in the order is not known.
    #[error("whether it happened is not known: {reason}")]
    Unsure {
        /// Why there is no answer.
        reason: String,
    },
    /// A member of a cluster of several, opened as a cluster of one.
    #[error("{path} is the file of a member of a cluster: start it with the others, not alone")]
    NotAlone {
        /// The file.
        path: PathBuf,
    },
    /// A change of members that cannot be made.
    #[error("the members cannot be changed: {reason}")]
    Membership {
        /// Why.
        reason: String,
    },
    /// The member was removed: its id is never used again.
    #[error(
        "{member:x} is no member of the mesh any more: join anew as a new member, or start this node without the mesh"
    )]
    Removed {
        /// Its id.
        member: u64,
    },
    /// The cluster of this member was given up, and another one has taken its place.
    #[error(
        "cluster {cluster:016x} was given up when its majority was lost, and another one goes on in its place: what this member has is not asked for any more; move its folder away, and join that one as a new member"
    )]
    GivenUp {
        /// The cluster of this member.
        cluster: u64,
    },
    /// A folder in which there is nothing to recover.
    #[error("{path} cannot be recovered: {what}")]
    NoMember {
        /// The folder.
        path: PathBuf,
        /// What it lacks.
        what: &'static str,
    },
    /// The mesh does not let this node in.
    #[error("the mesh does not let this node in: {reason}")]
    NotAdmitted {
        /// Why.
        reason: String,
    },
    /// An entry that no log takes.
    #[error("an entry of {bytes} bytes is too long: at most {max} are taken")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        max: usize,
    },
    /// The file cannot be made shorter while a state of it is still read.
    #[error("{path} is still read, for a snapshot that is on its way: defragment it when that is over")]
    Reading {
        /// The file.
        path: PathBuf,
    },
    /// The node has ended.
    #[error("the node has ended: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
    /// Clients may not connect in clear from other machines unless that was asked for.
    #[error(
        "{address} is reachable from other machines and would serve them in clear: use a loopback address, or allow insecure clients"
    )]
    InClear {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// Clients cannot be served with these certificates.
    #[error("cannot serve clients with {path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be listened on, or serving ended with an error.
    #[error("cannot serve clients on {address}: {reason}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        reason: String,
    },
}
