//! What the modes have to be equal to.

mod common;

use common::{accuracy, adamw, config, network, rows, run, shards};
use mayfly_base::NodeId;
use mayfly_learn::{Body, Combine, Local, Mode, Run, Simulated, Split};
use mayfly_nn::{
    Act, Activation, Algorithm, BatchNorm, Control, Dense, EpochReport, InMemory, Loss, Network, NetworkSpec, Sgd,
    TrainConfig, Trainer,
};
use mayfly_swarm::learn::sim::{Sim, SimConfig};
use mayfly_swarm::learn::{LearnerConfig, Outer};

/// Runs in simulated time; the parameters that all nodes end with.
fn simulate(run: &Run, network: &Network, shards: Vec<InMemory>) -> Vec<f32> {
    let nodes = shards.len();
    let work = Simulated::new(run, network, shards).expect("a run");
    let learner = LearnerConfig { rounds: run.rounds, exchange: run.mode.exchange(), ..LearnerConfig::default() };
    let mut sim = Sim::new(SimConfig { nodes, learner, ..SimConfig::default() }, work);
    assert!(sim.run_to_end(10_000_000), "not over after {} ms", sim.now_ms());
    let state = sim.state(0).expect("a state").to_vec();
    assert!((1..nodes).all(|i| sim.state(i) == Some(&state)), "not the same everywhere");
    sim.work().params(&state).expect("a state of this run")
}

fn plain(config: &TrainConfig, rows: &InMemory, epochs: usize) -> Vec<f32> {
    let mut trainer = Trainer::new(network(), TrainConfig { epochs, ..config.clone() }).expect("a trainer");
    let mut rows = rows.clone();
    for _ in 0..epochs {
        trainer.epoch(&mut rows, None).expect("an epoch");
    }
    trainer.network().params().to_vec()
}

#[test]
fn one_node_is_plain_training_to_the_last_bit() {
    let rows = rows(100, 1);
    let config = config(adamw(), 16); // 7 steps an epoch
    let want = plain(&config, &rows, 6);
    for (mode, steps) in [(Mode::Sync, 1), (Mode::Local, 7), (Mode::Local, 14), (Mode::Fedavg, 3), (Mode::Fedadam, 6)] {
        let mut run = run(mode, 42 / steps, &config);
        run.local_steps = steps;
        assert_eq!(simulate(&run, &network(), vec![rows.clone()]), want, "{mode} {steps}");
    }
}

/// However many steps there are between two exchanges, nobody is there to exchange with.
#[test]
fn one_node_at_its_own_pace_is_plain_training_and_ends_in_time() {
    let rows = rows(100, 1);
    let config = config(Algorithm::Sgd(Sgd { lr: 0.1, ..Sgd::default() }), 16);
    let auto = run(Mode::Auto, 420, &config).with_steps(50, Some(420), &network());
    assert_eq!(simulate(&auto, &network(), vec![rows.clone()]), plain(&config, &rows, 60));
}

#[test]
fn unlike_rows_are_exchanged_over_more_often() {
    let (training, test) = (rows(1_000, 1), rows(500, 2));
    let config = config(Algorithm::Sgd(Sgd { lr: 0.1, ..Sgd::default() }), 10);
    let rounds = |split: Split| {
        let auto = run(Mode::Auto, 600, &config).with_steps(50, Some(600), &network());
        let work = Simulated::new(&auto, &network(), shards(&training, split, 5)).expect("a run");
        let learner = LearnerConfig { rounds: 600, ..LearnerConfig::default() };
        let mut sim = Sim::new(SimConfig { nodes: 5, learner, ..SimConfig::default() }, work);
        assert!(sim.run_to_end(10_000_000), "not over after {} ms", sim.now_ms());
        let state = sim.state(0).expect("a state").to_vec();
        let pace = sim.work().pace(&state).expect("it has one");
        assert_eq!(pace.done, 600);
        let right = accuracy(&sim.work().params(&state).expect("a state"), &test);
        assert!(right > 0.9, "{split}: {right}");
        (sim.round(0), pace.drift.expect("it was measured"))
    };
    let ((alike, little), (unlike, much)) = (rounds(Split::Iid), rounds(Split::Label));
    assert!(alike < 150 && unlike > 250, "{alike} rounds and {unlike}");
    assert!(little < 0.3 && much > 0.4, "drift {little} and {much}");
}

#[test]
fn one_local_step_of_gradient_descent_is_sync() {
    let rows = rows(300, 1);
    let config = config(Algorithm::Sgd(Sgd { lr: 0.1, ..Sgd::default() }), 20);
    let sync = simulate(&run(Mode::Sync, 40, &config), &network(), shards(&rows, Split::Dirichlet(0.3), 3));
    let mut local = run(Mode::Local, 40, &config).with_outer(Outer::Plain { rate: 1.0 }, &network());
    local.local_steps = 1;
    let local = simulate(&local, &network(), shards(&rows, Split::Dirichlet(0.3), 3));
    let apart = sync.iter().zip(&local).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 2e-6, "{apart}");
    let moved = sync.iter().zip(network().params()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(moved > 0.05, "it went somewhere: {moved}");
}

/// A network that is one number: all inputs are 0, so that only the bias counts, and the loss is `(b - t)²`.
fn one_number() -> (NetworkSpec, Network) {
    let spec = NetworkSpec::dense(1, &[], Act::Relu.into(), 1, Activation::IDENTITY);
    let network = Network::from_parts(spec.clone(), &[0.0, 0.5], None).expect("a weight and a bias");
    (spec, network)
}

#[test]
fn fedprox_is_its_closed_form() {
    let (_, network) = one_number();
    let bias = |params: &[f32]| f64::from(params.iter().copied().find(|value| *value != 0.0).expect("the bias"));
    let (rate, pull, steps) = (0.05_f64, 1.5_f32, 7);
    let config =
        TrainConfig { loss: Loss::Mse, ..config(Algorithm::Sgd(Sgd { lr: rate as f32, ..Sgd::default() }), 1) };
    let targets = [3.0_f64, -1.0];
    let mut run = Run::new("test", Mode::Fedprox, 1, &network, &config, common::encoder());
    (run.local_steps, run.proximal) = (steps, pull);
    let shards = targets.map(|t| InMemory::from_rows([([0.0], [t as f32])]).expect("a row"));
    let got = bias(&simulate(&run, &network, shards.to_vec()));
    // b moves towards where its loss and the pull are even, (2 t + pull b0) / (2 + pull), by the factor 1 - rate (2 + pull) a step.
    let start = bias(network.params());
    let after = targets.map(|t| {
        let even = (2.0 * t + f64::from(pull) * start) / (2.0 + f64::from(pull));
        even + (start - even) * (1.0 - rate * (2.0 + f64::from(pull))).powi(steps as i32)
    });
    let want = (after[0] + after[1]) / 2.0;
    assert!((got - want).abs() < 1e-6, "{got} for {want}");
    assert!((got - start).abs() > 0.1, "it went somewhere");
}

#[test]
fn running_statistics_are_averaged_by_rows() {
    let spec = NetworkSpec::new(&[common::INPUTS])
        .with(Dense::new(6, Activation::IDENTITY))
        .with(BatchNorm::default())
        .with(Dense::new(2, Activation::Softmax));
    let network = Network::new(spec, 1).expect("a network");
    let running: Vec<usize> = network.running().flatten().collect();
    assert_eq!(running.len(), 12, "means and variances of six");
    let run = Run::new("test", Mode::Local, 1, &network, &config(adamw(), 16), common::encoder());
    let mut combine = Combine::new(&run).expect("a run");
    let bodies = [1.0_f32, 5.0].map(|value| Body::Update(vec![value; network.params().len()]).to_bytes());
    let first = run.first_state(&network);
    let next = combine
        .combine(&first, &[(NodeId([1; 32]), 0.75), (NodeId([2; 32]), 0.25)], &mut |i| Ok(bodies[i].clone()))
        .expect("fits")
        .state;
    for (i, (before, after)) in network.params().iter().zip(next.params()).enumerate() {
        // The mean is 2, and Nesterov's first step of rate 0.7 and momentum 0.9 goes 0.7 · 1.9 of it.
        let step = if running.contains(&i) { 2.0 } else { 2.0 * 0.7 * 1.9 };
        assert!((after - before - step).abs() < 1e-5, "{i}: {before} to {after}");
    }
}

#[test]
fn work_that_is_given_up_leaves_nothing() {
    let rows = rows(100, 1);
    let run = run(Mode::Local, 9, &config(adamw(), 16));
    let state = run.first_state(&network());
    let mut calm = Local::new(&run, rows.clone()).expect("a node");
    let mut hurried = Local::new(&run, rows).expect("a node");
    let mut work = |steps: u64| {
        let left = std::cell::Cell::new(steps);
        let goes_on = || left.replace(left.get().saturating_sub(1)) > 0;
        hurried.work(&state, false, &goes_on).expect("no divergence")
    };
    assert_eq!((work(20), work(0), work(49)), (None, None, None));
    let want = calm.work(&state, false, &|| true).expect("no divergence");
    assert_eq!(work(50), want);
    assert!(want.is_some());
    // And from what was saved.
    let mut again = Local::new(&run, common::rows(100, 1)).expect("a node");
    again.restore(calm.saved().clone()).expect("of this run");
    let go = |local: &mut Local| local.work(&state, false, &|| true).expect("no divergence");
    assert_eq!(go(&mut again), go(&mut calm));
}

#[test]
fn all_modes_learn_what_is_divided() {
    let (training, test) = (rows(1_000, 1), rows(500, 2));
    let config = config(adamw(), 20);
    let centralised = accuracy(&plain(&config, &training, 15), &test);
    assert!(centralised > 0.9, "{centralised}");
    let alone: Vec<f64> =
        shards(&training, Split::Iid, 5).iter().map(|shard| accuracy(&plain(&config, shard, 15), &test)).collect();
    for mode in Mode::ALL {
        let mut run = run(mode, 150, &config);
        if !matches!(mode, Mode::Auto | Mode::Sync) {
            (run.local_steps, run.rounds) = (10, 15);
        }
        if mode == Mode::Fedadam {
            run = run.with_outer(Outer::Adam { rate: 3e-2, beta1: 0.9, beta2: 0.99, tau: 1e-3 }, &network());
        }
        let together = accuracy(&simulate(&run, &network(), shards(&training, Split::Iid, 5)), &test);
        println!("{mode}: {together:.3}, centralised {centralised:.3}, alone {alone:.3?}");
        assert!(together > 0.8, "{mode}: {together}, centralised {centralised}, alone {alone:?}");
    }
}

#[test]
fn fit_is_what_the_laws_are_held_against() {
    // `plain` goes epoch by epoch; `fit` shows the best weights, which need not be the last.
    let rows = rows(60, 1);
    let config = TrainConfig { epochs: 3, ..config(adamw(), 16) };
    let mut trainer = Trainer::new(network(), config.clone()).expect("a trainer");
    let mut losses = Vec::new();
    trainer
        .fit(&mut rows.clone(), None, &mut |report: &EpochReport| {
            losses.push(report.train_loss);
            Control::Continue
        })
        .expect("a training");
    assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
    assert_eq!(trainer.network().params(), plain(&config, &rows, 3));
}
