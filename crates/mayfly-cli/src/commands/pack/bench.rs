//! `mayfly pack bench`: kernels against their native references, side by side in one run.
use super::args::{BenchArgs, EngineName};
use super::shapes::{Size, inputs};
use super::{engine, kind, options, verified};
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use mayfly_packs::{CallOptions, Isolation, Kernel, Pack, Tensor, TensorView, WasmtimeEngine, WasmtimeProfile};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_millis(120);
const SMALL_CALLS: usize = 4000;
/// Kernel and reference take so many turns.
const TURNS: u32 = 20;

/// Measures all kernels and prints a line each.
pub fn run(args: &BenchArgs, ui: Ui) -> Result<()> {
    let verified = verified(&args.pack, Some(kind(args.engine)), ui)?;
    let pack = Pack::load(&verified, &*engine(args.engine)?)?;
    if !ui.json {
        ui.result(
            "kernel            shape                     wasm µs    call µs  native µs  ratio  overhead ns p50   p99  GFLOP/s",
            &Value::Null,
        )?;
    }
    for kernel in pack.kernels() {
        let row = measure(kernel, args.engine)?;
        ui.result(&line(&row), &row)?;
    }
    if !ui.json {
        ui.note(common(&pack)?);
        if args.engine == EngineName::Wasmtime {
            ui.note(epochs(&verified, &pack)?);
        }
    }
    Ok(())
}

/// One call, ready to be repeated.
struct Case<'a> {
    kernel: &'a Kernel,
    inputs: Vec<Tensor>,
    params: Vec<u8>,
    outputs: Vec<Vec<u8>>,
}

impl<'a> Case<'a> {
    fn new(kernel: &'a Kernel, size: Size) -> Result<Self> {
        let (inputs, params) = (inputs(kernel.entry(), size)?, kernel.params(&[])?);
        let views: Vec<TensorView<'_>> = inputs.iter().map(Tensor::view).collect();
        let outputs = kernel.run_guest(&views, &params, Isolation::Reuse)?.into_iter().map(|t| t.data).collect();
        Ok(Self { kernel, inputs, params, outputs })
    }

    /// Nanoseconds of each of `calls` calls.
    fn times(&mut self, calls: usize, way: Way) -> Result<Vec<f64>> {
        if way == Way::InPlace {
            return self.times_in_place(calls);
        }
        let views: Vec<TensorView<'_>> = self.inputs.iter().map(Tensor::view).collect();
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let mut outputs: Vec<&mut [u8]> = self.outputs.iter_mut().map(|o| &mut o[..]).collect();
            let start = Instant::now();
            if way == Way::Native {
                self.kernel.run_native_into(&views, &self.params, &mut outputs).context("no native reference")??;
            } else {
                black_box(self.kernel.run_into(&views, &self.params, &mut outputs, &CallOptions::default())?);
            }
            times.push(start.elapsed().as_nanos() as f64);
        }
        Ok(times)
    }

    /// The guest alone: its tensors are in its memory already.
    fn times_in_place(&mut self, calls: usize) -> Result<Vec<f64>> {
        let shapes: Vec<&[usize]> = self.inputs.iter().map(|t| &t.shape[..]).collect();
        let mut call = self.kernel.prepare(&shapes, &self.params, &CallOptions::default())?;
        for (i, tensor) in self.inputs.iter().enumerate() {
            call.input_mut(i)?.copy_from_slice(&tensor.data);
        }
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let start = Instant::now();
            call.run()?;
            times.push(start.elapsed().as_nanos() as f64);
        }
        Ok(times)
    }

    /// The median of each way, all in turns, so that they meet the same machine.
    fn medians<const N: usize>(&mut self, ways: [Way; N]) -> Result<[f64; N]> {
        let mut calls = [0; N];
        for (calls, way) in calls.iter_mut().zip(ways) {
            let once = middle(self.times(3, way)?).max(100.0);
            *calls = (TIME.as_nanos() as f64 / f64::from(TURNS) / once).clamp(3.0, 2000.0) as usize;
        }
        let mut all: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
        for _ in 0..TURNS {
            for ((times, calls), way) in all.iter_mut().zip(calls).zip(ways) {
                times.extend(self.times(calls, way)?);
            }
        }
        Ok(all.map(middle))
    }
}

/// What is timed.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The guest, its tensors in place.
    InPlace,
    /// A call with its copies of inputs and outputs.
    Call,
    /// The native reference.
    Native,
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn measure(kernel: &Kernel, engine: EngineName) -> Result<Value> {
    let mut usual = Case::new(kernel, Size::Usual)?;
    let has_native = usual.times(1, Way::Native).is_ok();
    let (wasm, call, native) = if has_native {
        let [wasm, call, native] = usual.medians([Way::InPlace, Way::Call, Way::Native])?;
        (wasm, call, Some(native))
    } else {
        let [wasm, call] = usual.medians([Way::InPlace, Way::Call])?;
        (wasm, call, None)
    };
    let mut small = Case::new(kernel, Size::Small)?;
    let calls = if engine == EngineName::Wasmi { SMALL_CALLS / 10 } else { SMALL_CALLS };
    let base = if has_native { small.medians([Way::Native])?[0] } else { 0.0 };
    let mut guest = small.times(calls, Way::Call)?;
    guest.sort_by(f64::total_cmp);
    let overhead = |percent: usize| (guest[(guest.len() - 1) * percent / 100] - base).max(0.0);
    let shapes: Vec<&[usize]> = usual.inputs.iter().map(|t| &t.shape[..]).collect();
    Ok(json!({
        "kernel": kernel.entry().id,
        "engine": kind(engine).name(),
        "shape": shapes,
        "wasm_us": wasm / 1e3,
        "call_us": call / 1e3,
        "native_us": native.map(|ns| ns / 1e3),
        "ratio": native.map(|ns| wasm / ns),
        "overhead_ns_p50": overhead(50),
        "overhead_ns_p99": overhead(99),
        "gflops": flops(kernel, &usual.inputs).map(|n| n / wasm),
    }))
}

/// Floating-point operations of a call, where the kernel's name says what it computes.
fn flops(kernel: &Kernel, inputs: &[Tensor]) -> Option<f64> {
    let n = |i: usize| inputs.get(i).map(|t| t.shape.iter().product::<usize>() as f64);
    let id = kernel.entry().id.as_str();
    match id.rsplit_once('_')?.0 {
        "rope" => Some(3.0 * n(0)?),
        "rmsnorm" => Some(4.0 * n(0)?),
        "lora_apply" => {
            let rows = *inputs.first()?.shape.first()? as f64;
            Some(2.0 * rows * (n(1)? + n(2)?))
        }
        _ => None,
    }
}

fn line(row: &Value) -> String {
    let number = |name: &str| row[name].as_f64().map_or("-".into(), |v| format!("{v:.2}"));
    let shape = row["shape"][0].to_string();
    format!(
        "{:<17} {:<24} {:>8} {:>10} {:>10} {:>6} {:>15} {:>7} {:>8}",
        row["kernel"].as_str().unwrap_or_default(),
        shape,
        number("wasm_us"),
        number("call_us"),
        number("native_us"),
        number("ratio"),
        number("overhead_ns_p50"),
        number("overhead_ns_p99"),
        number("gflops")
    )
}

/// Nanoseconds of one of `n` repetitions.
fn each(n: u32, mut act: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    (0..n).try_for_each(|_| act())?;
    Ok(start.elapsed().as_nanos() as f64 / f64::from(n))
}

/// What does not depend on the kernel.
fn common(pack: &Pack) -> Result<String> {
    let kernel = pack.kernels().first().context("a pack without kernels")?;
    let id = kernel.entry().id.clone();
    let lookup = each(100_000, || pack.kernel(black_box(&id)).map(black_box).map(|_| ()).map_err(Into::into))?;
    let kept = each(10_000, || Ok(kernel.touch_instance(Isolation::Reuse)?))?;
    let fresh = each(1000, || Ok(kernel.touch_instance(Isolation::Fresh)?))?;
    Ok(format!("lookup {lookup:.0} ns, kept instance {kept:.0} ns, new instance {fresh:.0} ns"))
}

/// The same kernels with and without epoch checks, alternating.
fn epochs(verified: &mayfly_packs::VerifiedPack, pack: &Pack) -> Result<String> {
    let options = options()?;
    let engine = WasmtimeEngine::new(WasmtimeProfile::Unbounded, &options)?;
    let bare = Pack::load(verified, &engine)?;
    let mut ratios = Vec::new();
    for (with, without) in pack.kernels().iter().zip(bare.kernels()) {
        let (mut with, mut without) = (Case::new(with, Size::Usual)?, Case::new(without, Size::Usual)?);
        let ([with], [without]) = (with.medians([Way::InPlace])?, without.medians([Way::InPlace])?);
        ratios.push(with / without);
    }
    ratios.sort_by(f64::total_cmp);
    let (least, most) = (ratios.first().unwrap_or(&1.0), ratios.last().unwrap_or(&1.0));
    Ok(format!(
        "epoch checks: {:.3} times the time without (median of the kernels; {least:.3} to {most:.3})",
        ratios[ratios.len() / 2]
    ))
}
