//! Scaled dot-product attention. `q [b, tq, heads·d]`, `k`, `v [b, tk, heads·d]`; one head at a time through the matrix product.
use crate::Isa;
use crate::matmul::{MatMul, Trans, matmul};
use crate::size::{capped, check_len, product};
use crate::softmax::softmax_fwd;

/// Whether a position sees later ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Causal {
    /// Everything is seen.
    No,
    /// Query i sees keys up to `i + tk − tq`; where that is none its result is 0.
    Yes,
}

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    tq: usize,
    tk: usize,
    heads: usize,
    d: usize,
}

/// Scratch of both directions, in f32; `usize::MAX` where it exceeds that.
pub fn attention_scratch_len(tq: usize, tk: usize, d: usize) -> usize {
    let products = [against(tq, d, tk), times(tq, tk, d), turned(tk, tq, d)];
    let copies = capped(&[3, tk.saturating_mul(2).saturating_add(tq), d]);
    let product = products.iter().map(MatMul::scratch_len).fold(0, usize::max);
    capped(&[2, tq, tk]).saturating_add(copies).saturating_add(product)
}

/// Queries `[b, tq, heads·d]`, keys and values `[b, tk, heads·d]`, and room for the scores of one head.
#[track_caller]
fn check(name: &str, queries: &[usize], keys: &[usize], scratch: usize, b: usize, s: Sizes) {
    check_len(name, queries, &[b, s.tq, s.heads, s.d]);
    check_len(name, keys, &[b, s.tk, s.heads, s.d]);
    product(name, &[s.tq, s.tk, s.d]);
    let idle = queries[0] == 0 || keys[0] == 0;
    assert!(
        idle || scratch >= attention_scratch_len(s.tq, s.tk, s.d),
        "{name}: the scratch is shorter than attention_scratch_len"
    );
}

/// `a [m, k] · b [n, k]ᵀ`
fn against(m: usize, k: usize, n: usize) -> MatMul {
    MatMul { m, k, n, a: Trans::No, b: Trans::Yes }
}

/// `a [m, k] · b [k, n]`
fn times(m: usize, k: usize, n: usize) -> MatMul {
    MatMul { m, k, n, a: Trans::No, b: Trans::No }
}

/// `a [k, m]ᵀ · b [k, n]`
fn turned(m: usize, k: usize, n: usize) -> MatMul {
    MatMul { m, k, n, a: Trans::Yes, b: Trans::No }
}

/// Copies one head out of `x [t, heads·d]` into a matrix `[t, d]`.
fn gather(y: &mut [f32], x: &[f32], head: usize, s: Sizes) {
    for (y, x) in y.chunks_exact_mut(s.d).zip(x.chunks_exact(s.heads * s.d)) {
        y.copy_from_slice(&x[head * s.d..][..s.d]);
    }
}

fn scatter(y: &mut [f32], x: &[f32], head: usize, s: Sizes) {
    for (y, x) in y.chunks_exact_mut(s.heads * s.d).zip(x.chunks_exact(s.d)) {
        y[head * s.d..][..s.d].copy_from_slice(x);
    }
}

/// `softmax(q·kᵀ/√d)` of one head.
fn probabilities(
    isa: Isa,
    p: &mut [f32],
    scores: &mut [f32],
    q: &[f32],
    k: &[f32],
    scratch: &mut [f32],
    s: Sizes,
    causal: Causal,
) {
    matmul(isa, scores, q, k, scratch, against(s.tq, s.d, s.tk));
    let scale = 1.0 / libm::sqrtf(s.d as f32);
    for (i, row) in scores.chunks_exact_mut(s.tk).enumerate() {
        row.iter_mut().for_each(|v| *v *= scale);
        if causal == Causal::Yes {
            let seen = (i + s.tk + 1).saturating_sub(s.tq);
            row[seen.min(s.tk)..].fill(f32::NEG_INFINITY);
        }
    }
    softmax_fwd(isa, p, scores, s.tq, s.tk);
    if causal == Causal::Yes {
        let blind = s.tq.saturating_sub(s.tk);
        p[..blind * s.tk].fill(0.0);
    }
}

/// `y [b, tq, heads·d]`.
pub fn attention_fwd(
    isa: Isa,
    y: &mut [f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    scratch: &mut [f32],
    b: usize,
    tq: usize,
    tk: usize,
    heads: usize,
    d: usize,
    causal: Causal,
) {
    let s = Sizes { tq, tk, heads, d };
    check("attention_fwd", &[y.len(), q.len()], &[k.len(), v.len()], scratch.len(), b, s);
    if tk == 0 || d == 0 {
        return y.fill(0.0);
    }
    let e = heads * d;
    let ([scores, p, qh, kh, vh, yh], scratch) = cut(scratch, [tq * tk, tq * tk, tq * d, tk * d, tk * d, tq * d]);
    for bi in 0..b {
        for head in 0..heads {
            gather(qh, &q[bi * tq * e..][..tq * e], head, s);
            gather(kh, &k[bi * tk * e..][..tk * e], head, s);
            gather(vh, &v[bi * tk * e..][..tk * e], head, s);
            probabilities(isa, p, scores, qh, kh, scratch, s, causal);
            matmul(isa, yh, p, vh, scratch, times(tq, tk, d));
            scatter(&mut y[bi * tq * e..][..tq * e], yh, head, s);
        }
    }
}

/// The gradients of q, k and v; the probabilities are computed again.
pub fn attention_bwd(
    isa: Isa,
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
    dy: &[f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    scratch: &mut [f32],
    b: usize,
    tq: usize,
    tk: usize,
    heads: usize,
    d: usize,
    causal: Causal,
) {
    let s = Sizes { tq, tk, heads, d };
    let keys = [dk.len(), dv.len(), k.len(), v.len()];
    check("attention_bwd", &[dq.len(), q.len(), dy.len()], &keys, scratch.len(), b, s);
    if tq == 0 || tk == 0 || d == 0 {
        return [dq, dk, dv].into_iter().for_each(|d| d.fill(0.0));
    }
    let e = heads * d;
    let ([scores, p, qh, kh, vh, dyh, out_q, out_k], scratch) =
        cut(scratch, [tq * tk, tq * tk, tq * d, tk * d, tk * d, tq * d, tq * d, tk * d]);
    for bi in 0..b {
        let (rows_q, rows_k) = (bi * tq * e..(bi + 1) * tq * e, bi * tk * e..(bi + 1) * tk * e);
        for head in 0..heads {
            gather(qh, &q[rows_q.clone()], head, s);
            gather(kh, &k[rows_k.clone()], head, s);
            gather(vh, &v[rows_k.clone()], head, s);
            gather(dyh, &dy[rows_q.clone()], head, s);
            probabilities(isa, p, scores, qh, kh, scratch, s, causal);
            matmul(isa, out_k, p, dyh, scratch, turned(tk, tq, d));
            scatter(&mut dv[rows_k.clone()], out_k, head, s);
            score_gradient(isa, scores, p, dyh, vh, scratch, s);
            matmul(isa, out_q, scores, kh, scratch, times(tq, tk, d));
            matmul(isa, out_k, scores, qh, scratch, turned(tk, tq, d));
            scatter(&mut dq[rows_q.clone()], out_q, head, s);
            scatter(&mut dk[rows_k.clone()], out_k, head, s);
        }
    }
}

/// `scores` becomes the gradient of `q·kᵀ`.
fn score_gradient(isa: Isa, scores: &mut [f32], p: &[f32], dy: &[f32], v: &[f32], scratch: &mut [f32], s: Sizes) {
    let (rows, n) = (s.tq, s.tk);
    // dp = dy·vᵀ takes the place of the scores; the gradient of the softmax is taken in place, row by row.
    matmul(isa, scores, dy, v, scratch, against(rows, s.d, n));
    let scale = 1.0 / libm::sqrtf(s.d as f32);
    for (ds, p) in scores.chunks_exact_mut(n).zip(p.chunks_exact(n)) {
        let inner = crate::dot(isa, ds, p);
        ds.iter_mut().zip(p).for_each(|(ds, p)| *ds = (*ds - inner) * p * scale);
    }
}

/// Cuts consecutive pieces off a slice; what is left comes second.
fn cut<const N: usize>(scratch: &mut [f32], lengths: [usize; N]) -> ([&mut [f32]; N], &mut [f32]) {
    let mut rest = scratch;
    let pieces = lengths.map(|n| {
        let (piece, tail) = core::mem::take(&mut rest).split_at_mut(n);
        rest = tail;
        piece
    });
    (pieces, rest)
}
