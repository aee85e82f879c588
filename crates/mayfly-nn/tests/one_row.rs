//! Single rows under plain gradient descent take a shorter way, which leaves the bits of the general one. A gradient hook that changes nothing asks for the general way.
use mayfly_base::Rng;
use mayfly_nn::{
    Act, Activation, Algorithm, BatchRows, Dense, FannAct, FannError, InMemory, Loss, Network, NetworkSpec, Sgd,
    StopAt, TrainConfig, Trainer,
};

fn descent(lr: f32) -> Algorithm {
    Algorithm::Sgd(Sgd { lr, momentum: 0.0, nesterov: false, weight_decay: 0.0 })
}

/// Networks with what their last layer is trained by.
fn networks() -> Vec<(NetworkSpec, Loss)> {
    let sigmoid: Activation = Act::Sigmoid.into();
    let fann = Activation::fann(FannAct::SigmoidSymmetric);
    let bare = NetworkSpec::new(&[7])
        .with(Dense::new(5, Act::Gelu).without_bias())
        .with(Dense::new(1, Activation::IDENTITY).without_bias());
    let mut all = vec![
        (bare, Loss::Huber { delta: 0.3 }),
        (NetworkSpec::dense(3, &[], sigmoid, 2, sigmoid), Loss::Mae),
        (NetworkSpec::dense(64, &[32], Act::Tanh.into(), 10, Act::Tanh.into()), Loss::Mse),
        (
            NetworkSpec::dense(70, &[33, 17], Act::Relu.into(), 3, Activation::Softmax),
            Loss::CrossEntropy { smoothing: 0.1 },
        ),
        (NetworkSpec::dense(2, &[3], Act::Silu.into(), 4, sigmoid), Loss::BinaryCrossEntropy),
        (NetworkSpec::dense(5, &[4], fann, 2, fann), Loss::Fann { error: FannError::Tanh }),
        (NetworkSpec::dense(5, &[4], Act::Mish.into(), 2, Activation::Softmax), Loss::Mse),
    ];
    all.extend(Act::all().map(|act| (NetworkSpec::dense(9, &[20], act.into(), 3, act.into()), Loss::Mse)));
    all
}

/// Rows with targets that go with a loss.
fn rows(spec: &NetworkSpec, loss: &Loss, count: usize) -> (Vec<f32>, Vec<f32>, usize, usize) {
    let mut rng = Rng::new(3);
    let (inputs, outputs) = (spec.input[0], spec.output().unwrap()[0]);
    let x: Vec<f32> = (0..count * inputs).map(|_| 2.0 * rng.uniform_f32() - 1.0).collect();
    let t: Vec<f32> = match loss {
        Loss::CrossEntropy { .. } => {
            (0..count * outputs).map(|i| f32::from(i % outputs == i / outputs % outputs)).collect()
        }
        _ => (0..count * outputs).map(|_| rng.uniform_f32()).collect(),
    };
    (x, t, inputs, outputs)
}

fn trainer(spec: &NetworkSpec, config: TrainConfig, generally: bool) -> Trainer {
    let mut trainer = Trainer::new(Network::new(spec.clone(), 5).unwrap(), config).unwrap();
    if generally {
        trainer.set_gradient_hook(Some(Box::new(|_, _| Ok(()))));
    }
    trainer
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| (v + 0.0).to_bits()).collect() // zeros have one sign
}

#[test]
fn steps_have_the_same_bits_either_way() {
    for (spec, loss) in networks() {
        let config = TrainConfig { loss: loss.clone(), ..TrainConfig::new(descent(0.05)) };
        let [mut shorter, mut general] = [false, true].map(|generally| trainer(&spec, config.clone(), generally));
        let (x, t, inputs, outputs) = rows(&spec, &loss, 30);
        for (at, (x, t)) in x.chunks(inputs).zip(t.chunks(outputs)).enumerate() {
            let what = format!("step {at} of {spec:?} under {loss:?}");
            let result = |trainer: &mut Trainer| trainer.step(x, t).map(f32::to_bits).map_err(|e| e.to_string());
            let losses = [result(&mut shorter), result(&mut general)];
            assert_eq!(losses[0], losses[1], "{what}");
            if losses[0].is_err() {
                break; // a logarithm of what is negative, say
            }
            assert_eq!(bits(shorter.gradient()), bits(general.gradient()), "{what}");
            assert_eq!(bits(shorter.network().params()), bits(general.network().params()), "{what}");
        }
    }
}

/// Epochs of single rows, with FANN's figures, a schedule and a checkpoint; then rows and batches in turn.
#[test]
fn epochs_have_the_same_bits_either_way() {
    for (spec, loss) in networks().into_iter().take(7) {
        let stop = Some(StopAt::BitFail { limit: 0.1, fails: 0 });
        let config = TrainConfig {
            loss: loss.clone(),
            batch: BatchRows::Rows(1),
            epochs: 3,
            stop,
            seed: 4,
            ..TrainConfig::new(descent(0.02))
        };
        let (x, t, inputs, outputs) = rows(&spec, &loss, 25);
        let mut ends = Vec::new();
        for generally in [false, true] {
            let mut trainer = trainer(&spec, config.clone(), generally);
            let mut data = InMemory::new(inputs, outputs, x.clone(), t.clone()).unwrap();
            let report = trainer.fit(&mut data, None, &mut ()).unwrap();
            trainer.step(&x[..4 * inputs], &t[..4 * outputs]).unwrap();
            trainer.step(&x[..inputs], &t[..outputs]).unwrap();
            ends.push((format!("{:?}", report.epochs), bits(trainer.network().params())));
        }
        assert_eq!(ends[0], ends[1], "{spec:?} under {loss:?}");
    }
}

/// What is set later is heeded: a hook, then none again.
#[test]
fn a_hook_set_later_sees_every_gradient() {
    let (spec, loss) = networks().swap_remove(2);
    let config = TrainConfig { loss: loss.clone(), ..TrainConfig::new(descent(0.05)) };
    let mut trainer = trainer(&spec, config, false);
    let (x, t, inputs, outputs) = rows(&spec, &loss, 1);
    trainer.step(&x[..inputs], &t[..outputs]).unwrap();
    let before = bits(trainer.network().params());
    trainer.set_gradient_hook(Some(Box::new(|_, grads| {
        grads.fill(0.0);
        Ok(())
    })));
    trainer.step(&x, &t).unwrap();
    assert_eq!(bits(trainer.network().params()), before);
    trainer.set_gradient_hook(None);
    trainer.step(&x, &t).unwrap();
    assert_ne!(bits(trainer.network().params()), before);
}

/// A row that is not finite is named, and moves nothing.
#[test]
fn a_row_that_is_not_finite_moves_nothing() {
    let (spec, loss) = networks().swap_remove(2);
    let config = TrainConfig { loss: loss.clone(), ..TrainConfig::new(descent(0.05)) };
    let mut trainer = trainer(&spec, config, false);
    let (mut x, t, ..) = rows(&spec, &loss, 1);
    x[3] = f32::NAN;
    let before = bits(trainer.network().params());
    let error = trainer.step(&x, &t).unwrap_err().to_string();
    assert!(error.contains("NaN"), "{error}");
    assert_eq!(bits(trainer.network().params()), before);
}
