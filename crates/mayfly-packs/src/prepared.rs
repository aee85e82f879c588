//! Calls whose tensors live in the guest's memory: nothing is copied.

use crate::call::{CallOptions, Isolation};
use crate::error::{PackError, Result};
use crate::pack::{Kernel, Warm};
use crate::plan::Placement;
use std::time::Instant;

/// One instance of a kernel, with room for tensors of certain shapes. The caller writes inputs where the guest reads them and
/// reads outputs where it wrote them. The guest may change its inputs: write those again that must not have changed.
///
/// Made by [`Kernel::prepare`]; the instance goes back to its kernel when this is dropped.
pub struct PreparedCall<'k> {
    kernel: &'k Kernel,
    params: Vec<u8>,
    options: CallOptions,
    /// `None` after a call that failed: its instance is dropped.
    ready: Option<(Warm, Placement)>,
}

impl<'k> PreparedCall<'k> {
    pub(crate) fn new(
        kernel: &'k Kernel,
        warm: Warm,
        placement: Placement,
        params: Vec<u8>,
        options: CallOptions,
    ) -> Self {
        Self { kernel, params, options, ready: Some((warm, placement)) }
    }

    /// Input `i` in the manifest's order: dense, little-endian bytes at a multiple of 64.
    ///
    /// # Errors
    /// [`PackError::Other`] when there is no such input, or after a call that failed.
    pub fn input_mut(&mut self, i: usize) -> Result<&mut [u8]> {
        let (warm, placement) = self.ready.as_mut().ok_or_else(gone)?;
        let region =
            placement.layout.inputs.get(i).ok_or_else(|| PackError::other(format!("there is no input {i}")))?;
        region.of(warm.memory())
    }

    /// Output `i` in the manifest's order, as the latest [`PreparedCall::run`] left it.
    ///
    /// # Errors
    /// As [`PreparedCall::input_mut`].
    pub fn output(&mut self, i: usize) -> Result<&[u8]> {
        let (warm, placement) = self.ready.as_mut().ok_or_else(gone)?;
        let region =
            placement.layout.outputs.get(i).ok_or_else(|| PackError::other(format!("there is no output {i}")))?;
        region.of(warm.memory()).map(|bytes| &*bytes)
    }

    /// Computes the outputs from the inputs. There is no fallback: the inputs are in the guest's hands.
    ///
    /// # Errors
    /// An error of the call; the instance is dropped then, and this cannot be used again.
    pub fn run(&mut self) -> Result<()> {
        let (mut warm, placement) = self.ready.take().ok_or_else(gone)?;
        let start = Instant::now();
        let number = warm.number();
        let result = self.kernel.enter(&mut warm, &placement, &self.params, &self.options);
        self.kernel.count(start, number, &placement.resolved, &result);
        result?;
        self.ready = Some((warm, placement));
        Ok(())
    }
}

impl Drop for PreparedCall<'_> {
    fn drop(&mut self) {
        if let Some((warm, _)) = self.ready.take() {
            self.kernel.give_back(warm, Isolation::Reuse, &self.options);
        }
    }
}

fn gone() -> PackError {
    PackError::other("the call failed before and its instance is dropped: prepare a new one")
}
