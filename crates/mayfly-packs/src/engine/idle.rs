//! Instances that wait for their kernel's next call, of all kernels of an engine: where no slot is left, one of them makes room.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The waiting instances of one kernel.
pub(crate) trait Idle: Send + Sync {
    /// Drops one of them; false when there is none.
    fn drop_one(&self) -> bool;
}

/// The kernels of an engine that may have waiting instances.
#[derive(Default)]
pub struct IdleInstances {
    kernels: Mutex<Vec<Weak<dyn Idle>>>,
}

impl IdleInstances {
    pub(crate) fn add(&self, kernel: Weak<dyn Idle>) {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        kernels.retain(|kernel| kernel.strong_count() > 0);
        kernels.push(kernel);
    }

    /// Drops one waiting instance of any kernel, of the longest known first; false when there is none.
    pub(crate) fn drop_one(&self) -> bool {
        let kernels: Vec<Arc<dyn Idle>> = {
            let kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            kernels.iter().filter_map(Weak::upgrade).collect()
        };
        kernels.iter().any(|kernel| kernel.drop_one())
    }
}
