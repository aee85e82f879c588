//! Normalisations.
use super::{Layer, LayerCx};
use crate::error::Result;
use crate::init::Init;
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};

/// Over the last dimension to mean 0 and variance 1 (Ba et al. 2016). Parameters `weight [n]`, `bias [n]`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f32,
}

/// Over the last dimension to root mean square 1 (Zhang & Sennrich 2019). Parameter `weight [n]`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub eps: f32,
}

/// Each channel (the first dimension behind the batch) over the batch (Ioffe & Szegedy 2015). Parameters `weight [c]`, `bias [c]`,
/// and `running [2, c]`: mean and biased variance, which trained networks run with.
///
/// In training the statistics are those of a shard of the batch, the same shards at any number of threads.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
    /// How far the running statistics move towards a batch's, 0 to 1.
    pub momentum: f32,
}

impl Default for LayerNorm {
    fn default() -> Self {
        LayerNorm { eps: 1e-5 }
    }
}

impl Default for RmsNorm {
    fn default() -> Self {
        RmsNorm { eps: 1e-5 }
    }
}

impl Default for BatchNorm {
    fn default() -> Self {
        BatchNorm { eps: 1e-5, momentum: 0.1 }
    }
}

impl LayerCx<'_> {
    fn check_eps(&self, eps: f32) -> Result<()> {
        if eps > 0.0 && eps.is_finite() {
            Ok(())
        } else {
            Err(self.refuse(format!("eps of {eps}; it must be positive")))
        }
    }

    fn last_dim(&self, x: NodeId) -> Result<usize> {
        Ok(self.dims(x)?.last().copied().unwrap_or(1))
    }

    /// A layer norm whose parameters are `<name>weight` and `<name>bias`.
    pub(super) fn layer_norm(&mut self, name: &str, x: NodeId, eps: f32) -> Result<NodeId> {
        self.check_eps(eps)?;
        let n = self.last_dim(x)?;
        let gamma = self.param(&format!("{name}weight"), &[n], Init::Constant(1.0))?;
        let beta = self.param(&format!("{name}bias"), &[n], Init::Zeros)?;
        Ok(self.graph().layer_norm(x, gamma, beta, eps)?)
    }
}

impl Layer for LayerNorm {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        cx.layer_norm("", x, self.eps)
    }

    fn refines(&self) -> bool {
        true
    }
}

impl Layer for RmsNorm {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        cx.check_eps(self.eps)?;
        let n = cx.last_dim(x)?;
        let gamma = cx.param("weight", &[n], Init::Constant(1.0))?;
        Ok(cx.graph().rms_norm(x, gamma, self.eps)?)
    }

    fn refines(&self) -> bool {
        true
    }
}

impl Layer for BatchNorm {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        cx.check_eps(self.eps)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(cx.refuse(format!("a momentum of {}; it must be between 0 and 1", self.momentum)));
        }
        let dims = cx.dims(x)?;
        let Some(&c) = dims.first() else { return Err(cx.refuse("rows without a channel dimension")) };
        let gamma = cx.param("weight", &[c], Init::Constant(1.0))?;
        let beta = cx.param("bias", &[c], Init::Zeros)?;
        let running = cx.running("running", &[2, c], Init::Blocks(vec![0.0, 1.0]), self.momentum)?;
        let training = cx.is_training();
        let g = cx.graph();
        Ok(if training {
            g.batch_norm_training(x, gamma, beta, running, self.eps)?
        } else {
            g.batch_norm(x, gamma, beta, running, self.eps)?
        })
    }

    fn refines(&self) -> bool {
        true
    }
}
