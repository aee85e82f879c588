//! The loss of rows that are not trained on.
use super::read::{Batch, Pass};
use super::trainer::weigh;
use crate::data::{Dataset, Order};
use crate::error::{NnError, Result};
use crate::loss::Loss;
use crate::network::{Network, check_ids};
use crate::spec::{Mode, NetworkSpec};
use mayfly_graph::{Graph, Plan, PlanOptions, Session};

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
    lens: Vec<usize>,
    batch: Batch,
}

impl Evaluator {
    pub(super) fn new(spec: &NetworkSpec, loss: &Loss) -> Result<Self> {
        let graph = spec.lower(Mode::Evaluation { loss })?.graph;
        Ok(Evaluator { lens: part_lens(&graph), graph, sessions: Vec::new(), batch: Batch::default() })
    }

    /// The mean loss of all rows of `data` under `params`; rows count by their weights, where they have some, and with `classes` by their class.
    pub(super) fn mean_loss(
        &mut self,
        network: &Network,
        params: &[f32],
        classes: Option<&[f32]>,
        data: &mut dyn Dataset,
    ) -> Result<f64> {
        self.sessions.iter_mut().try_for_each(|session| session.set_params(params))?;
        let mut pass = Pass::start(data, Order::AsIs, network)?;
        let rows = data.rows().unwrap_or(ROWS).clamp(1, ROWS);
        let mut batch = std::mem::take(&mut self.batch);
        batch.fit(&self.lens, rows, pass.is_weighted())?;
        let (mut sum, mut total, mut any) = (0.0, 0.0, false);
        loop {
            let rows = pass.read(data, &mut batch)?;
            if rows == 0 {
                break;
            }
            let (loss, weight) = batch.with(rows, |parts, own| {
                check_ids(network.spec(), parts.first().copied().unwrap_or_default())?;
                self.sum_loss(rows, (parts, own), params, classes)
            })?;
            (sum, total, any) = (sum + loss, total + weight, true);
        }
        self.batch = batch;
        match any {
            true if total > 0.0 => Ok(sum / total),
            true => Err(NnError::option("weights of the rows", "all 0", "some rows must count")),
            false => Err(NnError::NoRows { what: "validation" }),
        }
    }

    /// The loss summed over some rows, and what they count together.
    fn sum_loss(
        &mut self,
        rows: usize,
        (parts, own): (&[&[f32]], Option<&[f32]>),
        params: &[f32],
        classes: Option<&[f32]>,
    ) -> Result<(f64, f64)> {
        let at = self.session(rows, params)?;
        let Some(session) = self.sessions.get_mut(at) else { return Ok((f64::NAN, 0.0)) };
        for (i, values) in parts.iter().enumerate() {
            session.input_mut(i).copy_from_slice(values);
        }
        let weights = session.input_mut(parts.len());
        weigh(weights, parts.last().copied().unwrap_or_default(), classes, own, 1.0)?;
        let total = own.map_or(rows as f64, |own| own.iter().map(|w| f64::from(*w)).sum());
        session.run();
        Ok((session.output(LOSS).first().map_or(f64::NAN, |loss| f64::from(*loss)), total))
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

/// Values a row of each input of a graph with a loss, but for the row weights, which come last.
pub(super) fn part_lens(graph: &Graph) -> Vec<usize> {
    let inputs = graph.inputs();
    let parts = inputs.iter().take(inputs.len().saturating_sub(1));
    parts.map(|(_, id)| graph.shape(*id).map_or(1, |shape| shape.row_len())).collect()
}

/// The mean loss of a network over all rows of `data`, with its layers as in use (nothing dropped, running statistics); rows count by their weights.
///
/// # Errors
/// Data that does not fit the network, or a loss that does not.
pub fn mean_loss(network: &Network, loss: &Loss, data: &mut dyn Dataset) -> Result<f64> {
    Evaluator::new(network.spec(), loss)?.mean_loss(network, network.params(), None, data)
}
