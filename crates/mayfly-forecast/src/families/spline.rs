//! B-splines over a grid of equal steps (de Boor 1978), as an operation of the graph.
use mayfly_nn::{CustomOp, Dims, Shape};

/// `x [batch, n] → [batch, n, count]`: what each basis function is at x. All are 0 beyond the grid and its margin of `order` steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct BSplines {
    /// The first knot, `order` steps before the grid.
    first: f32,
    step: f32,
    grid: usize,
    order: usize,
}

impl BSplines {
    /// The highest order.
    pub(super) const MOST: usize = 7;

    pub(super) fn new([low, high]: [f32; 2], grid: usize, order: usize) -> BSplines {
        let step = (high - low) / grid.max(1) as f32;
        BSplines { first: low - order as f32 * step, step, grid, order: order.min(Self::MOST) }
    }

    /// Basis functions.
    pub(super) fn count(&self) -> usize {
        self.grid + self.order
    }

    /// The interval between knots in which x lies, and how far in it, if any.
    fn place(&self, x: f32) -> Option<(usize, f32)> {
        let at = (x - self.first) / self.step;
        let interval = at.floor();
        let last = (self.grid + 2 * self.order) as f32;
        (at >= 0.0 && interval < last).then_some((interval as usize, at - interval))
    }

    /// The functions of a degree that are not 0 at `u` of an interval, the first of which is number `interval − degree`.
    fn values(degree: usize, u: f32) -> [f32; Self::MOST + 1] {
        let mut n = [0.0; Self::MOST + 1];
        n[0] = 1.0;
        for j in 1..=degree {
            let mut saved = 0.0;
            for r in 0..j {
                // Knots are a step apart, so that differences of knots are whole numbers.
                let right = (r + 1) as f32 - u;
                let left = u + (j - 1 - r) as f32;
                let share = n[r] / j as f32;
                n[r] = saved + right * share;
                saved = left * share;
            }
            n[j] = saved;
        }
        n
    }
}

impl CustomOp for BSplines {
    fn name(&self) -> &'static str {
        "b_splines"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [x] if x.is_batched() && x.rank() == 2 => {
                Shape::folded(x.dims()[0], &[x.last(), self.count()]).map_err(|e| e.to_string())
            }
            _ => Err(format!("one input [batch, n] is needed, got {inputs:?}")),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let (count, order) = (self.count(), self.order);
        y.fill(0.0);
        for (y, x) in y.chunks_exact_mut(count).zip(inputs[0]) {
            let Some((interval, u)) = self.place(*x) else { continue };
            for (j, value) in Self::values(order, u).into_iter().enumerate().take(order + 1) {
                if let Some(y) = (interval + j).checked_sub(order).and_then(|at| y.get_mut(at)) {
                    *y = value;
                }
            }
        }
    }

    fn backward(&self, _: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        let (count, order) = (self.count(), self.order);
        for ((dx, dy), x) in dx.iter_mut().zip(dy.chunks_exact(count)).zip(inputs[0]) {
            *dx = 0.0;
            let (Some((interval, u)), true) = (self.place(*x), order > 0) else { continue };
            let lower = Self::values(order - 1, u);
            for j in 0..=order {
                let Some(dy) = (interval + j).checked_sub(order).and_then(|at| dy.get(at)) else { continue };
                // Function c of the order has the slope of (c less c + 1) of the order below.
                let before = if j > 0 { lower[j - 1] } else { 0.0 };
                let after = if j < order { lower[j] } else { 0.0 };
                *dx += dy * (before - after) / self.step;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(splines: &BSplines, x: f32) -> Vec<f32> {
        let mut y = vec![9.0; splines.count()];
        splines.forward(&mut y, &[&[x]], &[]);
        y
    }

    /// scipy.interpolate.BSpline.basis_element over the knots −1.0, −0.6, −0.2, 0.2, 0.6 at 0 is 23/48 + …: here by the cubic's pieces.
    #[test]
    fn cubic_bases_are_the_known_pieces() {
        let splines = BSplines::new([-1.0, 1.0], 5, 3);
        // x = 0 is the middle of the interval from knot −0.2 to 0.2: pieces 1/48, 23/48, 23/48, 1/48.
        let got = at(&splines, 0.0);
        let want = [0.0, 0.0, 1.0, 23.0, 23.0, 1.0, 0.0, 0.0].map(|v: f32| v / 48.0);
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?}");
    }

    #[test]
    fn bases_add_up_to_one_on_the_grid_and_vanish_far_beyond() {
        for order in 0..=BSplines::MOST {
            let splines = BSplines::new([-2.0, 1.0], 4, order);
            for i in 0..40 {
                let x = -2.0 + 3.0 * (i as f32 + 0.5) / 40.0;
                let sum: f32 = at(&splines, x).iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "order {order} at {x}: {sum}");
            }
            assert!([-9.0, 9.0, f32::NAN, f32::INFINITY].iter().all(|x| at(&splines, *x).iter().all(|y| *y == 0.0)));
        }
    }

    #[test]
    fn slopes_are_finite_differences() {
        for order in [2, 3, 5] {
            let splines = BSplines::new([-1.0, 1.0], 5, order);
            let dy: Vec<f32> = (0..splines.count()).map(|i| (i as f32 * 1.7).sin()).collect();
            let sum = |x: f32| at(&splines, x).iter().zip(&dy).map(|(y, d)| f64::from(y * d)).sum::<f64>();
            for x in [-1.55, -0.93, -0.11, 0.3, 0.77, 1.3] {
                let mut dx = [9.0];
                splines.backward(0, &mut dx, &dy, &[&[x]], &[], &[]);
                let slope = (sum(x + 1e-2) - sum(x - 1e-2)) / 2e-2;
                assert!(
                    (slope - f64::from(dx[0])).abs() < 2e-2 * (1.0 + slope.abs()),
                    "order {order} at {x}: {slope} {dx:?}"
                );
            }
        }
    }
}
