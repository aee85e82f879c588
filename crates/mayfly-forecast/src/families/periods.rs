//! Windows folded by their strongest periods (Wu et al. 2023), as operations of the graph.
use mayfly_kernels as k;
use mayfly_nn::{Act, CustomOp, Dims, Shape};

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

/// Square kernels of 1, 3, 5 … as the one of the last's size that is their mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeanKernel {
    pub(super) kernels: usize,
}

impl MeanKernel {
    /// Each element of kernel `i`, and where it stands in the mean.
    fn places(self, planes: usize, i: usize) -> impl Iterator<Item = (usize, usize)> {
        let (own, all) = (2 * i + 1, 2 * self.kernels - 1);
        let before = self.kernels - 1 - i;
        (0..planes * own * own).map(move |at| {
            let (plane, row, column) = (at / (own * own), at / own % own, at % own);
            (at, (plane * all + row + before) * all + column + before)
        })
    }
}

impl CustomOp for MeanKernel {
    fn name(&self) -> &'static str {
        "mean_kernel"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let side = 2 * self.kernels - 1;
        let first = inputs.first().ok_or("no kernels")?;
        let fits = |(i, x): (usize, &Shape)| {
            x.rank() == 4 && x.dims()[..2] == first.dims()[..2] && x.dims()[2..] == [2 * i + 1; 2]
        };
        match inputs.len() == self.kernels && inputs.iter().enumerate().all(fits) {
            true => Shape::fixed(&[first.dims()[0], first.dims()[1], side, side]).map_err(|e| e.to_string()),
            false => Err(format!("{} square kernels are needed, got {inputs:?}", self.kernels)),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        y.fill(0.0);
        for (i, x) in inputs.iter().enumerate() {
            self.places(dims[i][0] * dims[i][1], i).for_each(|(from, to)| y[to] += x[from] / self.kernels as f32);
        }
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], _: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let planes = dims[which][0] * dims[which][1];
        self.places(planes, which).for_each(|(to, from)| dx[to] = dy[from] / self.kernels as f32);
    }
}

/// `(x [b, c, len], w [o, c, n, n], bias [o], frequencies [m]) → [b, o, out]`: a sequence of `times` values, folded to rows of one period, through a convolution over both.
/// Of the result the first `out` values are given; what lies behind the last row is 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeriodConv {
    pub(super) times: usize,
    /// Which of the frequencies.
    pub(super) rank: usize,
    pub(super) out: usize,
}

/// Sizes of a run.
struct Fold {
    conv: k::Conv2d,
    isa: k::Isa,
    /// Values of a channel: as they are given, as they are convolved, and as they are wanted.
    lens: [usize; 3],
}

impl PeriodConv {
    fn fold(&self, inputs: &[&[f32]], dims: &[Dims]) -> Fold {
        let frequency = inputs[3].get(self.rank).map_or(1, |f| *f as usize).clamp(1, self.times);
        let period = self.times / frequency;
        let rows = self.times.div_ceil(period);
        let kernel = dims[1].last();
        let conv = k::Conv2d {
            batch: dims[0][0],
            channels: dims[0][1],
            height: rows,
            width: period,
            out_channels: dims[1][0],
            kernel: [kernel; 2],
            stride: [1; 2],
            pad: [kernel / 2; 4],
            dilation: [1; 2],
            groups: 1,
        };
        Fold { conv, isa: k::Isa::detect(), lens: [dims[0].last(), rows * period, self.out] }
    }
}

impl Fold {
    fn scratch(&self) -> Vec<f32> {
        vec![0.0; self.conv.scratch_len()]
    }
}

/// Rows of `from` values as rows of `to`: cut, or with zeros behind.
fn fitted(x: &[f32], from: usize, to: usize) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / from.max(1) * to];
    put(&mut y, to, x, from);
    y
}

fn put(y: &mut [f32], to: usize, x: &[f32], from: usize) {
    let both = from.min(to);
    for (y, x) in y.chunks_exact_mut(to).zip(x.chunks_exact(from)) {
        y[..both].copy_from_slice(&x[..both]);
        y[both..].fill(0.0);
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
                    && w.rank() == 4
                    && w.dims()[1] == x.dims()[1]
                    && w.dims()[2] == w.dims()[3]
                    && w.last() % 2 == 1
                    && bias.row_len() == w.dims()[0]
                    && at.last() > self.rank
                    && x.last() >= self.times =>
            {
                Shape::folded(x.dims()[0], &[w.dims()[0], self.out]).map_err(|e| e.to_string())
            }
            _ => Err(format!("a sequence, a square kernel, a bias and frequencies are needed, got {inputs:?}")),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let fold = self.fold(inputs, dims);
        let [given, grid, wanted] = fold.lens;
        let x = fitted(inputs[0], given, grid);
        let mut whole = vec![0.0; fold.conv.batch * fold.conv.out_channels * grid];
        let act = Act::Identity;
        k::conv2d_fwd(fold.isa, &mut whole, &x, inputs[1], Some(inputs[2]), act, &mut fold.scratch(), &fold.conv);
        put(y, wanted, &whole, grid);
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let fold = self.fold(inputs, dims);
        let [given, grid, wanted] = fold.lens;
        let dy = fitted(dy, wanted, grid);
        let scratch = &mut fold.scratch();
        match which {
            0 => {
                let mut whole = vec![0.0; fold.conv.batch * fold.conv.channels * grid];
                k::conv2d_bwd_x(fold.isa, &mut whole, &dy, inputs[1], scratch, &fold.conv);
                put(dx, given, &whole, grid);
            }
            1 => {
                let x = fitted(inputs[0], given, grid);
                k::conv2d_bwd_w(fold.isa, dx, &dy, &x, scratch, &fold.conv);
            }
            2 => {
                dx.fill(0.0);
                for image in dy.chunks_exact(grid * fold.conv.out_channels) {
                    dx.iter_mut().zip(image.chunks_exact(grid)).for_each(|(dx, dy)| *dx += dy.iter().sum::<f32>());
                }
            }
            _ => dx.fill(0.0), // a choice has no slope
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
        let (mut small, mut large) = ([9.0], [9.0; 9]);
        let dy: Vec<f32> = (0..9).map(|i| i as f32).collect();
        op.backward(0, &mut small, &dy, &[], &[], &dims);
        op.backward(1, &mut large, &dy, &[], &[], &dims);
        assert_eq!((small, large[8]), ([2.0], 4.0));
    }
}
