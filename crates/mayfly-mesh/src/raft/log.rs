//! openraft's log, as orders to the one who writes.

use super::codec::{ballot_of, id_of, logged, place_of, place_or_none, unlogged, vote_of};
use super::types::{Id, LogEntry, Types, Vote};
use super::writer::{Order, Orders, io_error};
use crate::logged::{Applied, Logged};
use futures_util::{Stream, stream};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{AsyncRuntime, LogState, OptionalSend, RaftLogReader};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

/// Bytes of entries that are read at once: what fits into a message, with an entry more than the limit of links allows for.
const MAX_BYTES: usize = 1 << 20;

/// The log of a member. Clones read the same log.
pub(super) struct Log<R: AsyncRuntime> {
    orders: Orders<R>,
}

impl<R: AsyncRuntime> Log<R> {
    pub(super) fn new(orders: Orders<R>) -> Self {
        Self { orders }
    }

    /// As many of the entries from `start` on as have `max_bytes`, but at least one where there is one.
    async fn entries(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<LogEntry>> {
        if start >= end {
            return Ok(Vec::new());
        }
        // In this order: what is written in between is seen twice, not never.
        let newer: Vec<Logged> =
            self.orders.unwritten.lock().range(start..end).map(|(_, logged)| logged.clone()).collect();
        let from_memory = newer.first().map_or(end, |logged| logged.at.index);
        let mut found = Vec::new();
        if start < from_memory {
            let read = self.orders.read(move |store| store.log(start..from_memory, max_bytes)).await;
            found = read.map_err(|e| io_error(&e))?;
        }
        let mut bytes: usize = found.iter().map(|logged| logged.entry.len()).sum();
        let next = start + found.len() as u64;
        for (next, logged) in (next..).zip(newer) {
            bytes += logged.entry.len();
            if logged.at.index != next || (bytes > max_bytes && !found.is_empty()) {
                break;
            }
            found.push(logged);
        }
        found.into_iter().map(|logged| unlogged(logged).map_err(io::Error::other)).collect()
    }
}

fn limits(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl<R: AsyncRuntime> RaftLogReader<Types<R>> for Log<R> {
    async fn try_get_log_entries<B: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: B,
    ) -> io::Result<Vec<LogEntry>> {
        let (start, end) = limits(&range);
        self.entries(start, end, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        self.entries(start, end, MAX_BYTES).await
    }

    /// What is applied is read in parts: all of it may be more than fits into memory.
    async fn entries_stream<B>(&mut self, range: B) -> impl Stream<Item = io::Result<LogEntry>> + OptionalSend
    where
        B: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = limits(&range);
        let reader = Self::new(self.orders.clone());
        let parts = stream::unfold((reader, start), move |(reader, next)| async move {
            if next >= end {
                return None;
            }
            match reader.entries(next, end, MAX_BYTES).await {
                Ok(part) if part.is_empty() => {
                    let missing = io::Error::other(format!("its log lacks entry {next}"));
                    Some((vec![Err(missing)], (reader, end)))
                }
                Ok(part) => {
                    let next = next + part.len() as u64;
                    Some((part.into_iter().map(Ok).collect(), (reader, next)))
                }
                Err(e) => Some((vec![Err(e)], (reader, end))),
            }
        });
        Box::pin(futures_util::StreamExt::flat_map(parts, stream::iter))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        let standing = self.orders.store.log_standing().map_err(|e| io_error(&e))?;
        Ok(standing.vote.map(vote_of))
    }
}

impl<R: AsyncRuntime> RaftLogStorage<Types<R>> for Log<R> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types<R>>> {
        let standing = self.orders.store.log_standing().map_err(|e| io_error(&e))?;
        Ok(LogState { last_purged_log_id: id_of(standing.purged), last_log_id: id_of(standing.last) })
    }

    async fn get_log_reader(&mut self) -> Self {
        Self::new(self.orders.clone())
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let ballot = ballot_of(vote);
        self.orders.wait(|done| Order::Vote(ballot, done)).await.map_err(|e| io_error(&e))
    }

    async fn save_committed(&mut self, committed: Option<Id>) -> io::Result<()> {
        if let Some(id) = committed {
            self.orders.give(Order::Committed(place_of(id)));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<Id>> {
        let standing = self.orders.store.log_standing().map_err(|e| io_error(&e))?;
        // The log's end and what is committed were flushed together, but what is past the end helps nobody.
        let known = if standing.committed.index > standing.last.index { standing.last } else { standing.committed };
        Ok(id_of(known))
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types<R>>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Logged> = entries.into_iter().map(logged).collect();
        self.orders.unwritten.lock().extend(entries.iter().map(|logged| (logged.at.index, logged.clone())));
        self.orders.give(Order::Append(entries, flushed));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<Id>) -> io::Result<()> {
        let Applied { index, .. } = place_or_none(last);
        self.orders.wait(|done| Order::Truncate(index, done)).await.map_err(|e| io_error(&e))
    }

    async fn purge(&mut self, upto: Id) -> io::Result<()> {
        self.orders.give(Order::Purge(place_of(upto)));
        Ok(())
    }
}
