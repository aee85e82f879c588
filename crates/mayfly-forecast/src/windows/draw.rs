//! Drawing without repeats.
use mayfly_base::Rng;
use std::collections::HashSet;

/// `k` different numbers below `n`, every set of them equally likely (Floyd 1987); all of them in order where there are no more.
pub(super) fn distinct(n: usize, k: usize, rng: &mut Rng) -> Vec<usize> {
    if k >= n {
        return (0..n).collect();
    }
    let mut taken = HashSet::with_capacity(k);
    (n - k..n)
        .map(|top| {
            let drawn = rng.below(top as u64 + 1) as usize;
            let number = if taken.contains(&drawn) { top } else { drawn };
            taken.insert(number);
            number
        })
        .collect()
}

/// Fills shares between 0 and 1 for the targets of row `i`, which is the `number`th of all: a function of seed and number alone. They lie before the weights, behind all else.
pub(super) fn shares(extras: &mut [&mut [f32]], len: usize, i: usize, (seed, number): (u64, u64)) {
    let [.., shares, _] = extras else { return };
    let mut rng = Rng::stream(seed, number);
    let places = shares.iter_mut().skip(i * len).take(len);
    places.for_each(|share| *share = rng.uniform_f64() as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_twice_and_everything_as_often() {
        let mut rng = Rng::new(5);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            let drawn = distinct(10, 4, &mut rng);
            assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 4);
            drawn.iter().for_each(|i| counts[*i] += 1);
        }
        // 4000 each expected; the standard deviation is 49.
        assert!(counts.iter().all(|n| (3750..4250).contains(n)), "{counts:?}");
        assert_eq!(distinct(3, 7, &mut rng), [0, 1, 2]);
    }
}
