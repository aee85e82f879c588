//! Our side, called as a user calls it: a session for inference, a trainer for steps and epochs, a kernel for products.

use crate::cases::{self, Work};
use crate::contest::{Contestant, time};
use crate::data;
use crate::net::{CHECK_STEPS, Net, Random};
use anyhow::{Context, Result};
use mayfly_kernels::{Buffer, Isa, MatMul, Trans, matmul};
use mayfly_nn::{
    Act, Activation, Adam, Algorithm, FannAct, InMemory, Network, NetworkSpec, Precision, Rprop, Session, Sgd,
    TrainConfig, Trainer,
};
use std::time::Duration;

/// Our side of a case.
pub fn contestant(work: Work) -> Result<Box<dyn Contestant>> {
    Ok(match work {
        Work::Infer { dims, activation, rows, precision } => {
            Box::new(Infer::new(&Net::new(dims, activation), rows, precision)?)
        }
        Work::Step { dims, activation, rows, optimiser } => {
            Box::new(Step::new(&Net::new(dims, activation), rows, optimiser)?)
        }
        Work::Rprop { data, hidden } => Box::new(RpropEpoch::new(data, hidden)?),
        Work::Gemm { n } => Box::new(Gemm::new(n)),
    })
}

/// The network with its start weights; the last layer's activation apart.
fn network(net: &Net, hidden: Activation, last: Activation) -> Result<Network> {
    let spec = NetworkSpec::dense(net.inputs(), &net.dims[1..net.dims.len() - 1], hidden, net.outputs(), last);
    let params: Vec<f32> = net.layers.iter().flat_map(|l| l.weights.iter().chain(&l.bias)).copied().collect();
    Ok(Network::from_parts(spec, &params, None)?)
}

fn plain(net: &Net) -> Result<Network> {
    let act = if net.activation == cases::Activation::Relu { Act::Relu } else { Act::Tanh };
    network(net, act.into(), Activation::IDENTITY)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

struct Infer {
    session: Session,
    x: Vec<f32>,
    precision: Precision,
}

impl Infer {
    fn new(net: &Net, rows: usize, precision: cases::Precision) -> Result<Self> {
        let precision = match precision {
            cases::Precision::F32 => Precision::F32,
            cases::Precision::Bf16 => Precision::Bf16,
            cases::Precision::Int8 => Precision::Int8,
        };
        Ok(Self { session: plain(net)?.session(rows, precision)?, x: net.data(rows).0, precision })
    }
}

impl Contestant for Infer {
    fn how(&self) -> String {
        format!("Session::infer, {} weights, {}", format!("{:?}", self.precision).to_lowercase(), Isa::detect().name())
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        Ok(wide(self.session.infer(&self.x)?))
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        time(calls, || {
            std::hint::black_box(self.session.infer(std::hint::black_box(&self.x))?);
            Ok(())
        })
    }
}

struct Step {
    trainer: Trainer,
    x: Vec<f32>,
    t: Vec<f32>,
}

impl Step {
    fn new(net: &Net, rows: usize, optimiser: cases::Optimiser) -> Result<Self> {
        let lr = optimiser.rate();
        let algorithm = match optimiser {
            cases::Optimiser::Sgd => Algorithm::Sgd(Sgd { lr, ..Sgd::default() }),
            cases::Optimiser::Adam => Algorithm::Adam(Adam { lr, ..Adam::default() }),
        };
        let trainer = Trainer::new(plain(net)?, TrainConfig { threads: 1, ..TrainConfig::new(algorithm) })?;
        let (x, t) = net.data(rows);
        Ok(Self { trainer, x, t })
    }
}

impl Contestant for Step {
    fn how(&self) -> String {
        format!("Trainer::step, mean square error, f32, 1 thread, {}", Isa::detect().name())
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        self.round(CHECK_STEPS as u64)?;
        Ok(wide(&self.trainer.network().predict(&self.x)?))
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        time(calls, || {
            std::hint::black_box(self.trainer.step(&self.x, &self.t)?);
            Ok(())
        })
    }
}

/// FANN's iRPROP− with FANN's functions, steepness and error.
struct RpropEpoch {
    trainer: Trainer,
    table: InMemory,
}

impl RpropEpoch {
    fn new(name: &str, hidden: usize) -> Result<Self> {
        let data::Table { inputs, outputs, x, t } = data::read(&data::path(name)?)?;
        let net = Net::new(&[inputs, hidden, outputs], cases::Activation::Tanh);
        let network = network(&net, Activation::fann(FannAct::SigmoidSymmetric), Activation::fann(FannAct::Sigmoid))?;
        let config = TrainConfig { threads: 1, ..TrainConfig::new(Algorithm::Rprop(Rprop::default())) };
        Ok(Self { trainer: Trainer::new(network, config)?, table: InMemory::new(inputs, outputs, x, t)? })
    }
}

impl Contestant for RpropEpoch {
    fn how(&self) -> String {
        format!("Trainer::epoch, iRPROP−, FANN's tanh error, f32, 1 thread, {}", Isa::detect().name())
    }

    /// Mean square error of the first epochs, as FANN counts it.
    fn answer(&mut self) -> Result<Vec<f64>> {
        let mse = |_| self.trainer.epoch(&mut self.table, None)?.mse.context("the epoch's report has no FANN error");
        (0..data::CHECK_EPOCHS).map(mse).collect()
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        time(calls, || {
            self.trainer.epoch(&mut self.table, None)?;
            Ok(())
        })
    }
}

struct Gemm {
    product: MatMul,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    scratch: Buffer<f32>,
}

impl Gemm {
    fn new(n: usize) -> Self {
        let mut random = Random::new(3);
        let product = MatMul { m: n, k: n, n, a: Trans::No, b: Trans::No };
        let (a, b) = (random.vec(n * n, 1.0), random.vec(n * n, 1.0));
        Self { product, a, b, c: vec![0.0; n * n], scratch: Buffer::zeroed(product.scratch_len()) }
    }
}

impl Contestant for Gemm {
    fn how(&self) -> String {
        format!("kernels::matmul, {}", Isa::detect().name())
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        self.round(1)?;
        Ok(wide(&self.c))
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        let isa = Isa::detect();
        time(calls, || {
            matmul(isa, &mut self.c, &self.a, &self.b, &mut self.scratch, self.product);
            Ok(())
        })
    }
}
