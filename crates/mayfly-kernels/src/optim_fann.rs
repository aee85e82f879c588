//! FANN's own weight updates, operation by operation as its 2.2.0 C library (float build) does them, so that a training run
//! can be followed step by step: every result is the same to the last bit (SARPROP's exponentials aside).
//!
//! The gradient `g` is that of the loss summed over the rows: FANN's slope is `-g`. Previous slopes are kept with FANN's sign.
//! Weights are independent of each other, so any layout will do, with one exception: see [`sarprop`].

use crate::Isa;
use crate::optim::{Update, run};
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// Weights that FANN's updates would push further stay at plus or minus this.
const WEIGHT_LIMIT: f32 = 1500.0;

/// `FANN_TRAIN_INCREMENTAL`: steepest descent with momentum after each row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FannIncremental {
    /// FANN's `learning_rate`.
    pub learning_rate: f32,
    /// FANN's `learning_momentum`.
    pub learning_momentum: f32,
}

impl Default for FannIncremental {
    fn default() -> Self {
        Self { learning_rate: 0.7, learning_momentum: 0.0 }
    }
}

impl Update for FannIncremental {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::F32, g: S::F32, [delta, v]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let kept = s.mul(s.splat(self.learning_momentum), delta);
        let delta = s.sub(kept, s.mul(g, s.splat(self.learning_rate)));
        (s.add(w, delta), [delta, v])
    }
}

#[inline(always)]
fn incremental_body<S: Simd>(s: S, w: &mut [f32], g: &[f32], delta: &mut [f32], o: FannIncremental) {
    run(s, o, w, g, [delta]);
}

/// One row's update: `delta = learning_momentum delta - learning_rate g`, `w += delta`. `delta` begins at zero.
///
/// FANN multiplies the error by the rate before the input, here the rate comes last: one rounding may differ.
pub fn fann_incremental(isa: Isa, w: &mut [f32], g: &[f32], delta: &mut [f32], o: &FannIncremental) {
    check_len("fann_incremental", &[g.len(), delta.len()], &[w.len()]);
    let o = *o;
    dispatch!(isa, incremental_body(w: &mut [f32], g: &[f32], delta: &mut [f32], o: FannIncremental));
}

/// `w - g epsilon`
#[derive(Clone, Copy)]
struct Batch {
    epsilon: f32,
}

impl Update for Batch {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::F32, g: S::F32, moments: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        (s.sub(w, s.mul(g, s.splat(self.epsilon))), moments)
    }
}

#[inline(always)]
fn batch_body<S: Simd>(s: S, w: &mut [f32], g: &[f32], o: Batch) {
    run(s, o, w, g, []);
}

/// `FANN_TRAIN_BATCH`: one step along the gradient summed over `rows` rows, divided by their number.
pub fn fann_batch(isa: Isa, w: &mut [f32], g: &[f32], learning_rate: f32, rows: usize) {
    check_len("fann_batch", &[g.len()], &[w.len()]);
    let o = Batch { epsilon: learning_rate / rows as f32 };
    dispatch!(isa, batch_body(w: &mut [f32], g: &[f32], o: Batch));
}

/// `FANN_TRAIN_RPROP`, that is iRPROP− (Igel and Hüsken, 2000) as FANN has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rprop {
    /// FANN's `rprop_increase_factor`.
    pub increase_factor: f32,
    /// FANN's `rprop_decrease_factor`.
    pub decrease_factor: f32,
    /// FANN's `rprop_delta_min`.
    pub delta_min: f32,
    /// FANN's `rprop_delta_max`.
    pub delta_max: f32,
    /// FANN's `rprop_delta_zero`: what the steps begin with.
    pub delta_zero: f32,
}

impl Default for Rprop {
    fn default() -> Self {
        Self { increase_factor: 1.2, decrease_factor: 0.5, delta_min: 0.0, delta_max: 50.0, delta_zero: 0.1 }
    }
}

impl Update for Rprop {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::F32, g: S::F32, [step, prev]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let (zero, limit) = (s.zero(), s.splat(WEIGHT_LIMIT));
        // FANN's fann_max and fann_min are these compares; a step of 0 would end the training.
        let floor = s.splat(0.000_1);
        let step = s.select(s.gt(step, floor), step, floor);
        let slope = s.neg(g);
        let same = s.ge(s.mul(prev, slope), zero);
        let (grown, shrunk) = (s.mul(step, s.splat(self.increase_factor)), s.mul(step, s.splat(self.decrease_factor)));
        let (delta_max, delta_min) = (s.splat(self.delta_max), s.splat(self.delta_min));
        let grown = s.select(s.lt(grown, delta_max), grown, delta_max);
        let shrunk = s.select(s.gt(shrunk, delta_min), shrunk, delta_min);
        let step = s.select(same, grown, shrunk);
        let slope = s.select(same, slope, zero);
        // A slope of 0 counts as positive: FANN moves such a weight up.
        let (down, up) = (s.sub(w, step), s.add(w, step));
        let down = s.select(s.lt(down, s.neg(limit)), s.neg(limit), down);
        let up = s.select(s.gt(up, limit), limit, up);
        (s.select(s.lt(slope, zero), down, up), [step, slope])
    }
}

#[inline(always)]
fn irprop_body<S: Simd>(s: S, w: &mut [f32], g: &[f32], prev: &mut [f32], step: &mut [f32], o: Rprop) {
    run(s, o, w, g, [step, prev]);
}

/// One epoch of iRPROP−. `prev_slope` begins at zero, `step` at [`Rprop::delta_zero`].
pub fn irprop_minus(isa: Isa, w: &mut [f32], g: &[f32], prev_slope: &mut [f32], step: &mut [f32], o: &Rprop) {
    check_len("irprop_minus", &[g.len(), prev_slope.len(), step.len()], &[w.len()]);
    let o = *o;
    dispatch!(isa, irprop_body(w: &mut [f32], g: &[f32], prev_slope: &mut [f32], step: &mut [f32], o: Rprop));
}

/// `FANN_TRAIN_QUICKPROP` (Fahlman, 1988).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quickprop {
    /// FANN's `learning_rate`.
    pub learning_rate: f32,
    /// FANN's `quickprop_mu`: how much a step may grow.
    pub mu: f32,
    /// FANN's `quickprop_decay`, negative: the weight's share in its slope.
    pub decay: f32,
}

impl Default for Quickprop {
    fn default() -> Self {
        Self { learning_rate: 0.7, mu: 1.75, decay: -0.000_1 }
    }
}

/// [`Quickprop`] with what is the same for all weights worked out.
#[derive(Clone, Copy)]
struct QuickpropStep {
    epsilon: f32,
    mu: f32,
    decay: f32,
    /// `mu / (1 + mu)`
    shrink: f32,
}

impl Update for QuickpropStep {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::F32, g: S::F32, [prev_step, prev]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let (zero, limit) = (s.zero(), s.splat(WEIGHT_LIMIT));
        let slope = s.sub(s.mul(s.splat(self.decay), w), g);
        // FANN compares with the double 0.001; the f32 nearest to it lies above, hence "or equal".
        let (rising, falling) = (s.ge(prev_step, s.splat(0.001)), s.le(prev_step, s.splat(-0.001)));
        let bar = s.mul(s.splat(self.shrink), prev);
        let linear = s.mul(s.splat(self.epsilon), slope);
        let quadratic = s.div(s.mul(prev_step, slope), s.sub(prev, slope));
        let largest = s.mul(s.splat(self.mu), prev_step);
        let up = s.add(s.select(s.gt(slope, zero), linear, zero), s.select(s.gt(slope, bar), largest, quadratic));
        let down = s.add(s.select(s.lt(slope, zero), linear, zero), s.select(s.lt(slope, bar), largest, quadratic));
        let step = s.select(rising, up, s.select(falling, down, linear));
        let w = s.add(w, step);
        let w = s.select(s.gt(w, limit), limit, s.select(s.lt(w, s.neg(limit)), s.neg(limit), w));
        (w, [step, slope])
    }
}

#[inline(always)]
fn quickprop_body<S: Simd>(s: S, w: &mut [f32], g: &[f32], prev: &mut [f32], step: &mut [f32], o: QuickpropStep) {
    run(s, o, w, g, [step, prev]);
}

/// One epoch of Quickprop over `rows` rows. `prev_slope` and `step` begin at zero.
///
/// As in FANN, a weight whose slope and previous slope are both exactly 0 after a step of more than 0.001 becomes NaN (0/0).
pub fn quickprop(
    isa: Isa,
    w: &mut [f32],
    g: &[f32],
    prev_slope: &mut [f32],
    step: &mut [f32],
    rows: usize,
    o: &Quickprop,
) {
    check_len("quickprop", &[g.len(), prev_slope.len(), step.len()], &[w.len()]);
    let shrink = (f64::from(o.mu) / (1.0 + f64::from(o.mu))) as f32;
    let o = QuickpropStep { epsilon: o.learning_rate / rows as f32, mu: o.mu, decay: o.decay, shrink };
    dispatch!(isa, quickprop_body(w: &mut [f32], g: &[f32], prev_slope: &mut [f32], step: &mut [f32], o: QuickpropStep));
}

/// `FANN_TRAIN_SARPROP` (Treadgold and Gedeon, 1998).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sarprop {
    /// FANN's `rprop_increase_factor`.
    pub increase_factor: f32,
    /// FANN's `rprop_decrease_factor`.
    pub decrease_factor: f32,
    /// FANN's `rprop_delta_max`.
    pub delta_max: f32,
    /// FANN's `sarprop_weight_decay_shift`, a power of two.
    pub weight_decay_shift: f32,
    /// FANN's `sarprop_step_error_threshold_factor`.
    pub step_error_threshold_factor: f32,
    /// FANN's `sarprop_step_error_shift`, a power of two.
    pub step_error_shift: f32,
    /// FANN's `sarprop_temperature`.
    pub temperature: f32,
}

impl Default for Sarprop {
    fn default() -> Self {
        Self {
            increase_factor: 1.2,
            decrease_factor: 0.5,
            delta_max: 50.0,
            weight_decay_shift: -6.644,
            step_error_threshold_factor: 0.1,
            step_error_shift: 1.385,
            temperature: 0.015,
        }
    }
}

/// Two to the power `x` as FANN writes it.
fn exp2(x: f32) -> f32 {
    libm::exp(core::f64::consts::LN_2 * f64::from(x)) as f32
}

/// One epoch of SARPROP, `epoch` counted from 0, with FANN's mean square error `mse` of that epoch. `prev_slope` and `step`
/// begin at zero. `noise(i)` is a random number in `0..=1`, asked for where weight `i` needs one.
///
/// FANN leaves the step of a weight whose slope or previous slope is 0 at the value that the weight before it got; this does
/// the same, so here the order of the weights matters, and they go one by one.
pub fn sarprop(
    w: &mut [f32],
    g: &[f32],
    prev_slope: &mut [f32],
    step: &mut [f32],
    epoch: u32,
    mse: f32,
    o: &Sarprop,
    mut noise: impl FnMut(usize) -> f32,
) {
    check_len("sarprop", &[g.len(), prev_slope.len(), step.len()], &[w.len()]);
    let cold = -o.temperature * epoch as f32;
    let (decay, heat) = (exp2(cold + o.weight_decay_shift), exp2(cold + o.step_error_shift));
    let rmse = libm::sqrt(f64::from(mse)) as f32;
    let mut next = 0.0;
    let moments = prev_slope.iter_mut().zip(step);
    for (i, ((w, &g), (prev, step))) in w.iter_mut().zip(g).zip(moments).enumerate() {
        let held = if *step > 0.000_001 { *step } else { 0.000_001 };
        let mut slope = g - *w * decay;
        let same = *prev * slope;
        if same > 0.0 {
            let grown = held * o.increase_factor;
            next = if grown < o.delta_max { grown } else { o.delta_max };
            *w = if slope < 0.0 { *w + next } else { *w - next };
        } else if same < 0.0 {
            let shrunk = held * o.decrease_factor;
            next = if held < o.step_error_threshold_factor * mse {
                shrunk + noise(i) * rmse * heat
            } else if shrunk > 0.000_001 {
                shrunk
            } else {
                0.000_001
            };
            slope = 0.0;
        } else {
            *w = if slope < 0.0 { *w + held } else { *w - held };
        }
        (*step, *prev) = (next, slope);
    }
}
