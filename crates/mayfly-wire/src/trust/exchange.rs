//! How two nodes make their lists equal, in messages of bounded size: a digest; where it differs, sixteen bytes for each of 256 buckets of hashes;
//! the hashes of the buckets that differ, in pages; the records that are missing, in pages. Each side fetches what it lacks.

use super::record::RecordHash;
use super::{Merge, SignedRecord, TrustList, TrustStore};
use crate::{Result, WireError, from_payload, to_payload};
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What a page of records weighs at most, unless a single record is heavier.
pub const PAGE_BYTES: usize = 256 << 10;
/// Hashes in a message: 128 KiB.
const PAGE_HASHES: usize = 4096;
/// Records asked for at once; as many as fit come.
const PAGE_RECORDS: usize = 256;
const BUCKETS: usize = 256;
/// Fetched records that wait before they are put into the list, which is written to disk each time.
const BATCH_BYTES: usize = 16 << 20;

/// What a node says to another about the trust list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TrustAsk {
    /// Is your list mine?
    Compare {
        /// [`TrustList::digest`].
        digest: [u8; 32],
    },
    /// Which records do you have?
    List {
        /// First bytes of their hashes.
        buckets: Vec<u8>,
        /// From this place of your log on.
        from: u32,
    },
    /// Send these.
    Fetch {
        /// Their hashes, in the order of your log.
        hashes: Vec<[u8; 32]>,
    },
    /// Here is news, or only word that there are some.
    Take {
        /// The sender's digest.
        digest: [u8; 32],
        /// What is new there, if it is not too much.
        records: Vec<SignedRecord>,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TrustAnswer {
    /// The lists are equal.
    Equal,
    /// They are not: a short hash of each bucket.
    Buckets(Vec<[u8; 16]>),
    /// The hashes that were asked for.
    Hashes {
        /// In the log's order.
        hashes: Vec<[u8; 32]>,
        /// Where to go on, if these are not all.
        next: Option<u32>,
    },
    /// The first of the records that were asked for, as many as fit.
    Records(Vec<SignedRecord>),
    /// News were taken.
    Taken,
}

/// What to tell others when the list has changed.
#[derive(Clone, Debug)]
pub struct TrustNews {
    /// A [`TrustAsk::Take`]; with only word that there is something new when that is more than a page.
    pub message: Vec<u8>,
    /// How many records there are now.
    pub known: usize,
    /// Did this node sign some of them? Then nobody else tells.
    pub is_own: bool,
}

/// A part of the list, as a newcomer gets it.
#[derive(Serialize, Deserialize)]
pub(crate) struct ListPage {
    /// Records that come after these.
    pub(crate) left: u32,
    pub(crate) records: Vec<SignedRecord>,
}

/// A whole log in pages.
pub(crate) fn pages_of(list: &TrustList) -> impl Iterator<Item = ListPage> + '_ {
    let mut rest = list.records();
    std::iter::from_fn(move || {
        let len = page_len(rest.iter());
        let (page, after) = rest.split_at(len);
        rest = after;
        (len > 0).then(|| ListPage { left: after.len() as u32, records: page.to_vec() })
    })
}

/// How many of the records make a page: one at least.
fn page_len<'a>(records: impl Iterator<Item = &'a SignedRecord>) -> usize {
    let mut bytes = 0;
    let fits = |(at, record): &(usize, &SignedRecord)| {
        bytes += record.size();
        *at == 0 || bytes <= PAGE_BYTES
    };
    records.enumerate().take_while(fits).count()
}

impl TrustList {
    /// Answers what can be answered from the list; news are for [`TrustStore::merge`].
    pub(super) fn answer(&self, ask: &TrustAsk) -> TrustAnswer {
        match ask {
            TrustAsk::Compare { digest } if *digest == self.digest() => TrustAnswer::Equal,
            TrustAsk::Compare { .. } => TrustAnswer::Buckets(self.buckets()),
            TrustAsk::List { buckets, from } => self.list(buckets, *from as usize),
            TrustAsk::Fetch { hashes } => {
                let place = |hash| self.places().get(hash).copied();
                let asked = hashes.iter().take(PAGE_RECORDS).map_while(place);
                let found: Vec<&SignedRecord> = asked.filter_map(|at| self.records().get(at as usize)).collect();
                let len = page_len(found.iter().copied());
                TrustAnswer::Records(found.into_iter().take(len).cloned().collect())
            }
            TrustAsk::Take { .. } => TrustAnswer::Taken,
        }
    }

    fn buckets(&self) -> Vec<[u8; 16]> {
        let mut hashers = vec![blake3::Hasher::new(); BUCKETS];
        for hash in self.places().keys() {
            hashers[usize::from(hash[0])].update(hash);
        }
        let short = |hasher: &blake3::Hasher| *hasher.finalize().as_bytes().first_chunk().unwrap_or(&[0; 16]);
        hashers.iter().map(short).collect()
    }

    fn list(&self, buckets: &[u8], from: usize) -> TrustAnswer {
        let mut is_wanted = [false; BUCKETS];
        buckets.iter().for_each(|&bucket| is_wanted[usize::from(bucket)] = true);
        let from = from.max(1); // the founding record is everywhere
        let wanted = self.hashes().iter().enumerate().skip(from).filter(|(_, hash)| is_wanted[usize::from(hash[0])]);
        let mut page: Vec<(usize, &RecordHash)> = wanted.take(PAGE_HASHES + 1).collect();
        let next = if page.len() > PAGE_HASHES { page.pop().map(|(at, _)| at as u32) } else { None };
        TrustAnswer::Hashes { hashes: page.into_iter().map(|(_, hash)| *hash).collect(), next }
    }
}

/// A node's side of making its list equal to another's: what to ask next. Whoever drives it carries the messages.
///
/// ```
/// # use mayfly_wire::*;
/// # fn main() -> Result<()> {
/// # let (a, b) = (Identity::generate()?, Identity::generate()?);
/// let mut list = TrustList::found(&a, 0)?;
/// let ours = TrustStore::in_memory(list.clone());
/// list.admit(&a, b.public_key(), 0)?;
/// let theirs = TrustStore::in_memory(list);
///
/// let (mut exchange, mut ask) = TrustExchange::start(&ours)?;
/// while let Some(next) = exchange.answered(&ours, &theirs.answer(&ask)?)? {
///     ask = next;
/// }
/// assert_eq!(ours.digest(), theirs.digest());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct TrustExchange {
    /// Buckets that differ.
    buckets: Vec<u8>,
    /// Where the last list goes on.
    next: Option<u32>,
    /// Hashes of records that we lack, in the other's order.
    missing: VecDeque<RecordHash>,
    /// Fetched and not merged yet.
    fetched: Vec<SignedRecord>,
    bytes: usize,
    merge: Merge,
}

impl TrustExchange {
    /// An exchange and its first question.
    ///
    /// # Errors
    /// [`WireError::Payload`], which does not happen.
    pub fn start(ours: &TrustStore) -> Result<(Self, Vec<u8>)> {
        let ask = TrustAsk::Compare { digest: ours.digest() };
        Ok((Self::default(), to_payload("a question about trust", &ask)?))
    }

    /// Takes an answer in; returns the next question, or nothing at the end.
    ///
    /// # Errors
    /// [`WireError::Payload`] for an answer that does not fit its question, the first refusal when records are refused, and those of [`TrustStore::merge`].
    pub fn answered(&mut self, ours: &TrustStore, answer: &[u8]) -> Result<Option<Vec<u8>>> {
        let ask = match from_payload("an answer about trust", answer)? {
            TrustAnswer::Equal => return Ok(None),
            TrustAnswer::Buckets(theirs) => self.compare(ours, &theirs),
            TrustAnswer::Hashes { hashes, next } => self.note(ours, hashes, next)?,
            TrustAnswer::Records(records) => self.take(ours, records)?,
            TrustAnswer::Taken => None,
        };
        ask.map(|ask| to_payload("a question about trust", &ask)).transpose()
    }

    /// What came of it.
    pub fn finish(self) -> Merge {
        self.merge
    }

    fn compare(&mut self, ours: &TrustStore, theirs: &[[u8; 16]]) -> Option<TrustAsk> {
        let ours = ours.with_list(TrustList::buckets);
        let differing = ours.iter().zip(theirs).enumerate().filter(|(_, (ours, theirs))| ours != theirs);
        self.buckets = differing.map(|(at, _)| at as u8).collect();
        (!self.buckets.is_empty()).then(|| TrustAsk::List { buckets: self.buckets.clone(), from: 0 })
    }

    fn note(&mut self, ours: &TrustStore, hashes: Vec<RecordHash>, next: Option<u32>) -> Result<Option<TrustAsk>> {
        let is_late = next.is_some_and(|next| self.next.is_some_and(|last| next <= last));
        if is_late || (next.is_some() && hashes.is_empty()) || self.missing.len() > 4 * super::list::MOST_MEMBERS {
            return Err(refused("a list of hashes that goes on for ever"));
        }
        self.next = next;
        ours.with_list(|list| self.missing.extend(hashes.into_iter().filter(|hash| !list.places().contains_key(hash))));
        Ok(match next {
            Some(from) => Some(TrustAsk::List { buckets: self.buckets.clone(), from }),
            None => self.fetch(),
        })
    }

    fn fetch(&self) -> Option<TrustAsk> {
        let hashes: Vec<RecordHash> = self.missing.iter().take(PAGE_RECORDS).copied().collect();
        (!hashes.is_empty()).then_some(TrustAsk::Fetch { hashes })
    }

    fn take(&mut self, ours: &TrustStore, records: Vec<SignedRecord>) -> Result<Option<TrustAsk>> {
        if records.is_empty() {
            return Err(refused("no record where some were due"));
        }
        for record in records {
            if self.missing.pop_front() != Some(record.hash()?) {
                return Err(refused("another record than the one due"));
            }
            self.bytes += record.size();
            self.fetched.push(record);
        }
        if self.bytes >= BATCH_BYTES || self.missing.is_empty() {
            self.bytes = 0;
            let mut merge = ours.merge(&std::mem::take(&mut self.fetched))?;
            self.merge.changes.append(&mut merge.changes);
            self.merge.taken += merge.taken;
            if let Some((_, error)) = merge.refused.into_iter().next() {
                return Err(error);
            }
        }
        Ok(self.fetch())
    }
}

impl TrustStore {
    /// Answers another node's question. News ([`TrustAsk::Take`]) are merged: that verifies signatures and writes to disk.
    ///
    /// # Errors
    /// [`WireError::Payload`] when it is no question; for news those of [`TrustStore::merge`], and the first refusal.
    pub fn answer(&self, ask: &[u8]) -> Result<Vec<u8>> {
        let ask = from_payload("a question about trust", ask)?;
        if let TrustAsk::Take { records, .. } = &ask {
            let mut refused = self.merge(records)?.refused.into_iter().map(|(_, error)| error);
            // What nobody here has heard of comes with an exchange.
            if let Some(error) = refused.find(|error| !matches!(error, WireError::NotMember { .. })) {
                return Err(error);
            }
        }
        to_payload("an answer about trust", &self.with_list(|list| list.answer(&ask)))
    }

    /// News for others: the records after the first `known`. `here` is this node.
    ///
    /// # Errors
    /// [`WireError::Payload`], which does not happen.
    pub fn news(&self, known: usize, here: NodeId) -> Result<TrustNews> {
        self.with_list(|list| {
            let new = list.records().get(known..).unwrap_or_default();
            let records = if page_len(new.iter()) == new.len() { new.to_vec() } else { Vec::new() };
            let is_own = new.iter().any(|record| record.body.signer().is_ok_and(|signer| signer == here));
            let message = to_payload("news about trust", &TrustAsk::Take { digest: list.digest(), records })?;
            Ok(TrustNews { message, known: list.records().len(), is_own })
        })
    }
}

fn refused(reason: &str) -> WireError {
    WireError::Payload { what: "an answer about trust", reason: reason.into() }
}
