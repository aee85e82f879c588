//! The watchers of one client.

use super::hub::{Filters, Hub, Place};
use super::index::Keys;
use crate::error::Result;
use crate::kv::{self, Clock};
use crate::module::Fault;
use crate::proto::etcdserverpb::watch_create_request::FilterType;
use crate::proto::etcdserverpb::{ResponseHeader, WatchCreateRequest, WatchResponse};
use crate::proto::mvccpb::event::EventType;
use crate::proto::mvccpb::{Event, KeyValue};
use crate::store::Store;
use prost::Message;
use redb::ReadTransaction;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// What the responses of one turn hold, and one fragment; a revision alone may be more.
const MAX_BYTES: usize = 1 << 20;
/// Changes and bytes that are read in one turn, for whomever they are.
const MAX_READ: usize = 4_096;
const MAX_READ_BYTES: usize = 8 << 20;
/// An answer that is about no watcher, and the id of one that was not made.
const NO_WATCHER: i64 = -1;

/// One client's watchers. Responses have a revision in their header and nothing else there.
#[derive(Debug)]
pub struct Watching {
    hub: Arc<Hub>,
    wake: Arc<Notify>,
    watchers: BTreeMap<i64, Watcher>,
    /// Ids of watchers that compaction ended: taken until their client cancels them, as in etcd.
    ended: BTreeSet<i64>,
    next_id: i64,
    /// The watcher that was read for last.
    turn: i64,
    /// How far all must be before a question for progress is answered. Those who ask again before that get one answer.
    asked: Option<i64>,
    /// Watchers that are to be told how far they are, once they are so far.
    owed: BTreeMap<i64, i64>,
}

/// What is left of a turn.
struct Turn {
    bytes: usize,
    read: usize,
    read_bytes: usize,
}

impl Turn {
    fn is_over(&self) -> bool {
        self.bytes >= MAX_BYTES || self.read >= MAX_READ || self.read_bytes >= MAX_READ_BYTES
    }
}

#[derive(Debug)]
struct Watcher {
    place: Place,
    /// The first revision that is its business.
    start: i64,
    /// The first revision that it has not been told.
    next: i64,
    prev_kv: bool,
    fragment: bool,
    wants_progress: bool,
    /// Was anything sent since the last time when progress was due?
    is_fresh: bool,
}

/// What was read for a watcher.
enum Told {
    Events { events: Vec<Event>, revision: i64 },
    Compacted(Clock),
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}

/// The keys that a watcher is to watch. No key is less than \0, so that is where all keys begin.
pub(crate) fn watched(request: &WatchCreateRequest) -> Keys {
    let key = if request.key.is_empty() { vec![0] } else { request.key.clone() };
    Keys { key, range_end: request.range_end.clone() }
}

impl Watching {
    /// A client without watchers.
    pub fn new(hub: Arc<Hub>) -> Self {
        let (watchers, ended, owed) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { hub, wake: Arc::default(), watchers, ended, next_id: 0, turn: 0, asked: None, owed }
    }

    /// Is notified when [`Self::read`] has something.
    pub fn wake(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// A new watcher, and what its client is answered.
    pub fn create(&mut self, request: &WatchCreateRequest) -> WatchResponse {
        let answer = |watch_id, revision| WatchResponse {
            header: header(revision),
            watch_id,
            created: true,
            ..WatchResponse::default()
        };
        let keys = watched(request);
        if keys.is_empty() {
            return self.refuse("mvcc: watcher range is empty");
        }
        if request.watch_id != 0 && self.is_taken(request.watch_id) {
            return self.refuse("mvcc: duplicate watch ID provided on the WatchStream");
        }
        let has = |filter: FilterType| request.filters.contains(&i32::from(filter));
        let skips = Filters { puts: has(FilterType::Noput), deletes: has(FilterType::Nodelete) };
        let id = self.free_id(request.watch_id);
        let (place, [next, revision]) = self.hub.join(keys, request.start_revision, skips, self.wake.clone());
        let (prev_kv, fragment, wants_progress) = (request.prev_kv, request.fragment, request.progress_notify);
        let start = next;
        self.watchers.insert(id, Watcher { place, start, next, prev_kv, fragment, wants_progress, is_fresh: false });
        answer(id, revision)
    }

    /// What a client is answered whose watcher is not made.
    pub fn refuse(&self, why: &str) -> WatchResponse {
        WatchResponse {
            header: header(self.hub.revision()),
            watch_id: NO_WATCHER,
            created: true,
            canceled: true,
            cancel_reason: why.into(),
            ..WatchResponse::default()
        }
    }

    fn is_taken(&self, id: i64) -> bool {
        self.watchers.contains_key(&id) || self.ended.contains(&id)
    }

    fn free_id(&mut self, asked: i64) -> i64 {
        if asked != 0 {
            return asked;
        }
        while self.is_taken(self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// Ends a watcher; no answer for one that is not there.
    pub fn cancel(&mut self, id: i64) -> Option<WatchResponse> {
        if self.watchers.remove(&id).is_none() && !self.ended.remove(&id) {
            return None;
        }
        self.owed.remove(&id);
        if self.asked.is_some() {
            self.wake.notify_one(); // it may have been the one that kept the answer back
        }
        let header = header(self.hub.revision());
        Some(WatchResponse { header, watch_id: id, canceled: true, ..WatchResponse::default() })
    }

    /// Asks how far all watchers are. The answer comes with [`Self::read`], once they have been told what there is and none of them waits for a revision that
    /// is still to come.
    pub fn ask_progress(&mut self) {
        self.asked = Some(self.hub.revision());
        self.wake.notify_one();
    }

    /// Does any watcher want to be told from time to time how far it is?
    pub fn wants_progress(&self) -> bool {
        self.watchers.values().any(|watcher| watcher.wants_progress)
    }

    /// Tells watchers that asked for it how far they are: those that were told nothing since the last time, or all of them.
    pub fn owe_progress(&mut self, all: bool) {
        let revision = self.hub.revision();
        for (id, watcher) in &mut self.watchers {
            if watcher.wants_progress && (all || !watcher.is_fresh) {
                self.owed.insert(*id, revision);
            }
            watcher.is_fresh &= all;
        }
        if !self.owed.is_empty() {
            self.wake.notify_one();
        }
    }

    /// What there is to be told: at most one response a watcher, more where it has asked for fragments, and about 1 MiB. What is left over notifies again.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&mut self, store: &Store) -> Result<Vec<WatchResponse>> {
        let (mut responses, mut turn) = (Vec::new(), Turn { bytes: 0, read: 0, read_bytes: 0 });
        for id in self.pending() {
            if turn.is_over() {
                self.wake.notify_one();
                break;
            }
            self.turn = id;
            let Some(watcher) = self.watchers.get_mut(&id) else { continue };
            // Before the state is looked at: what is noted after that may not be in it, and is read for the next time.
            let Some(pending) = watcher.place.interest.take() else { continue };
            match store.read(|transaction| watcher.read(transaction, pending, &mut turn))? {
                Told::Events { events, revision } if !events.is_empty() => {
                    watcher.is_fresh = true;
                    let response =
                        WatchResponse { header: header(revision), watch_id: id, events, ..WatchResponse::default() };
                    match watcher.fragment {
                        true => responses.extend(fragments(response)),
                        false => responses.push(response),
                    }
                }
                Told::Compacted(Clock { revision, compacted }) => {
                    responses.push(WatchResponse {
                        header: header(revision),
                        watch_id: id,
                        canceled: true,
                        compact_revision: compacted,
                        ..WatchResponse::default()
                    });
                    self.watchers.remove(&id);
                    self.owed.remove(&id);
                    self.ended.insert(id);
                }
                Told::Events { .. } => {}
            }
        }
        responses.extend(self.progress());
        Ok(responses)
    }

    /// Watchers for whom there is something, in turns.
    fn pending(&self) -> Vec<i64> {
        let turn = self.watchers.range(self.turn.saturating_add(1)..).chain(self.watchers.range(..=self.turn));
        turn.filter(|(_, watcher)| watcher.place.interest.pending().is_some()).map(|(id, _)| *id).collect()
    }

    /// What can be said of progress now: only of watchers that have been told everything up to that revision.
    fn progress(&mut self) -> Vec<WatchResponse> {
        let revision = self.hub.revision(); // before the watchers are looked at
        let answer =
            |watch_id, revision| WatchResponse { header: header(revision), watch_id, ..WatchResponse::default() };
        let mut responses = Vec::new();
        let told = |watcher: &Watcher| watcher.told(revision);
        let all = self.watchers.values().map(told).min().flatten(); // none where one of them has not begun
        if let (Some(asked), Some(all)) = (self.asked, all)
            && all >= asked
        {
            self.asked = None;
            responses.push(answer(NO_WATCHER, all));
        }
        let watchers = &self.watchers;
        self.owed.retain(|id, owed| {
            let Some(watcher) = watchers.get(id) else { return false };
            let due = watcher.told(revision).filter(|told| told >= owed);
            responses.extend(due.map(|told| answer(*id, told)));
            due.is_none()
        });
        responses
    }
}

impl Watcher {
    /// Up to where it was told everything, if changes were looked at up to this revision. None as long as its start is not reached: whoever is told an earlier
    /// revision than it asked for may go on from there.
    fn told(&self, revision: i64) -> Option<i64> {
        let told = self.place.interest.pending().map_or(revision, |pending| revision.min(pending.max(self.next) - 1));
        (told + 1 >= self.start).then_some(told)
    }

    /// What it is to be told next.
    fn read(
        &mut self,
        transaction: &ReadTransaction,
        pending: i64,
        turn: &mut Turn,
    ) -> std::result::Result<Told, Fault> {
        let clock = kv::clock(transaction)?;
        let from = pending.max(self.next);
        if from < clock.compacted {
            return Ok(Told::Compacted(clock));
        }
        let (mut events, mut last, mut fault) = (Vec::new(), from - 1, None);
        let mut is_cut = false;
        kv::changes(transaction, from, &mut |change| {
            // What happened at once is told at once.
            if change.mod_revision > last && turn.is_over() {
                is_cut = true;
                return false;
            }
            (last, turn.read) = (change.mod_revision, turn.read + 1);
            turn.read_bytes += change.value.len();
            if self.place.keys.contains(&change.key) && self.place.interest.wants(change.version == 0) {
                let prev_kv = if self.prev_kv { kv::before(transaction, &change) } else { Ok(None) };
                match prev_kv {
                    Ok(prev_kv) => {
                        let event = event(change, prev_kv);
                        turn.bytes += event.encoded_len();
                        events.push(event);
                    }
                    Err(why) => fault = Some(why),
                }
            }
            fault.is_none()
        })?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        self.next = if is_cut { last + 1 } else { self.next.max(clock.revision + 1) };
        if is_cut {
            self.place.interest.put_back(self.next);
        }
        Ok(Told::Events { events, revision: clock.revision })
    }
}

fn event(change: KeyValue, prev_kv: Option<KeyValue>) -> Event {
    let kind = if change.version == 0 { EventType::Delete } else { EventType::Put };
    Event { r#type: kind.into(), kv: Some(change), prev_kv }
}

/// The same in pieces that clients with a limit on messages can take.
fn fragments(mut response: WatchResponse) -> Vec<WatchResponse> {
    let mut pieces = Vec::new();
    let mut events = std::mem::take(&mut response.events).into_iter().peekable();
    while events.peek().is_some() {
        let (mut piece, mut bytes) = (WatchResponse { fragment: true, ..response.clone() }, 0);
        while let Some(event) = events.next_if(|event| bytes == 0 || bytes + event.encoded_len() < MAX_BYTES) {
            bytes += event.encoded_len();
            piece.events.push(event);
        }
        pieces.push(piece);
    }
    if let Some(last) = pieces.last_mut() {
        last.fragment = false;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logged::{Applied, Logged};
    use crate::proto::etcdserverpb::PutRequest;
    use crate::proto::meshpb::command::Request;

    /// Another thread writes and tells, in the middle of reads too.
    #[test]
    fn a_change_that_comes_while_others_are_read_is_told() {
        const CHANGES: u64 = 20_000;
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), crate::modules()).expect("a store");
        let hub = Hub::new(&store).expect("a hub");
        let mut watching = Watching::new(hub.clone());
        watching.create(&WatchCreateRequest { key: b"k".to_vec(), ..WatchCreateRequest::default() });
        let mut told = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let Applied { index, term } = store.applied().expect("readable");
                for i in 1..=CHANGES {
                    let put = PutRequest { key: b"k".to_vec(), ..PutRequest::default() };
                    let entry = kv::entry(Request::Put(put)).encode();
                    let logged = Logged { at: Applied { index: index + i, term }, entry };
                    store.write_together(|batch| batch.apply(&[logged])).expect("written");
                    hub.advance(&store).expect("read");
                }
            });
            while told.len() < CHANGES as usize {
                let responses = watching.read(&store).expect("read");
                told.extend(responses.into_iter().flat_map(|response| response.events));
                let newest = told.last().map_or(1, |event: &Event| event.kv.as_ref().map_or(0, |kv| kv.mod_revision));
                if newest == CHANGES as i64 + 1 {
                    break;
                }
            }
        });
        let revisions: Vec<i64> = told.iter().filter_map(|event| Some(event.kv.as_ref()?.mod_revision)).collect();
        let missed: Vec<i64> =
            (2..=CHANGES as i64 + 1).filter(|want| revisions.binary_search(want).is_err()).take(5).collect();
        assert_eq!((missed, revisions.len()), (Vec::new(), CHANGES as usize));
    }
}
