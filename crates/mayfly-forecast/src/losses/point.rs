//! The operation of the graph behind losses that compare outputs with the truth.
use super::ForecastLoss;
use super::row::{Layout, Row};
use super::spectrum::Spectrum;
use mayfly_graph::{CustomOp, Dims, Shape};

/// `(prediction [b, n·h·m], target [b, n·h·m], known [b, n·h], back [b, n·4]) → [b]`: the mean over known steps and outputs of n series.
#[derive(Debug)]
pub(super) struct HorizonLoss {
    loss: ForecastLoss,
    quantiles: Vec<f64>,
    layout: Layout,
    /// For losses that compare spectra.
    spectrum: Option<Spectrum>,
}

/// One output compared with the truth, both on the scale of the comparison.
#[derive(Clone, Copy)]
struct Compared {
    /// The share of its quantile, where it is one.
    q: f32,
    /// Truth less prediction.
    e: f32,
    /// The truth.
    y: f32,
    /// What errors are divided by, for losses that measure them by their window.
    unit: f32,
}

impl HorizonLoss {
    pub(super) fn new(loss: &ForecastLoss, h: usize, series: usize) -> HorizonLoss {
        HorizonLoss {
            loss: loss.clone(),
            quantiles: loss.quantiles(),
            layout: Layout { h, series, outputs: loss.outputs(), shares: loss.asks().shares },
            spectrum: matches!(loss, ForecastLoss::FreDf { .. }).then(|| Spectrum::new(h)),
        }
    }

    /// Loss and slope of one output; the slope is that along the prediction.
    fn at(&self, Compared { q, e, y, unit }: Compared) -> (f32, f32) {
        match &self.loss {
            ForecastLoss::Mae => (e.abs(), -sign(e)),
            ForecastLoss::Mse | ForecastLoss::Rmse => (e * e, -2.0 * e),
            ForecastLoss::FreDf { alpha } => ((1.0 - alpha) * e * e, (alpha - 1.0) * 2.0 * e),
            ForecastLoss::Mape => {
                let by = if y == 0.0 { 0.0 } else { 1.0 / y.abs() };
                (e.abs() * by, -sign(e) * by)
            }
            ForecastLoss::Smape => {
                let p = y - e;
                let sum = y.abs() + p.abs();
                if sum == 0.0 {
                    return (0.0, 0.0);
                }
                (2.0 * e.abs() / sum, 2.0 * (-sign(e) / sum - e.abs() * sign(p) / (sum * sum)))
            }
            ForecastLoss::Mase { .. } => (e.abs() * unit, -sign(e) * unit),
            ForecastLoss::Huber { delta } => huber(e, *delta),
            ForecastLoss::Tukey { c, .. } => tukey(e * unit, *c, unit),
            ForecastLoss::HuberQuantile { delta, .. } | ForecastLoss::HuberImplicitQuantile { delta, .. } => {
                let (value, slope) = huber(e, *delta);
                let share = if e > 0.0 { q } else { 1.0 - q };
                (share * value, share * slope)
            }
            ForecastLoss::HuberMultiQuantile { delta, .. } => {
                let share = if e > 0.0 { q } else { 1.0 - q };
                let (value, slope) = huber(share * e, *delta);
                (value, share * slope)
            }
            // Distributions have an operation of their own.
            ForecastLoss::Quantile { .. }
            | ForecastLoss::MultiQuantile(_)
            | ForecastLoss::ImplicitQuantile(_)
            | ForecastLoss::Distribution(_) => {
                if e >= 0.0 {
                    (q * e, if e == 0.0 { 0.0 } else { -q })
                } else {
                    ((q - 1.0) * e, 1.0 - q)
                }
            }
        }
    }

    /// The comparison of output `i` of a row, and what slopes are multiplied by.
    fn compared(&self, row: &Row<'_>, i: usize) -> (Compared, f32) {
        let Layout { outputs: m, h, .. } = self.layout;
        let series = i / m / h;
        let [shift, scale, unit, bend] = std::array::from_fn(|j| row.back[series * Layout::BACK + j]);
        let unit = match &self.loss {
            ForecastLoss::Tukey { normalize: true, .. } => 1.0 / self.deviation(row, series, scale, bend),
            ForecastLoss::Tukey { .. } => 1.0,
            _ => unit,
        };
        let (t, p) = (bent(row.t[i], bend), bent(row.p[i], bend));
        let slope = if bend > 0.0 { scale * row.p[i].cosh() } else { scale };
        let own = || self.quantiles.get(i % m).map_or(0.5, |q| *q as f32);
        let q = row.shares.get(i / m).copied().unwrap_or_else(own);
        (Compared { q, e: scale * (t - p), y: scale * t + shift, unit }, slope)
    }

    /// Standard deviation of a series' known targets, and a little.
    fn deviation(&self, row: &Row<'_>, series: usize, scale: f32, bend: f32) -> f32 {
        let steps = series * self.layout.h..(series + 1) * self.layout.h;
        let known =
            || steps.clone().filter(|i| row.known[*i] > 0.0).map(|i| bent(row.t[i * self.layout.outputs], bend));
        let n = known().count().max(1) as f32;
        let mean = known().sum::<f32>() / n;
        (known().map(|t| (t - mean) * (t - mean)).sum::<f32>() / n).sqrt() * scale + 0.01
    }

    /// Errors of a series, 0 where nothing is known.
    fn errors(&self, row: &Row<'_>, series: usize) -> Vec<f32> {
        let steps = series * self.layout.h..(series + 1) * self.layout.h;
        steps.map(|i| if row.known[i] > 0.0 { self.compared(row, i).0.e } else { 0.0 }).collect()
    }

    fn by_spectrum(&self) -> Option<(&Spectrum, f32)> {
        let ForecastLoss::FreDf { alpha } = &self.loss else { return None };
        Some((self.spectrum.as_ref()?, *alpha))
    }
}

/// A scaled value as far as the scale goes by a curve.
fn bent(z: f32, bend: f32) -> f32 {
    if bend > 0.0 { z.sinh() } else { z }
}

/// 0 at 0, unlike `signum`.
fn sign(e: f32) -> f32 {
    if e == 0.0 { 0.0 } else { e.signum() }
}

/// Huber's loss, and its slope along the prediction.
fn huber(e: f32, delta: f32) -> (f32, f32) {
    if e.abs() <= delta { (0.5 * e * e, -e) } else { (delta * (e.abs() - 0.5 * delta), -delta * sign(e)) }
}

/// Tukey's biweight of an error in units, and its slope along the prediction.
fn tukey(z: f32, c: f32, unit: f32) -> (f32, f32) {
    let most = c * c / 6.0;
    let rest = 1.0 - (z / c) * (z / c);
    if rest <= 0.0 { (most, 0.0) } else { (most * (1.0 - rest * rest * rest), -z * rest * rest * unit) }
}

impl CustomOp for HorizonLoss {
    fn name(&self) -> &'static str {
        "horizon_loss"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.layout.check(inputs)
    }

    fn forward(&self, rows: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let m = self.layout.outputs;
        for (i, out) in rows.iter_mut().enumerate() {
            let row = self.layout.row(inputs, i);
            let weight = row.known.iter().sum::<f32>() * m as f32;
            let known = (0..self.layout.len()).filter(|j| row.known[j / m] > 0.0);
            let sum: f32 = known.map(|j| row.known[j / m] * self.at(self.compared(&row, j).0).0).sum();
            *out = if weight > 0.0 { sum / weight } else { 0.0 };
            if let Some((spectrum, alpha)) = self.by_spectrum().filter(|_| weight > 0.0) {
                let all = (0..self.layout.series).map(|series| spectrum.size(&self.errors(&row, series)));
                *out += alpha * all.sum::<f32>() / self.layout.series as f32;
            }
        }
    }

    fn backward(&self, which: usize, d: &mut [f32], drows: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        if which != 0 {
            d.fill(0.0); // data
            return;
        }
        let m = self.layout.outputs;
        for (i, d) in d.chunks_exact_mut(self.layout.len()).enumerate() {
            let row = self.layout.row(inputs, i);
            let weight: f32 = row.known.iter().sum::<f32>() * m as f32;
            let share = if weight > 0.0 { drows[i] / weight } else { 0.0 };
            for (j, d) in d.iter_mut().enumerate() {
                let known = row.known[j / m];
                *d = 0.0;
                if known > 0.0 {
                    let (compared, scale) = self.compared(&row, j);
                    *d = share * scale * known * self.at(compared).1;
                }
            }
            if let Some((spectrum, alpha)) = self.by_spectrum().filter(|_| weight > 0.0) {
                let share = -alpha * drows[i] / self.layout.series as f32;
                for series in 0..self.layout.series {
                    let steps = series * self.layout.h..(series + 1) * self.layout.h;
                    let slopes = spectrum.slopes(&self.errors(&row, series));
                    for (j, slope) in steps.zip(slopes).filter(|(j, _)| row.known[*j] > 0.0) {
                        d[j] += share * self.compared(&row, j).1 * slope;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spread;
    use super::*;

    fn value(op: &HorizonLoss, inputs: &[&[f32]], rows: usize) -> Vec<f32> {
        let mut out = vec![9.0; rows];
        op.forward(&mut out, inputs, &[]);
        out
    }

    /// Two rows of two steps; the second step of the second row is unknown, and its scale is 10. The third number of a window is what its errors count.
    const P: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
    const T: [f32; 4] = [2.0, 0.0, 3.5, 99.0];
    const KNOWN: [f32; 4] = [1.0, 1.0, 1.0, 0.0];
    const BACK: [f32; 8] = [0.0, 1.0, 2.0, 0.0, 7.0, 10.0, 3.0, 0.0];

    fn losses() -> Vec<ForecastLoss> {
        vec![
            ForecastLoss::Mae,
            ForecastLoss::Mse,
            ForecastLoss::Mape,
            ForecastLoss::Smape,
            ForecastLoss::Mase { seasonality: 1 },
            ForecastLoss::FreDf { alpha: 0.5 },
            ForecastLoss::Huber { delta: 3.0 },
            ForecastLoss::Tukey { c: 4.685, normalize: true },
            ForecastLoss::Tukey { c: 9.0, normalize: false },
            ForecastLoss::Quantile { q: 0.3 },
            ForecastLoss::HuberQuantile { q: 0.3, delta: 3.0 },
            ForecastLoss::intervals(&[50.0, 90.0]),
            ForecastLoss::HuberMultiQuantile { spread: Spread::level(&[50.0, 90.0]), delta: 2.0 },
        ]
    }

    #[test]
    fn losses_by_hand() {
        for (loss, want) in [
            (ForecastLoss::Mae, [1.5, 5.0]),
            (ForecastLoss::Mse, [2.5, 25.0]),
            (ForecastLoss::Mape, [0.25, 5.0 / 42.0]), // a truth of 0 does not count
            (ForecastLoss::Smape, [(2.0 / 3.0 + 2.0) / 2.0, 2.0 * 5.0 / 79.0]),
            (ForecastLoss::Mase { seasonality: 1 }, [3.0, 15.0]),
            // Errors 1, −2: spectrum −1, 3. Errors 5, 0: 5, 5.
            (ForecastLoss::FreDf { alpha: 0.5 }, [0.5 * 2.5 + 0.5 * 2.0, 0.5 * 25.0 + 0.5 * 5.0]),
            (ForecastLoss::Huber { delta: 1.0 }, [(0.5 + 1.5) / 2.0, 4.5]),
            (ForecastLoss::Tukey { c: 4.0, normalize: false }, [1.005_534, 16.0 / 6.0]),
            (ForecastLoss::Quantile { q: 0.9 }, [(0.9 + 0.2) / 2.0, 4.5]),
            (ForecastLoss::HuberQuantile { q: 0.9, delta: 1.0 }, [(0.9 * 0.5 + 0.1 * 1.5) / 2.0, 0.9 * 4.5]),
        ] {
            let got = value(&HorizonLoss::new(&loss, 2, 1), &[&P, &T, &KNOWN, &BACK], 2);
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-5), "{loss:?}: {got:?}");
        }
        // Median 5, bounds 1 and 8 of a value of 10 and an interval of 80 %: errors 5, 9, 2.
        let mq = HorizonLoss::new(&ForecastLoss::intervals(&[80.0]), 1, 1);
        let got = value(&mq, &[&[5.0, 1.0, 8.0], &[10.0; 3], &[1.0], &[0.0, 1.0, 1.0, 0.0]], 1);
        assert!((got[0] - (0.5 * 5.0 + 0.1 * 9.0 + 0.9 * 2.0) / 3.0).abs() < 1e-5, "{got:?}");
        for loss in losses().iter().filter(|loss| loss.outputs() == 1) {
            let nothing = value(&HorizonLoss::new(loss, 2, 1), &[&P[..2], &T[..2], &[0.0; 2], &BACK[..4]], 1);
            assert_eq!(nothing, [0.0], "{loss:?}");
        }
    }

    /// The two rows as one of two series: three known values on their own scales.
    #[test]
    fn series_of_a_row_have_scales_of_their_own() {
        let both = HorizonLoss::new(&ForecastLoss::Mae, 2, 2);
        let got = value(&both, &[&P, &T, &KNOWN, &BACK], 1);
        assert!((got[0] - (1.0 + 2.0 + 5.0) / 3.0).abs() < 1e-5, "{got:?}");
        let mut d = [9.0; 4];
        both.backward(0, &mut d, &[3.0], &[&P, &T, &KNOWN, &BACK], &[], &[]);
        assert_eq!(d, [-1.0, 1.0, -10.0, 0.0]);
        let rows = |lens: [usize; 4]| lens.map(|len| Shape::batched(&[len]).unwrap());
        assert!(both.shape(&rows([4, 4, 4, 8])).is_ok());
        assert!(both.shape(&rows([4, 4, 4, 3])).is_err());
    }

    /// Scales that follow a hyperbolic sine: errors are those of the data.
    #[test]
    fn a_bent_scale_is_undone_before_values_are_compared() {
        let mae = HorizonLoss::new(&ForecastLoss::Mae, 1, 1);
        let got = value(&mae, &[&[0.5], &[2.0], &[1.0], &[7.0, 10.0, 1.0, 1.0]], 1);
        assert!((got[0] - 10.0 * (2.0_f32.sinh() - 0.5_f32.sinh())).abs() < 1e-4, "{got:?}");
        let mape = HorizonLoss::new(&ForecastLoss::Mape, 1, 1);
        let share = value(&mape, &[&[0.5], &[2.0], &[1.0], &[7.0, 10.0, 1.0, 1.0]], 1);
        assert!((share[0] - got[0] / (10.0 * 2.0_f32.sinh() + 7.0)).abs() < 1e-5, "{share:?}");
    }

    #[test]
    fn gradients_are_finite_differences() {
        let mut bends = BACK;
        (bends[3], bends[5], bends[7]) = (1.0, 0.5, 1.0);
        let p = P.map(|p| p * 0.4);
        for (loss, p, back) in losses().into_iter().flat_map(|loss| [(loss.clone(), P, BACK), (loss, p, bends)]) {
            let op = HorizonLoss::new(&loss, 2, 1);
            let repeat = |v: &[f32]| v.iter().flat_map(|v| vec![*v; loss.outputs()]).collect::<Vec<f32>>();
            let t = repeat(&T);
            let p: Vec<f32> = repeat(&p).iter().enumerate().map(|(i, p)| p + 0.13 * (i % 5) as f32).collect();
            let mut d = vec![9.0; p.len()];
            op.backward(0, &mut d, &[2.0, -3.0], &[&p, &t, &KNOWN, &back], &[], &[]);
            let weighed = |p: &[f32]| {
                let rows = value(&op, &[p, &t, &KNOWN, &back], 2);
                2.0 * f64::from(rows[0]) - 3.0 * f64::from(rows[1])
            };
            for i in 0..p.len() {
                let (mut up, mut down) = (p.clone(), p.clone());
                (up[i], down[i]) = (p[i] + 1e-2, p[i] - 1e-2);
                let slope = (weighed(&up) - weighed(&down)) / f64::from(up[i] - down[i]);
                assert!((slope - f64::from(d[i])).abs() < 1e-2 * (1.0 + slope.abs()), "{loss:?} {i}: {slope} {d:?}");
            }
        }
    }
}
