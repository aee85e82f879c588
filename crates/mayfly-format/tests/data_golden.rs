//! Files written by NumPy and PyArrow (`bench/golden/data/make.py`) read as what was written.

use std::path::{Path, PathBuf};

use mayfly_format::data::{Chunk, NpzKeys, OpenOptions, Source, open};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data").join(name)
}

fn want() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path("want.json")).unwrap()).unwrap()
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// All rows of numbers, read `step` at a time; missing is `None`.
fn rows(source: &mut dyn Source, step: usize) -> Vec<Vec<Option<f64>>> {
    let (mut rows, mut chunk) = (Vec::new(), Chunk::default());
    source.rewind().unwrap();
    while source.read(&mut chunk, step).unwrap() > 0 {
        for row in 0..chunk.rows {
            let numbers = chunk.numbers_of(source.schema(), row);
            rows.push(numbers.iter().map(|&v| (!v.is_nan()).then_some(v)).collect());
        }
    }
    rows
}

#[test]
fn arrays_by_numpy() {
    let want = want();
    for (name, want) in want.as_object().unwrap().iter().filter(|(name, _)| name.contains(".np")) {
        let want: Vec<Vec<Option<f64>>> =
            want.as_array().unwrap().iter().map(|row| row.as_array().unwrap().iter().map(number).collect()).collect();
        let mut source = open(path(name), &OpenOptions::default()).unwrap();
        for step in [1, 2, 100] {
            assert_eq!(rows(source.as_mut(), step), want, "{name} by {step}");
        }
        assert_eq!(source.declared_rows(), Some(want.len() as u64), "{name}");
    }
}

#[test]
fn the_test_part_of_an_archive() {
    let keys = NpzKeys { inputs: "x_test".into(), targets: Some("y_test".into()) };
    let options = OpenOptions { npz_keys: Some(keys), ..OpenOptions::default() };
    let mut source = open(path("deflated.npz"), &options).unwrap();
    assert_eq!(rows(source.as_mut(), 10).len(), 2);
}

#[cfg(feature = "parquet")]
mod parquet {
    use mayfly_format::data::{ColumnKind, MISSING_CODE};

    use super::*;

    fn columns_of(source: &mut dyn Source, kind: &ColumnKind) -> Vec<String> {
        let columns = source.schema().columns().iter().filter(|c| c.kind == *kind);
        columns.map(|c| c.name.clone()).collect()
    }

    #[test]
    fn tables_by_pyarrow_with_every_codec() {
        let want = want();
        for codec in ["none", "snappy", "gzip", "zstd"] {
            let mut source = open(path(&format!("table_{codec}.parquet")), &OpenOptions::default()).unwrap();
            let numeric = columns_of(source.as_mut(), &ColumnKind::Numeric);
            for step in [1, 2, 100] {
                let rows = rows(source.as_mut(), step);
                for (index, name) in numeric.iter().enumerate() {
                    let column: Vec<Option<f64>> = rows.iter().map(|row| row[index]).collect();
                    let want: Vec<Option<f64>> =
                        want["table"]["numbers"][name].as_array().unwrap().iter().map(number).collect();
                    assert_eq!(column, want, "{codec} {name} by {step}");
                }
            }
            assert_eq!((numeric.len(), source.declared_rows()), (7, Some(4)));
            assert_eq!(columns_of(source.as_mut(), &ColumnKind::Text), ["t"]);
        }
    }

    #[test]
    fn categories_and_times() {
        let mut source = open(path("table_zstd.parquet"), &OpenOptions::default()).unwrap();
        let mut chunk = Chunk::default();
        assert_eq!(source.read(&mut chunk, 100).unwrap(), 4);
        assert_eq!(
            (&chunk.codes[..], source.categories(0)),
            (&[0, 1, MISSING_CODE, 0][..], &["red".to_owned(), "blue".into()][..])
        );
        let times: Vec<&str> = (0..4).map(|row| chunk.texts[0].get(row).unwrap()).collect();
        assert_eq!(times, ["1970-01-01 00:00:00", "1970-01-02 00:00:00", "", "1970-01-01 00:00:00.000001"]);
    }

    #[test]
    fn kinds_can_be_asked_for() {
        let mut options = OpenOptions::default();
        options.kinds.insert("i".into(), ColumnKind::Categorical);
        let mut source = open(path("table_none.parquet"), &options).unwrap();
        source.read(&mut Chunk::default(), 100).unwrap();
        assert_eq!(source.categories(0), ["1", "-2", "4"]);
        options.kinds.insert("c".into(), ColumnKind::Numeric);
        let mut source = open(path("table_none.parquet"), &options).unwrap();
        let error = source.read(&mut Chunk::default(), 100).unwrap_err().to_string();
        assert!(error.contains("row 1") && error.contains("(c)") && error.contains("\"red\""), "{error}");
        options.kinds.insert("c".into(), ColumnKind::Categorical);
    }

    #[test]
    fn nested_columns_are_refused_by_name() {
        let error = open(path("nested.parquet"), &OpenOptions::default()).unwrap_err().to_string();
        assert!(error.contains("column \"list.list.element\" with nested or repeated values"), "{error}");
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_in_a_build_without_it_says_so() {
    let error = open(path("table_none.parquet"), &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("cargo feature `parquet`"), "{error}");
}
