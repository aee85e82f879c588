//! Whether the first record of a table names the columns.

use super::survey::Sample;
use crate::data::schema::Names;
use crate::data::source::{Header, OpenOptions};
use crate::data::value::number_in;

/// The names that a target column usually has, in lower case.
pub(in crate::data) const USUAL_TARGETS: [&str; 4] = ["target", "class", "label", "y"];

/// By the rules in `docs/formats/data.md`, under *CSV*.
pub(super) fn has_header(sample: &Sample<'_>, options: &OpenOptions) -> bool {
    match options.header {
        Header::Present => true,
        Header::Absent => false,
        Header::Auto if holds_known_name(sample, options) => true,
        Header::Auto => {
            let first = First::of(sample);
            first.has_name_over_numbers
                || options.known_names != Some(Names::Positional) && first.reads_like_a_header(sample)
        }
    }
}

/// The first record is data, though it looks a little like a header: worth a word.
pub(super) fn could_be_header(sample: &Sample<'_>) -> bool {
    let first = First::of(sample);
    first.numbers_count_up && (first.has_name || first.number_count >= 3)
}

fn holds_known_name(sample: &Sample<'_>, options: &OpenOptions) -> bool {
    sample.names().iter().any(|name| !name.is_empty() && options.kind_of(name).is_some())
}

/// What the fields of the first record are.
struct First {
    number_count: usize,
    numbers_count_up: bool,
    /// Years that count up, three at least, none of which would fit into its own column.
    is_all_years: bool,
    /// The numbers could be headings: years, or counted up; and none would fit into its own column.
    numbers_are_headings: bool,
    has_name_over_numbers: bool,
    /// A field that is neither number nor missing, and what such fields say.
    has_name: bool,
    has_usual_target: bool,
    /// A field without a value after the first: `a,,c`. One in the first place is usual above row numbers.
    has_gap: bool,
}

impl First {
    fn of(sample: &Sample<'_>) -> First {
        let mut numbers: Vec<f64> = Vec::new();
        let mut first = First {
            number_count: 0,
            numbers_count_up: false,
            is_all_years: false,
            numbers_are_headings: false,
            has_name_over_numbers: false,
            has_name: false,
            has_usual_target: false,
            has_gap: false,
        };
        let (mut strangers, mut all_strange) = (true, true);
        for (index, (field, profile)) in sample.first.iter().zip(&sample.profiles).enumerate() {
            if let Some(value) = number_in(field, sample.rules.style) {
                numbers.push(value);
                all_strange &= !profile.could_hold(value);
                strangers &= !profile.could_hold(value) || is_year(value);
            } else if sample.markers.contain_beside_numbers(field) {
                first.has_gap |= index > 0;
            } else {
                first.has_name = true;
                first.has_name_over_numbers |= profile.is_numeric();
                let name = String::from_utf8_lossy(field).to_ascii_lowercase();
                first.has_usual_target |= USUAL_TARGETS.contains(&name.as_str());
            }
        }
        first.number_count = numbers.len();
        first.numbers_count_up = numbers.len() >= 2 && count_up(&numbers);
        first.is_all_years =
            all_strange && numbers.len() >= 3 && numbers.iter().all(|&value| is_year(value)) && count_up(&numbers);
        first.numbers_are_headings = strangers && (numbers.iter().all(|&value| is_year(value)) || count_up(&numbers));
        // A row of data may have a word where a number is missing: then its numbers are no headings.
        first.has_name_over_numbers &= numbers.is_empty() || first.numbers_are_headings;
        first
    }

    /// Without a column of numbers to compare with: names that do not occur again below themselves.
    fn reads_like_a_header(&self, sample: &Sample<'_>) -> bool {
        if self.number_count == 0 {
            return self.has_name && !self.has_gap && !sample.recurs;
        }
        if self.is_all_years && self.number_count == sample.first.len() {
            return true;
        }
        let counted = self.number_count >= 2 || self.has_usual_target;
        self.has_name && self.numbers_are_headings && counted && !sample.recurs
    }
}

fn is_year(value: f64) -> bool {
    value.fract() == 0.0 && (1500.0..2200.0).contains(&value)
}

/// Whole numbers, each by the same step larger than the one before.
fn count_up(numbers: &[f64]) -> bool {
    let steps: Vec<f64> =
        numbers.windows(2).map(|pair| pair.iter().rev().copied().reduce(|b, a| b - a).unwrap_or(0.0)).collect();
    let whole = numbers.iter().all(|value| value.fract() == 0.0 && *value >= 0.0);
    whole && steps.iter().all(|step| *step > 0.0) && steps.windows(2).all(|pair| pair.first() == pair.last())
}
