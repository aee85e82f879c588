//! The weights of a linear map in closed form.
use crate::error::{ForecastError, Result};
use crate::frame::Series;
use crate::windows::{RowShape, WindowList, inputs_of};

/// Inputs of a map that is solved, at most: the equations take the square of them.
const MOST_INPUTS: usize = 4096;

/// Sums over windows from which the map follows.
struct Sums {
    inputs: usize,
    targets: usize,
    windows: usize,
    /// What the windows count together.
    count: f64,
    x: Vec<f64>,
    y: Vec<f64>,
    /// Upper triangle of the products of inputs, row by row: `[inputs, inputs]`.
    xx: Vec<f64>,
    /// `[inputs, targets]`
    xy: Vec<f64>,
}

/// A map `[targets, inputs]`, what is added, and how many windows it was made from.
pub(super) struct Solved {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) windows: usize,
}

/// The map from what a window's inputs differ from their last one to what its targets do, of the least squared error and `alpha` mean squares of an input times that of its weights.
/// Windows count whose targets are all known, and whose inputs all lie within their series, if there are such.
pub(super) fn solve(series: &[Series<'_>], list: &WindowList, shape: &RowShape, alpha: f64) -> Result<Solved> {
    let (inputs, targets) = (shape.input_size, shape.h);
    if inputs > MOST_INPUTS {
        let want = format!("at most {MOST_INPUTS}: the equations grow with the square of it");
        return Err(ForecastError::option("input_size", inputs, want));
    }
    let cuts = |s: usize| (0..list.count(s)).map(move |i| list.cut(s, i));
    let least = if (0..series.len()).flat_map(cuts).any(|cut| cut >= inputs) { inputs } else { 0 };
    let mut sums = Sums::new(inputs, targets);
    let (mut x, mut y) = (vec![0.0; inputs], vec![0.0; targets]);
    for (s, series) in series.iter().enumerate() {
        for cut in cuts(s).filter(|cut| *cut >= least) {
            if !(cut..cut + targets).all(|at| series.is_known(at)) {
                continue;
            }
            let scale = inputs_of(series, cut, shape.scaler, &mut x, None);
            let last = x.last().copied().unwrap_or(0.0);
            x.iter_mut().for_each(|x| *x -= last);
            y.iter_mut().enumerate().for_each(|(step, y)| *y = scale.apply(series.y[cut + step]) - last);
            // All steps of a window count alike here: what they count in the mean.
            let weight = (cut..cut + targets).map(|at| f64::from(series.weight(at))).sum::<f64>() / targets as f64;
            sums.add(&x, &y, weight);
        }
    }
    Ok(sums.solved(alpha))
}

impl Sums {
    fn new(inputs: usize, targets: usize) -> Sums {
        let zeros = |n: usize| vec![0.0; n];
        let (x, y, xx, xy) = (zeros(inputs), zeros(targets), zeros(inputs * inputs), zeros(inputs * targets));
        Sums { inputs, targets, windows: 0, count: 0.0, x, y, xx, xy }
    }

    fn add(&mut self, x: &[f32], y: &[f32], weight: f64) {
        self.windows += 1;
        self.count += weight;
        let add = |to: &mut [f64], values: &[f32], factor: f64| {
            to.iter_mut().zip(values).for_each(|(to, v)| *to += factor * f64::from(*v));
        };
        add(&mut self.x, x, weight);
        add(&mut self.y, y, weight);
        for (i, v) in x.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            let v = weight * f64::from(*v);
            add(&mut self.xx[i * self.inputs + i..(i + 1) * self.inputs], &x[i..], v);
            add(&mut self.xy[i * self.targets..(i + 1) * self.targets], y, v);
        }
    }

    fn solved(mut self, alpha: f64) -> Solved {
        let (inputs, targets, n) = (self.inputs, self.targets, if self.count > 0.0 { self.count } else { 1.0 });
        let squares: f64 = (0..inputs).map(|i| self.xx[i * inputs + i]).sum();
        // Where all inputs are 0, anything that is no 0 makes the equations have a solution: the mean.
        let penalty = if squares > 0.0 { alpha * squares / inputs as f64 } else { 1.0 };
        for i in 0..inputs {
            for j in i..inputs {
                self.xx[i * inputs + j] -= self.x[i] * self.x[j] / n;
            }
            self.xx[i * inputs + i] += penalty;
            for (t, y) in self.y.iter().enumerate() {
                self.xy[i * targets + t] -= self.x[i] * y / n;
            }
        }
        cholesky(&mut self.xx, inputs);
        substitute(&self.xx, inputs, &mut self.xy, targets);
        let weight = (0..targets).flat_map(|t| (0..inputs).map(move |i| (t, i)));
        let weight: Vec<f32> = weight.map(|(t, i)| self.xy[i * targets + t] as f32).collect();
        let bias = |t: usize| {
            let from_inputs: f64 = (0..inputs).map(|i| self.xy[i * targets + t] * self.x[i]).sum();
            ((self.y[t] - from_inputs) / n) as f32
        };
        Solved { bias: (0..targets).map(bias).collect(), weight, windows: self.windows }
    }
}

/// The upper triangle `U` of a positive definite matrix `UᵀU`, in its place.
fn cholesky(a: &mut [f64], n: usize) {
    for i in 0..n {
        let pivot = a[i * n + i].max(f64::MIN_POSITIVE).sqrt();
        a[i * n + i..(i + 1) * n].iter_mut().for_each(|v| *v /= pivot);
        a[i * n + i] = pivot;
        let (done, rest) = a.split_at_mut((i + 1) * n);
        let row = &done[i * n..];
        for (k, below) in rest.chunks_exact_mut(n).enumerate() {
            let at = i + 1 + k;
            let factor = row[at];
            below[at..].iter_mut().zip(&row[at..]).for_each(|(v, r)| *v -= factor * r);
        }
    }
}

/// Solves `UᵀU x = b` for all columns of `b`, `[n, columns]`, in its place.
fn substitute(u: &[f64], n: usize, b: &mut [f64], columns: usize) {
    let subtract = |from: &mut [f64], of: &[f64], factor: f64| {
        from.iter_mut().zip(of).for_each(|(v, o)| *v -= factor * o);
    };
    for i in 0..n {
        let (before, rest) = b.split_at_mut(i * columns);
        let row = &mut rest[..columns];
        for k in 0..i {
            subtract(row, &before[k * columns..(k + 1) * columns], u[k * n + i]);
        }
        row.iter_mut().for_each(|v| *v /= u[i * n + i]);
    }
    for i in (0..n).rev() {
        let (before, behind) = b.split_at_mut((i + 1) * columns);
        let row = &mut before[i * columns..];
        for k in i + 1..n {
            subtract(row, &behind[(k - i - 1) * columns..(k - i) * columns], u[i * n + k]);
        }
        row.iter_mut().for_each(|v| *v /= u[i * n + i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::{Asks, Counts, Scaler, WindowSpec};

    fn solved(y: &[f32], known: Option<&[bool]>, [inputs, h]: [usize; 2], alpha: f64) -> Solved {
        let series = [Series::bare(y, known)];
        let spec = WindowSpec { input_size: inputs, h, step_size: 1, start_padding: false, availability: [1.0, 1.0] };
        let list = WindowList::new([y.len()].into_iter(), &spec);
        let shape = RowShape {
            series: 1,
            input_size: inputs,
            h,
            outputs: 1,
            reads_mask: false,
            scaler: Scaler::Identity,
            counts: Counts::default(),
            asks: Asks::default(),
            prompt: 0,
        };
        solve(&series, &list, &shape, alpha).unwrap()
    }

    fn noise(n: usize) -> Vec<f32> {
        (0..n as u64).map(|i| (mayfly_base::mix(i) % 2000) as f32 / 1000.0 - 1.0).collect()
    }

    /// A series that follows y[t] = 0.6 y[t−1] + 0.3 y[t−3] + 2 has that map, as what differs from the last value: the sum of the weights but the last's is free.
    #[test]
    fn a_linear_law_is_found() {
        let mut y = vec![1.0_f32, 5.0, 2.0];
        for (t, e) in noise(400).into_iter().enumerate().skip(3) {
            let next = 0.6 * y[t - 1] + 0.3 * y[t - 3] + 2.0 + 5.0 * e;
            y.push(next);
        }
        let Solved { weight, bias, windows } = solved(&y, None, [4, 1], 1e-9);
        // The law is no map of differences, but y − last = −0.1 (last − mean) + 0.3 (y[t−3] − last): what a regression of differences finds lies near.
        assert!((weight[1] - 0.3).abs() < 0.12 && weight[0].abs() < 0.15 && windows == 396, "{weight:?} {bias:?}");
    }

    /// The gradient of error and penalty is 0.
    #[test]
    fn no_other_map_is_better() {
        let y = noise(60);
        for alpha in [0.01, 0.5] {
            let Solved { weight, bias, windows } = solved(&y, None, [5, 2], alpha);
            assert_eq!(windows, 54);
            let rows: Vec<(Vec<f64>, Vec<f64>)> = (5..=58)
                .map(|cut| {
                    let less = |at: usize| f64::from(y[at] - y[cut - 1]);
                    ((cut - 5..cut).map(less).collect(), (cut..cut + 2).map(less).collect())
                })
                .collect();
            let squares: f64 = rows.iter().flat_map(|(x, _)| x).map(|x| x * x).sum();
            for t in 0..2 {
                let w: Vec<f64> = weight[t * 5..(t + 1) * 5].iter().map(|w| f64::from(*w)).collect();
                let error = |(x, y): &(Vec<f64>, Vec<f64>)| {
                    y[t] - f64::from(bias[t]) - x.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>()
                };
                let total: f64 = rows.iter().map(error).sum();
                assert!(total.abs() < 1e-4, "{total}");
                for i in 0..5 {
                    let slope: f64 = rows.iter().map(|row| error(row) * row.0[i]).sum();
                    let pull = alpha * squares / 5.0 * w[i];
                    assert!((slope - pull).abs() < 1e-4, "alpha {alpha}, weight {i}: {slope} and {pull}");
                }
            }
        }
    }

    #[test]
    fn windows_with_unknown_targets_do_not_count_and_constants_go_on() {
        let mut known = [true; 20];
        known[10] = false;
        let y: Vec<f32> = (0..20_u8).map(f32::from).collect();
        assert_eq!((solved(&y, None, [3, 2], 0.1).windows, solved(&y, Some(&known), [3, 2], 0.1).windows), (16, 14));
        let Solved { weight, bias, .. } = solved(&[7.0; 12], None, [3, 2], 0.1);
        assert!(weight.iter().chain(&bias).all(|v| *v == 0.0), "{weight:?} {bias:?}");
        assert!(solve(&[], &WindowList::new([].into_iter(), &spec()), &wide(), 0.1).is_err());
    }

    fn spec() -> WindowSpec {
        WindowSpec { input_size: 1, h: 1, step_size: 1, start_padding: false, availability: [1.0, 1.0] }
    }

    fn wide() -> RowShape {
        RowShape {
            series: 1,
            input_size: MOST_INPUTS + 1,
            h: 1,
            outputs: 1,
            reads_mask: false,
            scaler: Scaler::Identity,
            counts: Counts::default(),
            asks: Asks::default(),
            prompt: 0,
        }
    }
}
