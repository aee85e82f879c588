//! The formulas in f64, plainly: the golden vectors come from here, and neither guests nor native references do.

pub const BLOCK: usize = 32;

/// `table` holds dim/2 cosines, then dim/2 sines, for each position.
pub fn rope(x: &[f64], table: &[f64], heads: usize, dim: usize, is_half: bool) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for (row, position) in (0..x.len() / dim).map(|row| (row * dim, row / heads)) {
        for i in 0..dim / 2 {
            let (c, s) = (table[position * dim + i], table[position * dim + dim / 2 + i]);
            let (a, b) = if is_half { (row + i, row + i + dim / 2) } else { (row + 2 * i, row + 2 * i + 1) };
            y[a] = x[a] * c - x[b] * s;
            y[b] = x[a] * s + x[b] * c;
        }
    }
    y
}

pub fn rmsnorm(x: &[f64], weight: &[f64], eps: f64) -> Vec<f64> {
    let row = |row: &[f64]| {
        let mean = row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64;
        row.iter().zip(weight).map(|(v, w)| v / (mean + eps).sqrt() * w).collect::<Vec<_>>()
    };
    x.chunks(weight.len()).flat_map(row).collect()
}

pub fn swiglu(gate: &[f64], up: &[f64]) -> Vec<f64> {
    gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect()
}

/// Data as whole numbers from 0, scales, zeros.
pub fn kv_pack(x: &[f64], bits: u32) -> (Vec<u8>, Vec<f64>, Vec<f64>) {
    let steps = f64::from((1u32 << bits) - 1);
    let (mut data, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
    for block in x.chunks(BLOCK) {
        let (low, high) = block.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let scale = (high - low) / steps;
        data.extend(block.iter().map(|v| if scale > 0.0 { ((v - low) / scale).round_ties_even() as u8 } else { 0 }));
        scales.push(scale);
        zeros.push(low);
    }
    (data, scales, zeros)
}

pub fn kv_unpack(data: &[u8], scales: &[f64], zeros: &[f64]) -> Vec<f64> {
    data.iter().enumerate().map(|(i, q)| f64::from(*q) * scales[i / BLOCK] + zeros[i / BLOCK]).collect()
}

pub fn lora(x: &[f64], a: &[f64], b: &[f64], base: &[f64], rank: usize, scale: f64) -> Vec<f64> {
    let (input, width) = (a.len() / rank, b.len() / rank);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut y = base.to_vec();
    for (x, y) in x.chunks(input).zip(y.chunks_mut(width)) {
        let low: Vec<f64> = a.chunks(input).map(|a| dot(x, a)).collect();
        y.iter_mut().zip(b.chunks(rank)).for_each(|(y, b)| *y += scale * dot(&low, b));
    }
    y
}
