//! `mayfly pack run`: one kernel on files.
use super::args::RunArgs;
use super::{engine, kind, npy, verified};
use crate::support::exit::Usage;
use crate::support::output::{Extensions, Files, Output};
use crate::support::ui::Ui;
use anyhow::{Context, Result, ensure};
use mayfly_packs::{AnsweredBy, CallOptions, Kernel, KernelEntry, Pack, Tensor, TensorSpec, TensorView};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Values of an output that are shown.
const SHOWN: usize = 8;
/// Names that promise something else than a NumPy array.
const TENSOR: Extensions = Extensions::Not {
    what: "a NumPy array (.npy)",
    are: &["npz", "csv", "json", "parquet", "mayfly", "safetensors", "onnx", "net", "wasm", "txt"],
};
/// What a kernel's memory is counted in.
const PAGE_BYTES: u64 = 64 << 10;

/// Verifies the pack, runs the kernel and writes its outputs.
pub fn run(args: &RunArgs, ui: Ui) -> Result<()> {
    let pack = Pack::load(&verified(&args.pack, Some(kind(args.engine)), ui)?, &*engine(args.engine)?)?;
    let kernel = pack.kernel(&args.kernel)?;
    let entry = kernel.entry();
    let specs = if args.backward { &entry.inputs } else { &entry.outputs };
    let (files, places) = places(args, specs, ui)?;
    let inputs = read_all("--input", &args.inputs, &entry.inputs, entry)?;
    let params = args.params.iter().map(|text| param(text, kernel)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let (outputs, by) = match args.backward {
        false => forward(kernel, &inputs, &params)?,
        true => (backward(kernel, &inputs, args, &params)?, "kernel".to_owned()),
    };
    let us = start.elapsed().as_secs_f64() * 1e6;
    let mut written = Vec::new();
    for ((tensor, spec), path) in outputs.iter().zip(specs).zip(&places) {
        path.write(|out| Ok(out.write_all(&npy::bytes(tensor))?))?;
        written
            .push(json!({"name": spec.name, "dtype": spec.dtype.name(), "shape": tensor.shape, "file": path.path()}));
    }
    let engine = kind(args.engine).name();
    let object = json!({"kernel": args.kernel, "engine": engine, "answered_by": by, "us": us, "outputs": written});
    let mut text = format!("{} on {engine}: {us:.1} µs, answered by the {by}; {}", args.kernel, args.output.display());
    for (tensor, spec) in outputs.iter().zip(specs) {
        let name = if args.backward { format!("gradient of {}", spec.name) } else { spec.name.clone() };
        text += &format!("\n{name} {:?}: {}", tensor.shape, first_values(tensor));
    }
    files.result(ui, &text, &object)
}

/// Every file of the command, and where each output goes: known to be no loss before anything is computed.
fn places(args: &RunArgs, specs: &[TensorSpec], ui: Ui) -> Result<(Files, Vec<Output>)> {
    let value = |text: &'_ String| text.split_once('=').map(|(name, value)| (name.to_owned(), PathBuf::from(value)));
    let mut read: Vec<(String, PathBuf)> = args.inputs.iter().chain(&args.gradients).filter_map(value).collect();
    read.retain(|(_, path)| !path.as_os_str().as_encoded_bytes().starts_with(b"["));
    read.extend(args.pack.trust.iter().map(|path| ("--trust".to_owned(), path.clone())));
    let mut files = Files::reading(read.iter().map(|(name, path)| (&**name, &**path)))?;
    let one = specs.len() == 1 || args.output.as_os_str() != "-";
    ensure!(one, Usage(format!("-o -: standard output holds one tensor, these are {}; name a file", specs.len())));
    let pack = args.pack.pack.canonicalize().ok();
    let mut outputs = Vec::new();
    for (i, spec) in specs.iter().enumerate() {
        let path = if i == 0 { args.output.clone() } else { beside(&args.output, &spec.name) };
        let inside = path.canonicalize().is_ok_and(|path| pack.as_ref().is_some_and(|pack| path.starts_with(pack)));
        let lost =
            || format!("-o {}: that is a file of the pack, which would be lost; choose another name", path.display());
        ensure!(!inside, Usage(lost()));
        outputs.push(files.writing("-o", &path, TENSOR)?);
    }
    files.refuse_json(ui)?;
    Ok((files, outputs))
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
    let gradients = read_all("--gradient", &args.gradients, &entry.outputs, entry)?;
    let inputs = in_order("--input", inputs, &entry.inputs)?;
    let gradients = in_order("--gradient", &gradients, &entry.outputs)?;
    Ok(kernel.run_backward(&inputs, &gradients, &kernel.params(params)?, &CallOptions::default())?)
}

/// The tensors that the arguments name, each one of `specs`.
fn read_all<'a>(
    option: &str,
    texts: &'a [String],
    specs: &[TensorSpec],
    kernel: &KernelEntry,
) -> Result<Vec<(&'a str, Tensor)>> {
    let read = |text: &'a String| {
        let (name, value) =
            text.split_once('=').with_context(|| format!("{option} {text}: expected NAME=FILE.npy or NAME=[1,2,3]"))?;
        let known = || specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        let spec = specs.iter().find(|spec| spec.name == name);
        let spec = spec.with_context(|| format!("{option} {name}: {} has {}", kernel.id, known()))?;
        let most = kernel.resource_limits.max_memory_pages.saturating_mul(PAGE_BYTES);
        let file = || npy::read(Path::new(value), spec, most);
        let tensor = if value.starts_with('[') { npy::inline(value, spec) } else { file() };
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
