//! `mayfly bench`: what this machine does with small networks, held against its own measured peak.
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_kernels::{Buffer, Isa, MatMul, Trans, fma_peak, matmul};
use mayfly_nn::{Act, Activation, InMemory, Network, NetworkSpec, Precision, TrainConfig, Trainer};
use serde_json::{Value, json};
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Time spent on each line.
const PER_CASE: Duration = Duration::from_millis(250);

/// One measured line.
struct Case {
    name: String,
    seconds: f64,
    /// Floating-point operations (multiplication and addition counted apart).
    operations: f64,
}

/// Least seconds of one call, over as many rounds as fit the time.
fn least(mut f: impl FnMut()) -> f64 {
    f();
    let once = Instant::now();
    f();
    let calls = (1e-4 / once.elapsed().as_secs_f64().max(1e-9)).clamp(1.0, 1e5) as usize;
    let (mut best, start) = (f64::INFINITY, Instant::now());
    while start.elapsed() < PER_CASE {
        let round = Instant::now();
        (0..calls).for_each(|_| f());
        best = best.min(round.elapsed().as_secs_f64() / calls as f64);
    }
    best
}

/// Measures and prints.
pub fn bench(ui: Ui) -> Result<()> {
    let isa = Isa::detect();
    let rounds = 20_000;
    let operations = fma_peak(isa, 1) * rounds;
    let peak = operations as f64
        / least(|| {
            black_box(fma_peak(isa, rounds as usize));
        })
        / 1e9;
    let mut cases = Vec::new();
    for n in [256, 512, 1024] {
        cases.push(product(isa, n));
    }
    for dims in [&[64, 32, 16][..], &[256, 128, 64, 10], &[784, 512, 256, 10]] {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            cases.push(inference(dims, precision, 1)?);
        }
        cases.push(inference(dims, Precision::F32, 256)?);
        cases.push(training(dims, 256)?);
    }
    ui.result(&text(&cases, isa, peak), &as_json(&cases, isa, peak))
}

fn product(isa: Isa, n: usize) -> Case {
    let (a, b, mut c) = (vec![0.5; n * n], vec![0.25; n * n], vec![0.0; n * n]);
    let product = MatMul { m: n, k: n, n, a: Trans::No, b: Trans::No };
    let mut scratch = Buffer::zeroed(product.scratch_len());
    let seconds = least(|| matmul(isa, &mut c, black_box(&a), &b, &mut scratch, product));
    Case { name: format!("matrix product {n}"), seconds, operations: 2.0 * (n as f64).powi(3) }
}

fn network(dims: &[usize]) -> Result<Network> {
    let (last, hidden) = (dims[dims.len() - 1], &dims[1..dims.len() - 1]);
    Ok(Network::new(NetworkSpec::dense(dims[0], hidden, Act::Relu.into(), last, Activation::IDENTITY), 1)?)
}

fn weights(dims: &[usize]) -> f64 {
    dims.windows(2).map(|w| (w[0] * w[1]) as f64).sum()
}

fn inference(dims: &[usize], precision: Precision, rows: usize) -> Result<Case> {
    let mut session = network(dims)?.session(rows, precision)?;
    session.input_mut(0).fill(0.5);
    let seconds = least(|| {
        session.run();
        black_box(session.output(0));
    });
    let name = format!("infer {rows} × {} {}", join(dims), format!("{precision:?}").to_lowercase());
    Ok(Case { name, seconds, operations: 2.0 * rows as f64 * weights(dims) })
}

fn training(dims: &[usize], rows: usize) -> Result<Case> {
    let config = TrainConfig { threads: 1, ..TrainConfig::default() };
    let mut trainer = Trainer::new(network(dims)?, config)?;
    let (i, o) = (dims[0], dims[dims.len() - 1]);
    let data = InMemory::new(i, o, vec![0.5; rows * i], vec![0.25; rows * o])?;
    let mut failed = None;
    let seconds = least(|| failed = trainer.step(data.inputs(), data.targets()).err());
    if let Some(e) = failed {
        return Err(e.into());
    }
    Ok(Case {
        name: format!("adam step {rows} × {}", join(dims)),
        seconds,
        operations: 6.0 * rows as f64 * weights(dims),
    })
}

fn join(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
}

fn text(cases: &[Case], isa: Isa, peak: f64) -> String {
    let mut out = format!(
        "{isa:?}, measured peak of one core {peak:.1} GFLOP/s\n\n{:<40}{:>14}{:>12}{:>10}\n",
        "", "ns", "GFLOP/s", "of peak"
    );
    for c in cases {
        let rate = c.operations / c.seconds / 1e9;
        let _ = writeln!(out, "{:<40}{:>14.0}{rate:>12.1}{:>8.0} %", c.name, c.seconds * 1e9, rate / peak * 100.0);
    }
    out
}

fn as_json(cases: &[Case], isa: Isa, peak: f64) -> Value {
    let line = |c: &Case| {
        let rate = c.operations / c.seconds / 1e9;
        json!({ "case": c.name, "ns": c.seconds * 1e9, "gflops": rate, "share_of_peak": rate / peak })
    };
    json!({ "isa": isa.name(), "peak_gflops": peak, "cases": cases.iter().map(line).collect::<Vec<_>>() })
}
