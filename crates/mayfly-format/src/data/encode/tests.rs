//! The encoder from the outside.

use crate::data::{
    Batch, EncodedRows, Encoder, ExtraColumns, FitOptions, Input, InputEncoding, MissingPolicy, OpenOptions, Outputs,
    Part, Reason, RowOptions, Scaling, Source, Split, Table, Tables, TargetEncoding, Task, Want, open,
};
use crate::error::{FormatError, Result};

fn source(name: &str, text: &str) -> Box<dyn Source> {
    open(Input::from_bytes(name, text.as_bytes()), &OpenOptions::default()).unwrap()
}

fn fit_with(name: &str, text: &str, options: &FitOptions) -> Result<Encoder> {
    Encoder::fit(source(name, text).as_mut(), options)
}

fn fit(name: &str, text: &str) -> Encoder {
    fit_with(name, text, &FitOptions::default()).unwrap()
}

fn encode_with(encoder: &Encoder, name: &str, text: &str, options: &RowOptions) -> Result<Batch> {
    let source = open(Input::from_bytes(name, text.as_bytes()), &encoder.open_options())?;
    let mut batch = Batch::default();
    EncodedRows::new(source, encoder, options)?.read(&mut batch, 1 << 20)?;
    Ok(batch)
}

fn encode(encoder: &Encoder, name: &str, text: &str) -> Result<Batch> {
    encode_with(encoder, name, text, &RowOptions::default())
}

const FLOWERS: &str = "colour,size,kind\nred,1,a\nblue,3,b\nred,5,b\nred,7,a\n";

#[test]
fn numbers_are_standardised_and_names_one_hot() {
    let encoder = fit("f.csv", FLOWERS);
    assert_eq!((encoder.input_width(), encoder.target_width(), encoder.task()), (3, 2, Task::Classify));
    assert_eq!(encoder.input_names(), ["colour=blue", "colour=red", "size"]);
    assert_eq!((encoder.labels(), encoder.class_counts()), (&["a".to_owned(), "b".into()][..], &[2, 2][..]));
    let batch = encode(&encoder, "f.csv", FLOWERS).unwrap();
    let deviation = 5_f64.sqrt();
    let z = |size: f64| ((size - 4.0) / deviation) as f32;
    let want = [[0.0, 1.0, z(1.0)], [1.0, 0.0, z(3.0)], [0.0, 1.0, z(5.0)], [0.0, 1.0, z(7.0)]];
    assert_eq!(batch.inputs, want.as_flattened());
    assert_eq!(batch.targets, [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
    assert_eq!(batch.row_numbers, [0, 1, 2, 3]);
    assert_eq!(encoder.decode(&[0.3, 0.7]), Some(Outputs::Class { index: 1, label: "b" }));
    assert_eq!(encoder.decode(&[0.5, 0.5]), Some(Outputs::Class { index: 0, label: "a" }));
    assert_eq!(encoder.decode(&[f32::NAN, f32::NAN]), None);
    assert_eq!(encoder.decode(&[1.0]), None);
}

#[test]
fn scalings() {
    let scaled = |input_scaling| {
        let options = FitOptions { input_scaling, ..FitOptions::default() };
        let encoder = fit_with("f.csv", FLOWERS, &options).unwrap();
        encode(&encoder, "f.csv", FLOWERS).unwrap().inputs[5]
    };
    assert_eq!(scaled(Scaling::None), 3.0);
    assert_eq!(scaled(Scaling::MinMax), ((3.0 - 1.0) / 6.0) as f32);
    // A constant column is only centred, however its mean is rounded.
    let constant = format!("x,y\n{}", "0.1,1.5\n0.1,2.5\n".repeat(5));
    let encoder = fit("c.csv", &constant);
    let InputEncoding::Number { scale, .. } = encoder.inputs()[0].encoding else { panic!() };
    assert_eq!(scale, 1.0);
}

#[test]
fn regression_targets_scale_and_come_back() {
    let text = "x,y\n1,10.5\n2,20.5\n3,30.5\n";
    let encoder = fit("r.csv", text);
    assert_eq!(encoder.task(), Task::Regress);
    let batch = encode(&encoder, "r.csv", text).unwrap();
    for (row, want) in [10.5, 20.5, 30.5].into_iter().enumerate() {
        let Some(Outputs::Values(values)) = encoder.decode(&batch.targets[row..=row]) else { panic!() };
        assert!((values[0] - want).abs() < 1e-5, "{values:?}");
    }
    assert!((batch.targets[0] + 1.5_f32.sqrt()).abs() < 1e-6);
    assert_eq!(encoder.class_of(&[1.0]), None);
}

#[test]
fn the_task_is_found_out() {
    let column = |values: &mut dyn Iterator<Item = String>| {
        let rows: String = values.enumerate().map(|(i, v)| format!("{i}.5,{v}\n")).collect();
        fit("t.csv", &format!("x,y\n{rows}"))
    };
    let ints = |modulus: usize, rows: usize| (0..rows).map(move |i| (i % modulus).to_string());
    assert_eq!(column(&mut ints(2, 4)).task(), Task::Classify);
    assert_eq!(column(&mut ints(3, 15)).task(), Task::Classify);
    assert_eq!(column(&mut ints(3, 14)).task(), Task::Regress);
    assert_eq!(column(&mut ints(20, 100)).task(), Task::Classify);
    assert_eq!(column(&mut ints(21, 1000)).task(), Task::Regress);
    assert_eq!(column(&mut (0..100).map(|i| format!("{}.5", i % 2))).task(), Task::Regress);
    let ten = column(&mut ints(11, 110));
    assert_eq!(ten.labels()[2], "2");
    assert_eq!(ten.labels()[10], "10");
}

#[test]
fn fann_targets_stay_as_they_are() {
    let one_hot = "4 1 2\n1 0 1\n2 1 0\n3 1 0\n4 0 1\n";
    let encoder = fit("t.train", one_hot);
    let TargetEncoding::LargestColumn { columns, counts } = encoder.targets() else { panic!() };
    assert_eq!((columns, counts), (&vec!["y1".to_owned(), "y2".into()], &vec![2, 2]));
    let batch = encode(&encoder, "t.train", one_hot).unwrap();
    assert_eq!(batch.targets, [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);

    let xor = "4 2 1\n-1 -1\n-1\n-1 1\n1\n1 -1\n1\n1 1\n-1\n";
    let options = FitOptions { input_scaling: Scaling::None, ..FitOptions::default() };
    let encoder = fit_with("xor.data", xor, &options).unwrap();
    assert_eq!((encoder.labels(), encoder.target_width()), (&["-1".to_owned(), "1".into()][..], 1));
    assert_eq!([-0.1, 0.0, 0.1, f32::NAN].map(|o| encoder.class_of(&[o])), [Some(0), Some(0), Some(1), None]);
    let batch = encode(&encoder, "xor.data", xor).unwrap();
    assert_eq!((batch.inputs[3], batch.targets), (1.0, vec![-1.0, 1.0, 1.0, -1.0]));

    let mixed = "3 1 2\n1 0 0.5\n2 1 0.25\n3 1 0\n";
    let encoder = fit("t.train", mixed);
    assert_eq!(encoder.task(), Task::Regress);
    assert_eq!(encode(&encoder, "t.train", mixed).unwrap().targets, [0.0, 0.5, 1.0, 0.25, 1.0, 0.0]);
    let forced = FitOptions { task: Some(Task::Classify), ..FitOptions::default() };
    let encoder = fit_with("t.train", mixed, &forced).unwrap();
    assert_eq!(encoder.class_counts(), [2, 1]);
}

#[test]
fn which_column_is_the_target() {
    let target = |header: &str, options: &FitOptions| {
        let rows = "1,2,3\n4,5,6\n7,8,1\n".repeat(9);
        fit_with("t.csv", &format!("{header}\n{rows}"), options).map(|e| e.targets().columns().join("+"))
    };
    let auto = FitOptions::default();
    assert_eq!(target("a,b,c", &auto).unwrap(), "c");
    assert_eq!(target("a,Class,c", &auto).unwrap(), "Class");
    assert_eq!(target("class,y,c", &auto).unwrap(), "c");
    let named = FitOptions { targets: vec!["b".into(), "a".into()], ..FitOptions::default() };
    assert_eq!(target("a,b,c", &named).unwrap(), "b+a");
    let ignored = FitOptions { ignore: vec!["c".into()], ..FitOptions::default() };
    assert_eq!(target("a,b,c", &ignored).unwrap(), "b");
    let wrong = FitOptions { targets: vec!["z".into()], ..FitOptions::default() };
    assert!(matches!(target("a,b,c", &wrong), Err(FormatError::MissingColumn { column, .. }) if column == "z"));
    let twice = FitOptions { targets: vec!["a".into(), "a".into()], ..FitOptions::default() };
    assert!(matches!(target("a,b,c", &twice), Err(FormatError::Option { .. })));
}

#[test]
fn text_and_empty_columns_are_left_out_and_said() {
    let rows: String = (0..40).map(|i| format!("2020-01-{i},{i},,{}\n", i % 2)).collect();
    let text = format!("date,x,nothing,y\n{rows}");
    let encoder = fit("t.csv", &text);
    let left: Vec<(&str, Reason)> = encoder.left_out().iter().map(|l| (l.name.as_str(), l.reason)).collect();
    assert_eq!(left, [("date", Reason::Text), ("nothing", Reason::Empty)]);
    assert_eq!(encode(&encoder, "t.csv", "x,y\n1,0\n").unwrap().rows, 1);
}

const GAPS: &str = "n,c,y\n1,a,0\n,a,1\n3,,0\n5,b,1\n";

#[test]
fn missing_values_by_policy() {
    let fit = |missing| {
        fit_with("g.csv", GAPS, &FitOptions { missing, input_scaling: Scaling::None, ..FitOptions::default() })
    };
    let impute = fit(MissingPolicy::Impute).unwrap();
    let batch = encode(&impute, "g.csv", GAPS).unwrap();
    assert_eq!(batch.inputs, [1.0, 1.0, 0.0, 3.0, 1.0, 0.0, 3.0, 1.0, 0.0, 5.0, 0.0, 1.0]);
    assert_eq!(impute.inputs().iter().map(|i| i.missing).collect::<Vec<_>>(), [1, 1]);

    let drop = fit(MissingPolicy::DropRow).unwrap();
    assert_eq!(drop.training_rows(), 2);
    let batch = encode(&drop, "g.csv", GAPS).unwrap();
    assert_eq!((batch.rows, &batch.row_numbers[..]), (2, &[0, 3][..]));

    let error = fit(MissingPolicy::Error).unwrap_err().to_string();
    assert!(error.starts_with("g.csv, line 3, column 1 (n): the value of column \"n\" is missing"), "{error}");
}

#[test]
fn a_missing_target_is_never_made_up() {
    let text = "x,y\n1,a\n2,\n3,b\n";
    let error = fit_with("t.csv", text, &FitOptions::default()).unwrap_err();
    assert!(matches!(error, FormatError::MissingValue { ref column, .. } if column == "y"), "{error}");
    let drop = FitOptions { missing: MissingPolicy::DropRow, ..FitOptions::default() };
    let encoder = fit_with("t.csv", text, &drop).unwrap();
    assert_eq!(encode(&encoder, "t.csv", text).unwrap().row_numbers, [0, 2]);
    let imputing = fit("t.csv", "x,y\n1,a\n3,b\n");
    assert!(encode(&imputing, "t.csv", text).is_err());
    let inputs = RowOptions { want: Want::Inputs, ..RowOptions::default() };
    assert_eq!(encode_with(&imputing, "t.csv", text, &inputs).unwrap().rows, 3);
}

#[test]
fn other_files_match_by_name_in_any_order() {
    let encoder = fit("f.csv", FLOWERS);
    let batch = encode(&encoder, "g.csv", "kind;size;colour\nb;4;blue\n").unwrap();
    assert_eq!((batch.inputs, batch.targets), (vec![1.0, 0.0, 0.0], vec![0.0, 1.0]));
    let inputs = RowOptions { want: Want::Inputs, ..RowOptions::default() };
    let batch = encode_with(&encoder, "g.csv", "size,colour\n4,red\n", &inputs).unwrap();
    assert_eq!((batch.inputs, batch.targets), (vec![0.0, 1.0, 0.0], vec![]));
}

#[test]
fn other_columns_are_typed_errors() {
    let encoder = fit("f.csv", FLOWERS);
    let error = |text: &str| encode(&encoder, "g.csv", text).unwrap_err();
    let missing = error("size,kind\n1,a\n");
    assert_eq!(missing.to_string(), "g.csv: no column \"colour\"; the file has \"size\", \"kind\"");
    assert!(matches!(error("colour,size\nred,1\n"), FormatError::MissingColumn { column, .. } if column == "kind"));
    let more = "colour,size,weight,kind\nred,1,2,a\n";
    assert!(matches!(error(more), FormatError::UnknownColumn { column, .. } if column == "weight"));
    let ignore = RowOptions { extra: ExtraColumns::Ignore, ..RowOptions::default() };
    assert_eq!(encode_with(&encoder, "g.csv", more, &ignore).unwrap().rows, 1);
    let unseen = error("colour,size,kind\nred,1,a\ngreen,2,b\n").to_string();
    let want = "g.csv, line 3, column 1 (colour): column \"colour\" has the value \"green\", which was not seen in training (known: \"blue\", \"red\")";
    assert_eq!(unseen, want);
    let unseen = error("colour,size,kind\nred,1,c\n");
    assert!(matches!(unseen, FormatError::UnseenCategory { ref value, .. } if value == "c"), "{unseen}");
    let number = error("colour,size,kind\nred,big,a\n").to_string();
    assert!(number.contains("line 2, column 2 (size): expected a finite number"), "{number}");
    // Opened without knowing the encoder, the column looks categorical.
    let unknowing = source("g.csv", "colour,size,kind\nred,big,a\n");
    let kind = EncodedRows::new(unknowing, &encoder, &RowOptions::default()).unwrap_err();
    assert!(matches!(kind, FormatError::ColumnKind { ref column, .. } if column == "size"), "{kind}");
}

#[test]
fn files_without_names_match_by_position() {
    let encoder = fit("t.csv", "a,y,b\n1,0,5\n3,1,9\n");
    let expected = encode(&encoder, "t.csv", "a,y,b\n3,1,5\n").unwrap();
    let headless = encode(&encoder, "u.csv", "3,1,5\n").unwrap();
    assert_eq!(headless, expected);
    let fann = encode(&encoder, "u.data", "1 2 1\n3 5\n1\n").unwrap();
    assert_eq!((&fann.inputs, &fann.targets), (&expected.inputs, &expected.targets));
    let inputs = RowOptions { want: Want::Inputs, ..RowOptions::default() };
    assert_eq!(encode_with(&encoder, "u.csv", "3,5\n", &inputs).unwrap().inputs, expected.inputs);
    for (text, want) in [("1,2,3,4\n", "4 columns, expected 3"), ("1\n", "1 columns, expected 3")] {
        assert!(encode(&encoder, "u.csv", text).unwrap_err().to_string().contains(want));
    }
    assert!(encode(&encoder, "u.csv", "3,5\n").unwrap_err().to_string().contains("0 target columns, expected 1"));
    let error = encode(&encoder, "u.data", "1 3 1\n3 5 1\n1\n").unwrap_err().to_string();
    assert_eq!(error, "u.data: 3 input columns, expected 2");
}

#[test]
fn a_round_trip_through_json_keeps_every_bit() {
    let rows: String =
        (1..50).map(|i| format!("{},{},{}\n", 1.0 / f64::from(i), "ab".repeat(i as usize % 3), i % 4)).collect();
    for (text, scaling) in [(FLOWERS.to_owned(), Scaling::Standard), (format!("x,s,y\n{rows}"), Scaling::MinMax)] {
        let options = FitOptions { input_scaling: scaling, ..FitOptions::default() };
        let encoder = fit_with("f.csv", &text, &options).unwrap();
        let json = serde_json::to_string(&encoder).unwrap();
        let back: Encoder = serde_json::from_str(&json).unwrap();
        assert_eq!(back, encoder);
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
    }
}

#[test]
fn a_tampered_encoder_is_refused() {
    let json = serde_json::to_string(&fit("f.csv", FLOWERS)).unwrap();
    for (from, to) in [
        ("\"scale\":2.23606797749979", "\"scale\":0.0"),
        ("\"fill\":1}", "\"fill\":2}"),
        ("\"blue\"", "\"red\""),
        ("\"position\":1", "\"position\":7"),
        ("\"labels\":[\"a\",\"b\"]", "\"labels\":[\"a\"]"),
        ("\"counts\":[2,2]", "\"counts\":[4]"),
        ("\"target_positions\":[2]", "\"target_positions\":[]"),
        ("\"name\":\"size\"", "\"name\":\"colour\""),
    ] {
        assert!(json.contains(from), "{from} in {json}");
        let bad = json.replacen(from, to, 1);
        assert!(serde_json::from_str::<Encoder>(&bad).is_err(), "{to}");
    }
}

fn many_rows() -> String {
    let rows: String = (0..1000).map(|i| format!("{},{}\n", i, ["a", "b", "b", "b"][i % 4])).collect();
    format!("x,y\n{rows}")
}

const SPLIT: Split = Split { seed: 3, validation_fraction: 0.25, test_fraction: 0.125 };

#[test]
fn statistics_come_from_training_rows_alone() {
    let text = many_rows();
    let options = FitOptions { split: SPLIT, ..FitOptions::default() };
    let encoder = fit_with("t.csv", &text, &options).unwrap();
    let rows = RowOptions { split: SPLIT, ..RowOptions::default() };
    let mut encoded = EncodedRows::new(source("t.csv", &text), &encoder, &rows).unwrap();
    let tables = Tables::read(&mut encoded, 1 << 20).unwrap();
    assert_eq!(tables.training.rows as u64, encoder.training_rows());
    assert_eq!(tables.training.rows + tables.validation.rows + tables.test.rows, 1000);
    assert!((tables.validation.rows as i64 - 250).abs() < 10 && (tables.test.rows as i64 - 125).abs() < 10);
    let mean = tables.training.inputs.iter().map(|&x| f64::from(x)).sum::<f64>() / tables.training.rows as f64;
    let square =
        tables.training.inputs.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / tables.training.rows as f64;
    assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6, "{mean} {square}");
    let classes: Vec<u64> =
        [0, 1].map(|c| tables.training.targets.chunks(2).filter(|t| t[c] == 1.0).count() as u64).to_vec();
    assert_eq!(encoder.class_counts(), classes);

    let only = RowOptions { part: Some(Part::Test), ..rows };
    let mut encoded = EncodedRows::new(source("t.csv", &text), &encoder, &only).unwrap();
    assert_eq!(Table::read(&mut encoded, 1 << 20).unwrap(), tables.test);
}

#[test]
fn batches_are_full_whatever_the_chunks_and_rewind() {
    let text = many_rows();
    let encoder = fit("t.csv", &text);
    let mut rows = EncodedRows::new(source("t.csv", &text), &encoder, &RowOptions::default()).unwrap();
    let mut batch = Batch::default();
    for _ in 0..2 {
        let mut sizes = Vec::new();
        let mut numbers = Vec::new();
        while rows.read(&mut batch, 300).unwrap() > 0 {
            sizes.push(batch.rows);
            numbers.extend(batch.row_numbers.iter().copied());
        }
        assert_eq!(sizes, [300, 300, 300, 100]);
        assert!(numbers.into_iter().eq(0..1000));
        rows.rewind().unwrap();
    }
}

/// Every pass holds out the same rows, and counts what it filled in from zero.
#[test]
fn passes_are_alike() {
    let rows: String =
        (0..200).map(|i| format!("{},{}\n", if i % 10 == 3 { "".into() } else { i.to_string() }, i % 7)).collect();
    let text = format!("x,y\n{rows}");
    let options = FitOptions { split: SPLIT, missing: MissingPolicy::Impute, ..FitOptions::default() };
    let encoder = fit_with("t.csv", &text, &options).unwrap();
    let only = RowOptions { split: SPLIT, part: Some(Part::Test), ..RowOptions::default() };
    let pass = |rows: &mut EncodedRows| {
        let (mut batch, mut numbers) = (Batch::default(), Vec::new());
        while rows.read(&mut batch, 8).unwrap() > 0 {
            numbers.extend(batch.row_numbers.iter().copied());
        }
        (numbers, rows.imputed())
    };
    let mut rows = EncodedRows::new(source("t.csv", &text), &encoder, &only).unwrap();
    let first = pass(&mut rows);
    assert!(first.0.len() > 10 && first.0.len() < 40);
    for _ in 0..3 {
        rows.rewind().unwrap();
        assert_eq!(pass(&mut rows), first);
    }
    let mut rows = EncodedRows::new(source("t.csv", &text), &encoder, &RowOptions { part: None, ..only }).unwrap();
    let first = pass(&mut rows);
    assert_eq!(first.1, [("x".to_owned(), 20)]);
    rows.rewind().unwrap();
    assert_eq!(pass(&mut rows), first);
}

#[test]
fn a_table_that_does_not_fit_says_so() {
    let text = many_rows();
    let encoder = fit("t.csv", &text);
    let mut rows = EncodedRows::new(source("t.csv", &text), &encoder, &RowOptions::default()).unwrap();
    let error = Table::read(&mut rows, 1000 * 20 - 1).unwrap_err();
    assert!(matches!(error, FormatError::TableTooLarge { row_bytes: 20, .. }), "{error}");
    assert_eq!(Table::read(&mut rows, 1000 * 20).unwrap().rows, 1000);
}

#[test]
fn nothing_to_learn_from_is_an_error() {
    for (text, what) in [
        ("x,y\n", "no rows"),
        ("x,y\n1,a\n2,a\n", "same value, \"a\""),
        ("y\n1\n2\n", "no input column"),
        ("x,y\n,1\n,2\n", "no input column has a value"),
        ("x,y\n1e308,1.5\n-1e308,2.5\n", "cannot be scaled"),
    ] {
        let error = fit_with("t.csv", text, &FitOptions::default()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let options = FitOptions { input_scaling: Scaling::None, ..FitOptions::default() };
    let huge = fit_with("t.csv", "x,y\n1e300,1.5\n1,2.5\n", &options).unwrap();
    let error = encode(&huge, "t.csv", "x,y\n1e300,1.5\n").unwrap_err().to_string();
    assert!(error.contains("line 2, column 1 (x): expected a number that fits into f32"), "{error}");
}
