//! Convolutions of stride 1 without patches: the taps of a kernel are shifts of a plane that has its margin of zeros around it.
//!
//! A plane is framed: copied with its padding, its rows one after another. The output at row `r` and column `q` is computed at position
//! `p = r · width + q` of one long line, and what tap `(u, v)` reads there lies at `p` plus a distance that depends on the tap alone. So a vector of
//! outputs reads vectors that are contiguous, whatever the kernel; the few columns beyond the result's are computed and left out.
//! The gradient of the input is a convolution as well, of the framed `dy` with the kernel turned around. The gradient of the weights is a dot
//! product of `dy` and the shifted plane for each tap, over several images at a time.
use crate::conv::Conv2d;
use crate::isa::Kind;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::MAX_LANES;
use crate::size::capped;
use crate::{Act, Isa};

/// Framed images that the gradient of the weights goes over at a time take at most this many f32 (a quarter of a MiB).
const GROUP: usize = 1 << 16;

/// Planes with zeros around them.
#[derive(Clone, Copy)]
struct Frame {
    /// Elements from row to row.
    width: usize,
    /// Elements from plane to plane: behind the last row lies one vector of zeros.
    plane: usize,
    /// Where the first element goes.
    first: usize,
}

impl Frame {
    fn new([height, width]: [usize; 2], [top, left]: [usize; 2]) -> Frame {
        let plane = capped(&[height, width]).saturating_add(MAX_LANES);
        Frame { width, plane, first: top.saturating_mul(width).saturating_add(left) }
    }
}

/// How the taps of a kernel lie to each other in framed planes.
#[derive(Clone, Copy)]
struct Taps {
    planes: usize,
    plane: usize,
    kernel: [usize; 2],
    /// From tap to tap: down, right.
    step: [usize; 2],
    /// What the first tap of the first output reads.
    first: usize,
    /// Positions of the line, filled up to whole vectors.
    line: usize,
}

impl Taps {
    fn count(&self) -> usize {
        self.planes * self.kernel[0] * self.kernel[1]
    }

    /// Elements that the planes must have.
    fn reach(&self) -> usize {
        let last = (self.kernel[0] - 1) * self.step[0] + (self.kernel[1] - 1) * self.step[1];
        self.first + (self.planes - 1) * self.plane + last + self.line
    }

    /// The distance of tap `t`, counted plane by plane and row by row.
    #[inline(always)]
    fn distance(&self, t: usize) -> usize {
        let [height, width] = self.kernel;
        let (plane, u, v) = (t / (height * width), t / width % height, t % width);
        self.first + plane * self.plane + u * self.step[0] + v * self.step[1]
    }
}

/// Everything that follows from the sizes of a convolution.
#[derive(Clone, Copy)]
struct Geometry {
    /// Channels of the input and of the result in a group.
    ins: usize,
    outs: usize,
    taps: usize,
    out: [usize; 2],
    x: Frame,
    dy: Frame,
    forward: Taps,
    backward: Taps,
}

impl Geometry {
    /// None where there is nothing to compute. Lengths saturate.
    fn of(c: &Conv2d) -> Option<Geometry> {
        let [oh, ow] = c.out_size()?;
        let (ins, outs) = (c.channels / c.groups.max(1), c.out_channels / c.groups.max(1));
        let [top, left, bottom, right] = c.pad;
        if [ins, outs, oh, ow, c.height, c.width].contains(&0) || c.kernel.contains(&0) {
            return None;
        }
        // Margins that hold the whole kernel, beyond the first and the last element of dy.
        let margin = [0, 1].map(|axis| (c.kernel[axis] - 1) * c.dilation[axis]);
        let x = Frame::new([c.height + top + bottom, c.width + left + right], [top, left]);
        let inside = [c.height.saturating_add(top), c.width.saturating_add(left)];
        let around = [margin[0].max(bottom), margin[1].max(right)];
        let dy_size = [inside[0].saturating_add(around[0]), inside[1].saturating_add(around[1])];
        let dy = Frame::new(dy_size, margin);
        let line = |rows: usize, row: usize, last: usize| {
            (rows - 1)
                .saturating_mul(row)
                .saturating_add(last)
                .checked_next_multiple_of(MAX_LANES)
                .unwrap_or(usize::MAX)
        };
        let step = |frame: Frame| [c.dilation[0].saturating_mul(frame.width), c.dilation[1]];
        let taps = |planes, frame: Frame, first, line| Taps {
            planes,
            plane: frame.plane,
            kernel: c.kernel,
            step: step(frame),
            first,
            line,
        };
        let forward = taps(ins, x, 0, line(oh, x.width, ow));
        let backward =
            taps(outs, dy, top.saturating_mul(dy.width).saturating_add(left), line(c.height, dy.width, c.width));
        Some(Geometry { ins, outs, taps: capped(&c.kernel), out: [oh, ow], x, dy, forward, backward })
    }

    /// Framed image and spread-out `dy` of the gradient of the weights.
    fn image(&self) -> usize {
        capped(&[self.ins, self.x.plane]).saturating_add(capped(&[self.outs, self.forward.line]))
    }

    /// Images of one group of them.
    fn images(&self, batch: usize) -> usize {
        (GROUP / self.image()).clamp(1, batch.max(1))
    }

    /// Scratch of each direction.
    fn scratch_len(&self, batch: usize) -> usize {
        let weights = capped(&[self.ins, self.outs, self.taps]);
        let forward = capped(&[self.ins, self.x.plane]).saturating_add(capped(&[self.outs, self.forward.line]));
        let backward = capped(&[self.outs, self.dy.plane]).saturating_add(capped(&[self.ins, self.backward.line]));
        let both = forward.max(backward).saturating_add(weights);
        both.max(capped(&[self.image(), self.images(batch)]))
    }
}

/// Whether a convolution goes this way.
pub(crate) fn slides(c: &Conv2d) -> bool {
    c.stride == [1, 1]
}

/// Scratch of the functions below, in f32; `usize::MAX` where it exceeds that.
pub(crate) fn scratch_len(c: &Conv2d) -> usize {
    Geometry::of(c).map_or(0, |g| g.scratch_len(c.batch))
}

/// Copies a row of any length, a vector at a time.
#[inline(always)]
fn copy_row<S: Simd>(s: S, to: &mut [f32], from: &[f32]) {
    let mut to = to.chunks_exact_mut(S::N);
    let mut from = from.chunks_exact(S::N);
    for (to, from) in (&mut to).zip(&mut from) {
        s.store(to, s.load(from));
    }
    s.store_part(to.into_remainder(), s.load_part(from.remainder()));
}

/// Copies planes of rows of `width` into their frames; what lies around them stays.
fn put(isa: Isa, frames: &mut [f32], planes: &[f32], frame: Frame, size: [usize; 2]) {
    dispatch!(isa, put_body(frames: &mut [f32], planes: &[f32], frame: Frame, size: [usize; 2]));
}

#[inline(always)]
fn put_body<S: Simd>(s: S, frames: &mut [f32], planes: &[f32], frame: Frame, [height, width]: [usize; 2]) {
    for (to, plane) in frames.chunks_exact_mut(frame.plane).zip(planes.chunks_exact(height * width)) {
        for (r, row) in plane.chunks_exact(width).enumerate() {
            copy_row(s, &mut to[frame.first + r * frame.width..][..width], row);
        }
    }
}

/// Copies the rows of a result out of lines; `steps` go from line to line and from row to row.
fn take(isa: Isa, planes: &mut [f32], lines: &[f32], steps: [usize; 2], size: [usize; 2]) {
    dispatch!(isa, take_body(planes: &mut [f32], lines: &[f32], steps: [usize; 2], size: [usize; 2]));
}

#[inline(always)]
fn take_body<S: Simd>(s: S, planes: &mut [f32], lines: &[f32], [line, row]: [usize; 2], [height, width]: [usize; 2]) {
    for (plane, from) in planes.chunks_exact_mut(height * width).zip(lines.chunks_exact(line)) {
        for (r, to) in plane.chunks_exact_mut(width).enumerate() {
            copy_row(s, to, &from[r * row..][..width]);
        }
    }
}

/// Rows that are computed together when `rows` are left.
fn strip_rows(isa: Isa, rows: usize) -> usize {
    match rows {
        8.. if matches!(isa.0, Kind::Avx512 { .. } | Kind::Neon { .. }) => 8, // 32 registers
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Weights in strips of as many rows as are computed together: tap by tap, the rows of a strip side by side.
fn fill_strips(isa: Isa, strips: &mut [f32], rows: usize, taps: usize, weight: impl Fn(usize, usize) -> f32) {
    let mut row = 0;
    while row < rows {
        let here = strip_rows(isa, rows - row);
        let strip = &mut strips[row * taps..(row + here) * taps];
        for (t, side) in strip.chunks_exact_mut(here).enumerate() {
            side.iter_mut().enumerate().for_each(|(r, w)| *w = weight(row + r, t));
        }
        row += here;
    }
}

/// `lines [rows, line] = bias + strips · shifted planes`.
fn slide(isa: Isa, lines: &mut [f32], planes: &[f32], strips: &[f32], bias: &[f32], rows: usize, taps: Taps) {
    let count = taps.count();
    let mut row = 0;
    while row < rows {
        let here = strip_rows(isa, rows - row);
        let (lines, strip) = (&mut lines[row * taps.line..], &strips[row * count..(row + here) * count]);
        let bias = bias.get(row..row + here).unwrap_or_default();
        dispatch!(isa, strip_of_rows(lines: &mut [f32], planes: &[f32], strip: &[f32], bias: &[f32], taps: Taps, here: usize));
        row += here;
    }
}

#[inline(always)]
fn strip_of_rows<S: Simd>(
    s: S,
    lines: &mut [f32],
    planes: &[f32],
    strip: &[f32],
    bias: &[f32],
    taps: Taps,
    rows: usize,
) {
    match rows {
        8 if S::REGISTERS >= 32 => strip_of::<S, 8>(s, lines, planes, strip, bias, taps),
        4 => strip_of::<S, 4>(s, lines, planes, strip, bias, taps),
        2 => strip_of::<S, 2>(s, lines, planes, strip, bias, taps),
        _ => strip_of::<S, 1>(s, lines, planes, strip, bias, taps),
    }
}

#[inline(always)]
fn strip_of<S: Simd, const R: usize>(s: S, lines: &mut [f32], planes: &[f32], strip: &[f32], bias: &[f32], taps: Taps) {
    let start: [f32; R] = core::array::from_fn(|r| bias.get(r).copied().unwrap_or(0.0));
    let mut p = 0;
    assert!(lines.len() >= R * taps.line && strip.len() == R * taps.count() && planes.len() >= taps.reach());
    while p < taps.line {
        let (to, from) = (lines.as_mut_ptr().wrapping_add(p), planes.as_ptr().wrapping_add(taps.first + p));
        // SAFETY: asserted above: `R` lines, a strip of `R` rows, and planes that hold what the last tap reads at the last position;
        // the line is a multiple of every vector.
        unsafe {
            if p + 3 * S::N <= taps.line {
                tile::<S, R, 3>(s, to, from, strip.as_ptr(), start, taps);
                p += 3 * S::N;
            } else {
                tile::<S, R, 1>(s, to, from, strip.as_ptr(), start, taps);
                p += S::N;
            }
        }
    }
}

/// `R` rows of `V` vectors of the result.
///
/// # Safety
/// `to` has `V` writable vectors in each of `R` lines; every tap of `from` has `V` readable vectors; the strip has `R` weights for each tap.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    to: *mut f32,
    from: *const f32,
    strip: *const f32,
    start: [f32; R],
    taps: Taps,
) {
    let mut sums = [[s.zero(); V]; R];
    for r in 0..R {
        sums[r] = [s.splat(start[r]); V];
    }
    let mut a = strip;
    for plane in 0..taps.planes {
        for u in 0..taps.kernel[0] {
            let mut b = from.wrapping_add(plane * taps.plane + u * taps.step[0]);
            for _ in 0..taps.kernel[1] {
                let mut row = [s.zero(); V];
                for (v, x) in row.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    *x = unsafe { s.load_ptr(b.add(v * S::N)) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    let w = s.splat(unsafe { *a.add(r) });
                    for v in 0..V {
                        sums[v] = s.mul_add(w, row[v], sums[v]);
                    }
                }
                a = a.wrapping_add(R);
                b = b.wrapping_add(taps.step[1]);
            }
        }
    }
    for r in 0..R {
        for v in 0..V {
            // SAFETY: the caller's promise.
            unsafe { s.store_ptr(to.add(r * taps.line + v * S::N), sums[r][v]) };
        }
    }
}

/// `y = act(conv(x, w) + b)`; lengths have been checked.
pub(crate) fn fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    act: Act,
    scratch: &mut [f32],
    c: &Conv2d,
) {
    let Some(g) = Geometry::of(c) else { return };
    let (frames, scratch) = scratch.split_at_mut(g.ins * g.x.plane);
    let (lines, strips) = scratch.split_at_mut(g.outs * g.forward.line);
    let (pixels, outs, taps) = (g.ins * c.height * c.width, g.outs * g.out[0] * g.out[1], g.forward.count());
    frames.fill(0.0);
    for group in 0..c.groups {
        let w = &w[group * g.outs * taps..][..g.outs * taps];
        fill_strips(isa, strips, g.outs, taps, |row, t| w[row * taps + t]);
        let bias = b.map_or(&[][..], |b| &b[group * g.outs..(group + 1) * g.outs]);
        for image in 0..c.batch {
            let at = image * c.groups + group;
            put(isa, frames, &x[at * pixels..][..pixels], g.x, [c.height, c.width]);
            slide(isa, lines, frames, strips, bias, g.outs, g.forward);
            let y = &mut y[at * outs..][..outs];
            take(isa, y, lines, [g.forward.line, g.x.width], g.out);
            if act != Act::Identity {
                crate::act_inplace(isa, act, y);
            }
        }
    }
}

/// The gradient of the input; lengths have been checked.
pub(crate) fn bwd_x(isa: Isa, dx: &mut [f32], dy: &[f32], w: &[f32], scratch: &mut [f32], c: &Conv2d) {
    let Some(g) = Geometry::of(c) else { return dx.fill(0.0) };
    let (frames, scratch) = scratch.split_at_mut(g.outs * g.dy.plane);
    let (lines, strips) = scratch.split_at_mut(g.ins * g.backward.line);
    let (pixels, outs) = (g.ins * c.height * c.width, g.outs * g.out[0] * g.out[1]);
    frames.fill(0.0);
    for group in 0..c.groups {
        let w = &w[group * g.outs * g.ins * g.taps..][..g.outs * g.ins * g.taps];
        // The kernel turned around, and its two channels exchanged.
        fill_strips(isa, strips, g.ins, g.backward.count(), |row, t| {
            let (out, tap) = (t / g.taps, g.taps - 1 - t % g.taps);
            w[(out * g.ins + row) * g.taps + tap]
        });
        for image in 0..c.batch {
            let at = image * c.groups + group;
            put(isa, frames, &dy[at * outs..][..outs], g.dy, g.out);
            slide(isa, lines, frames, strips, &[], g.ins, g.backward);
            let dx = &mut dx[at * pixels..][..pixels];
            take(isa, dx, lines, [g.backward.line, g.dy.width], [c.height, c.width]);
        }
    }
}

/// The gradient of the weights; lengths have been checked.
pub(crate) fn bwd_w(isa: Isa, dw: &mut [f32], dy: &[f32], x: &[f32], scratch: &mut [f32], c: &Conv2d) {
    dw.fill(0.0);
    let Some(g) = Geometry::of(c) else { return };
    let images = g.images(c.batch);
    let (frame, line) = (g.ins * g.x.plane, g.outs * g.forward.line);
    let (frames, lines) = scratch.split_at_mut(images * frame);
    let lines = &mut lines[..images * line];
    let (pixels, outs) = (g.ins * c.height * c.width, g.outs * g.out[0] * g.out[1]);
    // Between the rows of dy lie zeros: those positions count nothing.
    let spread = Frame { width: g.x.width, plane: g.forward.line, first: 0 };
    frames.fill(0.0);
    lines.fill(0.0);
    for group in 0..c.groups {
        let dw = &mut dw[group * g.outs * g.forward.count()..][..g.outs * g.forward.count()];
        for first in (0..c.batch).step_by(images) {
            let here = images.min(c.batch - first);
            for image in 0..here {
                let at = (first + image) * c.groups + group;
                let x = &x[at * pixels..][..pixels];
                put(isa, &mut frames[image * frame..][..frame], x, g.x, [c.height, c.width]);
                put(isa, &mut lines[image * line..][..line], &dy[at * outs..][..outs], spread, g.out);
            }
            correlate(isa, dw, lines, frames, here, g);
        }
    }
}

/// `dw [outs, taps] += Σ dy · shifted planes` over the positions of `images` images.
fn correlate(isa: Isa, dw: &mut [f32], lines: &[f32], frames: &[f32], images: usize, g: Geometry) {
    let mut row = 0;
    while row < g.outs {
        let here = strip_rows(isa, g.outs - row);
        let sizes = [row, here, images];
        dispatch!(isa, correlate_rows(dw: &mut [f32], lines: &[f32], frames: &[f32], sizes: [usize; 3], g: Geometry));
        row += here;
    }
}

#[inline(always)]
fn correlate_rows<S: Simd>(
    s: S,
    dw: &mut [f32],
    lines: &[f32],
    frames: &[f32],
    [row, rows, images]: [usize; 3],
    g: Geometry,
) {
    let count = g.forward.count();
    let mut t = 0;
    while t < count {
        let at = [row, t];
        let many = t + 3 <= count;
        match (rows, many) {
            (8, true) if S::REGISTERS >= 32 => correlate_tile::<S, 8, 3>(s, dw, lines, frames, at, images, g),
            (8, false) if S::REGISTERS >= 32 => correlate_tile::<S, 8, 1>(s, dw, lines, frames, at, images, g),
            (4, true) => correlate_tile::<S, 4, 3>(s, dw, lines, frames, at, images, g),
            (4, false) => correlate_tile::<S, 4, 1>(s, dw, lines, frames, at, images, g),
            (2, true) => correlate_tile::<S, 2, 3>(s, dw, lines, frames, at, images, g),
            (2, false) => correlate_tile::<S, 2, 1>(s, dw, lines, frames, at, images, g),
            (_, true) => correlate_tile::<S, 1, 3>(s, dw, lines, frames, at, images, g),
            (_, false) => correlate_tile::<S, 1, 1>(s, dw, lines, frames, at, images, g),
        }
        t += if many { 3 } else { 1 };
    }
}

/// `R` rows of `T` taps.
#[inline(always)]
fn correlate_tile<S: Simd, const R: usize, const T: usize>(
    s: S,
    dw: &mut [f32],
    lines: &[f32],
    frames: &[f32],
    [row, tap]: [usize; 2],
    images: usize,
    g: Geometry,
) {
    let (line, count) = (g.forward.line, g.forward.count());
    let (frame_step, line_step) = (g.ins * g.x.plane, g.outs * line);
    let distance: [usize; T] = core::array::from_fn(|t| g.forward.distance(tap + t));
    assert!(row + R <= g.outs && lines.len() >= images * line_step);
    assert!(frames.len() >= images * frame_step && frame_step >= g.forward.reach() && tap + T <= count);
    let mut sums = [[s.zero(); T]; R];
    for image in 0..images {
        let x = frames.as_ptr().wrapping_add(image * frame_step);
        let dy = lines.as_ptr().wrapping_add(image * line_step + row * line);
        for p in (0..line).step_by(S::N) {
            // SAFETY: asserted above: every image has the rows `row..row + R` of whole lines, and planes that every tap can reach
            // at the last position; a line is a multiple of every vector.
            unsafe {
                let mut xs = [s.zero(); T];
                for t in 0..T {
                    xs[t] = s.load_ptr(x.add(distance[t] + p));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let dy = s.load_ptr(dy.add(r * line + p));
                    for t in 0..T {
                        sums[t] = s.mul_add(dy, xs[t], sums[t]);
                    }
                }
            }
        }
    }
    for r in 0..R {
        for t in 0..T {
            dw[(row + r) * count + tap + t] += s.reduce_sum(sums[r][t]);
        }
    }
}
