//! Times the matrix-shaped kernels on this machine: `cargo run --release -p mayfly-kernels --example tune -- [section ..]`.
//!
//! Each figure is the least of many samples of one thread. `MAYFLY_ISA` chooses the instruction set.
#![allow(clippy::print_stdout)]
use mayfly_kernels::*;
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let isa = Isa::detect();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let sections: [(&str, fn(Isa)); 8] = [
        ("peak", peak),
        ("infer", infer),
        ("tanh", tanh),
        ("batch", batch),
        ("step", step),
        ("train", train),
        ("conv", conv),
        ("gemm", gemm),
    ];
    for (name, run) in sections {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("-- {name} ({})", isa.name());
            run(isa);
        }
    }
}

/// Seconds of one call, the least of `samples` samples of about a millisecond.
fn time(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    f();
    let once = start.elapsed().as_secs_f64().max(1e-8);
    let calls = (1e-3 / once).ceil().clamp(1.0, 1e6) as usize;
    (0..SAMPLES).fold(f64::INFINITY, |best, _| {
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        best.min(start.elapsed().as_secs_f64() / calls as f64)
    })
}

const SAMPLES: usize = 200;

fn numbers(n: usize) -> Buffer<f32> {
    let mut b = Buffer::zeroed(n);
    let mut state = 1u32;
    for v in b.iter_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *v = (state >> 8) as f32 / 8_388_608.0 - 1.0;
    }
    b
}

fn flops_per_second(isa: Isa) -> f64 {
    let rounds = 10_000;
    fma_peak(isa, rounds) as f64
        / time(|| {
            fma_peak(isa, rounds);
        })
}

fn peak(isa: Isa) {
    println!("{:40} {:8.1} GFLOP/s", "multiply-add in registers", flops_per_second(isa) / 1e9);
    for kib in [16, 256, 512, 1024, 2090, 8192] {
        let x = numbers(kib * 256);
        let t = time(|| {
            black_box(sum(isa, black_box(&x)));
        });
        println!("{:40} {:8.1} GB/s", format!("read {kib} KiB"), kib as f64 * 1024.0 / t / 1e9);
    }
}

const NETS: [&[usize]; 5] =
    [&[64, 32, 16], &[256, 128, 64, 10], &[784, 512, 256, 10], &[784, 256, 128, 10], &[16, 8, 4]];

fn name(net: &[usize]) -> String {
    net.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
}

/// The activation of layer `l`: relu inside, nothing at the end.
fn act(net: &[usize], l: usize) -> Epilogue<'static> {
    Epilogue { act: if l + 2 == net.len() { Act::Identity } else { Act::Relu }, residual: None }
}

enum Packed {
    F32(Buffer<f32>),
    Bf16(Buffer<i32>),
    Int8(Buffer<i32>, Buffer<i32>),
}

struct Layer {
    i: usize,
    o: usize,
    packed: Packed,
}

fn layers(isa: Isa, net: &[usize], precision: &str) -> Vec<Layer> {
    net.windows(2)
        .map(|s| {
            let (i, o) = (s[0], s[1]);
            let (w, b) = (numbers(i * o), numbers(o));
            let packed = match precision {
                "f32" => {
                    let mut p = Buffer::zeroed(packed_len(isa, i, o));
                    pack(isa, &mut p, &w, Some(&b), i, o);
                    Packed::F32(p)
                }
                "bf16" => {
                    let mut p = Buffer::zeroed(packed_bf16_len(isa, i, o));
                    pack_bf16(isa, &mut p, &w, Some(&b), i, o);
                    Packed::Bf16(p)
                }
                _ => {
                    let mut p = Buffer::zeroed(packed_i8_len(isa, i, o));
                    pack_i8(isa, &mut p, &w, Some(&b), i, o);
                    Packed::Int8(p, Buffer::zeroed(packed_i8_scratch_len(i)))
                }
            };
            Layer { i, o, packed }
        })
        .collect()
}

fn run_net(isa: Isa, net: &[usize], layers: &mut [Layer], values: &mut [Buffer<f32>], rows: usize) {
    for (l, layer) in layers.iter_mut().enumerate() {
        let (before, after) = values.split_at_mut(l + 1);
        let (x, y) = (&before[l], &mut after[0]);
        let e = act(net, l);
        match &mut layer.packed {
            Packed::F32(p) => packed_fwd(isa, y, x, p, e, rows, layer.i, layer.o),
            Packed::Bf16(p) => packed_bf16_fwd(isa, y, x, p, e, rows, layer.i, layer.o),
            Packed::Int8(p, s) => packed_i8_fwd(isa, y, x, p, s, e, rows, layer.i, layer.o),
        }
    }
}

fn infer_rows(isa: Isa, rows: usize) {
    let peak = flops_per_second(isa);
    for net in NETS {
        for precision in ["f32", "bf16", "int8"] {
            let mut layers = layers(isa, net, precision);
            let mut values: Vec<_> = net.iter().map(|n| numbers(rows * n)).collect();
            let t = time(|| {
                run_net(isa, net, &mut layers, black_box(&mut values), rows);
            });
            let flops: usize = net.windows(2).map(|s| 2 * s[0] * s[1] * rows).sum();
            let share = flops as f64 / t / peak * 100.0;
            println!("{:40} {:10.3} us {share:6.1} %", format!("{} {precision} {rows} rows", name(net)), t * 1e6);
        }
    }
}

fn infer(isa: Isa) {
    infer_rows(isa, 1);
}

/// One layer with each activation in its epilogue.
fn tanh(isa: Isa) {
    for [i, o] in [[784, 256], [64, 32]] {
        let (w, x, mut y) = (numbers(i * o), numbers(i), numbers(o));
        let mut p = Buffer::<f32>::zeroed(packed_len(isa, i, o));
        pack(isa, &mut p, &w, None, i, o);
        for act in [Act::Relu, Act::Tanh, Act::Fann(FannAct::SigmoidSymmetric, 0.5)] {
            let end = Epilogue { act, residual: None };
            let t = time(|| packed_fwd(isa, black_box(&mut y), &x, &p, end, 1, i, o));
            println!("{:40} {:10.3} us", format!("{i} -> {o} {act:?}"), t * 1e6);
        }
    }
}

/// Convolutions of the usual small image network, forward and backward, a row of 64 images.
fn conv(isa: Isa) {
    let peak = flops_per_second(isa);
    for (channels, out_channels, size) in [(1, 16, 28), (16, 32, 14), (32, 32, 14)] {
        let c = Conv2d {
            batch: 64,
            channels,
            height: size,
            width: size,
            out_channels,
            kernel: [3; 2],
            stride: [1; 2],
            pad: [1; 4],
            dilation: [1; 2],
            groups: 1,
        };
        let pixels = size * size;
        let (mut x, mut y) = (numbers(64 * channels * pixels), numbers(64 * out_channels * pixels));
        let (mut w, mut scratch) = (numbers(9 * channels * out_channels), Buffer::<f32>::zeroed(c.scratch_len()));
        let name = format!("{channels} -> {out_channels} {size}x{size}");
        let report = |what: &str, t: f64| {
            let share = 2.0 * 64.0 * (9 * channels * out_channels * pixels) as f64 / t / peak * 100.0;
            println!("{:40} {:10.3} us/image {share:6.1} %", format!("{name} {what}"), t * 1e6 / 64.0);
        };
        report("fwd", time(|| conv2d_fwd(isa, black_box(&mut y), &x, &w, None, Act::Relu, &mut scratch, &c)));
        report("bwd_w", time(|| conv2d_bwd_w(isa, black_box(&mut w), &y, &x, &mut scratch, &c)));
        report("bwd_x", time(|| conv2d_bwd_x(isa, black_box(&mut x), &y, &w, &mut scratch, &c)));
    }
}

fn batch(isa: Isa) {
    infer_rows(isa, 8);
    infer_rows(isa, 256);
}

/// A whole step of gradient descent over plain weights: forward, squared error, backward, update.
struct Trainer {
    net: Vec<usize>,
    w: Vec<Buffer<f32>>,
    b: Vec<Buffer<f32>>,
    dw: Vec<Buffer<f32>>,
    db: Vec<Buffer<f32>>,
    y: Vec<Buffer<f32>>,
    dy: Vec<Buffer<f32>>,
    scratch: Buffer<f32>,
    rows: usize,
}

impl Trainer {
    fn new(net: &[usize], rows: usize) -> Trainer {
        let pairs = || net.windows(2);
        Trainer {
            net: net.to_vec(),
            w: pairs().map(|s| numbers(s[0] * s[1])).collect(),
            b: pairs().map(|s| numbers(s[1])).collect(),
            dw: pairs().map(|s| numbers(s[0] * s[1])).collect(),
            db: pairs().map(|s| numbers(s[1])).collect(),
            y: net.iter().map(|n| numbers(rows * n)).collect(),
            dy: net.iter().map(|n| numbers(rows * n)).collect(),
            scratch: Buffer::zeroed(pairs().map(|s| linear_scratch_len(rows, s[0], s[1])).fold(0, usize::max)),
            rows,
        }
    }

    fn step(&mut self, isa: Isa) {
        let (rows, last) = (self.rows, self.net.len() - 1);
        for l in 0..last {
            let (i, o) = (self.net[l], self.net[l + 1]);
            let (x, y) = self.y.split_at_mut(l + 1);
            linear_fwd(
                isa,
                &mut y[0],
                &x[l],
                &self.w[l],
                Some(&self.b[l]),
                act(&self.net, l),
                &mut self.scratch,
                rows,
                i,
                o,
            );
        }
        self.dy[last].iter_mut().zip(&*self.y[last]).for_each(|(d, y)| *d = 2.0 * (y - 0.5));
        for l in (0..last).rev() {
            let (i, o) = (self.net[l], self.net[l + 1]);
            linear_bwd_w(isa, &mut self.dw[l], &self.dy[l + 1], &self.y[l], &mut self.scratch, rows, i, o);
            reduce_fwd(isa, ReduceKind::Sum, &mut self.db[l], &self.dy[l + 1], 1, rows, o);
            if l > 0 {
                let (dx, dy) = self.dy.split_at_mut(l + 1);
                linear_bwd_x(isa, &mut dx[l], &dy[0], &self.w[l], &mut self.scratch, rows, i, o);
                dx[l].iter_mut().zip(&*self.y[l]).for_each(|(d, y)| *d = if *y > 0.0 { *d } else { 0.0 });
            }
        }
        for l in 0..last {
            axpy(isa, &mut self.w[l], -1e-6, &self.dw[l]);
            axpy(isa, &mut self.b[l], -1e-6, &self.db[l]);
        }
    }
}

fn step(isa: Isa) {
    let nets: [(&[usize], usize); 4] =
        [(&[64, 32, 10], 1), (&[256, 128, 10], 1), (&[64, 32, 10], 256), (&[784, 512, 256, 10], 256)];
    for (net, rows) in nets {
        let mut trainer = Trainer::new(net, rows);
        let t = time(|| trainer.step(isa));
        println!("{:40} {:10.3} us", format!("sgd step {} {rows} rows", name(net)), t * 1e6);
    }
}

fn line(what: &str, flops: usize, peak: f64, f: impl FnMut()) {
    let t = time(f);
    println!("{what:40} {:10.2} us {:6.1} %", t * 1e6, flops as f64 / t / peak * 100.0);
}

fn train(isa: Isa) {
    let peak = flops_per_second(isa);
    let shapes = [
        (1, 64, 32),
        (1, 32, 10),
        (1, 256, 128),
        (32, 64, 32),
        (128, 256, 128),
        (256, 64, 32),
        (256, 32, 10),
        (256, 784, 512),
        (256, 512, 256),
        (256, 256, 10),
        (512, 256, 128),
        (256, 21, 32),
        (256, 32, 3),
        (256, 125, 32),
        (256, 32, 2),
    ];
    for (rows, i, o) in shapes {
        let (x, w, b, dy) = (numbers(rows * i), numbers(i * o), numbers(o), numbers(rows * o));
        let (mut y, mut dx, mut dw) = (numbers(rows * o), numbers(rows * i), numbers(i * o));
        let mut s = Buffer::zeroed(linear_scratch_len(rows, i, o));
        let e = Epilogue { act: Act::Relu, residual: None };
        let flops = 2 * rows * i * o;
        let what = |part: &str| format!("{rows}x{i}->{o} {part}");
        line(&what("fwd"), flops, peak, || linear_fwd(isa, &mut y, &x, &w, Some(&b), e, &mut s, rows, i, o));
        line(&what("bwd_x"), flops, peak, || linear_bwd_x(isa, &mut dx, &dy, &w, &mut s, rows, i, o));
        line(&what("bwd_w"), flops, peak, || linear_bwd_w(isa, &mut dw, &dy, &x, &mut s, rows, i, o));
    }
}

fn gemm(isa: Isa) {
    let peak = flops_per_second(isa);
    for n in [16, 32, 64, 128, 256, 512, 1024] {
        let (a, b, mut c) = (numbers(n * n), numbers(n * n), numbers(n * n));
        for (ta, tb, s) in [(Trans::No, Trans::No, "nn"), (Trans::No, Trans::Yes, "nt"), (Trans::Yes, Trans::No, "tn")]
        {
            let product = MatMul { m: n, k: n, n, a: ta, b: tb };
            let mut scratch = Buffer::zeroed(product.scratch_len());
            let run = || matmul(isa, &mut c, &a, &b, &mut scratch, product);
            line(&format!("matmul {n} {s}"), 2 * n * n * n, peak, run);
        }
    }
}
