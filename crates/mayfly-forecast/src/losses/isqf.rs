//! Quantile functions in pieces (Park et al., "Learning Quantile Functions without Quantile Crossing", AISTATS 2022): straight pieces between some quantiles, exponential tails beyond them; trained by the
//! continuous ranked probability score, `∫ 2 (1{z < q(α)} − α) (q(α) − z) dα`. Where q crosses z the integrand is 0, so that the score's slopes are those of q alone.
use super::density::{sigmoid, softplus};

/// Least width and height of a piece.
const TOL: f64 = 1e-4;

/// The shape of one value's quantile function.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Pieces {
    /// The quantiles between which there are pieces, ascending.
    pub(crate) shares: Vec<f64>,
    /// Pieces between two of them.
    pub(crate) each: usize,
}

/// A quantile function on the scale of the network.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Quantiles {
    pieces: Vec<Piece>,
    left: Tail,
    right: Tail,
}

/// From share `a` and height `u`, `d` wide and `g` high.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Piece {
    a: f64,
    d: f64,
    u: f64,
    g: f64,
    /// Its share of the width and height of all pieces between two quantiles, before the least is added.
    shares: [f64; 2],
}

/// Beyond a quantile: `at ∓ length · ln` of the share that is left there.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Tail {
    width: f64,
    at: f64,
    length: f64,
}

impl Pieces {
    /// Outputs of the network for one value.
    pub(crate) fn outputs(&self) -> usize {
        2 * self.between() + 2 + self.shares.len()
    }

    fn between(&self) -> usize {
        (self.shares.len() - 1) * self.each
    }

    /// The function that outputs stand for: widths, heights, both tails, quantiles.
    pub(crate) fn function(&self, raw: &[f32]) -> Quantiles {
        let n = self.between();
        let at = |i: usize| f64::from(raw.get(i).copied().unwrap_or(0.0));
        let heights = self.heights(raw);
        let mut pieces = Vec::with_capacity(n);
        for (i, (shares, heights)) in self.shares.windows(2).zip(heights.windows(2)).enumerate() {
            let widths = softmax(raw.get(i * self.each..(i + 1) * self.each).unwrap_or_default());
            let tops = softmax(raw.get(n + i * self.each..n + (i + 1) * self.each).unwrap_or_default());
            let (mut a, mut u) = (shares[0], heights[0]);
            for (width, top) in widths.into_iter().zip(tops) {
                let d = self.floored(width) * (shares[1] - shares[0]);
                let g = self.floored(top) * (heights[1] - heights[0]);
                pieces.push(Piece { a, d, u, g, shares: [width, top] });
                (a, u) = (a + d, u + g);
            }
        }
        let tail = |width: f64, at: f64, raw: f64| Tail { width, at, length: 1.0 / (softplus(raw) + TOL) };
        let (first, last) = (self.shares[0], self.shares[self.shares.len() - 1]);
        Quantiles {
            pieces,
            left: tail(first, heights[0], at(2 * n)),
            right: tail(1.0 - last, heights[heights.len() - 1], at(2 * n + 1)),
        }
    }

    /// Heights at the quantiles.
    fn heights(&self, raw: &[f32]) -> Vec<f64> {
        let own = raw.get(2 * self.between() + 2..).unwrap_or_default();
        let mut sum = 0.0;
        let height = |(i, raw): (usize, &f32)| {
            let raw = f64::from(*raw);
            sum += if i == 0 { raw } else { softplus(raw) + TOL };
            sum
        };
        own.iter().enumerate().map(height).collect()
    }

    fn floored(&self, share: f64) -> f64 {
        (share + TOL) / (1.0 + self.each as f64 * TOL)
    }

    /// The score at `z`, and its slopes along the outputs.
    pub(crate) fn score(&self, raw: &[f32], z: f64, slopes: &mut [f64]) -> f64 {
        let function = self.function(raw);
        let heights = self.heights(raw);
        let n = self.between();
        let (mut along_heights, mut sum) = (vec![0.0; self.shares.len()], 0.0);
        for i in 0..self.shares.len() - 1 {
            let pieces = &function.pieces[i * self.each..(i + 1) * self.each];
            let [width, height] = [self.shares[i + 1] - self.shares[i], heights[i + 1] - heights[i]];
            // What starts behind a piece moves with its width and height.
            let (mut later_a, mut later_u, mut by_height) = (0.0, 0.0, 0.0);
            let (mut of_widths, mut of_tops) = (vec![0.0; self.each], vec![0.0; self.each]);
            for (j, piece) in pieces.iter().enumerate().rev() {
                let [score, a, d, u, g] = piece.score(z);
                sum += score;
                let floor = 1.0 + self.each as f64 * TOL;
                of_widths[j] = (d + later_a) * width / floor;
                of_tops[j] = (g + later_u) * height / floor;
                by_height += (g + later_u) * self.floored(piece.shares[1]);
                (later_a, later_u) = (later_a + a, later_u + u);
            }
            along_heights[i] += later_u - by_height;
            along_heights[i + 1] += by_height;
            for (from, of, which) in [(i * self.each, of_widths, 0), (n + i * self.each, of_tops, 1)] {
                let mean: f64 = pieces.iter().zip(&of).map(|(piece, of)| piece.shares[which] * of).sum();
                for (j, (piece, of)) in pieces.iter().zip(of).enumerate() {
                    slopes[from + j] = piece.shares[which] * (of - mean);
                }
            }
        }
        let [left, at, length] = function.left.score_left(z);
        sum += left;
        along_heights[0] += at;
        slopes[2 * n] = self.along_tail(raw, 2 * n, length);
        let [right, at, length] = function.right.score_right(z);
        sum += right;
        if let Some(last) = along_heights.last_mut() {
            *last += at;
        }
        slopes[2 * n + 1] = self.along_tail(raw, 2 * n + 1, length);
        // A quantile lifts all that follow.
        let mut lifted = 0.0;
        for (i, along) in along_heights.iter().enumerate().rev() {
            lifted += along;
            let place = 2 * n + 2 + i;
            slopes[place] = lifted * if i == 0 { 1.0 } else { sigmoid(f64::from(raw[place])) };
        }
        sum
    }

    fn along_tail(&self, raw: &[f32], place: usize, along_length: f64) -> f64 {
        let raw = f64::from(raw[place]);
        let rate = softplus(raw) + TOL;
        -along_length / (rate * rate) * sigmoid(raw)
    }
}

fn softmax(raw: &[f32]) -> Vec<f64> {
    let most = raw.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let all: Vec<f64> = raw.iter().map(|x| f64::from(x - most).exp()).collect();
    let sum: f64 = all.iter().sum();
    all.into_iter().map(|e| e / sum).collect()
}

impl Piece {
    /// Its part of the score, and the slopes along a, d, u and g.
    fn score(&self, z: f64) -> [f64; 5] {
        let Piece { a, d, u, g, .. } = *self;
        let t = ((z - u) / g).clamp(0.0, 1.0);
        let above = (1.0 - t) * (u - z) + g * (1.0 - t * t) / 2.0;
        let all = a * (u - z) + a * g / 2.0 + d * (u - z) / 2.0 + d * g / 3.0;
        [
            2.0 * d * (above - all),
            -2.0 * d * (u - z + g / 2.0),
            2.0 * (above - all) - 2.0 * d * ((u - z) / 2.0 + g / 3.0),
            2.0 * d * (1.0 - t - a - d / 2.0),
            2.0 * d * ((1.0 - t * t) / 2.0 - a / 2.0 - d / 3.0),
        ]
    }
}

/// `s ln s`, which is 0 at 0.
fn s_ln_s(s: f64) -> f64 {
    if s > 0.0 { s * s.ln() } else { 0.0 }
}

impl Tail {
    /// The part of the tail to the left, and the slopes along its height and length.
    fn score_left(&self, z: f64) -> [f64; 3] {
        let Tail { width: w, at, length } = *self;
        let s = ((z - at) / length).min(0.0).exp();
        let above = s - 1.0 - s_ln_s(s);
        let score = 2.0 * w * (length * above + (at - z) * (1.0 - s)) - 2.0 * w * w * ((at - z) / 2.0 - length / 4.0);
        [score, 2.0 * w * (1.0 - s) - w * w, 2.0 * w * above + w * w / 2.0]
    }

    fn score_right(&self, z: f64) -> [f64; 3] {
        let Tail { width: w, at, length } = *self;
        let s = ((at - z) / length).min(0.0).exp();
        let above = s - s_ln_s(s);
        let all = (at - z) * (1.0 - w / 2.0) + length * (1.0 - w / 4.0);
        let score = 2.0 * w * ((at - z) * s + length * above) - 2.0 * w * all;
        [score, 2.0 * w * (s - 1.0 + w / 2.0), 2.0 * w * (above - 1.0 + w / 4.0)]
    }
}

impl Quantiles {
    /// The quantile of a share.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let Quantiles { pieces, left, right } = self;
        if share < left.width {
            return left.at + left.length * (share / left.width).ln();
        }
        match pieces.iter().find(|piece| share < piece.a + piece.d) {
            Some(piece) => piece.u + piece.g * ((share - piece.a) / piece.d).clamp(0.0, 1.0),
            None => right.at - right.length * ((1.0 - share) / right.width).min(1.0).ln(),
        }
    }

    /// The share below a value.
    pub(crate) fn share(&self, z: f64) -> f64 {
        let Quantiles { pieces, left, right } = self;
        if z < left.at {
            return left.width * ((z - left.at) / left.length).exp();
        }
        match pieces.iter().find(|piece| z < piece.u + piece.g) {
            Some(piece) => piece.a + piece.d * ((z - piece.u) / piece.g).clamp(0.0, 1.0),
            None => 1.0 - right.width * ((right.at - z) / right.length).min(0.0).exp(),
        }
    }

    /// The area below the quantile function.
    pub(crate) fn mean(&self) -> f64 {
        let Quantiles { pieces, left, right } = self;
        let middle: f64 = pieces.iter().map(|piece| piece.d * (piece.u + piece.g / 2.0)).sum();
        middle + left.width * (left.at - left.length) + right.width * (right.at + right.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Pieces {
        Pieces { shares: vec![0.1, 0.5, 0.9], each: 3 }
    }

    fn raw() -> Vec<f32> {
        (0..pieces().outputs()).map(|i| ((i * 7 % 11) as f32 - 5.0) * 0.3).collect()
    }

    /// The integral by its definition.
    fn by_sum(function: &Quantiles, z: f64) -> f64 {
        let n = 400_000;
        let at = |i: usize| {
            let share = (i as f64 + 0.5) / n as f64;
            let q = function.quantile(share);
            2.0 * (f64::from(u8::from(z < q)) - share) * (q - z) / n as f64
        };
        (0..n).map(at).sum()
    }

    #[test]
    fn the_score_is_the_integral_and_slopes_are_finite_differences() {
        let (pieces, raw) = (pieces(), raw());
        let function = pieces.function(&raw);
        for share in [0.02, 0.1, 0.2, 0.47, 0.5, 0.7, 0.93, 0.999] {
            let z = function.quantile(share);
            assert!((function.share(z) - share).abs() < 1e-9, "{share}");
            let mut slopes = vec![9.0; pieces.outputs()];
            let score = pieces.score(&raw, z, &mut slopes);
            assert!((score - by_sum(&function, z)).abs() < 2e-4, "{share}: {score}");
            for i in 0..raw.len() {
                let moved = |by: f32| {
                    let mut raw = raw.clone();
                    raw[i] += by;
                    pieces.score(&raw, z, &mut vec![0.0; raw.len()])
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((slope - slopes[i]).abs() < 2e-3 * (1.0 + slope.abs()), "{share} {i}: {} {slope}", slopes[i]);
            }
        }
        let n = 400_000;
        let mean = (0..n).map(|i| function.quantile((f64::from(i) + 0.5) / f64::from(n))).sum::<f64>() / f64::from(n);
        assert!((function.mean() - mean).abs() < 1e-3, "{} {mean}", function.mean());
    }
}
