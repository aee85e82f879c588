//! What one field of a text table says: a number in one of several spellings, missing, a date, or something else.
//!
//! The rules are in `docs/formats/data.md`, under *What a column is*.

use serde::{Deserialize, Serialize};

use super::number::number;

/// What stands before the decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decimal {
    /// 1,234.5
    #[default]
    Point,
    /// 1.234,5
    Comma,
}

impl Decimal {
    fn mark(self) -> u8 {
        match self {
            Self::Point => b'.',
            Self::Comma => b',',
        }
    }

    fn other_mark(self) -> u8 {
        match self {
            Self::Point => b',',
            Self::Comma => b'.',
        }
    }
}

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Style {
    pub(super) decimal: Decimal,
    /// `1,234` (or, with a decimal comma, `1.234`) may be one thousand two hundred and thirty-four, or not: it is no number then.
    pub(super) undecided: bool,
}

/// Cuts white space off both ends: ASCII's, and in UTF-8 or Latin-1 the no-break space and its relatives, which nobody sees.
pub(super) fn trim(field: &[u8]) -> &[u8] {
    let mut field = field.trim_ascii();
    if field.first().is_none_or(u8::is_ascii_graphic) && field.last().is_none_or(u8::is_ascii_graphic) {
        return field; // nearly always
    }
    loop {
        let before = field.len();
        field = field.trim_ascii();
        for space in SPACES {
            field = field.strip_prefix(space).unwrap_or(field);
            field = field.strip_suffix(space).unwrap_or(field);
        }
        if std::str::from_utf8(field).is_err() {
            field = field.strip_prefix(LATIN1_NBSP).unwrap_or(field);
            field = field.strip_suffix(LATIN1_NBSP).unwrap_or(field);
        }
        if field.len() == before {
            return field;
        }
    }
}

const LATIN1_NBSP: &[u8] = b"\xa0";

/// Unicode's white space beyond ASCII, and what is as invisible: no-break, figure, narrow no-break, thin and ideographic spaces, the
/// zero-width space and the byte order mark.
const SPACES: [&[u8]; 17] = [
    "\u{a0}".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{1680}".as_bytes(),
    "\u{2000}".as_bytes(),
    "\u{2001}".as_bytes(),
    "\u{2002}".as_bytes(),
    "\u{2003}".as_bytes(),
    "\u{2004}".as_bytes(),
    "\u{2005}".as_bytes(),
    "\u{2007}".as_bytes(),
    "\u{2008}".as_bytes(),
    "\u{2009}".as_bytes(),
    "\u{200a}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{202f}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{feff}".as_bytes(),
];

/// The number that a trimmed field says, in the style of its file.
pub(super) fn number_in(field: &[u8], style: Style) -> Option<f64> {
    let is_plain = style.decimal == Decimal::Point || !field.contains(&b'.');
    match number(field) {
        Some(value) if is_plain => Some(value),
        _ if field.first().is_none_or(u8::is_ascii_alphabetic) => None,
        _ => spelt(field, style),
    }
}

/// A number with a decimal comma, digits in groups of three, or a typographic minus.
fn spelt(field: &[u8], style: Style) -> Option<f64> {
    let (minus, digits) = match field.strip_prefix(MINUS).or_else(|| field.strip_prefix(b"-")) {
        Some(rest) => ("-", rest),
        None => ("", field),
    };
    let text = std::str::from_utf8(digits).ok()?;
    let at = text.bytes().position(|byte| byte == style.decimal.mark()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(at);
    let whole = ungrouped(whole, style)?;
    let plain = match rest.get(1..) {
        Some(fraction) => format!("{minus}{whole}.{fraction}"),
        None => format!("{minus}{whole}"),
    };
    let starts_well = plain.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    number(plain.as_bytes()).filter(|_| starts_well)
}

const MINUS: &[u8] = "\u{2212}".as_bytes();

/// The digits before the decimal mark, without what parts them into groups of three: the other mark, an apostrophe, or a space.
fn ungrouped(whole: &str, style: Style) -> Option<String> {
    let mark = whole.chars().find(|c| !c.is_ascii_digit());
    let Some(mark) = mark.filter(|&mark| is_group_mark(mark, style)) else {
        return Some(whole.to_owned());
    };
    let mut groups = whole.split(mark);
    let first = groups.next()?;
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let good = (1..=3).contains(&first.len()) && digits(first) && groups.clone().all(|g| g.len() == 3 && digits(g));
    let unclear = style.undecided && mark == char::from(style.decimal.other_mark()) && groups.clone().count() == 1;
    (good && !unclear).then(|| std::iter::once(first).chain(groups).collect())
}

fn is_group_mark(mark: char, style: Style) -> bool {
    mark == char::from(style.decimal.other_mark())
        || matches!(mark, '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// What one field says about the decimal mark of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    Sure(Decimal),
    /// A single comma before three digits.
    CommaOfThree,
}

/// `None` for what is no number in either style, and for numbers without a mark or with a single point before three digits.
pub(super) fn evidence(field: &[u8]) -> Option<Evidence> {
    let digits = field.strip_prefix(b"-").or_else(|| field.strip_prefix(b"+")).unwrap_or(field);
    if !digits.first().is_some_and(|byte| byte.is_ascii_digit() || b".,".contains(byte)) {
        return None;
    }
    let count = |mark: u8| digits.iter().filter(|&&byte| byte == mark).count();
    let reads = |decimal: Decimal| spelt(digits, Style { decimal, undecided: false }).is_some();
    match (count(b','), count(b'.')) {
        (0, 0) => None,
        (0, 1) | (1, 0) => {
            let comma = digits.contains(&b',');
            let at = digits.iter().position(|byte| b".,".contains(byte))?;
            let after = digits.get(at + 1..)?;
            let could_be_group = after.len() == 3 && (1..=3).contains(&at) && digits.first() != Some(&b'0');
            match (comma, could_be_group) {
                (true, true) => reads(Decimal::Comma).then_some(Evidence::CommaOfThree),
                (false, true) => None,
                (true, false) => reads(Decimal::Comma).then_some(Evidence::Sure(Decimal::Comma)),
                (false, false) => reads(Decimal::Point).then_some(Evidence::Sure(Decimal::Point)),
            }
        }
        _ if reads(Decimal::Comma) => Some(Evidence::Sure(Decimal::Comma)),
        _ if reads(Decimal::Point) => Some(Evidence::Sure(Decimal::Point)),
        _ => None,
    }
}

/// What keeps a field from being a number that is one otherwise: a percent or currency sign.
pub(super) fn dressing(field: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(field).ok()?;
    let is_currency = |c: char| matches!(c, '$' | '€' | '£' | '¥' | '₹' | '₽' | '₩' | '₺' | '₪' | '฿' | '¢');
    let sign = text.chars().find(|&c| c == '%' || is_currency(c))?;
    let bare: String = text.chars().filter(|&c| c != sign && c != '(' && c != ')').collect();
    let bare = bare.trim();
    let is_number = [Decimal::Point, Decimal::Comma]
        .into_iter()
        .any(|decimal| number_in(bare.as_bytes(), Style { decimal, undecided: false }).is_some());
    is_number.then_some(if sign == '%' { "a percent sign" } else { "a currency sign" })
}

/// Whether a field says infinity.
pub(super) fn is_infinity(field: &[u8]) -> bool {
    let text = field.strip_prefix(b"-").or_else(|| field.strip_prefix(b"+")).unwrap_or(field);
    let words: [&[u8]; 5] = [b"inf", b"infinity", b"1.#inf", b"1.#inf00", "∞".as_bytes()];
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Whether a field is a code rather than a quantity: digits that begin with a zero, as in `01` and `007`.
pub(super) fn is_code(field: &[u8]) -> bool {
    matches!(field, [b'0', _, ..]) && field.iter().all(u8::is_ascii_digit)
}

/// Whether a field is a date, a time, or both: `2024-02-29`, `29.2.2024`, `2/29/24`, `12:30`, `2024-02-29T12:30:00Z`.
pub(super) fn is_date(field: &[u8]) -> bool {
    let Some(text) = std::str::from_utf8(field).ok().filter(|t| t.starts_with(|c: char| c.is_ascii_digit())) else {
        return false;
    };
    match text.find(['T', ' ']) {
        Some(at) => is_day(&text[..at]) && is_time(text[at + 1..].trim_start()),
        None => is_day(text) || is_time(text),
    }
}

fn is_day(text: &str) -> bool {
    let Some(mark) = text.chars().find(|c| !c.is_ascii_digit()).filter(|c| "-/.".contains(*c)) else { return false };
    let parts: Vec<&str> = text.split(mark).collect();
    if parts.iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let within = |part: Option<&&str>, most: u32| {
        part.and_then(|p| p.parse::<u32>().ok()).is_some_and(|value| (1..=most).contains(&value))
    };
    match lengths[..] {
        [4, 1..=2, 1..=2] => within(parts.get(1), 12) && within(parts.get(2), 31),
        [1..=2, 1..=2, 2 | 4] => within(parts.first(), 31) && within(parts.get(1), 31),
        _ => false,
    }
}

fn is_time(text: &str) -> bool {
    let end = text.find(['Z', '+', '-', ' ']).unwrap_or(text.len());
    let parts: Vec<&str> = text[..end].split(':').collect();
    let whole = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts[..] {
        [hours, minutes] => whole(hours) && whole(minutes),
        [hours, minutes, seconds] => {
            whole(hours) && whole(minutes) && whole(seconds.split(['.', ',']).next().unwrap_or_default())
        }
        _ => false,
    }
}

/// What stands for a missing value.
#[derive(Debug, Clone)]
pub(super) struct Markers {
    anywhere: Vec<Vec<u8>>,
    /// Those that may as well be categories: missing where the rest of the column is numbers.
    beside_numbers: Vec<Vec<u8>>,
    /// Numbers that stand for nothing, such as -999.
    numbers: Vec<f64>,
}

const ANYWHERE: [&str; 17] = [
    "", "NA", "N/A", "#N/A", "#N/A N/A", "#NA", "<NA>", "n.a.", "NaN", "-NaN", "1.#IND", "-1.#IND", "1.#QNAN",
    "-1.#QNAN", "null", "?", "\\N",
];
const BESIDE_NUMBERS: [&str; 10] = ["None", "nil", "-", "--", "---", ".", "..", "…", "–", "—"];

impl Markers {
    /// The usual ones, or those of the caller; an empty field is always one.
    pub(super) fn new(given: Option<&[String]>) -> Self {
        let bytes = |token: &str| trim(token.as_bytes()).to_vec();
        match given {
            None => Self {
                anywhere: ANYWHERE.map(bytes).to_vec(),
                beside_numbers: BESIDE_NUMBERS.map(bytes).to_vec(),
                numbers: Vec::new(),
            },
            Some(given) => Self {
                anywhere: std::iter::once("").chain(given.iter().map(String::as_str)).map(bytes).collect(),
                beside_numbers: Vec::new(),
                numbers: given.iter().filter_map(|token| number(trim(token.as_bytes()))).collect(),
            },
        }
    }

    /// Whether a trimmed field is one of them, in any case.
    pub(super) fn contain(&self, field: &[u8]) -> bool {
        self.anywhere.iter().any(|token| token.eq_ignore_ascii_case(field))
    }

    /// Whether a trimmed field of a column of numbers is one of them.
    pub(super) fn contain_beside_numbers(&self, field: &[u8]) -> bool {
        self.contain(field) || self.is_doubtful(field)
    }

    /// Whether a trimmed field is missing only where the rest of its column is numbers.
    pub(super) fn is_doubtful(&self, field: &[u8]) -> bool {
        self.beside_numbers.iter().any(|token| token.eq_ignore_ascii_case(field))
    }

    /// The number, or NaN when it stands for a missing one.
    pub(super) fn masked(&self, value: f64) -> f64 {
        if self.numbers.contains(&value) { f64::NAN } else { value }
    }

    /// Makes NaN of the numbers that stand for a missing one.
    pub(super) fn mask(&self, values: &mut [f64]) {
        if !self.numbers.is_empty() {
            values.iter_mut().for_each(|value| *value = self.masked(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POINT: Style = Style { decimal: Decimal::Point, undecided: false };
    const COMMA: Style = Style { decimal: Decimal::Comma, undecided: false };

    #[test]
    fn numbers_in_both_styles() {
        for (text, point, comma) in [
            ("1234.5", Some(1234.5), None),
            ("1234,5", None, Some(1234.5)),
            ("1,234.5", Some(1234.5), None),
            ("1.234,5", None, Some(1234.5)),
            ("1,234,567", Some(1_234_567.0), None),
            ("1.234.567", None, Some(1_234_567.0)),
            ("1,234", Some(1234.0), Some(1.234)),
            ("1.234", Some(1.234), Some(1234.0)),
            ("-0,25", None, Some(-0.25)),
            (",5", None, Some(0.5)),
            ("1,5e3", None, Some(1500.0)),
            ("1 234 567,5", None, Some(1_234_567.5)),
            ("1\u{a0}234.5", Some(1234.5), None),
            ("1'234.5", Some(1234.5), None),
            ("\u{2212}7", Some(-7.0), Some(-7.0)),
            ("12", Some(12.0), Some(12.0)),
            ("12,34,567", None, None),
            ("1,2345", None, Some(1.2345)),
            ("0,1,2", None, None),
            ("12 34", None, None),
            ("1.2.3", None, None),
            ("abc", None, None),
            ("", None, None),
            (",", None, None),
            ("-", None, None),
        ] {
            assert_eq!(number_in(text.as_bytes(), POINT), point, "{text}");
            assert_eq!(number_in(text.as_bytes(), COMMA), comma, "{text}");
        }
        let undecided = Style { undecided: true, ..POINT };
        assert_eq!(number_in(b"1,234", undecided), None);
        assert_eq!(number_in(b"1,234,567", undecided), Some(1_234_567.0));
    }

    proptest! {
        /// Whatever a number is, its spelling in a style is read back as it, and is never taken for another number of the same style.
        #[test]
        fn a_grouped_number_comes_back(whole in 0_u32..2_000_000_000, cents in 0_u32..100, minus: bool) {
            let digits = whole.to_string();
            let mut grouped = String::new();
            for (i, digit) in digits.chars().enumerate() {
                if i > 0 && (digits.len() - i).is_multiple_of(3) {
                    grouped.push('G');
                }
                grouped.push(digit);
            }
            let sign = if minus { "-" } else { "" };
            let want: f64 = format!("{sign}{whole}.{cents:02}").parse().unwrap();
            for (style, group, mark) in [(POINT, ",", "."), (COMMA, ".", ","), (COMMA, " ", ","), (POINT, "'", ".")] {
                let text = format!("{sign}{}{mark}{cents:02}", grouped.replace('G', group));
                prop_assert_eq!(number_in(text.as_bytes(), style), Some(want), "{}", text);
                prop_assert_eq!(evidence(text.as_bytes()).is_some_and(|e| e == Evidence::Sure(style.decimal)), true, "{}", text);
            }
        }
    }

    #[test]
    fn evidence_of_the_decimal_mark() {
        for (text, want) in [
            ("1,5", Some(Evidence::Sure(Decimal::Comma))),
            ("1.5", Some(Evidence::Sure(Decimal::Point))),
            ("0,125", Some(Evidence::Sure(Decimal::Comma))),
            ("1234,567", Some(Evidence::Sure(Decimal::Comma))),
            ("1,234", Some(Evidence::CommaOfThree)),
            ("1.234", None),
            ("1,234,567", Some(Evidence::Sure(Decimal::Point))),
            ("1.234.567", Some(Evidence::Sure(Decimal::Comma))),
            ("12.03.2024", None),
            ("12", None),
            ("a,b", None),
            ("", None),
        ] {
            assert_eq!(evidence(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn white_space_that_nobody_sees_is_cut_off() {
        for text in ["\u{a0}yes", "yes\u{a0}\u{a0}", " \u{202f} yes\t", "\u{feff}yes", "yes\u{200b}", "\u{3000}yes "] {
            assert_eq!(trim(text.as_bytes()), b"yes", "{text:?}");
        }
        assert_eq!(trim(b"yes\xa0"), b"yes");
        assert_eq!(trim("à".as_bytes()), "à".as_bytes());
        assert_eq!(trim("\u{a0} \u{a0}".as_bytes()), b"");
    }

    #[test]
    fn dates_codes_and_dressed_numbers() {
        for text in [
            "2024-02-29",
            "29.2.2024",
            "2/29/24",
            "12:30",
            "2024-02-29T12:30:00Z",
            "2024/1/1 9:05:07.25",
            "1.1.99 7:00",
        ] {
            assert!(is_date(text.as_bytes()), "{text}");
        }
        for text in ["2024", "1.5", "1-2-3", "2024-13-01", "99.99.2024", "12:345", "a-b-c", "", "1.234.567", "10-20"] {
            assert!(!is_date(text.as_bytes()), "{text}");
        }
        assert!(is_code(b"01") && is_code(b"000") && !is_code(b"0") && !is_code(b"0.5") && !is_code(b"10"));
        assert_eq!(dressing("$1,234.50".as_bytes()), Some("a currency sign"));
        assert_eq!(dressing("12,5 €".as_bytes()), Some("a currency sign"));
        assert_eq!(dressing(b"12.5%"), Some("a percent sign"));
        assert_eq!(dressing(b"100% wool"), None);
        assert!(is_infinity(b"-Infinity") && is_infinity("∞".as_bytes()) && !is_infinity(b"info"));
    }

    #[test]
    fn missing_in_any_case_but_whole() {
        let usual = Markers::new(None);
        for (field, want) in
            [("", true), ("na", true), ("NAN", true), ("n/a", true), ("#N/A", true), ("NAP", false), ("0", false)]
        {
            assert_eq!(usual.contain(field.as_bytes()), want, "{field}");
        }
        assert!(!usual.contain(b"None") && usual.contain_beside_numbers(b"none") && usual.contain_beside_numbers(b"-"));
        let own = Markers::new(Some(&["-999".into(), "unknown".into()]));
        assert!(own.contain(b"UNKNOWN") && own.contain(b"") && !own.contain(b"NA"));
        assert!(own.masked(-999.0).is_nan() && own.masked(-99.0) == -99.0);
    }
}
