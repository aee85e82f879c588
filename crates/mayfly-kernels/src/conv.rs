//! Two-dimensional convolution, NCHW. With a stride of 1 the taps of a kernel are shifts of a framed plane (`conv_slide.rs`); otherwise each image
//! is unfolded into a matrix of patches, then it is a matrix product. One dimension is a height of 1.
use crate::elementwise::act_inplace;
use crate::matmul::{MatMul, Trans, matmul, matmul_acc};
use crate::pieces::{pieces, pieces_mut};
use crate::size::{capped, check_len};
use crate::{Act, Isa, conv_slide};

/// Sizes of a convolution: `x [batch, channels, height, width]`, `w [out_channels, channels/groups, kernel]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conv2d {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step down and right.
    pub stride: [usize; 2],
    /// Zeros around the input: top, left, bottom, right.
    pub pad: [usize; 4],
    /// Distance between the taps of the kernel.
    pub dilation: [usize; 2],
    /// Channels are convolved within this many groups.
    pub groups: usize,
}

impl Conv2d {
    /// Height and width of the result; `None` if the dilated kernel does not fit.
    pub fn out_size(&self) -> Option<[usize; 2]> {
        let one = |n: usize, before: usize, after: usize, axis: usize| {
            let span = self.kernel[axis].checked_sub(1)?.checked_mul(self.dilation[axis])?.checked_add(1)?;
            let room = n.checked_add(before)?.checked_add(after)?.checked_sub(span)?;
            room.checked_div(self.stride[axis])?.checked_add(1)
        };
        Some([one(self.height, self.pad[0], self.pad[2], 0)?, one(self.width, self.pad[1], self.pad[3], 1)?])
    }

    /// Scratch of every function of this module, in f32: framed planes, or the patches of one image and group and what their
    /// product needs; `usize::MAX` where it exceeds that.
    pub fn scratch_len(&self) -> usize {
        let Some([oh, ow]) = self.out_size() else { return 0 };
        if conv_slide::slides(self) {
            return conv_slide::scratch_len(self);
        }
        let (outs, patch, pixels) = (self.out_channels / self.groups.max(1), self.patch(), capped(&[oh, ow]));
        let products = [forward(outs, patch, pixels), backward_x(outs, patch, pixels), backward_w(outs, patch, pixels)];
        capped(&[patch, pixels]).saturating_add(products.iter().map(MatMul::scratch_len).fold(0, usize::max))
    }

    /// Elements of one patch of one group.
    fn patch(&self) -> usize {
        capped(&[self.channels / self.groups.max(1), self.kernel[0], self.kernel[1]])
    }

    /// Pixels of the result, after checking the slices.
    fn pixels(&self, x: usize, w: usize, y: usize) -> usize {
        let [oh, ow] = self.out_size().unwrap_or([0, 0]);
        assert!(
            self.groups > 0
                && self.channels.is_multiple_of(self.groups)
                && self.out_channels.is_multiple_of(self.groups),
            "conv2d: {} groups do not divide {} and {} channels",
            self.groups,
            self.channels,
            self.out_channels
        );
        check_len("conv2d", &[x], &[self.batch, self.channels, self.height, self.width]);
        check_len("conv2d", &[w], &[self.out_channels, self.channels / self.groups, self.kernel[0], self.kernel[1]]);
        check_len("conv2d", &[y], &[self.batch, self.out_channels, oh, ow]);
        oh * ow
    }

    fn image(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Every pair of image and group: where its input, weights and output start.
    fn parts(&self, pixels: usize) -> impl Iterator<Item = Part> + use<> {
        let c = *self;
        (0..c.batch).flat_map(move |b| {
            (0..c.groups).map(move |g| Part {
                x: b * c.image() + g * (c.channels / c.groups) * c.height * c.width,
                w: g * (c.out_channels / c.groups) * c.patch(),
                y: (b * c.out_channels + g * (c.out_channels / c.groups)) * pixels,
                first: b == 0,
            })
        })
    }

    /// Calls `f(row of patches, output row, input row start, tap column)` for what lies inside the image.
    fn taps(&self, mut f: impl FnMut(usize, usize, Option<usize>, usize)) {
        let [oh, _] = self.out_size().unwrap_or([0, 0]);
        let mut row = 0;
        for c in 0..self.channels / self.groups {
            for u in 0..self.kernel[0] {
                for v in 0..self.kernel[1] {
                    for r in 0..oh {
                        let h = (r * self.stride[0] + u * self.dilation[0])
                            .checked_sub(self.pad[0])
                            .filter(|h| *h < self.height);
                        f(row, r, h.map(|h| (c * self.height + h) * self.width), v);
                    }
                    row += 1;
                }
            }
        }
    }

    /// The input column of output column `q` under tap column `v`.
    fn column(&self, q: usize, v: usize) -> Option<usize> {
        (q * self.stride[1] + v * self.dilation[1]).checked_sub(self.pad[1]).filter(|c| *c < self.width)
    }

    /// Output columns whose input column exists, as a range, for a stride of 1.
    fn inside(&self, v: usize, ow: usize) -> core::ops::Range<usize> {
        let shift = v * self.dilation[1];
        let start = self.pad[1].saturating_sub(shift).min(ow);
        let end = (self.width + self.pad[1]).saturating_sub(shift).min(ow);
        start..end.max(start)
    }
}

struct Part {
    x: usize,
    w: usize,
    y: usize,
    first: bool,
}

/// `patches [patch, pixels]` of one group of one image.
fn unfold(patches: &mut [f32], x: &[f32], c: &Conv2d, ow: usize, pixels: usize) {
    c.taps(|row, r, line, v| {
        let out = &mut patches[row * pixels + r * ow..][..ow];
        let Some(line) = line else { return out.fill(0.0) };
        if c.stride[1] == 1 {
            let range = c.inside(v, ow);
            out[..range.start].fill(0.0);
            out[range.end..].fill(0.0);
            if !range.is_empty() {
                let from = line + range.start + v * c.dilation[1] - c.pad[1];
                out[range.clone()].copy_from_slice(&x[from..from + range.len()]);
            }
            return;
        }
        for (q, out) in out.iter_mut().enumerate() {
            *out = c.column(q, v).map_or(0.0, |col| x[line + col]);
        }
    });
}

/// The adjoint of [`unfold`]: adds patches back to the image.
fn fold(dx: &mut [f32], patches: &[f32], c: &Conv2d, ow: usize, pixels: usize) {
    c.taps(|row, r, line, v| {
        let Some(line) = line else { return };
        let from = &patches[row * pixels + r * ow..][..ow];
        if c.stride[1] == 1 {
            let range = c.inside(v, ow);
            if !range.is_empty() {
                let to = line + range.start + v * c.dilation[1] - c.pad[1];
                let to = &mut dx[to..to + range.len()];
                to.iter_mut().zip(&from[range]).for_each(|(to, d)| *to += d);
            }
            return;
        }
        for (q, d) in from.iter().enumerate() {
            if let Some(col) = c.column(q, v) {
                dx[line + col] += d;
            }
        }
    });
}

fn columns(c: &Conv2d) -> usize {
    c.out_size().map_or(0, |s| s[1])
}

fn forward(outs: usize, patch: usize, pixels: usize) -> MatMul {
    MatMul { m: outs, k: patch, n: pixels, a: Trans::No, b: Trans::No }
}

fn backward_x(outs: usize, patch: usize, pixels: usize) -> MatMul {
    MatMul { m: patch, k: outs, n: pixels, a: Trans::Yes, b: Trans::No }
}

fn backward_w(outs: usize, patch: usize, pixels: usize) -> MatMul {
    MatMul { m: outs, k: pixels, n: patch, a: Trans::No, b: Trans::Yes }
}

#[track_caller]
fn check_scratch(scratch: &[f32], c: &Conv2d) {
    let (got, want) = (scratch.len(), c.scratch_len());
    assert!(got >= want, "conv2d: {got} elements of scratch where {want} are needed");
}

/// `y = act(conv(x, w) + b)`.
pub fn conv2d_fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    act: Act,
    scratch: &mut [f32],
    c: &Conv2d,
) {
    let pixels = c.pixels(x.len(), w.len(), y.len());
    check_scratch(scratch, c);
    assert!(b.is_none_or(|b| b.len() == c.out_channels), "conv2d_fwd: the bias is not [out_channels]");
    if conv_slide::slides(c) {
        return conv_slide::fwd(isa, y, x, w, b, act, scratch, c);
    }
    let (outs, patch) = (c.out_channels / c.groups, c.patch());
    let (patches, scratch) = scratch.split_at_mut(patch * pixels);
    for part in c.parts(pixels) {
        unfold(patches, &x[part.x..], c, columns(c), pixels);
        let y = &mut y[part.y..part.y + outs * pixels];
        matmul(isa, y, &w[part.w..part.w + outs * patch], patches, scratch, forward(outs, patch, pixels));
    }
    if let Some(b) = b {
        for (plane, b) in pieces_mut(y, pixels).zip(b.iter().cycle()) {
            plane.iter_mut().for_each(|v| *v += b);
        }
    }
    if act != Act::Identity {
        act_inplace(isa, act, y);
    }
}

/// The gradient of the input.
pub fn conv2d_bwd_x(isa: Isa, dx: &mut [f32], dy: &[f32], w: &[f32], scratch: &mut [f32], c: &Conv2d) {
    let pixels = c.pixels(dx.len(), w.len(), dy.len());
    check_scratch(scratch, c);
    if conv_slide::slides(c) {
        return conv_slide::bwd_x(isa, dx, dy, w, scratch, c);
    }
    let (outs, patch) = (c.out_channels / c.groups, c.patch());
    let (patches, scratch) = scratch.split_at_mut(patch * pixels);
    dx.fill(0.0);
    for part in c.parts(pixels) {
        let dy = &dy[part.y..part.y + outs * pixels];
        matmul(isa, patches, &w[part.w..part.w + outs * patch], dy, scratch, backward_x(outs, patch, pixels));
        fold(&mut dx[part.x..], patches, c, columns(c), pixels);
    }
}

/// The gradient of the weights.
pub fn conv2d_bwd_w(isa: Isa, dw: &mut [f32], dy: &[f32], x: &[f32], scratch: &mut [f32], c: &Conv2d) {
    let pixels = c.pixels(x.len(), dw.len(), dy.len());
    check_scratch(scratch, c);
    if conv_slide::slides(c) {
        return conv_slide::bwd_w(isa, dw, dy, x, scratch, c);
    }
    let (outs, patch) = (c.out_channels / c.groups, c.patch());
    let (patches, scratch) = scratch.split_at_mut(patch * pixels);
    if c.batch == 0 {
        dw.fill(0.0);
    }
    for part in c.parts(pixels) {
        unfold(patches, &x[part.x..], c, columns(c), pixels);
        let (dw, dy) = (&mut dw[part.w..part.w + outs * patch], &dy[part.y..part.y + outs * pixels]);
        let product = if part.first { matmul } else { matmul_acc };
        product(isa, dw, dy, patches, scratch, backward_w(outs, patch, pixels));
    }
}

/// The gradient of the bias: each channel's sum.
pub fn conv2d_bwd_b(isa: Isa, db: &mut [f32], dy: &[f32], c: &Conv2d) {
    let [oh, ow] = c.out_size().unwrap_or([0, 0]);
    check_len("conv2d_bwd_b", &[db.len()], &[c.out_channels]);
    check_len("conv2d_bwd_b", &[dy.len()], &[c.batch, c.out_channels, oh, ow]);
    let pixels = oh * ow;
    db.fill(0.0);
    for image in pieces(dy, c.out_channels * pixels) {
        for (sum, plane) in db.iter_mut().zip(pieces(image, pixels)) {
            *sum += crate::sum(isa, plane);
        }
    }
}
