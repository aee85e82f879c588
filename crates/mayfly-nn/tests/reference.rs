//! The trainer, step by step, beside a naive one in f64: every algorithm but SARPROP (which draws noise), loss, schedule, clipping, decay, weights, groups, penalty.
//!
//! The gradient hook sees parameters and gradient of every step, so nothing adds up: before each step the naive trainer takes over the real one's parameters, and
//! the next step must begin where its own ended.
mod naive;

use mayfly_base::Rng;
use mayfly_nn::*;
use naive::{Net, Push, Slot, factor, loss_of};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

/// A training: everything is drawn from a seed.
struct Case {
    net: Net,
    config: TrainConfig,
    penalty: Option<Penalty>,
    mask: Option<Vec<bool>>,
    rows: usize,
    x: Vec<f32>,
    t: Vec<f32>,
    weights: Option<Vec<f32>>,
    held: usize,
}

fn pick<T: Clone>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize].clone()
}

fn coin(rng: &mut Rng) -> bool {
    rng.below(2) == 0
}

fn algorithm(rng: &mut Rng) -> Algorithm {
    let decay = if coin(rng) { 0.0 } else { 0.1 };
    let momentum = if coin(rng) { 0.0 } else { 0.8 };
    pick(
        rng,
        &[
            Algorithm::Sgd(Sgd { lr: 0.05, momentum, nesterov: momentum > 0.0 && decay > 0.0, weight_decay: decay }),
            Algorithm::Sgd(Sgd { lr: 0.05, momentum, nesterov: false, weight_decay: decay }),
            Algorithm::Adam(Adam { lr: 0.01, beta1: 0.8, beta2: 0.95, eps: 1e-3, weight_decay: decay }),
            Algorithm::AdamW(AdamW { lr: 0.01, beta1: 0.8, beta2: 0.95, eps: 1e-3, weight_decay: decay }),
            Algorithm::RmsProp(RmsProp { lr: 0.01, alpha: 0.9, eps: 1e-2, momentum, weight_decay: decay }),
            Algorithm::Adagrad(Adagrad { lr: 0.02, lr_decay: 0.1, eps: 1e-2, weight_decay: decay }),
            Algorithm::Lion(Lion { lr: 0.005, beta1: 0.8, beta2: 0.9, weight_decay: decay }),
            Algorithm::Incremental(Incremental { learning_rate: 0.02, learning_momentum: momentum }),
            Algorithm::Batch(Batch { learning_rate: 0.1 }),
            Algorithm::Rprop(Rprop { delta_zero: 0.02, delta_max: 0.05, delta_min: 0.001, ..Rprop::default() }),
            Algorithm::Quickprop(Quickprop { learning_rate: 0.1, ..Quickprop::default() }),
        ],
    )
}

fn schedule(rng: &mut Rng) -> Schedule {
    pick(
        rng,
        &[
            Schedule::Constant,
            Schedule::Step { every: 2, factor: 0.5 },
            Schedule::Exponential { factor: 0.7 },
            Schedule::Cosine { warmup: 1.5, floor: 0.1 },
            Schedule::Cosine { warmup: 0.0, floor: 0.0 },
            Schedule::OneCycle { rise: 0.4, start: 0.2, end: 0.05 },
            Schedule::Plateau { factor: 0.5, patience: 0 },
        ],
    )
}

fn loss(rng: &mut Rng) -> Loss {
    pick(
        rng,
        &[
            Loss::Mse,
            Loss::Mae,
            Loss::Huber { delta: 0.4 },
            Loss::CrossEntropy { smoothing: 0.0 },
            Loss::CrossEntropy { smoothing: 0.2 },
            Loss::BinaryCrossEntropy,
            Loss::Hinge,
            Loss::Quantile { taus: vec![0.1, 0.7] },
            Loss::Fann { error: FannError::Linear },
        ],
    )
}

fn groups(rng: &mut Rng, algorithm: &Algorithm) -> Vec<ParamGroup> {
    if coin(rng) {
        return Vec::new();
    }
    let rate = if algorithm.learning_rate().is_some() { 0.25 } else { 1.0 };
    let weight_decay = algorithm.clone().with_weight_decay(0.0).map(|_| 0.3);
    let slow = ParamGroup { rate, ..ParamGroup::new(["layers.1.*"]) };
    let decayed = ParamGroup { weight_decay, ..ParamGroup::new(["*.weight"]) };
    pick(
        rng,
        &[
            vec![ParamGroup::new(["layers.0.*"]).frozen()],
            vec![slow.clone()],
            vec![slow, decayed.clone()],
            vec![decayed],
        ],
    )
}

/// Targets that go with a loss.
fn targets(rng: &mut Rng, loss: &Loss, rows: usize, outputs: usize) -> Vec<f32> {
    let mut row = |_| -> Vec<f32> {
        let class = rng.below(outputs as u64) as usize;
        (0..outputs)
            .map(|j| match loss {
                Loss::CrossEntropy { .. } => f32::from(u8::from(j == class)),
                Loss::BinaryCrossEntropy => rng.below(2) as f32,
                Loss::Hinge => rng.below(2) as f32 * 2.0 - 1.0,
                _ => rng.between(-1.0, 1.0),
            })
            .collect()
    };
    (0..rows).flat_map(&mut row).collect()
}

fn case(seed: u64) -> Case {
    let rng = &mut Rng::new(seed);
    let (algorithm, loss) = (algorithm(rng), loss(rng));
    // A single output has two classes.
    let least = if matches!(loss, Loss::CrossEntropy { .. }) { 2 } else { 1 };
    let outputs = (least + rng.below(4 - least)) as usize;
    let sizes = vec![1 + rng.below(4) as usize, 1 + rng.below(5) as usize, outputs];
    let net = Net { acts: vec![pick(rng, &[Act::Tanh, Act::Sigmoid, Act::Softplus]), Act::Identity], sizes };
    let inputs = net.sizes[0];
    let (rows, held) = (1 + rng.below(40) as usize, rng.below(2) as usize * 7);
    let len = net.spec().param_len().unwrap();
    let mut numbers = |n: usize, low: f32, high: f32| -> Vec<f32> { (0..n).map(|_| rng.between(low, high)).collect() };
    let x = numbers((rows + held) * inputs, -1.0, 1.0);
    let (towards, importance) = (numbers(len, -0.5, 0.5), numbers(len, 0.0, 2.0));
    let (row_weights, class_weights) = (numbers(rows + held, 0.1, 2.0), numbers(outputs.max(2), 0.2, 2.0));
    let form = pick(rng, &[PenaltyForm::Gradient, PenaltyForm::Decoupled]);
    let penalty = Penalty { strength: 0.3, towards, importance: coin(rng).then_some(importance), form };
    let config = TrainConfig {
        epochs: 5,
        batch: pick(rng, &[BatchRows::Full, BatchRows::Rows(1), BatchRows::Rows(7), BatchRows::Rows(16)]),
        shuffle: false,
        seed,
        threads: 1 + rng.below(3) as usize,
        shard_rows: pick(rng, &[0, 4, 8]),
        schedule: schedule(rng),
        clip_norm: pick(rng, &[None, Some(0.05), Some(1.0), Some(100.0)]),
        min_delta: pick(rng, &[0.0, 0.01]),
        class_weights: coin(rng).then_some(class_weights),
        groups: groups(rng, &algorithm),
        ..TrainConfig { loss: loss.clone(), ..TrainConfig::new(algorithm) }
    };
    let mask = (rng.below(4) == 0).then(|| (0..len).map(|_| rng.below(5) > 0).collect());
    let t = targets(rng, &loss, rows + held, outputs);
    let weights = coin(rng).then_some(row_weights);
    Case { net, config, penalty: coin(rng).then_some(penalty), mask, rows, x, t, weights, held }
}

impl Case {
    fn data(&self, from: usize, to: usize) -> InMemory {
        let (n, m) = (self.net.sizes[0], self.net.sizes[2]);
        let rows = InMemory::new(n, m, self.x[from * n..to * n].to_vec(), self.t[from * m..to * m].to_vec()).unwrap();
        match &self.weights {
            Some(weights) => rows.with_weights(weights[from..to].to_vec()).unwrap(),
            None => rows,
        }
    }

    fn row(&self, row: usize) -> (Vec<f64>, Vec<f64>) {
        let part = |v: &[f32], len: usize| v[row * len..(row + 1) * len].iter().map(|v| f64::from(*v)).collect();
        (part(&self.x, self.net.sizes[0]), part(&self.t, self.net.sizes[2]))
    }

    fn own_weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// What a row counts in the loss of a batch, before the mean.
    fn weight(&self, row: usize) -> f64 {
        let (_, t) = self.row(row);
        let of_class = |classes: &Vec<f32>| match t[..] {
            [t] => f64::from(classes[0]) * (1.0 - t.clamp(0.0, 1.0)) + f64::from(classes[1]) * t.clamp(0.0, 1.0),
            _ => t.iter().zip(classes).map(|(t, c)| t.max(0.0) * f64::from(*c)).sum::<f64>(),
        };
        self.own_weight(row) * self.config.class_weights.as_ref().map_or(1.0, of_class)
    }

    fn sums(&self) -> bool {
        matches!(self.config.loss, Loss::Fann { .. })
    }

    fn batch(&self) -> usize {
        match self.config.batch {
            BatchRows::Full => self.rows,
            BatchRows::Rows(n) => n.min(self.rows),
        }
    }

    fn trainer(&self) -> Trainer {
        let network = Network::new(self.net.spec(), self.config.seed).unwrap();
        let mask = self.mask.clone().map(Mask::new);
        let network = Network::from_parts(self.net.spec(), network.params(), mask).unwrap();
        let mut trainer = Trainer::new(network, self.config.clone()).unwrap();
        trainer.set_penalty(self.penalty.clone()).unwrap();
        trainer
    }
}

/// The naive trainer on its way.
struct Naive {
    case: Case,
    layout: Vec<ParamInfo>,
    slots: Vec<Slot>,
    steps: usize,
    /// Of the epoch under way.
    row: usize,
    loss: f64,
    epoch: usize,
    plateau: (f64, f64),
    wrong: Option<String>,
}

impl Naive {
    fn new(case: Case, layout: &[ParamInfo]) -> Self {
        let len = layout.last().unwrap().range().end;
        let slots = vec![Slot::new(&case.config.algorithm); len];
        let layout = layout.to_vec();
        let plateau = (1.0, f64::INFINITY);
        Naive { case, layout, slots, steps: 0, row: 0, loss: 0.0, epoch: 0, plateau, wrong: None }
    }

    fn note(&mut self, what: String) {
        let step = self.steps;
        self.wrong.get_or_insert_with(|| format!("step {step}: {what}"));
    }

    /// The step begins where the one before ended.
    fn compare_params(&mut self, params: &[f32]) {
        let near = |slot: &Slot, p: f32| (slot.p - f64::from(p)).abs() <= 2e-6 + 2e-5 * slot.p.abs() + slot.slack;
        let off = self.slots.iter().zip(params).position(|(slot, p)| !slot.unsure && !near(slot, *p));
        if let Some(at) = off.filter(|_| self.steps > 0) {
            self.note(format!("parameter {at} is {}, not {}", params[at], self.slots[at].p));
        }
        self.slots.iter_mut().zip(params).for_each(|(slot, p)| slot.p = f64::from(*p));
    }

    fn rate(&self) -> f64 {
        let config = &self.case.config;
        let smooth = !matches!(config.schedule, Schedule::Constant | Schedule::Step { .. } | Schedule::Plateau { .. });
        let done = if smooth { self.row as f64 / self.case.rows as f64 } else { 0.0 };
        factor(&config.schedule, self.epoch as f64 + done, config.epochs as f64) * self.plateau.0
    }

    /// A step: what the hook hears of, then what it cannot see.
    fn step(&mut self, info: &GradientInfo<'_>, grads: &mut [f32]) {
        self.compare_params(info.params);
        let params: Vec<f64> = self.slots.iter().map(|slot| slot.p).collect();
        let rows = self.case.batch().min(self.case.rows - self.row);
        if (info.rows, info.step as usize, info.epoch as usize) != (rows, self.steps, self.epoch + 1) {
            self.note(format!("{info:?} instead of {rows} rows in epoch {}", self.epoch + 1));
        }
        let mut want = vec![0.0; params.len()];
        let each = if self.case.sums() { 1.0 } else { 1.0 / rows as f64 };
        for row in self.row..self.row + rows {
            let ((x, t), weight) = (self.case.row(row), self.case.weight(row));
            let loss = self.case.net.backward(&params, &self.case.config.loss, &x, &t, each * weight, &mut want);
            self.loss += weight * loss;
        }
        self.penalise(&params, &mut want);
        let largest = want.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        // Outputs near 1 are rounded to 6e-8, and a row's weight and the activations below multiply that.
        let rounding = 2e-5 * largest + 2e-6;
        let off = want.iter().zip(grads.iter()).position(|(want, got)| (want - f64::from(*got)).abs() > rounding);
        if let Some(at) = off {
            self.note(format!("gradient {at} is {}, not {}", grads[at], want[at]));
        }
        // Signs, and quotients of small numbers, follow the real gradient's rounding; sums that cancel may do so in one of the two alone.
        for ((slot, g), got) in self.slots.iter_mut().zip(&want).zip(grads.iter()) {
            slot.unsure |= g.abs() < 1e-4 * largest + rounding && (*g != 0.0 || *got != 0.0);
        }
        let rate = self.rate();
        self.update(&mut want, rate, rows);
        self.row += rows;
        self.steps += 1;
    }

    fn penalise(&self, params: &[f64], grads: &mut [f64]) {
        let Some(penalty) = self.case.penalty.as_ref().filter(|p| p.form == PenaltyForm::Gradient) else { return };
        for (at, g) in grads.iter_mut().enumerate().filter(|(at, _)| !self.is_frozen(*at)) {
            let importance = penalty.importance.as_ref().map_or(1.0, |i| f64::from(i[at]));
            *g += f64::from(penalty.strength) * importance * (params[at] - f64::from(penalty.towards[at]));
        }
    }

    /// The group of a parameter, by the plain reading of its pattern.
    fn group(&self, at: usize) -> Option<&ParamGroup> {
        let name = &self.layout.iter().find(|info| info.range().contains(&at)).unwrap().name;
        self.case.config.groups.iter().find(|group| {
            group.names.iter().any(|pattern| match pattern.as_str() {
                "*.weight" => name.ends_with(".weight"),
                prefix => name.starts_with(prefix.trim_end_matches('*')),
            })
        })
    }

    fn is_frozen(&self, at: usize) -> bool {
        self.group(at).is_some_and(|group| group.frozen)
    }

    /// Masks, clips, steps.
    fn update(&mut self, grads: &mut [f64], rate: f64, rows: usize) {
        let exists = |case: &Case, at: usize| case.mask.as_ref().is_none_or(|mask| mask[at]);
        let moved: Vec<usize> = (0..grads.len()).filter(|at| !self.is_frozen(*at)).collect();
        (0..grads.len()).filter(|at| !exists(&self.case, *at)).for_each(|at| grads[at] = 0.0);
        let norm = moved.iter().map(|at| grads[*at].powi(2)).sum::<f64>().sqrt();
        let limit = self.case.config.clip_norm.map_or(f64::INFINITY, f64::from);
        let shorten = if norm > limit { limit / norm } else { 1.0 };
        for at in moved {
            let (group_rate, decay) =
                self.group(at).map_or((1.0, None), |g| (f64::from(g.rate), g.weight_decay.map(f64::from)));
            let push = Push {
                g: grads[at] * shorten,
                rate: rate * group_rate,
                decay,
                step: self.steps as i32 + 1,
                rows: rows as f64,
            };
            self.slots[at].push(&self.case.config.algorithm, push);
            self.pull(at, rate * group_rate);
            if !exists(&self.case, at) {
                self.slots[at].p = 0.0;
            }
        }
    }

    /// The solution of `p' = p − a (p' − towards)`.
    fn pull(&mut self, at: usize, rate: f64) {
        let Some(penalty) = self.case.penalty.as_ref().filter(|p| p.form == PenaltyForm::Decoupled) else { return };
        let lr = self.case.config.algorithm.learning_rate().map_or(1.0, f64::from);
        let importance = penalty.importance.as_ref().map_or(1.0, |i| f64::from(i[at]));
        let a = lr * rate * f64::from(penalty.strength) * importance;
        self.slots[at].p = (self.slots[at].p + a * f64::from(penalty.towards[at])) / (1.0 + a);
    }

    /// The mean loss of some rows under the parameters as they are.
    fn mean(&self, rows: std::ops::Range<usize>) -> f64 {
        let params: Vec<f64> = self.slots.iter().map(|slot| slot.p).collect();
        let loss = |row: usize| {
            let (x, t) = self.case.row(row);
            loss_of(&self.case.config.loss, &self.case.net.outputs(&params, &x), &t).0 * self.case.own_weight(row)
        };
        let total: f64 = rows.clone().map(|row| self.case.own_weight(row)).sum();
        rows.map(loss).sum::<f64>() / total
    }

    /// Compares an epoch's figures and turns the page.
    fn close(&mut self, params: &[f32], report: &EpochReport) {
        self.compare_params(params);
        let near = |got: f64, want: f64| (got - want).abs() <= 2e-5 * (want.abs() + 1e-2);
        let train = self.loss / self.case.rows as f64;
        if !near(report.train_loss, train) {
            self.note(format!("the training loss is {}, not {train}", report.train_loss));
        }
        let held = self.case.held;
        if let Some(got) = report.validation_loss {
            let want = self.mean(self.case.rows..self.case.rows + held);
            if !near(got, want) {
                self.note(format!("the validation loss is {got}, not {want}"));
            }
        }
        if report.rows != self.case.rows || report.validation_loss.is_some() != (held > 0) {
            self.note(format!("{report:?}"));
        }
        // Whether a loss is the lowest is taken from the report: two may be equal but for rounding.
        if let Schedule::Plateau { factor, .. } = self.case.config.schedule {
            if report.loss() < self.plateau.1 {
                self.plateau.1 = report.loss();
            } else {
                self.plateau.0 *= f64::from(factor);
            }
        }
        (self.epoch, self.row, self.loss) = (self.epoch + 1, 0, 0.0);
    }
}

/// Runs a case beside the naive trainer; what is wrong first, if anything is.
fn run(seed: u64) -> Option<String> {
    let case = case(seed);
    let mut trainer = case.trainer();
    let (rows, held) = (case.rows, case.held);
    let (mut train, mut validation) = (case.data(0, rows), case.data(rows, rows + held));
    let about = format!(
        "{:?}, mask {}, penalty {:?}, rows {rows}",
        case.config,
        case.mask.is_some(),
        case.penalty.as_ref().map(|p| p.form)
    );
    let naive = Arc::new(Mutex::new(Naive::new(case, trainer.network().layout())));
    let seen = naive.clone();
    trainer.set_gradient_hook(Some(Box::new(move |info, grads| {
        seen.lock().unwrap().step(info, grads);
        Ok(())
    })));
    let (mut lowest, min_delta) = (f64::INFINITY, trainer.config().min_delta);
    for _ in 0..5 {
        let report = trainer.epoch(&mut train, (held > 0).then_some(&mut validation as &mut dyn Dataset)).unwrap();
        let mut naive = naive.lock().unwrap();
        naive.close(trainer.network().params(), &report);
        let is_best = report.loss() < lowest - if lowest.is_finite() { min_delta * lowest.abs() } else { 0.0 };
        if report.is_best != is_best {
            naive.note(format!("{report:?} after {lowest}"));
        }
        lowest = if is_best { report.loss() } else { lowest };
    }
    let wrong = naive.lock().unwrap().wrong.take();
    wrong.map(|wrong| format!("{wrong}\n{about}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("MAYFLY_HEAVY").is_some() { 20_000 } else { 400 }, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn every_step_is_the_naive_trainers(seed: u64) {
        prop_assert_eq!(run(seed), None);
    }
}

#[test]
fn cases_differ_in_everything() {
    let cases: Vec<Case> = (0..300).map(case).collect();
    let names: std::collections::BTreeSet<_> = cases.iter().map(|case| case.config.algorithm.name()).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    let counts = [
        cases.iter().filter(|case| case.penalty.is_some()).count(),
        cases.iter().filter(|case| case.weights.is_some()).count(),
        cases.iter().filter(|case| case.config.class_weights.is_some()).count(),
        cases.iter().filter(|case| !case.config.groups.is_empty()).count(),
        cases.iter().filter(|case| case.mask.is_some()).count(),
        cases.iter().filter(|case| case.held > 0).count(),
        cases.iter().filter(|case| case.config.clip_norm == Some(0.05)).count(),
    ];
    assert!(counts.iter().all(|count| *count > 40), "{counts:?}");
}
