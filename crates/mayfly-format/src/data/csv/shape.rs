//! What stands before the table: a `sep=` line, titles; and whether its rows have names that the header does not count.

use super::sniff::most_common;
use crate::data::number::number;

/// What is known before the first record is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Preamble {
    /// Records that are not of the table.
    pub(super) skip: usize,
    /// Those of them that say something.
    pub(super) titles: u64,
    /// The header has one field less than the rows: R writes row names so.
    pub(super) row_names: bool,
}

impl Preamble {
    /// What a first line `sep=;` says, as Excel writes and reads it.
    pub(super) fn said_delimiter(head: &[u8]) -> Option<u8> {
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line {
            [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => Some(*delimiter),
            _ => None,
        }
    }
}

/// Titles at most.
const TITLES: usize = 20;

/// What stands before the table in its first records.
pub(super) fn preamble(records: &[Vec<Vec<u8>>], says_delimiter: bool) -> Preamble {
    let start = usize::from(says_delimiter);
    let records = records.get(start..).unwrap_or_default();
    let widths: Vec<usize> = records.iter().map(Vec::len).collect();
    let (common, _) = most_common(&widths);
    let titles = records.iter().take(TITLES).take_while(|record| is_title(record, common)).count();
    let titles = if titles < records.len() { titles } else { 0 };
    let rest = widths.get(titles + 1..).unwrap_or_default();
    let first = widths.get(titles).copied().unwrap_or(0);
    let trailing = |record: &Vec<Vec<u8>>| record.last().is_some_and(Vec::is_empty);
    let all_trail = records.iter().skip(titles + 1).all(trailing);
    let row_names = first > 0 && !rest.is_empty() && rest.iter().all(|&width| width == first + 1) && !all_trail;
    Preamble { skip: start + titles, titles: titles as u64, row_names }
}

/// A line of its own above a table of several columns: one field with words in it, or a remark.
fn is_title(record: &[Vec<u8>], columns: usize) -> bool {
    let mut filled = record.iter().filter(|field| !field.is_empty());
    let only = filled.next().filter(|_| filled.next().is_none());
    let has_words =
        |field: &Vec<u8>| number(field).is_none() && field.iter().any(|byte| byte.is_ascii_alphabetic() || *byte > 127);
    let blank = record.len() > 1 && record.iter().all(Vec::is_empty);
    let remark = record.first().is_some_and(|field| field.starts_with(b"#")) && record.len() != columns;
    let narrow = if record.len() == columns { columns >= 3 } else { columns >= 2 };
    remark || blank || narrow && only.is_some_and(has_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Preamble {
        let records: Vec<Vec<Vec<u8>>> =
            text.lines().map(|line| line.split(',').map(|field| field.as_bytes().to_vec()).collect()).collect();
        preamble(&records, false)
    }

    #[test]
    fn titles_and_remarks_are_not_of_the_table() {
        for (text, titles) in [
            ("a,b\n1,2\n3,4\n", 0),
            ("Sales of 2020\na,b\n1,2\n3,4\n", 1),
            ("Sales of 2020,,\n,,\na,b,c\n1,2,3\n", 2),
            ("# made by hand\n# on a Monday\na,b\n1,2\n3,4\n", 2),
            ("1\n1,2\n3,4\n", 0),
            ("one\ntwo\n", 0),
            ("only a title\n", 0),
        ] {
            assert_eq!(of(text).titles, titles, "{text:?}");
        }
        assert_eq!(Preamble::said_delimiter(b"sep=;\r\na;b\n"), Some(b';'));
        assert_eq!(Preamble::said_delimiter(b"separate\n"), None);
    }

    #[test]
    fn a_header_without_a_name_for_the_row_names() {
        assert!(of("a,b\nr1,1,2\nr2,3,4\n").row_names);
        assert!(!of("a,b\n1,2,\n3,4,\n").row_names);
        assert!(!of("a,b\n1,2\n3,4\n").row_names);
    }
}
