//! What kind of values a column has, judged by a sample of them.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use super::cell::{self, MissingTokens};
use crate::data::chunk::Fnv;
use crate::data::number::number;
use crate::data::schema::ColumnKind;

/// A column with up to this many different values is never taken for free text or for numbers with a typing error among them.
const FEW_VALUES: usize = 32;

/// The first field that is not a number, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) struct Oddity {
    pub(in crate::data) row: u64,
    pub(in crate::data) value: String,
}

/// Counts over the sampled values of one column.
#[derive(Debug, Default)]
pub(in crate::data) struct Profile {
    values: u64,
    numbers: u64,
    decimal_commas: u64,
    odd: Option<Oddity>,
    different: HashSet<Box<[u8]>, BuildHasherDefault<Fnv>>,
    more_different_than_counted: bool,
    /// The number that would continue a run of consecutive ones.
    next_in_run: Option<f64>,
    run_broken: bool,
}

/// The verdict on a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) enum Verdict {
    Kind(ColumnKind),
    /// Numbers, but for this one.
    BadNumber(Oddity),
}

impl Profile {
    /// Counts a value of `row`, which is the line in a text file; `max_different` is the limit on categories.
    pub(in crate::data) fn add(&mut self, row: u64, value: &[u8], max_different: usize) {
        self.values += 1;
        match number(value) {
            Some(number) => {
                self.numbers += 1;
                self.run_broken |= self.next_in_run.is_some_and(|next| next != number);
                self.next_in_run = Some(number + 1.0);
            }
            None => {
                self.decimal_commas += u64::from(cell::has_decimal_comma(value));
                self.odd.get_or_insert_with(|| Oddity { row, value: crate::data::chunk::decode(value) });
            }
        }
        self.count_different(value, max_different);
    }

    fn count_different(&mut self, value: &[u8], max_different: usize) {
        if self.more_different_than_counted || self.different.contains(value) {
            return;
        }
        if self.different.len() >= max_different {
            self.more_different_than_counted = true;
            self.different = HashSet::default();
            return;
        }
        self.different.insert(value.into());
    }

    /// Whether there was any value, and all were numbers.
    pub(in crate::data) fn is_numeric(&self) -> bool {
        self.values > 0 && self.numbers == self.values
    }

    /// Whether the values count up by one, two of them at least: a row number.
    pub(in crate::data) fn is_row_number(&self) -> bool {
        self.is_numeric() && self.values > 1 && !self.run_broken
    }

    /// The kind of the column, by the rules in `docs/formats/data.md`.
    pub(in crate::data) fn verdict(&self) -> Verdict {
        let many = self.has_many_different();
        let odd = self.values - self.numbers;
        let Some(oddity) = &self.odd else {
            return Verdict::Kind(ColumnKind::Numeric);
        };
        if many && odd * 10 <= self.values || self.decimal_commas == odd {
            return Verdict::BadNumber(oddity.clone());
        }
        Verdict::Kind(self.text_verdict())
    }

    fn has_many_different(&self) -> bool {
        self.more_different_than_counted || self.different.len() > FEW_VALUES
    }

    /// The kind of a column that is not numeric whatever it looks like.
    pub(in crate::data) fn text_verdict(&self) -> ColumnKind {
        let mostly_different = self.different.len() as u64 * 2 > self.values;
        if self.more_different_than_counted || self.has_many_different() && mostly_different {
            return ColumnKind::Text;
        }
        ColumnKind::Categorical
    }
}

/// Whether the field of a first record can be a column name: neither a number nor missing.
pub(super) fn can_be_name(field: &[u8], missing: &MissingTokens) -> bool {
    number(field).is_none() && !missing.contain(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict<'a>(values: impl IntoIterator<Item = &'a str>) -> Verdict {
        let mut profile = Profile::default();
        for (row, value) in values.into_iter().enumerate() {
            profile.add(row as u64 + 2, value.as_bytes(), 100);
        }
        profile.verdict()
    }

    fn numbered(count: usize, of: impl Fn(usize) -> String) -> Vec<String> {
        (0..count).map(of).collect()
    }

    fn verdict_of(values: &[String]) -> Verdict {
        verdict(values.iter().map(String::as_str))
    }

    #[test]
    fn kinds_by_the_written_rules() {
        assert_eq!(verdict(["1", "2.5"]), Verdict::Kind(ColumnKind::Numeric));
        assert_eq!(verdict([]), Verdict::Kind(ColumnKind::Numeric));
        assert_eq!(verdict(["a", "b", "a"]), Verdict::Kind(ColumnKind::Categorical));
        assert_eq!(verdict(["0", "1", "2", "3+", "1"]), Verdict::Kind(ColumnKind::Categorical));
        let dates = numbered(40, |i| format!("2020-01-{i}"));
        assert_eq!(verdict_of(&dates), Verdict::Kind(ColumnKind::Text));
        let few = numbered(32, |i| format!("n{i}"));
        assert_eq!(verdict_of(&few), Verdict::Kind(ColumnKind::Categorical));
        let often = numbered(1000, |i| format!("n{}", i % 60));
        assert_eq!(verdict_of(&often), Verdict::Kind(ColumnKind::Categorical));
        let too_many = numbered(1000, |i| format!("n{}", i % 101));
        assert_eq!(verdict_of(&too_many), Verdict::Kind(ColumnKind::Text));
    }

    #[test]
    fn one_bad_number_among_many_is_not_a_category() {
        let ages = numbered(100, |i| if i == 57 { "abc".into() } else { format!("{i}.5") });
        let odd = Oddity { row: 59, value: "abc".into() };
        assert_eq!(verdict_of(&ages), Verdict::BadNumber(odd));
        let half = numbered(100, |i| if i % 2 == 0 { "abc".into() } else { format!("{}", i % 80) });
        assert_eq!(verdict_of(&half), Verdict::Kind(ColumnKind::Categorical));
    }

    #[test]
    fn decimal_commas_are_bad_numbers() {
        let odd = Oddity { row: 3, value: "1,5".into() };
        assert_eq!(verdict(["1", "1,5", "2,5"]), Verdict::BadNumber(odd));
    }

    #[test]
    fn row_numbers_count_up() {
        let mut profile = Profile::default();
        for value in ["1", "2", "3"] {
            profile.add(1, value.as_bytes(), 100);
        }
        assert!(profile.is_row_number());
        profile.add(1, b"5", 100);
        assert!(!profile.is_row_number());
    }
}
