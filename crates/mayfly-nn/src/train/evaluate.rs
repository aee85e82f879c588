//! The loss of rows that are not trained on.
use super::read::Pass;
use super::trainer::weigh_classes;
use crate::data::{Dataset, Order};
use crate::error::{NnError, Result};
use crate::loss::Loss;
use crate::network::{Network, check_ids};
use crate::spec::{Mode, NetworkSpec};
use mayfly_graph::{Graph, Plan, PlanOptions, Session};
use mayfly_kernels::Buffer;

/// Rows that are run at a time.
const ROWS: usize = 256;
/// Sessions that are kept: one for whole chunks, others for the last rows of different data.
const SESSIONS: usize = 4;
/// The output of an evaluation graph that is the loss.
const LOSS: usize = 1;

/// Computes losses; a session for each number of rows that it met, so that nothing is ever filled up.
pub(super) struct Evaluator {
    graph: Graph,
    sessions: Vec<Session>,
    lens: [usize; 2],
    x: Buffer<f32>,
    t: Buffer<f32>,
}

impl Evaluator {
    pub(super) fn new(spec: &NetworkSpec, loss: &Loss) -> Result<Self> {
        let graph = spec.lower(Mode::Evaluation { loss })?.graph;
        let row_len =
            |i: usize| graph.inputs().get(i).and_then(|(_, id)| graph.shape(*id).ok()).map_or(1, |s| s.row_len());
        let lens = [row_len(0), row_len(1)];
        Ok(Evaluator { graph, sessions: Vec::new(), lens, x: Buffer::zeroed(0), t: Buffer::zeroed(0) })
    }

    /// The mean loss of all rows of `data`; with `classes`, each row's counts as much as its class.
    pub(super) fn mean_loss(
        &mut self,
        spec: &NetworkSpec,
        params: &[f32],
        classes: Option<&[f32]>,
        data: &mut dyn Dataset,
    ) -> Result<f64> {
        self.make_room(data.rows());
        self.sessions.iter_mut().try_for_each(|session| session.set_params(params))?;
        let mut pass = Pass::start(data, Order::AsIs)?;
        let (mut sum, mut total) = (0.0, 0);
        loop {
            let rows = pass.read(data, &mut self.x, &mut self.t)?;
            if rows == 0 {
                break;
            }
            check_ids(spec, &self.x[..rows * self.lens[0]])?;
            sum += self.sum_loss(rows, params, classes)?;
            total += rows;
        }
        if total == 0 { Err(NnError::NoRows { what: "validation" }) } else { Ok(sum / total as f64) }
    }

    /// Memory for as many rows as are run at a time.
    fn make_room(&mut self, rows: Option<usize>) {
        let rows = rows.unwrap_or(ROWS).clamp(1, ROWS);
        if self.x.len() < rows * self.lens[0] {
            (self.x, self.t) = (Buffer::zeroed(rows * self.lens[0]), Buffer::zeroed(rows * self.lens[1]));
        }
    }

    /// The loss summed over the first `rows` rows.
    fn sum_loss(&mut self, rows: usize, params: &[f32], classes: Option<&[f32]>) -> Result<f64> {
        let at = self.session(rows, params)?;
        let Some(session) = self.sessions.get_mut(at) else { return Ok(f64::NAN) };
        let (x, t) = (&self.x[..rows * self.lens[0]], &self.t[..rows * self.lens[1]]);
        session.input_mut(0).copy_from_slice(x);
        session.input_mut(1).copy_from_slice(t);
        let weights = session.input_mut(2);
        weights.fill(1.0);
        if let Some(classes) = classes {
            weigh_classes(weights, t, classes, 1.0);
        }
        session.run();
        Ok(session.output(LOSS).first().map_or(f64::NAN, |loss| f64::from(*loss)))
    }

    /// Where the session for this many rows is.
    fn session(&mut self, rows: usize, params: &[f32]) -> Result<usize> {
        if let Some(at) = self.sessions.iter().position(|s| s.plan().batch() == rows) {
            return Ok(at);
        }
        let session = Session::new(Plan::new(&self.graph, &PlanOptions::batch(rows))?, params)?;
        if self.sessions.len() >= SESSIONS {
            self.sessions.remove(1);
        }
        self.sessions.push(session);
        Ok(self.sessions.len() - 1)
    }
}

/// The mean loss of a network over all rows of `data`, with its layers as in use (nothing dropped, running statistics).
///
/// # Errors
/// Data that does not fit the network, or a loss that does not.
pub fn mean_loss(network: &Network, loss: &Loss, data: &mut dyn Dataset) -> Result<f64> {
    check_data(network, data)?;
    Evaluator::new(network.spec(), loss)?.mean_loss(network.spec(), network.params(), None, data)
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
