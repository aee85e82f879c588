//! What is imported: which keys of which cluster, what they are called here, and where it is noted how far that has come.

use super::super::requests::prefix_end;
use crate::support::exit::Usage;
use crate::support::text::hex;
use mayfly_mesh::proto::etcdserverpb::RangeRequest;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Under this lies how far imports have come: these keys are neither taken over nor deleted.
pub const RESERVED: &[u8] = b"/mayfly/import/";
const FORMAT: u32 = 1;
/// The least key there is, and an end behind all of them.
const FIRST: &[u8] = &[0];

/// One import, told from others by its source and by the names of keys.
pub struct Job {
    pub source: u64,
    pub prefix: Vec<u8>,
    dest_prefix: Vec<u8>,
    /// Where its progress is.
    pub key: Vec<u8>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Some of what is there may be missing, and some of what is gone may be here.
    Loading,
    /// All up to the revision is here.
    Following,
}

#[derive(Deserialize)]
struct Formatted {
    format: u32,
}

/// What is noted at the destination, with every change that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    format: u32,
    /// The source's cluster, 16 hexadecimal digits.
    source: String,
    pub state: State,
    /// Of the source. While loading: of the destination, up to which all is the import's own; 0 where all of it is.
    pub revision: i64,
    /// Drawn by whoever works on it: another one finds that it is not alone.
    pub by: String,
}

impl Job {
    /// # Errors
    /// For an import of what it makes itself.
    pub fn new(source: u64, dest: u64, prefix: &[u8], dest_prefix: &[u8]) -> Result<Self, Usage> {
        if source == dest && (prefix.starts_with(dest_prefix) || dest_prefix.starts_with(prefix)) {
            let why = "source and destination are the same cluster, and one prefix is in the other: what was taken over would be taken over again";
            return Err(Usage(why.into()));
        }
        let mut hasher = Sha256::new();
        hasher.update(source.to_be_bytes());
        for part in [prefix, dest_prefix] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let name = hex(&hasher.finalize()[..8]);
        let key = [RESERVED, name.as_bytes()].concat();
        Ok(Self { source, prefix: prefix.to_vec(), dest_prefix: dest_prefix.to_vec(), key })
    }

    /// What a key of the source is called here; None for one that is left out.
    pub fn here(&self, key: &[u8]) -> Option<Vec<u8>> {
        let rest = key.strip_prefix(&self.prefix[..])?;
        let here = [&self.dest_prefix[..], rest].concat();
        (!here.starts_with(RESERVED) && !here.is_empty()).then_some(here)
    }

    /// Does the import have a say over this key of the destination?
    pub fn owns(key: &[u8]) -> bool {
        !key.starts_with(RESERVED)
    }

    /// All keys of the source from one on, or from the beginning.
    pub fn there(&self, after: Option<&[u8]>) -> RangeRequest {
        let all = range_of(&self.prefix);
        RangeRequest { key: after.map_or(all.key, behind), ..all }
    }

    /// The keys of the destination that belong to those of the source after one and up to another, or to the end.
    pub fn beside(&self, after: Option<&[u8]>, upto: Option<&[u8]>) -> RangeRequest {
        let (first, end) = ends_of(&self.dest_prefix);
        let named = |key: &[u8]| [&self.dest_prefix[..], key.strip_prefix(&self.prefix[..]).unwrap_or(key)].concat();
        let key = after.map_or(first, |key| behind(&named(key)));
        RangeRequest { key, range_end: upto.map_or(end, |key| behind(&named(key))), ..RangeRequest::default() }
    }

    pub fn progress(&self, state: State, revision: i64, by: &str) -> Progress {
        Progress { format: FORMAT, source: format!("{:016x}", self.source), state, revision, by: by.into() }
    }
}

impl Progress {
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // words and numbers are always written
    }

    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        // Before the rest: a later one may have other fields.
        let Formatted { format } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        match format {
            FORMAT => serde_json::from_slice(bytes).map_err(|e| e.to_string()),
            format => Err(format!("it has format {format}, this program reads {FORMAT}")),
        }
    }
}

/// The first key of those that start so, and the first behind them.
fn ends_of(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let first = if prefix.is_empty() { FIRST } else { prefix };
    (first.to_vec(), prefix_end(prefix))
}

/// All keys that start so.
pub fn range_of(prefix: &[u8]) -> RangeRequest {
    let (key, range_end) = ends_of(prefix);
    RangeRequest { key, range_end, ..RangeRequest::default() }
}

/// One key.
pub fn exactly(key: &[u8]) -> RangeRequest {
    RangeRequest { key: key.to_vec(), ..RangeRequest::default() }
}

/// The first key behind another.
pub fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(prefix: &str, dest_prefix: &str) -> Job {
        Job::new(1, 2, prefix.as_bytes(), dest_prefix.as_bytes()).unwrap()
    }

    #[test]
    fn keys_have_other_names_here() {
        let other = job("a/", "b/");
        assert_eq!(other.here(b"a/1").as_deref(), Some(&b"b/1"[..]));
        assert_eq!(other.here(b"b/1"), None);
        let all = job("", "");
        assert_eq!(all.here(b"x").as_deref(), Some(&b"x"[..]));
        assert_eq!(all.here(b"/mayfly/import/1234"), None, "its own notes are left out");
        assert_eq!(job("a", "").here(b"a"), None, "there is no empty key");
        let range = all.there(None);
        assert_eq!((range.key, range.range_end), (vec![0], vec![0]));
        let range = other.beside(Some(b"a/3"), Some(b"a/7"));
        assert_eq!((&range.key[..], &range.range_end[..]), (&b"b/3\0"[..], &b"b/7\0"[..]));
        let range = other.beside(None, None);
        assert_eq!((&range.key[..], &range.range_end[..]), (&b"b/"[..], &b"b0"[..]));
    }

    #[test]
    fn jobs_are_told_apart() {
        let keys = [job("a", ""), job("", "a"), job("", "")].map(|job| job.key);
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        assert_eq!(job("a", "b").key, job("a", "b").key);
        assert_ne!(Job::new(3, 2, b"a", b"b").unwrap().key, job("a", "b").key);
        assert!(Job::new(1, 1, b"a/", b"a/b/").is_err() && Job::new(1, 1, b"", b"b").is_err());
        assert!(Job::new(1, 1, b"a/", b"b/").is_ok());
    }

    #[test]
    fn progress_is_read_as_it_was_written() {
        let progress = job("", "").progress(State::Following, 7, "x");
        assert_eq!(Progress::read(&progress.write()), Ok(progress.clone()));
        let later = br#"{"format":2,"something":"else"}"#;
        assert!(Progress::read(later).unwrap_err().contains("format 2"));
        assert!(Progress::read(b"{").is_err());
    }
}
