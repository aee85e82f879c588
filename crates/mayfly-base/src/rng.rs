//! xoshiro256++ with the draws that networks need.

/// The increment of SplitMix64: 2⁶⁴ divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64-bit words whose outputs look unrelated: the finaliser of SplitMix64 (Steele, Lea & Flood 2014; constants of Stafford's variant 13).
///
/// ```
/// assert_ne!(mayfly_base::mix(1), mayfly_base::mix(2));
/// ```
pub const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// One step of SplitMix64: [`mix`] after the generator's increment, so that 0 does not stay 0.
///
/// ```
/// assert_eq!(mayfly_base::split_mix(0), 0xe220_a839_7b1d_cdaf);
/// ```
pub const fn split_mix(state: u64) -> u64 {
    mix(state.wrapping_add(GOLDEN))
}

/// Four words of SplitMix64 from `seed`.
fn expand(seed: u64) -> [u64; 4] {
    core::array::from_fn(|i| split_mix(seed.wrapping_add(GOLDEN.wrapping_mul(i as u64))))
}

/// A pseudo-random generator: xoshiro256++ (Blackman & Vigna 2019). Fast, small and statistically sound; **not** for secrets.
///
/// Every draw is defined here down to the bit and held by golden values in the tests: a seed stays reproducible across machines and versions.
/// [`Rng::state`] and [`Rng::from_state`] carry a generator through a checkpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Rng {
    state: [u64; 4],
}

impl core::fmt::Debug for Rng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rng")
    }
}

impl Rng {
    /// The generator of a seed. The state is filled by SplitMix64, as its authors advise.
    pub fn new(seed: u64) -> Self {
        Self::from_words(expand(seed))
    }

    /// Generator number `stream` of a seed: unrelated to [`Rng::new`] of the same seed and to every other stream.
    ///
    /// Streams are addressed, not consumed: layer 3 or epoch 17 gets the same numbers whatever was drawn for the others.
    pub fn stream(seed: u64, stream: u64) -> Self {
        let (own, other) = (expand(seed), expand(mix(stream ^ 0x6d61_7966_6c79_2121)));
        Self::from_words(core::array::from_fn(|i| own[i] ^ other[i]))
    }

    /// A new generator, unrelated to this one, which moves on by four draws.
    pub fn split(&mut self) -> Self {
        Self::from_words(core::array::from_fn(|_| mix(self.next_u64())))
    }

    /// The generator in the state that [`Rng::state`] gave. A state of zeros, which no generator has, becomes that of seed 0.
    pub fn from_state(state: [u64; 4]) -> Self {
        Self::from_words(state)
    }

    /// The state, to be kept in a checkpoint.
    pub fn state(&self) -> [u64; 4] {
        self.state
    }

    /// All zeros is the one state that xoshiro cannot leave.
    fn from_words(state: [u64; 4]) -> Self {
        if state == [0; 4] { Self::new(0) } else { Self { state } }
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let out = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        out
    }

    /// Uniform in `0 ≤ x < 1`, a multiple of 2⁻²⁴.
    #[inline]
    pub fn uniform_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / (1_u32 << 24) as f32)
    }

    /// Uniform in `0 ≤ x < 1`, a multiple of 2⁻⁵³.
    #[inline]
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Uniform between `lo` and `hi`; `hi` itself may come up by rounding.
    #[inline]
    pub fn between(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * self.uniform_f32()
    }

    /// Normal with mean 0 and standard deviation 1: Marsaglia's polar method, the second value of each pair left unused so that the state says all.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.uniform_f64() - 1.0, 2.0 * self.uniform_f64() - 1.0);
            let s = x * x + y * y;
            if s > 0.0 && s < 1.0 {
                return x * libm::sqrt(-2.0 * libm::log(s) / s);
            }
        }
    }

    /// A whole number below `n`, all equally likely (Lemire 2019: a widening product, redrawn in the few cases that would favour some numbers). 0 when `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            let unfair = n.wrapping_neg() % n; // 2⁶⁴ mod n
            while (product as u64) < unfair {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// Puts a slice in random order, all orders equally likely (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }
}
