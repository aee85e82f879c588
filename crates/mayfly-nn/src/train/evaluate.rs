//! The loss of rows that are not trained on.
use crate::data::{Dataset, Order};
use crate::error::{NnError, Result};
use crate::loss::Loss;
use crate::network::{Network, check_ids};
use crate::spec::{Mode, NetworkSpec};
use mayfly_graph::{Plan, PlanOptions, Session};
use mayfly_kernels::Buffer;

/// Rows that are run at a time.
const ROWS: usize = 256;
/// The output of an evaluation graph that is the loss.
const LOSS: usize = 1;

/// A session that computes losses, with memory for rows.
pub(super) struct Evaluator {
    session: Session,
    rows: usize,
    x: Buffer<f32>,
    t: Buffer<f32>,
}

impl Evaluator {
    /// For data of at most `rows` rows, as far as that is known.
    pub(super) fn new(spec: &NetworkSpec, loss: &Loss, params: &[f32], rows: Option<usize>) -> Result<Self> {
        let rows = rows.unwrap_or(ROWS).clamp(1, ROWS);
        let graph = spec.lower(Mode::Evaluation { loss })?.graph;
        let session = Session::new(Plan::new(&graph, &PlanOptions::batch(rows))?, params)?;
        let len = |i: usize| session.plan().inputs().nth(i).map_or(0, |(_, dims)| dims.len());
        let (x, t) = (Buffer::zeroed(len(0)), Buffer::zeroed(len(1)));
        Ok(Evaluator { session, rows, x, t })
    }

    /// The mean loss of all rows of `data`.
    pub(super) fn mean_loss(&mut self, spec: &NetworkSpec, params: &[f32], data: &mut dyn Dataset) -> Result<f64> {
        self.session.set_params(params)?;
        data.start(Order::AsIs)?;
        let (mut sum, mut total) = (0.0, 0);
        loop {
            let rows = data.next(&mut self.x, &mut self.t)?;
            if rows == 0 {
                break;
            }
            check_ids(spec, &self.x)?;
            sum += self.sum_loss(rows);
            total += rows;
        }
        if total == 0 { Err(NnError::NoRows { what: "validation" }) } else { Ok(sum / total as f64) }
    }

    /// The loss summed over the first `rows` rows; those behind hold earlier values and weigh nothing.
    fn sum_loss(&mut self, rows: usize) -> f64 {
        self.session.input_mut(0).copy_from_slice(&self.x);
        self.session.input_mut(1).copy_from_slice(&self.t);
        let weights = self.session.input_mut(2);
        weights.fill(0.0);
        weights.iter_mut().take(rows.min(self.rows)).for_each(|w| *w = 1.0);
        self.session.run();
        self.session.output(LOSS).first().map_or(f64::NAN, |loss| f64::from(*loss))
    }
}

/// The mean loss of a network over all rows of `data`, with its layers as in use (nothing dropped, running statistics).
///
/// # Errors
/// Data that does not fit the network, or a loss that does not.
pub fn mean_loss(network: &Network, loss: &Loss, data: &mut dyn Dataset) -> Result<f64> {
    check_data(network, data)?;
    let mut evaluator = Evaluator::new(network.spec(), loss, network.params(), data.rows())?;
    evaluator.mean_loss(network.spec(), network.params(), data)
}

/// Refuses data whose rows do not fit the network.
pub(super) fn check_data(network: &Network, data: &dyn Dataset) -> Result<()> {
    for (what, want, got) in
        [("inputs", network.input_len(), data.input_len()), ("targets", network.output_len(), data.target_len())]
    {
        if want != got {
            return Err(NnError::DataShape { what, want, got });
        }
    }
    Ok(())
}
