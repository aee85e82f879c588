//! Convolution and pooling by their definitions, in f64.
use crate::{Conv2d, Pool2d, PoolKind};

/// Calls `f(index in x, index in w, index in y)` for every product of a convolution.
fn products(c: &Conv2d, mut f: impl FnMut(usize, usize, usize)) {
    let Some([oh, ow]) = c.out_size() else { return };
    let (ins, outs) = (c.channels / c.groups, c.out_channels / c.groups);
    for at in 0..c.batch * c.out_channels * oh * ow {
        let (image, out, row, col) =
            (at / (c.out_channels * oh * ow), at / (oh * ow) % c.out_channels, at / ow % oh, at % ow);
        for tap in 0..ins * c.kernel[0] * c.kernel[1] {
            let (channel, u, v) =
                (tap / (c.kernel[0] * c.kernel[1]), tap / c.kernel[1] % c.kernel[0], tap % c.kernel[1]);
            let h = (row * c.stride[0] + u * c.dilation[0]).wrapping_sub(c.pad[0]);
            let w = (col * c.stride[1] + v * c.dilation[1]).wrapping_sub(c.pad[1]);
            if h < c.height && w < c.width {
                let plane = image * c.channels + out / outs * ins + channel;
                f((plane * c.height + h) * c.width + w, out * ins * c.kernel[0] * c.kernel[1] + tap, at);
            }
        }
    }
}

/// `y += conv(x, w)`.
pub fn conv2d_fwd(y: &mut [f64], x: &[f32], w: &[f32], c: &Conv2d) {
    products(c, |i, j, k| y[k] += f64::from(x[i]) * f64::from(w[j]));
}

/// Adds the gradient of the input.
pub fn conv2d_bwd_x(dx: &mut [f64], dy: &[f32], w: &[f32], c: &Conv2d) {
    products(c, |i, j, k| dx[i] += f64::from(dy[k]) * f64::from(w[j]));
}

/// Adds the gradient of the weights.
pub fn conv2d_bwd_w(dw: &mut [f64], dy: &[f32], x: &[f32], c: &Conv2d) {
    products(c, |i, j, k| dw[j] += f64::from(dy[k]) * f64::from(x[i]));
}

/// Calls `f(index in y, indices in x)` for every window, with the indices that lie inside the image in reading order.
fn windows(p: &Pool2d, mut f: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
    let Some([oh, ow]) = p.out_size() else { return };
    for at in 0..p.planes * oh * ow {
        let (plane, row, col) = (at / (oh * ow), at / ow % oh, at % ow);
        let mut inside = (0..p.kernel[0] * p.kernel[1]).filter_map(|tap| {
            let h = (row * p.stride[0] + tap / p.kernel[1]).wrapping_sub(p.pad[0]);
            let w = (col * p.stride[1] + tap % p.kernel[1]).wrapping_sub(p.pad[1]);
            (h < p.height && w < p.width).then(|| (plane * p.height + h) * p.width + w)
        });
        f(at, &mut inside);
    }
}

/// The first largest of the elements named; the first NaN if there is one.
fn first_largest(x: &[f32], of: &mut dyn Iterator<Item = usize>) -> Option<usize> {
    of.reduce(|best, i| if x[i] > x[best] || x[i].is_nan() && !x[best].is_nan() { i } else { best })
}

/// Pools each plane.
pub fn pool2d_fwd(y: &mut [f64], x: &[f32], p: &Pool2d) {
    windows(p, |at, inside| match p.kind {
        PoolKind::Max => y[at] = first_largest(x, inside).map_or(f64::NAN, |i| f64::from(x[i])),
        PoolKind::Avg => {
            let (sum, count) = inside.fold((0.0, 0.0), |(sum, count), i| (sum + f64::from(x[i]), count + 1.0));
            y[at] = sum / count;
        }
    });
}

/// Adds the gradient of the input; a maximum's goes to the first of equals.
pub fn pool2d_bwd(dx: &mut [f64], dy: &[f32], x: &[f32], p: &Pool2d) {
    windows(p, |at, inside| match p.kind {
        PoolKind::Max => {
            if let Some(i) = first_largest(x, inside) {
                dx[i] += f64::from(dy[at]);
            }
        }
        PoolKind::Avg => {
            let indices: alloc::vec::Vec<usize> = inside.collect();
            indices.iter().for_each(|i| dx[*i] += f64::from(dy[at]) / indices.len() as f64);
        }
    });
}
