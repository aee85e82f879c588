//! Entry points for fuzzing: each takes any bytes, reads them as one format, and checks what must hold of whatever was accepted.
//! They say whether it was accepted. The targets in `fuzz/` call them, and so do seeded mutation loops in the normal tests. Not part of the public interface.

use crate::DataLimits;
use crate::data::{
    Batch, Chunk, EncodedRows, Encoder, FileKind, FitOptions, Input, MissingPolicy, OpenOptions, RowOptions, Scaling,
    Source, Split, open,
};

/// Rows that are read at most: a few bytes can stand for very many rows in a run-length code.
const MAX_ROWS: usize = 20_000;

/// Every data format with its entry point.
pub const DATA: [(&str, fn(&[u8]) -> bool); 6] =
    [("csv", csv), ("fann_data", fann_data), ("idx", idx), ("npy", npy), ("npz", npz), ("parquet", parquet)];

/// Reads the bytes as CSV.
pub fn csv(bytes: &[u8]) -> bool {
    data(FileKind::Csv, bytes)
}

/// Reads the bytes as FANN training data.
pub fn fann_data(bytes: &[u8]) -> bool {
    data(FileKind::Fann, bytes)
}

/// Reads the bytes as IDX, packed or not.
pub fn idx(bytes: &[u8]) -> bool {
    data(FileKind::Idx, bytes)
}

/// Reads the bytes as npy.
pub fn npy(bytes: &[u8]) -> bool {
    data(FileKind::Npy, bytes)
}

/// Reads the bytes as npz.
pub fn npz(bytes: &[u8]) -> bool {
    data(FileKind::Npz, bytes)
}

/// Reads the bytes as Parquet, in a build that can.
pub fn parquet(bytes: &[u8]) -> bool {
    data(FileKind::Parquet, bytes)
}

/// Small limits, so that reaching them is tried too.
fn limits() -> DataLimits {
    DataLimits { columns: 1 << 12, record_bytes: 1 << 14, categories: 64, whole_array_bytes: 1 << 20 }
}

fn data(kind: FileKind, bytes: &[u8]) -> bool {
    let input = Input::from_bytes("fuzz", bytes);
    let _ = FileKind::of(&input);
    let options = OpenOptions { kind: Some(kind), limits: limits(), ..OpenOptions::default() };
    let Ok(mut source) = open(input.clone(), &options) else { return false };
    let passes = [7, 64].map(|step| {
        let pass = read_all(source.as_mut(), step);
        let rewound = source.rewind();
        (pass, rewound.is_ok())
    });
    let [(Some(first), true), (Some(second), true)] = &passes else { return false };
    assert_eq!(first, second, "two passes over the same file differ");
    if first.rows < MAX_ROWS {
        encode(&input, &options);
    }
    true
}

/// What must be the same however the rows are grouped.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pass {
    rows: usize,
    lines: Vec<u64>,
    numbers: Vec<u64>,
    codes: Vec<u32>,
}

fn read_all(source: &mut dyn Source, step: usize) -> Option<Pass> {
    let (mut pass, mut chunk) = (Pass::default(), Chunk::default());
    while pass.rows < MAX_ROWS {
        let rows = source.read(&mut chunk, step.min(MAX_ROWS - pass.rows)).ok()?;
        let schema = source.schema();
        assert_eq!((rows, chunk.first_row), (chunk.rows, pass.rows as u64));
        assert!(rows <= step);
        assert_eq!(chunk.numbers.len(), rows * schema.number_width());
        assert_eq!(chunk.codes.len(), rows * schema.code_width());
        assert!(!chunk.numbers.iter().any(|value| value.is_infinite()), "infinity got through");
        if rows == 0 {
            break;
        }
        pass.rows += rows;
        pass.lines.extend(&chunk.lines);
        pass.numbers.extend(chunk.numbers.iter().map(|value| value.to_bits()));
        pass.codes.extend(&chunk.codes);
    }
    Some(pass)
}

/// Fits and applies encoders by every policy; what they accept must be finite and of the right size.
fn encode(input: &Input, options: &OpenOptions) {
    let split = Split { seed: 1, validation_fraction: 0.25, test_fraction: 0.0 };
    for (missing, input_scaling) in [
        (MissingPolicy::Impute, Scaling::Standard),
        (MissingPolicy::DropRow, Scaling::MinMax),
        (MissingPolicy::Error, Scaling::None),
    ] {
        let fit = FitOptions { missing, input_scaling, split, ..FitOptions::default() };
        let Ok(mut source) = open(input.clone(), options) else { continue };
        let Ok(encoder) = Encoder::fit(source.as_mut(), &fit) else { continue };
        check_json(&encoder);
        let rows = RowOptions { split, ..RowOptions::default() };
        let Ok(mut rows) = EncodedRows::new(source, &encoder, &rows) else { continue };
        let mut batch = Batch::default();
        while rows.read(&mut batch, 100).is_ok_and(|rows| rows > 0) {
            assert_eq!(batch.inputs.len(), batch.rows * encoder.input_width());
            assert_eq!(batch.targets.len(), batch.rows * encoder.target_width());
            assert!(batch.inputs.iter().chain(&batch.targets).all(|value| value.is_finite()));
        }
    }
}

fn check_json(encoder: &Encoder) {
    let json = serde_json::to_string(encoder).unwrap_or_default();
    let back: Option<Encoder> = serde_json::from_str(&json).ok();
    assert_eq!(back.as_ref(), Some(encoder), "an encoder does not survive its JSON: {json}");
}
