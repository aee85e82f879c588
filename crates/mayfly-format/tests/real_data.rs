//! Real files of every kind. Where they are absent the tests say that they are skipped; see `testdata`.

use std::path::Path;

use mayfly_format::data::{
    self, Batch, Chunk, ColumnKind, EncodedRows, Encoder, FitOptions, OpenOptions, Part, Reason, RowOptions, Source,
    Split, Table, Tables, Task,
};
use mayfly_format::testdata;

fn open(path: &Path) -> Box<dyn Source> {
    data::open(path, &OpenOptions::default()).unwrap()
}

fn count_rows(source: &mut dyn Source) -> usize {
    let (mut rows, mut chunk) = (0, Chunk::default());
    while source.read(&mut chunk, 1000).unwrap() > 0 {
        rows += chunk.rows;
    }
    rows
}

fn table(path: &Path, encoder: &Encoder) -> Table {
    let source = data::open(path, &encoder.open_options()).unwrap();
    Table::read(&mut EncodedRows::new(source, encoder, &RowOptions::default()).unwrap(), 1 << 30).unwrap()
}

#[test]
fn fann_sets_have_their_sizes_and_tasks() {
    let sets = [
        ("building", 2104, 2104, (14, 3), Task::Regress),
        ("diabetes", 384, 384, (8, 2), Task::Classify),
        ("kin32fm", 2048, 2048, (32, 1), Task::Regress),
        ("mushroom", 4062, 4062, (125, 2), Task::Classify),
        ("parity8", 256, 256, (8, 1), Task::Classify),
        ("robot", 374, 594, (48, 3), Task::Regress),
        ("thyroid", 3600, 3600, (21, 3), Task::Classify),
        ("two-spiral", 193, 193, (2, 1), Task::Classify),
    ];
    for (name, training, test, widths, task) in sets {
        let Some(path) = testdata::find(&format!("fann/{name}.train")) else { return };
        let encoder = Encoder::fit(open(&path).as_mut(), &FitOptions::default()).unwrap();
        assert_eq!((encoder.input_width(), encoder.target_width()), widths, "{name}");
        assert_eq!((encoder.task(), encoder.training_rows()), (task, training), "{name}");
        let table = table(&path.with_extension("test"), &encoder);
        assert_eq!(table.rows, test, "{name}");
        assert!(table.inputs.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn fann_targets_are_the_numbers_in_the_file() {
    let Some(path) = testdata::find("fann/building.train") else { return };
    let encoder = Encoder::fit(open(&path).as_mut(), &FitOptions::default()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let words: Vec<f32> = text.split_ascii_whitespace().skip(3).map(|w| w.parse().unwrap()).collect();
    let want: Vec<f32> = words.chunks(17).flat_map(|row| row[14..].to_vec()).collect();
    assert_eq!(table(&path, &encoder).targets, want);
}

#[test]
fn forecast_tables() {
    let sets = [
        ("ETTh1.csv", 17_420, 7),
        ("ETTm2.csv", 69_680, 7),
        ("weather.csv", 52_696, 21),
        ("EPF-NP.csv", 52_416, 3),
        ("AirPassengers.csv", 144, 1),
    ];
    for (name, rows, numeric) in sets {
        let Some(path) = testdata::find(&format!("forecast/{name}")) else { return };
        let mut source = open(&path);
        assert_eq!(source.schema().columns()[0].kind, ColumnKind::Text, "{name}");
        assert_eq!(source.schema().number_width(), numeric, "{name}");
        assert_eq!(count_rows(source.as_mut()), rows, "{name}");
    }
}

#[test]
fn tables_of_whole_series_read_too() {
    let Some(path) = testdata::find("forecast/M4-Hourly-train.csv") else { return };
    let mut source = open(&path);
    assert_eq!((source.schema().columns().len(), count_rows(source.as_mut())), (961, 414));
    let Some(path) = testdata::find("forecast/M3.csv") else { return };
    let mut source = open(&path);
    let mut chunk = Chunk::default();
    source.read(&mut chunk, 10).unwrap();
    let texts: Vec<Option<&str>> = chunk.texts.iter().map(|column| column.get(1)).collect();
    assert!(texts.contains(&Some("N0002")), "{texts:?}");
    assert_eq!(chunk.rows + count_rows(source.as_mut()), 3003);
}

#[test]
fn a_table_with_dates_trains_without_them() {
    let Some(path) = testdata::find("forecast/ETTh1.csv") else { return };
    let split = Split { seed: 1, validation_fraction: 0.1, test_fraction: 0.2 };
    let options = FitOptions { split, ..FitOptions::default() };
    let encoder = Encoder::fit(open(&path).as_mut(), &options).unwrap();
    assert_eq!((encoder.task(), encoder.input_width()), (Task::Regress, 6));
    assert_eq!(
        encoder.left_out().iter().map(|l| (l.name.as_str(), l.reason)).collect::<Vec<_>>(),
        [("date", Reason::Date)]
    );
    let rows = RowOptions { split, ..RowOptions::default() };
    let tables = Tables::read(&mut EncodedRows::new(open(&path), &encoder, &rows).unwrap(), 1 << 30).unwrap();
    assert!(tables.validation.rows.abs_diff(1742) < 100 && tables.test.rows.abs_diff(3484) < 100);
    let mean: f64 =
        tables.training.inputs.iter().step_by(6).map(|&x| f64::from(x)).sum::<f64>() / tables.training.rows as f64;
    assert!(mean.abs() < 1e-5, "{mean}");
}

#[test]
fn fashion_mnist_pairs_up() {
    let Some(images) = testdata::find_fashion_mnist("t10k-images-idx3-ubyte.gz") else { return };
    let encoder = Encoder::fit(open(&images).as_mut(), &FitOptions::default()).unwrap();
    assert_eq!((encoder.input_shape(), encoder.labels().len()), (vec![28, 28], 10));
    assert_eq!(encoder.class_counts(), [1000; 10]);
    let labels = images.with_file_name("t10k-labels-idx1-ubyte.gz");
    let mut rows = EncodedRows::new(open(&labels), &encoder, &RowOptions::default()).unwrap();
    let mut batch = Batch::default();
    assert_eq!(rows.read(&mut batch, 5).unwrap(), 5);
    // The first five test labels: ankle boot, pullover, trouser, trouser, shirt.
    let classes: Vec<Option<usize>> = batch.targets.chunks(10).map(|t| encoder.class_of(t)).collect();
    assert_eq!(classes, [9, 2, 1, 1, 6].map(Some));
    assert_eq!(batch.parts, [Part::Training; 5]);
}
