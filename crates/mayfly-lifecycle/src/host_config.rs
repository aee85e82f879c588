//! How a host is started.
use crate::certificate::Certificate;
use crate::clock::{BootClock, Clock};
use mayfly_base::NodeId;
use mayfly_vault::VaultConfig;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Who ends leases that nobody calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reaping {
    /// A thread of the host, within 50 ms.
    #[default]
    Thread,
    /// Whoever calls [`Host::reap`](crate::Host::reap): simulations, and programs with a loop of their own.
    Manual,
}

/// The bounds of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostConfig {
    /// The memory of its instances.
    pub vault: VaultConfig,
    /// The node that certificates name.
    pub node: NodeId,
    /// Instances that live at a time.
    pub instances: usize,
    /// Bytes of plans that are kept though nobody uses them.
    pub plan_bytes: usize,
    /// Who ends leases.
    pub reaping: Reaping,
}

impl Default for HostConfig {
    /// A vault by its defaults, 65,536 instances, 64 MiB of plans.
    fn default() -> Self {
        HostConfig {
            vault: VaultConfig::default(),
            node: NodeId::default(),
            instances: 1 << 16,
            plan_bytes: 64 << 20,
            reaping: Reaping::Thread,
        }
    }
}

/// Is shown every certificate, in the order of the chain, while the instance's end is being settled: it must be quick and must not call its host.
pub trait Witness: Send + Sync {
    /// An instance was dissolved.
    fn dissolved(&self, certificate: &Certificate);
}

impl Witness for () {
    fn dissolved(&self, _: &Certificate) {}
}

/// What a host works with.
#[derive(Clone)]
pub struct HostParts {
    /// The clock of its leases.
    pub clock: Arc<dyn Clock>,
    /// Who is shown certificates.
    pub witness: Arc<dyn Witness>,
    /// The folder of sealed instances: this host's alone. What another left in it is deleted at the start; nobody has its keys.
    pub seals: Option<PathBuf>,
}

impl Default for HostParts {
    /// The boot clock, nobody, and no folder.
    fn default() -> Self {
        HostParts { clock: Arc::new(BootClock), witness: Arc::new(()), seals: None }
    }
}

impl fmt::Debug for HostParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostParts with {:?}", self.clock)
    }
}
