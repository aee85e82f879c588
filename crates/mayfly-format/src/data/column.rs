//! What a column is, judged by a sample of its values: the one place for the rules under *What a column is* in `docs/formats/data.md`.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use super::chunk::{Fnv, decode};
use super::encode::Reason;
use super::schema::ColumnKind;
use super::value::{Decimal, Markers, Style, dressing, is_code, is_date, is_infinity, number_in};

/// Numbers with more different values than this, and a few words among them, have typing errors or unknown markers; with fewer they may be
/// the grades 1, 2, 3 and "4+".
const FEW_NUMBERS: usize = 12;

/// From here on a column of words in which most are different is free text.
const MANY_WORDS: usize = 10;

/// From here on a column of words that are all different is names.
const MANY_NAMES: u64 = 5;

/// A run this long that counts up by one is worth a word.
const LONG_RUN: u64 = 5;

/// Different odd values that are told apart.
const ODD_WORDS: usize = 3;

/// How fields are read, and how many different ones of a column are told apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) style: Style,
    pub(super) markers: &'a Markers,
    pub(super) max_different: usize,
}

/// A value that does not fit its column, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Oddity {
    pub(super) row: u64,
    pub(super) value: String,
}

/// Counts over the sampled values of one column.
#[derive(Debug, Default)]
pub(super) struct Profile {
    values: u64,
    numbers: u64,
    /// Markers of missing values that may be categories.
    doubtful: u64,
    odd: Option<Oddity>,
    infinity: Option<Oddity>,
    odd_words: Vec<Box<[u8]>>,
    infinities: u64,
    dressed: u64,
    dress: Option<&'static str>,
    other_style: u64,
    dates: u64,
    /// A value of digits with a zero before them, and anything but digits.
    code: bool,
    not_digits: bool,
    not_whole: bool,
    different: HashSet<Box<[u8]>, BuildHasherDefault<Fnv>>,
    overflowed: bool,
    repeated: bool,
    different_numbers: Vec<f64>,
    range: Option<(f64, f64)>,
    /// The number that would continue a run of consecutive ones.
    next_in_run: Option<f64>,
    run_broken: bool,
}

/// What a column is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// An input or a target.
    Kind(ColumnKind),
    /// Neither, for this reason.
    LeftOut(Reason),
    /// Numbers, but for this value.
    Bad {
        odd: Oddity,
        /// What was expected instead, and what can be done.
        expected: String,
    },
}

impl Profile {
    /// Counts a trimmed value of `row`, which is the line in a text file.
    pub(super) fn add(&mut self, row: u64, value: &[u8], rules: Rules<'_>) {
        if rules.markers.contain(value) {
            return;
        }
        match number_in(value, rules.style) {
            Some(number) => {
                if rules.markers.masked(number).is_nan() {
                    return;
                }
                self.number(number);
                self.code |= is_code(value);
                self.not_digits |= !value.iter().all(u8::is_ascii_digit);
            }
            None if rules.markers.is_doubtful(value) => self.doubtful += 1,
            None => self.word(row, value, rules.style),
        }
        self.values += 1;
        self.count_different(value, rules.max_different);
    }

    /// Counts a value that is stored as a number.
    #[cfg(feature = "parquet")]
    pub(super) fn add_number(&mut self, number: f64, rules: Rules<'_>) {
        if rules.markers.masked(number).is_nan() || !number.is_finite() {
            return;
        }
        self.number(number);
        self.values += 1;
        self.count_different(&number.to_le_bytes(), rules.max_different);
    }

    fn number(&mut self, number: f64) {
        self.numbers += 1;
        self.not_whole |= number.fract() != 0.0;
        self.run_broken |= self.next_in_run.is_some_and(|next| next != number);
        self.next_in_run = Some(number + 1.0);
        self.range = Some(self.range.map_or((number, number), |(low, high)| (low.min(number), high.max(number))));
        if self.different_numbers.len() <= FEW_NUMBERS && !self.different_numbers.contains(&number) {
            self.different_numbers.push(number);
        }
    }

    #[cold]
    fn word(&mut self, row: u64, value: &[u8], style: Style) {
        let oddity = || Oddity { row, value: decode(value) };
        self.odd.get_or_insert_with(oddity);
        if is_infinity(value) {
            self.infinities += 1;
            self.infinity.get_or_insert_with(oddity);
        }
        if let Some(dress) = dressing(value) {
            self.dressed += 1;
            self.dress = Some(dress);
        }
        let readable = |decimal| number_in(value, Style { decimal, undecided: false }).is_some();
        self.other_style += u64::from(match style {
            Style { undecided: true, .. } => readable(Decimal::Comma),
            Style { decimal: Decimal::Point, .. } => readable(Decimal::Comma),
            Style { decimal: Decimal::Comma, .. } => readable(Decimal::Point),
        });
        self.dates += u64::from(is_date(value));
        let new = || !self.odd_words.iter().any(|word| word.eq_ignore_ascii_case(value));
        if self.odd_words.len() < ODD_WORDS && new() {
            self.odd_words.push(value.into());
        }
    }

    fn count_different(&mut self, value: &[u8], max_different: usize) {
        if self.overflowed {
            return;
        }
        if self.different.contains(value) {
            self.repeated = true;
        } else if self.different.len() >= max_different {
            self.overflowed = true;
            self.different = HashSet::default();
        } else {
            self.different.insert(value.into());
        }
    }

    /// Whether there was any value, and all were numbers.
    pub(super) fn is_numeric(&self) -> bool {
        self.numbers > 0 && self.numbers + self.doubtful == self.values
    }

    /// Whether there was no value at all.
    pub(super) fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// Whether this number lies among those of the column; with a fraction in the column a whole one does not count as one of them.
    pub(super) fn could_hold(&self, number: f64) -> bool {
        let among = self.range.is_some_and(|(low, high)| (low..=high).contains(&number));
        among && !(self.not_whole && number.fract() == 0.0)
    }

    /// Whether a value of digits with a zero before them was there, and digits alone: `01`, `02`, `10`.
    fn is_code(&self) -> bool {
        self.is_numeric() && self.doubtful == 0 && self.code && !self.not_digits
    }

    /// Whether the values count up by one, two of them at least.
    fn counts_up(&self) -> bool {
        self.is_numeric() && self.numbers > 1 && !self.run_broken
    }

    /// Something that is decided for the column and may surprise.
    pub(super) fn remark(&self, name: &str) -> Option<String> {
        (self.counts_up() && self.numbers >= LONG_RUN).then(|| {
            format!(
                "column \"{name}\" counts up by one like a row number and is kept; leave it out with --id \"{name}\""
            )
        })
    }

    /// What the column is.
    pub(super) fn verdict(&self, name: &str) -> Verdict {
        if self.is_code() {
            return self.words();
        }
        let words = self.values - self.numbers - self.doubtful;
        if words == 0 && (self.numbers > 0 || self.doubtful == 0) {
            return self.numeric(name);
        }
        if words > 0
            && let Some(bad) = self.bad_number(words)
        {
            return bad;
        }
        self.words()
    }

    fn numeric(&self, name: &str) -> Verdict {
        let several = self.numbers > 1;
        if (is_row_name(name) || is_id_name(name)) && self.counts_up() {
            return Verdict::LeftOut(Reason::RowNumber);
        }
        if is_id_name(name) && several && !self.not_whole && !self.repeated {
            return Verdict::LeftOut(Reason::Identifier);
        }
        Verdict::Kind(ColumnKind::Numeric)
    }

    /// Whether the words of the column should have been numbers.
    fn bad_number(&self, words: u64) -> Option<Verdict> {
        let odd = self.odd.clone()?;
        let bad = |odd: Oddity, expected: &str| Some(Verdict::Bad { odd, expected: expected.to_owned() });
        if self.infinities == words {
            return bad(
                self.infinity.clone()?,
                "a finite number (if this stands for a missing value: --missing TOKEN)",
            );
        }
        if self.dressed == words {
            let dress = self.dress.unwrap_or("a sign");
            let expected = format!(
                "a bare number without {dress} (take the sign away, or leave the column out with --ignore, or take its values for categories with --kinds COLUMN=category)"
            );
            return Some(Verdict::Bad { odd, expected });
        }
        if self.other_style == words {
            return bad(
                odd,
                "a number with a decimal point (is the comma here a decimal comma: --decimal comma; does it part thousands: --decimal point)",
            );
        }
        let many = self.different_numbers.len() > FEW_NUMBERS;
        let few_words = words * 10 <= self.values || self.odd_words.len() < ODD_WORDS && words * 2 <= self.values;
        if many && few_words {
            return bad(
                odd,
                "a number, like the rest of the column (if this stands for a missing value: --missing TOKEN; if these are categories: --kinds COLUMN=category)",
            );
        }
        None
    }

    /// What a column that is not numeric is, whatever it looks like.
    pub(super) fn words(&self) -> Verdict {
        let different = self.different.len();
        let real = self.values - self.doubtful;
        if real > 0 && self.dates == real {
            return Verdict::LeftOut(Reason::Date);
        }
        if self.overflowed {
            return Verdict::LeftOut(Reason::TooManyValues);
        }
        let all = !self.repeated && self.values >= MANY_NAMES;
        if all || different >= MANY_WORDS && different as u64 * 2 > self.values {
            return Verdict::LeftOut(Reason::Text);
        }
        Verdict::Kind(ColumnKind::Categorical)
    }
}

/// Names under which programs write row numbers.
fn is_row_name(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let unnamed = |rest: &str| rest.trim_start_matches([':', ' ', '_']).bytes().all(|byte| byte.is_ascii_digit());
    matches!(
        name.as_str(),
        "" | "#"
            | "index"
            | "idx"
            | "row"
            | "rows"
            | "rownum"
            | "rowname"
            | "rownames"
            | "row_number"
            | "rownumber"
            | "rowid"
            | "row number"
            | "nr"
            | "nr."
            | "no"
            | "no."
            | "s.no"
            | "sno"
            | "lfd. nr."
            | "level_0"
    ) || name.strip_prefix("unnamed").is_some_and(unnamed)
        || name.starts_with("__index_level_")
}

/// Whether a column of this name may hold row numbers or identifiers.
#[cfg(feature = "parquet")]
pub(super) fn says_identity(name: &str) -> bool {
    is_row_name(name) || is_id_name(name)
}

/// Names that say identifier: `id`, `user_id`, `PassengerId`, `id_number`.
fn is_id_name(name: &str) -> bool {
    let name = name.trim();
    let lower = name.to_ascii_lowercase();
    let parted = |c: char| !c.is_alphanumeric();
    let camel = name.strip_suffix("Id").or_else(|| name.strip_suffix("ID"));
    lower.split(parted).any(|word| matches!(word, "id" | "uid" | "uuid" | "guid" | "identifier"))
        || camel.is_some_and(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile<'a>(values: impl IntoIterator<Item = &'a str>) -> Profile {
        let markers = Markers::new(None);
        let mut profile = Profile::default();
        for (row, value) in values.into_iter().enumerate() {
            profile.add(
                row as u64 + 2,
                value.as_bytes(),
                Rules { style: Style::default(), markers: &markers, max_different: 100 },
            );
        }
        profile
    }

    fn verdict<'a>(values: impl IntoIterator<Item = &'a str>) -> Verdict {
        profile(values).verdict("column")
    }

    fn numbered(count: usize, of: impl Fn(usize) -> String) -> Vec<String> {
        (0..count).map(of).collect()
    }

    fn verdict_of(values: &[String]) -> Verdict {
        verdict(values.iter().map(String::as_str))
    }

    fn bad_value(verdict: Verdict) -> Option<(u64, String, String)> {
        match verdict {
            Verdict::Bad { odd, expected } => Some((odd.row, odd.value, expected)),
            _ => None,
        }
    }

    const NUMERIC: Verdict = Verdict::Kind(ColumnKind::Numeric);
    const CATEGORICAL: Verdict = Verdict::Kind(ColumnKind::Categorical);

    #[test]
    fn kinds_by_the_written_rules() {
        assert_eq!(verdict(["1", "2.5"]), NUMERIC);
        assert_eq!(verdict([]), NUMERIC);
        assert_eq!(verdict(["1", "N/A", "2.5", "-", "None", "7"]), NUMERIC);
        assert_eq!(verdict(["a", "b", "a"]), CATEGORICAL);
        assert_eq!(verdict(["a", "None", "a", "-"]), CATEGORICAL);
        assert_eq!(verdict(["0", "1", "2", "3+", "1"]), CATEGORICAL);
        assert_eq!(verdict(["01", "02", "10", "01"]), CATEGORICAL);
        assert_eq!(verdict(["0.5", "00", "1"]), NUMERIC);
        assert_eq!(verdict_of(&numbered(40, |i| format!("2020-01-{:02}", i % 20 + 1))), Verdict::LeftOut(Reason::Date));
        assert_eq!(verdict_of(&numbered(28, |i| format!("n{i}"))), Verdict::LeftOut(Reason::Text));
        assert_eq!(verdict_of(&numbered(28, |i| format!("n{}", i.max(1)))), Verdict::LeftOut(Reason::Text));
        assert_eq!(verdict_of(&numbered(1000, |i| format!("n{}", i % 60))), CATEGORICAL);
        assert_eq!(verdict_of(&numbered(1000, |i| format!("n{}", i % 101))), Verdict::LeftOut(Reason::TooManyValues));
    }

    #[test]
    fn words_among_numbers_are_named_with_their_line() {
        let ages = numbered(100, |i| if i == 57 { "abc".into() } else { format!("{i}.5") });
        assert!(matches!(bad_value(verdict_of(&ages)), Some((59, value, _)) if value == "abc"));
        let marker = numbered(30, |i| if i % 5 == 0 { "unknown".into() } else { format!("{i}.5") });
        assert!(matches!(bad_value(verdict_of(&marker)), Some((2, _, why)) if why.contains("--missing")));
        // Ticket numbers: a quarter of them with letters, all different.
        let tickets = numbered(100, |i| if i % 4 == 0 { format!("A/5 {i}") } else { format!("{}", 113_000 + i) });
        assert_eq!(verdict_of(&tickets), Verdict::LeftOut(Reason::Text));
    }

    #[test]
    fn infinities_signs_and_commas_are_not_categories() {
        for (values, word) in [
            (["1", "Infinity", "2", "1"], "finite"),
            (["$1.50", "$2", "$3", "$1.50"], "currency"),
            (["1.5%", "2%", "3%", "2%"], "percent"),
            (["1,5", "2,5", "1,5", "2"], "--decimal"),
        ] {
            let bad = bad_value(verdict(values));
            assert!(bad.as_ref().is_some_and(|(_, _, why)| why.contains(word)), "{values:?}: {bad:?}");
        }
    }

    #[test]
    fn row_numbers_and_identifiers_by_name_and_value() {
        let counting = || profile(["1", "2", "3"]);
        for name in ["", "Unnamed: 0", "index", "id", "PassengerId", "__index_level_0__"] {
            assert_eq!(counting().verdict(name), Verdict::LeftOut(Reason::RowNumber), "{name}");
        }
        for name in ["width", "valid", "humid", "Unnamed thing", "paid"] {
            assert_eq!(counting().verdict(name), NUMERIC, "{name}");
        }
        assert_eq!(profile(["7", "3", "9"]).verdict("user_id"), Verdict::LeftOut(Reason::Identifier));
        assert_eq!(profile(["7", "3", "7"]).verdict("user_id"), NUMERIC);
        assert_eq!(profile(["7.5", "3", "9"]).verdict("user_id"), NUMERIC);
        assert_eq!(profile(["1", "2", "4"]).verdict("Unnamed: 0"), NUMERIC);
        assert!(profile(["1", "2", "3", "4", "5"]).remark("day").is_some());
        assert!(profile(["1", "2", "3", "4", "6"]).remark("day").is_none());
    }
}
