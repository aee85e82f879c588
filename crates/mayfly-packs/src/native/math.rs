//! exp for vectors of f32.

/// e^x within 2 ULP on [-87, 88]; 0 below, infinity above, NaN of NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts (Cody and Waite), e^r by its series to the seventh power.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    let clamped = x.clamp(-87.3, 88.7);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    // n lies in -126..=128: in two steps, since 2^128 is no f32.
    let half = ((n as i32) >> 1, (n as i32) - ((n as i32) >> 1));
    let power = |n: i32| f32::from_bits(((n + 127) << 23).cast_unsigned());
    let y = p * power(half.0) * power(half.1);
    if x < -87.3 {
        0.0
    } else if x > 88.7 {
        f32::INFINITY
    } else {
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, ulp_distance};

    #[test]
    fn exp_is_within_two_ulp() {
        for i in -87_000..=88_000 {
            let x = i as f32 * 0.001;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            let ulp = ulp_distance(DType::F32, found, expected);
            assert!(ulp <= 2, "exp({x}) = {found}, expected {expected}");
        }
        assert_eq!((exp(-100.0), exp(0.0), exp(100.0)), (0.0, 1.0, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan());
    }
}
