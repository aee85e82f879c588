//! What is wanted.
use crate::error::{LifeError, Result};
use mayfly_nn::{Network, NnError, Precision};
use std::sync::Arc;

/// A description of what a network is to do. Nothing is built before [`Ephemeral::build`](crate::Ephemeral::build).
#[derive(Clone, Debug)]
pub struct Task {
    network: Arc<Network>,
    batch: usize,
    precision: Precision,
}

impl Task {
    /// To answer as this network does, a row a call.
    pub fn network(network: Network) -> Task {
        Task { network: Arc::new(network), batch: 1, precision: Precision::F32 }
    }

    /// So many rows a call.
    #[must_use]
    pub fn rows(self, batch: usize) -> Task {
        Task { batch, ..self }
    }

    /// With weights of this precision.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Task {
        Task { precision, ..self }
    }

    pub(crate) fn parts(&self) -> (&Network, usize, Precision) {
        (&self.network, self.batch, self.precision)
    }

    /// Hash of what is asked for, without any value of the network.
    pub(crate) fn hash(&self) -> Result<[u8; 32]> {
        let json = |source| NnError::Json { what: "the task", source };
        let spec = serde_json::to_vec(self.network.spec()).map_err(json)?;
        let mut hasher = blake3::Hasher::new_derive_key("mayfly task 1");
        hasher.update(format!("{} {:?};", self.batch, self.precision).as_bytes()).update(&spec);
        Ok(*hasher.finalize().as_bytes())
    }

    /// # Errors
    /// A network that a call of one row cannot fill.
    pub(crate) fn check(&self) -> Result<()> {
        match self.network.extra_inputs().first() {
            Some((name, _)) => Err(LifeError::FurtherInputs { name: name.clone() }),
            None => Ok(()),
        }
    }
}
