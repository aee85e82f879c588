//! Figures of a network's answers, by what its encoder says they mean.
use super::{Classification, ClassificationTally, Regression, RegressionTally};
use mayfly_format::data::{Encoder, Outputs};

/// What a [`Tally`] comes to.
#[derive(Clone, PartialEq, Debug)]
pub enum Figures {
    /// The network names classes: the encoder's labels, in their order.
    Classes(Classification),
    /// The network gives numbers, in the units of the data file.
    Values {
        /// The errors.
        regression: Regression,
        /// With several targets: the share of rows whose largest output is where the largest target is.
        largest_right: Option<f64>,
        /// Answer − truth of all targets in order of rows; of very many an even sample.
        residuals: Vec<f64>,
    },
}

impl Figures {
    /// Rows that were compared.
    pub fn rows(&self) -> usize {
        match self {
            Figures::Classes(classes) => classes.rows,
            Figures::Values { regression, .. } => regression.rows,
        }
    }
}

/// Figures that are gathered batch by batch, so that the rows need not be in memory.
#[derive(Clone, Debug)]
pub struct Tally<'a> {
    encoder: &'a Encoder,
    task: Task,
}

#[derive(Clone, Debug)]
enum Task {
    Classes(ClassificationTally),
    Values { regression: RegressionTally, largest_right: usize, rows: usize, residuals: Sample },
}

impl<'a> Tally<'a> {
    /// Of nothing yet.
    pub fn new(encoder: &'a Encoder) -> Self {
        let task = match encoder.labels().len() {
            0 => {
                let regression = RegressionTally::new(encoder.target_width());
                Task::Values { regression, largest_right: 0, rows: 0, residuals: Sample::default() }
            }
            classes => Task::Classes(ClassificationTally::new(classes)),
        };
        Tally { encoder, task }
    }

    /// More rows: `outputs [rows, width]`, `targets [rows, width]`, both as the network has them.
    pub fn add(&mut self, outputs: &[f32], targets: &[f32]) {
        let width = self.encoder.target_width().max(1);
        for (y, t) in outputs.chunks_exact(width).zip(targets.chunks_exact(width)) {
            match &mut self.task {
                Task::Classes(tally) => tally.add((y, self.encoder.class_of(y)), (t, self.encoder.class_of(t))),
                Task::Values { regression, largest_right, rows, residuals } => {
                    let (y, t) = (values(self.encoder, y), values(self.encoder, t));
                    regression.add(&y, &t);
                    *rows += 1;
                    *largest_right += usize::from(largest(&y) == largest(&t));
                    y.iter().zip(&t).for_each(|(y, t)| residuals.push(y - t));
                }
            }
        }
    }

    /// The figures.
    pub fn finish(self) -> Figures {
        match self.task {
            Task::Classes(tally) => Figures::Classes(tally.finish()),
            Task::Values { regression, largest_right, rows, residuals } => Figures::Values {
                regression: regression.finish(),
                largest_right: (self.encoder.target_width() > 1).then(|| largest_right as f64 / rows as f64),
                residuals: residuals.values,
            },
        }
    }
}

/// A row in the units of the file.
fn values(encoder: &Encoder, row: &[f32]) -> Vec<f64> {
    match encoder.decode(row) {
        Some(Outputs::Values(values)) => values,
        _ => Vec::new(),
    }
}

/// Where the largest value is; the first of several.
fn largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// Residuals that are kept for the quantiles.
const SAMPLE: usize = 1 << 20;

/// Every value while there are at most [`SAMPLE`], then every second, every fourth, …
#[derive(Clone, Debug)]
struct Sample {
    values: Vec<f64>,
    step: u64,
    seen: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Sample { values: Vec::new(), step: 1, seen: 0 }
    }
}

impl Sample {
    fn push(&mut self, value: f64) {
        if self.values.len() == SAMPLE {
            let mut at = 0;
            self.values.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.step *= 2;
        }
        if self.seen.is_multiple_of(self.step) {
            self.values.push(value);
        }
        self.seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_format::data::{FitOptions, Input, OpenOptions, open};

    fn encoder(text: &str, targets: &[&str]) -> Encoder {
        let mut source = open(Input::from_bytes("t.csv", text.as_bytes()), &OpenOptions::default()).unwrap();
        let mut options = FitOptions::default();
        options.targets = targets.iter().map(|&name| name.to_owned()).collect();
        Encoder::fit(source.as_mut(), &options).unwrap()
    }

    #[test]
    fn a_sample_stays_even() {
        let mut sample = Sample::default();
        (0..5 * SAMPLE as u64 / 2).for_each(|i| sample.push(i as f64));
        assert_eq!(sample.step, 4);
        let even = sample.values.iter().enumerate().all(|(i, v)| *v == 4.0 * i as f64);
        assert!(even && sample.values.len() == SAMPLE * 5 / 8, "{}", sample.values.len());
    }

    /// Errors count in the units of the file, and R² of two targets is the mean of theirs, whatever their units.
    #[test]
    fn numbers_are_measured_in_the_units_of_the_file() {
        let encoder = encoder("a,b,c\n0.5,1.5,1000\n1.5,2.5,3000\n2.5,4.5,2000.5\n", &["b", "c"]);
        let truth = [[1.5, 1000.0], [2.5, 3000.0], [4.5, 2000.5]];
        let answers = [[1.0, 1100.0], [2.5, 2900.0], [4.0, 2000.5]];
        let scaled = |rows: &[[f64; 2]]| -> Vec<f32> {
            let mayfly_format::data::TargetEncoding::Numbers { columns } = encoder.targets() else { unreachable!() };
            rows.iter().flat_map(|r| r.iter().zip(columns).map(|(v, c)| ((v - c.shift) / c.scale) as f32)).collect()
        };
        let mut tally = Tally::new(&encoder);
        tally.add(&scaled(&answers), &scaled(&truth));
        let Figures::Values { regression, largest_right, residuals } = tally.finish() else { panic!("not numbers") };
        assert!((regression.mae - (0.5 + 0.0 + 0.5 + 100.0 + 100.0) / 6.0).abs() < 1e-3, "{}", regression.mae);
        let r2 = |errors: [f64; 3], t: [f64; 3]| {
            let mean = t.iter().sum::<f64>() / 3.0;
            1.0 - errors.iter().map(|e| e * e).sum::<f64>() / t.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        let want = (r2([0.5, 0.0, 0.5], [1.5, 2.5, 4.5]) + r2([100.0, 100.0, 0.0], [1000.0, 3000.0, 2000.5])) / 2.0;
        assert!((regression.r2 - want).abs() < 1e-5, "{} and {want}", regression.r2);
        assert_eq!((largest_right, residuals.len()), (Some(1.0), 6));
    }
}
