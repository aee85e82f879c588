//! Golden vectors: inputs from a seed, sizes with whole vectors and without, outputs from the oracle.

use crate::oracle::{self, BLOCK};
use mayfly_base::Rng;
use mayfly_packs::{DType, GoldenCase, GoldenTensor, Tensor};
use serde_json::{Value, json};

/// Distances allowed. f32: what two roundings a step and the order of a sum can make; f16: one rounding of a value near a tie.
const F32_ULP: u64 = 16;
const F16_ULP: u64 = 1;
/// Scales of rope_q8: neither guest nor reference is further off on these inputs.
const SCALES_ULP: u64 = 1;

pub fn all() -> Vec<GoldenCase> {
    let mut rng = Rng::new(2026);
    let mut cases = Vec::new();
    for dtype in [DType::F32, DType::F16] {
        for layout in ["interleaved", "half"] {
            cases.extend([(2, 3, 32), (3, 1, 6), (2, 2, 44)].map(|shape| rope(&mut rng, dtype, layout, shape)));
        }
        cases.extend([(3, 64), (2, 19), (5, 77)].map(|shape| rmsnorm(&mut rng, dtype, shape)));
        cases.extend([64, 7].map(|n| swiglu(&mut rng, dtype, n)));
        cases.extend([(2, 32, 8, 16), (1, 5, 3, 7), (3, 45, 6, 11)].map(|shape| lora(&mut rng, dtype, shape)));
    }
    cases.extend(["interleaved", "half"].map(|layout| rope_q8(&mut rng, layout)));
    for bits in [4, 8] {
        cases.push(kv_pack(&mut rng, bits));
        cases.push(kv_unpack(&mut rng, bits));
    }
    cases
}

fn values(rng: &mut Rng, n: usize, low: f64, high: f64) -> Vec<f64> {
    (0..n).map(|_| f64::from((low + (high - low) * (rng.below(1 << 24) as f64 / f64::from(1 << 24))) as f32)).collect()
}

fn make(name: &str, dtype: DType, shape: &[usize], values: &[f64]) -> GoldenTensor {
    let floats: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    let bytes = || values.iter().map(|v| *v as i64 as u8).collect::<Vec<u8>>();
    let tensor = match dtype {
        DType::F32 => Tensor::from_f32(shape, &floats),
        DType::F16 => Tensor::from_f16(shape, &floats),
        DType::Q4 => {
            let data = bytes().chunks(2).map(|q| q[0] | (q[1] << 4)).collect();
            Tensor { dtype, shape: shape.to_vec(), data }
        }
        _ => Tensor { dtype, shape: shape.to_vec(), data: bytes() },
    };
    GoldenTensor { name: name.into(), tensor, max_ulp: None }
}

/// What the kernel sees: rounded to the type.
fn seen(tensor: &GoldenTensor) -> Vec<f64> {
    tensor.tensor.to_f64()
}

fn case(
    kernel: &str,
    dtype: DType,
    params: &[(&str, Value)],
    inputs: Vec<GoldenTensor>,
    outputs: Vec<GoldenTensor>,
) -> GoldenCase {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let max_ulp = if dtype == DType::F16 { F16_ULP } else { F32_ULP };
    GoldenCase { kernel: format!("{kernel}_{}", dtype.name()), params, inputs, outputs, max_ulp }
}

fn table(dtype: DType, seq: usize, dim: usize) -> GoldenTensor {
    let angle = |p: usize, i: usize| (p + 1) as f64 / 10000f64.powf(2.0 * i as f64 / dim as f64);
    let half = |p: usize, f: fn(f64) -> f64| (0..dim / 2).map(move |i| f(angle(p, i)));
    let all: Vec<f64> = (0..seq).flat_map(|p| half(p, f64::cos).chain(half(p, f64::sin)).collect::<Vec<_>>()).collect();
    make("table", dtype, &[seq, dim], &all)
}

fn rope(rng: &mut Rng, dtype: DType, layout: &str, (seq, heads, dim): (usize, usize, usize)) -> GoldenCase {
    // One sign and small angles apart: no difference of nearly equal products, which no bound in ULP survives.
    let x = make("x", dtype, &[seq, heads, dim], &values(rng, seq * heads * dim, 0.5, 2.0));
    let table = table(dtype, seq, dim);
    let y = oracle::rope(&seen(&x), &seen(&table), heads, dim, layout == "half");
    let y = make("y", dtype, &[seq, heads, dim], &y);
    let mut case = case("rope", dtype, &[("layout", json!(layout))], vec![x, table], vec![y]);
    case.max_ulp = if dtype == DType::F32 { 256 } else { 2 };
    case
}

fn rope_q8(rng: &mut Rng, layout: &str) -> GoldenCase {
    let (seq, heads, dim) = (2, 2, 64);
    let n = seq * heads * dim;
    let x =
        make("x", DType::Q8, &[seq, heads, dim], &(0..n).map(|_| rng.below(255) as f64 - 127.0).collect::<Vec<_>>());
    let scales = make("scales", DType::F32, &[n / BLOCK], &values(rng, n / BLOCK, 0.01, 0.1));
    let table = table(DType::F32, seq, dim);
    let real: Vec<f64> = seen(&x).iter().enumerate().map(|(i, q)| q * seen(&scales)[i / BLOCK]).collect();
    let y = oracle::rope(&real, &seen(&table), heads, dim, layout == "half");
    let y_scales: Vec<f64> = y.chunks(BLOCK).map(|b| b.iter().fold(0f64, |m, v| m.max(v.abs())) / 127.0).collect();
    let data: Vec<f64> = y.iter().enumerate().map(|(i, v)| (v / y_scales[i / BLOCK]).round_ties_even()).collect();
    let y_scales = GoldenTensor { max_ulp: Some(SCALES_ULP), ..make("y_scales", DType::F32, &[n / BLOCK], &y_scales) };
    let outputs = vec![make("y", DType::Q8, &[seq, heads, dim], &data), y_scales];
    // A value on the edge of two steps may fall to either.
    GoldenCase { max_ulp: 1, ..case("rope", DType::Q8, &[("layout", json!(layout))], vec![x, scales, table], outputs) }
}

fn rmsnorm(rng: &mut Rng, dtype: DType, (rows, dim): (usize, usize)) -> GoldenCase {
    let x = make("x", dtype, &[rows, dim], &values(rng, rows * dim, -3.0, 3.0));
    let weight = make("weight", dtype, &[dim], &values(rng, dim, 0.5, 1.5));
    let y = make("y", dtype, &[rows, dim], &oracle::rmsnorm(&seen(&x), &seen(&weight), f64::from(1e-6f32)));
    case("rmsnorm", dtype, &[("eps", json!(1e-6))], vec![x, weight], vec![y])
}

fn swiglu(rng: &mut Rng, dtype: DType, n: usize) -> GoldenCase {
    let gate = make("gate", dtype, &[n], &values(rng, n, -9.0, 9.0));
    let up = make("up", dtype, &[n], &values(rng, n, -2.0, 2.0));
    let y = make("y", dtype, &[n], &oracle::swiglu(&seen(&gate), &seen(&up)));
    case("swiglu", dtype, &[], vec![gate, up], vec![y])
}

fn lora(rng: &mut Rng, dtype: DType, (rows, input, rank, width): (usize, usize, usize, usize)) -> GoldenCase {
    let x = make("x", dtype, &[rows, input], &values(rng, rows * input, 0.1, 1.0));
    let a = make("a", dtype, &[rank, input], &values(rng, rank * input, 0.01, 0.1));
    let b = make("b", dtype, &[width, rank], &values(rng, width * rank, 0.01, 0.1));
    let base = make("base", dtype, &[rows, width], &values(rng, rows * width, 0.5, 2.0));
    let y = oracle::lora(&seen(&x), &seen(&a), &seen(&b), &seen(&base), rank, 0.5);
    let y = make("y", dtype, &[rows, width], &y);
    case("lora_apply", dtype, &[("scale", json!(0.5))], vec![x, a, b, base], vec![y])
}

fn quantised(bits: u32) -> DType {
    if bits == 4 { DType::Q4 } else { DType::Q8 }
}

/// 8-bit values are signed: 128 less than the steps counted from 0.
fn stored(data: &[u8], bits: u32) -> Vec<f64> {
    data.iter().map(|q| if bits == 4 { f64::from(*q) } else { f64::from(*q) - 128.0 }).collect()
}

fn kv_pack(rng: &mut Rng, bits: u32) -> GoldenCase {
    let n = 5 * BLOCK;
    let mut input = values(rng, n, -4.0, 4.0);
    input[BLOCK..2 * BLOCK].fill(1.25); // a block without a range
    let x = make("x", DType::F32, &[n], &input);
    let (data, scales, zeros) = oracle::kv_pack(&seen(&x), bits);
    let dtype = quantised(bits);
    let outputs = vec![
        make("data", dtype, &[n], &stored(&data, bits)),
        make("scales", DType::F32, &[n / BLOCK], &scales),
        make("zeros", DType::F32, &[n / BLOCK], &zeros),
    ];
    GoldenCase { max_ulp: 1, ..case("kv_pack", dtype, &[], vec![x], outputs) }
}

fn kv_unpack(rng: &mut Rng, bits: u32) -> GoldenCase {
    let n = 3 * BLOCK;
    let data: Vec<u8> = (0..n).map(|_| rng.below(1 << bits) as u8).collect();
    let scales = make("scales", DType::F32, &[n / BLOCK], &values(rng, n / BLOCK, 0.01, 0.1));
    let zeros = make("zeros", DType::F32, &[n / BLOCK], &values(rng, n / BLOCK, 0.5, 4.0));
    let x = make("x", DType::F32, &[n], &oracle::kv_unpack(&data, &seen(&scales), &seen(&zeros)));
    let data = make("data", quantised(bits), &[n], &stored(&data, bits));
    case("kv_unpack", quantised(bits), &[], vec![data, scales, zeros], vec![x])
}
