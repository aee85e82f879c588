//! The frequencies that a FEDformer of NeuralForecast drew when it was made: they are not saved, and follow from its seed.
use rand_mt::Mt;

/// The frequencies of the encoder, of the decoder, and of the queries and keys between them, as NumPy's older generator shuffles them one after another.
/// `times` are those of the encoder and of the decoder; at most `most` of each are taken.
pub(super) fn drawn_modes(seed: u32, [encoder, decoder]: [usize; 2], most: usize) -> [Vec<usize>; 4] {
    let mut numbers = Mt::new(seed);
    [encoder, decoder, decoder, encoder].map(|times| {
        let mut all: Vec<usize> = (0..times / 2).collect();
        shuffle(&mut all, &mut numbers);
        all.truncate(most);
        all.sort_unstable();
        all
    })
}

/// `numpy.random.shuffle`: from the end, each place with one before it or itself.
fn shuffle(all: &mut [usize], numbers: &mut Mt) {
    for last in (1..all.len()).rev() {
        let mask = u32::MAX >> (last as u32).leading_zeros();
        let mut at = numbers.next_u32() & mask;
        while at > last as u32 {
            at = numbers.next_u32() & mask;
        }
        all.swap(last, at as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of NeuralForecast 3.3.0, read off its model: `FEDformer(h=10, input_size=40, random_seed=7, modes=4)` and `FEDformer(h=24, input_size=100,
    /// random_seed=2147483653, modes=8)`.
    #[test]
    fn frequencies_are_neuralforecasts() {
        let small = [vec![1, 2, 5, 17], vec![1, 2, 4, 9], vec![2, 5, 12, 13], vec![2, 8, 16, 17]];
        assert_eq!(drawn_modes(7, [40, 30], 4), small);
        let [encoder, decoder, queries, keys] = drawn_modes(2_147_483_653, [100, 74], 8);
        assert_eq!(encoder, [5, 14, 15, 20, 25, 27, 29, 34]);
        assert_eq!(decoder, [8, 10, 16, 24, 25, 30, 34, 35]);
        assert_eq!(queries, [8, 13, 15, 16, 21, 29, 33, 34]);
        assert_eq!(keys, [0, 6, 7, 10, 11, 15, 20, 47]);
        assert_eq!(drawn_modes(1, [24, 24], 64), [(); 4].map(|()| (0..12).collect::<Vec<_>>()));
    }
}
