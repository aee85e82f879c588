//! The elementwise functions that a layer can end in, and what their derivatives need.

use core::fmt;

/// What [`act_bwd`](crate::act_bwd) reads besides the incoming gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saves {
    /// Nothing: the derivative is a constant. The `saved` slice may be empty.
    Nothing,
    /// The function's input `x`.
    Input,
    /// The function's output `y`.
    Output,
}

/// An elementwise function with its parameters.
///
/// The formulas are PyTorch's where PyTorch has the function (`hard_swish`, `mish`, `selu`, both forms of GELU, ...),
/// and those of the FANN 2.2.0 C library for [`Act::Fann`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Act {
    /// `x`
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `x` where `x > 0`, else `slope * x`
    LeakyRelu {
        /// Factor for negative inputs; PyTorch's default is 0.01.
        slope: f32,
    },
    /// `x` where `x > 0`, else `alpha * (exp(x) - 1)` (Clevert et al., 2016)
    Elu {
        /// The negative limit is `-alpha`.
        alpha: f32,
    },
    /// `λ x` where `x > 0`, else `λ α (exp(x) - 1)`, with the constants of Klambauer et al., 2017
    Selu,
    /// `x Φ(x)`, with the error function (Hendrycks and Gimpel, 2016)
    Gelu,
    /// `x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`
    GeluTanh,
    /// `x sigmoid(x)`, also called swish
    Silu,
    /// `x tanh(softplus(x))` (Misra, 2019)
    Mish,
    /// `log(1 + exp(x))`
    Softplus,
    /// `x clamp(x + 3, 0, 6) / 6`
    HardSwish,
    /// `clamp(x + 3, 0, 6) / 6`
    HardSigmoid,
    /// `tanh(x)`
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `exp(x)`
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `|x|`; the derivative at 0 is 0.
    Abs,
    /// `-x`
    Neg,
    /// `x²`
    Square,
    /// `1 / x`
    Reciprocal,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Error function.
    Erf,
    /// `x` cut towards zero to a whole number; the derivative is 0.
    Trunc,
    /// `mul * x + add`
    Affine {
        /// Factor.
        mul: f32,
        /// Summand.
        add: f32,
    },
    /// `x` held within `lo..=hi`; the derivative is 1 on the closed interval. NaN stays NaN.
    Clamp {
        /// Lower bound.
        lo: f32,
        /// Upper bound.
        hi: f32,
    },
    /// FANN's activation with its steepness; the input is the plain weighted sum.
    Fann(FannAct, f32),
}

/// λ of SELU.
pub const SELU_LAMBDA: f32 = 1.050_701;
/// α of SELU.
pub const SELU_ALPHA: f32 = 1.673_263_2;
/// The steepness FANN gives a new network.
pub const FANN_STEEPNESS: f32 = 0.5;

/// FANN's activation functions with the numbers of its `fann_activationfunc_enum`.
///
/// With `s` the weighted sum times the steepness, held within `±150 / steepness` as `fann_run` does, the value is
/// the formula at each variant. The derivative is that of `fann_activation_derived`, quirks included: outputs of the sigmoids
/// are clipped to `0.01..=0.99` or `±0.98` first, the piecewise linear ones keep their slope when saturated, and the
/// gaussians, sines and cosines multiply by the steepness once more than calculus would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum FannAct {
    /// `s`
    Linear = 0,
    /// `0` below 0, else `1`; derivative 0 (FANN refuses to train it)
    Threshold = 1,
    /// `-1` below 0, else `1`; derivative 0
    ThresholdSymmetric = 2,
    /// `1 / (1 + exp(-2 s))`
    Sigmoid = 3,
    /// Six-point linear interpolation of the sigmoid.
    SigmoidStepwise = 4,
    /// `2 / (1 + exp(-2 s)) - 1`, that is `tanh(s)`
    SigmoidSymmetric = 5,
    /// Six-point linear interpolation of the symmetric sigmoid.
    SigmoidSymmetricStepwise = 6,
    /// `exp(-s²)`
    Gaussian = 7,
    /// `2 exp(-s²) - 1`
    GaussianSymmetric = 8,
    /// Declared and never implemented in FANN: the value and the derivative are 0.
    GaussianStepwise = 9,
    /// `s / 2 / (1 + |s|) + 1/2`
    Elliot = 10,
    /// `s / (1 + |s|)`
    ElliotSymmetric = 11,
    /// `s` held within `0..=1`
    LinearPiece = 12,
    /// `s` held within `-1..=1`
    LinearPieceSymmetric = 13,
    /// `sin(s)`
    SinSymmetric = 14,
    /// `cos(s)`
    CosSymmetric = 15,
    /// `sin(s) / 2 + 1/2`
    Sin = 16,
    /// `cos(s) / 2 + 1/2`
    Cos = 17,
    /// `max(s, 0)`; in FANN's sources after 2.2.0
    LinearPieceRect = 18,
    /// `s` from 0 on, else `s / 100`; in FANN's sources after 2.2.0
    LinearPieceRectLeaky = 19,
}

/// How wide FANN takes an activation's range to be: it halves the error of symmetric outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FannSpan {
    /// Outputs of width one, or unbounded: the error counts as it is.
    Unit,
    /// Outputs in `-1..=1`: the error is halved.
    Symmetric,
}

impl FannAct {
    /// Every variant, at the index of its FANN number.
    pub const ALL: [Self; 20] = [
        Self::Linear,
        Self::Threshold,
        Self::ThresholdSymmetric,
        Self::Sigmoid,
        Self::SigmoidStepwise,
        Self::SigmoidSymmetric,
        Self::SigmoidSymmetricStepwise,
        Self::Gaussian,
        Self::GaussianSymmetric,
        Self::GaussianStepwise,
        Self::Elliot,
        Self::ElliotSymmetric,
        Self::LinearPiece,
        Self::LinearPieceSymmetric,
        Self::SinSymmetric,
        Self::CosSymmetric,
        Self::Sin,
        Self::Cos,
        Self::LinearPieceRect,
        Self::LinearPieceRectLeaky,
    ];

    /// FANN's number, as its `.net` files carry it.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The function with FANN's number `number`.
    pub fn by_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// FANN's name, `FANN_SIGMOID_SYMMETRIC` and so on.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "FANN_LINEAR",
            Self::Threshold => "FANN_THRESHOLD",
            Self::ThresholdSymmetric => "FANN_THRESHOLD_SYMMETRIC",
            Self::Sigmoid => "FANN_SIGMOID",
            Self::SigmoidStepwise => "FANN_SIGMOID_STEPWISE",
            Self::SigmoidSymmetric => "FANN_SIGMOID_SYMMETRIC",
            Self::SigmoidSymmetricStepwise => "FANN_SIGMOID_SYMMETRIC_STEPWISE",
            Self::Gaussian => "FANN_GAUSSIAN",
            Self::GaussianSymmetric => "FANN_GAUSSIAN_SYMMETRIC",
            Self::GaussianStepwise => "FANN_GAUSSIAN_STEPWISE",
            Self::Elliot => "FANN_ELLIOT",
            Self::ElliotSymmetric => "FANN_ELLIOT_SYMMETRIC",
            Self::LinearPiece => "FANN_LINEAR_PIECE",
            Self::LinearPieceSymmetric => "FANN_LINEAR_PIECE_SYMMETRIC",
            Self::SinSymmetric => "FANN_SIN_SYMMETRIC",
            Self::CosSymmetric => "FANN_COS_SYMMETRIC",
            Self::Sin => "FANN_SIN",
            Self::Cos => "FANN_COS",
            Self::LinearPieceRect => "FANN_LINEAR_PIECE_RECT",
            Self::LinearPieceRectLeaky => "FANN_LINEAR_PIECE_RECT_LEAKY",
        }
    }

    /// The function of FANN's name `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }

    /// Whether FANN halves the error of an output neuron with this function.
    pub const fn span(self) -> FannSpan {
        match self {
            Self::ThresholdSymmetric
            | Self::SigmoidSymmetric
            | Self::SigmoidSymmetricStepwise
            | Self::GaussianSymmetric
            | Self::ElliotSymmetric
            | Self::LinearPieceSymmetric
            | Self::SinSymmetric
            | Self::CosSymmetric => FannSpan::Symmetric,
            _ => FannSpan::Unit,
        }
    }

    /// What the derivative needs.
    pub const fn saves(self) -> Saves {
        match self {
            Self::Linear
            | Self::Threshold
            | Self::ThresholdSymmetric
            | Self::GaussianStepwise
            | Self::LinearPiece
            | Self::LinearPieceSymmetric => Saves::Nothing,
            Self::Sigmoid
            | Self::SigmoidStepwise
            | Self::SigmoidSymmetric
            | Self::SigmoidSymmetricStepwise
            | Self::LinearPieceRect
            | Self::LinearPieceRectLeaky => Saves::Output,
            _ => Saves::Input,
        }
    }
}

/// A name or parameter list that describes no [`Act`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActError {
    /// No function has this name.
    UnknownName,
    /// The function takes another number of parameters.
    ParamCount {
        /// The function's name.
        name: &'static str,
        /// Parameters that it takes.
        want: usize,
        /// Parameters that were given.
        got: usize,
    },
}

impl fmt::Display for ActError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName => f.write_str("no activation has this name; Act::all lists them"),
            Self::ParamCount { name, want, got } => {
                write!(f, "activation {name} takes {want} parameters, {got} were given")
            }
        }
    }
}

impl core::error::Error for ActError {}

/// The parameters of one [`Act`], in the order of its definition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActParams {
    values: [f32; 2],
    len: usize,
}

impl core::ops::Deref for ActParams {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.values.get(..self.len).unwrap_or(&[])
    }
}

/// Every function but FANN's, with default parameters.
const PLAIN: [Act; 27] = [
    Act::Identity,
    Act::Relu,
    Act::LeakyRelu { slope: 0.01 },
    Act::Elu { alpha: 1.0 },
    Act::Selu,
    Act::Gelu,
    Act::GeluTanh,
    Act::Silu,
    Act::Mish,
    Act::Softplus,
    Act::HardSwish,
    Act::HardSigmoid,
    Act::Tanh,
    Act::Sigmoid,
    Act::Exp,
    Act::Log,
    Act::Sqrt,
    Act::Abs,
    Act::Neg,
    Act::Square,
    Act::Reciprocal,
    Act::Sin,
    Act::Cos,
    Act::Erf,
    Act::Trunc,
    Act::Affine { mul: 1.0, add: 0.0 },
    Act::Clamp { lo: -1.0, hi: 1.0 },
];

impl Act {
    /// Every function with default parameters; FANN's come last, with [`FANN_STEEPNESS`].
    pub fn all() -> impl Iterator<Item = Self> {
        let fann = FannAct::ALL.into_iter().map(|act| Self::Fann(act, FANN_STEEPNESS));
        PLAIN.into_iter().chain(fann)
    }

    /// The name in files and on the command line: snake case, and FANN's own names for its functions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Softplus => "softplus",
            Self::HardSwish => "hard_swish",
            Self::HardSigmoid => "hard_sigmoid",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Sqrt => "sqrt",
            Self::Abs => "abs",
            Self::Neg => "neg",
            Self::Square => "square",
            Self::Reciprocal => "reciprocal",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Erf => "erf",
            Self::Trunc => "trunc",
            Self::Affine { .. } => "affine",
            Self::Clamp { .. } => "clamp",
            Self::Fann(act, _) => act.name(),
        }
    }

    /// The function of this name with default parameters; [`Act::with_params`] sets others.
    ///
    /// # Errors
    /// [`ActError::UnknownName`]. [`Act::all`] lists the names.
    pub fn by_name(name: &str) -> Result<Self, ActError> {
        Self::all().find(|act| act.name() == name).ok_or(ActError::UnknownName)
    }

    /// The parameters, in the order of the definition; FANN's functions have one, the steepness.
    pub const fn params(self) -> ActParams {
        let (values, len) = match self {
            Self::LeakyRelu { slope } => ([slope, 0.0], 1),
            Self::Elu { alpha } => ([alpha, 0.0], 1),
            Self::Fann(_, steepness) => ([steepness, 0.0], 1),
            Self::Affine { mul, add } => ([mul, add], 2),
            Self::Clamp { lo, hi } => ([lo, hi], 2),
            _ => ([0.0; 2], 0),
        };
        ActParams { values, len }
    }

    /// The same function with the parameters `params`, in the order of [`Act::params`].
    ///
    /// # Errors
    /// [`ActError::ParamCount`] when the function takes another number of them.
    pub fn with_params(self, params: &[f32]) -> Result<Self, ActError> {
        match (self, params) {
            (Self::LeakyRelu { .. }, &[slope]) => Ok(Self::LeakyRelu { slope }),
            (Self::Elu { .. }, &[alpha]) => Ok(Self::Elu { alpha }),
            (Self::Fann(act, _), &[steepness]) => Ok(Self::Fann(act, steepness)),
            (Self::Affine { .. }, &[mul, add]) => Ok(Self::Affine { mul, add }),
            (Self::Clamp { .. }, &[lo, hi]) => Ok(Self::Clamp { lo, hi }),
            (act, &[]) if act.params().is_empty() => Ok(act),
            (act, _) => Err(ActError::ParamCount { name: act.name(), want: act.params().len(), got: params.len() }),
        }
    }

    /// What the derivative needs: the input, the output or neither.
    pub fn saves(self) -> Saves {
        match self {
            Self::Identity | Self::Neg | Self::Trunc | Self::Affine { .. } => Saves::Nothing,
            Self::Relu
            | Self::Selu
            | Self::Softplus
            | Self::HardSigmoid
            | Self::Tanh
            | Self::Sigmoid
            | Self::Exp
            | Self::Sqrt
            | Self::Reciprocal => Saves::Output,
            // The sign of the output tells the branch only if the negative branch stays negative.
            Self::LeakyRelu { slope: factor } | Self::Elu { alpha: factor } if factor >= 0.0 => Saves::Output,
            Self::Fann(act, _) => act.saves(),
            _ => Saves::Input,
        }
    }
}
