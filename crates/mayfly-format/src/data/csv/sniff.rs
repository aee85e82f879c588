//! Finding the delimiter.

use super::records::{RecordLimits, Records};
use crate::data::input::Input;

/// The delimiters that are tried, the likeliest first.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Records that are compared at most.
const RECORDS: usize = 200;

/// The delimiter of the text that begins with `head`; `whole` says that this is all of it.
///
/// The one that cuts it into the most columns, the same number in every record; when none does, the one with the most records of one width.
pub(super) fn delimiter(head: &[u8], whole: bool) -> u8 {
    let mut best = (0, 0, b',');
    for delimiter in CANDIDATES.into_iter().filter(|&d| plausible(head, d)) {
        let widths = widths(head, whole, delimiter);
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
    best.2
}

/// In `1,5;2,5` the comma looks regular, but it only ever stands between digits, next to a delimiter that does not.
fn plausible(head: &[u8], delimiter: u8) -> bool {
    if delimiter != b',' || !(head.contains(&b';') || head.contains(&b'\t')) {
        return true;
    }
    let between_digits = |w: &[u8]| matches!(w, [a, b',', b] if a.is_ascii_digit() && b.is_ascii_digit());
    let commas = head.iter().filter(|&&byte| byte == b',').count();
    head.windows(3).filter(|w| between_digits(w)).count() < commas
}

fn widths(head: &[u8], whole: bool, delimiter: u8) -> Vec<usize> {
    let limits = RecordLimits { bytes: head.len().max(1), fields: head.len() + 1 };
    let mut widths = Vec::new();
    let Ok(bytes) = Input::from_bytes("", head).open_unpacked() else {
        return widths; // memory always opens
    };
    let Ok(mut records) = Records::new(bytes, delimiter, limits) else {
        return widths;
    };
    while widths.len() < RECORDS && matches!(records.advance(), Ok(true)) {
        widths.push(records.width());
    }
    let cut = !whole && records.offset() >= head.len() as u64;
    if cut && widths.len() > 1 {
        widths.pop(); // its end is not in the head
    }
    widths
}

/// The most frequent width and how often it occurs; the larger of equally frequent ones.
fn most_common(widths: &[usize]) -> (usize, usize) {
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
        let cases: [(&str, u8); 10] = [
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
        ];
        for (text, want) in cases {
            assert_eq!(delimiter(text.as_bytes(), true) as char, want as char, "{text:?}");
        }
    }

    #[test]
    fn a_record_that_is_cut_off_does_not_count() {
        assert_eq!(delimiter(b"a;b,c;d\n1;2;3\n4;5", false), b';');
    }
}
