//! What other crates build on: further inputs, row weights, parameter groups, the gradient hook, penalties, layers of their own, models in memory.
mod common;

use common::{quiet, values};
use mayfly_nn::*;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

fn sgd(lr: f32) -> TrainConfig {
    TrainConfig::new(Algorithm::Sgd(Sgd { lr, ..Sgd::default() }))
}

/// `x + gain · side`, a layer of another crate that reads a further input.
#[derive(Debug, Serialize, Deserialize)]
struct AddInput {
    from: String,
}

impl CustomLayer for AddInput {
    fn name(&self) -> &str {
        "add_input"
    }
    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap()
    }
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let side = cx.input(&self.from)?;
        let n = cx.dims(x)?[0];
        let gain = cx.param("gain", &[n], Init::Constant(0.5))?;
        let scaled = cx.graph().mul(side, gain)?;
        Ok(cx.graph().add(x, scaled)?)
    }
}

fn side_spec() -> NetworkSpec {
    NetworkSpec::new(&[3])
        .with_input("side", &[3])
        .with_input("other", &[1])
        .with(Custom::new(AddInput { from: "side".into() }))
        .with(Dense::new(4, Act::Tanh))
        .with(Dense::new(2, Activation::IDENTITY))
}

/// Rows in four parts and a weight, given in an order that is not the network's.
struct Sides {
    parts: [Vec<f32>; 4],
    weights: Vec<f32>,
    at: usize,
    order: Vec<usize>,
}

impl Sides {
    fn new(rows: usize) -> Self {
        let weights = values(rows, 5).iter().map(|w| w + 1.5).collect();
        let parts = [values(rows * 3, 1), values(rows * 3, 2), values(rows, 3), values(rows * 2, 4)];
        Sides { parts, weights, at: 0, order: (0..rows).collect() }
    }
}

impl Dataset for Sides {
    fn input_len(&self) -> usize {
        3
    }
    fn target_len(&self) -> usize {
        2
    }
    fn rows(&self) -> Option<usize> {
        Some(self.weights.len())
    }
    fn start(&mut self, order: Order) -> Result<()> {
        self.order = (0..self.weights.len()).collect();
        if let Order::Shuffled(seed) = order {
            mayfly_base::Rng::new(seed).shuffle(&mut self.order);
        }
        self.at = 0;
        Ok(())
    }
    fn next(&mut self, _: &mut [f32], _: &mut [f32]) -> Result<usize> {
        panic!("a data set with extras is asked for them")
    }
    fn extras(&self) -> Vec<(String, usize)> {
        vec![("other".into(), 1), (WEIGHT.into(), 1), ("side".into(), 3)]
    }
    fn next_with(&mut self, x: &mut [f32], t: &mut [f32], extras: &mut [&mut [f32]]) -> Result<usize> {
        let rows = (x.len() / 3).min(self.order.len() - self.at);
        let [other, weight, side] = extras else { panic!("{} extras", extras.len()) };
        for (i, row) in self.order[self.at..self.at + rows].iter().copied().enumerate() {
            let part = |n: usize, len: usize| &self.parts[n][row * len..(row + 1) * len];
            x[i * 3..i * 3 + 3].copy_from_slice(part(0, 3));
            side[i * 3..i * 3 + 3].copy_from_slice(part(1, 3));
            other[i..=i].copy_from_slice(part(2, 1));
            t[i * 2..i * 2 + 2].copy_from_slice(part(3, 2));
            weight[i] = self.weights[row];
        }
        self.at += rows;
        Ok(rows)
    }
}

/// The same network over one input that holds both, the layer replaced by a dense one with the same effect.
fn joined(network: &Network) -> (Network, InMemory) {
    let sides = Sides::new(50);
    let spec = NetworkSpec::new(&[6]).with(Dense::new(4, Act::Tanh)).with(Dense::new(2, Activation::IDENTITY));
    let (gain, w) = (network.param("layers.0.gain").unwrap(), network.param("layers.1.weight").unwrap());
    let rows = w.chunks(3).flat_map(|w| w.iter().copied().chain(w.iter().zip(gain).map(|(w, g)| w * g)));
    let rest = network.params().iter().skip(3 + 12).copied();
    let params: Vec<f32> = rows.chain(rest).collect();
    let x = sides.parts[0].chunks(3).zip(sides.parts[1].chunks(3)).flat_map(|(x, s)| [x, s].concat()).collect();
    let data = InMemory::new(6, 2, x, sides.parts[3].clone()).unwrap().with_weights(sides.weights).unwrap();
    (Network::from_parts(spec, &params, None).unwrap(), data)
}

#[test]
fn networks_of_several_inputs_train_validate_and_predict() {
    let network = Network::new(side_spec(), 1).unwrap();
    assert_eq!(network.extra_inputs(), [("side".to_owned(), 3), ("other".to_owned(), 1)]);
    let (plain, mut rows) = joined(&network);
    let sides = Sides::new(50);
    let named = |network: &Network| {
        network.predict_named(&sides.parts[0], &[("other", &sides.parts[2]), ("side", &sides.parts[1])]).unwrap()
    };
    let (a, b) = (named(&network), plain.predict(rows.inputs()).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
    let losses = [
        mean_loss(&network, &Loss::Mse, &mut Sides::new(50)).unwrap(),
        mean_loss(&plain, &Loss::Mse, &mut rows).unwrap(),
    ];
    assert!((losses[0] - losses[1]).abs() < 1e-6, "{losses:?}");
    // The first loss of a training in batches, then whether it learns.
    for batch in [BatchRows::Rows(8), BatchRows::Full] {
        let adam = Algorithm::Adam(Adam { lr: 0.01, ..Adam::default() });
        let config = TrainConfig { batch, epochs: 60, ..TrainConfig::new(adam) };
        let mut trainer = Trainer::new(network.clone(), config).unwrap();
        let report = trainer.fit(&mut Sides::new(50), Some(&mut Sides::new(50)), &mut quiet).unwrap();
        let best = report.best().unwrap().validation_loss.unwrap();
        assert!(best < 0.95 * losses[0], "{best} after {losses:?}");
        let again = mean_loss(trainer.network(), &Loss::Mse, &mut Sides::new(50)).unwrap();
        assert!((again - best).abs() < 1e-6);
        assert!(trainer.network().param("layers.0.gain").unwrap().iter().all(|g| *g != 0.5), "the gain is trained");
    }
}

/// Each input has its own gradient, by its own name; what no layer reads has none.
#[test]
fn gradients_of_several_inputs() {
    let mut network = Network::new(side_spec(), 1).unwrap();
    network.params_mut().iter_mut().enumerate().for_each(|(i, p)| *p += 0.1 * (i as f32).sin());
    let (x, side, other) = ([0.3, -0.2, 0.9], [0.5, 0.1, -0.7], [4.0]);
    let dy = [0.8, -0.4];
    let sum = |x: &[f32], side: &[f32]| -> f64 {
        let y = network.predict_named(x, &[("side", side), ("other", &other)]).unwrap();
        y.iter().zip(&dy).map(|(y, dy)| f64::from(y * dy)).sum()
    };
    let got = network.input_gradients().unwrap().run(&x, &[("other", &other), ("side", &side)], &dy).unwrap();
    assert_eq!(got.extras.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["side", "other"]);
    assert_eq!(got.extras[1].1, [0.0]);
    for i in 0..3 {
        let moved = |values: &[f32; 3], by: f32| {
            let mut values = *values;
            values[i] += by;
            values
        };
        let step = 0.01;
        let of_x = (sum(&moved(&x, step), &side) - sum(&moved(&x, -step), &side)) / f64::from(2.0 * step);
        let of_side = (sum(&x, &moved(&side, step)) - sum(&x, &moved(&side, -step))) / f64::from(2.0 * step);
        for (got, want) in [(got.x[i], of_x), (got.extras[0].1[i], of_side)] {
            assert!((f64::from(got) - want).abs() < 1e-3 && want.abs() > 1e-2, "{i}: {got}, not {want}");
        }
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused_by_name() {
    let network = Network::new(side_spec(), 1).unwrap();
    let named = |extras: &[(&str, &[f32])]| network.predict_named(&[0.0; 6], extras).unwrap_err().to_string();
    assert!(named(&[("side", &[0.0; 6])]).contains("\"other\""));
    assert!(named(&[("side", &[0.0; 5]), ("other", &[0.0; 2])]).contains("\"side\""));
    assert!(named(&[("side", &[0.0; 6]), ("other", &[0.0; 2]), ("third", &[])]).contains("\"third\""));
    assert!(network.predict(&[0.0; 6]).unwrap_err().to_string().contains("\"side\""));
    let mut trainer = Trainer::new(network, TrainConfig::default()).unwrap();
    assert!(trainer.step(&[0.0; 6], &[0.0; 4]).unwrap_err().to_string().contains("\"side\""));
    let mut step = |side: usize, weights: Option<&[f32]>| {
        trainer.step_with(&[0.1; 6], &[&vec![0.0; side], &[0.0; 2]], &[0.0; 4], weights)
    };
    assert!(step(6, None).is_ok() && step(6, Some(&[1.0, 0.0])).is_ok());
    assert!(step(5, None).is_err() && step(6, Some(&[1.0])).is_err() && step(6, Some(&[1.0, -1.0])).is_err());
    let mut plain = InMemory::new(3, 2, vec![0.0; 6], vec![0.0; 4]).unwrap();
    assert!(matches!(trainer.fit(&mut plain, None, &mut ()), Err(NnError::InputShape { got: 0, .. })));
    for taken in ["x", "t", "weight", "side", ""] {
        let spec = side_spec().with_input(taken, &[1]);
        assert!(Network::new(spec, 1).is_err(), "{taken:?}");
    }
    let missing = NetworkSpec::new(&[3]).with(Custom::new(AddInput { from: "absent".into() }));
    assert!(Network::new(missing, 1).unwrap_err().to_string().contains("absent"));
}

#[test]
fn a_row_that_counts_three_times_is_a_row_that_is_there_three_times() {
    let (a, b) = (([0.3f32, -0.4], [0.5f32]), ([-0.8, 0.1], [-0.2]));
    let gradient = |rows: Vec<([f32; 2], [f32; 1])>, weights: Option<Vec<f32>>, batch| {
        let data = InMemory::from_rows(rows).unwrap();
        let mut data = match weights {
            Some(weights) => data.with_weights(weights).unwrap(),
            None => data,
        };
        let spec = NetworkSpec::dense(2, &[3], Act::Tanh.into(), 1, Activation::IDENTITY);
        let config = TrainConfig { batch, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Network::new(spec, 1).unwrap(), config).unwrap();
        trainer.epoch(&mut data, None).unwrap();
        trainer.gradient().to_vec()
    };
    for batch in [BatchRows::Full, BatchRows::Rows(10)] {
        let weighted = gradient(vec![a, b], Some(vec![1.0, 3.0]), batch);
        let repeated = gradient(vec![a, b, b, b], None, batch);
        assert!(weighted.iter().zip(&repeated).all(|(w, r)| (w - r * 2.0).abs() < 1e-6), "{weighted:?} {repeated:?}");
    }
    // Weights belong to their own step.
    let spec = NetworkSpec::dense(2, &[3], Act::Tanh.into(), 1, Activation::IDENTITY);
    let mut trainer = Trainer::new(Network::new(spec, 1).unwrap(), sgd(1e-30)).unwrap();
    let (x, t) = ([0.3, -0.4, -0.8, 0.1], [0.5, -0.2]);
    let mut step = |weights: Option<&[f32]>| {
        trainer.step_with(&x, &[], &t, weights).unwrap();
        trainer.gradient().to_vec()
    };
    let plain = step(None);
    assert!(step(Some(&[0.0, 2.0])) != plain && step(None) == plain);
    let data = || InMemory::from_rows([a, b]).unwrap();
    assert!(data().with_weights(vec![1.0]).is_err() && data().with_weights(vec![1.0, f32::NAN]).is_err());
    let (rest, held) = data().with_weights(vec![0.25, 0.5]).unwrap().split(0.5, 1).unwrap();
    assert_eq!(rest.weights().unwrap()[0] + held.weights().unwrap()[0], 0.75);
}

#[test]
fn borrowed_rows_train_to_the_bits_of_owned_ones() {
    let (x, t) = (values(120, 1), values(60, 2));
    let run = |data: &mut dyn Dataset| {
        let spec = NetworkSpec::dense(2, &[5], Act::Tanh.into(), 1, Activation::IDENTITY);
        let mut trainer =
            Trainer::new(Network::new(spec, 1).unwrap(), TrainConfig { epochs: 3, ..TrainConfig::default() }).unwrap();
        trainer.fit(data, None, &mut ()).unwrap();
        trainer.into_network().params().to_vec()
    };
    let owned = run(&mut InMemory::new(2, 1, x.clone(), t.clone()).unwrap());
    assert_eq!(run(&mut Borrowed::new(2, 1, &x, &t).unwrap()), owned);
}

#[test]
fn frozen_parameters_stay_and_patterns_that_name_nothing_are_refused() {
    let spec = NetworkSpec::dense(2, &[4, 4], Act::Tanh.into(), 1, Activation::IDENTITY);
    for name in Algorithm::NAMES {
        let network = Network::new(spec.clone(), 1).unwrap();
        let groups = vec![ParamGroup::new(["layers.1.*", "*.bias"]).frozen()];
        let algorithm = Algorithm::by_name(name).unwrap();
        let algorithm = algorithm.clone().with_learning_rate(0.01).unwrap_or(algorithm);
        let config = TrainConfig { groups, loss: Loss::Mse, ..TrainConfig::new(algorithm) };
        let mut trainer = Trainer::new(network.clone(), config).unwrap();
        let mut data = InMemory::new(2, 1, values(40, 1), values(20, 2)).unwrap();
        for _ in 0..3 {
            trainer.epoch(&mut data, None).unwrap();
        }
        for (info, before) in network.named_params() {
            let moved = trainer.network().param(&info.name).unwrap() != before;
            let frozen = info.name.starts_with("layers.1.") || info.name.ends_with(".bias");
            assert_eq!(moved, !frozen, "{name}: {}", info.name);
        }
    }
    let network = || Network::new(spec.clone(), 1).unwrap();
    let refused = |algorithm: Algorithm, group: ParamGroup| {
        Trainer::new(network(), TrainConfig { groups: vec![group], ..TrainConfig::new(algorithm) }).err().unwrap()
    };
    let adam = || Algorithm::Adam(Adam::default());
    assert!(matches!(refused(adam(), ParamGroup::new(["layer.1.*"])), NnError::UnknownName { .. }));
    refused(adam(), ParamGroup::new(["*"]).frozen());
    refused(adam(), ParamGroup { rate: 0.0, ..ParamGroup::new(["*"]) });
    refused(adam(), ParamGroup { weight_decay: Some(-1.0), ..ParamGroup::new(["*"]) });
    refused(Algorithm::Rprop(Rprop::default()), ParamGroup { rate: 0.5, ..ParamGroup::new(["*"]) });
    refused(Algorithm::Batch(Batch::default()), ParamGroup { weight_decay: Some(0.1), ..ParamGroup::new(["*"]) });
}

#[test]
fn the_hook_sees_the_gradient_before_it_is_clipped_and_may_change_or_refuse_it() {
    let spec = NetworkSpec::new(&[1]).with(Dense::new(1, Activation::IDENTITY).without_bias());
    let network = Network::from_parts(spec, &[1.0], None).unwrap();
    let mut trainer = Trainer::new(network, TrainConfig { clip_norm: Some(0.5), ..sgd(1.0) }).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, mut left) = (seen.clone(), 2);
    trainer.set_gradient_hook(Some(Box::new(move |info, grads| {
        if left == 0 {
            return Err(NnError::NoRows { what: "budgeted" });
        }
        left -= 1;
        log.lock().unwrap().push((info.step, info.rows, info.params[0], grads[0]));
        grads[0] = -10.0;
        Ok(())
    })));
    trainer.step(&[1.0, 1.0], &[0.0, 0.0]).unwrap();
    assert_eq!(trainer.network().params(), [1.5], "the changed gradient is clipped and used");
    trainer.step(&[1.0], &[0.0]).unwrap();
    assert!(matches!(trainer.step(&[1.0], &[0.0]), Err(NnError::NoRows { what: "budgeted" })));
    assert_eq!(trainer.network().params(), [2.0], "what is refused moves nothing");
    assert_eq!(*seen.lock().unwrap(), [(0, 2, 1.0, 2.0), (1, 1, 1.5, 3.0)]);
    trainer.set_gradient_hook(None);
    trainer.step(&[1.0], &[0.0]).unwrap();
}

#[test]
fn a_decoupled_penalty_is_stable_at_any_strength() {
    for strength in [0.0, 1.0, 1e9, f32::MAX] {
        let spec = NetworkSpec::new(&[1]).with(Dense::new(1, Activation::IDENTITY).without_bias());
        let network = Network::from_parts(spec, &[1.0], None).unwrap();
        let mut trainer = Trainer::new(network, sgd(0.1)).unwrap();
        let form = PenaltyForm::Decoupled;
        trainer.set_penalty(Some(Penalty { form, ..Penalty::new(strength, &[2.0]) })).unwrap();
        (0..200).for_each(|_| assert!(trainer.step(&[1.0], &[0.0]).is_ok()));
        // Where w² and strength/2 (w − 2)² balance: w (1 − 2 lr) pulled back to itself.
        let w = f64::from(trainer.network().params()[0]);
        let a = 0.1 * f64::from(strength);
        let rest = 2.0 * a / (a + 0.2);
        assert!((w - rest).abs() < 1e-3, "{strength}: {w} instead of {rest}");
    }
    let mut trainer = Trainer::new(Network::new(side_spec(), 1).unwrap(), sgd(0.1)).unwrap();
    let len = trainer.network().params().len();
    assert!(trainer.set_penalty(Some(Penalty::new(1.0, &vec![0.0; len - 1]))).is_err());
    assert!(trainer.set_penalty(Some(Penalty::new(-1.0, &vec![0.0; len]))).is_err());
    assert!(trainer.set_penalty(Some(Penalty::new(1.0, &vec![f32::NAN; len]))).is_err());
}

#[test]
fn groups_penalty_and_weights_go_on_after_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half");
    let registry = Registry::new().with_layer_type::<AddInput>("add_input");
    let network = Network::new(side_spec(), 1).unwrap();
    let len = network.params().len();
    let slow = ParamGroup { rate: 0.3, weight_decay: Some(0.2), ..ParamGroup::new(["layers.1.*"]) };
    for form in [PenaltyForm::Gradient, PenaltyForm::Decoupled] {
        let config = TrainConfig { groups: vec![slow.clone()], epochs: 6, ..TrainConfig::default() };
        let penalty = Penalty { importance: Some(vec![0.5; len]), form, ..Penalty::new(0.7, &values(len, 9)) };
        let start = || {
            let mut trainer = Trainer::new(network.clone(), config.clone()).unwrap();
            trainer.set_penalty(Some(penalty.clone())).unwrap();
            trainer
        };
        let mut whole = start();
        whole.fit(&mut Sides::new(50), None, &mut quiet).unwrap();
        let mut half = start();
        half.set_epochs(3);
        half.fit(&mut Sides::new(50), None, &mut quiet).unwrap();
        half.checkpoint(&path).unwrap();
        let mut rest = Trainer::resume_with(&path, &registry).unwrap();
        rest.set_epochs(6);
        rest.fit(&mut Sides::new(50), None, &mut quiet).unwrap();
        assert_eq!(rest.network().params(), whole.network().params(), "{form:?}");
    }
}

/// Layers of any kind with a gain around them: a container of another crate.
#[derive(Debug, Serialize, Deserialize)]
struct Gained {
    inside: Vec<LayerSpec>,
}

impl CustomLayer for Gained {
    fn name(&self) -> &str {
        "gained"
    }
    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap()
    }
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let y = cx.layers(&self.inside, x)?;
        let n = cx.dims(y)?[0];
        let gain = cx.param("gain", &[n], Init::Constant(2.0))?;
        let _running = cx.running("count", &[1], Init::Zeros, 0.1)?;
        Ok(cx.graph().mul(y, gain)?)
    }
}

#[test]
fn layers_of_other_crates_are_found_wherever_they_are_nested_and_models_travel_as_bytes() {
    let inner = || LayerSpec::from(Custom::new(Gained { inside: vec![Dense::new(3, Act::Tanh).into()] }));
    let outer = Custom::new(Gained { inside: vec![Residual(vec![inner()]).into()] });
    let spec = NetworkSpec::new(&[3]).with(Residual(vec![outer.into()])).with(Dense::new(2, Activation::IDENTITY));
    let model = Model::new(Network::new(spec, 1).unwrap());
    let gained = Registry::new().with_container("gained", |config, registry| {
        let mut layer: Gained = serde_json::from_value(config.clone())
            .map_err(|source| NnError::Json { what: "the settings of a gained layer", source })?;
        layer.inside.iter_mut().try_for_each(|layer| layer.bind(registry))?;
        Ok(Arc::new(layer))
    });
    let registry = Registry::new().with_all(gained);
    let bytes = model.to_bytes().unwrap();
    let again = Model::from_bytes(&bytes, &registry).unwrap();
    let x = values(30, 1);
    assert_eq!(again.predict(&x).unwrap(), model.predict(&x).unwrap());
    assert_eq!(again.to_bytes().unwrap(), bytes);
    assert!(matches!(Model::from_bytes(&bytes, &Registry::new()), Err(NnError::Unregistered { .. })));
    assert!(Model::from_bytes(&bytes[..bytes.len() / 2], &registry).is_err());
    let mut read: NetworkSpec = serde_json::from_str(&model.network.spec().to_json().unwrap()).unwrap();
    assert!(read.lower(Mode::Inference).is_err(), "not bound yet");
    read.bind(&registry).unwrap();
    assert!(read.lower(Mode::Inference).is_ok());
}

#[test]
fn running_statistics_are_told_apart() {
    let spec = NetworkSpec::new(&[3]).with(BatchNorm::default()).with(Dense::new(1, Activation::IDENTITY));
    let network = Network::new(spec, 1).unwrap();
    let running: Vec<_> = network.running().collect();
    let want = network.layout().iter().find(|info| info.name == "layers.0.running").unwrap();
    assert_eq!((running, want.role), (vec![want.range()], Role::RunningStat));
}

/// The mean over a row of `mask · (p − t)²`.
#[derive(Debug)]
struct MaskedSquares;

impl CustomOp for MaskedSquares {
    fn name(&self) -> &'static str {
        "masked_squares"
    }
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [p, t, mask] if p == t && p == mask => Shape::batched(&[]).map_err(|e| e.to_string()),
            _ => Err(format!("three values of one shape are needed, not {inputs:?}")),
        }
    }
    fn forward(&self, rows: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let n = inputs[0].len() / rows.len();
        for (r, row) in rows.iter_mut().enumerate() {
            let each = (r * n..(r + 1) * n).map(|i| inputs[2][i] * (inputs[0][i] - inputs[1][i]).powi(2));
            *row = each.sum::<f32>() / n as f32;
        }
    }
    fn backward(&self, which: usize, d: &mut [f32], drows: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        assert!(which < 2, "nothing learns from the mask");
        let (n, sign) = (d.len() / drows.len(), if which == 0 { 2.0 } else { -2.0 });
        for (i, d) in d.iter_mut().enumerate() {
            *d = sign * drows[i / n] * inputs[2][i] * (inputs[0][i] - inputs[1][i]) / n as f32;
        }
    }
}

#[test]
fn a_loss_of_ones_own_reads_further_inputs() {
    let spec = || NetworkSpec::dense(3, &[4], Act::Tanh.into(), 2, Activation::IDENTITY);
    let masked = || Loss::Custom(CustomLoss::new(MaskedSquares).reading(["mask"]));
    let (x, t) = (values(15, 1), values(10, 2));
    let network = Network::new(spec().with_input("mask", &[2]), 1).unwrap();
    let gradient = |mask: &[f32]| {
        let mut trainer =
            Trainer::new(network.clone(), TrainConfig { loss: masked(), ..TrainConfig::default() }).unwrap();
        trainer.step_with(&x, &[mask], &t, None).unwrap();
        trainer.gradient().to_vec()
    };
    let mut plain = Trainer::new(Network::new(spec(), 1).unwrap(), TrainConfig::default()).unwrap();
    plain.step(&x, &t).unwrap();
    let ones = gradient(&[1.0; 10]);
    assert!(ones.iter().zip(plain.gradient()).all(|(a, b)| (a - b).abs() < 1e-6), "a mask of ones is none");
    // The second output's bias comes last.
    let first: Vec<f32> = (0..10).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect();
    let some = gradient(&first);
    assert!(some.last() == Some(&0.0) && ones.last() != Some(&0.0) && some[some.len() - 2] == ones[ones.len() - 2]);
    let unknown =
        Trainer::new(Network::new(spec(), 1).unwrap(), TrainConfig { loss: masked(), ..TrainConfig::default() });
    assert!(unknown.err().unwrap().to_string().contains("mask"));
    // Checkpoints record what it reads.
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { loss: masked(), ..TrainConfig::default() };
    let trainer = Trainer::new(network, config.clone()).unwrap();
    trainer.checkpoint(folder.path().join("masked")).unwrap();
    let registry = Registry::new().with_loss(MaskedSquares);
    let again = Trainer::resume_with(folder.path().join("masked"), &registry).unwrap();
    assert_eq!(again.config(), &config);
}
