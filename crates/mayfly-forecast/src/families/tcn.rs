//! TCN: causal convolutions with growing gaps, each step of the future a linear map of all steps of the past (Bai et al. 2018).
use super::block::{Activation, check_counts};
use super::cx::{ForecastCx, Look};
use super::decoder::Decoder;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// TCN's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcn {
    /// Steps that a convolution sees.
    pub kernel_size: usize,
    /// How far apart they are, layer by layer.
    pub dilations: Vec<usize>,
    /// Channels of each layer.
    pub encoder_hidden_size: usize,
    /// What follows a convolution.
    pub encoder_activation: Activation,
    /// Units of the decoder's hidden layers.
    pub decoder_hidden_size: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// What follows a hidden layer of the decoder.
    pub decoder_activation: Activation,
}

impl Default for Tcn {
    fn default() -> Self {
        Tcn {
            kernel_size: 2,
            dilations: vec![1, 2, 4, 8, 16],
            encoder_hidden_size: 128,
            encoder_activation: Activation::ReLU,
            decoder_hidden_size: 128,
            decoder_layers: 2,
            decoder_activation: Activation::ReLU,
        }
    }
}

impl Build for Tcn {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let columns = cx.past_columns()?;
        let mut x = cx.transposed(columns)?;
        for (i, dilation) in self.dilations.iter().enumerate() {
            let name = format!("hist_encoder.tcn.{i}.conv");
            x = cx.conv_along(&name, x, [self.encoder_hidden_size, self.kernel_size, *dilation], Look::Back)?;
            x = cx.act(x, self.encoder_activation.act())?;
        }
        let context = cx.dense("context_adapter", x, cx.h)?;
        let states = cx.transposed(context)?;
        let decoder = Decoder {
            hidden: self.decoder_hidden_size,
            layers: self.decoder_layers,
            activation: self.decoder_activation,
            dropout: 0.0,
        };
        decoder.build(cx, states)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("kernel_size", self.kernel_size),
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("decoder_hidden_size", self.decoder_hidden_size),
            ("decoder_layers", self.decoder_layers),
        ])?;
        match self.dilations.is_empty() || self.dilations.contains(&0) {
            true => {
                let want = "at least one number is needed, and none may be 0";
                Err(ForecastError::option("dilations", format!("{:?}", self.dilations), want))
            }
            false => Ok(()),
        }
    }
}
