//! Finding the delimiter and the decimal mark.

use super::records::{RecordLimits, Records, SPACES};
use crate::data::input::Input;
use crate::data::value::{Decimal, Evidence, Style, evidence, number_in, trim};

/// The delimiters that are tried, the likeliest first.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Records that are compared at most.
const RECORDS: usize = 200;

/// The first records of a text.
type Sampled = Vec<Vec<Vec<u8>>>;

/// The delimiter of the text that begins with `head`; `whole` says that this is all of it.
///
/// The one that cuts it into the most columns, the same number in every record; when none does, the one with the most records of one width.
/// White space parts columns when every record has the same number of them and nearly all are numbers.
pub(super) fn delimiter(head: &[u8], whole: bool) -> u8 {
    let spaced = spaced_columns(&sample(head, whole, SPACES));
    let mut best = (0, 0, b',');
    for delimiter in CANDIDATES.into_iter().filter(|&d| plausible(head, d, spaced > 1)) {
        let widths: Vec<usize> = sample(head, whole, delimiter).iter().map(Vec::len).collect();
        let (common, agreeing) = most_common(&widths);
        let score = match (common, agreeing == widths.len()) {
            (0 | 1, _) => continue,
            (_, true) => (usize::MAX, common),
            (_, false) => (agreeing, common),
        };
        if score > (best.0, best.1) {
            best = (score.0, score.1, delimiter);
        }
    }
    if spaced > 1 && (best.0 < usize::MAX || spaced > best.1) {
        return SPACES;
    }
    best.2
}

/// How many columns white space parts, the same number in every record; none unless most are numbers.
fn spaced_columns(records: &Sampled) -> usize {
    let Some(width) = records.last().map(Vec::len) else { return 0 };
    let is_number = |field: &&Vec<u8>| {
        let reads = |decimal| number_in(field, Style { decimal, undecided: false }).is_some();
        reads(Decimal::Point) || reads(Decimal::Comma)
    };
    let rows = records.get(1..).unwrap_or_default(); // the first record may be a title, or lack a name for the row names
    let numbers = rows.iter().flatten().filter(is_number).count();
    let fields = rows.iter().map(Vec::len).sum::<usize>();
    let alike = rows.iter().all(|record| record.len() == width) && !rows.is_empty();
    let cut_through = rows.iter().flatten().any(|field| field.last().is_some_and(|byte| CANDIDATES.contains(byte)));
    if alike && !cut_through && numbers * 2 > fields { width } else { 0 }
}

/// In `1,5;2,5` the comma looks regular, but it only ever stands between digits, next to a delimiter that does not.
fn plausible(head: &[u8], delimiter: u8, spaced: bool) -> bool {
    if delimiter != b',' || !(spaced || head.contains(&b';') || head.contains(&b'\t')) {
        return true;
    }
    let between_digits = |w: &[u8]| matches!(w, [a, b',', b] if a.is_ascii_digit() && b.is_ascii_digit());
    let commas = head.iter().filter(|&&byte| byte == b',').count();
    head.windows(3).filter(|w| between_digits(w)).count() < commas
}

/// The first records of the text, as this delimiter cuts it; one whose end is not in the head is left out.
pub(super) fn sample(head: &[u8], whole: bool, delimiter: u8) -> Sampled {
    let limits = RecordLimits { bytes: head.len().max(1), fields: head.len() + 1 };
    let mut sampled = Sampled::new();
    let opened = Input::from_bytes("", head).open_unpacked();
    let Ok(mut records) = opened.and_then(|bytes| Records::new(bytes, delimiter, limits)) else {
        return sampled;
    };
    while sampled.len() < RECORDS && matches!(records.advance(), Ok(true)) {
        sampled.push((0..records.width()).map(|index| trim(records.field(index)).to_vec()).collect());
    }
    let cut = !whole && records.offset() >= head.len() as u64;
    if cut && sampled.len() > 1 {
        sampled.pop();
    }
    sampled
}

/// The style of the numbers in these records: what most of them say, else what is `known`, else what the delimiter suggests.
pub(super) fn style(records: &Sampled, delimiter: u8, known: Option<Decimal>) -> Style {
    let (mut commas, mut points, mut unclear) = (0, 0, 0);
    for found in records.iter().flatten().filter_map(|field| evidence(field)) {
        match found {
            Evidence::Sure(Decimal::Comma) => commas += 1,
            Evidence::Sure(Decimal::Point) => points += 1,
            Evidence::CommaOfThree => unclear += 1,
        }
    }
    let sure = |decimal| Style { decimal, undecided: false };
    match (commas, points, known) {
        (0, 0, Some(known)) => sure(known),
        (0, 0, None) if unclear > 0 && delimiter == b';' => sure(Decimal::Comma),
        (0, 0, None) => Style { decimal: Decimal::Point, undecided: unclear > 0 && delimiter != b',' },
        _ if commas > points => sure(Decimal::Comma),
        _ => sure(Decimal::Point),
    }
}

/// The most frequent width and how often it occurs; the larger of equally frequent ones.
pub(super) fn most_common(widths: &[usize]) -> (usize, usize) {
    let mut counts = std::collections::BTreeMap::new();
    for &width in widths {
        *counts.entry(width).or_insert(0) += 1;
    }
    counts.into_iter().max_by_key(|&(width, count)| (count, width)).unwrap_or((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_regular_columns_win() {
        let cases: [(&str, u8); 16] = [
            ("a,b,c\n1,2,3\n", b','),
            ("a;b;c\n1,5;2,5;3,5\n", b';'),
            ("1,5;2,5;3,5\n0,5;1,5;2,5\n", b';'),
            ("a\tb\n1, 2\t3\n", b'\t'),
            ("a|b|c\n1|2|3\n", b'|'),
            ("one\n1\n2\n", b','),
            ("id,list\n1,\"5;6;7\"\n2,\"8;9\"\n", b','),
            ("name,text\nx,\"a, b\"\ny,c\n", b','),
            ("a,b\n1,2\n3,4,5\n6,7\n", b','),
            ("", b','),
            ("  1.5  2.5\n 3   4\n", b' '),
            ("a b c\n1 2 x\n3 4 y\n", b' '),
            ("1,5 2,5\n3,5 4,5\n", b' '),
            ("when,x\n2020-01-01 12:00,5\n2020-01-02 12:00,7\n", b','),
            ("two words\nmore words\n", b','),
            ("18.0 8 307.0\t\"a car\"\n15.0 8 350.0\t\"b car\"\n", b' '),
        ];
        for (text, want) in cases {
            assert_eq!(delimiter(text.as_bytes(), true) as char, want as char, "{text:?}");
        }
    }

    #[test]
    fn a_record_that_is_cut_off_does_not_count() {
        assert_eq!(delimiter(b"a;b,c;d\n1;2;3\n4;5", false), b';');
    }

    #[test]
    fn the_decimal_mark_is_told_by_most_or_not_at_all() {
        let of = |text: &str, known| {
            let delimiter = delimiter(text.as_bytes(), true);
            style(&sample(text.as_bytes(), true, delimiter), delimiter, known)
        };
        let sure = |decimal| Style { decimal, undecided: false };
        assert_eq!(of("a;b\n1,5;2\n", None), sure(Decimal::Comma));
        assert_eq!(of("a;b\n1,500;2,125\n", None), sure(Decimal::Comma));
        assert_eq!(of("a\tb\n1,500\t2,125\n", None), Style { decimal: Decimal::Point, undecided: true });
        assert_eq!(of("a\tb\n1,500\t2,125\n", Some(Decimal::Comma)), sure(Decimal::Comma));
        assert_eq!(of("a,b\n\"1,500\",2\n", None), sure(Decimal::Point));
        assert_eq!(of("a;b\n1.234;2\n", Some(Decimal::Comma)), sure(Decimal::Comma));
        assert_eq!(of("a;b\n1.5;2\n", Some(Decimal::Comma)), sure(Decimal::Point));
    }
}
