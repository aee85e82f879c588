//! The CSV reader from the outside.

use super::CsvSource;
use crate::data::chunk::{Chunk, MISSING_CODE};
use crate::data::input::Input;
use crate::data::schema::{ColumnKind, Names};
use crate::data::source::{Header, OpenOptions, Source};
use crate::error::Result;

fn open_with(text: &[u8], options: &OpenOptions) -> Result<CsvSource> {
    CsvSource::open(Input::from_bytes("t.csv", text), options)
}

fn open(text: &str) -> CsvSource {
    open_with(text.as_bytes(), &OpenOptions::default()).unwrap()
}

fn names(source: &CsvSource) -> Vec<String> {
    source.schema().column_names()
}

fn read_all(source: &mut CsvSource) -> Result<Chunk> {
    let mut chunk = Chunk::default();
    source.read(&mut chunk, 1 << 20)?;
    Ok(chunk)
}

fn error_of(text: &str) -> String {
    let result = open_with(text.as_bytes(), &OpenOptions::default()).and_then(|mut s| read_all(&mut s));
    result.unwrap_err().to_string()
}

#[test]
fn a_table_with_everything() {
    let mut source = open("name;size;odd one\n\"big; red\" ; 1.5;2\nsmall;NA;?\n\n;-3e2;4\n");
    assert_eq!(names(&source), ["name", "size", "odd one"]);
    let chunk = read_all(&mut source).unwrap();
    assert_eq!((chunk.rows, &chunk.lines[..]), (3, &[2, 3, 5][..]));
    assert_eq!(chunk.codes, [0, 1, MISSING_CODE]);
    assert_eq!(source.categories(0), ["big; red", "small"]);
    let numbers: Vec<String> = chunk.numbers.iter().map(f64::to_string).collect();
    assert_eq!(numbers, ["1.5", "2", "NaN", "NaN", "-300", "4"]);
}

#[test]
fn header_is_found_or_not() {
    for (text, header) in [
        ("a,b\n1,2\n", true),
        ("1,2\n3,4\n", false),
        ("p,x,s\ne,x,y\np,b,s\n", false),
        ("class,shape\ne,x\np,b\n", true),
        (",a\n1,x\n2,y\n", true),
        ("a,\n1,2\n", true),
        ("2019,2020,2021,target\n1.5,2,3,no\n2,3,4,no\n3,4,5,yes\n", true),
        ("2019,2020,target\n2019,2020,no\n2,3,target\n", false),
        ("country,2019,growth\nred,1,2.5\nblue,3,4.5\n", true),
        ("5.1,odd,1\n4.9,3.0,0\n4.7,3.2,1\n", false),
        ("#x,y\n1,2\n3,4\n", true),
        ("a,,c\n1,2,3\n", true),
        ("1,2,3\n4,5,6\n", false),
        ("1,2,3\n1.5,2.5,3.5\n", false),
        ("2019,2020,2021\n1.5,2.5,3.5\n", true),
        ("2019,2020,2021\n2018,2020,2022\n2019,2021,2020\n", false),
        ("1,5;2,5\n3,5;4,5\n", false),
        ("a,NA\nb,1\nb,2\n", false),
        ("only,names\n", true),
    ] {
        let names_are = open(text).schema().names();
        let want = if header { Names::Given } else { Names::Positional };
        assert_eq!(names_are, want, "{text:?}");
    }
}

#[test]
fn options_override_what_is_found() {
    let mut options = OpenOptions { header: Header::Absent, delimiter: Some(b':'), ..OpenOptions::default() };
    options.kinds.insert("x2".into(), ColumnKind::Categorical);
    let mut source = open_with(b"a:1\nb:2\n", &options).unwrap();
    assert_eq!(names(&source), ["x1", "x2"]);
    assert_eq!(read_all(&mut source).unwrap().codes, [0, 0, 1, 1]);
    assert_eq!(source.categories(1), ["1", "2"]);

    options.kinds.insert("x3".into(), ColumnKind::Numeric);
    let error = open_with(b"a:1\nb:2\n", &options).unwrap_err().to_string();
    assert_eq!(error, "t.csv: no column \"x3\"; the file has \"x1\", \"x2\"");
}

#[test]
fn a_row_number_without_a_name_is_not_an_input() {
    let source = open("\"\",v\n1,10\n2,20\n3,40\n");
    assert_eq!(source.schema().columns()[0].kind, ColumnKind::Text);
    assert_eq!(names(&source)[0], "column1");
    let source = open("\"\",v\n1,10\n2,20\n4,40\n");
    assert_eq!(source.schema().columns()[0].kind, ColumnKind::Numeric);
}

#[test]
fn errors_name_line_and_column() {
    let rows = |last: &str| format!("a,b\n{}{last}\n", "1,2\n3,4.5\n".repeat(20));
    assert_eq!(error_of(&rows("5")), "t.csv, line 42, column 2: expected 2 fields, as in the first record, found 1");
    assert_eq!(
        error_of(&rows("5,6,7")),
        "t.csv, line 42, column 3: expected 2 fields, as in the first record, found 3"
    );
    let many: String = (0..99).map(|i| format!("{i},0\n")).collect();
    let error = error_of(&format!("a,b\n{many}1e999,0\n"));
    assert!(error.starts_with("t.csv, line 101, column 1 (a): expected a number"), "{error}");
    assert!(error.ends_with("found \"1e999\""), "{error}");
    assert!(error_of("").contains("no rows"));
    assert!(error_of("a,a\n1,2\n").contains("columns 1 and 2 are both named \"a\""));
    let error = error_of("a\tb\n1,500\t2\n2,500\t3\n");
    assert!(error.contains("line 2, column 1 (a)") && error.contains("--decimal comma"), "{error}");
}

#[test]
fn a_kind_that_breaks_after_the_sample_is_an_error_with_its_line() {
    let mut text = String::from("a,b\n");
    for i in 0..70_000 {
        text.push_str(&format!("{i},0\n"));
    }
    text.push_str("oops,0\n");
    let error = error_of(&text);
    assert_eq!(
        error,
        "t.csv, line 70002, column 1 (a): expected a finite number, as in the rest of the column, found \"oops\""
    );
}

#[test]
fn rewinding_gives_the_same_rows_and_codes() {
    let mut source = open("a,b\nx,1\ny,2\nx,3\nz,4\n");
    let mut chunk = Chunk::default();
    let mut passes = Vec::new();
    for _ in 0..2 {
        let mut pass = Vec::new();
        while source.read(&mut chunk, 3).unwrap() > 0 {
            pass.push((chunk.first_row, chunk.codes.clone(), chunk.numbers.clone()));
        }
        passes.push(pass);
        source.rewind().unwrap();
    }
    assert_eq!(passes[0], passes[1]);
    assert_eq!(passes[0], [(0, vec![0, 1, 0], vec![1.0, 2.0, 3.0]), (3, vec![2], vec![4.0])]);
}

#[test]
fn too_many_categories_is_an_error() {
    let mut options = OpenOptions::default();
    options.limits.categories = 2;
    options.kinds.insert("a".into(), ColumnKind::Categorical);
    let mut source = open_with(b"a,b\nx,1\ny,2\nz,3\n", &options).unwrap();
    let error = read_all(&mut source).unwrap_err().to_string();
    assert!(error.contains("\"a\" has more than 2 different values"), "{error}");
}

#[test]
fn latin1_names_survive() {
    let source = open_with(b"SWDR (W/m\xb2),b\n1,2\n", &OpenOptions::default()).unwrap();
    assert_eq!(names(&source)[0], "SWDR (W/m²)");
}

/// A file that was written in another style reads as the same numbers.
#[test]
fn the_style_of_a_file_does_not_change_its_numbers() {
    let rows: Vec<[f64; 3]> =
        (0..40).map(|i| [f64::from(i) * 1234.25, f64::from(i) / 8.0 - 2.0, f64::from(i % 3)]).collect();
    let grouped = |value: f64, group: &str, mark: &str| {
        let (whole, fraction) = (value.abs().trunc() as u64, value.abs().fract());
        let digits = whole.to_string();
        let head = digits.len() % 3;
        let mut parts: Vec<&str> = Vec::new();
        if head > 0 {
            parts.push(&digits[..head]);
        }
        (head..digits.len()).step_by(3).for_each(|at| parts.push(&digits[at..at + 3]));
        let sign = if value < 0.0 { "-" } else { "" };
        format!("{sign}{}{mark}{}", parts.join(group), &format!("{fraction:.3}")[2..])
    };
    for (delimiter, quote, group, mark) in [
        (",", "", "", "."),
        (",", "\"", ",", "."),
        (";", "", ".", ","),
        ("\t", "", " ", ","),
        ("|", "", "'", "."),
        (" ", "", "", ","),
    ] {
        let line =
            |row: &[f64; 3]| row.map(|value| format!("{quote}{}{quote}", grouped(value, group, mark))).join(delimiter);
        let text =
            format!("a{delimiter}b{delimiter}c\n{}", rows.iter().map(|row| line(row) + "\n").collect::<String>());
        let mut source = open(&text);
        assert_eq!(names(&source), ["a", "b", "c"], "{text}");
        assert_eq!(read_all(&mut source).unwrap().numbers, rows.as_flattened(), "{text}");
    }
}

#[test]
fn what_stands_around_a_table_is_skipped_and_counted() {
    for (text, skipped) in [
        ("sep=;\na;b\n1;2\n3;4\n", 0),
        ("A title\n\na,b\n1,2\n3,4\n", 1),
        ("a,b,\n1,2,\n3,4,\n", 0),
        ("a,b\n1,2,\n3,4,,\n", 0),
        ("a,b,\n1,2\n3,4\n", 0),
    ] {
        let mut source = open(text);
        assert_eq!(names(&source)[..2], ["a", "b"], "{text:?}");
        assert_eq!(read_all(&mut source).unwrap().numbers, [1.0, 2.0, 3.0, 4.0], "{text:?}");
        assert_eq!(source.reading().skipped_lines, skipped, "{text:?}");
        source.rewind().unwrap();
        assert_eq!(read_all(&mut source).unwrap().rows, 2, "{text:?}");
    }
    let source = open("a,b\nr1,1,2\nr2,3,4\n");
    assert_eq!(names(&source), ["column1", "a", "b"]);
}
