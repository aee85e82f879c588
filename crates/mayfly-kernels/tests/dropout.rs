//! Dropout: the same mask everywhere, and random.
mod support;
use mayfly_kernels as k;
use support::{Numbers, Shifted, assert_same_bits, isas, lengths};

fn mask(p: f32, seed: u64, step: u64, len: usize) -> Vec<bool> {
    let mut y = vec![0.0; len];
    k::dropout_fwd(k::Isa::detect(), &mut y, &vec![1.0; len], p, seed, step);
    y.iter().map(|y| *y != 0.0).collect()
}

#[test]
fn the_mask_is_the_same_on_every_isa_at_every_length() {
    let mut numbers = Numbers::new(1);
    let long = mask(0.4, 11, 5, 257);
    for (len, shift) in lengths() {
        let x = Shifted::new(&numbers.vec(len, -1.0, 1.0), shift);
        for isa in isas() {
            let mut y = Shifted::output(len, (shift + 1) % 16);
            k::dropout_fwd(isa, y.get_mut(), x.get(), 0.4, 11, 5);
            let scale = 1.0 / (1.0 - 0.4f32);
            let want =
                x.get().iter().zip(&long).map(|(x, kept)| if *kept { x * scale } else { 0.0 }).collect::<Vec<_>>();
            assert_same_bits(&format!("dropout of {len} on {isa:?}"), y.get(), &want);
            y.check_guards();
            let mut dx = Shifted::output(len, shift);
            k::dropout_bwd(isa, dx.get_mut(), x.get(), 0.4, 11, 5);
            assert_same_bits("the gradient", dx.get(), y.get());
        }
    }
}

/// Within six standard deviations of a binomial count.
fn near_rate(what: &str, hits: usize, of: usize, rate: f64) {
    let sigma = (of as f64 * rate * (1.0 - rate)).sqrt();
    let off = (hits as f64 - of as f64 * rate).abs();
    assert!(off < 6.0 * sigma, "{what}: {hits} of {of}, expected {} ± {sigma}", of as f64 * rate);
}

const LEN: usize = 1 << 20;

#[test]
fn the_rate_is_p() {
    for p in [0.001, 0.1, 0.5, 0.9, 0.999] {
        for (seed, step) in [(0, 0), (0, 1), (1, 0), (u64::MAX, 7)] {
            let dropped = mask(p, seed, step, LEN).iter().filter(|kept| !**kept).count();
            near_rate(&format!("p {p} seed {seed} step {step}"), dropped, LEN, f64::from(p));
        }
    }
}

#[test]
fn masks_are_independent() {
    let base = mask(0.5, 3, 100, LEN);
    let agree = |other: &[bool]| base.iter().zip(other).filter(|(a, b)| a == b).count();
    for (seed, step) in [(3, 101), (3, 99), (2, 100), (4, 100), (100, 3), (3 + (1 << 40), 100)] {
        near_rate(&format!("against seed {seed} step {step}"), agree(&mask(0.5, seed, step, LEN)), LEN, 0.5);
    }
    for lag in [1, 2, 15, 16, 17, 31, 32, 33, 64, 1000, 4096] {
        near_rate(&format!("lag {lag}"), agree(&base[lag..]), LEN - lag, 0.5);
    }
    // Each position of a group of 32, and each pair of neighbours.
    for at in 0..32 {
        let kept = base.chunks_exact(32).filter(|group| group[at]).count();
        near_rate(&format!("position {at}"), kept, LEN / 32, 0.5);
        let both = base.chunks_exact(32).filter(|group| group[at] && group[(at + 1) % 32]).count();
        near_rate(&format!("pair at {at}"), both, LEN / 32, 0.25);
    }
}

#[test]
fn edges_of_p() {
    let x = Numbers::new(2).vec(100, -1.0, 1.0);
    for isa in isas() {
        let mut y = vec![f32::NAN; 100];
        for p in [0.0, -1.0, f32::NAN] {
            k::dropout_fwd(isa, &mut y, &x, p, 1, 1);
            assert_same_bits("nothing dropped", &y, &x);
        }
        for p in [1.0, 2.0, f32::INFINITY] {
            k::dropout_fwd(isa, &mut y, &x, p, 1, 1);
            assert_same_bits("everything dropped", &y, &[0.0; 100]);
        }
    }
}

/// Dropped elements are zeros even where the input is not a number.
#[test]
fn dropped_is_zero() {
    for isa in isas() {
        let mut y = vec![0.0; 200];
        k::dropout_fwd(isa, &mut y, &[f32::INFINITY; 200], 0.5, 9, 9);
        assert!(y.iter().all(|y| *y == 0.0 || *y == f32::INFINITY) && y.contains(&0.0));
    }
}
