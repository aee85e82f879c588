//! The gradient of every layer and every loss, as sessions compute it in f32, against finite differences of the f64 reference.
mod common;

use common::{inputs, networks, values};
use mayfly_graph::{Plan, PlanOptions, gradient, interpret};
use mayfly_nn::*;
use std::collections::BTreeSet;

const ROWS: usize = 3;
const SEED: u64 = 5;

/// Everything that the loss of a network depends on.
struct Case {
    lowered: Lowered,
    params: Vec<f32>,
    x: Vec<f32>,
    t: Vec<f32>,
    w: Vec<f32>,
    /// Half the distance of a finite difference, and the tolerance: parts of the user's own are f32 in the reference too.
    step: f64,
    tolerance: f64,
}

impl Case {
    fn new(spec: &NetworkSpec, loss: &Loss, targets: impl FnOnce(usize) -> Vec<f32>) -> Case {
        let lowered = spec.lower(Mode::Training { loss, seed: SEED }).unwrap();
        let mut network = Network::new(spec.clone(), SEED).unwrap();
        // Biases and gains start at 0 and 1, where mistakes hide.
        let shift = values(network.params().len(), SEED + 1);
        network.params_mut().iter_mut().zip(shift).for_each(|(p, s)| *p += 0.2 * s);
        let t = targets(ROWS * network.output_len());
        Case {
            lowered,
            params: network.params().to_vec(),
            x: inputs(spec, ROWS, SEED + 2),
            t,
            w: vec![0.5, 1.0, 0.25],
            step: 1e-5,
            tolerance: 3e-5,
        }
    }

    fn in_f32(self) -> Case {
        Case { step: 2e-3, tolerance: 3e-3, ..self }
    }

    /// The loss of the reference.
    fn reference(&self, params: &[f64]) -> f64 {
        let wide: Vec<Vec<f64>> =
            [&self.x, &self.t, &self.w].map(|v| v.iter().map(|x| f64::from(*x)).collect()).to_vec();
        let slices: Vec<&[f64]> = wide.iter().map(Vec::as_slice).collect();
        interpret(&self.lowered.graph, params, &slices, ROWS).unwrap()[1][0]
    }

    /// Loss and gradient as training computes them.
    fn trained(&self) -> (f32, Vec<f32>) {
        let graph = gradient(&self.lowered.graph, self.lowered.loss.unwrap()).unwrap();
        let mut session = Session::for_training(Plan::new(&graph, &PlanOptions::batch(ROWS)).unwrap());
        for (i, values) in [&self.x, &self.t, &self.w].into_iter().enumerate() {
            session.input_mut(i).copy_from_slice(values);
        }
        let mut grads = vec![0.0; self.params.len()];
        session.backprop(&self.params, &mut grads).unwrap();
        (session.output(1)[0], grads)
    }

    fn check(&self, name: &str) {
        let wide: Vec<f64> = self.params.iter().map(|p| f64::from(*p)).collect();
        let (loss, grads) = self.trained();
        let want = self.reference(&wide);
        assert!((f64::from(loss) - want).abs() <= 1e-5 * (1.0 + want.abs()), "{name}: loss {loss} instead of {want}");
        let mut largest = 0.0_f64;
        for info in self.lowered.graph.params() {
            if info.role == mayfly_graph::Role::RunningStat {
                continue;
            }
            for i in info.range() {
                let at = |d: f64| {
                    let mut moved = wide.clone();
                    moved[i] += d;
                    self.reference(&moved)
                };
                let slope = (at(self.step) - at(-self.step)) / (2.0 * self.step);
                let got = f64::from(grads[i]);
                assert!(
                    (got - slope).abs() <= self.tolerance * (1.0 + slope.abs()),
                    "{name}: d/d{}[{}] is {got}, not {slope}",
                    info.name,
                    i - info.offset
                );
                largest = largest.max(slope.abs());
            }
        }
        assert!(largest > 1e-3, "{name}: a test of zeros proves nothing");
    }
}

#[test]
fn every_layer() {
    for (name, spec) in networks() {
        let case = Case::new(&spec, &Loss::Mse, |n| values(n, 9));
        if name == "custom" { case.in_f32() } else { case }.check(name);
    }
}

#[test]
fn the_examples_have_every_kind_of_layer() {
    let kinds: BTreeSet<&str> =
        networks().iter().flat_map(|(_, spec)| spec.layers.iter().map(LayerSpec::kind).collect::<Vec<_>>()).collect();
    // The list is that of the file format; a kind that is added must be added here and to the examples.
    let want = [
        "activation",
        "attention",
        "batch_norm",
        "column_activations",
        "conv1d",
        "conv2d",
        "custom",
        "dense",
        "dropout",
        "embedding",
        "flatten",
        "global_avg_pool",
        "gru",
        "layer_norm",
        "lstm",
        "pool1d",
        "pool2d",
        "positional_embedding",
        "reshape",
        "residual",
        "rms_norm",
        "rnn",
        "swap_axes",
        "transformer_block",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), want);
}

/// Differentiable activations: FANN's are trained by FANN's own derivatives, which are not those of calculus.
#[test]
fn every_activation() {
    for activation in Activation::all() {
        let skipped = matches!(activation, Activation::Act(Act::Fann(..) | Act::Log | Act::Sqrt | Act::Reciprocal));
        if !skipped {
            let spec = NetworkSpec::new(&[5]).with(Dense::new(4, activation)).with(Dense::new(2, Activation::IDENTITY));
            Case::new(&spec, &Loss::Mse, |n| values(n, 9)).check(activation.name());
        }
    }
}

fn one_hot(n: usize) -> Vec<f32> {
    (0..n).map(|i| if i % 3 == (i / 3) % 3 { 1.0 } else { 0.0 }).collect()
}

fn signs(n: usize) -> Vec<f32> {
    (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect()
}

fn bits(n: usize) -> Vec<f32> {
    (0..n).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect()
}

#[test]
fn every_loss() {
    let plain = |output: Activation| NetworkSpec::dense(5, &[4], Act::Tanh.into(), 3, output);
    let identity = Activation::IDENTITY;
    let random = |n| values(n, 9);
    let far = |n| values(n, 9).iter().map(|v| v * 4.0).collect();
    Case::new(&plain(identity), &Loss::Mse, random).check("mse");
    Case::new(&plain(identity), &Loss::Mae, random).check("mae");
    Case::new(&plain(identity), &Loss::Huber { delta: 0.3 }, far).check("huber");
    Case::new(&plain(Activation::Softmax), &Loss::CrossEntropy { smoothing: 0.0 }, one_hot)
        .check("cross-entropy behind softmax");
    Case::new(&plain(identity), &Loss::CrossEntropy { smoothing: 0.1 }, one_hot)
        .check("cross-entropy of sums, smoothed");
    Case::new(&plain(Act::Sigmoid.into()), &Loss::BinaryCrossEntropy, bits)
        .check("binary cross-entropy behind sigmoid");
    Case::new(&plain(identity), &Loss::BinaryCrossEntropy, bits).check("binary cross-entropy of sums");
    Case::new(&plain(identity), &Loss::Hinge, signs).check("hinge");
    Case::new(&plain(identity), &Loss::Quantile { taus: vec![0.1, 0.5, 0.9] }, random).check("quantile");
    for error in [FannError::Linear, FannError::Tanh] {
        Case::new(&plain(identity), &Loss::Fann { error }, |n| values(n, 9).iter().map(|v| v * 0.3).collect())
            .check("fann");
        Case::new(&plain(Act::Tanh.into()), &Loss::Fann { error }, random).check("fann, symmetric outputs");
    }
    Case::new(&plain(identity), &Loss::Custom(CustomLoss::new(Quartic)), random).in_f32().check("custom");
    let sequence = NetworkSpec::new(&[4, 3]).with(Lstm::new(3)).with(Dense::new(3, Activation::Softmax));
    Case::new(&sequence, &Loss::CrossEntropy { smoothing: 0.2 }, one_hot).check("cross-entropy of sequences");
}

/// `Σ (p − t)⁴` of a row.
#[derive(Debug)]
struct Quartic;

impl CustomOp for Quartic {
    fn name(&self) -> &'static str {
        "quartic"
    }
    fn shape(&self, inputs: &[Shape]) -> std::result::Result<Shape, String> {
        match inputs {
            [p, t] if p == t => Shape::batched(&[]).map_err(|e| e.to_string()),
            _ => Err("prediction and target must have the same shape".to_string()),
        }
    }
    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let n = inputs[0].len() / y.len();
        for (r, y) in y.iter_mut().enumerate() {
            *y = (r * n..(r + 1) * n).map(|i| (inputs[0][i] - inputs[1][i]).powi(4)).sum();
        }
    }
    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        let (n, sign) = (dx.len() / dy.len(), if which == 0 { 4.0 } else { -4.0 });
        for (i, dx) in dx.iter_mut().enumerate() {
            *dx = sign * dy[i / n] * (inputs[0][i] - inputs[1][i]).powi(3);
        }
    }
}

#[test]
fn losses_refuse_outputs_that_they_do_not_fit() {
    let spec = |output: Activation| NetworkSpec::dense(2, &[], Activation::IDENTITY, 2, output);
    for (loss, output) in [
        (Loss::CrossEntropy { smoothing: 0.0 }, Act::Sigmoid.into()),
        (Loss::BinaryCrossEntropy, Activation::Softmax),
        (Loss::CrossEntropy { smoothing: 0.0 }, Act::Relu.into()),
    ] {
        let error = spec(output).lower(Mode::Evaluation { loss: &loss }).unwrap_err().to_string();
        assert!(error.contains(output.name()) && error.contains("identity"), "{error}");
    }
    for loss in [
        Loss::Huber { delta: 0.0 },
        Loss::CrossEntropy { smoothing: 1.0 },
        Loss::Quantile { taus: vec![] },
        Loss::Quantile { taus: vec![1.5] },
    ] {
        assert!(spec(Activation::IDENTITY).lower(Mode::Evaluation { loss: &loss }).is_err(), "{loss:?}");
    }
}
