//! Windows folded by their strongest periods (Wu et al. 2023), as operations of the graph.
use mayfly_kernels as k;
use mayfly_nn::{CustomOp, Dims, Shape};

/// `amplitudes [bins] → [most]`: the strongest frequencies but 0, strongest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strongest {
    pub(super) most: usize,
}

impl CustomOp for Strongest {
    fn name(&self) -> &'static str {
        "strongest_frequencies"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [x] if !x.is_batched() && x.rank() == 1 && x.last() > self.most => {
                Shape::fixed(&[self.most]).map_err(|e| e.to_string())
            }
            _ => Err(format!("amplitudes of more than {} frequencies are needed, got {inputs:?}", self.most)),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let mut order: Vec<usize> = (1..inputs[0].len()).collect();
        order.sort_by(|a, b| inputs[0][*b].total_cmp(&inputs[0][*a]));
        y.iter_mut().zip(order).for_each(|(y, frequency)| *y = frequency as f32);
    }

    /// A choice has no slope.
    fn backward(&self, _: usize, dx: &mut [f32], _: &[f32], _: &[&[f32]], _: &[f32], _: &[Dims]) {
        dx.fill(0.0);
    }
}

/// `(x [b, n], numbers [m]) → [b, m]`: the values of a row at places that are data.
#[derive(Clone, Copy, Debug)]
pub(super) struct At;

impl CustomOp for At {
    fn name(&self) -> &'static str {
        "at"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [x, at] if x.rank() == 2 && at.rank() == 1 => {
                Shape::folded(x.dims()[0], &[at.last()]).map_err(|e| e.to_string())
            }
            _ => Err(format!("rows and places are needed, got {inputs:?}")),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        for (y, x) in y.chunks_exact_mut(inputs[1].len()).zip(inputs[0].chunks_exact(dims[0].last())) {
            y.iter_mut().zip(inputs[1]).for_each(|(y, at)| *y = x.get(*at as usize).copied().unwrap_or(0.0));
        }
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        dx.fill(0.0);
        if which != 0 {
            return;
        }
        for (dx, dy) in dx.chunks_exact_mut(dims[0].last()).zip(dy.chunks_exact(inputs[1].len())) {
            for (dy, at) in dy.iter().zip(inputs[1]) {
                if let Some(dx) = dx.get_mut(*at as usize) {
                    *dx += dy;
                }
            }
        }
    }
}

/// Square kernels `[o, c, n, n]` of 1, 3, 5 … as the one of the last's size that is their mean, `[taps, c, o]`: a matrix for each tap.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeanKernel {
    pub(super) kernels: usize,
}

impl MeanKernel {
    /// Values of a side of the mean.
    fn side(self) -> usize {
        2 * self.kernels - 1
    }

    /// Each tap of kernel `i`, and which one of the mean it is.
    fn taps(self, i: usize) -> Vec<usize> {
        let (own, before) = (2 * i + 1, self.kernels - 1 - i);
        (0..own * own).map(|tap| (tap / own + before) * self.side() + tap % own + before).collect()
    }
}

impl CustomOp for MeanKernel {
    fn name(&self) -> &'static str {
        "mean_kernel"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let first = inputs.first().ok_or("no kernels")?;
        let fits = |(i, x): (usize, &Shape)| {
            x.rank() == 4 && x.dims()[..2] == first.dims()[..2] && x.dims()[2..] == [2 * i + 1; 2]
        };
        match inputs.len() == self.kernels && inputs.iter().enumerate().all(fits) {
            true => {
                Shape::fixed(&[self.side() * self.side(), first.dims()[1], first.dims()[0]]).map_err(|e| e.to_string())
            }
            false => Err(format!("{} square kernels are needed, got {inputs:?}", self.kernels)),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let [outs, channels] = [dims[0][0], dims[0][1]];
        let (share, all) = (1.0 / self.kernels as f32, self.side() * self.side());
        let places: Vec<Vec<usize>> = (0..self.kernels).map(|i| self.taps(i)).collect();
        // All taps of one channel, which stay in the cache while every output is added.
        let mut channel = vec![0.0; all * outs];
        for c in 0..channels {
            channel.fill(0.0);
            for (x, places) in inputs.iter().zip(&places) {
                for o in 0..outs {
                    let from = &x[(o * channels + c) * places.len()..][..places.len()];
                    from.iter().zip(places).for_each(|(x, tap)| channel[tap * outs + o] += x * share);
                }
            }
            for (tap, from) in channel.chunks_exact(outs).enumerate() {
                y[(tap * channels + c) * outs..][..outs].copy_from_slice(from);
            }
        }
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], _: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let [outs, channels] = [dims[which][0], dims[which][1]];
        let (share, taps) = (1.0 / self.kernels as f32, self.taps(which));
        for (plane, dx) in dx.chunks_exact_mut(taps.len()).enumerate() {
            let (o, c) = (plane / channels, plane % channels);
            dx.iter_mut().zip(&taps).for_each(|(dx, tap)| *dx = dy[(tap * channels + c) * outs + o] * share);
        }
    }
}

/// `(x [b, c, len], w [taps, c, o], bias [o], frequencies [m]) → [b, o, out]`: a sequence of `times` values, folded to rows of one period, through a square convolution over
/// both. Of the result the first `out` values are given; what lies behind the last row is 0.
///
/// Kernels are as large as these images, so that most of their taps lie outside: each tap is a product of matrices over the places where it is inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeriodConv {
    pub(super) times: usize,
    /// Which of the frequencies.
    pub(super) rank: usize,
    pub(super) out: usize,
}

/// Sizes of a run: images of `height` rows of `width` places, each a vector for every row of the batch.
struct Fold {
    isa: k::Isa,
    batch: usize,
    channels: usize,
    outs: usize,
    height: usize,
    width: usize,
    side: usize,
}

/// Places that one tap joins: so many of the result from `to` on with as many of the images from `from` on.
struct Joined {
    tap: usize,
    to: usize,
    from: usize,
    len: usize,
}

impl PeriodConv {
    fn fold(&self, inputs: &[&[f32]], dims: &[Dims]) -> Fold {
        let frequency = inputs[3].get(self.rank).map_or(1, |f| *f as usize).clamp(1, self.times);
        let width = self.times / frequency;
        Fold {
            isa: k::Isa::detect(),
            batch: dims[0][0],
            channels: dims[0][1],
            outs: dims[1].last(),
            height: self.times.div_ceil(width),
            width,
            side: dims[1][0].isqrt(),
        }
    }
}

impl Fold {
    fn places(&self) -> usize {
        self.height * self.width
    }

    /// Every tap with the places where it is inside.
    fn joined(&self) -> impl Iterator<Item = Joined> {
        let (side, half, width, height) = (self.side, self.side / 2, self.width, self.height);
        // Of `n` places those that have one `tap − half` further on.
        let inside = move |tap: usize, n: usize| half.saturating_sub(tap)..(n + half).saturating_sub(tap).min(n);
        (0..side * side).flat_map(move |tap| {
            let (rows, columns) = (inside(tap / side, height), inside(tap % side, width));
            // Whole rows follow one another.
            let (count, len) = match columns.len() == width {
                true => (usize::from(!rows.is_empty()), rows.len() * width),
                false => (rows.len(), columns.len()),
            };
            let first = rows.start * width + columns.start;
            let ahead = (tap / side + rows.start - half) * width + tap % side + columns.start - half;
            let one = move |i: usize| Joined { tap, to: first + i * width, from: ahead + i * width, len };
            (0..if columns.is_empty() { 0 } else { count }).map(one)
        })
    }

    /// `[b, c, len] → [places, b, c]`, cut or with zeros behind.
    fn by_place(&self, x: &[f32], channels: usize) -> Vec<f32> {
        let len = x.len() / (self.batch * channels).max(1);
        let mut y = vec![0.0; self.places() * self.batch * channels];
        for (b, x) in x.chunks_exact((channels * len).max(1)).enumerate() {
            for t in 0..len.min(self.places()) {
                let to = &mut y[(t * self.batch + b) * channels..][..channels];
                to.iter_mut().enumerate().for_each(|(c, y)| *y = x[c * len + t]);
            }
        }
        y
    }

    /// The way back, into rows of any length.
    fn by_row(&self, x: &[f32], channels: usize, y: &mut [f32]) {
        let len = y.len() / (self.batch * channels).max(1);
        y.fill(0.0);
        for (b, y) in y.chunks_exact_mut((channels * len).max(1)).enumerate() {
            for t in 0..len.min(self.places()) {
                let from = &x[(t * self.batch + b) * channels..][..channels];
                from.iter().enumerate().for_each(|(c, x)| y[c * len + t] = *x);
            }
        }
    }

    /// A product over all places, the largest of all.
    fn scratch(&self, m: usize, k: usize, n: usize, [a, b]: [k::Trans; 2]) -> Vec<f32> {
        vec![0.0; k::MatMul { m, k, n, a, b }.scratch_len()]
    }
}

impl CustomOp for PeriodConv {
    fn name(&self) -> &'static str {
        "period_conv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [x, w, bias, at]
                if x.rank() == 3
                    && w.rank() == 3
                    && w.dims()[1] == x.dims()[1]
                    && w.dims()[0] % 2 == 1
                    && w.dims()[0].isqrt().pow(2) == w.dims()[0]
                    && bias.row_len() == w.last()
                    && at.last() > self.rank
                    && x.last() >= self.times =>
            {
                Shape::folded(x.dims()[0], &[w.last(), self.out]).map_err(|e| e.to_string())
            }
            _ => Err(format!("a sequence, taps of a square kernel, a bias and frequencies are needed, got {inputs:?}")),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let fold = self.fold(inputs, dims);
        let Fold { isa, batch, channels: c, outs: o, .. } = fold;
        let x = fold.by_place(inputs[0], c);
        let mut whole: Vec<f32> = inputs[2].repeat(fold.places() * batch);
        let trans = [k::Trans::No; 2];
        let mut scratch = fold.scratch(fold.places() * batch, c, o, trans);
        for Joined { tap, to, from, len } in fold.joined() {
            let p = k::MatMul { m: len * batch, k: c, n: o, a: trans[0], b: trans[1] };
            let (to, from) = (&mut whole[to * batch * o..][..p.m * o], &x[from * batch * c..][..p.m * c]);
            k::matmul_acc(isa, to, from, &inputs[1][tap * c * o..][..c * o], &mut scratch, p);
        }
        fold.by_row(&whole, o, y);
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let fold = self.fold(inputs, dims);
        let Fold { isa, batch, channels: c, outs: o, .. } = fold;
        if which > 2 {
            return dx.fill(0.0); // a choice has no slope
        }
        let dy = fold.by_place(dy, o);
        match which {
            0 => {
                let mut whole = vec![0.0; fold.places() * batch * c];
                let trans = [k::Trans::No, k::Trans::Yes];
                let mut scratch = fold.scratch(fold.places() * batch, o, c, trans);
                for Joined { tap, to, from, len } in fold.joined() {
                    let p = k::MatMul { m: len * batch, k: o, n: c, a: trans[0], b: trans[1] };
                    let (to, from) = (&dy[to * batch * o..][..p.m * o], &mut whole[from * batch * c..][..p.m * c]);
                    k::matmul_acc(isa, from, to, &inputs[1][tap * c * o..][..c * o], &mut scratch, p);
                }
                fold.by_row(&whole, c, dx);
            }
            1 => {
                dx.fill(0.0);
                let x = fold.by_place(inputs[0], c);
                let trans = [k::Trans::Yes, k::Trans::No];
                let mut scratch = fold.scratch(c, fold.places() * batch, o, trans);
                for Joined { tap, to, from, len } in fold.joined() {
                    let p = k::MatMul { m: c, k: len * batch, n: o, a: trans[0], b: trans[1] };
                    let (to, from) = (&dy[to * batch * o..][..p.k * o], &x[from * batch * c..][..p.k * c]);
                    k::matmul_acc(isa, &mut dx[tap * c * o..][..c * o], from, to, &mut scratch, p);
                }
            }
            _ => {
                dx.fill(0.0);
                dy.chunks_exact(o).for_each(|dy| dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_frequencies_come_first_and_never_the_mean() {
        let mut y = [0.0; 2];
        Strongest { most: 2 }.forward(&mut y, &[&[9.0, 1.0, 3.0, 2.0]], &[]);
        assert_eq!(y, [2.0, 3.0]);
    }

    #[test]
    fn small_kernels_stand_in_the_middle_of_large_ones() {
        let op = MeanKernel { kernels: 2 };
        let dims = [[1, 1, 1, 1], [1, 1, 3, 3]].map(|d| Shape::fixed(&d).unwrap().at(1));
        let mut y = [9.0; 9];
        op.forward(&mut y, &[&[4.0], &[2.0; 9]], &dims);
        assert_eq!(y, [1.0, 1.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0]);
        // Two outputs of one channel: a matrix for each tap.
        let dims = [[2, 1, 1, 1], [2, 1, 3, 3]].map(|d| Shape::fixed(&d).unwrap().at(1));
        let mut two = [9.0; 18];
        let large: Vec<f32> = (0..18).map(|i| i as f32).collect();
        op.forward(&mut two, &[&[4.0, 6.0], &large], &dims);
        assert_eq!(two[..4], [0.0, 4.5, 0.5, 5.0]);
        assert_eq!(two[8..10], [4.0, 9.5]);
        let dims = [[1, 1, 1, 1], [1, 1, 3, 3]].map(|d| Shape::fixed(&d).unwrap().at(1));
        let (mut small, mut large) = ([9.0], [9.0; 9]);
        let dy: Vec<f32> = (0..9).map(|i| i as f32).collect();
        op.backward(0, &mut small, &dy, &[], &[], &dims);
        op.backward(1, &mut large, &dy, &[], &[], &dims);
        assert_eq!((small, large[8]), ([2.0], 4.0));
    }

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + seed * 101) % 83) as f32 / 41.5 - 1.0).collect()
    }

    /// Against a convolution by its definition, for images of one row, of one column, and smaller and larger than the kernel.
    #[test]
    fn a_folded_convolution_is_one_by_its_definition() {
        let (batch, c, o, times, given) = (2, 3, 2, 12, 15);
        for (frequency, side, out) in [(1, 3, 12), (12, 3, 24), (3, 5, 12), (4, 5, 24), (5, 3, 12), (2, 7, 12)] {
            let op = PeriodConv { times, rank: 1, out };
            let (x, w, bias) = (numbers(batch * c * given, 1), numbers(side * side * c * o, 2), numbers(o, 3));
            let at = [7.0, frequency as f32];
            let width = times / frequency;
            let height = times.div_ceil(width);
            let dims = [
                Shape::folded(1, &[c, given]).unwrap().at(batch),
                Shape::fixed(&[side * side, c, o]).unwrap().at(1),
                Shape::fixed(&[o]).unwrap().at(1),
                Shape::fixed(&[2]).unwrap().at(1),
            ];
            let inputs: [&[f32]; 4] = [&x, &w, &bias, &at];
            // Which input and which weight make up each output.
            let mut terms: Vec<(usize, usize, usize)> = Vec::new();
            let mut want = vec![0.0_f32; batch * o * out];
            for (b, j, place) in (0..batch * o * height * width)
                .map(|i| (i / (o * height * width), i / (height * width) % o, i % (height * width)))
            {
                if place >= out {
                    continue;
                }
                let to = (b * o + j) * out + place;
                want[to] = bias[j];
                for tap in 0..side * side {
                    let row = (place / width + tap / side).checked_sub(side / 2).filter(|row| *row < height);
                    let column = (place % width + tap % side).checked_sub(side / 2).filter(|column| *column < width);
                    let (Some(row), Some(column)) = (row, column) else { continue };
                    let t = row * width + column;
                    for i in (0..c).filter(|_| t < given) {
                        let (x_at, w_at) = ((b * c + i) * given + t, (tap * c + i) * o + j);
                        want[to] += x[x_at] * w[w_at];
                        terms.push((to, x_at, w_at));
                    }
                }
            }
            let near = |got: &[f32], want: &[f32]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-4);
            let mut y = vec![9.0; want.len()];
            op.forward(&mut y, &inputs, &dims);
            assert!(near(&y, &want), "{frequency} {side}: {y:?}, not {want:?}");
            let dy = numbers(y.len(), 5);
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
            for (to, x_at, w_at) in &terms {
                dx[*x_at] += dy[*to] * w[*w_at];
                dw[*w_at] += dy[*to] * x[*x_at];
            }
            for (which, want) in [(0, dx), (1, dw)] {
                let mut got = vec![9.0; want.len()];
                op.backward(which, &mut got, &dy, &inputs, &y, &dims);
                assert!(near(&got, &want), "{frequency} {side}, input {which}: {got:?}, not {want:?}");
            }
        }
    }
}
