//! Reading a backup without a database: every sum and the signature are checked, and what is in it is counted.

use super::error::BackupError;
use super::seal::{self, NoSeal};
use crate::auth::{self, AuthSummary};
use crate::cluster;
use crate::entry::Tag;
use crate::kv::{self, KvSummary};
use crate::logged::Applied;
use crate::models::{self, Manifest};
use crate::module::Fault;
use crate::proto::etcdserverpb::AlarmMember;
use crate::proto::meshpb::Membership;
use crate::proto::modelspb::{Stage, Version};
use crate::store::{FORMAT, MAGIC, Walked, walk};
use mayfly_base::NodeId;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

type Checked<T> = Result<T, BackupError>;

/// At the end of a file: SHA-256 over the rest.
const SUM: u64 = 32;
const BLOCK: u64 = 512;
/// What may lie between the state and the sum: a seal and zeros.
const MAX_TAIL: u64 = 128 << 10;
/// Where a database of bolt, which etcd's snapshots are, has its mark.
const BOLT_AT: usize = 16;
const BOLT: [u8; 4] = 0xED0C_DAED_u32.to_le_bytes();

/// What a file of `snapshot save` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The format of the state in it.
    pub format: u32,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 that it ends with, which is that of all before it.
    pub sha256: [u8; 32],
    /// The BLAKE3 of the state.
    pub digest: [u8; 32],
    /// Zeros before the sum.
    pub padding: u64,
    /// Whose state it is.
    pub cluster: u64,
    /// The last entry that is in it.
    pub at: Applied,
    /// The revision of its newest write.
    pub revision: i64,
    /// Up to where history was compacted.
    pub compacted: i64,
    /// Keys that exist.
    pub keys: u64,
    /// Versions of keys, those that exist and those that were.
    pub versions: u64,
    /// Leases that live.
    pub leases: u64,
    /// Users.
    pub users: u64,
    /// Roles.
    pub roles: u64,
    /// Is it looked at who asks?
    pub auth_enabled: bool,
    /// Names of models.
    pub models: u64,
    /// Artefacts that belong to it and are not in it.
    pub artefacts: Vec<Artefact>,
    /// Alarms that are up.
    pub alarms: Vec<AlarmMember>,
    /// Who was a member.
    pub members: Vec<Seat>,
    /// Who made it.
    pub seal: Seal,
}

/// A member as a snapshot knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Does it have a vote?
    pub is_voter: bool,
}

/// The bytes of a version of a model, which lie elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// `name@version`.
    pub name: String,
    /// BLAKE3, 64 hexadecimal digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Does it answer calls, or is it tried?
    pub is_used: bool,
}

/// Who made a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Nobody says so.
    Missing,
    /// The node with this key.
    Good {
        /// Who.
        signer: NodeId,
        /// As which member.
        member: u64,
        /// When, by its own clock: seconds since 1970.
        signed_at: i64,
    },
    /// Not the one that it names.
    Wrong {
        /// Who is said to have signed.
        signer: String,
        /// What is wrong.
        what: String,
    },
}

/// Reads a file to its end, and checks whatever can be checked without knowing whom to trust.
///
/// # Errors
/// [`BackupError::Unreadable`], [`BackupError::Foreign`], [`BackupError::NewerFormat`], [`BackupError::Cut`], [`BackupError::Damaged`]. A signature that is
/// missing or wrong is told in [`Backup::seal`].
pub fn inspect(path: &Path) -> Checked<Backup> {
    let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
    inspect_open(path, &mut file)
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> BackupError {
    BackupError::Unreadable { path: path.into(), reason: error.to_string() }
}

pub(super) fn inspect_open(path: &Path, file: &mut File) -> Checked<Backup> {
    let bytes = check_kind(path, file)?;
    let sha256 = check_sum(path, file, bytes)?;
    file.seek(SeekFrom::Start(0)).map_err(|e| unreadable(path, &e))?;
    let mut input = BufReader::with_capacity(1 << 18, file.take(bytes - SUM));
    let mut found = Found::default();
    let mut modules = Vec::new();
    let walked = walk(&mut input, &mut |_| Ok(()), &mut |tag, next| {
        modules.push(tag);
        match tag {
            Tag::CLUSTER => found.members = cluster::summarise(next)?,
            Tag::KV => found.kv = kv::summarise(next)?,
            Tag::MODELS => found.versions = models::summarise(next)?,
            Tag::AUTH => found.auth = auth::summarise(next)?,
            Tag(tag) => {
                let what = format!("it has state of a module {tag}, which this program does not know");
                return Err(Fault::Unreadable(what));
            }
        }
        Ok(())
    });
    let walked = walked.map_err(|fault| damaged(path, fault))?;
    modules.sort();
    if modules != [Tag::CLUSTER, Tag::KV, Tag::MODELS, Tag::AUTH] {
        let what = "it has not the state of each module once".to_owned();
        return Err(damaged(path, Fault::Damaged(what)));
    }
    let mut tail = Vec::new();
    input.take(MAX_TAIL + 1).read_to_end(&mut tail).map_err(|e| unreadable(path, &e))?;
    let (seal, padding) = look_at_tail(path, &tail, &walked, found.kv.revision)?;
    Ok(found.told(bytes, sha256, walked, seal, padding))
}

fn damaged(path: &Path, fault: Fault) -> BackupError {
    let what = match fault {
        Fault::Damaged(what) | Fault::Unreadable(what) => what,
        Fault::Storage(error) => error.to_string(),
    };
    BackupError::Damaged { path: path.into(), what }
}

/// Is it one, of a format that is known, and of a length that one has? Gives the length.
fn check_kind(path: &Path, file: &mut File) -> Checked<u64> {
    let meta = file.metadata().map_err(|e| unreadable(path, &e))?;
    if !meta.is_file() {
        return Err(BackupError::Foreign { path: path.into(), what: "it is no file" });
    }
    let mut head = Vec::new();
    file.take(64).read_to_end(&mut head).map_err(|e| unreadable(path, &e))?;
    let cut = BackupError::Cut { path: path.into(), bytes: meta.len() };
    let Some(rest) = head.strip_prefix(MAGIC) else {
        let what = match head.get(BOLT_AT..BOLT_AT + BOLT.len()) {
            _ if MAGIC.starts_with(&head) => return Err(cut),
            Some(mark) if mark == BOLT => {
                "it is etcd's own (a bolt database): restore it with etcdutl, start etcd on that, and `mayfly mesh import` from there"
            }
            _ => "it does not begin as one",
        };
        return Err(BackupError::Foreign { path: path.into(), what });
    };
    let Some(format) = rest.first_chunk().map(|format| u16::from_be_bytes(*format)) else { return Err(cut) };
    if format > FORMAT {
        return Err(BackupError::NewerFormat { path: path.into(), found: format.into(), known: FORMAT.into() });
    }
    if format < FORMAT {
        let what = format!("its format {format} is from before the first release, this program reads {FORMAT}");
        return Err(BackupError::Damaged { path: path.into(), what });
    }
    if meta.len() % BLOCK != SUM { Err(cut) } else { Ok(meta.len()) }
}

fn check_sum(path: &Path, file: &mut File, bytes: u64) -> Checked<[u8; 32]> {
    let read = |file: &mut File| {
        file.seek(SeekFrom::Start(0))?;
        let (mut hasher, mut sum) = (Sha256::new(), [0; 32]);
        let mut chunk = vec![0; 1 << 18];
        let mut left = bytes - SUM;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(chunk.len()).min(chunk.len());
            file.read_exact(&mut chunk[..part])?;
            hasher.update(&chunk[..part]);
            left -= part as u64;
        }
        file.read_exact(&mut sum)?;
        Ok((<[u8; 32]>::from(hasher.finalize()), sum))
    };
    let (found, want) = read(file).map_err(|e: io::Error| unreadable(path, &e))?;
    if found == want {
        return Ok(want);
    }
    let what = "its SHA-256 is not that of its bytes: it was cut or changed after it was written";
    Err(BackupError::Damaged { path: path.into(), what: what.into() })
}

/// A seal, if there is one, and zeros.
fn look_at_tail(path: &Path, tail: &[u8], walked: &Walked, revision: i64) -> Checked<(Seal, u64)> {
    let wrong = |what: String| BackupError::Damaged { path: path.into(), what };
    let (seal, bytes) = if tail.iter().all(|byte| *byte == 0) {
        (Seal::Missing, 0)
    } else {
        let found = seal::find(tail).map_err(|no| match no {
            NoSeal::Broken(what) => wrong(what),
            NoSeal::Newer(found) => BackupError::NewerFormat { path: path.into(), found, known: 1 },
        })?;
        let Walked { header, hash, bytes } = walked;
        let seal = match found.verify(header.cluster, header.at, revision, *bytes, hash) {
            Some(what) => Seal::Wrong { signer: found.statement.signer().into(), what },
            None => Seal::Good {
                signer: found.signer(),
                member: found.statement.member(),
                signed_at: found.statement.signed_at(),
            },
        };
        (seal, found.bytes)
    };
    let padding = tail.get(usize::try_from(bytes).unwrap_or(tail.len())..).unwrap_or_default();
    if padding.len() as u64 >= BLOCK || padding.iter().any(|byte| *byte != 0) {
        return Err(wrong(format!("{} bytes before its sum are no padding", padding.len())));
    }
    Ok((seal, padding.len() as u64))
}

/// What the modules' records hold.
#[derive(Default)]
struct Found {
    members: Membership,
    kv: KvSummary,
    versions: Vec<Version>,
    auth: AuthSummary,
}

impl Found {
    fn told(self, bytes: u64, sha256: [u8; 32], walked: Walked, seal: Seal, padding: u64) -> Backup {
        let Self { members, kv, versions, auth } = self;
        let voters: Vec<u64> = members.voters.iter().flat_map(|set| set.member.iter().copied()).collect();
        let seat = |member: crate::proto::meshpb::Member| Seat {
            id: member.id,
            name: member.seat.unwrap_or_default().name,
            is_voter: voters.contains(&member.id),
        };
        let mut names: Vec<&str> = versions.iter().map(|version| &version.name[..]).collect();
        names.dedup();
        Backup {
            format: FORMAT.into(),
            bytes,
            sha256,
            digest: walked.hash,
            padding,
            cluster: walked.header.cluster,
            at: walked.header.at,
            revision: kv.revision,
            compacted: kv.compacted,
            keys: kv.keys,
            versions: kv.versions,
            leases: kv.leases,
            users: auth.users,
            roles: auth.roles,
            auth_enabled: auth.enabled,
            models: names.len() as u64,
            artefacts: versions.iter().filter_map(artefact).collect(),
            alarms: kv.alarms,
            members: members.members.into_iter().map(seat).collect(),
            seal,
        }
    }
}

/// What a version needs besides its record.
fn artefact(version: &Version) -> Option<Artefact> {
    let manifest = version.signed.as_ref().filter(|_| !version.forgotten);
    let manifest = Manifest::read(&manifest?.manifest).ok()?;
    Some(Artefact {
        name: format!("{}@{}", version.name, version.version),
        digest: manifest.digest,
        size: manifest.size,
        is_used: matches!(version.stage(), Stage::Live | Stage::Canary),
    })
}
