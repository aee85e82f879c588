//! The operation of the graph behind a loss.
use super::ForecastLoss;
use mayfly_graph::{CustomOp, Dims, Shape};

/// `(prediction [b, n·h·m], target [b, n·h·m], known [b, n·h], back [b, n·2]) → [b]`: the mean over known steps and outputs of n series.
#[derive(Debug)]
pub(super) struct HorizonLoss {
    pub(super) loss: ForecastLoss,
    pub(super) quantiles: Vec<f64>,
    pub(super) h: usize,
    pub(super) series: usize,
}

/// One row of the inputs.
struct Row<'a> {
    p: &'a [f32],
    t: &'a [f32],
    known: &'a [f32],
    back: &'a [f32],
    h: usize,
}

impl Row<'_> {
    /// What the differences of a step, counted over all series, are multiplied by: shifts cancel.
    fn scale(&self, step: usize) -> f32 {
        self.back[step / self.h * 2 + 1]
    }
}

impl HorizonLoss {
    fn outputs(&self) -> usize {
        self.quantiles.len().max(1)
    }

    /// Loss and slope of one output at the error `e = target − prediction`, on the scale of the comparison; the slope is that along the prediction.
    fn at(&self, output: usize, e: f32) -> (f32, f32) {
        match &self.loss {
            ForecastLoss::Mae => (e.abs(), -sign(e)),
            ForecastLoss::Mse => (e * e, -2.0 * e),
            ForecastLoss::Huber { delta } if e.abs() <= *delta => (0.5 * e * e, -e),
            ForecastLoss::Huber { delta } => (delta * (e.abs() - 0.5 * delta), -delta * sign(e)),
            ForecastLoss::Quantile { .. } | ForecastLoss::MultiQuantile { .. } => {
                let q = self.quantiles.get(output).copied().unwrap_or(0.5) as f32;
                if e >= 0.0 { (q * e, if e == 0.0 { 0.0 } else { -q }) } else { ((q - 1.0) * e, 1.0 - q) }
            }
        }
    }

    fn row<'a>(&self, inputs: &[&'a [f32]], row: usize) -> Row<'a> {
        let steps = self.h * self.series;
        let part = |input: usize, len: usize| &inputs[input][row * len..(row + 1) * len];
        let len = steps * self.outputs();
        Row { p: part(0, len), t: part(1, len), known: part(2, steps), back: part(3, self.series * 2), h: self.h }
    }
}

/// 0 at 0, unlike `signum`.
fn sign(e: f32) -> f32 {
    if e == 0.0 { 0.0 } else { e.signum() }
}

impl CustomOp for HorizonLoss {
    fn name(&self) -> &'static str {
        "horizon_loss"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let steps = self.h * self.series;
        let wanted = [steps * self.outputs(), steps * self.outputs(), steps, self.series * 2];
        let fits = inputs.len() == wanted.len() && inputs.iter().zip(wanted).all(|(input, len)| input.row_len() == len);
        match fits {
            true => Shape::batched(&[]).map_err(|e| e.to_string()),
            false => Err(format!(
                "rows of {wanted:?} values are needed: predictions, targets, weights, shifts and scales; got {inputs:?}"
            )),
        }
    }

    fn forward(&self, rows: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let m = self.outputs();
        for (i, out) in rows.iter_mut().enumerate() {
            let row = self.row(inputs, i);
            let (mut sum, mut weight) = (0.0, 0.0);
            let steps = row.p.chunks_exact(m).zip(row.t.chunks_exact(m)).zip(row.known);
            for (step, ((p, t), known)) in steps.enumerate() {
                let scale = row.scale(step);
                let losses = p.iter().zip(t).enumerate().map(|(j, (p, t))| self.at(j, scale * (t - p)).0);
                sum += if *known > 0.0 { known * losses.sum::<f32>() } else { 0.0 };
                weight += known;
            }
            *out = if weight > 0.0 { sum / (weight * m as f32) } else { 0.0 };
        }
    }

    fn backward(&self, which: usize, d: &mut [f32], drows: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        if which != 0 {
            d.fill(0.0); // data
            return;
        }
        let m = self.outputs();
        for (i, d) in d.chunks_exact_mut(self.series * self.h * m).enumerate() {
            let row = self.row(inputs, i);
            let weight: f32 = row.known.iter().sum::<f32>() * m as f32;
            let share = if weight > 0.0 { drows[i] / weight } else { 0.0 };
            for (j, (d, (p, t))) in d.iter_mut().zip(row.p.iter().zip(row.t)).enumerate() {
                let (known, scale) = (row.known[j / m], row.scale(j / m));
                *d = if known > 0.0 { share * scale * known * self.at(j % m, scale * (t - p)).1 } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(loss: ForecastLoss, h: usize) -> HorizonLoss {
        HorizonLoss { quantiles: loss.quantiles(), loss, h, series: 1 }
    }

    fn value(op: &HorizonLoss, inputs: &[&[f32]], rows: usize) -> Vec<f32> {
        let mut out = vec![9.0; rows];
        op.forward(&mut out, inputs, &[]);
        out
    }

    /// Two rows of two steps; the second step of the second row is unknown, and its scale is 10.
    const P: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
    const T: [f32; 4] = [2.0, 0.0, 3.5, 99.0];
    const KNOWN: [f32; 4] = [1.0, 1.0, 1.0, 0.0];
    const BACK: [f32; 4] = [0.0, 1.0, 7.0, 10.0];

    #[test]
    fn losses_by_hand() {
        for (loss, want) in [
            (ForecastLoss::Mae, [1.5, 5.0]),
            (ForecastLoss::Mse, [2.5, 25.0]),
            (ForecastLoss::Huber { delta: 1.0 }, [(0.5 + 1.5) / 2.0, 4.5]),
            (ForecastLoss::Quantile { q: 0.9 }, [(0.9 + 0.2) / 2.0, 4.5]),
        ] {
            let got = value(&op(loss.clone(), 2), &[&P, &T, &KNOWN, &BACK], 2);
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-5), "{loss:?}: {got:?}");
        }
        // Median 5, bounds 1 and 8 of a value of 10 and an interval of 80 %: errors 5, 9, 2.
        let mq = op(ForecastLoss::intervals(&[80.0]), 1);
        let got = value(&mq, &[&[5.0, 1.0, 8.0], &[10.0; 3], &[1.0], &[0.0, 1.0]], 1);
        assert!((got[0] - (0.5 * 5.0 + 0.1 * 9.0 + 0.9 * 2.0) / 3.0).abs() < 1e-5, "{got:?}");
        assert_eq!(value(&op(ForecastLoss::Mae, 2), &[&P[..2], &T[..2], &[0.0; 2], &BACK[..2]], 1), [0.0]);
    }

    /// The two rows as one of two series: three known values on their own scales.
    #[test]
    fn series_of_a_row_have_scales_of_their_own() {
        let both = HorizonLoss { series: 2, ..op(ForecastLoss::Mae, 2) };
        let got = value(&both, &[&P, &T, &KNOWN, &BACK], 1);
        assert!((got[0] - (1.0 + 2.0 + 5.0) / 3.0).abs() < 1e-5, "{got:?}");
        let mut d = [9.0; 4];
        both.backward(0, &mut d, &[3.0], &[&P, &T, &KNOWN, &BACK], &[], &[]);
        assert_eq!(d, [-1.0, 1.0, -10.0, 0.0]);
        let rows = |lens: [usize; 4]| lens.map(|len| Shape::batched(&[len]).unwrap());
        assert!(both.shape(&rows([4, 4, 4, 4])).is_ok());
        assert!(both.shape(&rows([4, 4, 4, 2])).is_err());
    }

    #[test]
    fn gradients_are_finite_differences() {
        let losses = [
            ForecastLoss::Mae,
            ForecastLoss::Mse,
            ForecastLoss::Huber { delta: 3.0 },
            ForecastLoss::Quantile { q: 0.3 },
            ForecastLoss::intervals(&[50.0, 90.0]),
        ];
        for loss in losses {
            let op = op(loss.clone(), 2);
            let repeat = |v: &[f32]| v.iter().flat_map(|v| vec![*v; op.outputs()]).collect::<Vec<f32>>();
            let t = repeat(&T);
            let p: Vec<f32> = repeat(&P).iter().enumerate().map(|(i, p)| p + 0.13 * (i % 5) as f32).collect();
            let mut d = vec![9.0; p.len()];
            op.backward(0, &mut d, &[2.0, -3.0], &[&p, &t, &KNOWN, &BACK], &[], &[]);
            let weighed = |p: &[f32]| {
                let rows = value(&op, &[p, &t, &KNOWN, &BACK], 2);
                2.0 * f64::from(rows[0]) - 3.0 * f64::from(rows[1])
            };
            for i in 0..p.len() {
                let (mut up, mut down) = (p.clone(), p.clone());
                (up[i], down[i]) = (p[i] + 1e-2, p[i] - 1e-2);
                let slope = (weighed(&up) - weighed(&down)) / 2e-2;
                assert!((slope - f64::from(d[i])).abs() < 2e-2 * (1.0 + slope.abs()), "{loss:?} {i}: {slope} {}", d[i]);
            }
        }
    }
}
