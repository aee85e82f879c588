//! Recurrent layers step by step in f64. Each function works on one sequence; what the kernels keep of it is in the result's rows.
use super::{act, sigmoid, tanh};
use crate::Act;
use alloc::vec;
use alloc::vec::Vec;

/// `W[row] · h` for a row of `w [.., h.len()]`.
fn product(w: &[f64], row: usize, h: &[f64]) -> f64 {
    w[row * h.len()..][..h.len()].iter().zip(h).map(|(w, h)| w * h).sum()
}

/// `back[j] += Σ_row d[row] · w[row, j]`
fn add_transposed(back: &mut [f64], w: &[f64], d: &[f64]) {
    let h = back.len();
    for (row, d) in d.iter().enumerate() {
        for (j, b) in back.iter_mut().enumerate() {
            *b += d * w[row * h + j];
        }
    }
}

/// `h_t = act(xw_t + W·h_{t−1})`; `[t, h]`.
pub fn rnn_fwd(xw: &[f64], w: &[f64], f: Act, h: usize) -> Vec<f64> {
    let (mut y, mut state) = (Vec::new(), vec![0.0; h]);
    for x in xw.chunks(h) {
        state = (0..h).map(|j| act(f, x[j] + product(w, j, &state))).collect();
        y.extend(&state);
    }
    y
}

/// The gradient of `xw` through tanh.
pub fn rnn_tanh_bwd(dy: &[f64], y: &[f64], w: &[f64], h: usize) -> Vec<f64> {
    let (mut dxw, mut back) = (vec![0.0; dy.len()], vec![0.0; h]);
    for at in (0..dy.len()).step_by(h).rev() {
        for j in 0..h {
            dxw[at + j] = (dy[at + j] + back[j]) * (1.0 - y[at + j] * y[at + j]);
        }
        back.fill(0.0);
        add_transposed(&mut back, w, &dxw[at..at + h]);
    }
    dxw
}

/// Rows of i, f, g, o, c, h; `[t, 6h]`.
pub fn lstm_fwd(xw: &[f64], w: &[f64], h: usize) -> Vec<f64> {
    let (mut ws, mut state, mut cell) = (Vec::new(), vec![0.0; h], vec![0.0; h]);
    for x in xw.chunks(4 * h) {
        let sums: Vec<f64> = x.iter().enumerate().map(|(row, x)| x + product(w, row, &state)).collect();
        let gate = |g: usize, j: usize| if g == 2 { tanh(sums[2 * h + j]) } else { sigmoid(sums[g * h + j]) };
        for j in 0..h {
            cell[j] = gate(1, j) * cell[j] + gate(0, j) * gate(2, j);
            state[j] = gate(3, j) * tanh(cell[j]);
        }
        (0..4).for_each(|g| ws.extend((0..h).map(|j| gate(g, j))));
        ws.extend(&cell);
        ws.extend(&state);
    }
    ws
}

/// The gradient of `xw [t, 4h]`.
pub fn lstm_bwd(dy: &[f64], ws: &[f64], w: &[f64], h: usize) -> Vec<f64> {
    let t = dy.len() / h;
    let (mut dxw, mut dh, mut dc) = (vec![0.0; t * 4 * h], vec![0.0; h], vec![0.0; h]);
    for step in (0..t).rev() {
        let row = &ws[step * 6 * h..][..6 * h];
        let d = &mut dxw[step * 4 * h..][..4 * h];
        for j in 0..h {
            let [i, f, g, o, c] = core::array::from_fn(|part| row[part * h + j]);
            let before = if step > 0 { ws[(step - 1) * 6 * h + 4 * h + j] } else { 0.0 };
            let total = dy[step * h + j] + dh[j];
            dc[j] += total * o * (1.0 - tanh(c) * tanh(c));
            d[j] = dc[j] * g * i * (1.0 - i);
            d[h + j] = dc[j] * before * f * (1.0 - f);
            d[2 * h + j] = dc[j] * i * (1.0 - g * g);
            d[3 * h + j] = total * tanh(c) * o * (1.0 - o);
            dc[j] *= f;
        }
        dh.fill(0.0);
        add_transposed(&mut dh, w, d);
    }
    dxw
}

/// Rows of r, z, n, `W_hn·h + b_hn`, h; `[t, 5h]`.
pub fn gru_fwd(xw: &[f64], w: &[f64], b_hn: &[f64], h: usize) -> Vec<f64> {
    let (mut ws, mut state) = (Vec::new(), vec![0.0; h]);
    for x in xw.chunks(3 * h) {
        let gate = |g: usize, j: usize| sigmoid(x[g * h + j] + product(w, g * h + j, &state));
        let r: Vec<f64> = (0..h).map(|j| gate(0, j)).collect();
        let z: Vec<f64> = (0..h).map(|j| gate(1, j)).collect();
        let hn: Vec<f64> = (0..h).map(|j| product(w, 2 * h + j, &state) + b_hn[j]).collect();
        let n: Vec<f64> = (0..h).map(|j| tanh(x[2 * h + j] + r[j] * hn[j])).collect();
        state = (0..h).map(|j| (1.0 - z[j]) * n[j] + z[j] * state[j]).collect();
        [&r, &z, &n, &hn, &state].into_iter().for_each(|part| ws.extend(part));
    }
    ws
}

/// Rows of the gradients of the sums r, z, n and of `W_hn·h + b_hn`; `[t, 4h]`.
pub fn gru_bwd(dy: &[f64], ws: &[f64], w: &[f64], h: usize) -> Vec<f64> {
    let t = dy.len() / h;
    let (mut dg, mut dh) = (vec![0.0; t * 4 * h], vec![0.0; h]);
    for step in (0..t).rev() {
        let row = &ws[step * 5 * h..][..5 * h];
        let d = &mut dg[step * 4 * h..][..4 * h];
        let mut back = vec![0.0; h];
        for j in 0..h {
            let [r, z, n, hn] = core::array::from_fn(|part| row[part * h + j]);
            let before = if step > 0 { ws[(step - 1) * 5 * h + 4 * h + j] } else { 0.0 };
            let total = dy[step * h + j] + dh[j];
            let dn = total * (1.0 - z) * (1.0 - n * n);
            d[j] = dn * hn * r * (1.0 - r);
            d[h + j] = total * (before - n) * z * (1.0 - z);
            d[2 * h + j] = dn;
            d[3 * h + j] = dn * r;
            back[j] = total * z;
        }
        add_transposed(&mut back, &w[..2 * h * h], &d[..2 * h]);
        add_transposed(&mut back, &w[2 * h * h..], &d[3 * h..]);
        dh = back;
    }
    dg
}
