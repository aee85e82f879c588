//! Losses as training settings name them.
use crate::error::{NnError, Result};
use crate::registry::Registry;
use mayfly_graph::CustomOp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What training makes small. Each is the mean over a row's outputs but where it says otherwise; a batch's loss is the mean over its rows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// Squared error.
    #[default]
    Mse,
    /// Absolute error.
    Mae,
    /// Half the squared error up to `delta`, linear beyond (Huber 1964).
    Huber {
        /// Where the square turns into a line.
        delta: f32,
    },
    /// Cross-entropy of classes against a softmax: the sum over a row's classes. The network ends in [`Activation::Softmax`](crate::Activation::Softmax) or in plain sums (logits);
    /// either way the loss is computed from the sums, which stays exact where probabilities vanish. Sequences of classes take the mean over positions.
    CrossEntropy {
        /// Share of every target that is spread over all classes (Szegedy et al. 2016), 0 to 1.
        #[serde(default)]
        smoothing: f32,
    },
    /// Cross-entropy of independent yes/no outputs (0 or 1). The network ends in a sigmoid or in plain sums.
    BinaryCrossEntropy,
    /// `max(0, 1 − t·p)` for targets −1 and 1.
    Hinge,
    /// Pinball loss (Koenker & Bassett 1978): output j learns the quantile `taus[j]`.
    Quantile {
        /// One per output, or fewer, which are then repeated; each in 0..1.
        taus: Vec<f32>,
    },
    /// FANN's error, summed over rows and outputs: half the square of the difference, the difference halved for symmetric output functions.
    Fann {
        /// What is done to the error before it is propagated.
        error: FannError,
    },
    /// One of the user's own: `(prediction [batch, ..], target, further inputs of the network) → [batch]`.
    Custom(CustomLoss),
}

/// FANN's error functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FannError {
    /// The difference as it is.
    Linear,
    /// `ln((1 + d) / (1 − d))`: large differences count more. FANN's default.
    #[default]
    Tanh,
}

/// A loss of the user's own: an operation from prediction and target to one number a row.
///
/// ```
/// use mayfly_nn::{CustomLoss, CustomOp, Dims, Loss, Shape, TrainConfig};
///
/// /// The mean over a row of `ln cosh(p − t)`.
/// #[derive(Debug)]
/// struct LogCosh;
///
/// impl CustomOp for LogCosh {
///     fn name(&self) -> &'static str {
///         "log_cosh"
///     }
///     fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
///         match inputs {
///             [p, t] if p == t => Shape::batched(&[]).map_err(|e| e.to_string()),
///             _ => Err("prediction and target of one shape are needed".to_owned()),
///         }
///     }
///     fn forward(&self, rows: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
///         let n = inputs[0].len() / rows.len();
///         for (row, (p, t)) in rows.iter_mut().zip(inputs[0].chunks_exact(n).zip(inputs[1].chunks_exact(n))) {
///             *row = p.iter().zip(t).map(|(p, t)| (p - t).cosh().ln()).sum::<f32>() / n as f32;
///         }
///     }
///     fn backward(&self, which: usize, d: &mut [f32], drows: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
///         let (n, sign) = (d.len() / drows.len(), if which == 0 { 1.0 } else { -1.0 });
///         for (i, d) in d.iter_mut().enumerate() {
///             *d = sign * drows[i / n] * (inputs[0][i] - inputs[1][i]).tanh() / n as f32;
///         }
///     }
/// }
///
/// let config = TrainConfig { loss: Loss::Custom(CustomLoss::new(LogCosh)), ..TrainConfig::default() };
/// # use mayfly_nn::{Act, InMemory, Network, NetworkSpec, Trainer};
/// # let mut data = InMemory::from_rows([([0.0], [0.5]), ([1.0], [-0.5])])?;
/// # let network = Network::new(NetworkSpec::dense(1, &[4], Act::Tanh.into(), 1, Act::Identity.into()), 1)?;
/// # let report = Trainer::new(network, config)?.fit(&mut data, None, &mut ())?;
/// # assert!(report.epochs[99].train_loss < 0.5 * report.epochs[0].train_loss);
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "WrittenLoss", into = "WrittenLoss")]
pub struct CustomLoss {
    name: String,
    /// Further inputs of the network that it reads behind prediction and target.
    inputs: Vec<String>,
    op: Option<Arc<dyn CustomOp>>,
}

/// As checkpoints record it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenLoss {
    Name(String),
    Reading { name: String, inputs: Vec<String> },
}

impl From<WrittenLoss> for CustomLoss {
    fn from(written: WrittenLoss) -> Self {
        let (name, inputs) = match written {
            WrittenLoss::Name(name) => (name, Vec::new()),
            WrittenLoss::Reading { name, inputs } => (name, inputs),
        };
        CustomLoss { name, inputs, op: None }
    }
}

impl From<CustomLoss> for WrittenLoss {
    fn from(CustomLoss { name, inputs, .. }: CustomLoss) -> Self {
        if inputs.is_empty() { WrittenLoss::Name(name) } else { WrittenLoss::Reading { name, inputs } }
    }
}

impl CustomLoss {
    /// Wraps the operation; its name is what checkpoints record.
    pub fn new(op: impl CustomOp + 'static) -> Self {
        CustomLoss { name: op.name().to_owned(), inputs: Vec::new(), op: Some(Arc::new(op)) }
    }

    /// The same loss, whose operation also reads these further inputs of the network: a mask of what counts, for instance.
    #[must_use]
    pub fn reading<N: Into<String>>(mut self, inputs: impl IntoIterator<Item = N>) -> Self {
        self.inputs = inputs.into_iter().map(Into::into).collect();
        self
    }

    /// The further inputs of the network that it reads.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// The operation.
    ///
    /// # Errors
    /// It was read from a file and not bound to a [`Registry`] yet.
    pub fn op(&self) -> Result<Arc<dyn CustomOp>> {
        self.op.clone().ok_or_else(|| NnError::Unregistered { kind: "loss", name: self.name.clone() })
    }
}

/// Two are equal when they have the same name and read the same.
impl PartialEq for CustomLoss {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.inputs == other.inputs
    }
}

impl Loss {
    /// The names on the command line.
    pub const NAMES: [&str; 10] = [
        "mse",
        "mae",
        "huber",
        "cross_entropy",
        "binary_cross_entropy",
        "hinge",
        "quantile",
        "fann",
        "fann_linear",
        "fann_tanh",
    ];

    /// The loss of this name with default parameters; `fann` is FANN's default, the tanh error.
    ///
    /// # Errors
    /// A name that is not among [`Loss::NAMES`].
    pub fn by_name(name: &str) -> Result<Loss> {
        match name {
            "mse" => Ok(Loss::Mse),
            "mae" => Ok(Loss::Mae),
            "huber" => Ok(Loss::Huber { delta: 1.0 }),
            "cross_entropy" => Ok(Loss::CrossEntropy { smoothing: 0.0 }),
            "binary_cross_entropy" => Ok(Loss::BinaryCrossEntropy),
            "hinge" => Ok(Loss::Hinge),
            "quantile" => Ok(Loss::Quantile { taus: vec![0.5] }),
            "fann" | "fann_tanh" => Ok(Loss::Fann { error: FannError::Tanh }),
            "fann_linear" => Ok(Loss::Fann { error: FannError::Linear }),
            _ => Err(NnError::UnknownName {
                kind: "loss",
                name: name.to_owned(),
                known: Loss::NAMES.map(str::to_owned).to_vec(),
            }),
        }
    }

    /// Binds a loss of the user's own that was read from a file.
    ///
    /// # Errors
    /// The registry does not have it.
    pub fn bind(&mut self, registry: &Registry) -> Result<()> {
        if let Loss::Custom(custom) = self
            && custom.op.is_none()
        {
            custom.op = Some(registry.loss(&custom.name)?);
        }
        Ok(())
    }

    /// Refuses parameters out of range.
    pub(crate) fn check(&self) -> Result<()> {
        let refused = |got: String, want: &str| Err(NnError::option("loss", got, want));
        match self {
            Loss::Huber { delta } if !(*delta > 0.0 && delta.is_finite()) => {
                refused(format!("huber with delta {delta}"), "delta must be positive")
            }
            Loss::CrossEntropy { smoothing } if !(0.0..1.0).contains(smoothing) => {
                refused(format!("cross_entropy with smoothing {smoothing}"), "smoothing must be at least 0 and below 1")
            }
            Loss::Quantile { taus } if taus.is_empty() || !taus.iter().all(|t| *t > 0.0 && *t < 1.0) => {
                refused(format!("quantile with taus {taus:?}"), "each must be between 0 and 1")
            }
            _ => Ok(()),
        }
    }

    /// Whether a batch's loss is the sum over its rows, as FANN counts, and not their mean.
    pub(crate) fn sums_rows(&self) -> bool {
        matches!(self, Loss::Fann { .. })
    }
}
