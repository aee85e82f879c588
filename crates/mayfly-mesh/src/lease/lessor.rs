//! The leader's knowledge of leases, beside the state.

use super::clock::Clock;
use super::deadlines::{Deadlines, Named, Renewal, ToSay};
use super::{LeaseAsk, LeaseTime};
use crate::entry::Entry;
use crate::error::{MeshError, Result};
use crate::kv::{self, Lease};
use crate::mutant::Guard;
use crate::proto::meshpb::command::Request;
use crate::proto::meshpb::{Checkpoint, Expire, Granted, Remains};
use crate::store::Store;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is said together.
const MOST: usize = 1_000;
/// What is over is said again after so long, if it did not get into the order.
const AGAIN: Duration = Duration::from_secs(1);
/// Leases that were revoked are forgotten when there are more of them than this, and than of those that exist.
const MANY: usize = 1_000;

/// Knows how much time leases have left, where this member leads.
pub(crate) struct Lessor {
    clock: Clock,
    /// How often what remains of leases is written down.
    every: Duration,
    lead: Mutex<Option<Lead>>,
}

/// A term in which this member leads.
struct Lead {
    term: u64,
    /// The last grant that was looked at.
    seen: u64,
    /// Of the last checkpoint.
    number: u64,
    deadlines: Deadlines,
}

/// What is to be brought into the order.
pub(crate) struct Saying {
    pub(crate) entry: Entry,
    /// The lease that is over.
    over: Option<Named>,
}

/// What is answered to whoever asks.
pub(crate) enum Reply {
    Known(Option<LeaseTime>),
    /// Its time is over; soon it is gone.
    Ending,
    /// To be brought into the order first.
    First(TakeBack),
}

/// A checkpoint that gives a lease its whole time again.
pub(crate) struct TakeBack {
    pub(crate) entry: Entry,
    lease: Named,
    term: u64,
    number: u64,
}

impl Lessor {
    pub(crate) fn new(clock: Clock, every: Duration) -> Self {
        Self { clock, every, lead: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lead>> {
        self.lead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This member does not lead.
    pub(crate) fn follow(&self) {
        *self.lock() = None;
    }

    /// Looks at what is new; what is known from another term is worth nothing.
    fn lead<'l>(&self, lead: &'l mut Option<Lead>, store: &Store, term: u64) -> Result<&'l mut Lead> {
        if lead.as_ref().is_some_and(|lead| lead.term > term) {
            return Err(MeshError::NoLeader { reason: format!("term {term} is over") });
        }
        if store.applied()?.term != term {
            // What leaders before have promised may not be in the state yet.
            return Err(MeshError::NoLeader { reason: "this leader has applied nothing of its own term yet".into() });
        }
        lead.take_if(|lead| lead.term < term);
        let deadlines = || Deadlines::new(self.every);
        let lead = lead.get_or_insert_with(|| Lead { term, seen: 0, number: 0, deadlines: deadlines() });
        let (granted, count) =
            store.read(|transaction| Ok((kv::granted_after(transaction, lead.seen)?, kv::count(transaction)?)))?;
        let now = self.clock.now();
        for lease in granted {
            lead.seen = lead.seen.max(lease.granted);
            lead.number = lead.number.max(lease.checkpoint_in(term));
            lead.deadlines.add(&lease, now);
        }
        if lead.deadlines.len() as u64 > 2 * count + MANY as u64 {
            let there = store.read(kv::leases)?;
            let there: HashSet<(i64, u64)> = there.iter().map(|lease| (lease.id, lease.granted)).collect();
            lead.deadlines.retain(|named| there.contains(&(named.id, named.granted)));
        }
        Ok(lead)
    }

    /// What this leader has to say now, and after how long it is to be asked again.
    pub(crate) fn say(&self, store: &Store, term: u64) -> Result<(Vec<Saying>, Option<Duration>)> {
        let mut lead = self.lock();
        let lead = self.lead(&mut lead, store, term)?;
        let now = self.clock.now();
        let number = lead.number + 1;
        let ToSay { over, remains } = lead.deadlines.say(now, number, MOST, AGAIN);
        let expire = |named: Named| Request::Expire(Expire { term, lease: Some(granted(named)) });
        let mut sayings: Vec<Saying> =
            over.into_iter().map(|named| Saying { entry: kv::entry(expire(named)), over: Some(named) }).collect();
        if !remains.is_empty() {
            lead.number = number;
            let leases =
                remains.into_iter().map(|(named, seconds)| Remains { lease: Some(granted(named)), seconds }).collect();
            let entry = kv::entry(Request::Checkpoint(Checkpoint { term, number, leases }));
            sayings.push(Saying { entry, over: None });
        }
        Ok((sayings, lead.deadlines.next().map(|next| next.saturating_sub(now))))
    }

    /// What was said is in the order, and its effect in the state.
    pub(crate) fn said(&self, saying: &Saying, term: u64) {
        let mut lead = self.lock();
        if let (Some(lead), Some(named)) = (lead.as_mut().filter(|lead| lead.term == term), saying.over) {
            lead.deadlines.ended(named);
        }
    }

    /// Answers for a leader of whom a majority has said that it leads in this term, after the question came.
    pub(crate) fn answer(&self, store: &Store, term: u64, ask: LeaseAsk) -> Result<Reply> {
        let (LeaseAsk::Renew(id) | LeaseAsk::TimeToLive(id)) = ask;
        let mut lead = self.lock();
        let lead = self.lead(&mut lead, store, term)?;
        let Some(lease) = store.read(|transaction| kv::lease(transaction, id))? else {
            lead.deadlines.forget(id);
            return Ok(Reply::Known(None));
        };
        let (named, now) = (Named { id, granted: lease.granted }, self.clock.now());
        let known = |remaining_s| Reply::Known(Some(LeaseTime { granted_s: lease.whole_s, remaining_s }));
        if let LeaseAsk::TimeToLive(_) = ask {
            let left = lead.deadlines.left(named, now);
            let left = left.unwrap_or(Duration::from_secs(lease.whole_s.unsigned_abs()));
            return Ok(known(i64::try_from(left.as_secs()).unwrap_or(i64::MAX)));
        }
        let mut is_whole = lease.remaining_s == 0;
        if store.left_out().is(Guard::CheckpointTakenBack) {
            is_whole = true;
            lead.deadlines.taken_back(named, u64::MAX);
        }
        match lead.deadlines.renew(named, now) {
            Renewal::Unknown => lead.deadlines.add(&lease, now), // its grant was looked at while it was another's
            Renewal::Ending => return Ok(Reply::Ending),
            Renewal::Renewed if is_whole => return Ok(known(lease.whole_s)),
            Renewal::Renewed | Renewal::ToldLess => {}
        }
        lead.number += 1;
        Ok(Reply::First(take_back(&lease, term, lead.number)))
    }

    /// What had to be brought into the order first is in the state.
    pub(crate) fn taken_back(&self, back: &TakeBack) {
        let mut lead = self.lock();
        if let Some(lead) = lead.as_mut().filter(|lead| lead.term == back.term) {
            lead.deadlines.taken_back(back.lease, back.number);
        }
    }
}

fn granted(named: Named) -> Granted {
    Granted { id: named.id, at: named.granted }
}

fn take_back(lease: &Lease, term: u64, number: u64) -> TakeBack {
    let lease = Named { id: lease.id, granted: lease.granted };
    let leases = vec![Remains { lease: Some(granted(lease)), seconds: 0 }];
    let entry = kv::entry(Request::Checkpoint(Checkpoint { term, number, leases }));
    TakeBack { entry, lease, term, number }
}
