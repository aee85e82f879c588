//! IDX, npy and npz from the outside. The bytes are made here by the formats' descriptions; files made by NumPy are read in `tests/`.

use std::io::Write;
use std::path::Path;

use crate::data::{Chunk, Input, NpzKeys, OpenOptions, Source, Targets, open};
use crate::error::Result;

/// An npy file of `<f8`: `values` in the order in which they are stored.
fn npy(shape: &str, fortran: &str, values: &[f64]) -> Vec<u8> {
    let text = format!("{{'descr': '<f8', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

fn npz(members: &[(&str, Vec<u8>)], deflate: bool) -> Vec<u8> {
    let method = if deflate { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn idx(dtype: u8, shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, dtype, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn source(name: &str, bytes: Vec<u8>) -> Result<Box<dyn Source>> {
    open(Input::from_bytes(name, bytes), &OpenOptions::default())
}

/// All rows, read `step` at a time, twice.
fn rows_of(source: &mut dyn Source, step: usize) -> Result<Vec<Vec<f64>>> {
    let mut passes = Vec::new();
    for _ in 0..2 {
        let (mut rows, mut chunk) = (Vec::new(), Chunk::default());
        while source.read(&mut chunk, step)? > 0 {
            assert_eq!(chunk.first_row, rows.len() as u64);
            rows.extend((0..chunk.rows).map(|row| chunk.numbers_of(source.schema(), row).to_vec()));
        }
        passes.push(rows);
        source.rewind()?;
    }
    assert_eq!(passes[0], passes[1]);
    Ok(passes.swap_remove(0))
}

fn error_of(name: &str, bytes: Vec<u8>) -> String {
    let rows = source(name, bytes).and_then(|mut source| rows_of(source.as_mut(), 2));
    rows.unwrap_err().to_string()
}

#[test]
fn c_and_fortran_order_hold_the_same_rows() {
    let want = [vec![0.0, 1.0, 2.0], vec![3.0, 4.0, 5.0]];
    let c = npy("(2, 3)", "False", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let fortran = npy("(2, 3)", "True", &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    for (file, bytes) in [("a.npy", c.clone()), ("a.npy", fortran.clone())] {
        for step in 1..4 {
            assert_eq!(rows_of(source(file, bytes.clone()).unwrap().as_mut(), step).unwrap(), want);
        }
    }
    for member in [c, fortran] {
        for deflate in [false, true] {
            let bytes = npz(&[("only", member.clone())], deflate);
            assert_eq!(rows_of(source("a.npz", bytes).unwrap().as_mut(), 1).unwrap(), want, "deflate {deflate}");
        }
    }
}

#[test]
fn more_than_two_dimensions_are_a_grid() {
    // Element (row, i, j) is 100 row + 10 i + j; Fortran order has the row fastest, then i.
    let mut stored = Vec::new();
    for j in 0..3 {
        for i in 0..2 {
            for row in 0..2 {
                stored.push(f64::from(100 * row + 10 * i + j));
            }
        }
    }
    let mut grid = source("a.npy", npy("(2, 2, 3)", "True", &stored)).unwrap();
    let rows = rows_of(grid.as_mut(), 1).unwrap();
    assert_eq!(rows[1], [100.0, 101.0, 102.0, 110.0, 111.0, 112.0]);
    assert_eq!(grid.schema().columns().len(), 1);
}

#[test]
fn npz_pairs_by_usual_names_or_as_asked() {
    let x = npy("(2, 1)", "False", &[1.0, 2.0]);
    let y = npy("(2,)", "False", &[7.0, 8.0]);
    let z = npy("(2,)", "False", &[5.0, 6.0]);
    let bytes = npz(&[("z", z), ("y_train", y), ("x_train", x)], true);
    let mut found = source("a.npz", bytes.clone()).unwrap();
    assert_eq!(rows_of(found.as_mut(), 9).unwrap(), [[1.0, 7.0], [2.0, 8.0]]);
    assert_eq!((found.schema().targets(), found.declared_rows()), (Targets::Last(1), Some(2)));

    let keys = |inputs: &str, targets: Option<&str>| OpenOptions {
        npz_keys: Some(NpzKeys { inputs: inputs.into(), targets: targets.map(str::to_owned) }),
        ..OpenOptions::default()
    };
    let mut named = open(Input::from_bytes("a.npz", bytes.clone()), &keys("x_train", Some("z"))).unwrap();
    assert_eq!(rows_of(named.as_mut(), 9).unwrap(), [[1.0, 5.0], [2.0, 6.0]]);
    let error = open(Input::from_bytes("a.npz", bytes), &keys("q", None)).unwrap_err().to_string();
    assert_eq!(error, "a.npz: no column \"q\"; the file has \"z\", \"y_train\", \"x_train\"");
}

#[test]
fn wrong_sizes_and_types_are_named() {
    let cut = |mut bytes: Vec<u8>| {
        bytes.pop();
        bytes
    };
    let good = npy("(2, 1)", "False", &[1.0, 2.0]);
    let error = error_of("a.npy", cut(good.clone()));
    assert!(error.contains("expected 16 bytes of values for the shape [2, 1], found 15"), "{error}");
    let error = error_of("a.npy", npy("(2, 2)", "False", &[1.0, 2.0, f64::INFINITY, 4.0]));
    assert_eq!(error, "a.npy, row 2, column 1 (x1): expected a finite number, found infinity");
    let error = error_of("a.npy", npy("(9999999999, 9999999999)", "False", &[]));
    assert!(error.contains("more than 2^64"), "{error}");
    let error = error_of("a.npy", npy("(1152921504606846976, 0)", "False", &[]));
    assert!(error.contains("at least one value in a row"), "{error}");
    let object = String::from_utf8_lossy(&good).replace("<f8", "|O8");
    let error = error_of("a.npy", b"\x93".iter().copied().chain(object.bytes().skip(3)).collect());
    assert!(error.contains("type '|O8'") && error.contains("astype"), "{error}");
    let error = error_of("a.npz", npz(&[("X", good.clone()), ("y", npy("(3,)", "False", &[1.0; 3]))], true));
    assert!(error.contains("as many targets as the 2 rows of inputs, found 3"), "{error}");
    assert!(error_of("a.npy", gzip(&good)).contains("a gzipped npy file is not supported"));
}

#[test]
fn a_flipped_bit_in_an_archive_is_found() {
    let values: Vec<f64> = (0..1000).map(f64::from).collect();
    for deflate in [false, true] {
        let good = npz(&[("only", npy("(1000,)", "False", &values))], deflate);
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 0x10;
        assert!(source("a.npz", good).and_then(|mut s| rows_of(s.as_mut(), 64)).is_ok());
        let error = error_of("a.npz", bad);
        assert!(error.starts_with("a.npz, "), "{error}");
    }
}

#[test]
fn idx_reads_every_type_and_refuses_wrong_counts() {
    let float: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    let mut vectors = source("v-idx2", idx(0x0d, &[2, 1], &float)).unwrap();
    assert_eq!(rows_of(vectors.as_mut(), 5).unwrap(), [[1.5], [-2.0]]);
    for (bytes, want) in [
        (idx(0x08, &[2, 2], &[1, 2, 3]), "4 bytes of values for the sizes [2, 2], found 3"),
        (idx(0x08, &[2, 2], &[1, 2, 3, 4, 5]), "found 5"),
        (idx(0x08, &[u32::MAX; 3], &[]), "more than 2^64"),
        (idx(0x08, &[2, 2], &[])[..9].to_vec(), "4 bytes of an IDX header"),
    ] {
        let error = error_of("v-idx2", bytes);
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn gzip_is_unpacked_exactly_as_far_as_the_header_says() {
    let good = idx(0x08, &[3, 1], &[7, 8, 9]);
    let mut packed = source("v.idx.gz", gzip(&good)).unwrap();
    assert_eq!(rows_of(packed.as_mut(), 2).unwrap(), [[7.0], [8.0], [9.0]]);
    let error = error_of("v.idx.gz", gzip(&[good.clone(), vec![0; 1 << 20]].concat()));
    assert!(error.contains("expected the end of the data, found more bytes"), "{error}");
    let error = error_of("v.idx.gz", gzip(&good[..good.len() - 1]));
    assert!(error.contains("found the end of the data"), "{error}");
    let error = error_of("v.idx.gz", gzip(&idx(0x08, &[1 << 20, 784], &[])));
    assert!(error.contains("which cannot hold them"), "{error}");
}

#[test]
fn images_find_labels_and_labels_find_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).unwrap();
    write("t-images-idx3-ubyte", &idx(0x08, &[2, 1, 2], &[1, 2, 3, 4]));
    let open_path = |path: &Path, options: &OpenOptions| open(path, options);
    let alone = open_path(&path("t-images-idx3-ubyte"), &OpenOptions::default()).unwrap();
    assert_eq!(alone.schema().targets(), Targets::Free);

    write("t-labels-idx1-ubyte.gz", &gzip(&idx(0x08, &[2], &[5, 6])));
    for name in ["t-images-idx3-ubyte", "t-labels-idx1-ubyte.gz"] {
        let mut pair = open_path(&path(name), &OpenOptions::default()).unwrap();
        assert_eq!(rows_of(pair.as_mut(), 1).unwrap(), [[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]);
        assert_eq!(pair.schema().targets(), Targets::Label);
    }

    std::fs::rename(path("t-labels-idx1-ubyte.gz"), path("odd")).unwrap();
    std::fs::rename(path("t-images-idx3-ubyte"), path("other")).unwrap();
    for (first, second) in [("odd", "other"), ("other", "odd")] {
        let options = OpenOptions { labels: Some(path(second)), ..OpenOptions::default() };
        let mut pair = open_path(&path(first), &options).unwrap();
        assert_eq!(rows_of(pair.as_mut(), 1).unwrap()[1], [3.0, 4.0, 6.0]);
    }
    let error = open_path(&path("odd"), &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("these are labels"), "{error}");
}
