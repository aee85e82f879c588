//! What a caller says about a call, and what comes back.

use crate::bypass::BypassRule;
use crate::error::PackError;
use crate::tensor::Tensor;
use std::time::Duration;

/// Does a call meet an instance that has worked before?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Instances are kept for the next call. A kernel can then remember something of an earlier call of its own.
    #[default]
    Reuse,
    /// Every call gets memory as the module declares it, and leaves nothing behind.
    Fresh,
}

/// How to call.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// Time; the manifest's and the host's limits bound it. `None`: what these allow, 10 s at most.
    pub budget: Option<Duration>,
    /// Kept instances, or new ones.
    pub isolation: Isolation,
    /// When to use the native reference instead.
    pub bypass: BypassRule,
}

/// Who computed an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AnsweredBy {
    /// The kernel.
    Kernel,
    /// The native reference, since the rule of the call says so.
    Bypass,
    /// The native reference, since the kernel failed: a degraded answer.
    Fallback(PackError),
}

/// Outputs of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// In the order of the manifest.
    pub outputs: Vec<Tensor>,
    /// Who computed them.
    pub by: AnsweredBy,
}
