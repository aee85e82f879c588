//! A network that lives, and the one it is made from.
use crate::certificate::Certificate;
use crate::entry::Entry;
use crate::error::{LifeError, Result};
use crate::host::{Host, Inner};
use crate::id::InstanceId;
use crate::lease::Lease;
use crate::plans::{Kit, PlanKey};
use crate::state::{Reason, State};
use crate::task::Task;
use crate::term::Term;
use mayfly_kernels::Buffer;
use mayfly_vault::{Protection, Slot, within};
use std::fmt;
use std::sync::Arc;

/// A network that is ready to live: a plan, and parameters in protected memory. Any number of instances can be leased from it; each has a copy of its own.
pub struct Planned {
    host: Arc<Inner>,
    kit: Arc<Kit>,
    task: [u8; 32],
    params: Buffer<f32>,
    slot: Slot,
}

/// A network that lives under a lease. Dropping it dissolves it. Threads may share it; it answers one call at a time.
pub struct Ephemeral {
    host: Arc<Inner>,
    /// Taken when it is dropped.
    entry: Option<Arc<Entry>>,
    output_len: usize,
}

impl Ephemeral {
    /// Plans a task on the host of this process.
    ///
    /// # Errors
    /// A network that cannot be planned, and memory that the host refuses.
    pub fn build(task: &Task) -> Result<Planned> {
        Host::shared()?.build(task)
    }

    /// The answer to a row (to all rows of a call, for tasks of several).
    ///
    /// # Errors
    /// Its life is over, or the row has another length.
    pub fn call(&self, x: &[f32]) -> Result<Vec<f32>> {
        let mut y = vec![0.0; self.output_len];
        self.call_into(x, &mut y)?;
        Ok(y)
    }

    /// As [`Ephemeral::call`], into memory of the caller's: nothing is allocated.
    ///
    /// # Errors
    /// Its life is over, or a length is another.
    pub fn call_into(&self, x: &[f32], y: &mut [f32]) -> Result<()> {
        self.entry()?.call(self.host.means(), x, y)
    }

    /// Lengthens the lease, counted from now. It never becomes shorter, and a life that is over stays over.
    ///
    /// # Errors
    /// Its life is over.
    pub fn renew(&self, lease: &Lease) -> Result<()> {
        self.host.renew(self.entry()?, lease)
    }

    /// Moves its parameters to disk, under a key that only the vault has, and wipes them here. Its lease goes on.
    ///
    /// # Errors
    /// A host without a folder for it, a disk that is full: it then stays live.
    pub fn seal(&self) -> Result<()> {
        self.host.seal(self.entry()?)
    }

    /// Lives again, with the same answers. The file is erased.
    ///
    /// # Errors
    /// A file that was changed, cut or exchanged, a host without room: it then stays sealed. Its life is over.
    pub fn unseal(&self) -> Result<()> {
        self.host.unseal(self.entry()?)
    }

    /// Ends its life. Of several who do, one does; all get the certificate of its end, whatever it was.
    pub fn dissolve(&self) -> Certificate {
        let ended = self.entry.as_ref().and_then(|entry| entry.dissolve(self.host.means(), Reason::Asked));
        #[expect(clippy::expect_used, reason = "an entry that has an owner has begun a life, and dissolving ends it")]
        ended.expect("an owned entry has an end")
    }

    /// Its name.
    pub fn id(&self) -> InstanceId {
        self.look().map(|look| look.1).unwrap_or_default()
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.look().map_or(State::Dissolved, |look| look.0)
    }

    /// What is left of its lease.
    pub fn term(&self) -> Option<Term> {
        self.look().map(|look| look.2)
    }

    /// What protects its pages; none when it does not live.
    pub fn protection(&self) -> Option<Protection> {
        self.look().and_then(|look| look.3)
    }

    fn look(&self) -> Option<(State, InstanceId, Term, Option<Protection>)> {
        self.entry.as_ref().map(|entry| entry.look())
    }

    fn entry(&self) -> Result<&Entry> {
        self.entry.as_deref().ok_or(LifeError::Closed)
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.host.retire(entry, Reason::Dropped);
        }
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ephemeral {}, {}", self.id(), self.state())
    }
}

impl Host {
    /// Plans a task: finds or makes the plan, and puts the parameters into protected memory.
    ///
    /// # Errors
    /// A network that cannot be planned, and memory that the host refuses.
    pub fn build(&self, task: &Task) -> Result<Planned> {
        task.check()?;
        let (network, batch, precision) = task.parts();
        let kit = self.0.plans.kit(network, batch, precision)?;
        let hash = task.hash()?;
        let slot = self.0.slot(size_of_val(network.params()))?;
        let params = within(slot.memory(), || Buffer::zeroed(network.params().len()));
        let mut params = params.map_err(|short| LifeError::Shortfall { bytes: short.bytes })?;
        params.copy_from_slice(network.params());
        Ok(Planned { host: Arc::clone(&self.0), kit, task: hash, params, slot })
    }
}

impl Planned {
    /// An instance.
    ///
    /// # Errors
    /// A lease that nothing could keep, a host that is full or shut down, and memory that the system refuses.
    pub fn lease(&self, lease: &Lease) -> Result<Ephemeral> {
        let entry = self.host.spawn(&self.kit, &self.params, self.task, lease)?;
        Ok(Ephemeral { host: Arc::clone(&self.host), entry: Some(entry), output_len: self.kit.output_len })
    }

    /// Numbers that a call takes.
    pub fn input_len(&self) -> usize {
        self.kit.input_len
    }

    /// Numbers of an answer.
    pub fn output_len(&self) -> usize {
        self.kit.output_len
    }

    /// Bytes of the slot of an instance.
    pub fn instance_bytes(&self) -> usize {
        self.kit.slot_bytes
    }

    /// Bytes of the slot of its own parameters.
    pub fn params_bytes(&self) -> usize {
        self.slot.bytes()
    }

    /// The plan that its instances run.
    pub fn plan(&self) -> PlanKey {
        self.kit.key
    }

    /// What protects its parameters.
    pub fn protection(&self) -> Protection {
        self.slot.protection()
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Planned {}, {} -> {}", self.kit.key, self.kit.input_len, self.kit.output_len)
    }
}
