//! The numbers that a `.net` file uses for names.
use serde::{Deserialize, Serialize};

/// Declares an enum whose variants are the consecutive codes of a `.net` file, from 0.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All values, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code in a file.
            #[must_use]
            pub fn code(self) -> u32 {
                self as u32
            }

            /// The value for a code of a file; `None` when FANN has none.
            #[must_use]
            pub fn from_code(code: u32) -> Option<Self> {
                Self::ALL.get(code as usize).copied()
            }
        }
    };
}

codes! {
    /// Activation functions of FANN; those since 2016 came after FANN 2.2, which does not know them. Below, `x` is the sum times the steepness.
    FannActivation {
        /// `x`
        Linear,
        /// 0 below 0, else 1
        Threshold,
        /// -1 below 0, else 1
        ThresholdSymmetric,
        /// `1 / (1 + exp(-2x))`
        Sigmoid,
        /// Piecewise linear [`Sigmoid`](Self::Sigmoid)
        SigmoidStepwise,
        /// `2 / (1 + exp(-2x)) - 1`, which is tanh
        SigmoidSymmetric,
        /// Piecewise linear [`SigmoidSymmetric`](Self::SigmoidSymmetric)
        SigmoidSymmetricStepwise,
        /// `exp(-x²)`
        Gaussian,
        /// `2·exp(-x²) - 1`
        GaussianSymmetric,
        /// Named in FANN but never implemented: 0
        GaussianStepwise,
        /// `x / 2 / (1 + |x|) + 1/2`
        Elliot,
        /// `x / (1 + |x|)`
        ElliotSymmetric,
        /// `x` clamped to 0..1
        LinearPiece,
        /// `x` clamped to -1..1
        LinearPieceSymmetric,
        /// `sin x`
        SinSymmetric,
        /// `cos x`
        CosSymmetric,
        /// `sin(x) / 2 + 1/2`
        Sin,
        /// `cos(x) / 2 + 1/2`
        Cos,
        /// `max(0, x)`: the rectifier, since 2016
        LinearPieceRect,
        /// `x` from 0 on, `0.01 x` below: the leaky rectifier, since 2016
        LinearPieceRectLeaky,
    }
}

codes! {
    /// Training algorithms of FANN 2.2.
    FannAlgorithm {
        /// Weights change after every row.
        Incremental,
        /// Weights change once an epoch.
        Batch,
        /// iRPROP−.
        Rprop,
        /// Quickprop.
        Quickprop,
        /// SARPROP: RPROP with noise and weight decay that fade.
        Sarprop,
    }
}

codes! {
    /// What is done to the error of an output before it is propagated.
    FannErrorFunction {
        /// Nothing.
        Linear,
        /// `ln((1 + e) / (1 - e))`, cut off at ±17: large errors count more.
        Tanh,
    }
}

codes! {
    /// What decides that training may stop.
    FannStopFunction {
        /// Mean square error.
        Mse,
        /// Number of outputs that miss by more than the bit-fail limit.
        Bit,
    }
}

codes! {
    /// Which earlier layers a neuron is connected to.
    FannTopology {
        /// The previous layer. Every layer ends with a bias neuron.
        Layered,
        /// All earlier layers. Only the input layer has a bias neuron.
        Shortcut,
    }
}
