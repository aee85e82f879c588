//! openraft's log, as orders to those who write.

use super::codec::{ballot_of, id_of, logged, place_of, place_or_none, unlogged, vote_of};
use super::desk::io_error;
use super::log_writer::LogOrder;
use super::orders::Orders;
use super::state_writer::StateOrder;
use super::types::{Id, LogEntry, Types, Vote};
use crate::log::OnShelf;
use crate::logged::Logged;
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
        let found = self.orders.shelf.look_up(start..end, max_bytes);
        let shelf = self.orders.shelf.clone();
        let found = if found.iter().any(OnShelf::is_on_disk) {
            self.orders.aside(move || shelf.fetch(found)).await.and_then(|fetched| fetched)
        } else {
            shelf.fetch(found)
        };
        let found = found.map_err(|e| io_error(&e))?;
        if found.first().is_some_and(|first| first.at.index != start) {
            return Err(io::Error::other(format!("its log lacks entry {start}")));
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
        Ok(self.orders.shelf.known().vote.map(vote_of))
    }
}

impl<R: AsyncRuntime> RaftLogStorage<Types<R>> for Log<R> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types<R>>> {
        let (purged, last) = self.orders.shelf.ends();
        Ok(LogState { last_purged_log_id: id_of(purged), last_log_id: id_of(last) })
    }

    async fn get_log_reader(&mut self) -> Self {
        Self::new(self.orders.clone())
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let ballot = ballot_of(vote);
        self.orders.wait(|done| self.orders.log(LogOrder::Vote(ballot, done))).await.map_err(|e| io_error(&e))
    }

    async fn save_committed(&mut self, committed: Option<Id>) -> io::Result<()> {
        if let Some(id) = committed {
            self.orders.log(LogOrder::Committed(place_of(id)));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<Id>> {
        let (_, last) = self.orders.shelf.ends();
        // It is written with what comes after, so that it may be of entries which were not.
        let known = self.orders.shelf.known().committed;
        Ok(id_of(if known.index > last.index { last } else { known }))
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types<R>>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Logged> = entries.into_iter().map(logged).collect();
        self.orders.shelf.append(&entries);
        self.orders.log(LogOrder::Append(entries, flushed));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<Id>) -> io::Result<()> {
        let after = place_or_none(last);
        self.orders.shelf.truncate(after.index);
        self.orders.wait(|done| self.orders.log(LogOrder::Truncate(after, done))).await.map_err(|e| io_error(&e))
    }

    async fn purge(&mut self, upto: Id) -> io::Result<()> {
        let upto = place_of(upto);
        let (_, last) = self.orders.shelf.ends();
        self.orders.shelf.purge(upto);
        // Beyond its end, a snapshot took its place, which is on the disk: the log begins anew there before the next entry comes.
        if upto.index > last.index {
            self.orders.log(LogOrder::Release(upto));
        }
        self.orders.state(StateOrder::Purge(upto));
        Ok(())
    }
}
