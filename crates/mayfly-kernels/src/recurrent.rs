//! Recurrent layers over whole sequences, `[batch, time, ..]`. The input projection is done beforehand; states start at zero unless they are given.
use crate::act_vec::{act_bwd_vec, act_vec};
use crate::linear::{Epilogue, linear_bwd_x, linear_fwd, linear_scratch_len};
use crate::simd::{Simd, dispatch};
use crate::size::{capped, check_len};
use crate::{Act, Isa, math};

#[track_caller]
fn check_scratch(name: &str, got: usize, want: usize) {
    assert!(got >= want, "{name}: {got} elements of scratch where {want} are needed");
}

/// Scratch of [`rnn_fwd`] and [`rnn_bwd`], in f32.
pub fn rnn_scratch_len(b: usize, h: usize) -> usize {
    capped(&[2, b, h]).saturating_add(linear_scratch_len(b, h, h))
}

/// Scratch of [`lstm_fwd`] and [`lstm_bwd`], in f32.
pub fn lstm_scratch_len(b: usize, h: usize) -> usize {
    capped(&[6, b, h]).saturating_add(linear_scratch_len(b, h, capped(&[4, h])))
}

/// Scratch of [`gru_fwd`] and [`gru_bwd`], in f32.
pub fn gru_scratch_len(b: usize, h: usize) -> usize {
    capped(&[5, b, h]).saturating_add(linear_scratch_len(b, h, capped(&[3, h])))
}

/// `h_t = act(xw_t + W_hh · h_{t−1})`: `xw`, `y` `[b, t, h]`, `w_hh [h, h]`.
pub fn rnn_fwd(
    isa: Isa,
    y: &mut [f32],
    xw: &[f32],
    w_hh: &[f32],
    act: Act,
    scratch: &mut [f32],
    b: usize,
    t: usize,
    h: usize,
) {
    check_len("rnn_fwd", &[y.len(), xw.len()], &[b, t, h]);
    check_len("rnn_fwd", &[w_hh.len()], &[h, h]);
    check_scratch("rnn_fwd", scratch.len(), rnn_scratch_len(b, h));
    let (hidden, rest) = scratch.split_at_mut(b * h);
    let (products, scratch) = rest.split_at_mut(b * h);
    products.fill(0.0);
    for step in 0..t {
        if step > 0 {
            linear_fwd(isa, products, hidden, w_hh, None, Epilogue::default(), scratch, b, h, h);
        }
        for r in 0..b {
            let at = (r * t + step) * h..(r * t + step + 1) * h;
            let (y, x, p) = (&mut y[at.clone()], &xw[at], &products[r * h..(r + 1) * h]);
            dispatch!(isa, rnn_cell(y: &mut [f32], x: &[f32], p: &[f32], act: Act));
            hidden[r * h..(r + 1) * h].copy_from_slice(y);
        }
    }
}

#[inline(always)]
fn rnn_cell<S: Simd>(s: S, y: &mut [f32], x: &[f32], p: &[f32], act: Act) {
    for (at, y) in y.chunks_mut(S::N).enumerate() {
        let sum = s.add(s.load_part(&x[at * S::N..]), s.load_part(&p[at * S::N..]));
        s.store_part(y, act_vec(s, act, sum));
    }
}

/// The gradient of `xw` from `dy` and the outputs of [`rnn_fwd`]; `act` must have a derivative in its output (tanh, relu).
pub fn rnn_bwd(
    isa: Isa,
    dxw: &mut [f32],
    dy: &[f32],
    y: &[f32],
    w_hh: &[f32],
    act: Act,
    scratch: &mut [f32],
    b: usize,
    t: usize,
    h: usize,
) {
    check_len("rnn_bwd", &[dxw.len(), dy.len(), y.len()], &[b, t, h]);
    check_len("rnn_bwd", &[w_hh.len()], &[h, h]);
    check_scratch("rnn_bwd", scratch.len(), rnn_scratch_len(b, h));
    let (later, rest) = scratch.split_at_mut(b * h);
    let (gates, scratch) = rest.split_at_mut(b * h);
    later.fill(0.0);
    for step in (0..t).rev() {
        for r in 0..b {
            let at = (r * t + step) * h..(r * t + step + 1) * h;
            let (d, dy, y, l) = (&mut dxw[at.clone()], &dy[at.clone()], &y[at], &later[r * h..(r + 1) * h]);
            dispatch!(isa, rnn_cell_bwd(d: &mut [f32], dy: &[f32], y: &[f32], l: &[f32], act: Act));
            gates[r * h..(r + 1) * h].copy_from_slice(d);
        }
        if step > 0 {
            linear_bwd_x(isa, later, gates, w_hh, scratch, b, h, h);
        }
    }
}

#[inline(always)]
fn rnn_cell_bwd<S: Simd>(s: S, d: &mut [f32], dy: &[f32], y: &[f32], later: &[f32], act: Act) {
    for (at, d) in d.chunks_mut(S::N).enumerate() {
        let total = s.add(s.load_part(&dy[at * S::N..]), s.load_part(&later[at * S::N..]));
        s.store_part(d, act_bwd_vec(s, act, total, s.load_part(&y[at * S::N..])));
    }
}

/// The gradient of a state from which a recurrent layer started.
pub struct StartBwd<'a> {
    /// The state: `[b, 2h]`, c and h of a long short-term memory, or `[b, h]` of a gated recurrent unit.
    pub start: &'a [f32],
    /// The gradients of all cells `[b, t, h]`; empty where there are none.
    pub dcell: &'a [f32],
    /// The gradient of `start`.
    pub dstart: &'a mut [f32],
}

/// Long short-term memory: `xw [b, t, 4h]` (i, f, g, o), `w_hh [4h, h]`, and c and h from which it starts, `[b, 2h]`. A row of the workspace `ws [b, t, 6h]` is i, f, g, o after activation, c and h.
pub fn lstm_fwd(
    isa: Isa,
    ws: &mut [f32],
    xw: &[f32],
    w_hh: &[f32],
    start: Option<&[f32]>,
    scratch: &mut [f32],
    b: usize,
    t: usize,
    h: usize,
) {
    check_len("lstm_fwd", &[ws.len()], &[b, t, 6, h]);
    check_len("lstm_fwd", &[xw.len()], &[b, t, 4, h]);
    check_len("lstm_fwd", &[w_hh.len()], &[4, h, h]);
    check_scratch("lstm_fwd", scratch.len(), lstm_scratch_len(b, h));
    let (hidden, rest) = scratch.split_at_mut(b * h);
    let (cell, rest) = rest.split_at_mut(b * h);
    let (products, scratch) = rest.split_at_mut(4 * b * h);
    products.fill(0.0);
    cell.fill(0.0);
    if let Some(start) = start {
        check_len("lstm_fwd", &[start.len()], &[b, 2, h]);
        for r in 0..b {
            let (c, last) = start[r * 2 * h..][..2 * h].split_at(h);
            cell[r * h..][..h].copy_from_slice(c);
            hidden[r * h..][..h].copy_from_slice(last);
        }
    }
    for step in 0..t {
        if step > 0 || start.is_some() {
            linear_fwd(isa, products, hidden, w_hh, None, Epilogue::default(), scratch, b, h, 4 * h);
        }
        for r in 0..b {
            let x = &xw[(r * t + step) * 4 * h..][..4 * h];
            let row = &mut ws[(r * t + step) * 6 * h..][..6 * h];
            let (p, c) = (&products[r * 4 * h..][..4 * h], &mut cell[r * h..][..h]);
            dispatch!(isa, lstm_cell(row: &mut [f32], x: &[f32], p: &[f32], c: &mut [f32]));
            hidden[r * h..][..h].copy_from_slice(&row[5 * h..]);
        }
    }
}

#[inline(always)]
fn lstm_cell<S: Simd>(s: S, row: &mut [f32], x: &[f32], p: &[f32], cell: &mut [f32]) {
    let h = cell.len();
    for at in (0..h).step_by(S::N) {
        let end = h.min(at + S::N);
        let z = |gate: usize| {
            s.add(s.load_part(&x[gate * h + at..gate * h + end]), s.load_part(&p[gate * h + at..gate * h + end]))
        };
        let (i, f, g, o) =
            (math::sigmoid(s, z(0)), math::sigmoid(s, z(1)), math::tanh(s, z(2)), math::sigmoid(s, z(3)));
        let c = s.mul_add(f, s.load_part(&cell[at..end]), s.mul(i, g));
        let values = [i, f, g, o, c, s.mul(o, math::tanh(s, c))];
        for (part, v) in values.into_iter().enumerate() {
            s.store_part(&mut row[part * h + at..part * h + end], v);
        }
        s.store_part(&mut cell[at..end], c);
    }
}

/// The gradient of `xw` `[b, t, 4h]` from `dy [b, t, h]` and the workspace of [`lstm_fwd`], and that of the state from which it started.
pub fn lstm_bwd(
    isa: Isa,
    dxw: &mut [f32],
    dy: &[f32],
    ws: &[f32],
    w_hh: &[f32],
    start: Option<StartBwd<'_>>,
    scratch: &mut [f32],
    b: usize,
    t: usize,
    h: usize,
) {
    check_len("lstm_bwd", &[dxw.len()], &[b, t, 4, h]);
    check_len("lstm_bwd", &[dy.len()], &[b, t, h]);
    check_len("lstm_bwd", &[ws.len()], &[b, t, 6, h]);
    check_len("lstm_bwd", &[w_hh.len()], &[4, h, h]);
    check_scratch("lstm_bwd", scratch.len(), lstm_scratch_len(b, h));
    let (dh, rest) = scratch.split_at_mut(b * h);
    let (dc, rest) = rest.split_at_mut(b * h);
    let (gates, scratch) = rest.split_at_mut(4 * b * h);
    dh.fill(0.0);
    dc.fill(0.0);
    if let Some(start) = &start {
        check_len("lstm_bwd", &[start.start.len(), start.dstart.len()], &[b, 2, h]);
        assert!(start.dcell.is_empty() || start.dcell.len() == dy.len(), "lstm_bwd: gradients of other cells");
    }
    for step in (0..t).rev() {
        for r in 0..b {
            let at = r * t + step;
            let before = match &start {
                _ if step > 0 => &ws[(at - 1) * 6 * h + 4 * h..][..h],
                Some(start) => &start.start[r * 2 * h..][..h],
                None => &[],
            };
            let d = &mut dxw[at * 4 * h..][..4 * h];
            let (dy, row) = (&dy[at * h..][..h], &ws[at * 6 * h..][..6 * h]);
            let (dh, dc) = (&dh[r * h..][..h], &mut dc[r * h..][..h]);
            if let Some(dcell) = start.as_ref().and_then(|start| start.dcell.get(at * h..(at + 1) * h)) {
                dc.iter_mut().zip(dcell).for_each(|(dc, more)| *dc += more);
            }
            dispatch!(isa, lstm_cell_bwd(d: &mut [f32], dy: &[f32], row: &[f32], before: &[f32], dh: &[f32], dc: &mut [f32]));
            gates[r * 4 * h..][..4 * h].copy_from_slice(d);
        }
        if step > 0 || start.is_some() {
            linear_bwd_x(isa, dh, gates, w_hh, scratch, b, h, 4 * h);
        }
    }
    if let Some(start) = start {
        for r in 0..b {
            let (c, last) = start.dstart[r * 2 * h..][..2 * h].split_at_mut(h);
            c.copy_from_slice(&dc[r * h..][..h]);
            last.copy_from_slice(&dh[r * h..][..h]);
        }
    }
}

/// `before` is the cell of the step before, empty at the first.
#[inline(always)]
fn lstm_cell_bwd<S: Simd>(s: S, d: &mut [f32], dy: &[f32], row: &[f32], before: &[f32], dh: &[f32], dc: &mut [f32]) {
    let h = dy.len();
    let one = s.splat(1.0);
    for at in (0..h).step_by(S::N) {
        let end = h.min(at + S::N);
        let part = |p: usize| s.load_part(&row[p * h + at..p * h + end]);
        let (i, f, g, o) = (part(0), part(1), part(2), part(3));
        let tc = math::tanh(s, part(4));
        let total = s.add(s.load_part(&dy[at..end]), s.load_part(&dh[at..end]));
        let through = s.mul(s.mul(total, o), s.sub(one, s.mul(tc, tc)));
        let dcell = s.add(s.load_part(&dc[at..end]), through);
        let c_before = s.load_part(if before.is_empty() { &[] } else { &before[at..end] });
        let slope = |y: S::F32| s.mul(y, s.sub(one, y));
        let values = [
            s.mul(s.mul(dcell, g), slope(i)),
            s.mul(s.mul(dcell, c_before), slope(f)),
            s.mul(s.mul(dcell, i), s.sub(one, s.mul(g, g))),
            s.mul(s.mul(total, tc), slope(o)),
        ];
        for (gate, v) in values.into_iter().enumerate() {
            s.store_part(&mut d[gate * h + at..gate * h + end], v);
        }
        s.store_part(&mut dc[at..end], s.mul(dcell, f));
    }
}

/// Gated recurrent unit: `xw [b, t, 3h]` (r, z, n), `w_hh [3h, h]`, `b_hn [h]`, and the h from which it starts, `[b, h]`. A row of the workspace `ws [b, t, 5h]` is r, z, n, `W_hn·h + b_hn` and h.
pub fn gru_fwd(
    isa: Isa,
    ws: &mut [f32],
    xw: &[f32],
    w_hh: &[f32],
    b_hn: &[f32],
    start: Option<&[f32]>,
    scratch: &mut [f32],
    b: usize,
    t: usize,
    h: usize,
) {
    check_len("gru_fwd", &[ws.len()], &[b, t, 5, h]);
    check_len("gru_fwd", &[xw.len()], &[b, t, 3, h]);
    check_len("gru_fwd", &[w_hh.len()], &[3, h, h]);
    check_len("gru_fwd", &[b_hn.len()], &[h]);
    check_scratch("gru_fwd", scratch.len(), gru_scratch_len(b, h));
    let (hidden, rest) = scratch.split_at_mut(b * h);
    let (products, scratch) = rest.split_at_mut(3 * b * h);
    match start {
        Some(start) => {
            check_len("gru_fwd", &[start.len()], &[b, h]);
            hidden.copy_from_slice(start);
        }
        None => hidden.fill(0.0),
    }
    products.fill(0.0);
    for step in 0..t {
        if step > 0 || start.is_some() {
            linear_fwd(isa, products, hidden, w_hh, None, Epilogue::default(), scratch, b, h, 3 * h);
        }
        for r in 0..b {
            let x = &xw[(r * t + step) * 3 * h..][..3 * h];
            let row = &mut ws[(r * t + step) * 5 * h..][..5 * h];
            let (p, hidden) = (&products[r * 3 * h..][..3 * h], &mut hidden[r * h..][..h]);
            dispatch!(isa, gru_cell(row: &mut [f32], x: &[f32], p: &[f32], b_hn: &[f32], hidden: &mut [f32]));
        }
    }
}

#[inline(always)]
fn gru_cell<S: Simd>(s: S, row: &mut [f32], x: &[f32], p: &[f32], b_hn: &[f32], hidden: &mut [f32]) {
    let h = hidden.len();
    for at in (0..h).step_by(S::N) {
        let end = h.min(at + S::N);
        let x = |gate: usize| s.load_part(&x[gate * h + at..gate * h + end]);
        let p = |gate: usize| s.load_part(&p[gate * h + at..gate * h + end]);
        let r = math::sigmoid(s, s.add(x(0), p(0)));
        let z = math::sigmoid(s, s.add(x(1), p(1)));
        let hn = s.add(p(2), s.load_part(&b_hn[at..end]));
        let n = math::tanh(s, s.mul_add(r, hn, x(2)));
        // (1 − z)·n + z·h = n + z·(h − n)
        let new = s.mul_add(z, s.sub(s.load_part(&hidden[at..end]), n), n);
        for (part, v) in [r, z, n, hn, new].into_iter().enumerate() {
            s.store_part(&mut row[part * h + at..part * h + end], v);
        }
        s.store_part(&mut hidden[at..end], new);
    }
}

/// From `dy [b, t, h]` and the workspace of [`gru_fwd`]: `dg [b, t, 4h]`, the gradients of the sums r, z, n, then of `W_hn·h + b_hn`; and that of the state from which it started.
pub fn gru_bwd(
    isa: Isa,
    dg: &mut [f32],
    dy: &[f32],
    ws: &[f32],
    w_hh: &[f32],
    start: Option<StartBwd<'_>>,
    scratch: &mut [f32],
    b: usize,
    t: usize,
    h: usize,
) {
    check_len("gru_bwd", &[dg.len()], &[b, t, 4, h]);
    check_len("gru_bwd", &[dy.len()], &[b, t, h]);
    check_len("gru_bwd", &[ws.len()], &[b, t, 5, h]);
    check_len("gru_bwd", &[w_hh.len()], &[3, h, h]);
    check_scratch("gru_bwd", scratch.len(), gru_scratch_len(b, h));
    let (dh, rest) = scratch.split_at_mut(b * h);
    let (direct, rest) = rest.split_at_mut(b * h);
    let (products, scratch) = rest.split_at_mut(3 * b * h);
    dh.fill(0.0);
    direct.fill(0.0);
    if let Some(start) = &start {
        check_len("gru_bwd", &[start.start.len(), start.dstart.len()], &[b, h]);
    }
    for step in (0..t).rev() {
        for r in 0..b {
            let at = r * t + step;
            let before = match &start {
                _ if step > 0 => &ws[(at - 1) * 5 * h + 4 * h..][..h],
                Some(start) => &start.start[r * h..][..h],
                None => &[],
            };
            let d = &mut dg[at * 4 * h..][..4 * h];
            let (dy, row) = (&dy[at * h..][..h], &ws[at * 5 * h..][..5 * h]);
            let (dh, direct) = (&dh[r * h..][..h], &mut direct[r * h..][..h]);
            dispatch!(isa, gru_cell_bwd(d: &mut [f32], dy: &[f32], row: &[f32], before: &[f32], dh: &[f32], direct: &mut [f32]));
            // What reaches the products r, z and hn of the step before.
            let p = &mut products[r * 3 * h..][..3 * h];
            p[..2 * h].copy_from_slice(&d[..2 * h]);
            p[2 * h..].copy_from_slice(&d[3 * h..]);
        }
        if step > 0 || start.is_some() {
            linear_bwd_x(isa, dh, products, w_hh, scratch, b, h, 3 * h);
            dh.iter_mut().zip(&*direct).for_each(|(a, b)| *a += b);
        }
    }
    if let Some(start) = start {
        start.dstart.copy_from_slice(dh);
    }
}

/// `direct` receives the part of the gradient that reaches the step before without a product: `dh · z`.
#[inline(always)]
fn gru_cell_bwd<S: Simd>(s: S, d: &mut [f32], dy: &[f32], row: &[f32], before: &[f32], dh: &[f32], direct: &mut [f32]) {
    let h = dy.len();
    let one = s.splat(1.0);
    for at in (0..h).step_by(S::N) {
        let end = h.min(at + S::N);
        let part = |p: usize| s.load_part(&row[p * h + at..p * h + end]);
        let (r, z, n, hn) = (part(0), part(1), part(2), part(3));
        let total = s.add(s.load_part(&dy[at..end]), s.load_part(&dh[at..end]));
        let h_before = s.load_part(if before.is_empty() { &[] } else { &before[at..end] });
        let dn = s.mul(s.mul(total, s.sub(one, z)), s.sub(one, s.mul(n, n)));
        let dz = s.mul(s.mul(total, s.sub(h_before, n)), s.mul(z, s.sub(one, z)));
        let dr = s.mul(s.mul(dn, hn), s.mul(r, s.sub(one, r)));
        for (part, v) in [dr, dz, dn, s.mul(dn, r)].into_iter().enumerate() {
            s.store_part(&mut d[part * h + at..part * h + end], v);
        }
        s.store_part(&mut direct[at..end], s.mul(total, z));
    }
}
