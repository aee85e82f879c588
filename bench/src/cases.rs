//! What is timed, and the ratio to reach against each peer.

use std::fmt;

/// A hidden activation; outputs are linear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    Relu,
    /// FANN has no relu: where FANN is the peer, both sides run tanh.
    Tanh,
}

/// How our side holds its weights; the peer's precision is the peer's own affair, stated in its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Precision {
    F32,
    Bf16,
    Int8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    Sgd,
    Adam,
}

impl Optimiser {
    /// The learning rate of every contestant. Adam's is its usual one: ten times more throws so many units of a wide network over
    /// the kink of ReLU in one step that the rounding of f32 shows, in PyTorch's answers as in ours.
    pub fn rate(self) -> f32 {
        match self {
            Self::Sgd => 0.01,
            Self::Adam => 0.001,
        }
    }
}

/// One thing to time.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// One forward pass.
    Infer { dims: &'static [usize], activation: Activation, rows: usize, precision: Precision },
    /// Forward, backward and one update; the loss is the mean square error over all elements.
    Step { dims: &'static [usize], activation: Activation, rows: usize, optimiser: Optimiser },
    /// One epoch of iRPROP− over a whole FANN data set, with FANN's default error function.
    Rprop { data: &'static str, hidden: usize },
    /// One square matrix product.
    Gemm { n: usize },
}

/// A row of the table: the work and, for each peer, the floor of peer time over our time, if there is one.
pub struct Case {
    pub work: Work,
    pub peers: &'static [(Peer, Option<f64>)],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Peer {
    FannC,
    Tract,
    OnnxRuntime,
    PyTorch,
    OpenVino,
    /// No library: the machine's measured peak of fused multiply-adds, doing as many as the product needs.
    FmaPeak,
}

impl Peer {
    pub const ALL: [Self; 6] =
        [Self::FannC, Self::Tract, Self::OnnxRuntime, Self::PyTorch, Self::OpenVino, Self::FmaPeak];

    pub fn name(self) -> &'static str {
        match self {
            Self::FannC => "fann-c",
            Self::Tract => "tract",
            Self::OnnxRuntime => "onnxruntime",
            Self::PyTorch => "pytorch",
            Self::OpenVino => "openvino",
            Self::FmaPeak => "fma-peak",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Infer { dims, activation, rows, precision } => {
                write!(f, "infer {} {} {} {}", rows_of(rows), shape(dims), lower(precision), lower(activation))
            }
            Self::Step { dims, activation, rows, optimiser } => {
                write!(f, "{} step {} {} {}", lower(optimiser), rows_of(rows), shape(dims), lower(activation))
            }
            Self::Rprop { data, hidden } => write!(f, "rprop epoch {data} hidden {hidden}"),
            Self::Gemm { n } => write!(f, "gemm f32 {n}"),
        }
    }
}

fn rows_of(rows: usize) -> String {
    if rows == 1 { "1 row".into() } else { format!("{rows} rows") }
}

fn shape(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
}

fn lower(value: impl fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

use Activation::{Relu, Tanh};
use Optimiser::{Adam, Sgd};
use Peer::{FannC, FmaPeak, OnnxRuntime, OpenVino, PyTorch, Tract};
use Precision::{Bf16, F32, Int8};

const SMALL: &[usize] = &[64, 32, 16];
const MIDDLE: &[usize] = &[256, 128, 64, 10];
const DIGITS: &[usize] = &[784, 256, 128, 10];
const LARGE: &[usize] = &[784, 512, 256, 10];
const STEP_SMALL: &[usize] = &[64, 32, 10];
const STEP_MIDDLE: &[usize] = &[256, 128, 10];

const fn infer(
    dims: &'static [usize],
    activation: Activation,
    rows: usize,
    precision: Precision,
    peers: &'static [(Peer, Option<f64>)],
) -> Case {
    Case { work: Work::Infer { dims, activation, rows, precision }, peers }
}

const fn step(
    dims: &'static [usize],
    activation: Activation,
    rows: usize,
    optimiser: Optimiser,
    peers: &'static [(Peer, Option<f64>)],
) -> Case {
    Case { work: Work::Step { dims, activation, rows, optimiser }, peers }
}

const fn rprop(data: &'static str, peers: &'static [(Peer, Option<f64>)]) -> Case {
    Case { work: Work::Rprop { data, hidden: 32 }, peers }
}

const fn gemm(n: usize) -> Case {
    Case { work: Work::Gemm { n }, peers: &[(FmaPeak, Some(0.9))] }
}

pub const CASES: &[Case] = &[
    infer(SMALL, Tanh, 1, F32, &[(FannC, Some(10.0))]),
    infer(
        SMALL,
        Relu,
        1,
        F32,
        &[(OnnxRuntime, Some(10.0)), (PyTorch, Some(80.0)), (Tract, Some(15.0)), (OpenVino, None)],
    ),
    infer(MIDDLE, Tanh, 1, F32, &[(FannC, Some(7.0))]),
    infer(
        MIDDLE,
        Relu,
        1,
        F32,
        &[(OnnxRuntime, Some(2.0)), (PyTorch, Some(10.0)), (Tract, Some(2.0)), (OpenVino, None)],
    ),
    infer(LARGE, Tanh, 1, F32, &[(FannC, Some(5.5))]),
    infer(LARGE, Tanh, 1, Bf16, &[(FannC, Some(10.0))]),
    infer(LARGE, Tanh, 1, Int8, &[(FannC, Some(15.0))]),
    infer(
        LARGE,
        Relu,
        1,
        F32,
        &[(OnnxRuntime, Some(1.3)), (PyTorch, Some(1.6)), (Tract, Some(1.2)), (OpenVino, Some(1.4))],
    ),
    infer(SMALL, Relu, 1, Int8, &[(OnnxRuntime, Some(1.2))]),
    infer(MIDDLE, Relu, 1, Int8, &[(OnnxRuntime, Some(1.2))]),
    infer(LARGE, Relu, 1, Int8, &[(OnnxRuntime, Some(1.2))]),
    infer(LARGE, Relu, 256, Int8, &[(OnnxRuntime, Some(1.2))]),
    infer(LARGE, Relu, 1, Bf16, &[(OpenVino, Some(1.5))]),
    infer(DIGITS, Tanh, 1, F32, &[(FannC, Some(7.0))]),
    infer(DIGITS, Relu, 1, F32, &[(OnnxRuntime, Some(1.2)), (PyTorch, Some(2.8)), (Tract, None), (OpenVino, None)]),
    infer(SMALL, Relu, 256, F32, &[(OnnxRuntime, Some(1.8)), (PyTorch, Some(4.0)), (Tract, None), (OpenVino, None)]),
    infer(LARGE, Relu, 256, F32, &[(OnnxRuntime, Some(1.0)), (PyTorch, Some(1.05)), (Tract, None), (OpenVino, None)]),
    step(STEP_SMALL, Tanh, 1, Sgd, &[(FannC, Some(6.0))]),
    step(STEP_SMALL, Relu, 1, Sgd, &[(PyTorch, Some(250.0))]),
    step(STEP_MIDDLE, Tanh, 1, Sgd, &[(FannC, Some(5.0))]),
    step(STEP_MIDDLE, Relu, 1, Sgd, &[(PyTorch, Some(20.0))]),
    step(STEP_SMALL, Relu, 256, Sgd, &[(PyTorch, Some(8.0))]),
    step(LARGE, Relu, 256, Sgd, &[(PyTorch, Some(1.1))]),
    step(STEP_SMALL, Relu, 256, Adam, &[(PyTorch, Some(12.0))]),
    step(LARGE, Relu, 256, Adam, &[(PyTorch, Some(1.4))]),
    rprop("mushroom", &[(FannC, Some(25.0))]),
    rprop("thyroid", &[(FannC, Some(15.0))]),
    gemm(256),
    gemm(512),
    gemm(1024),
];
