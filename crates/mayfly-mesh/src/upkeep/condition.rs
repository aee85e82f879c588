//! What a node knows of its own condition, for whoever answers a client.

use crate::proto::etcdserverpb::{AlarmMember, AlarmType};
use crate::timing::Histogram;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Kept up to date by [`super::Upkeep`].
#[derive(Debug)]
pub(crate) struct Condition {
    quota: u64,
    /// Bytes of rows, as the state had them last, and of what was asked since.
    used: AtomicU64,
    /// What is on its way into the order.
    coming: AtomicU64,
    /// This member's alarms are up: that nothing more is taken, that it differs from the others.
    own_no_space: AtomicBool,
    /// The disk has hardly any room; and the alarm is up for that reason alone.
    disk_full: AtomicBool,
    raised_for_disk: AtomicBool,
    differs: AtomicBool,
    leader: Mutex<(Option<u64>, u64)>,
    /// Requests that wait, those that failed, and how long the others took.
    pending: AtomicI64,
    failed: AtomicU64,
    pub(crate) proposals: Histogram,
}

impl Condition {
    pub(crate) fn new(quota: u64) -> Self {
        Self {
            quota,
            used: AtomicU64::new(0),
            coming: AtomicU64::new(0),
            own_no_space: AtomicBool::new(false),
            disk_full: AtomicBool::new(false),
            raised_for_disk: AtomicBool::new(false),
            differs: AtomicBool::new(false),
            leader: Mutex::default(),
            pending: AtomicI64::new(0),
            failed: AtomicU64::new(0),
            proposals: Histogram::default(),
        }
    }

    /// What the state has.
    pub(super) fn note(&self, own: u64, used: u64, alarms: &[AlarmMember]) {
        let has = |kind: AlarmType| alarms.iter().any(|alarm| alarm.alarm() == kind && alarm.member_id == own);
        self.used.store(used, Ordering::Relaxed);
        self.own_no_space.store(has(AlarmType::Nospace), Ordering::Relaxed);
        self.differs.store(has(AlarmType::Corrupt), Ordering::Relaxed);
    }

    pub(super) fn note_leader(&self, leader: Option<u64>) {
        let mut known = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if leader.is_some() && leader != known.0 {
            *known = (leader, known.1 + 1);
        }
    }

    /// How often another member was found to lead.
    pub(crate) fn leader_changes(&self) -> u64 {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Does this member differ from the others? Then it serves nobody.
    pub(crate) fn differs(&self) -> bool {
        self.differs.load(Ordering::Relaxed)
    }

    pub(crate) fn quota(&self) -> u64 {
        self.quota
    }

    pub(super) fn note_disk(&self, is_full: bool) {
        self.disk_full.store(is_full, Ordering::Relaxed);
        if self.is_over() {
            self.raised_for_disk.store(false, Ordering::Relaxed); // a reason that does not end by itself
        } else if !self.own_no_space.load(Ordering::Relaxed) {
            // Whoever raises it when there is room has another reason.
            self.raised_for_disk.store(is_full, Ordering::Relaxed);
        }
    }

    /// The alarm that is up was raised for a full disk before this node was started.
    pub(super) fn note_raised_before(&self) {
        self.raised_for_disk.store(true, Ordering::Relaxed);
    }

    /// Is an alarm to be taken back once the disk has room?
    pub(super) fn is_for_disk(&self) -> bool {
        self.raised_for_disk.load(Ordering::Relaxed)
    }

    pub(super) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.quota
    }

    /// Is there more than there may be, and has nobody said so yet?
    pub(super) fn must_alarm(&self) -> bool {
        (self.is_over() || self.is_disk_full()) && !self.own_no_space.load(Ordering::Relaxed)
    }

    /// Was the alarm raised for a full disk, and has that room again?
    pub(super) fn may_end_alarm(&self) -> bool {
        let is_up = self.own_no_space.load(Ordering::Relaxed) && self.raised_for_disk.load(Ordering::Relaxed);
        is_up && !self.is_over() && !self.is_disk_full()
    }

    /// It was taken back.
    pub(super) fn alarm_ended(&self) {
        self.raised_for_disk.store(false, Ordering::Relaxed);
    }

    /// Room for a request that may take so much; none where the quota has none.
    pub(crate) fn reserve(self: &Arc<Self>, cost: u64) -> Option<Reserved> {
        let coming = self.coming.fetch_add(cost, Ordering::Relaxed) + cost;
        self.pending.fetch_add(1, Ordering::Relaxed);
        let reserved = Reserved { condition: self.clone(), cost };
        let used = self.used.load(Ordering::Relaxed);
        let has_room = used.saturating_add(coming) < self.quota && !self.is_disk_full();
        (cost == 0 || has_room).then_some(reserved)
    }

    pub(crate) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that wait, and those that failed.
    pub(crate) fn requests(&self) -> (i64, u64) {
        (self.pending.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// A request did not fit: as good as full.
    pub(crate) fn needs_alarm(&self) -> bool {
        !self.own_no_space.load(Ordering::Relaxed)
    }
}

/// Room that is taken until the request is in the state, or is none any more.
#[derive(Debug)]
pub(crate) struct Reserved {
    condition: Arc<Condition>,
    cost: u64,
}

impl Reserved {
    /// The request is in the state: it counts as used until that is looked at again.
    pub(crate) fn written(self) {
        self.condition.used.fetch_add(self.cost, Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.condition.coming.fetch_sub(self.cost, Ordering::Relaxed);
        self.condition.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;
    use crate::proto::etcdserverpb::{AlarmMember, AlarmType};
    use std::sync::Arc;

    #[test]
    fn together_requests_get_no_more_than_the_quota() {
        let condition = Arc::new(Condition::new(1_000));
        let held: Vec<_> = (0..20).filter_map(|_| condition.reserve(100)).collect();
        assert_eq!(held.len(), 9);
        assert!(condition.reserve(0).is_some(), "what needs no room needs no quota");
        held.into_iter().for_each(super::Reserved::written);
        assert!(condition.reserve(100).is_none(), "nobody has looked at the state since");
        condition.note(1, 500, &[]);
        for _ in 0..20 {
            assert!(condition.reserve(100).is_some(), "what was refused gives its room back");
        }
    }

    /// An alarm for a full disk ends with its reason; one that somebody has to see to stays.
    #[test]
    fn a_full_disk_raises_an_alarm_and_takes_it_back() {
        let own = [AlarmMember { member_id: 1, alarm: AlarmType::Nospace.into() }];
        let condition = Arc::new(Condition::new(1_000));
        condition.note(1, 10, &[]);
        condition.note_disk(true);
        assert!(condition.must_alarm() && condition.reserve(1).is_none() && condition.reserve(0).is_some());
        condition.note(1, 10, &own);
        assert!(!condition.must_alarm() && !condition.may_end_alarm());
        condition.note_disk(false);
        assert!(condition.may_end_alarm());
        condition.note(1, 2_000, &own); // by now there is too much in it
        condition.note_disk(false);
        condition.note(1, 10, &own);
        assert!(!condition.may_end_alarm(), "it was up for another reason");
    }

    #[test]
    fn alarms_of_others_are_not_one_s_own() {
        let condition = Condition::new(1_000);
        let alarm = |member_id, kind: AlarmType| AlarmMember { member_id, alarm: kind.into() };
        condition.note(1, 2_000, &[alarm(2, AlarmType::Nospace), alarm(2, AlarmType::Corrupt)]);
        assert!(condition.must_alarm() && !condition.differs());
        condition.note(1, 2_000, &[alarm(1, AlarmType::Nospace), alarm(1, AlarmType::Corrupt)]);
        assert!(!condition.must_alarm() && condition.differs());
    }
}
