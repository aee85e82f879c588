//! The activations and their derivatives on vectors in registers.

use crate::act::{Act, SELU_ALPHA, SELU_LAMBDA, Saves};
use crate::fann;
use crate::math;
use crate::simd::Simd;
use crate::simd_ext::SimdExt;

const SQRT_2_OVER_PI: f32 = 0.797_884_56;
/// The cubic term of the tanh form of GELU.
const GELU_CUBIC: f32 = 0.044_715;

/// `act(v)` on a vector in a register: the epilogue of products. What takes an instruction or two is inlined, everything else
/// is a call, or each use would carry a copy of all the functions.
#[inline(always)]
pub(crate) fn act_vec<S: Simd>(s: S, act: Act, v: S::F32) -> S::F32 {
    match act {
        Act::Identity => v,
        Act::Relu => Relu {}.value(s, v),
        Act::LeakyRelu { slope } => LeakyRelu { slope }.value(s, v),
        _ => s.act(act, v),
    }
}

/// `dy * act'` from what [`Act::saves`] names, inlined as [`act_vec`] is.
#[inline(always)]
pub(crate) fn act_bwd_vec<S: Simd>(s: S, act: Act, dy: S::F32, saved: S::F32) -> S::F32 {
    match act {
        Act::Identity => dy,
        Act::Relu => Relu {}.slope(s, dy, saved),
        Act::LeakyRelu { slope } => LeakyRelu { slope }.slope(s, dy, saved),
        _ => s.act_bwd(act, dy, saved),
    }
}

/// An activation that is known where its loop is compiled. [`act_inline`] there instead would bring all functions along, only to drop them again:
/// half of the time that this crate took to compile.
pub(crate) trait Function: Copy {
    /// `act(v)`
    fn value<S: Simd>(self, s: S, v: S::F32) -> S::F32;
    /// `dy · act'` from what [`Act::saves`] names.
    fn slope<S: Simd>(self, s: S, dy: S::F32, saved: S::F32) -> S::F32;
}

/// One call for each vector: short to compile.
#[derive(Clone, Copy)]
pub(crate) struct Called(pub(crate) Act);

impl Function for Called {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, v: S::F32) -> S::F32 {
        s.act(self.0, v)
    }

    #[inline(always)]
    fn slope<S: Simd>(self, s: S, dy: S::F32, saved: S::F32) -> S::F32 {
        s.act_bwd(self.0, dy, saved)
    }
}

/// `Name { parameters }: |s, v| value, |dy| slope`, where the slope's `v` is what was saved.
macro_rules! functions {
    ($($name:ident { $($field:ident),* }: |$s:ident, $v:ident| $value:expr, |$dy:ident| $slope:expr;)*) => { $(
        #[derive(Clone, Copy)]
        pub(crate) struct $name { $(pub(crate) $field: f32),* }

        impl Function for $name {
            #[inline(always)]
            fn value<S: Simd>(self, $s: S, $v: S::F32) -> S::F32 {
                $(let $field = self.$field;)*
                $value
            }

            #[inline(always)]
            fn slope<S: Simd>(self, $s: S, $dy: S::F32, $v: S::F32) -> S::F32 {
                $(let $field = self.$field;)*
                $slope
            }
        }
    )* };
}

functions! {
    Identity {}: |_s, v| v, |dy| { let _ = v; dy };
    Affine { mul, add }:
        |s, v| s.mul_add(v, s.splat(mul), s.splat(add)),
        |dy| { let _ = (v, add); s.mul(dy, s.splat(mul)) };
    Relu {}: |s, v| relu(s, v), |dy| s.select(s.gt(v, s.zero()), dy, s.zero());
    LeakyRelu { slope }:
        |s, v| s.select(s.gt(v, s.zero()), v, s.mul(v, s.splat(slope))),
        |dy| s.select(s.gt(v, s.zero()), dy, s.mul(dy, s.splat(slope)));
    Gelu {}: |s, v| s.mul(v, normal_cdf(s, v)), |dy| s.mul(dy, gelu_slope(s, v));
    Silu {}: |s, v| s.mul(v, math::sigmoid(s, v)), |dy| s.mul(dy, silu_slope(s, v));
    Tanh {}: |s, v| math::tanh(s, v), |dy| s.mul(dy, s.neg_mul_add(v, v, s.splat(1.0)));
    Sigmoid {}: |s, v| math::sigmoid(s, v), |dy| s.mul(dy, s.neg_mul_add(v, v, v));
}

/// [`act_inline`] out of line, for vectors that need no instructions beyond the target's own.
#[inline(never)]
pub(crate) fn act_call<S: Simd>(s: S, act: Act, v: S::F32) -> S::F32 {
    act_inline(s, act, v)
}

/// [`act_bwd_inline`] likewise.
#[inline(never)]
pub(crate) fn act_bwd_call<S: Simd>(s: S, act: Act, dy: S::F32, saved: S::F32) -> S::F32 {
    act_bwd_inline(s, act, dy, saved)
}

/// The methods `act` and `act_bwd` of an instruction set that has to be enabled: calls of functions that enable it.
#[cfg(target_arch = "x86_64")]
macro_rules! act_calls {
    ($features:literal, $token:ident, $vector:ty) => {
        #[inline(always)]
        fn act(self, act: crate::Act, v: $vector) -> $vector {
            #[target_feature(enable = $features)]
            #[inline(never)]
            fn call(act: crate::Act, v: $vector) -> $vector {
                crate::act_vec::act_inline($token::new(), act, v)
            }
            // SAFETY: `self` proves the instruction set.
            unsafe { call(act, v) }
        }
        #[inline(always)]
        fn act_bwd(self, act: crate::Act, dy: $vector, saved: $vector) -> $vector {
            #[target_feature(enable = $features)]
            #[inline(never)]
            fn call(act: crate::Act, dy: $vector, saved: $vector) -> $vector {
                crate::act_vec::act_bwd_inline($token::new(), act, dy, saved)
            }
            // SAFETY: `self` proves the instruction set.
            unsafe { call(act, dy, saved) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use act_calls;

/// `act(v)`
#[inline(always)]
pub(crate) fn act_inline<S: Simd>(s: S, act: Act, v: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    match act {
        Act::Identity => v,
        Act::Relu => Relu {}.value(s, v),
        Act::LeakyRelu { slope } => LeakyRelu { slope }.value(s, v),
        Act::Elu { alpha } => elu(s, v, one, s.splat(alpha)),
        Act::Selu => elu(s, v, s.splat(SELU_LAMBDA), s.splat(SELU_LAMBDA * SELU_ALPHA)),
        Act::Gelu => Gelu {}.value(s, v),
        Act::GeluTanh => s.mul(v, math::sigmoid(s, gelu_tanh_inner(s, v))),
        Act::Silu => Silu {}.value(s, v),
        Act::Mish => mish(s, v),
        Act::Softplus => softplus(s, v),
        Act::HardSwish => s.mul(v, hard_sigmoid(s, v)),
        Act::HardSigmoid => hard_sigmoid(s, v),
        Act::Tanh => Tanh {}.value(s, v),
        Act::Sigmoid => Sigmoid {}.value(s, v),
        Act::Exp => math::exp(s, v),
        Act::Log => math::log(s, v),
        Act::Sqrt => s.sqrt(v),
        Act::Abs => s.abs(v),
        Act::Neg => s.neg(v),
        Act::Square => s.mul(v, v),
        Act::Reciprocal => s.div(one, v),
        Act::Sin => math::sin(s, v),
        Act::Cos => math::cos(s, v),
        Act::Erf => math::erf(s, v),
        Act::Trunc => trunc(s, v),
        Act::Affine { mul, add } => s.mul_add(v, s.splat(mul), s.splat(add)),
        Act::Clamp { lo, hi } => clamp(s, v, lo, hi),
        Act::Fann(act, steepness) => fann::value(s, act, fann::sum(s, steepness, v)),
    }
}

/// `dy * act'` from what [`Act::saves`] names.
#[inline(always)]
pub(crate) fn act_bwd_inline<S: Simd>(s: S, act: Act, dy: S::F32, saved: S::F32) -> S::F32 {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    let v = saved;
    let positive = s.gt(v, zero);
    match act {
        Act::Identity => dy,
        Act::Relu => Relu {}.slope(s, dy, saved),
        Act::LeakyRelu { slope } => LeakyRelu { slope }.slope(s, dy, saved),
        Act::Elu { alpha } => {
            let below = if act.saves() == Saves::Output {
                s.add(v, s.splat(alpha))
            } else {
                s.mul(s.splat(alpha), math::exp(s, v))
            };
            s.mul(dy, s.select(positive, one, below))
        }
        Act::Selu => {
            let below = s.add(v, s.splat(SELU_LAMBDA * SELU_ALPHA));
            s.mul(dy, s.select(positive, s.splat(SELU_LAMBDA), below))
        }
        Act::Gelu => Gelu {}.slope(s, dy, saved),
        Act::GeluTanh => s.mul(dy, gelu_tanh_slope(s, v)),
        Act::Silu => Silu {}.slope(s, dy, saved),
        Act::Mish => s.mul(dy, mish_slope(s, v)),
        Act::Softplus => s.neg(s.mul(dy, math::expm1_negative(s, s.neg(v)))),
        Act::HardSwish => s.mul(dy, hard_swish_slope(s, v)),
        Act::HardSigmoid => {
            let inside = s.select(s.lt(v, one), s.mul(dy, s.splat(1.0 / 6.0)), zero);
            s.select(positive, inside, zero)
        }
        Act::Tanh => Tanh {}.slope(s, dy, saved),
        Act::Sigmoid => Sigmoid {}.slope(s, dy, saved),
        Act::Exp => s.mul(dy, v),
        Act::Log => s.div(dy, v),
        Act::Sqrt => s.div(s.mul(dy, s.splat(0.5)), v),
        Act::Abs => s.select(positive, dy, s.select(s.lt(v, zero), s.neg(dy), zero)),
        Act::Neg => s.neg(dy),
        Act::Square => s.mul(dy, s.add(v, v)),
        Act::Reciprocal => s.neg(s.mul(dy, s.mul(v, v))),
        Act::Sin => s.mul(dy, math::cos(s, v)),
        Act::Cos => s.neg(s.mul(dy, math::sin(s, v))),
        Act::Erf => {
            let bell = math::exp_negative(s, s.neg(s.mul(v, v)));
            s.mul(dy, s.mul(bell, s.splat(core::f32::consts::FRAC_2_SQRT_PI)))
        }
        Act::Trunc => zero,
        Act::Affine { mul, .. } => s.mul(dy, s.splat(mul)),
        Act::Clamp { lo, hi } => {
            let below = s.select(s.le(v, s.splat(hi)), dy, zero);
            s.select(s.ge(v, s.splat(lo)), below, zero)
        }
        Act::Fann(act, steepness) => s.mul(dy, fann::slope(s, act, steepness, v)),
    }
}

/// From 2²³ on every f32 is whole; NaN stays NaN. A small negative number becomes 0 and not −0, as through an integer.
#[inline(always)]
fn trunc<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let is_small = s.lt(s.abs(v), s.splat(8_388_608.0));
    let whole = s.i32_to_f32(s.f32_to_i32(s.select(is_small, v, s.splat(0.0))));
    s.select(is_small, whole, v)
}

#[inline(always)]
fn relu<S: Simd>(s: S, v: S::F32) -> S::F32 {
    s.max(s.splat(0.0), v) // of two with a NaN, the second
}

#[inline(always)]
fn elu<S: Simd>(s: S, v: S::F32, above: S::F32, below: S::F32) -> S::F32 {
    let negative = s.mul(below, math::expm1_negative(s, v));
    s.select(s.gt(v, s.splat(0.0)), s.mul(above, v), negative)
}

/// `v` held within `lo..=hi`; NaN stays.
#[inline(always)]
fn clamp<S: Simd>(s: S, v: S::F32, lo: f32, hi: f32) -> S::F32 {
    let (lo, hi) = (s.splat(lo), s.splat(hi));
    let v = s.select(s.gt(v, hi), hi, v);
    s.select(s.lt(v, lo), lo, v)
}

#[inline(always)]
fn hard_sigmoid<S: Simd>(s: S, v: S::F32) -> S::F32 {
    clamp(s, s.mul_add(v, s.splat(1.0 / 6.0), s.splat(0.5)), 0.0, 1.0)
}

#[inline(always)]
fn hard_swish_slope<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let inside = s.mul_add(v, s.splat(1.0 / 3.0), s.splat(0.5));
    let below = s.select(s.ge(v, s.splat(3.0)), s.splat(1.0), inside);
    s.select(s.le(v, s.splat(-3.0)), s.splat(0.0), below)
}

/// Distribution function of the standard normal.
#[inline(always)]
fn normal_cdf<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let half = s.splat(0.5);
    let e = math::erf(s, s.mul(v, s.splat(core::f32::consts::FRAC_1_SQRT_2)));
    s.mul_add(e, half, half)
}

#[inline(always)]
fn gelu_slope<S: Simd>(s: S, v: S::F32) -> S::F32 {
    // 1 / sqrt(2π)
    let density = math::exp_negative(s, s.mul(s.mul(v, v), s.splat(-0.5)));
    let density = s.mul(density, s.splat(0.398_942_28));
    s.mul_add(v, density, normal_cdf(s, v))
}

#[inline(always)]
fn silu_slope<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let g = math::sigmoid(s, v);
    s.mul_add(s.mul(v, g), s.sub(s.splat(1.0), g), g)
}

/// Twice the argument of the tanh: `(1 + tanh(u)) / 2` is `sigmoid(2u)`.
#[inline(always)]
fn gelu_tanh_inner<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let cubic = s.splat(2.0 * SQRT_2_OVER_PI * GELU_CUBIC);
    s.mul(v, s.mul_add(s.mul(v, v), cubic, s.splat(2.0 * SQRT_2_OVER_PI)))
}

#[inline(always)]
fn gelu_tanh_slope<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let g = math::sigmoid(s, gelu_tanh_inner(s, v));
    let cubic = s.splat(6.0 * SQRT_2_OVER_PI * GELU_CUBIC);
    let inner = s.mul_add(s.mul(v, v), cubic, s.splat(2.0 * SQRT_2_OVER_PI));
    let bend = s.mul(g, s.sub(s.splat(1.0), g));
    // Far out the bend is 0 and the rest may be infinite.
    let bend = s.mul(bend, s.mul(v, inner));
    let bend = s.select(s.lt(s.abs(v), s.splat(20.0)), bend, s.splat(0.0));
    s.add(g, bend)
}

/// `max(v, 0) + log(1 + exp(-|v|))`
#[inline(always)]
fn softplus<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let tail = math::log1p_positive(s, math::exp_negative(s, s.neg(s.abs(v))));
    s.add(relu(s, v), tail)
}

/// `w = e (e + 2)` with `e = exp(v)`: then `tanh(softplus(v)) = w / (w + 2)`, which is 1 from 20 on.
#[inline(always)]
fn mish_parts<S: Simd>(s: S, v: S::F32) -> (S::F32, S::F32) {
    let e = math::exp(s, clamp(s, v, -104.0, 20.0));
    (e, s.mul(e, s.add(e, s.splat(2.0))))
}

#[inline(always)]
fn mish<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let (_, w) = mish_parts(s, v);
    s.mul(v, s.div(w, s.add(w, s.splat(2.0))))
}

/// `(w (w + 2) + 4 v e (1 + e)) / (w + 2)²`
#[inline(always)]
fn mish_slope<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let (e, w) = mish_parts(s, v);
    let below = s.add(w, s.splat(2.0));
    let ratio = s.div(s.splat(1.0), below);
    let bend = s.mul(s.mul(e, s.add(e, s.splat(1.0))), s.mul(ratio, ratio));
    // Beyond 20 in either direction the second term vanishes.
    let v = clamp(s, v, -104.0, 20.0);
    s.mul_add(s.mul(v, s.splat(4.0)), bend, s.mul(w, ratio))
}
