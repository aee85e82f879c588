//! The generator against an independent implementation, its draws against their definitions, and golden values so that seeds stay reproducible.
use mayfly_base::Rng;
use rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

#[test]
fn bits_are_those_of_xoshiro256plusplus() {
    for seed in [0, 1, 42, u64::MAX, 0x9e37_79b9_7f4a_7c15] {
        let (mut ours, mut theirs) = (Rng::new(seed), Xoshiro256PlusPlus::seed_from_u64(seed));
        for i in 0..1000 {
            assert_eq!(ours.next_u64(), theirs.next_u64(), "seed {seed}, draw {i}");
        }
    }
}

#[test]
fn golden_values() {
    let mut rng = Rng::new(1);
    assert_eq!(rng.next_u64(), 0xcfc5_d07f_6f03_c29b);
    assert_eq!(rng.uniform_f32().to_bits(), GOLDEN.0);
    assert_eq!(rng.uniform_f64().to_bits(), GOLDEN.1);
    assert_eq!(rng.normal().to_bits(), GOLDEN.2);
    assert_eq!(rng.below(1000), GOLDEN.3);
    assert_eq!(rng.between(-2.0, 3.0).to_bits(), GOLDEN.4);
    assert_eq!(rng.split().next_u64(), GOLDEN.5);
    assert_eq!(Rng::stream(1, 2).next_u64(), GOLDEN.6);
    let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
    rng.shuffle(&mut order);
    assert_eq!(order, GOLDEN.7);
}

/// Uniform f32, uniform f64, normal, below, between, split, stream, shuffle: changing any of them changes every network trained from a seed.
const GOLDEN: (u32, u64, u64, u64, u32, u64, u64, [u8; 8]) = (
    0x3f3f_4241,
    0x3fb9_a37d_5757_aaf0,
    0x3fe2_998d_199b_2d38,
    590,
    0x403b_ccb8,
    0x3940_1282_c27c_36d5,
    0x2009_1f74_6a87_2c72,
    [5, 3, 1, 4, 6, 7, 0, 2],
);

#[test]
fn uniform_draws_fill_their_range_evenly() {
    let mut rng = Rng::new(3);
    let mut cells = [0_u32; 16];
    for _ in 0..160_000 {
        let x = rng.uniform_f32();
        assert!((0.0..1.0).contains(&x));
        cells[(x * 16.0) as usize] += 1;
        assert!((0.0..1.0).contains(&rng.uniform_f64()));
    }
    // 10,000 each; the standard deviation of a cell is 97.
    assert!(cells.iter().all(|n| n.abs_diff(10_000) < 500), "{cells:?}");
}

#[test]
fn normal_draws_have_the_moments_of_a_normal() {
    let mut rng = Rng::new(4);
    let n = 200_000;
    let moments = (0..n)
        .map(|_| rng.normal())
        .fold([0.0; 4], |m, x| [m[0] + x, m[1] + x * x, m[2] + x * x * x, m[3] + x * x * x * x]);
    let [mean, var, skew, kurt] = moments.map(|m| m / f64::from(n));
    assert!(
        mean.abs() < 0.01 && (var - 1.0).abs() < 0.02 && skew.abs() < 0.04 && (kurt - 3.0).abs() < 0.1,
        "{mean} {var} {skew} {kurt}"
    );
}

#[test]
fn below_is_unbiased_even_where_shortcuts_are_not() {
    // With n = 3·2⁶², a plain remainder favours the lowest third, and an uncorrected product the multiples of 3.
    let n = 3 << 62;
    let mut rng = Rng::new(5);
    let (mut thirds, mut residues) = ([0_u32; 3], [0_u32; 3]);
    for _ in 0..30_000 {
        let x = rng.below(n);
        assert!(x < n);
        thirds[(x / (1 << 62)) as usize] += 1;
        residues[(x % 3) as usize] += 1;
    }
    assert!(thirds.iter().chain(&residues).all(|c| c.abs_diff(10_000) < 400), "{thirds:?} {residues:?}");
    assert_eq!((rng.below(0), rng.below(1)), (0, 0));
}

#[test]
fn every_order_is_equally_likely() {
    let mut rng = Rng::new(6);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..24_000 {
        let mut items = [0, 1, 2, 3];
        rng.shuffle(&mut items);
        *counts.entry(items).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    assert!(counts.values().all(|c| c.abs_diff(1000) < 160), "{counts:?}");
}

#[test]
fn streams_and_splits_do_not_repeat_each_other() {
    let mut seen = std::collections::BTreeSet::new();
    let mut parent = Rng::new(9);
    let generators = (0..200)
        .map(|s| Rng::stream(9, s))
        .chain((0..200).map(|s| Rng::stream(s, 9)))
        .chain((0..200).map(|_| parent.split()));
    // stream(9, 9) comes from both lists.
    let drawn: usize = generators.map(|mut g| (0..20).filter(|_| seen.insert(g.next_u64())).count()).sum();
    assert_eq!(drawn, 599 * 20);
    assert!(
        (0..20)
            .map({
                let mut plain = Rng::new(9);
                move |_| plain.next_u64()
            })
            .all(|x| !seen.contains(&x))
    );
}

#[test]
fn a_state_continues_where_it_was_taken() {
    let mut rng = Rng::new(11);
    for _ in 0..17 {
        rng.next_u64();
    }
    let mut again = Rng::from_state(rng.state());
    assert!((0..100).all(|_| rng.next_u64() == again.next_u64()));
    assert_eq!(Rng::from_state([0; 4]), Rng::new(0));
}
