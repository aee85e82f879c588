//! Figures of a classification.
use crate::data::class_of;
use crate::error::{Result, expect_len};

/// Figures of a classification.
#[derive(Clone, PartialEq, Debug)]
pub struct Classification {
    /// Rows that were compared.
    pub rows: usize,
    /// Share of rows whose class was named right; NaN without rows.
    pub accuracy: f64,
    /// `confusion[actual][predicted]`: rows.
    pub confusion: Vec<Vec<usize>>,
    /// Mean over rows and outputs of the squared difference, as FANN counts it; NaN without rows.
    pub mse: f64,
}

impl Classification {
    /// Of the rows that were taken for `class`, the share that are of it (precision), and of those that are of it, the share that were
    /// taken for it (recall); NaN where there are none.
    pub fn precision_and_recall(&self, class: usize) -> (f64, f64) {
        let right = self.confusion.get(class).and_then(|row| row.get(class)).copied().unwrap_or(0) as f64;
        let taken: usize = self.confusion.iter().filter_map(|row| row.get(class)).sum();
        let actual: usize = self.confusion.get(class).map_or(0, |row| row.iter().sum());
        (right / taken as f64, right / actual as f64)
    }
}

/// Counts a classification row by row, so that the rows need not be in memory.
#[derive(Clone, Debug)]
pub struct ClassificationTally {
    rows: usize,
    right: usize,
    confusion: Vec<Vec<usize>>,
    squares: f64,
    values: usize,
}

impl ClassificationTally {
    /// Of nothing yet.
    pub fn new(classes: usize) -> ClassificationTally {
        let confusion = vec![vec![0; classes]; classes];
        ClassificationTally { rows: 0, right: 0, confusion, squares: 0.0, values: 0 }
    }

    /// One more row: its outputs and its targets with the classes that they stand for. Outputs that are not numbers name no class: a
    /// wrong answer.
    pub fn add(&mut self, (outputs, predicted): (&[f32], Option<usize>), (targets, actual): (&[f32], Option<usize>)) {
        self.rows += 1;
        self.squares += outputs.iter().zip(targets).map(|(y, t)| (f64::from(*y) - f64::from(*t)).powi(2)).sum::<f64>();
        self.values += targets.len();
        if let (Some(predicted), Some(actual)) = (predicted, actual)
            && let Some(cell) = self.confusion.get_mut(actual).and_then(|row| row.get_mut(predicted))
        {
            *cell += 1;
            self.right += usize::from(predicted == actual);
        }
    }

    /// The figures.
    pub fn finish(self) -> Classification {
        Classification {
            rows: self.rows,
            accuracy: self.right as f64 / self.rows as f64,
            confusion: self.confusion,
            mse: self.squares / self.values as f64,
        }
    }
}

/// Compares predicted and actual classes: the largest of a row's `outputs` values, or, for a single output, whether it is above `midpoint`.
///
/// # Errors
/// Values that are not the same number of whole rows.
pub fn classification(predicted: &[f32], targets: &[f32], outputs: usize, midpoint: f32) -> Result<Classification> {
    expect_len("predictions", targets.len(), predicted.len())?;
    let outputs = outputs.max(1);
    expect_len("predictions", targets.len() / outputs * outputs, targets.len())?;
    let class = |row: &[f32]| match row {
        _ if row.iter().any(|value| value.is_nan()) => None,
        [one] => Some(usize::from(*one > midpoint)),
        row => Some(class_of(row)),
    };
    let mut tally = ClassificationTally::new(outputs.max(2));
    for (p, t) in predicted.chunks_exact(outputs).zip(targets.chunks_exact(outputs)) {
        tally.add((p, class(p)), (t, class(t)));
    }
    Ok(tally.finish())
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
        assert_eq!((c.rows, c.accuracy), (4, 0.75));
        assert!((c.mse - 0.116_875).abs() < 1e-6, "{}", c.mse);
        assert_eq!(c.precision_and_recall(0), (0.5, 1.0));
        assert_eq!(c.precision_and_recall(1), (1.0, 0.5));
        let symmetric = classification(&[0.2, -0.9, -0.1], &[1.0, -1.0, 1.0], 1, 0.0).unwrap();
        assert_eq!(symmetric.confusion, [[1, 0], [1, 1]]);
        assert!(classification(&[0.0; 3], &[0.0; 4], 2, 0.5).is_err());
    }

    #[test]
    fn no_rows_have_no_accuracy_and_nan_is_a_wrong_answer() {
        let none = classification(&[], &[], 2, 0.5).unwrap();
        assert!(none.rows == 0 && none.accuracy.is_nan() && none.mse.is_nan());
        let nan = classification(&[f32::NAN, 0.0], &[1.0, 0.0], 2, 0.5).unwrap();
        assert_eq!((nan.accuracy, nan.confusion), (0.0, vec![vec![0, 0], vec![0, 0]]));
    }
}
