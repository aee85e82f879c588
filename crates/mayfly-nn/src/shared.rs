//! A network ready for inference, shared by sessions.
use crate::error::Result;
use crate::network::{Network, PREDICT_ROWS};
use crate::spec::Mode;
use mayfly_graph::{Graph, Plan, PlanOptions, Precision, Session, Weights};
use std::fmt;
use std::sync::Arc;

/// A network's parameters as they were, packed once in one precision: sessions of any batch size on any number of threads share them.
/// Clones share them too. The memory is overwritten with zeros when the last of all of them is dropped.
///
/// ```
/// use mayfly_nn::{Act, Activation, Network, NetworkSpec, Precision};
/// let network = Network::new(NetworkSpec::dense(2, &[8], Act::Tanh.into(), 1, Activation::IDENTITY), 1)?;
/// let shared = network.shared(Precision::F32)?;
/// let (mut one, mut many) = (shared.session(1)?, shared.session(16)?);
/// assert_eq!(one.infer(&[0.5, -0.5])?.len(), 1);
/// assert_eq!(many.infer(&[0.5; 32])?.len(), 16);
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone)]
pub struct SharedNetwork {
    graph: Arc<Graph>,
    precision: Precision,
    weights: Arc<Weights>,
}

impl Network {
    /// The parameters as they are now, packed for any number of sessions.
    ///
    /// # Errors
    /// Layers whose sizes exceed what a plan may have.
    pub fn shared(&self, precision: Precision) -> Result<SharedNetwork> {
        let graph = self.spec().lower(Mode::Inference)?.graph;
        let plan = Plan::new(&graph, &PlanOptions { precision, ..PlanOptions::batch(1) })?;
        let weights = Weights::new(&plan, self.params())?;
        Ok(SharedNetwork { graph: Arc::new(graph), precision, weights })
    }

    /// As [`Network::predict`], for networks with further inputs: each by its name, as many rows as `x` has.
    ///
    /// # Errors
    /// An input that is missing, that the network does not have, or that has another number of rows.
    pub fn predict_named(&self, x: &[f32], extras: &[(&str, &[f32])]) -> Result<Vec<f32>> {
        self.named_by(&self.shared(Precision::F32)?, &mut None, x, extras)
    }

    /// The same by weights that are packed already. The session, where it runs as many rows at a time, is used again; the last one is left there.
    pub(crate) fn named_by(
        &self,
        shared: &SharedNetwork,
        session: &mut Option<Session>,
        x: &[f32],
        extras: &[(&str, &[f32])],
    ) -> Result<Vec<f32>> {
        let rows = self.check_rows(x)?;
        let parts = self.in_order(rows, extras)?;
        let mut y = Vec::with_capacity(rows * self.output_len());
        let mut start = 0;
        while start < rows {
            let batch = (rows - start).min(PREDICT_ROWS);
            let session = match session.take().filter(|s| s.plan().batch() == batch) {
                Some(made) => session.insert(made),
                None => session.insert(shared.session(batch)?),
            };
            for (i, (values, (_, len))) in parts.iter().zip(self.extra_inputs()).enumerate() {
                session.input_mut(i + 1).copy_from_slice(&values[start * len..(start + batch) * len]);
            }
            y.extend_from_slice(session.infer(&x[start * self.input_len()..(start + batch) * self.input_len()])?);
            start += batch;
        }
        Ok(y)
    }
}

impl SharedNetwork {
    /// A session that runs `batch` rows at a time. It allocates nothing when it runs.
    ///
    /// # Errors
    /// A batch of no rows, or one that needs too much memory.
    pub fn session(&self, batch: usize) -> Result<Session> {
        let plan = Plan::new(&self.graph, &PlanOptions { precision: self.precision, ..PlanOptions::batch(batch) })?;
        Ok(Session::with_weights(plan, self.weights.clone())?)
    }

    /// Bytes that the weights occupy, however many sessions there are.
    pub fn weight_bytes(&self) -> usize {
        self.weights.bytes()
    }
}

impl fmt::Debug for SharedNetwork {
    /// Sizes only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedNetwork, {:?}, {:?}", self.precision, self.weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Act, NetworkSpec};

    /// Threads and batch sizes give what a session of its own gives, whatever becomes of the network.
    #[test]
    fn sessions_answer_as_the_network_did() {
        let spec = NetworkSpec::dense(12, &[700], Act::Tanh.into(), 3, Act::Sigmoid.into());
        let mut network = Network::new(spec, 3).unwrap();
        let x: Vec<f32> = (0..12 * 32).map(|i| (i as f32 * 0.7).sin()).collect();
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let shared = network.shared(precision).unwrap();
            let want: Vec<Vec<f32>> = [1, 4, 32]
                .map(|rows| network.session(rows, precision).unwrap().infer(&x[..12 * rows]).unwrap().to_vec())
                .to_vec();
            let before = network.params().to_vec();
            network.params_mut().fill(0.0);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for (rows, want) in [1, 4, 32].into_iter().zip(&want) {
                            assert_eq!(shared.session(rows).unwrap().infer(&x[..12 * rows]).unwrap(), want);
                        }
                    });
                }
            });
            network.params_mut().copy_from_slice(&before);
            assert!(shared.weight_bytes() < 4 * 2 * network.params().len(), "{shared:?}");
        }
    }
}
