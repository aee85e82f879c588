//! How good predictions are.
use crate::data::class_of;
use crate::error::{Result, expect_len};

/// Figures of a classification.
#[derive(Clone, PartialEq, Debug)]
pub struct Classification {
    /// Share of rows whose class was named right.
    pub accuracy: f64,
    /// `confusion[actual][predicted]`: rows.
    pub confusion: Vec<Vec<usize>>,
    /// Mean over rows and outputs of the squared difference, as FANN counts it.
    pub mse: f64,
}

/// Figures of a regression, over all rows and outputs.
#[derive(Clone, PartialEq, Debug)]
pub struct Regression {
    /// Mean absolute error.
    pub mae: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Share of the variance that is explained: 1 is perfect, 0 as good as the mean. The mean over outputs; an output that never varies counts 1 if it is predicted exactly and 0 otherwise.
    pub r2: f64,
    /// Mean squared error.
    pub mse: f64,
}

fn squared(predicted: &[f32], targets: &[f32]) -> f64 {
    predicted.iter().zip(targets).map(|(p, t)| (f64::from(*p) - f64::from(*t)).powi(2)).sum()
}

/// Compares predicted and actual classes: the largest of a row's `outputs` values, or, for a single output, whether it is above `midpoint`.
///
/// # Errors
/// Values that are not the same number of whole rows.
pub fn classification(predicted: &[f32], targets: &[f32], outputs: usize, midpoint: f32) -> Result<Classification> {
    expect_len("predictions", targets.len(), predicted.len())?;
    let outputs = outputs.max(1);
    expect_len("predictions", targets.len() / outputs * outputs, targets.len())?;
    let classes = outputs.max(2);
    let class = |row: &[f32]| if let [one] = row { usize::from(*one > midpoint) } else { class_of(row) };
    let mut confusion = vec![vec![0; classes]; classes];
    for (p, t) in predicted.chunks_exact(outputs).zip(targets.chunks_exact(outputs)) {
        confusion[class(t)][class(p)] += 1;
    }
    let rows = targets.len() / outputs;
    let right: usize = confusion.iter().enumerate().map(|(i, row)| row[i]).sum();
    Ok(Classification {
        accuracy: right as f64 / rows.max(1) as f64,
        confusion,
        mse: squared(predicted, targets) / targets.len().max(1) as f64,
    })
}

/// Compares predicted and actual numbers, `outputs` a row.
///
/// # Errors
/// Values that are not the same number of whole rows.
pub fn regression(predicted: &[f32], targets: &[f32], outputs: usize) -> Result<Regression> {
    expect_len("predictions", targets.len(), predicted.len())?;
    let outputs = outputs.max(1);
    expect_len("predictions", targets.len() / outputs * outputs, targets.len())?;
    let n = targets.len().max(1) as f64;
    let absolute: f64 = predicted.iter().zip(targets).map(|(p, t)| (f64::from(*p) - f64::from(*t)).abs()).sum();
    let mse = squared(predicted, targets) / n;
    let r2 = (0..outputs).map(|column| explained(predicted, targets, outputs, column)).sum::<f64>() / outputs as f64;
    Ok(Regression { mae: absolute / n, rmse: mse.sqrt(), r2, mse })
}

/// The coefficient of determination of one output.
fn explained(predicted: &[f32], targets: &[f32], outputs: usize, column: usize) -> f64 {
    let of =
        |values: &[f32]| -> Vec<f64> { values.iter().skip(column).step_by(outputs).map(|v| f64::from(*v)).collect() };
    let (p, t) = (of(predicted), of(targets));
    let mean = t.iter().sum::<f64>() / t.len().max(1) as f64;
    let total: f64 = t.iter().map(|v| (v - mean).powi(2)).sum();
    let rest: f64 = p.iter().zip(&t).map(|(p, t)| (p - t).powi(2)).sum();
    match (total > 0.0, rest > 0.0) {
        (true, _) => 1.0 - rest / total,
        (false, true) => 0.0,
        (false, false) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_by_actual_and_predicted() {
        let targets = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].concat();
        let predicted = [[0.9, 0.05, 0.0], [0.6, 0.4, 0.0], [0.0, 0.8, 0.3], [0.1, 0.2, 0.3]].concat();
        let c = classification(&predicted, &targets, 3, 0.5).unwrap();
        assert_eq!(c.confusion, [[1, 0, 0], [1, 1, 0], [0, 0, 1]]);
        assert_eq!(c.accuracy, 0.75);
        assert!((c.mse - 0.116_875).abs() < 1e-6, "{}", c.mse);
        let symmetric = classification(&[0.2, -0.9, -0.1], &[1.0, -1.0, 1.0], 1, 0.0).unwrap();
        assert_eq!(symmetric.confusion, [[1, 0], [1, 1]]);
        assert!(classification(&[0.0; 3], &[0.0; 4], 2, 0.5).is_err());
    }

    #[test]
    fn regression_by_hand() {
        // Column 0: targets 0, 2 (mean 1, total 2), errors 1 and 0; column 1 never varies and is missed by 2 once.
        let r = regression(&[1.0, 5.0, 2.0, 7.0], &[0.0, 5.0, 2.0, 5.0], 2).unwrap();
        assert_eq!((r.mae, r.mse, r.rmse), (0.75, 1.25, 1.25_f64.sqrt()));
        assert_eq!(r.r2, 0.25);
        assert_eq!(regression(&[1.0, 2.0], &[1.0, 2.0], 1).unwrap().r2, 1.0);
    }
}
