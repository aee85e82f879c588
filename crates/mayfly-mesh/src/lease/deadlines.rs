//! What the leader of a term knows of leases. No clock, no database: time comes in as an argument.

use crate::kv::Lease;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// A lease that runs.
struct Running {
    /// The entry that granted it.
    granted: u64,
    whole: Duration,
    /// When its time is over.
    due: Duration,
    /// When what remains is to be said to the others.
    checkpoint: Option<Duration>,
    /// The last checkpoint that said less than the whole: it must be taken back before the lease counts as renewed.
    told_less: Option<u64>,
    /// Its end was decided, and is tried to be brought into the order from then on.
    ending: Option<Duration>,
}

impl Running {
    /// When something is to be done about it.
    fn next(&self) -> Duration {
        self.ending.unwrap_or(self.checkpoint.map_or(self.due, |checkpoint| checkpoint.min(self.due)))
    }
}

/// A lease by its id, and the entry that granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: i64,
    pub(super) granted: u64,
}

/// What is to be said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ToSay {
    /// These are over.
    pub(super) over: Vec<Named>,
    /// So many seconds remain of these.
    pub(super) remains: Vec<(Named, i64)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Nothing is known of it.
    Unknown,
    /// Its time is over, and its end is on its way.
    Ending,
    /// First a checkpoint must be taken back.
    ToldLess,
    Renewed,
}

pub(super) struct Deadlines {
    by_id: HashMap<i64, Running>,
    queue: BTreeSet<(Duration, i64)>,
    /// How often what remains is said.
    every: Duration,
}

fn seconds(s: i64) -> Duration {
    Duration::from_secs(s.unsigned_abs())
}

/// Never less than it is.
fn rounded_up(time: Duration) -> i64 {
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

impl Deadlines {
    pub(super) fn new(every: Duration) -> Self {
        Self { by_id: HashMap::new(), queue: BTreeSet::new(), every }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A lease begins to run, with what remained of it at its last checkpoint.
    pub(super) fn add(&mut self, lease: &Lease, now: Duration) {
        self.forget(lease.id);
        let (whole, left) = match lease.remaining_s {
            0 => (seconds(lease.whole_s), seconds(lease.whole_s)),
            left => (seconds(lease.whole_s), seconds(left)),
        };
        let told_less = (lease.remaining_s != 0).then_some(0);
        let due = now.saturating_add(left);
        let checkpoint = self.next_checkpoint(due, now);
        let running = Running { granted: lease.granted, whole, due, checkpoint, told_less, ending: None };
        self.queue.insert((running.next(), lease.id));
        self.by_id.insert(lease.id, running);
    }

    /// What is nearly over is not worth saying.
    fn next_checkpoint(&self, due: Duration, now: Duration) -> Option<Duration> {
        let at = now.saturating_add(self.every);
        (at < due).then_some(at)
    }

    pub(super) fn forget(&mut self, id: i64) {
        if let Some(running) = self.by_id.remove(&id) {
            self.queue.remove(&(running.next(), id));
        }
    }

    /// The end of a lease is in the state.
    pub(super) fn ended(&mut self, named: Named) {
        if self.running(named).is_some() {
            self.forget(named.id);
        }
    }

    /// Forgets all but those that are named.
    pub(super) fn retain(&mut self, is_there: impl Fn(Named) -> bool) {
        let gone = self.by_id.iter().map(|(id, running)| Named { id: *id, granted: running.granted });
        let gone: Vec<i64> = gone.filter(|named| !is_there(*named)).map(|named| named.id).collect();
        gone.into_iter().for_each(|id| self.forget(id));
    }

    fn change(&mut self, id: i64, act: impl FnOnce(&mut Running)) {
        if let Some(running) = self.by_id.get_mut(&id) {
            self.queue.remove(&(running.next(), id));
            act(running);
            self.queue.insert((running.next(), id));
        }
    }

    fn running(&self, named: Named) -> Option<&Running> {
        self.by_id.get(&named.id).filter(|running| running.granted == named.granted)
    }

    pub(super) fn renew(&mut self, named: Named, now: Duration) -> Renewal {
        let Some(running) = self.running(named) else { return Renewal::Unknown };
        if running.ending.is_some() || running.due <= now {
            return Renewal::Ending;
        }
        if running.told_less.is_some() {
            return Renewal::ToldLess;
        }
        let due = now.saturating_add(running.whole);
        let checkpoint = self.next_checkpoint(due, now);
        self.change(named.id, |running| (running.due, running.checkpoint) = (due, checkpoint));
        Renewal::Renewed
    }

    /// A checkpoint that said less was taken back by a later one.
    pub(super) fn taken_back(&mut self, named: Named, by: u64) {
        if let Some(running) = self.by_id.get_mut(&named.id).filter(|running| running.granted == named.granted) {
            running.told_less = running.told_less.filter(|told| *told > by);
        }
    }

    /// What is left; none of what is over.
    pub(super) fn left(&self, named: Named, now: Duration) -> Option<Duration> {
        let running = self.running(named)?;
        Some(if running.ending.is_some() { Duration::ZERO } else { running.due.saturating_sub(now) })
    }

    /// When there is something to say next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// What is to be said now, at most so much of it; `number` is that of a checkpoint. What is over is said again after `again`, unless it is forgotten by then.
    pub(super) fn say(&mut self, now: Duration, number: u64, most: usize, again: Duration) -> ToSay {
        let mut to_say = ToSay::default();
        while let Some((at, id)) = self.queue.first().copied() {
            if at > now || to_say.over.len() + to_say.remains.len() >= most {
                break;
            }
            let every = self.every;
            self.change(id, |running| {
                let named = Named { id, granted: running.granted };
                if running.due <= now {
                    running.ending = Some(now.saturating_add(again));
                    to_say.over.push(named);
                } else {
                    to_say.remains.push((named, rounded_up(running.due.saturating_sub(now))));
                    running.told_less = Some(number);
                    let at = now.saturating_add(every);
                    running.checkpoint = (at < running.due).then_some(at);
                }
            });
        }
        to_say
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadlines, Named, Renewal};
    use crate::kv::Lease;
    use mayfly_base::Rng;
    use std::collections::BTreeMap;
    use std::time::Duration;

    const EVERY: Duration = Duration::from_secs(30);
    const AGAIN: Duration = Duration::from_secs(1);

    /// What is known of a lease, in seconds.
    struct Known {
        granted: u64,
        whole: u64,
        due: u64,
        is_ending: bool,
        told_less: bool,
    }

    /// Nothing is over before its time, everything is when that has come, and of what lives long something is said every now and then.
    #[test]
    fn deadlines_are_those_of_a_list() {
        for seed in 0..300 {
            let (mut rng, mut now) = (Rng::new(seed), 0);
            let (mut deadlines, mut known) = (Deadlines::new(EVERY), BTreeMap::<i64, Known>::new());
            for number in 1..200 {
                let at = Duration::from_secs(now);
                let id = rng.below(6) as i64;
                let named = |known: &Known| Named { id, granted: known.granted };
                match (rng.below(6), known.get_mut(&id)) {
                    (0, _) => {
                        let (whole, remaining) = (10 + rng.below(200), rng.below(3) * 4);
                        deadlines.add(&Lease::new(id, whole as i64, remaining as i64, number), at);
                        let due = now + if remaining == 0 { whole } else { remaining };
                        let new = Known { granted: number, whole, due, is_ending: false, told_less: remaining != 0 };
                        known.insert(id, new);
                    }
                    (1 | 2, Some(one)) => {
                        let want = match one {
                            _ if one.is_ending || one.due <= now => Renewal::Ending,
                            _ if one.told_less => Renewal::ToldLess,
                            _ => Renewal::Renewed,
                        };
                        assert_eq!(deadlines.renew(named(one), at), want);
                        if want == Renewal::Renewed {
                            one.due = now + one.whole;
                        }
                        let other = Named { id, granted: one.granted + 1_000 };
                        assert_eq!(deadlines.renew(other, at), Renewal::Unknown);
                    }
                    (3, Some(one)) => {
                        deadlines.taken_back(named(one), number);
                        one.told_less = false;
                    }
                    _ => now += rng.below(20),
                }
                let said = deadlines.say(Duration::from_secs(now), number, 1_000, AGAIN);
                for (named, seconds) in said.remains {
                    let one = known.get_mut(&named.id).expect("known");
                    assert_eq!(seconds as u64, one.due - now, "seed {seed}");
                    one.told_less = true;
                }
                for named in said.over {
                    let one = known.get_mut(&named.id).expect("known");
                    assert!(one.due <= now, "seed {seed}: before its time");
                    one.is_ending = true;
                    if rng.below(2) == 0 {
                        deadlines.ended(named);
                        known.remove(&named.id);
                    }
                }
                assert!(known.values().all(|one| one.due > now || one.is_ending), "seed {seed}: nothing was said");
                assert_eq!(deadlines.queue.len(), known.len(), "seed {seed}");
                assert!(deadlines.next().is_none_or(|next| next > Duration::from_secs(now)), "seed {seed}");
            }
            deadlines.retain(|named| named.id == 3);
            assert!(deadlines.len() <= 1 && deadlines.queue.len() == deadlines.len());
        }
    }

    #[test]
    fn what_remains_is_never_said_to_be_less() {
        let mut deadlines = Deadlines::new(EVERY);
        deadlines.add(&Lease::new(1, 100, 0, 1), Duration::ZERO);
        let said = deadlines.say(Duration::from_millis(30_500), 1, 9, AGAIN);
        assert_eq!(said.remains, [(Named { id: 1, granted: 1 }, 70)]);
    }

    #[test]
    fn what_is_over_is_said_at_most_so_much_at_once_and_again() {
        let mut deadlines = Deadlines::new(EVERY);
        (1..=5).for_each(|id| deadlines.add(&Lease::new(id, 10, 0, id as u64), Duration::ZERO));
        let ten = Duration::from_secs(10);
        assert_eq!(deadlines.say(ten, 1, 3, AGAIN).over.len(), 3);
        assert_eq!(deadlines.say(ten, 2, 3, AGAIN).over.len(), 2);
        assert_eq!(deadlines.say(ten, 3, 3, AGAIN).over.len(), 0);
        assert_eq!(deadlines.say(ten + AGAIN, 4, 9, AGAIN).over.len(), 5);
    }
}
