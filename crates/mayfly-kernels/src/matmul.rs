//! General matrix products, row-major.
use crate::Isa;
use crate::linear::combine;
use crate::simd::dispatch;

/// How an operand is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trans {
    /// As it enters the product.
    No,
    /// Transposed.
    Yes,
}

/// What happens to the old value of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Overwrite,
    Add,
}

/// `c [m, n] = op(a) [m, k] · op(b) [k, n]`.
pub fn matmul(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], m: usize, k: usize, n: usize, ta: Trans, tb: Trans) {
    product(isa, c, a, b, [m, k, n], [ta, tb], Old::Overwrite);
}

/// `c += op(a) · op(b)`.
pub fn matmul_acc(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], m: usize, k: usize, n: usize, ta: Trans, tb: Trans) {
    product(isa, c, a, b, [m, k, n], [ta, tb], Old::Add);
}

fn product(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], [m, k, n]: [usize; 3], [ta, tb]: [Trans; 2], old: Old) {
    assert!(c.len() == m * n && a.len() == m * k && b.len() == k * n);
    #[cfg(feature = "std")]
    if isa.is_best() && m * k * n >= GEMM_MULTIPLICATIONS {
        return gemm_crate(c, a, b, [m, k, n], [ta, tb], old);
    }
    small(isa, c, a, b, [m, k, n], [ta, tb], old);
}

/// From this many multiplications on the `gemm` crate's packing pays. Measured with `cargo run --release -p mayfly-kernels --example tune`.
#[cfg(feature = "std")]
const GEMM_MULTIPLICATIONS: usize = 4096;

/// Strides (row, column) of an operand of `rows × cols`.
fn strides(t: Trans, rows: usize, cols: usize) -> (isize, isize) {
    match t {
        Trans::No => (cols as isize, 1),
        Trans::Yes => (1, rows as isize),
    }
}

#[cfg(feature = "std")]
fn gemm_crate(c: &mut [f32], a: &[f32], b: &[f32], [m, k, n]: [usize; 3], [ta, tb]: [Trans; 2], old: Old) {
    let ((ars, acs), (brs, bcs)) = (strides(ta, m, k), strides(tb, k, n));
    // SAFETY: `product` checked that the slices hold exactly m·k, k·n and m·n elements; the strides address those.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            old == Old::Add,
            a.as_ptr(),
            acs,
            ars,
            b.as_ptr(),
            bcs,
            brs,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Row by row; the right side is read along its rows where it can be.
fn small(isa: Isa, c: &mut [f32], a: &[f32], b: &[f32], [m, k, n]: [usize; 3], [ta, tb]: [Trans; 2], old: Old) {
    let (ars, acs) = strides(ta, m, k);
    let at = |r: usize, q: usize| a[r * ars as usize + q * acs as usize];
    for r in 0..m {
        let row = &mut c[r * n..(r + 1) * n];
        if old == Old::Overwrite {
            row.fill(0.0);
        }
        for block in (0..k).step_by(BLOCK) {
            let len = BLOCK.min(k - block);
            let mut left = [0.0; BLOCK];
            (0..len).for_each(|q| left[q] = at(r, block + q));
            match tb {
                Trans::No => add_rows(isa, row, &left[..len], &b[block * n..(block + len) * n]),
                Trans::Yes => add_dots(isa, row, &left[..len], b, block, k),
            }
        }
    }
}

/// Elements of a row of the left side that are gathered at a time.
const BLOCK: usize = 256;

/// `y += Σ_j a[j] · rows[j]`
fn add_rows(isa: Isa, y: &mut [f32], a: &[f32], rows: &[f32]) {
    const WIDTH: usize = 256;
    let n = y.len();
    let mut sums = [0.0; WIDTH];
    if n <= WIDTH {
        let sums = &mut sums[..n];
        dispatch!(isa, combine(sums: &mut [f32], a: &[f32], rows: &[f32]));
        y.iter_mut().zip(sums).for_each(|(y, s)| *y += *s);
        return;
    }
    for (a, row) in a.iter().zip(rows.chunks_exact(n)) {
        crate::axpy(isa, y, *a, row);
    }
}

/// `y[j] += a · b[j, block..]`
fn add_dots(isa: Isa, y: &mut [f32], a: &[f32], b: &[f32], block: usize, k: usize) {
    for (y, row) in y.iter_mut().zip(b.chunks_exact(k)) {
        *y += crate::dot(isa, a, &row[block..block + a.len()]);
    }
}
