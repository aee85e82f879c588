//! A trainer as one would write it down: dense layers, f64, one loop over rows, units and inputs. Nothing of the crate's is used but the settings.
use mayfly_nn::*;

/// Which way a number points; 0 for none.
fn sign(v: f64) -> f64 {
    if v > 0.0 {
        1.0
    } else if v < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// A network of dense layers: weights `[units, inputs]` and biases, one after another in one array.
#[derive(Clone)]
pub struct Net {
    pub sizes: Vec<usize>,
    pub acts: Vec<Act>,
}

fn value(act: Act, v: f64) -> f64 {
    match act {
        Act::Identity => v,
        Act::Tanh => v.tanh(),
        Act::Sigmoid => 1.0 / (1.0 + (-v).exp()),
        Act::Softplus => v.max(0.0) + (-v.abs()).exp().ln_1p(),
        other => panic!("{other:?} is not written down here"),
    }
}

fn slope(act: Act, v: f64) -> f64 {
    match act {
        Act::Identity => 1.0,
        Act::Tanh => 1.0 - v.tanh().powi(2),
        Act::Sigmoid => value(act, v) * (1.0 - value(act, v)),
        Act::Softplus => value(Act::Sigmoid, v),
        other => panic!("{other:?} is not written down here"),
    }
}

impl Net {
    pub fn spec(&self) -> NetworkSpec {
        let units = self.sizes[1..].iter().zip(&self.acts);
        units.fold(NetworkSpec::new(&self.sizes[..1]), |spec, (units, act)| spec.with(Dense::new(*units, *act)))
    }

    /// Where each layer's weights and biases begin.
    fn offsets(&self) -> Vec<[usize; 2]> {
        let mut at = 0;
        let layers = self.sizes.windows(2).map(|w| {
            let [weights, biases] = [at, at + w[0] * w[1]];
            at = biases + w[1];
            [weights, biases]
        });
        layers.collect()
    }

    /// Sums and outputs of each layer for a row; the row itself is the output before the first.
    fn forward(&self, p: &[f64], x: &[f64]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let (mut sums, mut outputs) = (Vec::new(), vec![x.to_vec()]);
        for (l, [w, b]) in self.offsets().into_iter().enumerate() {
            let below = &outputs[l];
            let unit = |u: usize| {
                p[b + u] + below.iter().enumerate().map(|(i, v)| p[w + u * below.len() + i] * v).sum::<f64>()
            };
            let layer: Vec<f64> = (0..self.sizes[l + 1]).map(unit).collect();
            outputs.push(layer.iter().map(|v| value(self.acts[l], *v)).collect());
            sums.push(layer);
        }
        (sums, outputs)
    }

    /// A row's outputs.
    pub fn outputs(&self, p: &[f64], x: &[f64]) -> Vec<f64> {
        self.forward(p, x).1.pop().unwrap()
    }

    /// Adds `weight` times the gradient of a row's loss; returns the loss.
    pub fn backward(&self, p: &[f64], loss: &Loss, x: &[f64], t: &[f64], weight: f64, grads: &mut [f64]) -> f64 {
        let (sums, outputs) = self.forward(p, x);
        let (row_loss, mut d) = loss_of(loss, outputs.last().unwrap(), t);
        for (l, [w, b]) in self.offsets().into_iter().enumerate().rev() {
            let below = &outputs[l];
            let ds: Vec<f64> = d.iter().zip(&sums[l]).map(|(d, s)| d * slope(self.acts[l], *s)).collect();
            d = (0..below.len())
                .map(|i| ds.iter().enumerate().map(|(u, ds)| ds * p[w + u * below.len() + i]).sum())
                .collect();
            for (u, ds) in ds.iter().enumerate() {
                grads[b + u] += weight * ds;
                below.iter().enumerate().for_each(|(i, v)| grads[w + u * below.len() + i] += weight * ds * v);
            }
        }
        row_loss
    }
}

/// A row's loss and its derivative by each output.
pub fn loss_of(loss: &Loss, p: &[f64], t: &[f64]) -> (f64, Vec<f64>) {
    let n = p.len() as f64;
    let each = |f: &dyn Fn(usize) -> (f64, f64)| {
        let parts: Vec<(f64, f64)> = (0..p.len()).map(f).collect();
        (parts.iter().map(|v| v.0).sum::<f64>() / n, parts.iter().map(|v| v.1 / n).collect::<Vec<f64>>())
    };
    match loss {
        Loss::Mse => each(&|j| ((p[j] - t[j]).powi(2), 2.0 * (p[j] - t[j]))),
        Loss::Mae => each(&|j| ((p[j] - t[j]).abs(), sign(p[j] - t[j]))),
        Loss::Huber { delta } => each(&|j| {
            let (d, delta) = (p[j] - t[j], f64::from(*delta));
            if d.abs() <= delta { (d * d / 2.0, d) } else { (delta * (d.abs() - delta / 2.0), delta * sign(d)) }
        }),
        Loss::BinaryCrossEntropy => each(&|j| {
            // `-t ln y - (1 - t) ln(1 - y)` of logits: 1 - y has lost its digits where a logit is 20.
            let loss = p[j].max(0.0) - p[j] * t[j] + (-p[j].abs()).exp().ln_1p();
            (loss, value(Act::Sigmoid, p[j]) - t[j])
        }),
        Loss::Hinge => each(&|j| if p[j] * t[j] < 1.0 { (1.0 - p[j] * t[j], -t[j]) } else { (0.0, 0.0) }),
        Loss::Quantile { taus } => each(&|j| {
            let (d, tau) = (t[j] - p[j], f64::from(taus[j % taus.len()]));
            if d > 0.0 { (tau * d, -tau) } else { ((tau - 1.0) * d, 1.0 - tau) }
        }),
        Loss::CrossEntropy { smoothing } => {
            let total: f64 = p.iter().map(|v| v.exp()).sum();
            let smooth = |j: usize| (1.0 - f64::from(*smoothing)) * t[j] + f64::from(*smoothing) / n;
            let loss = (0..p.len()).map(|j| -smooth(j) * (p[j].exp() / total).ln()).sum();
            (loss, (0..p.len()).map(|j| p[j].exp() / total - smooth(j)).collect())
        }
        Loss::Fann { error: FannError::Linear } => {
            (p.iter().zip(t).map(|(p, t)| (p - t).powi(2) / 2.0).sum(), p.iter().zip(t).map(|(p, t)| p - t).collect())
        }
        other => panic!("{other:?} is not written down here"),
    }
}

/// What a step is told of one parameter.
#[derive(Clone, Copy)]
pub struct Push {
    pub g: f64,
    /// Factor on the learning rate.
    pub rate: f64,
    pub decay: Option<f64>,
    /// Steps, this one included.
    pub step: i32,
    pub rows: f64,
}

/// A parameter with what its algorithm remembers.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub p: f64,
    pub m: f64,
    pub v: f64,
    /// Whether rounding may have decided something: a sign, or a division by next to nothing. It is not compared any more.
    /// What the newest step may be off by: Quickprop divides by differences, and its steps build on each other.
    pub slack: f64,
    pub unsure: bool,
}

impl Slot {
    pub fn new(algorithm: &Algorithm) -> Slot {
        let v = if let Algorithm::Rprop(o) = algorithm { f64::from(o.delta_zero) } else { 0.0 };
        Slot { p: 0.0, m: 0.0, v, slack: 0.0, unsure: false }
    }

    /// One step, by the papers and PyTorch's documentation; FANN's by its source.
    pub fn push(&mut self, algorithm: &Algorithm, push: Push) {
        let Push { g, rate, decay, step, rows } = push;
        let decayed = |own: f32| decay.unwrap_or(f64::from(own));
        match algorithm {
            Algorithm::Sgd(o) => self.sgd(o, g + decayed(o.weight_decay) * self.p, rate),
            Algorithm::Adam(o) => {
                let g = g + decayed(o.weight_decay) * self.p;
                self.adam([o.lr, o.beta1, o.beta2, o.eps], g, rate, step);
            }
            Algorithm::AdamW(o) => {
                self.p *= 1.0 - f64::from(o.lr) * rate * decayed(o.weight_decay);
                self.adam([o.lr, o.beta1, o.beta2, o.eps], g, rate, step);
            }
            Algorithm::RmsProp(o) => {
                let (g, alpha) = (g + decayed(o.weight_decay) * self.p, f64::from(o.alpha));
                self.v = alpha * self.v + (1.0 - alpha) * g * g;
                self.m = f64::from(o.momentum) * self.m + g / (self.v.sqrt() + f64::from(o.eps));
                self.p -= f64::from(o.lr) * rate * self.m;
            }
            Algorithm::Adagrad(o) => {
                let g = g + decayed(o.weight_decay) * self.p;
                self.m += g * g;
                let lr = f64::from(o.lr) * rate / (1.0 + f64::from(step - 1) * f64::from(o.lr_decay));
                self.p -= lr * g / (self.m.sqrt() + f64::from(o.eps));
            }
            Algorithm::Lion(o) => {
                let (lr, b1, b2) = (f64::from(o.lr) * rate, f64::from(o.beta1), f64::from(o.beta2));
                let c = b1 * self.m + (1.0 - b1) * g;
                self.unsure |= c.abs() < 1e-3 * g.abs();
                self.p -= lr * (sign(c) + decayed(o.weight_decay) * self.p);
                self.m = b2 * self.m + (1.0 - b2) * g;
            }
            Algorithm::Incremental(o) => {
                self.m = f64::from(o.learning_momentum) * self.m - f64::from(o.learning_rate) * rate * g;
                self.p += self.m;
            }
            Algorithm::Batch(o) => self.p -= f64::from(o.learning_rate) * rate * g / rows,
            Algorithm::Rprop(o) => self.rprop(o, -g),
            Algorithm::Quickprop(o) => self.quickprop(o, -g, rate, rows),
            other => panic!("{other:?} is not written down here"),
        }
    }

    fn sgd(&mut self, o: &Sgd, g: f64, rate: f64) {
        let momentum = f64::from(o.momentum);
        self.m = momentum * self.m + g;
        let step = if o.nesterov { g + momentum * self.m } else { self.m };
        self.p -= f64::from(o.lr) * rate * step;
    }

    fn adam(&mut self, [lr, b1, b2, eps]: [f32; 4], g: f64, rate: f64, step: i32) {
        let (b1, b2) = (f64::from(b1), f64::from(b2));
        self.m = b1 * self.m + (1.0 - b1) * g;
        self.v = b2 * self.v + (1.0 - b2) * g * g;
        let (m, v) = (self.m / (1.0 - b1.powi(step)), self.v / (1.0 - b2.powi(step)));
        self.p -= f64::from(lr) * rate * m / (v.sqrt() + f64::from(eps));
    }

    /// `m` is the slope before, `v` the step.
    fn rprop(&mut self, o: &Rprop, slope: f64) {
        let before = self.v.max(0.0001);
        if self.m * slope >= 0.0 {
            self.v = (before * f64::from(o.increase_factor)).min(f64::from(o.delta_max));
            self.m = slope;
        } else {
            self.v = (before * f64::from(o.decrease_factor)).max(f64::from(o.delta_min));
            self.m = 0.0;
        }
        self.p = if self.m < 0.0 { (self.p - self.v).max(-1500.0) } else { (self.p + self.v).min(1500.0) };
    }

    /// `m` is the slope before, `v` the step.
    fn quickprop(&mut self, o: &Quickprop, slope: f64, rate: f64, rows: f64) {
        let (before, mu) = (self.v, f64::from(o.mu));
        let slope = slope + f64::from(o.decay) * self.p;
        let linear = f64::from(o.learning_rate) * rate / rows * slope;
        let bar = mu / (1.0 + mu) * self.m;
        let quadratic = before * slope / (self.m - slope);
        let grown = |beyond: bool| if beyond { mu * before } else { quadratic };
        let step = match before {
            b if b > 0.001 => (if slope > 0.0 { linear } else { 0.0 }) + grown(slope > bar),
            b if b < -0.001 => (if slope < 0.0 { linear } else { 0.0 }) + grown(slope < bar),
            _ => linear,
        };
        self.unsure |= (before.abs() - 0.001).abs() < 1e-6 || (slope - bar).abs() < 1e-4 * bar.abs();
        self.unsure |= (self.m - slope).abs() < 1e-2 * slope.abs();
        self.p = (self.p + step).clamp(-1500.0, 1500.0);
        (self.v, self.m, self.slack) = (step, slope, 1e-2 * step.abs());
    }
}

/// The factor on the learning rate after `at` of `epochs` epochs; a plateau's is counted elsewhere.
pub fn factor(schedule: &Schedule, at: f64, epochs: f64) -> f64 {
    let wave = |from: f64, to: f64, share: f64| to + (from - to) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0;
    match *schedule {
        Schedule::Constant | Schedule::Plateau { .. } => 1.0,
        Schedule::Step { every, factor } => f64::from(factor).powi(at as i32 / every as i32),
        Schedule::Exponential { factor } => f64::from(factor).powf(at),
        Schedule::Cosine { warmup, floor } if at < f64::from(warmup) => at / f64::from(warmup) + 0.0 * f64::from(floor),
        Schedule::Cosine { warmup, floor } => {
            wave(1.0, f64::from(floor), (at - f64::from(warmup)) / (epochs - f64::from(warmup)))
        }
        Schedule::OneCycle { rise, start, end } => {
            let (share, rise) = (at / epochs, f64::from(rise));
            if share < rise {
                wave(f64::from(start), 1.0, share / rise)
            } else {
                wave(1.0, f64::from(end), (share - rise) / (1.0 - rise))
            }
        }
        _ => panic!("{schedule:?} is not written down here"),
    }
}
