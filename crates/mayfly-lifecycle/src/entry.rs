//! One instance: its state, its body and its end.
use crate::body::Body;
use crate::certificate::{Certificate, Wiped};
use crate::clock::Clock;
use crate::error::{LifeError, Result};
use crate::id::{Born, InstanceId};
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::plans::Kit;
use crate::state::{Reason, State};
use crate::term::Term;
use mayfly_base::NodeId;
use mayfly_vault::Protection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zeroize::Zeroize;

/// A place in a host's list, used by one life after another.
pub(crate) struct Entry {
    /// When the keeper has to look; `u64::MAX` for never. A hint: what counts is the term, behind the lock.
    due_ns: AtomicU64,
    life: Mutex<Life>,
}

/// What a life knows of itself.
struct Life {
    state: State,
    birth: Birth,
    term: Term,
    /// Everything that holds values; none when there is no life.
    occupant: Option<Occupant>,
    /// Of the life that ended last.
    end: Option<(Certificate, u64)>,
}

/// A body and where it goes back to.
pub(crate) struct Occupant {
    pub(crate) kit: Arc<Kit>,
    pub(crate) body: Body,
}

impl Occupant {
    /// Wipes the body and gives it back, of a life that did not begin.
    pub(crate) fn leave(self) {
        let Occupant { kit, mut body } = self;
        body.wipe();
        kit.give(body);
    }
}

/// What is known of an instance from its first moment.
#[derive(Clone, Copy)]
pub(crate) struct Birth {
    pub(crate) id: InstanceId,
    pub(crate) commitment_key: [u8; 32],
    pub(crate) task: [u8; 32],
    pub(crate) owner: Option<NodeId>,
    pub(crate) unix_ms: u64,
}

impl Birth {
    pub(crate) fn new(born: Born, task: [u8; 32], lease: &Lease, unix_ms: u64) -> Birth {
        let Born { id, commitment_key } = born;
        Birth { id, commitment_key, task, owner: lease.owner, unix_ms }
    }
}

/// What ends are settled with.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) clock: &'a dyn Clock,
}

impl Default for Entry {
    fn default() -> Self {
        let birth =
            Birth { id: InstanceId::default(), commitment_key: [0; 32], task: [0; 32], owner: None, unix_ms: 0 };
        let term = Term::begin(&Lease::default(), 0);
        let life = Life { state: State::Dissolved, birth, term, occupant: None, end: None };
        Entry { due_ns: AtomicU64::new(u64::MAX), life: Mutex::new(life) }
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
        let mut life = self.life();
        *life = Life { state: State::Planned, birth, term, occupant: Some(occupant), end: None };
        life.state.advance(State::Live);
        self.due_ns.store(term.due_ns(), Ordering::SeqCst);
    }

    /// The answer to `x`, written to `y`.
    pub(crate) fn call(&self, means: Means<'_>, x: &[f32], y: &mut [f32]) -> Result<()> {
        let mut life = self.life();
        life.check(means.clock.now_ns(), x, y)?;
        if let Err(why) = life.term.admit(means.clock.now_ns()) {
            self.end(&mut life, means, why);
            return Err(life.refusal(means.clock.now_ns()));
        }
        let answered = catch_unwind(AssertUnwindSafe(|| life.answer(x, y)));
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
        if life.state == State::Live
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
        life.check_live(now_ns)?;
        if let Err(why) = life.term.renew(lease, now_ns) {
            self.end(&mut life, means, why);
            return Err(life.refusal(now_ns));
        }
        let due_ns = life.term.due_ns();
        self.due_ns.store(due_ns, Ordering::SeqCst);
        Ok(due_ns)
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

impl Life {
    fn check_live(&self, now_ns: u64) -> Result<()> {
        if self.state == State::Live { Ok(()) } else { Err(self.refusal(now_ns)) }
    }

    /// What needs no budget to be refused.
    fn check(&self, now_ns: u64, x: &[f32], y: &[f32]) -> Result<()> {
        self.check_live(now_ns)?;
        let Some(Occupant { kit, .. }) = &self.occupant else { return Err(self.refusal(now_ns)) };
        match (kit.input_len == x.len(), kit.output_len == y.len()) {
            (false, _) => Err(LifeError::RowLength { want: kit.input_len, got: x.len() }),
            (_, false) => Err(LifeError::AnswerLength { want: kit.output_len, got: y.len() }),
            _ => Ok(()),
        }
    }

    fn answer(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        let Some(Occupant { body, .. }) = &mut self.occupant else { return Err(LifeError::Closed) };
        y.copy_from_slice(body.session().infer(x)?);
        Ok(())
    }

    /// Commits to the weights, wipes everything, gives the body back, and puts the certificate into the chain.
    fn end_by(&mut self, means: Means<'_>, why: Reason) {
        if !self.state.advance(State::Dissolving) {
            return;
        }
        let now_ns = means.clock.now_ns();
        let (mut plan, mut commitment, mut wiped, mut protection) =
            ([0; 32], [0; 32], Wiped::default(), Protection::default());
        if let Some(Occupant { kit, mut body }) = self.occupant.take() {
            plan = kit.key.0;
            protection = body.protection();
            commitment = commit(&self.birth.commitment_key, body.param_bytes());
            wiped = body.wipe();
            kit.give(body);
        }
        self.birth.commitment_key = [0; 32];
        let certificate = Certificate {
            node: NodeId::default(),
            number: 0,
            instance: self.birth.id,
            owner: self.birth.owner,
            task: self.birth.task,
            plan,
            commitment,
            born_unix_ms: self.birth.unix_ms,
            lived_ns: now_ns.saturating_sub(self.term.born_ns()),
            reason: why,
            calls: self.term.calls(),
            wiped,
            protection,
            previous: [0; 32],
        };
        self.end = Some((means.ledger.enter(certificate), now_ns));
        self.state.advance(State::Dissolved);
    }

    /// What is said to whoever comes too late.
    fn refusal(&self, now_ns: u64) -> LifeError {
        let Some((certificate, end_ns)) = &self.end else { return LifeError::Closed };
        let ago = Duration::from_nanos(now_ns.saturating_sub(*end_ns));
        match certificate.reason {
            why @ (Reason::Ttl | Reason::Idle) => LifeError::Expired { ago, why },
            Reason::Budget => LifeError::Exhausted { calls: certificate.calls },
            why => LifeError::Dissolved { ago, why },
        }
    }
}

/// Keyed BLAKE3 of the parameters' bytes. What the hash keeps of them on the way is wiped.
fn commit(key: &[u8; 32], params: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(params);
    let commitment = *hasher.finalize().as_bytes();
    hasher.zeroize();
    commitment
}
