//! The memory of one instance: everything that holds anybody's values, in one slot.
use crate::certificate::Wiped;
use crate::error::{LifeError, Result};
use mayfly_graph::{Plan, Session};
use mayfly_kernels::Buffer;
use mayfly_vault::{ALIGN, Protection, Slot, within};
use std::sync::Arc;

/// Parameters and a session in a slot. Between two lives it is all zeros and waits in its kit.
pub(crate) struct Body {
    params: Buffer<f32>,
    session: Session,
    slot: Slot,
}

impl Body {
    /// Bytes of a slot for a plan.
    pub(crate) fn slot_bytes(plan: &Arc<Plan>) -> usize {
        Session::blank(Arc::clone(plan)).bytes(ALIGN) + (plan.param_len() * size_of::<f32>()).next_multiple_of(ALIGN)
    }

    /// A body without values in a slot of [`Body::slot_bytes`].
    pub(crate) fn new(plan: &Arc<Plan>, slot: Slot) -> Result<Body> {
        let make = || (Buffer::zeroed(plan.param_len()), Session::blank(Arc::clone(plan)));
        let (params, session) =
            within(slot.memory(), make).map_err(|short| LifeError::Shortfall { bytes: short.bytes })?;
        Ok(Body { params, session, slot })
    }

    /// Puts values in.
    pub(crate) fn fill(&mut self, params: &[f32]) -> Result<()> {
        if params.len() != self.params.len() {
            return Err(LifeError::RowLength { want: self.params.len(), got: params.len() });
        }
        self.params.copy_from_slice(params);
        self.pack()
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(crate) fn param_bytes(&self) -> &[u8] {
        self.params.bytes()
    }

    /// For the seal: what it leaves is packed by [`Body::pack`].
    pub(crate) fn param_bytes_mut(&mut self) -> &mut [u8] {
        self.params.bytes_mut()
    }

    /// Packs the parameters as they are.
    pub(crate) fn pack(&mut self) -> Result<()> {
        Ok(self.session.set_params(&self.params)?)
    }

    pub(crate) fn protection(&self) -> Protection {
        self.slot.protection()
    }

    /// Overwrites every value.
    pub(crate) fn wipe(&mut self) -> Wiped {
        let parameters = self.params.wipe() as u64;
        let session = self.session.wipe();
        debug_assert!(self.params.is_wiped() && self.session.is_wiped(), "a body is wiped and holds values");
        Wiped { parameters, packed_weights: session.weights as u64, arena: session.arena as u64, ..Wiped::default() }
    }
}
