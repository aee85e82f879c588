//! The definitions of `mayfly mesh`.

pub use super::auth_args::{AuthCommand, RoleCommand, UserCommand};
pub use super::groups::{AlarmCommand, LeaseCommand, MemberCommand, SnapshotCommand};
pub use super::import::args::ImportArgs;
pub use super::range::Range;
pub use super::target::Target;
use super::words::{lease_id, member_id};
use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub enum MeshCommand {
    /// Show where each of the endpoints stands
    Status(Target),
    /// Read keys
    Get(GetArgs),
    /// Write a key
    Put(PutArgs),
    /// Delete keys
    Del(DelArgs),
    /// Compare, and then do one thing or the other, in one step
    ///
    /// Three paragraphs, each ended by an empty line: comparisons such as value("k") = "v", mod("k") > "0", create(…), version(…) and lease(…);
    /// requests (get, put, del, with their options) for when all of them hold; requests for when one does not.
    Txn {
        /// Read the paragraphs from this file instead of standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Print changes as they are made, until interrupted
    Watch(WatchArgs),
    /// Leases: they delete their keys unless they are renewed
    #[command(subcommand)]
    Lease(LeaseCommand),
    /// The members of the cluster
    #[command(subcommand)]
    Member(MemberCommand),
    /// Whether it is looked at who asks
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Users
    #[command(subcommand)]
    User(UserCommand),
    /// Roles: what users may read and write
    #[command(subcommand)]
    Role(RoleCommand),
    /// Forget what keys held before a revision
    Compact {
        /// The revision
        #[arg(value_name = "REV", value_parser = clap::value_parser!(i64).range(1..))]
        revision: i64,
        /// Answer only when the space is free for new entries
        #[arg(long)]
        physical: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Hold a lock, and run a command while it is held
    ///
    /// COMMAND is told the token of the lock in MAYFLY_LOCK_TOKEN, which is higher for every later holder: what it writes is to be guarded by it, since who
    /// was stopped for longer than the lease lives has lost the lock without knowing. MAYFLY_LOCK_KEY and MAYFLY_LOCK_LEASE are the key and its lease.
    Lock(LockArgs),
    /// Lead, once nobody else does, until interrupted; or print who leads
    Elect(ElectArgs),
    /// The whole state as a file: save, inspect and restore it
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Go on with the last member, alone, when a majority is lost for good
    ///
    /// For a node that is stopped. It shows what this node knows and what it cannot know, asks for the id of the cluster that is given up, and makes a
    /// new cluster with this node as its only member. Members of the old cluster are refused for ever: they join the new one with an empty folder.
    Recover(RecoverArgs),
    /// Take over what etcd or another mesh has, and what it changes from then on
    ///
    /// Keys and values; no leases, users or history. How far it has come is noted in the mesh with every change, so that it goes on there after any end.
    Import(Box<ImportArgs>),
    /// Give the free space of the endpoints' files back, one after the other: each waits meanwhile
    Defrag(Target),
    /// What keeps the mesh from taking more
    #[command(subcommand)]
    Alarm(AlarmCommand),
    /// Compare the histories of all members
    Check(Target),
    /// Let another member lead
    MoveLeader {
        /// Who is to lead (hexadecimal, as in `mayfly mesh member list`)
        #[arg(value_parser = member_id)]
        id: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Write to processes on this machine while leaders are killed, cut off and lose their disks, and check that it did not show
    Demo(DemoArgs),
}

/// What is read.
#[derive(Args, Debug)]
pub struct Selection {
    #[command(flatten)]
    pub range: Range,
    /// Most keys to read; 0 is all
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub limit: i64,
    /// Read as of this revision; 0 is now
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub rev: i64,
    /// In which order
    #[arg(long)]
    pub order: Option<Order>,
    /// By what they are put in order
    #[arg(long)]
    pub sort_by: Option<SortBy>,
    /// The keys without their values
    #[arg(long)]
    pub keys_only: bool,
    /// How many there are, and no more
    #[arg(long, conflicts_with = "keys_only")]
    pub count_only: bool,
    /// Let the node answer from what it has, which may be old, without asking the others
    #[arg(long)]
    pub serializable: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascend,
    Descend,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    Key,
    Version,
    Create,
    Mod,
    Value,
}

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Processes, an odd number
    #[arg(long, default_value_t = 3, value_parser = odd)]
    pub nodes: u8,
    /// Seconds of reads and writes
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(10..=3600))]
    pub seconds: u64,
    /// Do these instead, drawn at random, one after the other until the time is over: `all` is all but the last three
    #[arg(long, value_name = "FAULT,…", value_delimiter = ',', conflicts_with = "etcd")]
    pub faults: Vec<Fault>,
    /// What is drawn
    #[arg(long, default_value_t = 1, requires = "faults")]
    pub seed: u64,
    /// Do the same with etcd, which must be on the path: the leaders are killed, nothing else
    #[arg(long)]
    pub etcd: bool,
    /// Draw writes over time, and what was done meanwhile
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    All,
    /// A process is killed, and started again
    Kill,
    /// A process is asked to end, and started again
    Restart,
    /// All processes are killed
    Outage,
    /// A process stands still for 1 to 30 s
    Pause,
    /// A node is cut off from the others
    Cut,
    /// Packets between nodes are lost
    Loss,
    /// A node loses its disk
    Wipe,
    /// A disk refuses to flush; needs strace
    Flush,
    /// A node comes back with a clock that is an hour off; needs faketime
    Clock,
    /// A disk is full; needs root, for disks of 1 GiB in memory
    Full,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Outage => "outage",
            Self::Pause => "pause",
            Self::Cut => "cut",
            Self::Loss => "loss",
            Self::Wipe => "wipe",
            Self::Flush => "flush",
            Self::Clock => "clock",
            Self::Full => "full",
        }
    }
}

fn odd(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|n| [3, 5, 7].contains(n)).ok_or_else(|| "it is 3, 5 or 7".into())
}

#[derive(Args, Debug)]
pub struct GetArgs {
    #[command(flatten)]
    pub what: Selection,
    /// The values without their keys; a single one goes down a pipe byte for byte
    #[arg(long, conflicts_with_all = ["keys_only", "count_only"])]
    pub value_only: bool,
    /// Write the value of the one key that is found into this file, byte for byte
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["keys_only", "count_only"])]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

/// What is written.
#[derive(Args, Debug)]
pub struct Pair {
    /// The key
    pub key: OsString,
    /// The value, as text; - is standard input
    #[arg(allow_hyphen_values = true, conflicts_with = "ignore_value")]
    pub value: Option<OsString>,
    /// The lease that holds the key (hexadecimal)
    #[arg(long, value_name = "ID", value_parser = lease_id, conflicts_with = "ignore_lease")]
    pub lease: Option<i64>,
    /// Show what was there before
    #[arg(long)]
    pub prev_kv: bool,
    /// Keep the value that the key has
    #[arg(long)]
    pub ignore_value: bool,
    /// Keep the lease that the key has
    #[arg(long)]
    pub ignore_lease: bool,
}

#[derive(Args, Debug)]
pub struct PutArgs {
    #[command(flatten)]
    pub pair: Pair,
    /// Take the value from this file, whatever bytes it has
    #[arg(long, value_name = "FILE", conflicts_with_all = ["value", "ignore_value"])]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

/// What is deleted.
#[derive(Args, Debug)]
pub struct Removal {
    #[command(flatten)]
    pub range: Range,
    /// Delete every key there is: with an empty KEY and --prefix or --from-key
    #[arg(long)]
    pub all: bool,
    /// Show what was there before
    #[arg(long)]
    pub prev_kv: bool,
}

#[derive(Args, Debug)]
pub struct DelArgs {
    #[command(flatten)]
    pub what: Removal,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub struct WatchArgs {
    #[command(flatten)]
    pub range: Range,
    /// Begin with the changes of this revision; 0 is what comes from now on
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub rev: i64,
    /// Show what was there before
    #[arg(long)]
    pub prev_kv: bool,
    /// Also say from time to time, while nothing changes, how far the node is
    #[arg(long)]
    pub progress: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub struct RecoverArgs {
    /// That this is meant: entries that a majority may have acknowledged are lost
    #[arg(long, required = true)]
    pub force_new_cluster: bool,
    /// Folder of the node, which must not run
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The id of the cluster that is given up (hexadecimal) [default: it is asked for]
    #[arg(long, value_name = "ID", value_parser = member_id)]
    pub cluster_id: Option<u64>,
    /// Move revisions on by so many, and count all below as compacted, so that watchers and caches of what only others had are told to read anew
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub bump_revision: u32,
    /// Leave a log aside that cannot be read: what is in it alone is lost
    #[arg(long)]
    pub without_log: bool,
}

#[derive(Args, Debug)]
pub struct LockArgs {
    /// The lock
    pub name: OsString,
    /// Seconds until others get it when this node or program is gone
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(i64).range(2..=86_400))]
    pub ttl: i64,
    #[command(flatten)]
    pub target: Target,
    /// What is run while it is held [default: it is held until interrupted]
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct ElectArgs {
    /// The election
    pub name: OsString,
    /// What to proclaim [default: none, and who leads is printed]
    pub value: Option<OsString>,
    /// Seconds until others lead when this node or program is gone
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(i64).range(2..=86_400))]
    pub ttl: i64,
    #[command(flatten)]
    pub target: Target,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser, Debug)]
    struct Line {
        #[command(subcommand)]
        command: MeshCommand,
    }

    fn parse(line: &str) -> Result<MeshCommand, clap::Error> {
        let words = std::iter::once("mesh").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.command)
    }

    #[test]
    fn definitions_hold() {
        Line::command().debug_assert();
    }

    #[test]
    fn endpoints_are_many() {
        let Ok(MeshCommand::Status(target)) = parse("status --endpoints a:1,b:2 --endpoints c:3") else {
            panic!("no status")
        };
        assert_eq!(target.endpoints, ["a:1", "b:2", "c:3"]);
        assert_eq!(target.timeout_s, 5);
    }

    #[test]
    fn who_asks_stands_beside_whom_it_is_about() {
        let line = "role grant-permission r readwrite k --prefix --user root --cacert a --cert b --key c";
        let Ok(MeshCommand::Role(RoleCommand::GrantPermission { name, range, target, .. })) = parse(line) else {
            panic!("no grant")
        };
        assert_eq!((&name[..], range.key, range.prefix), ("r", "k".into(), true));
        assert_eq!((target.login.as_deref(), target.own_key), (Some("root"), Some("c".into())));
        let Ok(MeshCommand::User(UserCommand::GrantRole { name, role, .. })) = parse("user grant-role u1 r1") else {
            panic!("no grant")
        };
        assert_eq!((&name[..], &role[..]), ("u1", "r1"));
    }

    #[test]
    fn values_may_start_with_a_hyphen() {
        let Ok(MeshCommand::Put(args)) = parse("put k -5 --lease ff --prev-kv") else { panic!("no put") };
        assert_eq!((args.pair.value, args.pair.lease, args.pair.prev_kv), (Some("-5".into()), Some(255), true));
        let Ok(MeshCommand::Put(args)) = parse("put k --file f") else { panic!("no put") };
        assert_eq!((args.pair.value, args.file), (None, Some("f".into())));
    }

    #[test]
    fn what_is_run_comes_last() {
        let Ok(MeshCommand::Lock(args)) = parse("lock l --ttl 5 -- sleep --help 1") else { panic!("no lock") };
        assert_eq!(
            (args.name, args.ttl, args.command),
            ("l".into(), 5, ["sleep", "--help", "1"].map(Into::into).into())
        );
        assert!(parse("lock l sleep 1").is_err() && parse("lock l --ttl 1").is_err());
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        for line in [
            "get a b --prefix",
            "get a --prefix --from-key",
            "get a --keys-only --count-only",
            "get a --keys-only -o f",
            "put k v --file f",
            "put k v --ignore-value",
            "put k v --lease 1 --ignore-lease",
            "lease show xyz",
            "member add a",
            "compact 0",
            "get a --cert f",
            "get a --cacert f --cert f",
            "get a --key f",
            "role grant-permission r often k",
            "role grant-permission r read k e --prefix",
            "snapshot restore f",
            "snapshot restore f --data d --bump-revision -1",
            "snapshot restore f --data d --signer ab",
            "recover --data d",
            "recover --force-new-cluster",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
