//! Which row is for training, which for validation, which for the test.

use mayfly_base::split_mix;
use serde::{Deserialize, Serialize};

use crate::error::{FormatError, Result};

/// How the rows of one file are divided. The default gives everything to training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Chooses one of the possible divisions.
    pub seed: u64,
    /// Share of the rows that is held out to stop training in time, 0 … 1.
    pub validation_fraction: f64,
    /// Share of the rows that is held out to report on, 0 … 1.
    pub test_fraction: f64,
}

impl Default for Split {
    fn default() -> Self {
        Self { seed: 0, validation_fraction: 0.0, test_fraction: 0.0 }
    }
}

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Gradients and statistics.
    Training,
    /// Early stopping.
    Validation,
    /// The figures that are reported.
    Test,
}

impl Split {
    /// Checks the fractions.
    ///
    /// # Errors
    /// [`FormatError::Option`] when one is not in 0 … 1 or nothing is left to train on.
    pub fn check(&self) -> Result<()> {
        let held_out = self.validation_fraction + self.test_fraction;
        let fraction = |f: f64| (0.0..=1.0).contains(&f);
        if fraction(self.validation_fraction) && fraction(self.test_fraction) && held_out < 1.0 {
            return Ok(());
        }
        Err(FormatError::Option {
            option: "split",
            problem: format!(
                "the fractions for validation ({}) and test ({}) must be at least 0 and together below 1",
                self.validation_fraction, self.test_fraction
            ),
        })
    }

    /// Starts at the first row of a file.
    pub fn splitter(&self) -> Splitter {
        Splitter { split: *self, rows_of: vec![0; STRATA] }
    }
}

/// Classes are told apart modulo this; two that fall together are merely split as one.
const STRATA: usize = 1 << 12;

/// Rows of one class in which every part gets its share.
const BLOCK: u64 = 16;

/// Assigns rows one after the other.
///
/// The k-th row of a class draws u from a stratified sequence: of every 16 rows of the class, one falls into each 16th of the unit
/// interval, in random order. u below the validation fraction is for validation, and so on. So the shares hold within every class
/// (within one row per 16) although neither the number of rows nor the classes are known beforehand.
#[derive(Debug, Clone)]
pub struct Splitter {
    split: Split,
    rows_of: Vec<u64>,
}

impl Splitter {
    /// The part of the next row; `class` is any number that is the same for rows of the same class.
    pub fn next_part(&mut self, class: u64) -> Part {
        if self.split.validation_fraction + self.split.test_fraction == 0.0 {
            return Part::Training;
        }
        let stratum = split_mix(class) % STRATA as u64;
        let Some(rows) = self.rows_of.get_mut(stratum as usize) else {
            return Part::Training; // not reached: the remainder is below the length
        };
        let row = *rows;
        *rows += 1;
        let u = stratified(self.split.seed, stratum, row);
        if u < self.split.validation_fraction {
            Part::Validation
        } else if u < self.split.validation_fraction + self.split.test_fraction {
            Part::Test
        } else {
            Part::Training
        }
    }
}

/// The `row`-th number of a sequence in 0 … 1 with one number per 16th in every 16.
fn stratified(seed: u64, stratum: u64, row: u64) -> f64 {
    let mut random = split_mix(seed ^ split_mix(stratum ^ split_mix(row / BLOCK)));
    let mut order: [u64; BLOCK as usize] = std::array::from_fn(|i| i as u64);
    for last in (1..order.len()).rev() {
        random = split_mix(random);
        order.swap(last, (random % (last as u64 + 1)) as usize);
    }
    let cell = order.get((row % BLOCK) as usize).copied().unwrap_or(0);
    let jitter = (split_mix(random ^ row) >> 11) as f64 / (1_u64 << 53) as f64;
    (cell as f64 + jitter) / BLOCK as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(split: Split, classes: impl Iterator<Item = u64>) -> Vec<Part> {
        let mut splitter = split.splitter();
        classes.map(|class| splitter.next_part(class)).collect()
    }

    fn count(parts: &[Part], part: Part) -> usize {
        parts.iter().filter(|&&p| p == part).count()
    }

    const SPLIT: Split = Split { seed: 7, validation_fraction: 0.1, test_fraction: 0.25 };

    #[test]
    fn every_class_is_split_by_the_fractions() {
        // Class 0 has 9 of 10 rows, class 1 one of 10.
        let classes: Vec<u64> = (0..4000).map(|row| u64::from(row % 10 == 3)).collect();
        let parts = parts(SPLIT, classes.iter().copied());
        for (class, rows) in [(0, 3600.0), (1, 400.0)] {
            let of_class: Vec<Part> =
                parts.iter().zip(&classes).filter(|(_, c)| **c == class).map(|(p, _)| *p).collect();
            let validation = count(&of_class, Part::Validation) as f64;
            let test = count(&of_class, Part::Test) as f64;
            assert!((validation - 0.1 * rows).abs() < 0.03 * rows, "{validation} of {rows}");
            assert!((test - 0.25 * rows).abs() < 0.03 * rows, "{test} of {rows}");
        }
    }

    #[test]
    fn sixteen_rows_of_a_class_always_hold_their_share() {
        for seed in 0..200 {
            let split = Split { seed, validation_fraction: 0.125, test_fraction: 0.25 };
            let parts = parts(split, std::iter::repeat_n(5, 64));
            for block in parts.chunks(16) {
                assert_eq!((count(block, Part::Validation), count(block, Part::Test)), (2, 4));
            }
        }
    }

    #[test]
    fn the_same_seed_splits_alike_and_another_does_not() {
        let rows = || std::iter::repeat_n(0, 1000);
        assert_eq!(parts(SPLIT, rows()), parts(SPLIT, rows()));
        let other = Split { seed: 8, ..SPLIT };
        assert_ne!(parts(SPLIT, rows()), parts(other, rows()));
    }

    #[test]
    fn the_division_is_written_in_stone() {
        // Models remember only the seed: a change here would test them on rows they were trained on.
        let parts = parts(SPLIT, (0..24).map(|row| row % 3));
        let letter = |part: &Part| match part {
            Part::Training => 'T',
            Part::Validation => 'V',
            Part::Test => 'E',
        };
        // From a Python transcription of the doc comments above.
        assert_eq!(parts.iter().map(letter).collect::<String>(), "TETETTTTETVTTTTVEETTETTT");
    }

    #[test]
    fn fractions_must_leave_something() {
        assert!(SPLIT.check().is_ok());
        for (validation_fraction, test_fraction) in [(0.5, 0.5), (-0.1, 0.2), (f64::NAN, 0.1), (1.1, -0.5)] {
            let split = Split { seed: 0, validation_fraction, test_fraction };
            assert!(split.check().is_err(), "{split:?}");
        }
    }
}
