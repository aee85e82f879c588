//! BiTCN: convolutions that look back over the past and, over what is known, ahead from the future (Sprangers et al. 2023).
use super::block::{check_counts, check_dropout};
use super::cx::{ForecastCx, Look};
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Steps that a convolution sees.
const KERNEL: usize = 2;

/// BiTCN's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BiTcn {
    /// Channels.
    pub hidden_size: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
}

impl Default for BiTcn {
    fn default() -> Self {
        BiTcn { hidden_size: 16, dropout: 0.5 }
    }
}

impl BiTcn {
    /// Cells with gaps that double until all `times` steps are seen; each hands half of its channels on and adds half to the result: `[channels, time]`.
    fn net(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, look: Look) -> mayfly_nn::Result<NodeId> {
        let (units, times) = (self.hidden_size, cx.width(x)?);
        let cells = times.next_power_of_two().trailing_zeros() as usize;
        let (mut carried, mut sum) = (x, None);
        for i in 0..cells {
            let name = format!("{name}.{i}");
            let y = cx.conv_along(&format!("{name}.conv1"), carried, [units, KERNEL, 1 << i], look)?;
            let y = cx.act(y, Act::Gelu)?;
            let y = self.dropped(cx, y)?;
            let y = cx.conv_along(&format!("{name}.conv2"), y, [2 * units, 1, 1], look)?;
            let [on, out] = [cx.rows_of(y, 0, units)?, cx.rows_of(y, units, units)?];
            carried = cx.binary(Binary::Add, carried, on)?;
            sum = Some(match sum {
                Some(sum) => cx.binary(Binary::Add, sum, out)?,
                None => out,
            });
        }
        sum.ok_or_else(|| cx.refuse("an input of one value; BiTCN needs at least two (input_size)"))
    }

    /// A dense layer over the columns of each time, then time along the last dimension.
    fn channels(&self, cx: &mut ForecastCx<'_, '_>, name: &str, columns: NodeId) -> mayfly_nn::Result<NodeId> {
        let x = cx.dense(name, columns, self.hidden_size)?;
        let x = self.dropped(cx, x)?;
        cx.transposed(x)
    }

    fn dropped(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        if self.dropout > 0.0 { cx.dropout(x, self.dropout) } else { Ok(x) }
    }
}

impl Build for BiTcn {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (l, h, units) = (cx.input_size, cx.h, self.hidden_size);
        let futr = match cx.futr {
            Some(futr) => {
                let x = self.channels(cx, "lin_futr", futr.node)?;
                Some(self.net(cx, "net_fwd", x, Look::Ahead)?)
            }
            None => None,
        };
        let columns = cx.past_columns()?;
        let x = self.channels(cx, "lin_hist", columns)?;
        let mut x = self.net(cx, "net_bwd", x, Look::Back)?;
        if let Some(futr) = futr {
            let past = cx.part_of_rows(futr, 0, l)?;
            x = cx.joined(&[x, past], 1)?;
        }
        let x = cx.dense("temporal_lin1", x, units)?;
        let x = cx.act(x, Act::Gelu)?;
        let x = self.dropped(cx, x)?;
        let mut x = cx.dense("temporal_lin2", x, h)?;
        if let Some(futr) = futr {
            let ahead = cx.part_of_rows(futr, l, h)?;
            x = cx.joined(&[x, ahead], 1)?;
        }
        let steps = cx.transposed(x)?;
        let y = cx.dense("output_lin", steps, cx.outputs)?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[("hidden_size", self.hidden_size)])?;
        check_dropout("dropout", self.dropout)
    }
}
