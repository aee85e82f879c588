//! The tables in `data/` are what `data/README.md` says.

use std::path::{Path, PathBuf};

use mayfly_format::data::{EncodedRows, Encoder, FitOptions, OpenOptions, Outputs, RowOptions, Table, Task, open};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(name)
}

fn fit(name: &str) -> (Encoder, Table) {
    let source = || open(path(name), &OpenOptions::default()).unwrap();
    let encoder = Encoder::fit(source().as_mut(), &FitOptions::default()).unwrap();
    let mut rows = EncodedRows::new(source(), &encoder, &RowOptions::default()).unwrap();
    let table = Table::read(&mut rows, 1 << 28).unwrap();
    (encoder, table)
}

#[test]
fn every_table_has_its_rows_inputs_and_classes() {
    for (name, rows, columns, target, labels) in [
        ("mushroom.csv", 8124, 22, "class", &["edible", "poisonous"][..]),
        ("digits-train.csv", 1438, 64, "digit", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
        ("digits-test.csv", 359, 64, "digit", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
        ("iris.csv", 150, 4, "class", &["setosa", "versicolor", "virginica"]),
        ("wine.csv", 178, 13, "class", &["class_0", "class_1", "class_2"]),
        ("breast-cancer.csv", 569, 30, "class", &["benign", "malignant"]),
        ("air-passengers.csv", 144, 2, "passengers", &[]),
    ] {
        let (encoder, table) = fit(name);
        assert_eq!((table.rows, encoder.inputs().len()), (rows, columns), "{name}");
        assert_eq!(
            (encoder.targets().columns(), encoder.labels()),
            (vec![target], &labels.iter().map(|&l| l.to_owned()).collect::<Vec<_>>()[..]),
            "{name}"
        );
        assert!(encoder.left_out().is_empty(), "{name}");
    }
}

#[test]
fn mushrooms_miss_only_stalk_roots() {
    let (encoder, table) = fit("mushroom.csv");
    let missing: Vec<(&str, u64)> =
        encoder.inputs().iter().filter(|i| i.missing > 0).map(|i| (i.name.as_str(), i.missing)).collect();
    assert_eq!(missing, [("stalk-root", 2480)]);
    assert_eq!(encoder.class_counts(), [4208, 3916]);
    let first = &table.targets[..2];
    assert_eq!(encoder.decode(first), Some(Outputs::Class { index: 1, label: "poisonous" }));
}

#[test]
fn passengers_come_back_in_thousands() {
    let (encoder, table) = fit("air-passengers.csv");
    assert_eq!(encoder.task(), Task::Regress);
    let Some(Outputs::Values(values)) = encoder.decode(&table.targets[..1]) else { panic!() };
    assert!((values[0] - 112.0).abs() < 1e-4, "{values:?}");
}
