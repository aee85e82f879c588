//! Real data sets in FANN's format, from `MAYFLY_DATA` or beside the repository.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// Epochs whose errors are compared before an epoch is timed.
pub const CHECK_EPOCHS: usize = 5;

/// Rows of inputs and of targets.
pub struct Table {
    pub inputs: usize,
    pub outputs: usize,
    pub x: Vec<f32>,
    pub t: Vec<f32>,
}

/// The training file of a data set.
pub fn path(name: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("MAYFLY_DATA").map_or_else(beside_the_repository, PathBuf::from);
    let path = folder.join("fann").join(name).with_extension("train");
    ensure!(path.is_file(), "{} is not there: set MAYFLY_DATA to the folder with fann/{name}.train", path.display());
    Ok(path)
}

fn beside_the_repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}

/// Reads `rows inputs outputs`, then rows of inputs and targets in turn.
pub fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (head, rest) = text.split_once('\n').context("a FANN data file begins with a line of three counts")?;
    let counts: Vec<usize> = head.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[rows, inputs, outputs] = counts.as_slice() else { anyhow::bail!("expected three counts, found `{head}`") };
    let values: Vec<f32> = rest.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    ensure!(values.len() == rows * (inputs + outputs), "{} values do not make {rows} rows", values.len());
    let row = values.chunks(inputs + outputs);
    let x = row.clone().flat_map(|r| &r[..inputs]).copied().collect();
    Ok(Table { inputs, outputs, x, t: row.flat_map(|r| &r[inputs..]).copied().collect() })
}
