//! The registry's tables, and reading them.

use super::refusal::ModelRefusal;
use crate::module::Fault;
use crate::proto::modelspb::{Event, Name, Version};
use prost::Message;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

pub(super) const NAMES: TableDefinition<&str, &[u8]> = TableDefinition::new("models.names");
pub(super) const VERSIONS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("models.versions");
/// Name, and a number counted up.
pub(super) const EVENTS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("models.events");

/// What a request is answered: something, or why not.
pub type Told<T> = Result<T, ModelRefusal>;

/// The tables within a transaction that changes them.
pub(super) struct Tables<'t>(pub(super) &'t WriteTransaction);

impl Tables<'_> {
    pub(super) fn name(&self, name: &str) -> Result<Option<Name>, Fault> {
        self.0.open_table(NAMES)?.get(name)?.map(|bytes| read(bytes.value())).transpose()
    }

    pub(super) fn put_name(&self, name: &str, row: &Name) -> Result<(), Fault> {
        self.0.open_table(NAMES)?.insert(name, &row.encode_to_vec()[..])?;
        Ok(())
    }

    pub(super) fn version(&self, name: &str, version: u64) -> Result<Option<Version>, Fault> {
        self.0.open_table(VERSIONS)?.get((name, version))?.map(|bytes| read(bytes.value())).transpose()
    }

    pub(super) fn put_version(&self, version: &Version) -> Result<(), Fault> {
        let key = (&version.name[..], version.version);
        self.0.open_table(VERSIONS)?.insert(key, &version.encode_to_vec()[..])?;
        Ok(())
    }

    pub(super) fn versions(&self, name: &str) -> Result<Vec<Version>, Fault> {
        let table = self.0.open_table(VERSIONS)?;
        let rows = table.range((name, 0)..=(name, u64::MAX))?;
        rows.map(|row| read(row?.1.value())).collect()
    }

    pub(super) fn note(&self, event: &Event) -> Result<(), Fault> {
        let mut table = self.0.open_table(EVENTS)?;
        let name = &event.name[..];
        let last = table.range((name, 0)..=(name, u64::MAX))?.next_back().transpose()?.map(|(key, _)| key.value().1);
        table.insert((name, last.map_or(0, |last| last + 1)), &event.encode_to_vec()[..])?;
        Ok(())
    }
}

/// A record as it was written.
pub(super) fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Fault> {
    M::decode(bytes).map_err(|e| Fault::Damaged(format!("a record of the registry is not one: {e}")))
}

/// A version of a model: by its number, an alias, or "live" and "canary".
pub fn version(transaction: &ReadTransaction, name: &str, which: Which<'_>) -> Result<Told<Version>, Fault> {
    let number = match which {
        Which::Number(number) => number,
        Which::Alias(alias) => match number_of(transaction, name, alias)? {
            Ok(number) => number,
            Err(refusal) => return Ok(Err(refusal)),
        },
    };
    let found = transaction.open_table(VERSIONS)?.get((name, number))?.map(|bytes| read(bytes.value())).transpose()?;
    Ok(found.ok_or(ModelRefusal::NoSuchModel))
}

/// How a version is named.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// By its number.
    Number(u64),
    /// By an alias, or a stage that one version has.
    Alias(&'a str),
}

fn number_of(transaction: &ReadTransaction, name: &str, alias: &str) -> Result<Told<u64>, Fault> {
    let row = transaction.open_table(NAMES)?.get(name)?.map(|bytes| read::<Name>(bytes.value())).transpose()?;
    let Some(row) = row else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    let of = |number: u64, refusal| if number == 0 { Err(refusal) } else { Ok(number) };
    Ok(match alias {
        "" | "live" | "production" => of(row.live, ModelRefusal::NothingLive),
        "canary" => of(row.canary, ModelRefusal::NoCanary),
        "latest" => of(row.last, ModelRefusal::NoSuchModel),
        alias => {
            let found =
                versions(transaction, name)?.into_iter().find(|version| version.aliases.iter().any(|a| a == alias));
            found.map(|version| version.version).ok_or(ModelRefusal::NoSuchModel)
        }
    })
}

/// All versions of a model, or of all models where the name is empty.
pub fn versions(transaction: &ReadTransaction, name: &str) -> Result<Vec<Version>, Fault> {
    let table = transaction.open_table(VERSIONS)?;
    let rows = if name.is_empty() { table.iter()? } else { table.range((name, 0)..=(name, u64::MAX))? };
    rows.map(|row| read(row?.1.value())).collect()
}

/// What happened to the versions of a model, in order.
pub fn events(transaction: &ReadTransaction, name: &str) -> Result<Vec<Event>, Fault> {
    let table = transaction.open_table(EVENTS)?;
    table.range((name, 0)..=(name, u64::MAX))?.map(|row| read(row?.1.value())).collect()
}

/// How much has happened: when this is the same, nothing has come.
pub fn event_count(transaction: &ReadTransaction) -> Result<u64, Fault> {
    Ok(transaction.open_table(EVENTS)?.len()?)
}

/// The versions whose bytes are kept.
pub fn wanted(transaction: &ReadTransaction) -> Result<Vec<Version>, Fault> {
    Ok(versions(transaction, "")?.into_iter().filter(|version| !version.forgotten).collect())
}
