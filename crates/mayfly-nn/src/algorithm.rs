//! Training algorithms and their settings, as training configurations name them.
use crate::error::{NnError, Result};
use crate::loss::{FannError, Loss};
use mayfly_kernels as k;
use serde::{Deserialize, Serialize};

/// A training algorithm with its settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013).
    Sgd(Sgd),
    /// Adam (Kingma & Ba 2015).
    Adam(Adam),
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW(AdamW),
    /// RMSprop (Tieleman & Hinton 2012).
    #[serde(rename = "rmsprop")]
    RmsProp(RmsProp),
    /// Adagrad (Duchi et al. 2011).
    Adagrad(Adagrad),
    /// Lion (Chen et al. 2023).
    Lion(Lion),
    /// FANN's incremental training: a step after every row.
    Incremental(Incremental),
    /// FANN's batch training: a step an epoch.
    Batch(Batch),
    /// FANN's iRPROP− (Igel & Hüsken 2000).
    Rprop(Rprop),
    /// FANN's Quickprop (Fahlman 1988).
    Quickprop(Quickprop),
    /// FANN's SARPROP (Treadgold & Gedeon 1998).
    Sarprop(Sarprop),
}

/// Settings of [`Algorithm::Sgd`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f32,
    /// Share of the momentum that is kept.
    pub momentum: f32,
    /// Whether the step looks ahead along the momentum.
    pub nesterov: bool,
    /// Factor of the parameter in its gradient.
    pub weight_decay: f32,
}

/// Settings of [`Algorithm::Adam`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// Learning rate.
    pub lr: f32,
    /// Share of the first moment that is kept.
    pub beta1: f32,
    /// Share of the second moment that is kept.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Factor of the parameter in its gradient.
    pub weight_decay: f32,
}

/// Settings of [`Algorithm::AdamW`]: Adam's, and a decay that goes past the moments.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f32,
    /// Share of the first moment that is kept.
    pub beta1: f32,
    /// Share of the second moment that is kept.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// A step takes `lr · weight_decay` of every parameter away.
    pub weight_decay: f32,
}

/// Settings of [`Algorithm::RmsProp`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f32,
    /// Share of the mean square that is kept.
    pub alpha: f32,
    /// Added to the root of the mean square.
    pub eps: f32,
    /// Share of the momentum that is kept.
    pub momentum: f32,
    /// Factor of the parameter in its gradient.
    pub weight_decay: f32,
}

/// Settings of [`Algorithm::Adagrad`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f32,
    /// The rate at step t is `lr / (1 + (t − 1) · lr_decay)`.
    pub lr_decay: f32,
    /// Added to the root of the sum of squares.
    pub eps: f32,
    /// Factor of the parameter in its gradient.
    pub weight_decay: f32,
}

/// Settings of [`Algorithm::Lion`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lion {
    /// Learning rate; a third to a tenth of Adam's.
    pub lr: f32,
    /// Share of the momentum in the step.
    pub beta1: f32,
    /// Share of the momentum that is kept.
    pub beta2: f32,
    /// A step takes `lr · weight_decay` of every parameter away.
    pub weight_decay: f32,
}

/// Settings of [`Algorithm::Incremental`], by FANN's names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Incremental {
    /// Step along the slope.
    pub learning_rate: f32,
    /// Share of the step before.
    pub learning_momentum: f32,
}

/// Settings of [`Algorithm::Batch`], by FANN's name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// Step along the mean slope of the rows.
    pub learning_rate: f32,
}

/// Settings of [`Algorithm::Rprop`], by FANN's names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rprop {
    /// Growth of a step while the slope keeps its sign.
    pub increase_factor: f32,
    /// Shrinking of a step when the slope changes its sign.
    pub decrease_factor: f32,
    /// Smallest step.
    pub delta_min: f32,
    /// Largest step.
    #[serde(with = "crate::bits::number")]
    pub delta_max: f32,
    /// First step.
    pub delta_zero: f32,
}

/// Settings of [`Algorithm::Quickprop`], by FANN's names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quickprop {
    /// Step along the mean slope of the rows.
    pub learning_rate: f32,
    /// How much a step may grow.
    pub mu: f32,
    /// The weight's share in its slope, negative.
    pub decay: f32,
}

/// Settings of [`Algorithm::Sarprop`], by FANN's names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sarprop {
    /// Growth of a step while the slope keeps its sign.
    pub increase_factor: f32,
    /// Shrinking of a step when the slope changes its sign.
    pub decrease_factor: f32,
    /// Largest step.
    #[serde(with = "crate::bits::number")]
    pub delta_max: f32,
    /// Weight decay, as a power of two.
    pub weight_decay_shift: f32,
    /// Steps below this share of the error get noise.
    pub step_error_threshold_factor: f32,
    /// Strength of the noise, as a power of two.
    pub step_error_shift: f32,
    /// How fast decay and noise fade with the epochs.
    pub temperature: f32,
}

// What settings are by default is written down once, beside the kernels.

impl Default for Sgd {
    fn default() -> Self {
        let k::Sgd { lr, momentum, form, weight_decay } = k::Sgd::default();
        Sgd { lr, momentum, nesterov: form == k::Momentum::Nesterov, weight_decay }
    }
}

impl Default for Adam {
    fn default() -> Self {
        let k::Adam { lr, beta1, beta2, eps, weight_decay, .. } = k::Adam::default();
        Adam { lr, beta1, beta2, eps, weight_decay }
    }
}

impl Default for AdamW {
    fn default() -> Self {
        let k::Adam { lr, beta1, beta2, eps, weight_decay, .. } = k::Adam::w();
        AdamW { lr, beta1, beta2, eps, weight_decay }
    }
}

impl Default for RmsProp {
    fn default() -> Self {
        let k::RmsProp { lr, alpha, eps, momentum, weight_decay } = k::RmsProp::default();
        RmsProp { lr, alpha, eps, momentum, weight_decay }
    }
}

impl Default for Adagrad {
    fn default() -> Self {
        let k::Adagrad { lr, lr_decay, eps, weight_decay, .. } = k::Adagrad::default();
        Adagrad { lr, lr_decay, eps, weight_decay }
    }
}

impl Default for Lion {
    fn default() -> Self {
        let k::Lion { lr, beta1, beta2, weight_decay } = k::Lion::default();
        Lion { lr, beta1, beta2, weight_decay }
    }
}

impl Default for Incremental {
    fn default() -> Self {
        let k::FannIncremental { learning_rate, learning_momentum } = k::FannIncremental::default();
        Incremental { learning_rate, learning_momentum }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Batch { learning_rate: k::FannIncremental::default().learning_rate }
    }
}

impl Default for Rprop {
    fn default() -> Self {
        let k::Rprop { increase_factor, decrease_factor, delta_min, delta_max, delta_zero } = k::Rprop::default();
        Rprop { increase_factor, decrease_factor, delta_min, delta_max, delta_zero }
    }
}

impl Default for Quickprop {
    fn default() -> Self {
        let k::Quickprop { learning_rate, mu, decay } = k::Quickprop::default();
        Quickprop { learning_rate, mu, decay }
    }
}

impl Default for Sarprop {
    fn default() -> Self {
        let k::Sarprop { increase_factor, decrease_factor, delta_max, weight_decay_shift, .. } = k::Sarprop::default();
        let k::Sarprop { step_error_threshold_factor, step_error_shift, temperature, .. } = k::Sarprop::default();
        Sarprop {
            increase_factor,
            decrease_factor,
            delta_max,
            weight_decay_shift,
            step_error_threshold_factor,
            step_error_shift,
            temperature,
        }
    }
}

impl Sgd {
    pub(crate) fn kernel(&self, rate: f32) -> k::Sgd {
        let form = if self.nesterov { k::Momentum::Nesterov } else { k::Momentum::Classic };
        k::Sgd { lr: self.lr * rate, momentum: self.momentum, form, weight_decay: self.weight_decay }
    }
}

impl Adam {
    pub(crate) fn kernel(&self, rate: f32, step: u64) -> k::Adam {
        let &Adam { lr, beta1, beta2, eps, weight_decay } = self;
        k::Adam { lr: lr * rate, beta1, beta2, eps, weight_decay, decay: k::Decay::Coupled, step }
    }
}

impl AdamW {
    pub(crate) fn kernel(&self, rate: f32, step: u64) -> k::Adam {
        let &AdamW { lr, beta1, beta2, eps, weight_decay } = self;
        k::Adam { lr: lr * rate, beta1, beta2, eps, weight_decay, decay: k::Decay::Decoupled, step }
    }
}

impl RmsProp {
    pub(crate) fn kernel(&self, rate: f32) -> k::RmsProp {
        let &RmsProp { lr, alpha, eps, momentum, weight_decay } = self;
        k::RmsProp { lr: lr * rate, alpha, eps, momentum, weight_decay }
    }
}

impl Adagrad {
    pub(crate) fn kernel(&self, rate: f32, step: u64) -> k::Adagrad {
        let &Adagrad { lr, lr_decay, eps, weight_decay } = self;
        k::Adagrad { lr: lr * rate, lr_decay, eps, weight_decay, step }
    }
}

impl Lion {
    pub(crate) fn kernel(&self, rate: f32) -> k::Lion {
        let &Lion { lr, beta1, beta2, weight_decay } = self;
        k::Lion { lr: lr * rate, beta1, beta2, weight_decay }
    }
}

impl Incremental {
    pub(crate) fn kernel(&self, rate: f32) -> k::FannIncremental {
        k::FannIncremental { learning_rate: self.learning_rate * rate, learning_momentum: self.learning_momentum }
    }
}

impl Rprop {
    pub(crate) fn kernel(&self) -> k::Rprop {
        let &Rprop { increase_factor, decrease_factor, delta_min, delta_max, delta_zero } = self;
        k::Rprop { increase_factor, decrease_factor, delta_min, delta_max, delta_zero }
    }
}

impl Quickprop {
    pub(crate) fn kernel(&self, rate: f32) -> k::Quickprop {
        k::Quickprop { learning_rate: self.learning_rate * rate, mu: self.mu, decay: self.decay }
    }
}

impl Sarprop {
    pub(crate) fn kernel(&self) -> k::Sarprop {
        let &Sarprop { increase_factor, decrease_factor, delta_max, weight_decay_shift, .. } = self;
        let &Sarprop { step_error_threshold_factor, step_error_shift, temperature, .. } = self;
        k::Sarprop {
            increase_factor,
            decrease_factor,
            delta_max,
            weight_decay_shift,
            step_error_threshold_factor,
            step_error_shift,
            temperature,
        }
    }
}

impl Algorithm {
    /// The names in configurations and on the command line.
    pub const NAMES: [&str; 11] =
        ["sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", "incremental", "batch", "rprop", "quickprop", "sarprop"];

    /// The algorithm of this name with its defaults.
    ///
    /// # Errors
    /// A name that is not among [`Algorithm::NAMES`].
    pub fn by_name(name: &str) -> Result<Algorithm> {
        Ok(match name {
            "sgd" => Algorithm::Sgd(Sgd::default()),
            "adam" => Algorithm::Adam(Adam::default()),
            "adamw" => Algorithm::AdamW(AdamW::default()),
            "rmsprop" => Algorithm::RmsProp(RmsProp::default()),
            "adagrad" => Algorithm::Adagrad(Adagrad::default()),
            "lion" => Algorithm::Lion(Lion::default()),
            "incremental" => Algorithm::Incremental(Incremental::default()),
            "batch" => Algorithm::Batch(Batch::default()),
            "rprop" => Algorithm::Rprop(Rprop::default()),
            "quickprop" => Algorithm::Quickprop(Quickprop::default()),
            "sarprop" => Algorithm::Sarprop(Sarprop::default()),
            _ => {
                let known = Algorithm::NAMES.map(str::to_owned).to_vec();
                return Err(NnError::UnknownName { kind: "algorithm", name: name.to_owned(), known });
            }
        })
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            Algorithm::Sgd(_) => "sgd",
            Algorithm::Adam(_) => "adam",
            Algorithm::AdamW(_) => "adamw",
            Algorithm::RmsProp(_) => "rmsprop",
            Algorithm::Adagrad(_) => "adagrad",
            Algorithm::Lion(_) => "lion",
            Algorithm::Incremental(_) => "incremental",
            Algorithm::Batch(_) => "batch",
            Algorithm::Rprop(_) => "rprop",
            Algorithm::Quickprop(_) => "quickprop",
            Algorithm::Sarprop(_) => "sarprop",
        }
    }

    /// The same algorithm with another learning rate.
    ///
    /// # Errors
    /// RPROP and SARPROP have none: their steps find their own size.
    pub fn with_learning_rate(mut self, lr: f32) -> Result<Algorithm> {
        let place = self
            .learning_rate_mut()
            .ok_or_else(|| NnError::option("learning rate", lr, "rprop and sarprop have none; leave it out"))?;
        *place = lr;
        self.check()?;
        Ok(self)
    }

    fn learning_rate_mut(&mut self) -> Option<&mut f32> {
        match self {
            Algorithm::Sgd(o) => Some(&mut o.lr),
            Algorithm::Adam(o) => Some(&mut o.lr),
            Algorithm::AdamW(o) => Some(&mut o.lr),
            Algorithm::RmsProp(o) => Some(&mut o.lr),
            Algorithm::Adagrad(o) => Some(&mut o.lr),
            Algorithm::Lion(o) => Some(&mut o.lr),
            Algorithm::Incremental(o) => Some(&mut o.learning_rate),
            Algorithm::Batch(o) => Some(&mut o.learning_rate),
            Algorithm::Quickprop(o) => Some(&mut o.learning_rate),
            Algorithm::Rprop(_) | Algorithm::Sarprop(_) => None,
        }
    }

    /// The same algorithm with another weight decay; none for FANN's, which have none of this kind.
    pub fn with_weight_decay(mut self, decay: f32) -> Option<Algorithm> {
        let place = match &mut self {
            Algorithm::Sgd(o) => &mut o.weight_decay,
            Algorithm::Adam(o) => &mut o.weight_decay,
            Algorithm::AdamW(o) => &mut o.weight_decay,
            Algorithm::RmsProp(o) => &mut o.weight_decay,
            Algorithm::Adagrad(o) => &mut o.weight_decay,
            Algorithm::Lion(o) => &mut o.weight_decay,
            _ => return None,
        };
        *place = decay;
        Some(self)
    }

    /// The learning rate, where there is one.
    pub fn learning_rate(&self) -> Option<f32> {
        self.clone().learning_rate_mut().map(|lr| *lr)
    }

    /// Whether it is one of FANN's, which train on sums of FANN's errors.
    pub fn is_fann(&self) -> bool {
        use Algorithm::{Batch, Incremental, Quickprop, Rprop, Sarprop};
        matches!(self, Incremental(_) | Batch(_) | Rprop(_) | Quickprop(_) | Sarprop(_))
    }

    /// The loss that goes with the algorithm when none is chosen: FANN's tanh error for FANN's algorithms, the mean square otherwise.
    pub fn default_loss(&self) -> Loss {
        if self.is_fann() { Loss::Fann { error: FannError::Tanh } } else { Loss::Mse }
    }

    /// How many arrays of the parameters' layout its state has.
    pub fn state_arrays(&self) -> usize {
        match self {
            Algorithm::Batch(_) => 0,
            Algorithm::Sgd(o) => usize::from(o.momentum != 0.0),
            Algorithm::RmsProp(o) => 1 + usize::from(o.momentum != 0.0),
            Algorithm::Adagrad(_) | Algorithm::Lion(_) | Algorithm::Incremental(_) => 1,
            Algorithm::Adam(_)
            | Algorithm::AdamW(_)
            | Algorithm::Rprop(_)
            | Algorithm::Quickprop(_)
            | Algorithm::Sarprop(_) => 2,
        }
    }

    /// Refuses settings out of range.
    pub(crate) fn check(&self) -> Result<()> {
        let positive = |name: &'static str, v: f32| check(name, v, v > 0.0, "it must be positive");
        let share =
            |name: &'static str, v: f32| check(name, v, (0.0..1.0).contains(&v), "it must be at least 0 and below 1");
        let decay = |v: f32| check("weight decay", v, v >= 0.0, "it must not be negative");
        if let Some(lr) = self.learning_rate() {
            positive("learning rate", lr)?;
        }
        match self {
            Algorithm::Sgd(o) => share("momentum", o.momentum).and(decay(o.weight_decay)),
            Algorithm::Adam(o) => share("beta1", o.beta1)
                .and(share("beta2", o.beta2))
                .and(positive("eps", o.eps))
                .and(decay(o.weight_decay)),
            Algorithm::AdamW(o) => share("beta1", o.beta1)
                .and(share("beta2", o.beta2))
                .and(positive("eps", o.eps))
                .and(decay(o.weight_decay)),
            Algorithm::RmsProp(o) => share("alpha", o.alpha)
                .and(share("momentum", o.momentum))
                .and(positive("eps", o.eps))
                .and(decay(o.weight_decay)),
            Algorithm::Adagrad(o) => positive("eps", o.eps).and(decay(o.weight_decay)).and(check(
                "lr_decay",
                o.lr_decay,
                o.lr_decay >= 0.0,
                "it must not be negative",
            )),
            Algorithm::Lion(o) => share("beta1", o.beta1).and(share("beta2", o.beta2)).and(decay(o.weight_decay)),
            Algorithm::Incremental(o) => share("momentum", o.learning_momentum),
            Algorithm::Rprop(o) => positive("first step", o.delta_zero)
                .and(positive("increase factor", o.increase_factor))
                .and(positive("decrease factor", o.decrease_factor))
                .and(check("smallest step", o.delta_min, o.delta_min >= 0.0, "it must not be negative"))
                .and(largest_step(o.delta_max)),
            Algorithm::Quickprop(o) => positive("mu", o.mu).and(check("decay", o.decay, true, "it must be finite")),
            Algorithm::Sarprop(o) => positive("increase factor", o.increase_factor)
                .and(positive("decrease factor", o.decrease_factor))
                .and(largest_step(o.delta_max))
                .and(check("weight decay shift", o.weight_decay_shift, true, "it must be finite"))
                .and(check("step error threshold", o.step_error_threshold_factor, true, "it must be finite"))
                .and(check("step error shift", o.step_error_shift, true, "it must be finite"))
                .and(check("temperature", o.temperature, true, "it must be finite")),
            Algorithm::Batch(_) => Ok(()),
        }
    }
}

/// Steps without a limit are allowed.
fn largest_step(delta_max: f32) -> Result<()> {
    if delta_max > 0.0 { Ok(()) } else { Err(NnError::option("largest step", delta_max, "it must be positive")) }
}

fn check(name: &'static str, value: f32, fits: bool, want: &str) -> Result<()> {
    if fits && value.is_finite() { Ok(()) } else { Err(NnError::option(name, value, want)) }
}
