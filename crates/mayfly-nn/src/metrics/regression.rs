//! Figures of a regression.
use crate::error::{Result, expect_len};

/// Figures of a regression, over all rows and outputs.
#[derive(Clone, PartialEq, Debug)]
pub struct Regression {
    /// Rows that were compared.
    pub rows: usize,
    /// Mean absolute error; NaN without rows.
    pub mae: f64,
    /// Root of the mean squared error; NaN without rows.
    pub rmse: f64,
    /// Share of the variance that is explained: 1 is perfect, 0 as good as the mean. With several outputs the mean of theirs (scikit-learn's
    /// default, `uniform_average`). An output that never varies has no variance to explain: it counts 1 if it is predicted exactly and 0
    /// otherwise, and [`constant`](Regression::constant) says how many there are. NaN without rows.
    pub r2: f64,
    /// Mean squared error; NaN without rows.
    pub mse: f64,
    /// Outputs whose target is the same in every row: R² says nothing about them.
    pub constant: usize,
    /// Outputs.
    pub outputs: usize,
}

/// Counts a regression row by row, so that the rows need not be in memory.
#[derive(Clone, Debug)]
pub struct RegressionTally {
    rows: usize,
    absolute: f64,
    outputs: Vec<Output>,
}

/// Sums of one output.
#[derive(Clone, Copy, Default, Debug)]
struct Output {
    /// Mean of the targets, and the sum of their squared distances from it (Welford 1962).
    mean: f64,
    distances: f64,
    /// Sum of the squared errors.
    squared: f64,
    /// The first target, and whether another differed from it.
    first: f64,
    varies: bool,
}

impl Output {
    fn r2(&self) -> f64 {
        match (self.varies && self.distances > 0.0, self.squared > 0.0) {
            (true, _) => 1.0 - self.squared / self.distances,
            (false, true) => 0.0,
            (false, false) => 1.0,
        }
    }
}

impl RegressionTally {
    /// Of nothing yet, for rows of `outputs` numbers.
    pub fn new(outputs: usize) -> RegressionTally {
        RegressionTally { rows: 0, absolute: 0.0, outputs: vec![Output::default(); outputs] }
    }

    /// One more row.
    pub fn add(&mut self, predicted: &[f64], actual: &[f64]) {
        self.rows += 1;
        let n = self.rows as f64;
        for (output, (p, t)) in self.outputs.iter_mut().zip(predicted.iter().zip(actual)) {
            let error = p - t;
            self.absolute += error.abs();
            output.squared += error * error;
            if self.rows == 1 {
                output.first = *t;
            }
            output.varies |= *t != output.first;
            let off = t - output.mean;
            output.mean += off / n;
            output.distances += off * (t - output.mean);
        }
    }

    /// The figures.
    pub fn finish(self) -> Regression {
        let outputs = self.outputs.len();
        let n = (self.rows * outputs) as f64;
        let mse = self.outputs.iter().map(|output| output.squared).sum::<f64>() / n;
        let r2 = self.outputs.iter().map(Output::r2).sum::<f64>() / outputs as f64;
        Regression {
            rows: self.rows,
            mae: self.absolute / n,
            rmse: mse.sqrt(),
            r2: if self.rows == 0 { f64::NAN } else { r2 },
            mse,
            constant: self.outputs.iter().filter(|output| !output.varies).count(),
            outputs,
        }
    }
}

/// Compares predicted and actual numbers, `outputs` a row.
///
/// # Errors
/// Values that are not the same number of whole rows.
pub fn regression(predicted: &[f32], targets: &[f32], outputs: usize) -> Result<Regression> {
    expect_len("predictions", targets.len(), predicted.len())?;
    let outputs = outputs.max(1);
    expect_len("predictions", targets.len() / outputs * outputs, targets.len())?;
    let mut tally = RegressionTally::new(outputs);
    let exact = |row: &[f32]| row.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    for (p, t) in predicted.chunks_exact(outputs).zip(targets.chunks_exact(outputs)) {
        tally.add(&exact(p), &exact(t));
    }
    Ok(tally.finish())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn regression_by_hand() {
        // Column 0: targets 0, 2 (mean 1, total 2), errors 1 and 0; column 1 never varies and is missed by 2 once.
        let r = regression(&[1.0, 5.0, 2.0, 7.0], &[0.0, 5.0, 2.0, 5.0], 2).unwrap();
        assert_eq!((r.mae, r.mse, r.rmse), (0.75, 1.25, 1.25_f64.sqrt()));
        assert_eq!((r.r2, r.constant, r.rows, r.outputs), (0.25, 1, 2, 2));
        assert_eq!(regression(&[1.0, 2.0], &[1.0, 2.0], 1).unwrap().r2, 1.0);
        let none = regression(&[], &[], 1).unwrap();
        assert!(none.mae.is_nan() && none.r2.is_nan() && none.rmse.is_nan());
    }

    /// The definition in two passes: the reference for the single one.
    fn r2_of_column(p: &[f64], t: &[f64]) -> f64 {
        let mean = t.iter().sum::<f64>() / t.len() as f64;
        let total: f64 = t.iter().map(|v| (v - mean).powi(2)).sum();
        let rest: f64 = p.iter().zip(t).map(|(p, t)| (p - t).powi(2)).sum();
        1.0 - rest / total
    }

    proptest! {
        #[test]
        fn one_pass_is_the_mean_of_each_outputs_r2(
            rows in prop::collection::vec(prop::array::uniform4(-1e3..1e3_f64), 2..60),
            scale in prop::sample::select(vec![1e-20, 1.0, 1e6]),
        ) {
            let mut tally = RegressionTally::new(2);
            let row = |r: &[f64; 4]| ([r[0] * scale, r[1]], [r[2] * scale, r[3]]);
            rows.iter().map(row).for_each(|(p, t)| tally.add(&p, &t));
            let column = |i: usize| -> Vec<f64> { rows.iter().map(|r| if i.is_multiple_of(2) { r[i] * scale } else { r[i] }).collect() };
            let want = (r2_of_column(&column(0), &column(2)) + r2_of_column(&column(1), &column(3))) / 2.0;
            let got = tally.finish();
            prop_assert!((got.r2 - want).abs() <= 1e-6 * want.abs().max(1.0), "{} and {want}", got.r2);
            prop_assert_eq!(got.constant, 0);
        }
    }
}
