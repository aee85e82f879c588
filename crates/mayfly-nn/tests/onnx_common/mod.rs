//! What the ONNX tests share: fixtures and the arrays beside them.
#![allow(dead_code)]
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An array of an `.npz` file as f32, with its shape; texts are left out.
pub type Arrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The fixtures of real exporters, which the format's own tests read too.
pub fn fixtures() -> Vec<PathBuf> {
    onnx_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../mayfly-format/tests/golden/onnx"))
}

/// All models of a folder, in order.
pub fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    files.sort();
    files
}

/// The arrays beside a model.
pub fn arrays(model: &Path) -> Arrays {
    let file = std::fs::File::open(model.with_extension("npz")).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut arrays = Arrays::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).unwrap();
        let name = entry.name().trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if let Some(array) = npy(&bytes) {
            arrays.insert(name, array);
        }
    }
    arrays
}

fn npy(bytes: &[u8]) -> Option<(Vec<usize>, Vec<f32>)> {
    let len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + len]).unwrap();
    let data = &bytes[10 + len..];
    let shape = header.split("'shape': (").nth(1)?.split(')').next()?;
    let shape: Vec<usize> = shape.split(',').filter_map(|d| d.trim().parse().ok()).collect();
    let values = if header.contains("'<f4'") {
        data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    } else if header.contains("'<i8'") {
        data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect()
    } else {
        return None;
    };
    Some((shape, values))
}

/// The largest deviation, relative to the value where that is above 1.
pub fn deviation(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let one = |(g, w): (&f32, &f32)| {
        assert!(g.is_finite(), "{g}");
        (g - w).abs() / w.abs().max(1.0)
    };
    got.iter().zip(want).map(one).fold(0.0, f32::max)
}
