//! The comparisons that the kernel tests rest on refuse what is wrong.
#![cfg(panic = "unwind")] // WebAssembly cannot catch a refusal
mod support;
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{Shifted, assert_close, assert_same_bits, assert_within, ulps};

fn refuses(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

/// (got, want) that no tolerance may let through.
const WRONG: [(f32, f32); 9] = [
    (1.1, 1.0),
    (1e-3, 0.0),
    (-1.0, 1.0),
    (f32::NAN, 1.0),
    (1.0, f32::NAN),
    (f32::MAX, f32::INFINITY),
    (f32::INFINITY, f32::MAX),
    (f32::NEG_INFINITY, f32::INFINITY),
    (f32::NAN, f32::INFINITY),
];

#[test]
fn comparisons() {
    for (got, want) in WRONG {
        assert!(refuses(|| assert_close("", &[0.0, got], &[0.0, want], 1e-5, 1e-5)), "{got} for {want}");
        assert!(refuses(|| assert_within("", &[0.0, got], &[0.0, f64::from(want)], [1e-5, 1e-5])), "{got} for {want}");
        assert!(refuses(|| assert_same_bits("", &[0.0, got], &[0.0, want])), "{got} for {want}");
        assert!(ulps(got, f64::from(want)) >= 1.0, "{got} for {want}");
    }
    for v in [0.0, 1.0, f32::NAN, f32::INFINITY, -1e-40] {
        assert_close("", &[v], &[v], 0.0, 0.0);
        assert_within("", &[v], &[f64::from(v)], [0.0]);
        assert_same_bits("", &[v], &[v]);
        assert_eq!(ulps(v, f64::from(v)), 0.0);
    }
    assert_close("", &[1e-6, 1.000_001], &[0.0, 1.0], 2e-6, 0.0);
    assert!(refuses(|| assert_same_bits("", &[0.0], &[-0.0])));
}

#[test]
fn lengths() {
    assert!(refuses(|| assert_close("", &[0.0], &[0.0, 0.0], 1.0, 1.0)));
    assert!(refuses(|| assert_within("", &[0.0], &[0.0, 0.0], [1.0, 1.0])));
    assert!(refuses(|| assert_within("", &[0.0], &[0.0], [])));
    assert!(refuses(|| assert_same_bits("", &[0.0], &[])));
}

#[test]
fn guards() {
    for shift in [1, 3, 16] {
        let mut inside = Shifted::new(&[1.0, 2.0], shift);
        inside.get_mut().fill(9.0);
        inside.check_guards();
        for at in [-1, 2] {
            let mut slice = Shifted::new(&[1.0, 2.0], shift);
            slice.poke(at, 0.0);
            assert!(refuses(|| slice.check_guards()), "a write at {at} went unseen");
        }
    }
}
