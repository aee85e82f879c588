//! A lease under way: plain data, with the time as an argument.
use crate::lease::Lease;
use crate::state::Reason;
use std::time::Duration;

/// What is left of a lease. Times are nanoseconds of one clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    born_ns: u64,
    /// When its time is over; `u64::MAX` for never.
    end_ns: u64,
    idle_ns: u64,
    last_call_ns: u64,
    budget: Option<u64>,
    calls: u64,
}

/// Longer than any machine runs stands for never.
fn ns(time: Option<Duration>) -> u64 {
    time.and_then(|time| u64::try_from(time.as_nanos()).ok()).unwrap_or(u64::MAX)
}

impl Term {
    /// The lease of an instance that is born at `now_ns`.
    pub fn begin(lease: &Lease, now_ns: u64) -> Term {
        Term {
            born_ns: now_ns,
            end_ns: now_ns.saturating_add(ns(lease.ttl)),
            idle_ns: ns(lease.idle),
            last_call_ns: now_ns,
            budget: lease.calls,
            calls: 0,
        }
    }

    /// Why it is over at `now_ns`, if it is. A lease of a second is over a second after it began, and not before.
    pub fn over(&self, now_ns: u64) -> Option<Reason> {
        match self {
            _ if self.budget.is_some_and(|budget| self.calls >= budget) => Some(Reason::Budget),
            _ if now_ns >= self.end_ns => Some(Reason::Ttl),
            _ if now_ns >= self.idle_end_ns() => Some(Reason::Idle),
            _ => None,
        }
    }

    /// Counts a call that begins at `now_ns`.
    ///
    /// # Errors
    /// The lease is over: the call must not be made.
    pub fn admit(&mut self, now_ns: u64) -> Result<(), Reason> {
        match self.over(now_ns) {
            Some(why) => Err(why),
            None => {
                self.calls += 1;
                self.last_call_ns = now_ns;
                Ok(())
            }
        }
    }

    /// A call ended at `now_ns`: from here idle time counts.
    pub fn finish(&mut self, now_ns: u64) {
        self.last_call_ns = self.last_call_ns.max(now_ns);
    }

    /// Lengthens what is left to what `lease` would give from `now_ns` on. Nothing becomes shorter: where the old bound reaches further, it stays, and
    /// what was not bounded stays so.
    ///
    /// # Errors
    /// The lease is over already.
    pub fn renew(&mut self, lease: &Lease, now_ns: u64) -> Result<(), Reason> {
        if let Some(why) = self.over(now_ns) {
            return Err(why);
        }
        if lease.ttl.is_some() {
            self.end_ns = self.end_ns.max(now_ns.saturating_add(ns(lease.ttl)));
        }
        if lease.idle.is_some() {
            self.idle_ns = self.idle_ns.max(ns(lease.idle));
        }
        if let (Some(budget), Some(more)) = (self.budget, lease.calls) {
            self.budget = Some(budget.max(self.calls.saturating_add(more)));
        }
        Ok(())
    }

    /// When it is over if nobody calls; `u64::MAX` for never.
    pub fn due_ns(&self) -> u64 {
        self.end_ns.min(self.idle_end_ns())
    }

    /// Calls that were admitted.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Calls that are left; nothing where they are not bounded.
    pub fn calls_left(&self) -> Option<u64> {
        self.budget.map(|budget| budget.saturating_sub(self.calls))
    }

    /// When it began.
    pub fn born_ns(&self) -> u64 {
        self.born_ns
    }

    fn idle_end_ns(&self) -> u64 {
        self.last_call_ns.saturating_add(self.idle_ns)
    }
}
