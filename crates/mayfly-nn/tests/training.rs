//! Training: against a computation by hand, the same bits whatever the threads and interruptions, when it stops, what it refuses.
mod common;

use common::{Unknown, inputs, networks, quiet, values};
use mayfly_nn::*;

fn spec() -> NetworkSpec {
    NetworkSpec::dense(4, &[6], Act::Tanh.into(), 2, Activation::IDENTITY)
}

fn data(rows: usize) -> InMemory {
    InMemory::new(4, 2, values(rows * 4, 11), values(rows * 2, 12)).unwrap()
}

fn trainer(config: TrainConfig) -> Trainer {
    Trainer::new(Network::new(spec(), 3).unwrap(), config).unwrap()
}

fn bits(params: &[f32]) -> Vec<u32> {
    params.iter().map(|p| p.to_bits()).collect()
}

/// One hidden tanh layer, mean square error: loss and gradients in f64, written down by hand.
fn by_hand(params: &[f32], x: &[f32], t: &[f32]) -> (f64, Vec<f64>) {
    let p: Vec<f64> = params.iter().map(|v| f64::from(*v)).collect();
    let (w1, rest) = p.split_at(24);
    let (b1, rest) = rest.split_at(6);
    let (w2, b2) = rest.split_at(12);
    let rows = x.len() / 4;
    let (mut loss, mut grads) = (0.0, vec![0.0; p.len()]);
    for r in 0..rows {
        let x: Vec<f64> = x[r * 4..r * 4 + 4].iter().map(|v| f64::from(*v)).collect();
        let h: Vec<f64> = (0..6).map(|j| (b1[j] + (0..4).map(|i| w1[j * 4 + i] * x[i]).sum::<f64>()).tanh()).collect();
        let e: Vec<f64> = (0..2)
            .map(|k| b2[k] + (0..6).map(|j| w2[k * 6 + j] * h[j]).sum::<f64>() - f64::from(t[r * 2 + k]))
            .collect();
        loss += e.iter().map(|e| e * e).sum::<f64>() / 2.0 / rows as f64;
        let d: Vec<f64> = e.iter().map(|e| e / rows as f64).collect();
        for k in 0..2 {
            (0..6).for_each(|j| grads[30 + k * 6 + j] += d[k] * h[j]);
            grads[42 + k] += d[k];
        }
        for j in 0..6 {
            let dh = (d[0] * w2[j] + d[1] * w2[6 + j]) * (1.0 - h[j] * h[j]);
            (0..4).for_each(|i| grads[j * 4 + i] += dh * x[i]);
            grads[24 + j] += dh;
        }
    }
    (loss, grads)
}

#[test]
fn a_step_is_what_a_computation_by_hand_gives() {
    for (rows, shard_rows) in [(1, 0), (5, 0), (23, 8)] {
        let mut trainer = trainer(TrainConfig {
            shard_rows,
            threads: 1,
            ..TrainConfig::new(Algorithm::Sgd(Sgd { lr: 0.5, ..Sgd::default() }))
        });
        let (x, t) = (values(rows * 4, 1), values(rows * 2, 2));
        let before = trainer.network().params().to_vec();
        let (loss, grads) = by_hand(&before, &x, &t);
        let got = trainer.step(&x, &t).unwrap();
        assert!((f64::from(got) - loss).abs() < 1e-6, "loss {got} instead of {loss}");
        for (i, p) in trainer.network().params().iter().enumerate() {
            let want = f64::from(before[i]) - 0.5 * grads[i];
            assert!((f64::from(*p) - want).abs() < 1e-6, "rows {rows}, parameter {i}: {p} instead of {want}");
        }
    }
}

#[test]
fn clipping_shortens_the_gradient_to_the_limit_and_no_further() {
    let (x, t) = (values(20, 1), values(10, 2));
    let step = |clip_norm| {
        let mut trainer = trainer(TrainConfig { clip_norm, ..TrainConfig::new(Algorithm::Sgd(Sgd::default())) });
        trainer.step(&x, &t).unwrap();
        trainer.gradient().to_vec()
    };
    let norm = |g: &[f32]| g.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let free = step(None);
    let limit = norm(&free) as f32 * 0.25;
    let clipped = step(Some(limit));
    assert!((norm(&clipped) - f64::from(limit)).abs() < 1e-6);
    assert!(free.iter().zip(&clipped).all(|(f, c)| (f * 0.25 - c).abs() < 1e-6));
    assert_eq!(step(Some(limit * 5.0)), free);
}

/// Trains through every kind of layer and gives the parameters.
fn through_all_layers(threads: usize) -> Vec<Vec<u32>> {
    let train = |spec: &NetworkSpec| {
        let network = Network::new(spec.clone(), 1).unwrap();
        let (x, t) = (inputs(spec, 29, 5), values(29 * network.output_len(), 6));
        let mut data = InMemory::new(network.input_len(), network.output_len(), x, t).unwrap();
        let config =
            TrainConfig { threads, shard_rows: 4, epochs: 3, batch: BatchRows::Rows(16), ..TrainConfig::default() };
        let mut trainer = Trainer::new(network, config).unwrap();
        trainer.fit(&mut data, None, &mut quiet).unwrap();
        bits(trainer.network().params())
    };
    networks().iter().map(|(_, spec)| train(spec)).collect()
}

#[test]
fn the_same_bits_at_any_number_of_threads() {
    let one = through_all_layers(1);
    assert_eq!(one, through_all_layers(1), "not even twice the same");
    assert_eq!(one, through_all_layers(2));
    assert_eq!(one, through_all_layers(5));
}

#[test]
fn a_resumed_checkpoint_gives_the_bits_of_a_run_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.mayfly");
    let spec = NetworkSpec::new(&[4])
        .with(Dense::new(6, Act::Tanh))
        .with(BatchNorm::default())
        .with(Dropout { p: 0.3 })
        .with(Dense::new(2, Activation::IDENTITY));
    for (i, name) in Algorithm::NAMES.into_iter().enumerate() {
        let schedule = if i % 2 == 0 {
            Schedule::Plateau { factor: 0.5, patience: 0 }
        } else {
            Schedule::Cosine { warmup: 2.0, floor: 0.1 }
        };
        let algorithm = Algorithm::by_name(name).unwrap();
        let algorithm = algorithm.clone().with_learning_rate(0.01).unwrap_or(algorithm);
        let config = TrainConfig {
            epochs: 6,
            patience: Some(20),
            schedule,
            shard_rows: 8,
            shuffle: true,
            ..TrainConfig::new(algorithm)
        };
        let start = || Trainer::new(Network::new(spec.clone(), 3).unwrap(), config.clone()).unwrap();
        let mut never_stopped = start();
        let whole = never_stopped.fit(&mut data(37), Some(&mut data(9)), &mut quiet).unwrap();

        let mut first = start();
        let mut stop_at_3 = |report: &EpochReport| if report.epoch == 3 { Control::Stop } else { Control::Continue };
        let half = first.fit(&mut data(37), Some(&mut data(9)), &mut stop_at_3).unwrap();
        assert_eq!((half.stopped, half.epochs.len()), (Stopped::Requested, 3), "{name}");
        first.checkpoint(&path).unwrap();
        let mut second = Trainer::resume(&path).unwrap();
        assert_eq!(second.epochs(), 3);
        let rest = second.fit(&mut data(37), Some(&mut data(9)), &mut quiet).unwrap();
        assert_eq!(rest, whole, "{name}");
        assert_eq!(bits(second.network().params()), bits(never_stopped.network().params()), "{name}");
        second.checkpoint(folder.path().join("second")).unwrap();
        never_stopped.checkpoint(folder.path().join("whole")).unwrap();
        let read = |file| std::fs::read(folder.path().join(file)).unwrap();
        assert!(read("second") == read("whole"), "{name}: the checkpoints after the last epoch differ");
    }
}

#[test]
fn a_model_is_no_checkpoint_and_a_checkpoint_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.mayfly");
    Model::new(Network::new(spec(), 1).unwrap()).save(&path).unwrap();
    let error = Trainer::resume(&path).err().unwrap().to_string();
    assert!(error.contains("no checkpoint"), "{error}");
    assert!(Trainer::resume(folder.path().join("absent")).is_err());
}

#[test]
fn a_full_batch_is_the_same_whether_it_lies_in_memory_or_is_read_in_pieces() {
    for loss in [Loss::Mse, Loss::Fann { error: FannError::Tanh }] {
        let config = TrainConfig { batch: BatchRows::Full, shard_rows: 4, epochs: 3, loss, ..TrainConfig::default() };
        let (mut whole, mut pieces) = (trainer(config.clone()), trainer(config));
        let a = whole.fit(&mut data(150), None, &mut quiet).unwrap();
        let b = pieces.fit(&mut Unknown(data(150)), None, &mut quiet).unwrap();
        for (a, b) in a.epochs.iter().zip(&b.epochs) {
            assert!((a.train_loss - b.train_loss).abs() < 1e-5 * a.train_loss && a.rows == b.rows, "{a:?} {b:?}");
        }
        let apart = whole
            .network()
            .params()
            .iter()
            .zip(pieces.network().params())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(apart < 1e-5, "{apart}");
    }
}

#[test]
fn the_best_weights_are_kept_and_patience_ends_the_training() {
    // One weight, far too large a rate: the loss jumps about and then grows without bound.
    let network =
        Network::new(NetworkSpec::new(&[1]).with(Dense::new(1, Activation::IDENTITY).without_bias()), 1).unwrap();
    let config = TrainConfig {
        epochs: 50,
        patience: Some(3),
        batch: BatchRows::Full,
        ..TrainConfig::new(Algorithm::Sgd(Sgd { lr: 1.2, ..Sgd::default() }))
    };
    let mut trainer = Trainer::new(network, config).unwrap();
    let mut rows = InMemory::from_rows([([1.0], [0.0])]).unwrap();
    let mut held = InMemory::from_rows([([1.0], [0.0])]).unwrap();
    let report = trainer.fit(&mut rows, Some(&mut held), &mut quiet).unwrap();
    assert_eq!(report.stopped, Stopped::Patience);
    assert_eq!((report.best_epoch, report.epochs.len()), (1, 4));
    let best = report.best().unwrap();
    let w = f64::from(trainer.network().params()[0]);
    assert!((w * w - best.validation_loss.unwrap()).abs() < 1e-6, "the network does not have the best weights");
    assert!(report.epochs[1..].iter().all(|e| e.loss() > best.loss() && !e.is_best));
}

#[test]
fn fanns_stop_functions_end_the_training() {
    let xor = || {
        InMemory::from_rows([([-1.0, -1.0], [-1.0]), ([-1.0, 1.0], [1.0]), ([1.0, -1.0], [1.0]), ([1.0, 1.0], [-1.0])])
            .unwrap()
    };
    let symmetric = Activation::fann(FannAct::SigmoidSymmetric);
    let run = |stop| {
        let config = TrainConfig { epochs: 500, stop, ..TrainConfig::new(Algorithm::Rprop(Rprop::default())) };
        let mut trainer =
            Trainer::new(Network::new(NetworkSpec::dense(2, &[3], symmetric, 1, symmetric), 2).unwrap(), config)
                .unwrap();
        let report = trainer.fit(&mut xor(), None, &mut quiet).unwrap();
        (report, trainer.into_network().predict(xor().inputs()).unwrap())
    };
    let (report, _) = run(Some(StopAt::Mse(1e-3)));
    assert_eq!(report.stopped, Stopped::Reached);
    assert!(report.epochs.len() < 200 && report.epochs.last().unwrap().mse.unwrap() <= 1e-3);
    let (report, outputs) = run(Some(StopAt::BitFail { limit: 0.1, fails: 0 }));
    assert_eq!((report.stopped, report.epochs.last().unwrap().bit_fail), (Stopped::Reached, Some(0)));
    assert!(outputs.iter().zip(xor().targets()).all(|(y, t)| (y - t).abs() < 0.5), "{outputs:?}");
    assert_eq!(run(None).0.stopped, Stopped::Epochs);
}

#[test]
fn absent_connections_stay_absent() {
    let network = Network::new(spec(), 3).unwrap();
    let mask = Mask::new((0..network.params().len()).map(|i| i % 3 != 0));
    for name in Algorithm::NAMES {
        let sparse = Network::from_parts(spec(), network.params(), Some(mask.clone())).unwrap();
        let mut trainer = Trainer::new(
            sparse,
            TrainConfig {
                epochs: 3,
                loss: Loss::Mse,
                ..TrainConfig::new(
                    Algorithm::by_name(name)
                        .unwrap()
                        .with_learning_rate(0.01)
                        .unwrap_or(Algorithm::by_name(name).unwrap()),
                )
            },
        )
        .unwrap();
        let before = trainer.network().params().to_vec();
        trainer.fit(&mut data(20), None, &mut quiet).unwrap();
        let after = trainer.network().params();
        assert!(after.iter().enumerate().all(|(i, p)| (i % 3 != 0) || *p == 0.0), "{name}");
        assert!(after.iter().zip(&before).filter(|(a, b)| a != b).count() > 20, "{name}: nothing moved");
    }
}

#[test]
fn class_weights_are_worth_as_many_rows() {
    // A class that counts three times is a class whose rows are there three times.
    let spec = || NetworkSpec::dense(2, &[], Activation::IDENTITY, 2, Activation::Softmax);
    let a = ([0.3, -0.4], [1.0, 0.0]);
    let b = ([-0.8, 0.1], [0.0, 1.0]);
    let gradient = |rows: Vec<([f32; 2], [f32; 2])>, class_weights| {
        let config = TrainConfig {
            loss: Loss::CrossEntropy { smoothing: 0.0 },
            class_weights,
            batch: BatchRows::Full,
            ..TrainConfig::default()
        };
        let mut trainer = Trainer::new(Network::new(spec(), 1).unwrap(), config).unwrap();
        trainer.epoch(&mut InMemory::from_rows(rows).unwrap(), None).unwrap();
        trainer.gradient().to_vec()
    };
    let weighted = gradient(vec![a, b], Some(vec![1.0, 3.0]));
    let repeated = gradient(vec![a, b, b, b], None);
    assert!(weighted.iter().zip(&repeated).all(|(w, r)| (w - r * 2.0).abs() < 1e-6), "{weighted:?} {repeated:?}");
}

#[test]
fn batch_norm_follows_the_batches() {
    let network = Network::new(
        NetworkSpec::new(&[2])
            .with(BatchNorm { momentum: 0.5, ..BatchNorm::default() })
            .with(Dense::new(1, Activation::IDENTITY)),
        1,
    )
    .unwrap();
    let rows = [([0.0, 1.0], [0.0]), ([2.0, 1.0], [0.0]), ([4.0, 4.0], [0.0]), ([6.0, 4.0], [0.0])];
    for shard_rows in [0, 2] {
        let mut trainer =
            Trainer::new(network.clone(), TrainConfig { shard_rows, batch: BatchRows::Full, ..TrainConfig::default() })
                .unwrap();
        trainer.epoch(&mut InMemory::from_rows(rows).unwrap(), None).unwrap();
        // Halfway from mean 0 and variance 1 to the batch's, or to the mean of the shards'.
        let want = if shard_rows == 0 { [1.5, 1.25, 3.0, 1.625] } else { [1.5, 1.25, 1.0, 0.5] };
        let got = trainer.network().param("layers.0.running").unwrap();
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?} instead of {want:?}");
    }
}

fn cause(result: Result<FitReport>) -> Divergence {
    match result.unwrap_err() {
        NnError::Diverged { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn divergence_names_the_place_and_the_cause() {
    let run = |x: Vec<f32>, t: Vec<f32>, lr: f32, loss: Loss| {
        let config = TrainConfig {
            epochs: 40,
            loss,
            batch: BatchRows::Full,
            ..TrainConfig::new(Algorithm::Sgd(Sgd { lr, ..Sgd::default() }))
        };
        cause(trainer(config).fit(&mut InMemory::new(4, 2, x, t).unwrap(), None, &mut quiet))
    };
    let with = |n: usize, at: usize, v: f32| {
        let mut values = values(n, 1);
        values[at] = v;
        values
    };
    let nan = run(with(12, 6, f32::NAN), values(6, 2), 0.1, Loss::Mse);
    assert!(matches!(nan, Divergence::Input { row: 1, column: 2, value } if value.is_nan()), "{nan}");
    let infinite = run(values(12, 1), with(6, 5, f32::INFINITY), 0.1, Loss::Mse);
    assert_eq!(infinite, Divergence::Target { row: 2, column: 1, value: f32::INFINITY });
    let fast = run(values(12, 1), values(6, 2), 1e30, Loss::Mse);
    assert!(matches!(&fast, Divergence::Parameter { .. } | Divergence::Gradient { .. }), "{fast}");
    assert!(fast.to_string().contains("layers."), "{fast}");
    let overflow = run(values(12, 1), vec![1e30; 6], 1e-3, Loss::Mse);
    assert!(matches!(overflow, Divergence::Gradient { .. } | Divergence::Loss { .. }), "{overflow}");
    let spec = NetworkSpec::dense(4, &[3], Act::Exp.into(), 2, Activation::IDENTITY);
    let mut network = Network::new(spec, 1).unwrap();
    network.params_mut().fill(100.0);
    let mut trainer = Trainer::new(network, TrainConfig::default()).unwrap();
    let found = cause(trainer.fit(&mut InMemory::new(4, 2, vec![1.0; 8], vec![0.0; 4]).unwrap(), None, &mut quiet));
    assert_eq!(found, Divergence::Activation { layer: "layers.0".to_owned(), value: f32::INFINITY });
}

#[test]
fn settings_and_data_that_make_no_sense_are_refused() {
    let bad = [
        TrainConfig { batch: BatchRows::Rows(0), ..TrainConfig::default() },
        TrainConfig { clip_norm: Some(0.0), ..TrainConfig::default() },
        TrainConfig { min_delta: f64::NAN, ..TrainConfig::default() },
        TrainConfig { class_weights: Some(vec![1.0]), ..TrainConfig::default() },
        TrainConfig { schedule: Schedule::Step { every: 0, factor: 0.5 }, ..TrainConfig::default() },
        TrainConfig { algorithm: Algorithm::Adam(Adam { lr: -1.0, ..Adam::default() }), ..TrainConfig::default() },
        TrainConfig { algorithm: Algorithm::Sgd(Sgd { momentum: 1.0, ..Sgd::default() }), ..TrainConfig::default() },
        TrainConfig { loss: Loss::CrossEntropy { smoothing: 2.0 }, ..TrainConfig::default() },
    ];
    for config in bad {
        let text = format!("{config:?}");
        assert!(Trainer::new(Network::new(spec(), 1).unwrap(), config).is_err(), "{text}");
    }
    let mut trainer = trainer(TrainConfig::default());
    let other = InMemory::new(3, 2, vec![0.0; 6], vec![0.0; 4]).unwrap();
    let error = trainer.fit(&mut other.clone(), None, &mut quiet).unwrap_err();
    assert!(matches!(error, NnError::DataShape { what: "inputs", want: 4, got: 3 }), "{error}");
    assert!(matches!(trainer.fit(&mut data(0), None, &mut quiet).unwrap_err(), NnError::NoRows { .. }));
    assert!(trainer.fit(&mut data(3), Some(&mut data(0)), &mut quiet).is_err());
    assert!(
        trainer.step(&[0.0; 7], &[0.0; 4]).is_err()
            && trainer.step(&[], &[]).is_err()
            && trainer.step(&[0.0; 8], &[0.0; 2]).is_err()
    );
    let ids = NetworkSpec::new(&[2]).with(Embedding { rows: 3, width: 2 }).with(Flatten {});
    let mut trainer = Trainer::new(Network::new(ids, 1).unwrap(), TrainConfig::default()).unwrap();
    for bad in [3.0, -1.0, 0.5, f32::NAN] {
        let error = trainer.step(&[0.0, 1.0, 2.0, bad], &[0.0; 8]).unwrap_err();
        assert!(matches!(error, NnError::EmbeddingId { row: 1, column: 1, rows: 3, .. }), "{error}");
        assert!(trainer.network().predict(&[0.0, bad]).is_err());
    }
}

#[test]
fn observers_hear_of_batches_and_can_stop_in_between() {
    struct Watch(Vec<BatchReport>);
    impl Observer for Watch {
        fn epoch(&mut self, _: &EpochReport) -> Control {
            Control::Continue
        }
        fn batch(&mut self, report: &BatchReport) -> Control {
            self.0.push(*report);
            if report.epoch == 2 && report.rows == 20 { Control::Stop } else { Control::Continue }
        }
    }
    let mut watch = Watch(Vec::new());
    let mut trainer = trainer(TrainConfig { batch: BatchRows::Rows(10), ..TrainConfig::default() });
    let report = trainer.fit(&mut data(35), None, &mut watch).unwrap();
    assert_eq!(
        watch.0.iter().map(|b| (b.epoch, b.rows)).collect::<Vec<_>>(),
        [(1, 10), (1, 20), (1, 30), (1, 35), (2, 10), (2, 20)]
    );
    assert_eq!((report.stopped, report.epochs.len(), report.epochs[1].rows), (Stopped::Requested, 2, 20));
}

#[test]
fn the_schedule_moves_the_rate() {
    // A gradient that is always 1: the parameter tells the sum of the rates.
    let network =
        || Network::new(NetworkSpec::new(&[1]).with(Dense::new(1, Activation::IDENTITY).without_bias()), 1).unwrap();
    let config = TrainConfig {
        loss: Loss::Mae,
        schedule: Schedule::Step { every: 2, factor: 0.5 },
        epochs: 4,
        batch: BatchRows::Rows(1),
        ..TrainConfig::new(Algorithm::Sgd(Sgd { lr: 0.25, ..Sgd::default() }))
    };
    let mut trainer = Trainer::new(network(), config).unwrap();
    let start = trainer.network().params()[0];
    trainer.fit(&mut InMemory::from_rows([([1.0], [-100.0]), ([1.0], [-100.0])]).unwrap(), None, &mut quiet).unwrap();
    let moved = start - trainer.network().params()[0];
    assert!((moved - 2.0 * (0.25 + 0.25 + 0.125 + 0.125)).abs() < 1e-5, "{moved}");
}
