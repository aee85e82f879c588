//! `mayfly pack run`: one kernel on files.
use super::args::RunArgs;
use super::{engine, kind, npy, verified};
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use mayfly_format::atomic;
use mayfly_packs::{AnsweredBy, CallOptions, Kernel, Pack, Tensor, TensorSpec, TensorView};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Values of an output that are shown.
const SHOWN: usize = 8;

/// Verifies the pack, runs the kernel and writes its outputs.
pub fn run(args: &RunArgs, ui: Ui) -> Result<()> {
    let pack = Pack::load(&verified(&args.pack, Some(kind(args.engine)))?, &*engine(args.engine)?)?;
    let kernel = pack.kernel(&args.kernel)?;
    let entry = kernel.entry();
    let inputs = read_all("--input", &args.inputs, &entry.inputs, &entry.id)?;
    let params = args.params.iter().map(|text| param(text, kernel)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let (outputs, by) = match args.backward {
        false => forward(kernel, &inputs, &params)?,
        true => (backward(kernel, &inputs, args, &params)?, "kernel".to_owned()),
    };
    let us = start.elapsed().as_secs_f64() * 1e6;
    let specs = if args.backward { &entry.inputs } else { &entry.outputs };
    let mut written = Vec::new();
    for (i, (tensor, spec)) in outputs.iter().zip(specs).enumerate() {
        let path = if i == 0 { args.output.clone() } else { beside(&args.output, &spec.name) };
        atomic::write(&path, |out| out.write_all(&npy::bytes(tensor)))?;
        written.push(json!({"name": spec.name, "dtype": spec.dtype.name(), "shape": tensor.shape, "file": path}));
    }
    let engine = kind(args.engine).name();
    let object = json!({"kernel": args.kernel, "engine": engine, "answered_by": by, "us": us, "outputs": written});
    let mut text = format!("{} on {engine}: {us:.1} µs, answered by the {by}; {}", args.kernel, args.output.display());
    for (tensor, spec) in outputs.iter().zip(specs) {
        let name = if args.backward { format!("gradient of {}", spec.name) } else { spec.name.clone() };
        text += &format!("\n{name} {:?}: {}", tensor.shape, first_values(tensor));
    }
    ui.result(&text, &object)
}

fn forward(kernel: &Kernel, inputs: &[(&str, Tensor)], params: &[(String, Value)]) -> Result<(Vec<Tensor>, String)> {
    let views: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, t)| (*name, t.view())).collect();
    let answer = kernel.run(&views, params, &CallOptions::default())?;
    let by = match &answer.by {
        AnsweredBy::Kernel => "kernel".to_owned(),
        AnsweredBy::Bypass => "native reference, by rule".to_owned(),
        AnsweredBy::Fallback(error) => format!("native reference, since the kernel failed: {error}"),
    };
    Ok((answer.outputs, by))
}

fn backward(
    kernel: &Kernel,
    inputs: &[(&str, Tensor)],
    args: &RunArgs,
    params: &[(String, Value)],
) -> Result<Vec<Tensor>> {
    let entry = kernel.entry();
    let gradients = read_all("--gradient", &args.gradients, &entry.outputs, &entry.id)?;
    let inputs = in_order("--input", inputs, &entry.inputs)?;
    let gradients = in_order("--gradient", &gradients, &entry.outputs)?;
    Ok(kernel.run_backward(&inputs, &gradients, &kernel.params(params)?, &CallOptions::default())?)
}

/// The tensors that the arguments name, each one of `specs`.
fn read_all<'a>(
    option: &str,
    texts: &'a [String],
    specs: &[TensorSpec],
    kernel: &str,
) -> Result<Vec<(&'a str, Tensor)>> {
    let read = |text: &'a String| {
        let (name, value) =
            text.split_once('=').with_context(|| format!("{option} {text}: expected NAME=FILE.npy or NAME=[1,2,3]"))?;
        let known = || specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        let spec = specs.iter().find(|spec| spec.name == name);
        let spec = spec.with_context(|| format!("{option} {name}: {kernel} has {}", known()))?;
        let tensor = if value.starts_with('[') { npy::inline(value, spec) } else { npy::read(Path::new(value), spec) };
        Ok((name, tensor?))
    };
    texts.iter().map(read).collect()
}

fn in_order<'a>(option: &str, named: &'a [(&str, Tensor)], specs: &[TensorSpec]) -> Result<Vec<TensorView<'a>>> {
    let one = |spec: &TensorSpec| {
        let found = named.iter().find(|(name, _)| *name == spec.name).map(|(_, tensor)| tensor.view());
        found.with_context(|| format!("{option} {}=FILE.npy is missing", spec.name))
    };
    specs.iter().map(one).collect()
}

fn first_values(tensor: &Tensor) -> String {
    let values = tensor.to_f64();
    let shown: Vec<String> = values.iter().take(SHOWN).map(|v| format!("{}", *v as f32)).collect();
    format!("{}{}", shown.join(" "), if values.len() > SHOWN { " …" } else { "" })
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
