//! The definitions of `mayfly mesh lease` and `mayfly mesh member`.

use super::target::Target;
use super::words::{lease_id, member_id};
use clap::{Args, Subcommand};
use mayfly_base::NodeId;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub enum LeaseCommand {
    /// Make a lease
    Grant {
        /// Seconds that it lives unless it is renewed
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        ttl: i64,
        /// Its id (hexadecimal) [default: the node chooses one]
        #[arg(long, value_name = "ID", value_parser = lease_id)]
        id: Option<i64>,
        #[command(flatten)]
        target: Target,
    },
    /// End a lease: the keys that it holds are deleted
    Revoke(OneLease),
    /// List the leases that live
    List(Target),
    /// Show how long a lease lives
    Show {
        #[command(flatten)]
        lease: OneLease,
        /// Show the keys that it holds as well
        #[arg(long)]
        keys: bool,
    },
    /// Renew a lease every third of its time, until interrupted
    KeepAlive {
        #[command(flatten)]
        lease: OneLease,
        /// Renew it once
        #[arg(long)]
        once: bool,
    },
}

#[derive(Args, Debug)]
pub struct OneLease {
    /// The lease (hexadecimal)
    #[arg(value_parser = lease_id)]
    pub id: i64,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Subcommand, Debug)]
pub enum SnapshotCommand {
    /// Write the state of a node into a file
    Save {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Say what a snapshot is: whose state, what is in it and who signed it; every sum and the signature are checked
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Make a new mesh of one node from a snapshot
    Restore(RestoreArgs),
}

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The file, of `mayfly mesh snapshot save` or `etcdctl snapshot save`
    pub file: PathBuf,
    /// Folder of the node that is to have it; made when it is not there. It must not have a mesh yet
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Move revisions on by so many, and count all below as compacted, so that watchers and caches of what came after the snapshot are told to read anew
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub bump_revision: u32,
    /// Believe this node's signature (64 hexadecimal digits) [default: that of the nodes on the trust list of --data]
    #[arg(long, value_name = "ID")]
    pub signer: Option<NodeId>,
    /// Take it from anybody, signed or not
    #[arg(long, conflicts_with = "signer")]
    pub unsigned: bool,
}

#[derive(Subcommand, Debug)]
pub enum AlarmCommand {
    /// List the alarms that are up
    List(Target),
    /// Take all of them back
    Disarm(Target),
}

#[derive(Subcommand, Debug)]
pub enum MemberCommand {
    /// List the members
    List(Target),
    /// Let a new member in
    Add {
        /// Its name
        name: String,
        /// Where the others reach it
        #[arg(long, value_name = "URL,…", value_delimiter = ',', required = true)]
        peer_url: Vec<String>,
        /// Without a vote, until it is promoted
        #[arg(long)]
        learner: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Give a learner its vote
    Promote(OneMember),
    /// Say where the others reach a member
    Update {
        #[command(flatten)]
        member: OneMember,
        /// Where they reach it
        #[arg(long, value_name = "URL,…", value_delimiter = ',', required = true)]
        peer_url: Vec<String>,
    },
    /// Shut a member out
    Remove(OneMember),
}

#[derive(Args, Debug)]
pub struct OneMember {
    /// The member (hexadecimal, as in `mayfly mesh member list`)
    #[arg(value_parser = member_id)]
    pub id: u64,
    #[command(flatten)]
    pub target: Target,
}
