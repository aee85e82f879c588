//! What happened, counted: calls, failures, and what answered instead.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Failures that are kept for looking at.
const KEPT: usize = 16;

/// Counters of one kernel.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) degraded: AtomicU64,
    pub(crate) bypassed: AtomicU64,
    pub(crate) instances: AtomicU64,
    pub(crate) nanoseconds: AtomicU64,
    last: Mutex<VecDeque<Failure>>,
}

/// One failed call, as a log line would have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Pack name and version.
    pub pack: String,
    /// Kernel id.
    pub kernel: String,
    /// Type and shape of each input.
    pub inputs: Vec<String>,
    /// Number of the instance, counted from 1 for each kernel; 0 when there was none yet.
    pub instance: u64,
    /// What happened.
    pub error: crate::PackError,
}

/// The counters of one kernel at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelMetrics {
    /// Kernel id.
    pub kernel: String,
    /// Calls that reached the kernel or its bypass.
    pub calls: u64,
    /// Calls that failed in the guest.
    pub failures: u64,
    /// Of these, the ones that the native reference answered.
    pub degraded: u64,
    /// Calls that the bypass rule gave to the native reference.
    pub bypassed: u64,
    /// Instances made.
    pub instances: u64,
    /// Time in guests, without failed calls.
    pub nanoseconds: u64,
    /// The latest failures, the oldest first.
    pub last_failures: Vec<Failure>,
}

/// The counters of a pack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSnapshot {
    /// In the order of the manifest.
    pub kernels: Vec<KernelMetrics>,
}

impl MetricsSnapshot {
    /// Calls and failures over all kernels.
    pub fn totals(&self) -> (u64, u64) {
        self.kernels.iter().fold((0, 0), |(calls, failures), k| (calls + k.calls, failures + k.failures))
    }
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) -> u64 {
        counter.fetch_add(n, Relaxed) + n
    }

    pub(crate) fn fail(&self, failure: Failure) {
        Self::add(&self.failures, 1);
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(failure);
    }

    pub(crate) fn snapshot(&self, kernel: &str) -> KernelMetrics {
        let last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        KernelMetrics {
            kernel: kernel.to_owned(),
            calls: self.calls.load(Relaxed),
            failures: self.failures.load(Relaxed),
            degraded: self.degraded.load(Relaxed),
            bypassed: self.bypassed.load(Relaxed),
            instances: self.instances.load(Relaxed),
            nanoseconds: self.nanoseconds.load(Relaxed),
            last_failures: last.iter().cloned().collect(),
        }
    }
}
