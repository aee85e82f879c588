//! The registry of models: versions of signed artefacts, their stages, and which of them is live. Models are bytes to it. `docs/design/models.md`.

mod apply;
mod blobs;
mod live;
mod manifest;
mod refusal;
mod signed;
mod tables;

pub use blobs::{Blobs, CHUNK, FOLDER};
pub use live::{Chosen, Live, Served};
pub use manifest::{Lineage, MAX_MANIFEST, Manifest, SIGNED_AS, check_name};
pub use refusal::ModelRefusal;
pub use signed::{Unfit, check, check_bytes};
pub use tables::{Told, Which, event_count, events, version, versions, wanted};

use crate::entry::{Entry, Tag};
use crate::logged::Applied;
use crate::module::{Emit, Fault, Module, Next};
use crate::proto::modelspb::command::Request;
use crate::proto::modelspb::outcome::Response;
use crate::proto::modelspb::{Command, Event, Name, Outcome, Version};
use prost::Message;
use redb::{ReadTransaction, WriteTransaction};
use tables::{EVENTS, NAMES, Tables, VERSIONS};

/// The module of tag 2.
pub struct Models;

impl Module for Models {
    fn tag(&self) -> Tag {
        Tag::MODELS
    }

    fn found(&self, transaction: &WriteTransaction) -> Result<(), Fault> {
        transaction.open_table(NAMES)?;
        transaction.open_table(VERSIONS)?;
        transaction.open_table(EVENTS)?;
        Ok(())
    }

    fn apply(&self, transaction: &WriteTransaction, at: Applied, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        let unreadable = |what: String| Fault::Unreadable(what);
        let command = Command::decode(payload).map_err(|e| unreadable(e.to_string()))?;
        let request =
            command.request.ok_or_else(|| unreadable("its request to the registry is of a kind not known".into()))?;
        let response = match apply::apply(&Tables(transaction), at, request)? {
            Ok(version) => Response::Version(version),
            Err(refusal) => Response::Refused(refusal.number()),
        };
        Ok(Outcome { response: Some(response) }.encode_to_vec())
    }

    /// A record is a letter and a row: names with their lengths, then versions, then events in their order.
    fn snapshot(&self, transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault> {
        let mut put = |kind: u8, parts: &[&[u8]]| emit(&[&[kind][..], &parts.concat()].concat());
        for row in transaction.open_table(NAMES)?.range::<&str>(..)? {
            let (name, row) = row?;
            let name = name.value().as_bytes();
            put(b'n', &[&(name.len() as u32).to_be_bytes(), name, row.value()])?;
        }
        for row in transaction.open_table(VERSIONS)?.range::<(&str, u64)>(..)? {
            put(b'v', &[row?.1.value()])?;
        }
        for row in transaction.open_table(EVENTS)?.range::<(&str, u64)>(..)? {
            put(b'e', &[row?.1.value()])?;
        }
        Ok(())
    }

    fn restore(&self, transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault> {
        transaction.delete_table(NAMES)?;
        transaction.delete_table(VERSIONS)?;
        transaction.delete_table(EVENTS)?;
        self.found(transaction)?;
        let tables = Tables(transaction);
        while let Some(record) = next()? {
            match Record::read(&record)? {
                Record::Name(name, row) => tables.put_name(name, &row)?,
                Record::Version(version) => tables.put_version(&version)?,
                Record::Event(event) => tables.note(&event)?,
            }
        }
        Ok(())
    }
}

/// A record of a snapshot.
enum Record<'r> {
    Name(&'r str, Name),
    Version(Box<Version>),
    Event(Event),
}

impl<'r> Record<'r> {
    fn read(record: &'r [u8]) -> Result<Self, Fault> {
        let damaged = || Fault::Damaged("a record of the registry is not one".into());
        Ok(match record.split_first().ok_or_else(damaged)? {
            (b'n', rest) => {
                let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
                let len = u32::from_be_bytes(*len) as usize;
                let (name, row) = rest.split_at_checked(len).ok_or_else(damaged)?;
                Self::Name(std::str::from_utf8(name).map_err(|_| damaged())?, tables::read(row)?)
            }
            (b'v', row) => Self::Version(Box::new(tables::read(row)?)),
            (b'e', row) => Self::Event(tables::read(row)?),
            _ => return Err(damaged()),
        })
    }
}

/// The versions that the records of a snapshot hold.
pub(crate) fn summarise(next: Next<'_>) -> Result<Vec<Version>, Fault> {
    let mut versions = Vec::new();
    while let Some(record) = next()? {
        if let Record::Version(version) = Record::read(&record)? {
            versions.push(*version);
        }
    }
    Ok(versions)
}

/// The name of an artefact's bytes: BLAKE3.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// The entry of a change.
pub fn entry(request: Request) -> Entry {
    Entry { tag: Tag::MODELS, payload: Command { request: Some(request) }.encode_to_vec() }
}

/// What applying an entry of the registry answered.
///
/// # Errors
/// Bytes that are no answer of this version.
pub fn answer(bytes: &[u8]) -> Result<Told<Version>, String> {
    match Outcome::decode(bytes).map_err(|e| e.to_string())?.response {
        Some(Response::Version(version)) => Ok(Ok(version)),
        Some(Response::Refused(number)) => {
            let refusal = ModelRefusal::from_number(number);
            refusal.map(Err).ok_or_else(|| format!("its refusal {number} is not known here"))
        }
        None => Err("it is no answer of the registry".into()),
    }
}

/// What a member needs to keep artefacts.
#[derive(Clone)]
pub struct ModelHost {
    /// Where they lie.
    pub blobs: Blobs,
    /// Whose signature counts.
    pub trusts: std::sync::Arc<dyn Fn(&mayfly_base::NodeId) -> bool + Send + Sync>,
}

impl std::fmt::Debug for ModelHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelHost").field("blobs", &self.blobs).finish_non_exhaustive()
    }
}
