//! Files written value by value, for what those of other writers do not have.
use crate::data::{Chunk, ColumnKind, Input, OpenOptions, Source, open};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file with one column of doubles and one of strings.
fn file(numbers: &[f64], texts: &[&str]) -> Vec<u8> {
    let schema = parse_message_type("message m { required double d; required binary t (UTF8); }").unwrap();
    let mut bytes = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(&mut bytes, Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(numbers, None, None).unwrap();
    column.close().unwrap();
    let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn opened(bytes: Vec<u8>, options: OpenOptions) -> (Box<dyn Source>, Chunk) {
    let mut source = open(Input::from_bytes("t.parquet", bytes), &options).unwrap();
    let mut chunk = Chunk::default();
    source.read(&mut chunk, 100).unwrap();
    (source, chunk)
}

/// The name behind a code; none for a missing value.
fn named(source: &dyn Source, slot: usize, code: u32) -> Option<String> {
    source.categories(slot).get(code as usize).cloned()
}

/// What stands for a missing value is missing: numbers in columns of numbers, words in columns of categories.
#[test]
fn markers_of_missing_values_are_missing() {
    let tokens = Some(vec!["-999".to_owned(), "N/A".to_owned()]);
    let options = OpenOptions { missing_tokens: tokens, ..OpenOptions::default() };
    let (source, chunk) = opened(file(&[1.5, -999.0, f64::NAN, 2.5], &["a", "N/A", "b", "a"]), options);
    let kinds: Vec<ColumnKind> = source.schema().columns().iter().map(|column| column.kind.clone()).collect();
    assert_eq!(kinds, [ColumnKind::Numeric, ColumnKind::Categorical]);
    let shown: Vec<String> = chunk.numbers.iter().map(f64::to_string).collect();
    assert_eq!(shown, ["1.5", "NaN", "NaN", "2.5"]);
    assert_eq!(
        chunk.codes.iter().map(|code| named(source.as_ref(), 0, *code)).collect::<Vec<_>>(),
        [Some("a".into()), None, Some("b".into()), Some("a".into())]
    );
}

/// Numbers that are names: a NaN is none of them, also where its text stands for nothing.
#[test]
fn nan_is_no_category() {
    let kinds = BTreeMap::from([("d".to_owned(), ColumnKind::Categorical)]);
    let options = OpenOptions { kinds, missing_tokens: Some(vec!["-".to_owned()]), ..OpenOptions::default() };
    let (source, chunk) = opened(file(&[1.0, f64::NAN, 2.0], &["a", "b", "a"]), options);
    let first: Vec<_> = chunk.codes.iter().step_by(2).map(|code| named(source.as_ref(), 0, *code)).collect();
    assert_eq!(first, [Some("1".into()), None, Some("2".into())]);
}
