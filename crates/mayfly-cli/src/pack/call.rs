//! `mayfly pack run`: one kernel on files.
use super::args::RunArgs;
use super::{engine, kind, npy, verified};
use crate::ui::Ui;
use anyhow::{Context, Result};
use mayfly_format::atomic;
use mayfly_packs::{AnsweredBy, CallOptions, Kernel, Pack, Tensor, TensorView};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Verifies the pack, runs the kernel and writes its outputs.
pub fn run(args: &RunArgs, ui: Ui) -> Result<()> {
    let pack = Pack::load(&verified(&args.pack, Some(kind(args.engine)))?, &*engine(args.engine)?)?;
    let kernel = pack.kernel(&args.kernel)?;
    let inputs = args.inputs.iter().map(|text| read_input(text, kernel)).collect::<Result<Vec<_>>>()?;
    let views: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, t)| (*name, t.view())).collect();
    let params = args.params.iter().map(|text| param(text, kernel)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let answer = kernel.run(&views, &params, &CallOptions::default())?;
    let us = start.elapsed().as_secs_f64() * 1e6;
    let by = match &answer.by {
        AnsweredBy::Kernel => "kernel".to_owned(),
        AnsweredBy::Bypass => "native reference, by rule".to_owned(),
        AnsweredBy::Fallback(error) => format!("native reference, since the kernel failed: {error}"),
    };
    let mut written = Vec::new();
    for (i, (tensor, spec)) in answer.outputs.iter().zip(&kernel.entry().outputs).enumerate() {
        let path = if i == 0 { args.output.clone() } else { beside(&args.output, &spec.name) };
        atomic::write(&path, |out| out.write_all(&npy::bytes(tensor)))?;
        written.push(json!({"name": spec.name, "dtype": spec.dtype.name(), "shape": tensor.shape, "file": path}));
    }
    let object = json!({"kernel": args.kernel, "engine": kind(args.engine).name(), "answered_by": by, "us": us, "outputs": written});
    let text = format!(
        "{} on {}: {us:.1} µs, answered by the {by}; {}",
        args.kernel,
        kind(args.engine).name(),
        args.output.display()
    );
    ui.result(&text, &object)
}

fn read_input<'a>(text: &'a str, kernel: &Kernel) -> Result<(&'a str, Tensor)> {
    let (name, file) = text.split_once('=').with_context(|| format!("--input {text}: expected NAME=FILE.npy"))?;
    let known = || kernel.entry().inputs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    let spec = kernel.entry().inputs.iter().find(|spec| spec.name == name);
    let spec = spec.with_context(|| format!("--input {name}: {} has the inputs {}", kernel.entry().id, known()))?;
    Ok((name, npy::read(Path::new(file), spec)?))
}

fn param(text: &str, kernel: &Kernel) -> Result<(String, Value)> {
    let (name, value) = text.split_once('=').with_context(|| format!("--param {text}: expected NAME=VALUE"))?;
    let known = || kernel.entry().params.keys().cloned().collect::<Vec<_>>().join(", ");
    let spec = kernel.entry().params.get(name);
    let spec =
        spec.with_context(|| format!("--param {name}: {} has the parameters [{}]", kernel.entry().id, known()))?;
    Ok((name.to_owned(), spec.parse(value)))
}

/// `out.npy` and `scales` to `out.scales.npy`.
fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_extension(format!("{name}.npy"))
}
