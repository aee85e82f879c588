//! One instance behind its lock: calls, ends and the keeper's hint.
use crate::body::Body;
use crate::certificate::Certificate;
use crate::error::{LifeError, Result};
use crate::id::InstanceId;
use crate::lease::Lease;
use crate::life::{Birth, Life, Means, Occupant};
use crate::plans::Kit;
use crate::seal::Seals;
use crate::state::{Reason, State};
use crate::term::Term;
use mayfly_vault::{Protection, Vault, clean_stack};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place in a host's list, used by one life after another.
pub(crate) struct Entry {
    /// When the keeper has to look; `u64::MAX` for never. A hint: what counts is the term, behind the lock.
    due_ns: AtomicU64,
    life: Mutex<Life>,
}

impl Default for Entry {
    fn default() -> Self {
        Entry { due_ns: AtomicU64::new(u64::MAX), life: Mutex::new(Life::none()) }
    }
}

impl Entry {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the keeper has to look.
    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns.load(Ordering::SeqCst)
    }

    /// A life begins. The entry is nobody's: it was never used, or its last owner is gone.
    pub(crate) fn begin(&self, birth: Birth, term: Term, occupant: Occupant) {
        *self.life() = Life::begin(birth, term, occupant);
        self.due_ns.store(term.due_ns(), Ordering::SeqCst);
    }

    /// The answer to `x`, written to `y`.
    pub(crate) fn call(&self, means: Means<'_>, x: &[f32], y: &mut [f32]) -> Result<()> {
        let mut life = self.life();
        let now_ns = means.clock.now_ns();
        life.check(now_ns, x, y)?;
        if let Err(why) = life.term.admit(now_ns) {
            self.end(&mut life, means, why);
            return Err(life.refusal(now_ns));
        }
        let answered = catch_unwind(AssertUnwindSafe(|| life.answer(x, y)));
        clean_stack(); // of what the kernels spilled
        let now_ns = means.clock.now_ns();
        life.term.finish(now_ns);
        match (&answered, life.term.over(now_ns)) {
            (Err(_), _) => self.end(&mut life, means, Reason::Panic),
            (Ok(_), Some(why)) => self.end(&mut life, means, why),
            (Ok(_), None) => self.due_ns.store(life.term.due_ns(), Ordering::SeqCst),
        }
        answered.unwrap_or_else(|_| Err(life.refusal(now_ns)))
    }

    /// Ends the life, if it has not ended, and gives the certificate of its end: whoever ends it, there is one.
    pub(crate) fn dissolve(&self, means: Means<'_>, why: Reason) -> Option<Certificate> {
        let mut life = self.life();
        self.end(&mut life, means, why);
        life.end.map(|(certificate, _)| certificate)
    }

    /// Ends the life if its lease is over. A call that is under way ends first, and then sees to it itself.
    pub(crate) fn reap(&self, means: Means<'_>) {
        let mut life = match self.life.try_lock() {
            Ok(life) => life,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        if matches!(life.state, State::Live | State::Sealed)
            && let Some(why) = life.term.over(means.clock.now_ns())
        {
            self.end(&mut life, means, why);
        }
    }

    /// Lengthens the lease. Returns when it is due now.
    pub(crate) fn renew(&self, means: Means<'_>, lease: &Lease) -> Result<u64> {
        lease.check()?;
        let mut life = self.life();
        let now_ns = means.clock.now_ns();
        if life.state != State::Sealed {
            life.check_live(now_ns)?;
        }
        if let Err(why) = life.term.renew(lease, now_ns) {
            self.end(&mut life, means, why);
            return Err(life.refusal(now_ns));
        }
        let due_ns = life.term.due_ns();
        self.due_ns.store(due_ns, Ordering::SeqCst);
        Ok(due_ns)
    }

    /// Moves its state to disk and wipes it here. After an error it is live as before, unless its lease is over.
    pub(crate) fn seal(&self, means: Means<'_>, seals: &Seals, vault: &Vault) -> Result<()> {
        let mut life = self.life();
        self.check_lease(&mut life, means)?;
        life.check_live(means.clock.now_ns())?;
        life.seal(means.ledger.node(), seals, vault)
    }

    /// The kit whose body it needs to live again.
    pub(crate) fn sealed_kit(&self, means: Means<'_>) -> Result<Arc<Kit>> {
        let mut life = self.life();
        self.check_lease(&mut life, means)?;
        match (life.state, &life.sealed) {
            (State::Sealed, Some(sealed)) => Ok(Arc::clone(&sealed.kit)),
            (State::Live, _) => Err(LifeError::NotSealed),
            _ => Err(life.refusal(means.clock.now_ns())),
        }
    }

    /// Lives again in a body of [`Entry::sealed_kit`]. After an error it is sealed as before, unless its lease is over, and the body is given back.
    pub(crate) fn unseal(&self, means: Means<'_>, body: Body) -> Result<()> {
        let mut life = self.life();
        match self.check_lease(&mut life, means) {
            Ok(()) => life.unseal(means, body),
            Err(error) => {
                if let Some(sealed) = &life.sealed {
                    sealed.kit.give(body);
                }
                Err(error)
            }
        }
    }

    /// Ends the life if its lease is over, which is an error.
    fn check_lease(&self, life: &mut Life, means: Means<'_>) -> Result<()> {
        let now_ns = means.clock.now_ns();
        let is_over = matches!(life.state, State::Live | State::Sealed).then(|| life.term.over(now_ns)).flatten();
        match is_over {
            Some(why) => {
                self.end(life, means, why);
                Err(life.refusal(now_ns))
            }
            None => Ok(()),
        }
    }

    /// What is to be said of it.
    pub(crate) fn look(&self) -> (State, InstanceId, Term, Option<Protection>) {
        let life = self.life();
        (life.state, life.birth.id, life.term, life.occupant.as_ref().map(|o| o.body.protection()))
    }

    fn end(&self, life: &mut Life, means: Means<'_>, why: Reason) {
        self.due_ns.store(u64::MAX, Ordering::SeqCst);
        life.end_by(means, why);
    }
}
