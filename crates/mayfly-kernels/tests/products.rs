//! Products of matrices and dense layers against plain sums in f64, under every instruction set: every size in one dimension at a time, slices
//! that begin anywhere, scratch full of NaN, and guards behind the results.
use half::bf16;
use mayfly_kernels::*;

const GUARD: f32 = 12345.0;

/// `n` numbers in −1..1, beginning `offset` elements into their memory.
struct Numbers(Vec<f32>, usize);

impl Numbers {
    fn new(n: usize, seed: u32, offset: usize) -> Self {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        Numbers((0..n + offset).map(|_| next()).collect(), offset)
    }
    fn get(&self) -> &[f32] {
        &self.0[self.1..]
    }
}

/// Runs `f` on `n` elements that lie between guards, at an odd place, and gives them back.
fn guarded(n: usize, offset: usize, f: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut memory = vec![GUARD; offset + n + 40];
    memory[offset..offset + n].fill(f32::NAN);
    f(&mut memory[offset..offset + n]);
    assert!(memory[..offset].iter().chain(&memory[offset + n..]).all(|v| *v == GUARD), "written outside");
    memory[offset..offset + n].to_vec()
}

/// Within `k` roundings of sums of `k` products that are at most 1 each.
fn close(got: &[f32], want: &[f64], k: usize) -> Result<(), String> {
    assert_eq!(got.len(), want.len());
    let allowed = (k + 2) as f64 * f64::from(f32::EPSILON);
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        // Not `> allowed`: a NaN must not pass.
        if !((f64::from(*g) - w).abs() <= allowed) {
            return Err(format!("element {i} is {g}, not {w}"));
        }
    }
    Ok(())
}

#[test]
fn what_is_off_is_refused() {
    assert!(close(&[1.0], &[1.0], 1).is_ok());
    assert!(close(&[1.0], &[1.000_01], 1).is_err());
    assert!(close(&[0.0], &[1e-5], 4).is_err());
    assert!(close(&[f32::NAN], &[0.0], 1000).is_err());
}

/// Every size in one dimension at a time, and a few in all.
fn sizes() -> Vec<[usize; 3]> {
    let mut all = Vec::new();
    for n in 1..=70 {
        all.extend([[n, 19, 37], [17, n, 33], [13, 20, n], [n, 5, 3], [2, n, 65]]);
    }
    for n in [96, 127, 128, 129, 191, 255, 256, 257] {
        all.extend([[n, 24, 40], [25, n, 40], [30, 24, n]]);
    }
    all.extend([[49, 385, 64], [14, 769, 50], [50, 40, 385], [26, 400, 449], [3, 100, 100], [1, 300, 300]]);
    all
}

fn check_matmul(isa: Isa, [m, k, n]: [usize; 3], a_trans: Trans, b_trans: Trans) {
    let offset = (m + n + k) % 4;
    let (a, b) = (Numbers::new(m * k, 1, offset), Numbers::new(k * n, 2, 3 - offset));
    let at = |r: usize, q: usize| a.get()[if a_trans == Trans::No { r * k + q } else { q * m + r }];
    let bt = |q: usize, c: usize| b.get()[if b_trans == Trans::No { q * n + c } else { c * k + q }];
    let exact = |r: usize, c: usize| (0..k).map(|q| f64::from(at(r, q)) * f64::from(bt(q, c))).sum::<f64>();
    let want: Vec<f64> = (0..m * n).map(|i| exact(i / n, i % n)).collect();
    let p = MatMul { m, k, n, a: a_trans, b: b_trans };
    let mut scratch = vec![f32::NAN; p.scratch_len()];
    let got = guarded(m * n, offset, |c| matmul(isa, c, a.get(), b.get(), &mut scratch, p));
    close(&got, &want, k).unwrap_or_else(|e| panic!("{} {p:?}: {e}", isa.name()));
    let got = guarded(m * n, offset, |c| {
        c.fill(0.5);
        matmul_acc(isa, c, a.get(), b.get(), &mut scratch, p);
    });
    let more: Vec<f64> = want.iter().map(|v| v + 0.5).collect();
    close(&got, &more, k + 1).unwrap_or_else(|e| panic!("{} {p:?} added: {e}", isa.name()));
}

#[test]
fn matrix_products() {
    for isa in Isa::available() {
        for size in sizes() {
            for (a, b) in
                [(Trans::No, Trans::No), (Trans::No, Trans::Yes), (Trans::Yes, Trans::No), (Trans::Yes, Trans::Yes)]
            {
                check_matmul(isa, size, a, b);
            }
        }
    }
}

/// `relu(x · wᵀ + b) + residual`, exactly, and the sum of products' count.
fn dense(x: &[f32], w: &[f32], b: &[f32], residual: &[f32], [rows, i, o]: [usize; 3]) -> Vec<f64> {
    let one = |r: usize, c: usize| {
        let sum: f64 = (0..i).map(|q| f64::from(x[r * i + q]) * f64::from(w[c * i + q])).sum();
        (sum + f64::from(b[c])).max(0.0) + f64::from(residual[r * o + c])
    };
    (0..rows * o).map(|at| one(at / o, at % o)).collect()
}

#[test]
fn dense_layers_plain_and_packed() {
    for isa in Isa::available() {
        for [rows, i, o] in sizes() {
            let offset = (rows + i + o) % 4;
            let (x, w) = (Numbers::new(rows * i, 3, offset), Numbers::new(i * o, 4, offset));
            let (b, res) = (Numbers::new(o, 5, offset), Numbers::new(rows * o, 6, 3 - offset));
            let e = Epilogue { act: Act::Relu, residual: Some(res.get()) };
            let what = |kind: &str| format!("{} {kind} {rows} {i} {o}", isa.name());
            let want = dense(x.get(), w.get(), b.get(), res.get(), [rows, i, o]);
            let mut scratch = vec![f32::NAN; linear_scratch_len(rows, i, o)];
            let got = guarded(rows * o, offset, |y| {
                linear_fwd(isa, y, x.get(), w.get(), Some(b.get()), e, &mut scratch, rows, i, o);
            });
            close(&got, &want, i + 2).unwrap_or_else(|e| panic!("{}: {e}", what("plain")));
            let mut packed = Buffer::zeroed(packed_len(isa, i, o));
            pack(isa, &mut packed, w.get(), Some(b.get()), i, o);
            let got = guarded(rows * o, offset, |y| packed_fwd(isa, y, x.get(), &packed, e, rows, i, o));
            close(&got, &want, i + 2).unwrap_or_else(|e| panic!("{}: {e}", what("packed")));
            // bf16: exact for weights that are rounded first.
            let rounded: Vec<f32> = w.get().iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
            let want = dense(x.get(), &rounded, b.get(), res.get(), [rows, i, o]);
            let mut packed = Buffer::zeroed(packed_bf16_len(isa, i, o));
            pack_bf16(isa, &mut packed, w.get(), Some(b.get()), i, o);
            let got = guarded(rows * o, offset, |y| packed_bf16_fwd(isa, y, x.get(), &packed, e, rows, i, o));
            close(&got, &want, i + 2).unwrap_or_else(|e| panic!("{}: {e}", what("bf16")));
        }
    }
}

/// The values that int8 stands for: each row of `len` rounded to steps of a 127th of its largest.
fn steps(values: &[f32], len: usize) -> Vec<f32> {
    let row = |row: &[f32]| {
        let largest = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        row.iter().map(|v| (v / scale).round_ties_even() * scale).collect::<Vec<_>>()
    };
    values.chunks_exact(len).flat_map(row).collect()
}

#[test]
fn int8_layers_are_exact_for_what_the_integers_stand_for() {
    for isa in Isa::available() {
        for [rows, i, o] in sizes() {
            let (x, w) = (Numbers::new(rows * i, 7, 1), Numbers::new(i * o, 8, 2));
            let (b, res) = (Numbers::new(o, 9, 0), Numbers::new(rows * o, 10, 3));
            let want = dense(&steps(x.get(), i), &steps(w.get(), i), b.get(), res.get(), [rows, i, o]);
            let mut packed = Buffer::zeroed(packed_i8_len(isa, i, o));
            pack_i8(isa, &mut packed, w.get(), Some(b.get()), i, o);
            let mut row = vec![-1; packed_i8_scratch_len(i)];
            let e = Epilogue { act: Act::Relu, residual: Some(res.get()) };
            let got = guarded(rows * o, 1, |y| packed_i8_fwd(isa, y, x.get(), &packed, &mut row, e, rows, i, o));
            // An input half-way between two steps may go either way: one step of one weight.
            let worst = got
                .iter()
                .zip(&want)
                .map(|(g, w)| (f64::from(*g) - w).abs())
                .fold(0.0, |m, d| if d <= m { m } else { d });
            assert!(worst <= 0.017, "{} {rows} {i} {o}: off by {worst}", isa.name());
        }
    }
}

#[test]
fn gradients_of_dense_layers() {
    for isa in Isa::available() {
        for [rows, i, o] in sizes() {
            let (x, w, dy) = (Numbers::new(rows * i, 1, 2), Numbers::new(i * o, 2, 1), Numbers::new(rows * o, 3, 3));
            let (x, w, dy) = (x.get(), w.get(), dy.get());
            let mut scratch = vec![f32::NAN; linear_scratch_len(rows, i, o)];
            let by_x =
                |r: usize, q: usize| (0..o).map(|c| f64::from(dy[r * o + c]) * f64::from(w[c * i + q])).sum::<f64>();
            let want: Vec<f64> = (0..rows * i).map(|at| by_x(at / i, at % i)).collect();
            let got = guarded(rows * i, 1, |dx| linear_bwd_x(isa, dx, dy, w, &mut scratch, rows, i, o));
            close(&got, &want, o).unwrap_or_else(|e| panic!("{} dx {rows} {i} {o}: {e}", isa.name()));
            let by_w =
                |c: usize, q: usize| (0..rows).map(|r| f64::from(dy[r * o + c]) * f64::from(x[r * i + q])).sum::<f64>();
            let want: Vec<f64> = (0..i * o).map(|at| by_w(at / i, at % i)).collect();
            let got = guarded(i * o, 2, |dw| linear_bwd_w(isa, dw, dy, x, &mut scratch, rows, i, o));
            close(&got, &want, rows).unwrap_or_else(|e| panic!("{} dw {rows} {i} {o}: {e}", isa.name()));
        }
    }
}
