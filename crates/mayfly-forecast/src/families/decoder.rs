//! Dense layers from the state of each step of the future to its outputs.
use super::block::Activation;
use super::cx::ForecastCx;
use mayfly_graph::NodeId;

/// The decoder of recurrent and convolutional encoders.
pub(super) struct Decoder {
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) activation: Activation,
    /// Share of values dropped in training behind a hidden layer.
    pub(super) dropout: f32,
}

impl Decoder {
    /// `[h, units] → [h · outputs]`; what is known of each step stands beside its state. Numbers are those of torch's `Sequential`, where activations and dropout count.
    pub(super) fn build(&self, cx: &mut ForecastCx<'_, '_>, states: NodeId) -> mayfly_nn::Result<NodeId> {
        let mut y = states;
        if let Some(futr) = cx.futr {
            let ahead = cx.rows_of(futr.node, cx.input_size, cx.h)?;
            y = cx.joined(&[y, ahead], 2)?;
        }
        for i in 0..self.layers.saturating_sub(1) {
            y = cx.dense(&format!("mlp_decoder.layers.{}", 3 * i), y, self.hidden)?;
            y = cx.act(y, self.activation.act())?;
            y = cx.dropped(y, self.dropout)?;
        }
        let y = cx.dense(&format!("mlp_decoder.layers.{}", 3 * self.layers.saturating_sub(1)), y, cx.outputs)?;
        cx.as_row(y)
    }
}
