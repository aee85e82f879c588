//! Training at its edges: which network is kept, what a checkpoint carries, data sets that lie, numbers that overflow.
mod common;

use common::{Unknown, quiet, values};
use mayfly_nn::*;
use proptest::prelude::*;

fn line(without_bias: f32) -> Network {
    let spec = NetworkSpec::new(&[1]).with(Dense::new(1, Activation::IDENTITY).without_bias());
    Network::from_parts(spec, &[without_bias], None).unwrap()
}

fn sgd(lr: f32) -> Algorithm {
    Algorithm::Sgd(Sgd { lr, ..Sgd::default() })
}

fn xor() -> InMemory {
    InMemory::from_rows([([0.0, 0.0], [0.0]), ([0.0, 1.0], [1.0]), ([1.0, 0.0], [1.0]), ([1.0, 1.0], [0.0])]).unwrap()
}

/// Rows whose squared error overflows while the weight is above 1.8.
fn overflowing() -> InMemory {
    InMemory::from_rows([([1e19_f32], [0.0])]).unwrap()
}

fn shrinking() -> InMemory {
    InMemory::from_rows((0..8).map(|i| ([1.0 + i as f32 * 0.1], [0.0]))).unwrap()
}

#[test]
fn an_infinite_validation_loss_is_beaten_by_any_other() {
    for patience in [None, Some(60)] {
        let config = TrainConfig { epochs: 400, patience, batch: BatchRows::Rows(8), ..TrainConfig::new(sgd(0.01)) };
        let mut trainer = Trainer::new(line(10.0), config).unwrap();
        let report = trainer.fit(&mut shrinking(), Some(&mut overflowing()), &mut ()).unwrap();
        assert_eq!(report.epochs[0].validation_loss, Some(f64::INFINITY));
        assert!(!report.epochs[0].is_best && report.best().unwrap().validation_loss.unwrap().is_finite());
        assert_eq!(report.best_epoch, 400, "every epoch is better than the one before");
        let w = trainer.network().params()[0];
        assert!(w.abs() < 1e-3, "{w}");
    }
}

#[test]
fn losses_that_are_never_finite_run_out_of_patience_and_leave_the_last_network() {
    let config = TrainConfig { epochs: 40, patience: Some(5), batch: BatchRows::Full, ..TrainConfig::new(sgd(1e-4)) };
    let mut trainer = Trainer::new(line(10.0), config).unwrap();
    let report = trainer.fit(&mut shrinking(), Some(&mut overflowing()), &mut ()).unwrap();
    assert_eq!((report.stopped, report.best_epoch, report.epochs.len()), (Stopped::Patience, 5, 5));
    assert!(report.epochs.iter().all(|e| !e.is_best) && trainer.network().params()[0] < 10.0);
}

/// Without validation rows: the network that comes back has the lowest training loss, whatever the algorithm does afterwards.
#[test]
fn without_validation_rows_the_network_of_the_lowest_loss_is_kept() {
    for name in Algorithm::NAMES {
        for seed in 1..=3 {
            let algorithm = Algorithm::by_name(name).unwrap();
            let fast = algorithm.clone().with_learning_rate(1.5).unwrap_or(algorithm);
            let loss = fast.default_loss();
            let config = TrainConfig { epochs: 120, seed, batch: BatchRows::Full, ..TrainConfig::new(fast) };
            let sigmoid = Activation::fann(FannAct::Sigmoid);
            let spec = NetworkSpec::dense(2, &[6], Activation::fann(FannAct::SigmoidSymmetric), 1, sigmoid);
            let mut trainer = Trainer::new(Network::new(spec, seed).unwrap(), config).unwrap();
            let Ok(report) = trainer.fit(&mut xor(), None, &mut ()) else { continue };
            let lowest = report.epochs.iter().map(|e| e.train_loss).fold(f64::INFINITY, f64::min);
            let kept = mean_loss(trainer.network(), &loss, &mut xor()).unwrap();
            assert!(kept <= lowest * (1.0 + 1e-5) + 1e-12, "{name}, seed {seed}: {kept} is kept, {lowest} was seen");
            let best = report.best().unwrap();
            let is_last = report.best_epoch == 120;
            assert!(
                is_last || (best.is_best && best.train_loss == lowest),
                "{name}, seed {seed}: {}",
                report.best_epoch
            );
        }
    }
}

#[test]
fn rprop_that_goes_on_past_the_end_does_not_ruin_the_network() {
    for seed in 1..=8 {
        let config = TrainConfig { epochs: 300, seed, ..TrainConfig::new(Algorithm::Rprop(Rprop::default())) };
        let sigmoid = Activation::fann(FannAct::Sigmoid);
        let spec = NetworkSpec::dense(2, &[32], Activation::fann(FannAct::SigmoidSymmetric), 1, sigmoid);
        let mut trainer = Trainer::new(Network::new(spec, seed).unwrap(), config).unwrap();
        let report = trainer.fit(&mut xor(), None, &mut ()).unwrap();
        let y = trainer.network().predict(xor().inputs()).unwrap();
        let right = y.iter().zip(xor().targets()).all(|(y, t)| (y - t).abs() < 0.35);
        assert!(right, "seed {seed}, best epoch {}: {y:?}", report.best_epoch);
    }
}

#[test]
fn the_network_that_reached_the_aim_is_the_one_that_is_kept() {
    for stop in [StopAt::Mse(0.01), StopAt::BitFail { limit: 0.2, fails: 0 }] {
        let config =
            TrainConfig { epochs: 500, stop: Some(stop), ..TrainConfig::new(Algorithm::Rprop(Rprop::default())) };
        let sigmoid = Activation::fann(FannAct::Sigmoid);
        let spec = NetworkSpec::dense(2, &[8], Activation::fann(FannAct::SigmoidSymmetric), 1, sigmoid);
        let mut trainer = Trainer::new(Network::new(spec, 2).unwrap(), config).unwrap();
        let report = trainer.fit(&mut xor(), None, &mut ()).unwrap();
        assert_eq!((report.stopped, report.best_epoch), (Stopped::Reached, report.epochs.len() as u64));
        let y = trainer.network().predict(xor().inputs()).unwrap();
        let off: Vec<f32> = y.iter().zip(xor().targets()).map(|(y, t)| (y - t).abs()).collect();
        match stop {
            StopAt::Mse(limit) => assert!(off.iter().map(|d| f64::from(d * d)).sum::<f64>() / 4.0 <= limit),
            StopAt::BitFail { limit, .. } => assert!(off.iter().all(|d| *d < limit), "{off:?}"),
        }
    }
}

#[test]
fn after_divergence_the_network_has_the_best_weights() {
    let config = TrainConfig { epochs: 500, batch: BatchRows::Full, ..TrainConfig::new(sgd(1.3)) };
    let mut trainer = Trainer::new(line(0.5), config).unwrap();
    let mut data = InMemory::from_rows([([1.0], [0.0])]).unwrap();
    assert!(matches!(trainer.fit(&mut data, None, &mut ()), Err(NnError::Diverged { .. })));
    assert_eq!(trainer.network().params(), [0.5], "the first weight was the best");
}

#[test]
fn a_loss_within_min_delta_of_the_best_is_no_progress() {
    // w ← 0.9 w: each loss is 0.81 of the one before.
    let run = |min_delta| {
        let config = TrainConfig { epochs: 30, min_delta, patience: Some(3), ..TrainConfig::new(sgd(0.05)) };
        let mut held = InMemory::from_rows([([1.0], [0.0])]).unwrap();
        Trainer::new(line(1.0), config).unwrap().fit(&mut held.clone(), Some(&mut held), &mut ()).unwrap()
    };
    assert_eq!((run(0.18).stopped, run(0.18).epochs.len()), (Stopped::Epochs, 30));
    // Not below 0.8 of the best within one epoch, but within two.
    let halting = run(0.20);
    assert_eq!(halting.stopped, Stopped::Epochs);
    assert_eq!(
        halting.epochs.iter().map(|e| e.is_best).take(6).collect::<Vec<_>>(),
        [true, false, true, false, true, false]
    );
    // Never below 0.4 within three.
    let stuck = run(0.6);
    assert_eq!((stuck.stopped, stuck.epochs.len(), stuck.best_epoch), (Stopped::Patience, 4, 1));
}

#[test]
fn a_plateau_of_the_loss_lowers_the_rate_of_the_training() {
    // The loss never changes: the gradient of a dead unit is zero.
    let spec = NetworkSpec::dense(1, &[1], Act::Relu.into(), 1, Activation::IDENTITY);
    let network = Network::from_parts(spec, &[-1.0, -1.0, 1.0, 0.0], None).unwrap();
    let schedule = Schedule::Plateau { factor: 0.5, patience: 1 };
    let config =
        TrainConfig { epochs: 8, schedule, ..TrainConfig::new(Algorithm::Batch(Batch { learning_rate: 1e-30 })) };
    let mut trainer = Trainer::new(network, config).unwrap();
    let report = trainer.fit(&mut InMemory::from_rows([([1.0], [0.25])]).unwrap(), None, &mut quiet).unwrap();
    let rates: Vec<f32> = report.epochs.iter().map(|e| e.rate).collect();
    assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]);
}

#[test]
fn steps_after_fit_are_in_the_checkpoint_and_in_the_next_fit() {
    let folder = tempfile::tempdir().unwrap();
    let mut train = InMemory::from_rows((0..16).map(|i| ([i as f32 / 16.0], [i as f32 / 8.0]))).unwrap();
    for held in [true, false] {
        let spec = NetworkSpec::dense(1, &[4], Act::Tanh.into(), 1, Activation::IDENTITY);
        let config = TrainConfig { epochs: 3, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Network::new(spec, 1).unwrap(), config).unwrap();
        let fit = |trainer: &mut Trainer, train: &mut InMemory| {
            let mut rows = train.clone();
            trainer.fit(train, held.then_some(&mut rows as &mut dyn Dataset), &mut ()).unwrap()
        };
        fit(&mut trainer, &mut train);
        for _ in 0..100 {
            trainer.step(&[0.5, 0.25], &[1.0, 0.5]).unwrap();
        }
        let stepped = trainer.network().params().to_vec();
        let path = folder.path().join("steps");
        trainer.checkpoint(&path).unwrap();
        let mut again = Trainer::resume(&path).unwrap();
        assert_eq!(stepped, again.network().params());
        // No epoch is left: the network stays as the steps made it, resumed or not.
        for trainer in [&mut trainer, &mut again] {
            fit(trainer, &mut train);
            assert_eq!(stepped, trainer.network().params());
        }
        // One more epoch at no rate to speak of begins where the steps ended.
        trainer.set_epochs(4);
        let mut begun = Vec::new();
        struct First<'a>(&'a mut Vec<f64>);
        impl Observer for First<'_> {
            fn epoch(&mut self, report: &EpochReport) -> Control {
                self.0.push(report.train_loss);
                Control::Continue
            }
        }
        let mut rows = train.clone();
        trainer.fit(&mut train, held.then_some(&mut rows as &mut dyn Dataset), &mut First(&mut begun)).unwrap();
        let before = mean_loss(again.network(), &Loss::Mse, &mut rows).unwrap();
        assert!((begun[0] - before).abs() < 1e-6, "{} is the loss of the stepped network, {before}", begun[0]);
    }
}

#[test]
fn a_training_that_ended_by_patience_stays_ended_until_more_epochs_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut train = InMemory::from_rows((0..16).map(|i| ([i as f32 / 16.0], [(i % 3) as f32]))).unwrap();
    let mut held = InMemory::from_rows((0..16).map(|i| ([i as f32 / 16.0], [(i % 5) as f32]))).unwrap();
    let spec = NetworkSpec::dense(1, &[32], Act::Tanh.into(), 1, Activation::IDENTITY);
    let algorithm = Algorithm::Adam(Adam { lr: 0.05, ..Adam::default() });
    let config = TrainConfig { epochs: 5000, patience: Some(5), algorithm, ..TrainConfig::default() };
    let mut trainer = Trainer::new(Network::new(spec, 1).unwrap(), config).unwrap();
    let once = trainer.fit(&mut train, Some(&mut held), &mut ()).unwrap();
    assert_eq!(once.stopped, Stopped::Patience);
    let path = folder.path().join("ended");
    trainer.checkpoint(&path).unwrap();
    let mut resumed = Trainer::resume(&path).unwrap();
    assert_eq!(trainer.fit(&mut train, Some(&mut held), &mut ()).unwrap(), once);
    assert_eq!(resumed.fit(&mut train, Some(&mut held), &mut ()).unwrap(), once);
    assert_eq!(trainer.network().params(), resumed.network().params());
    trainer.set_epochs(5000);
    let more = trainer.fit(&mut train, Some(&mut held), &mut ()).unwrap();
    assert!(more.epochs.len() >= once.epochs.len() + 5);
}

/// Every setting at what it may be at most.
fn extremes() -> Vec<TrainConfig> {
    let (most, inf) = (f32::MAX, f32::INFINITY);
    let rprop = |delta_max| Algorithm::Rprop(Rprop { delta_max, ..Rprop::default() });
    let sarprop = |delta_max| Algorithm::Sarprop(Sarprop { delta_max, ..Sarprop::default() });
    let quick = Algorithm::Quickprop(Quickprop { learning_rate: 1e-3, mu: 1e-30, decay: -1e-30 });
    let full = |algorithm| TrainConfig { epochs: 3, ..TrainConfig::new(algorithm) };
    let plain = || TrainConfig { epochs: 3, ..TrainConfig::default() };
    let mut all = vec![full(rprop(inf)), full(rprop(most)), full(sarprop(inf)), full(sarprop(most)), full(quick)];
    all.extend([
        TrainConfig { clip_norm: Some(inf), ..plain() },
        TrainConfig { clip_norm: Some(f32::MIN_POSITIVE), ..plain() },
        TrainConfig { min_delta: f64::INFINITY, patience: Some(usize::MAX), ..plain() },
        TrainConfig { min_delta: 0.1 + 0.2, ..plain() },
        TrainConfig { min_delta: 1e-300, ..plain() },
        TrainConfig { stop: Some(StopAt::Mse(0.0)), ..plain() },
        TrainConfig { stop: Some(StopAt::Mse(-f64::INFINITY)), ..plain() },
        TrainConfig { stop: Some(StopAt::BitFail { limit: inf, fails: usize::MAX }), ..plain() },
        TrainConfig { seed: u64::MAX, threads: usize::MAX, shard_rows: usize::MAX, ..plain() },
        TrainConfig { batch: BatchRows::Rows(usize::MAX), ..plain() },
        TrainConfig { schedule: Schedule::Step { every: usize::MAX, factor: f32::MIN_POSITIVE }, ..plain() },
        TrainConfig { schedule: Schedule::Exponential { factor: 1e-38 }, ..plain() },
        TrainConfig { schedule: Schedule::Cosine { warmup: most, floor: 1.0 }, ..plain() },
        TrainConfig { schedule: Schedule::Plateau { factor: 1e-38, patience: usize::MAX }, ..plain() },
        TrainConfig { schedule: Schedule::OneCycle { rise: 1e-30, start: 0.0, end: 0.1 }, ..plain() },
    ]);
    all
}

#[test]
fn settings_at_their_extremes_come_back_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let data = || InMemory::from_rows((0..16).map(|i| ([i as f32 / 16.0], [i as f32 / 16.0]))).unwrap();
    for config in extremes() {
        let spec = NetworkSpec::dense(1, &[4], Act::Tanh.into(), 1, Activation::IDENTITY);
        let mut trainer = Trainer::new(Network::new(spec, 1).unwrap(), config.clone()).unwrap();
        trainer.fit(&mut data(), None, &mut ()).unwrap();
        let path = folder.path().join("extreme");
        trainer.checkpoint(&path).unwrap();
        let mut again = Trainer::resume(&path).unwrap_or_else(|e| panic!("{config:?}: {e}"));
        assert_eq!(again.config(), &config);
        for trainer in [&mut trainer, &mut again] {
            trainer.set_epochs(5);
            trainer.fit(&mut data(), None, &mut ()).unwrap();
        }
        assert_eq!(trainer.network().params(), again.network().params(), "{config:?}");
    }
}

#[test]
fn settings_that_are_no_numbers_are_refused() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let algorithms = [
        Algorithm::Rprop(Rprop { delta_max: nan, ..Rprop::default() }),
        Algorithm::Rprop(Rprop { delta_min: nan, ..Rprop::default() }),
        Algorithm::Rprop(Rprop { delta_min: inf, ..Rprop::default() }),
        Algorithm::Sarprop(Sarprop { delta_max: nan, ..Sarprop::default() }),
        Algorithm::Sarprop(Sarprop { temperature: inf, ..Sarprop::default() }),
        Algorithm::Sarprop(Sarprop { weight_decay_shift: nan, ..Sarprop::default() }),
        Algorithm::Quickprop(Quickprop { decay: nan, ..Quickprop::default() }),
        Algorithm::Adagrad(Adagrad { lr_decay: nan, ..Adagrad::default() }),
        Algorithm::Adagrad(Adagrad { lr_decay: inf, ..Adagrad::default() }),
    ];
    let plain = TrainConfig::default;
    let others = [
        TrainConfig { stop: Some(StopAt::Mse(f64::NAN)), ..plain() },
        TrainConfig { stop: Some(StopAt::BitFail { limit: nan, fails: 0 }), ..plain() },
        TrainConfig { clip_norm: Some(nan), ..plain() },
        TrainConfig { schedule: Schedule::OneCycle { rise: 0.5, start: inf, end: 0.0 }, ..plain() },
    ];
    for config in algorithms.into_iter().map(TrainConfig::new).chain(others) {
        let text = format!("{config:?}");
        assert!(matches!(Trainer::new(line(1.0), config), Err(NnError::Option { .. })), "{text}");
    }
}

/// What a data set of the user's may claim.
struct Claims {
    rows: InMemory,
    said: Option<usize>,
    claim: fn(usize) -> usize,
}

impl Dataset for Claims {
    fn input_len(&self) -> usize {
        1
    }
    fn target_len(&self) -> usize {
        1
    }
    fn rows(&self) -> Option<usize> {
        self.said
    }
    fn start(&mut self, order: Order) -> Result<()> {
        self.rows.start(order)
    }
    fn next(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<usize> {
        Ok((self.claim)(self.rows.next(x, t)?))
    }
}

#[test]
fn data_sets_that_lie_get_an_error_that_says_so() {
    let rows = || InMemory::from_rows((0..300).map(|i| ([i as f32 / 300.0], [0.0]))).unwrap();
    let claims: [(Option<usize>, fn(usize) -> usize); 7] = [
        (None, |_| usize::MAX),
        (Some(300), |_| usize::MAX),
        (Some(300), |n| n + 1),
        (Some(300), |_| 0),
        (Some(usize::MAX), |n| n),
        (Some(299), |n| n),
        (Some(301), |n| n),
    ];
    for batch in [BatchRows::Rows(7), BatchRows::Rows(300), BatchRows::Full] {
        for (said, claim) in claims {
            let config = TrainConfig { batch, epochs: 2, ..TrainConfig::default() };
            let lying = || Claims { rows: rows(), said, claim };
            let is_named = |e: NnError| matches!(e, NnError::RowsReturned { .. } | NnError::RowsCounted { .. });
            let mut trainer = Trainer::new(line(1.0), config.clone()).unwrap();
            assert!(is_named(trainer.fit(&mut lying(), None, &mut ()).unwrap_err()), "{said:?} {batch:?}");
            let mut trainer = Trainer::new(line(1.0), config).unwrap();
            assert!(is_named(trainer.fit(&mut rows(), Some(&mut lying()), &mut ()).unwrap_err()), "{said:?}");
            assert!(is_named(mean_loss(&line(1.0), &Loss::Mse, &mut lying()).unwrap_err()), "{said:?}");
        }
    }
}

#[test]
fn memory_that_a_data_set_shows_is_checked_before_it_is_used() {
    struct Shows(Vec<f32>, Vec<f32>);
    impl Dataset for Shows {
        fn input_len(&self) -> usize {
            1
        }
        fn target_len(&self) -> usize {
            1
        }
        fn rows(&self) -> Option<usize> {
            None
        }
        fn start(&mut self, _: Order) -> Result<()> {
            Ok(())
        }
        fn next(&mut self, _: &mut [f32], _: &mut [f32]) -> Result<usize> {
            Ok(0)
        }
        fn in_place(&self) -> Option<(&[f32], &[f32])> {
            Some((&self.0, &self.1))
        }
    }
    let config = TrainConfig { batch: BatchRows::Full, ..TrainConfig::default() };
    for targets in [0, 2, 4] {
        let mut trainer = Trainer::new(line(1.0), config.clone()).unwrap();
        let error = trainer.fit(&mut Shows(vec![0.0; 3], vec![0.0; targets]), None, &mut ()).unwrap_err();
        assert!(matches!(error, NnError::Length { want: 3, .. }), "{error}");
    }
}

/// Gives its rows a few at a time, as readers may.
struct Dribbles(InMemory, usize);

impl Dataset for Dribbles {
    fn input_len(&self) -> usize {
        self.0.input_len()
    }
    fn target_len(&self) -> usize {
        self.0.target_len()
    }
    fn rows(&self) -> Option<usize> {
        self.0.rows()
    }
    fn start(&mut self, order: Order) -> Result<()> {
        self.0.start(order)
    }
    fn next(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<usize> {
        let rows = (x.len() / self.input_len()).min(self.1);
        let (n, m) = (self.input_len(), self.target_len());
        self.0.next(&mut x[..rows * n], &mut t[..rows * m])
    }
}

#[test]
fn rows_that_come_a_few_at_a_time_make_the_same_batches() {
    let rows = InMemory::new(4, 2, values(400, 1), values(200, 2)).unwrap();
    let spec = NetworkSpec::dense(4, &[5], Act::Tanh.into(), 2, Activation::IDENTITY);
    let run = |data: &mut dyn Dataset, held: &mut dyn Dataset| {
        let config = TrainConfig { epochs: 3, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Network::new(spec.clone(), 1).unwrap(), config).unwrap();
        let report = trainer.fit(data, Some(held), &mut ()).unwrap();
        (report, trainer.into_network().params().to_vec())
    };
    let whole = run(&mut rows.clone(), &mut rows.clone());
    for few in [1, 7, 31] {
        assert_eq!(run(&mut Dribbles(rows.clone(), few), &mut Dribbles(rows.clone(), few)), whole);
    }
}

#[test]
fn the_loss_of_few_rows_is_the_same_whether_their_number_is_known() {
    // A logarithm, which is infinite where rows would be filled up with zeros.
    let spec = NetworkSpec::new(&[1]).with(Activation::Act(Act::Log)).with(Dense::new(1, Activation::IDENTITY));
    let network = Network::new(spec, 1).unwrap();
    for rows in [1, 19, 255, 256, 257, 300, 600] {
        let data = InMemory::from_rows((1..=rows).map(|i| ([i as f32], [1.0]))).unwrap();
        let known = mean_loss(&network, &Loss::Mse, &mut data.clone()).unwrap();
        let unknown = mean_loss(&network, &Loss::Mse, &mut Unknown(data.clone())).unwrap();
        let y = network.predict(data.inputs()).unwrap();
        let by_hand = y.iter().map(|y| f64::from(y - 1.0).powi(2)).sum::<f64>() / rows as f64;
        assert_eq!(known, unknown, "{rows} rows");
        assert!((known - by_hand).abs() < 1e-5 * by_hand, "{rows} rows: {known} instead of {by_hand}");
    }
}

#[test]
fn divergence_is_found_in_the_last_rows_as_in_the_first() {
    let spec = || NetworkSpec::new(&[1]).with(Activation::Act(Act::Square)).with(Dense::new(1, Activation::IDENTITY));
    let message = |at: usize, rows: usize| {
        let x: Vec<f32> = (0..rows).map(|i| if i == at { 1e30 } else { 1.0 }).collect();
        let config = TrainConfig { batch: BatchRows::Full, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Network::new(spec(), 1).unwrap(), config.clone()).unwrap();
        let stepped = trainer.step(&x, &vec![0.0; rows]).unwrap_err().to_string();
        let data = InMemory::new(1, 1, x, vec![0.0; rows]).unwrap();
        let mut trainer = Trainer::new(Network::new(spec(), 1).unwrap(), config).unwrap();
        let read = trainer.fit(&mut Unknown(data), None, &mut ()).unwrap_err().to_string();
        assert_eq!(stepped, read, "read in pieces");
        stepped
    };
    for rows in [1, 63, 64, 65, 70, 128, 200] {
        assert_eq!(message(rows - 1, rows), message(0, rows), "{rows} rows");
        assert!(message(rows - 1, rows).contains("layers.0"));
    }
}

#[test]
fn each_epoch_has_an_order_of_its_own() {
    struct Watched(InMemory, Vec<Order>);
    impl Dataset for Watched {
        fn input_len(&self) -> usize {
            1
        }
        fn target_len(&self) -> usize {
            1
        }
        fn rows(&self) -> Option<usize> {
            self.0.rows()
        }
        fn start(&mut self, order: Order) -> Result<()> {
            self.1.push(order);
            self.0.start(order)
        }
        fn next(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<usize> {
            self.0.next(x, t)
        }
    }
    let rows = InMemory::from_rows((0..40).map(|i| ([i as f32 / 40.0], [0.0]))).unwrap();
    let orders = |seed, shuffle| {
        let config = TrainConfig { epochs: 5, seed, shuffle, ..TrainConfig::default() };
        let mut data = Watched(rows.clone(), Vec::new());
        let mut trainer = Trainer::new(line(1.0), config).unwrap();
        for _ in 0..5 {
            trainer.epoch(&mut data, None).unwrap();
        }
        data.1
    };
    let distinct = |orders: &[Order]| {
        let seed = |order: &Order| match order {
            Order::Shuffled(seed) => *seed,
            Order::AsIs => panic!("an epoch was not shuffled"),
        };
        orders.iter().map(seed).collect::<std::collections::BTreeSet<_>>().len()
    };
    let (first, second) = (orders(1, true), orders(2, true));
    assert_eq!((distinct(&first), distinct(&second)), (5, 5));
    assert_eq!(first, orders(1, true));
    assert_ne!(first, second);
    assert_eq!(orders(1, false), [Order::AsIs; 5]);
}

#[test]
fn clipping_looks_at_all_trained_parameters_and_at_no_other() {
    // Batch norm's running statistics part the parameters in two ranges.
    let spec = NetworkSpec::new(&[3])
        .with(Dense::new(4, Act::Tanh))
        .with(BatchNorm::default())
        .with(Dense::new(2, Activation::IDENTITY));
    let step = |clip_norm| {
        let config = TrainConfig { clip_norm, ..TrainConfig::new(sgd(1.0)) };
        let network = Network::new(spec.clone(), 3).unwrap();
        let before = network.params().to_vec();
        let mut trainer = Trainer::new(network, config).unwrap();
        trainer.step(&values(18, 1), &values(12, 2)).unwrap();
        let moved: Vec<f64> = before.iter().zip(trainer.network().params()).map(|(b, a)| f64::from(b - a)).collect();
        let network = trainer.into_network();
        let at = network.layout().iter().find(|p| p.name.ends_with("running")).unwrap().range();
        (moved, at)
    };
    let (free, running) = step(None);
    let trained = |i: &usize| !running.contains(i);
    let norm = |g: &[f64]| (0..g.len()).filter(trained).map(|i| g[i] * g[i]).sum::<f64>().sqrt();
    let behind: f64 = (running.end..free.len()).map(|i| free[i] * free[i]).sum::<f64>().sqrt();
    assert!(behind > 0.3 * norm(&free), "much of the gradient lies behind the statistics");
    let limit = 0.9 * norm(&free);
    let (clipped, _) = step(Some(limit as f32));
    assert!((norm(&clipped) - limit).abs() < 1e-5, "{} instead of {limit}", norm(&clipped));
    assert!(running.clone().all(|i| clipped[i] == free[i]), "statistics are not clipped");
}

#[test]
fn sgd_without_momentum_keeps_nothing_from_step_to_step() {
    let gradient = |w: f32| 2.0 * w; // of (w·1 − 0)²
    let mut trainer = Trainer::new(line(1.0), TrainConfig::new(sgd(0.1))).unwrap();
    let mut w = 1.0f32;
    for _ in 0..10 {
        trainer.step(&[1.0], &[0.0]).unwrap();
        w -= 0.1 * gradient(w);
        assert!((trainer.network().params()[0] - w).abs() < 1e-6);
    }
}

#[test]
fn an_output_exactly_at_the_limit_has_failed() {
    let count = |off: f32| {
        let config = TrainConfig {
            stop: Some(StopAt::BitFail { limit: 0.25, fails: 0 }),
            batch: BatchRows::Full,
            epochs: 1,
            ..TrainConfig::new(sgd(1e-9))
        };
        let mut data = InMemory::from_rows([([1.0], [off]), ([1.0], [-off]), ([1.0], [0.0])]).unwrap();
        Trainer::new(line(0.0), config).unwrap().epoch(&mut data, None).unwrap().bit_fail.unwrap()
    };
    assert_eq!(count(0.25), 2);
    assert_eq!(count(0.25f32.next_down()), 0);
    assert_eq!(count(0.25f32.next_up()), 2);
}

/// One weight under one of FANN's algorithms, its slopes dictated: gradients of `w·x` under a linear FANN loss with the target at `w − g`.
fn fann_steps(algorithm: Algorithm, start: f32, gradients: &[f32]) -> Vec<f32> {
    let mut optimiser = Optimiser::new(algorithm, 1).unwrap();
    let mut w = [start];
    let step = |g: &f32| {
        let info = StepInfo { rate: 1.0, rows: 1, epoch: 0, mse: 0.1, seed: 1 };
        optimiser.step(&mut w, &[*g], &[(0..1).into()], &info).unwrap();
        w[0]
    };
    gradients.iter().map(step).collect()
}

#[test]
fn quickprop_takes_a_step_of_a_thousandth_for_a_step() {
    // FANN: a step before of at least 0.001 makes the next one quadratic; a smaller one leaves it linear.
    let run = |first: f32| {
        let algorithm = Algorithm::Quickprop(Quickprop { learning_rate: 1.0, mu: 1.75, decay: 0.0 });
        fann_steps(algorithm, 0.0, &[-first, -first * 0.5])
    };
    for sign in [1.0f32, -1.0] {
        // Slope s, then s/2: the linear part adds s/2, the quadratic one s·(s/2)/(s − s/2) = s.
        let at = run(sign * 0.001);
        assert!((at[1] - at[0] - sign * 0.0015).abs() < 1e-8, "{at:?}: at a thousandth the step is quadratic");
        let below = run(sign * 0.001f32.next_down());
        assert!((below[1] - below[0] - sign * 0.0005).abs() < 1e-8, "{below:?}: below it is linear");
    }
}

#[test]
fn rprop_steps_never_fall_below_fanns_floor() {
    let algorithm = || Algorithm::Rprop(Rprop { delta_zero: 1e-9, ..Rprop::default() });
    // A step below 0.0001 counts as 0.0001 before it grows by 1.2 …
    let grown = fann_steps(algorithm(), 0.0, &[-1.0, -1.0]);
    assert!((grown[0] - 0.00012).abs() < 1e-9 && (grown[1] - grown[0] - 0.000144).abs() < 1e-9, "{grown:?}");
    // … or shrinks by half; a slope that changed its sign is forgotten and the weight moves up as with a slope of 0.
    let turned = fann_steps(algorithm(), 0.0, &[-1.0, 1.0]);
    assert!((turned[1] - turned[0] - 0.00006).abs() < 1e-9, "{turned:?}");
    // FANN stops at ±1500.
    let wide = Algorithm::Rprop(Rprop { delta_zero: 1000.0, delta_max: 1e9, ..Rprop::default() });
    assert_eq!(fann_steps(wide.clone(), 0.0, &[-1.0, -1.0]), [1200.0, 1500.0]);
    assert_eq!(fann_steps(wide, 0.0, &[1.0, 1.0]), [-1200.0, -1500.0]);
}

/// Mean and variance of what a scheme draws for a dense layer of `i` inputs and `o` units.
fn spread(init: &Init, i: usize, o: usize) -> (f64, f64, f64) {
    let spec = NetworkSpec::new(&[i]).with(Dense::new(o, Activation::IDENTITY));
    let network = Network::with_init(spec, init, 1).unwrap();
    let w: Vec<f64> = network.param("layers.0.weight").unwrap().iter().map(|v| f64::from(*v)).collect();
    let mean = w.iter().sum::<f64>() / w.len() as f64;
    let variance = w.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / w.len() as f64;
    (mean, variance, w.iter().fold(0.0, |most, v| v.abs().max(most)))
}

#[test]
fn initial_weights_have_the_variance_of_their_papers() {
    let (i, o) = (200, 300);
    let (fi, fo) = (200.0, 300.0);
    let cases = [
        (Init::HeNormal, 2.0 / fi, f64::INFINITY),
        (Init::HeUniform, 2.0 / fi, (6.0f64 / fi).sqrt()),
        (Init::LecunNormal, 1.0 / fi, f64::INFINITY),
        (Init::GlorotNormal, 2.0 / (fi + fo), f64::INFINITY),
        (Init::GlorotUniform, 2.0 / (fi + fo), (6.0f64 / (fi + fo)).sqrt()),
        (Init::Normal { deviation: 0.3 }, 0.09, f64::INFINITY),
        (Init::Uniform { min: -0.6, max: 0.6 }, 0.12, 0.6),
        (Init::FannUniform { min: -0.1, max: 0.1 }, 0.01 / 3.0, 0.1),
        (Init::Orthogonal, 1.0 / 300.0, f64::INFINITY),
    ];
    for (init, variance, limit) in cases {
        let (mean, got, most) = spread(&init, i, o);
        // 60,000 draws: the variance is known to 2 %, the mean to a fiftieth of the deviation.
        assert!((got / variance - 1.0).abs() < 0.03, "{init:?}: variance {got} instead of {variance}");
        assert!(mean.abs() < 0.02 * variance.sqrt(), "{init:?}: mean {mean}");
        assert!(most <= limit * (1.0 + 1e-6) && (limit.is_infinite() || most > 0.99 * limit), "{init:?}: {most}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A pass sees each row once, whatever the batch; all its parts stay together.
    #[test]
    fn a_shuffled_pass_sees_every_row_once_with_its_target(rows in 1..200usize, batch in 1..50usize, seed: u64) {
        let mut data = InMemory::from_rows((0..rows).map(|i| ([i as f32, -(i as f32)], [i as f32 * 10.0]))).unwrap();
        let (mut x, mut t, mut seen) = (vec![0.0; batch * 2], vec![0.0; batch], Vec::new());
        data.start(Order::Shuffled(seed)).unwrap();
        loop {
            let got = data.next(&mut x, &mut t).unwrap();
            if got == 0 { break; }
            for i in 0..got {
                prop_assert_eq!((x[2 * i + 1], t[i]), (-x[2 * i], x[2 * i] * 10.0));
                seen.push(x[2 * i] as usize);
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..rows).collect::<Vec<_>>());
    }
}
