//! What recurrent layers hand on when a forecast is made step by step: the input and the output of a network that continues another.
use super::cx::ForecastCx;
use mayfly_graph::NodeId;
use mayfly_nn::Result;

impl ForecastCx<'_, '_> {
    /// The state of the next layer, `[batch, n]`; zeros where the network does not continue another.
    pub(super) fn state(&mut self, n: usize) -> Result<NodeId> {
        let Some(from) = self.states.from else {
            let zeros = self.constant(&vec![0.0; n])?;
            let row = self.reshape(self.x, &[self.input_size])?;
            return self.in_rows_of(zeros, row);
        };
        let start = self.states.taken;
        self.states.taken += n;
        self.part(from, start, n)
    }

    /// A row of zeros for every row of the batch: `[batch, 1, count]`.
    pub(super) fn unknown_rows(&mut self, count: usize) -> Result<NodeId> {
        let zeros = self.table(&vec![0.0; count], &[1, count])?;
        self.in_every_row(zeros, &[1, count])
    }

    /// Whether layers begin with states of before, or must put theirs out.
    pub(super) fn is_stepwise(&self) -> bool {
        self.states.from.is_some() || self.states.are_kept
    }

    /// Puts a layer's state out, if states are.
    pub(super) fn keep(&mut self, state: NodeId) {
        if self.states.are_kept {
            self.states.kept.push(state);
        }
    }

    /// The past with what is known a step later, as recurrent forecasts read it: `[batch, input_size, y | parts]`. Columns known to the cutoff are 0 behind it.
    pub(super) fn steps_with(&mut self, parts: &[Ahead]) -> Result<NodeId> {
        let times = self.input_size;
        let mut all = vec![self.reshape(self.x, &[times, 1])?];
        for part in parts {
            match part {
                Ahead::Hist => {
                    let Some(hist) = self.hist else { continue };
                    let padded = match self.states.unknown_hist {
                        None => self.padded_behind(hist.node, 1)?,
                        Some(unknown) => self.joined(&[hist.node, unknown], 1)?,
                    };
                    all.push(self.rows_of(padded, 1, times)?);
                }
                Ahead::Stat => all.extend(self.stat_at_all_times()?),
                Ahead::Futr => {
                    if let Some(futr) = self.futr {
                        all.push(self.rows_of(futr.node, 1, times)?);
                    }
                }
            }
        }
        self.joined(&all, 2)
    }
}

/// Kinds of columns, in the order in which a family reads them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ahead {
    Hist,
    Stat,
    Futr,
}
