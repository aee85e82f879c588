//! What an instance is from its first moment to its certificate. Everything here is done behind the lock of its entry.
use crate::body::Body;
use crate::certificate::{Certificate, Wiped};
use crate::clock::Clock;
use crate::error::{LifeError, Result};
use crate::id::{Born, InstanceId};
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::plans::{Kit, PlanKey};
use crate::seal::{KEY_BYTES, Seal, Seals};
use crate::state::{Reason, State};
use crate::term::Term;
use mayfly_base::NodeId;
use mayfly_vault::{Protection, Vault, clean_stack};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroize;

/// What a life knows of itself.
pub(crate) struct Life {
    pub(crate) state: State,
    pub(crate) birth: Birth,
    pub(crate) term: Term,
    /// Everything that holds values; none when there is no life, or it is sealed.
    pub(crate) occupant: Option<Occupant>,
    /// Its state on disk, while it is sealed.
    pub(crate) sealed: Option<Sealed>,
    /// What was wiped and sealed before its end.
    past: Past,
    /// Of the life that ended last.
    pub(crate) end: Option<(Certificate, u64)>,
}

/// A body and where it goes back to.
pub(crate) struct Occupant {
    pub(crate) kit: Arc<Kit>,
    pub(crate) body: Body,
}

/// What is left of an instance while it is sealed.
pub(crate) struct Sealed {
    pub(crate) kit: Arc<Kit>,
    seal: Seal,
    commitment: [u8; 32],
    protection: Protection,
}

/// What sealing did in a life.
#[derive(Clone, Copy, Default)]
struct Past {
    wiped: Wiped,
    sealed_files: u32,
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

impl Life {
    /// No life, before the first.
    pub(crate) fn none() -> Life {
        let birth =
            Birth { id: InstanceId::default(), commitment_key: [0; 32], task: [0; 32], owner: None, unix_ms: 0 };
        let term = Term::begin(&Lease::default(), 0);
        Life { state: State::Dissolved, birth, term, occupant: None, sealed: None, past: Past::default(), end: None }
    }

    /// A life that begins.
    pub(crate) fn begin(birth: Birth, term: Term, occupant: Occupant) -> Life {
        let mut life = Life { state: State::Planned, birth, term, occupant: Some(occupant), ..Life::none() };
        life.state.advance(State::Live);
        life
    }

    pub(crate) fn check_live(&self, now_ns: u64) -> Result<()> {
        match self.state {
            State::Live => Ok(()),
            State::Sealed => Err(LifeError::Sealed),
            _ => Err(self.refusal(now_ns)),
        }
    }

    /// What needs no budget to be refused.
    pub(crate) fn check(&self, now_ns: u64, x: &[f32], y: &[f32]) -> Result<()> {
        self.check_live(now_ns)?;
        let Some(Occupant { kit, .. }) = &self.occupant else { return Err(self.refusal(now_ns)) };
        match (kit.input_len == x.len(), kit.output_len == y.len()) {
            (false, _) => Err(LifeError::RowLength { want: kit.input_len, got: x.len() }),
            (_, false) => Err(LifeError::AnswerLength { want: kit.output_len, got: y.len() }),
            _ => Ok(()),
        }
    }

    pub(crate) fn answer(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        let Some(Occupant { body, .. }) = &mut self.occupant else { return Err(LifeError::Closed) };
        y.copy_from_slice(body.session().infer(x)?);
        Ok(())
    }

    /// Commits to the weights, wipes everything, gives the body back, and puts the certificate into the chain.
    pub(crate) fn end_by(&mut self, means: Means<'_>, why: Reason) {
        if !self.state.advance(State::Dissolving) {
            return;
        }
        let now_ns = means.clock.now_ns();
        let last = self.leave();
        self.birth.commitment_key = [0; 32];
        let certificate = Certificate {
            node: NodeId::default(),
            number: 0,
            instance: self.birth.id,
            owner: self.birth.owner,
            task: self.birth.task,
            plan: last.plan,
            commitment: last.commitment,
            born_unix_ms: self.birth.unix_ms,
            lived_ns: now_ns.saturating_sub(self.term.born_ns()),
            reason: why,
            calls: self.term.calls(),
            wiped: self.past.wiped,
            sealed_files: self.past.sealed_files,
            protection: last.protection,
            previous: [0; 32],
        };
        self.end = Some((means.ledger.enter(certificate), now_ns));
        self.state.advance(State::Dissolved);
    }

    /// Commits to the weights and wipes everything; of a sealed life the key, which erases its file.
    fn leave(&mut self) -> Last {
        if let Some(Occupant { kit, mut body }) = self.occupant.take() {
            let commitment = commit(&self.birth.commitment_key, body.param_bytes());
            clean_stack();
            let last = Last { plan: kit.key.0, commitment, protection: body.protection() };
            self.past.wiped = self.past.wiped.and(body.wipe());
            kit.give(body);
            return last;
        }
        let Some(Sealed { kit, seal, commitment, protection }) = self.sealed.take() else { return Last::default() };
        self.erase(seal);
        Last { plan: kit.key.0, commitment, protection }
    }

    fn erase(&mut self, seal: Seal) {
        seal.erase();
        self.past.wiped.sealing_keys += KEY_BYTES as u64;
    }

    /// What a sealed file belongs to: with it, no file of another instance, task, plan or node is taken for it.
    fn bound_to(&self, node: NodeId, plan: &PlanKey) -> Vec<u8> {
        let owner = self.birth.owner.unwrap_or_default();
        [&node.0[..], &self.birth.id.0, &owner.0, &self.birth.task, &plan.0].concat()
    }

    pub(crate) fn seal(&mut self, node: NodeId, seals: &Seals, vault: &Vault) -> Result<()> {
        let Some(Occupant { kit, mut body }) = self.occupant.take() else { return Err(LifeError::Closed) };
        let bound_to = self.bound_to(node, &kit.key);
        let commitment = commit(&self.birth.commitment_key, body.param_bytes());
        let seal = match Seal::close(seals, vault, self.birth.id, &bound_to, body.param_bytes_mut()) {
            Ok(seal) => seal,
            Err(error) => {
                self.occupant = Some(Occupant { kit, body });
                return Err(error);
            }
        };
        self.state.advance(State::Sealed);
        let protection = body.protection();
        self.past.wiped = self.past.wiped.and(body.wipe());
        self.past.sealed_files += 1;
        kit.give(body);
        self.sealed = Some(Sealed { kit, seal, commitment, protection });
        Ok(())
    }

    pub(crate) fn unseal(&mut self, means: Means<'_>, mut body: Body) -> Result<()> {
        let Some(sealed) = self.sealed.take() else {
            // Somebody else was quicker. The body is clean, and its pages go back to the vault.
            drop(body);
            return if self.state == State::Live { Ok(()) } else { Err(self.refusal(means.clock.now_ns())) };
        };
        let bound_to = self.bound_to(means.ledger.node(), &sealed.kit.key);
        let opened = sealed.seal.open(&bound_to, body.param_bytes_mut()).and_then(|()| body.pack());
        if let Err(error) = opened {
            Occupant { kit: Arc::clone(&sealed.kit), body }.leave();
            self.sealed = Some(sealed);
            return Err(error);
        }
        self.state.advance(State::Live);
        let Sealed { kit, seal, .. } = sealed;
        self.erase(seal);
        self.occupant = Some(Occupant { kit, body });
        Ok(())
    }

    /// What is said to whoever comes too late.
    pub(crate) fn refusal(&self, now_ns: u64) -> LifeError {
        let Some((certificate, end_ns)) = &self.end else { return LifeError::Closed };
        let ago = Duration::from_nanos(now_ns.saturating_sub(*end_ns));
        match certificate.reason {
            why @ (Reason::Ttl | Reason::Idle) => LifeError::Expired { ago, why },
            Reason::Budget => LifeError::Exhausted { calls: certificate.calls },
            why => LifeError::Dissolved { ago, why },
        }
    }
}

/// What the certificate says of the memory that a life ended in.
#[derive(Default)]
struct Last {
    plan: [u8; 32],
    commitment: [u8; 32],
    protection: Protection,
}

/// Keyed BLAKE3 of the parameters' bytes. What the hash keeps of them on the way is wiped.
fn commit(key: &[u8; 32], params: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(params);
    let commitment = *hasher.finalize().as_bytes();
    hasher.zeroize();
    commitment
}
