//! The register tile in the middle of every product of matrices: a few rows of the left side against a few vectors of columns of the right.
//!
//! Sums stay in registers over the whole depth; each element of the left side is broadcast, each vector of the right side loaded once
//! (Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
use crate::simd::Simd;

/// Rows of the left side in memory; they, or their columns, are contiguous.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    at: *const f32,
    /// Elements from row to row, or from column to column.
    step: usize,
    layout: Layout,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Rows,
    Columns,
}

impl Left {
    /// Contiguous rows, `step` apart.
    #[inline(always)]
    pub(crate) fn rows(a: &[f32], step: usize) -> Left {
        Left { at: a.as_ptr(), step, layout: Layout::Rows }
    }

    /// Contiguous columns, `step` apart.
    #[inline(always)]
    pub(crate) fn columns(a: &[f32], step: usize) -> Left {
        Left { at: a.as_ptr(), step, layout: Layout::Columns }
    }

    /// The same without its first `r` rows.
    #[inline(always)]
    pub(crate) fn from_row(self, r: usize) -> Left {
        let skip = if self.layout == Layout::Rows { r * self.step } else { r };
        Left { at: self.at.wrapping_add(skip), ..self }
    }
}

/// Columns of the right side in memory: vectors of row `depth` start at `depth · step`.
#[derive(Clone, Copy)]
pub(crate) struct Right {
    pub(crate) at: *const f32,
    pub(crate) step: usize,
}

/// Where the sums go: row `r` at `r · step`.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) at: *mut f32,
    pub(crate) step: usize,
    pub(crate) start: Start,
    pub(crate) end: End,
}

/// What happens to the sums last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Keep,
    /// Those below zero become zero.
    Relu,
}

/// What the sums begin with.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    Zero,
    /// What is there already.
    Old,
    /// A row of as many vectors, the same for every row.
    Bias(*const f32),
}

/// Rows that one call of [`tile`] takes when `rows` are left.
#[inline(always)]
pub(crate) fn tile_rows<S: Simd>(rows: usize, vectors: usize) -> usize {
    match (vectors, rows) {
        (1, 12..) => 12,
        (2, 12..) if S::REGISTERS >= 32 => 12,
        (1, 8..) => 8,
        (2.., 6..) => 6,
        (_, 4..) => 4,
        (_, 2..) => 2,
        _ => 1,
    }
}

/// `sums [rows, vectors · N] = left · right` over `depth`, with `rows` from [`tile_rows`] and at most four vectors.
///
/// # Safety
/// `left` has `rows` rows of `depth` elements, `right` has `depth` rows of `vectors` vectors, `sums` has `rows` writable rows of as many,
/// and so has the bias one row.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd>(
    s: S,
    sums: Sums,
    left: Left,
    right: Right,
    depth: usize,
    rows: usize,
    vectors: usize,
) {
    // SAFETY: the caller's promise, for the rows and vectors named in each arm.
    unsafe {
        match vectors {
            1 => narrow::<S, 1>(s, sums, left, right, depth, rows),
            2 if rows == 12 => sized::<S, 12, 2>(s, sums, left, right, depth),
            2 => wide::<S, 2>(s, sums, left, right, depth, rows),
            3 => wide::<S, 3>(s, sums, left, right, depth, rows),
            _ => wide::<S, 4>(s, sums, left, right, depth, rows),
        }
    }
}

#[inline(always)]
unsafe fn narrow<S: Simd, const V: usize>(s: S, sums: Sums, left: Left, right: Right, depth: usize, rows: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match rows {
            12 => sized::<S, 12, V>(s, sums, left, right, depth),
            8 => sized::<S, 8, V>(s, sums, left, right, depth),
            4 => sized::<S, 4, V>(s, sums, left, right, depth),
            2 => sized::<S, 2, V>(s, sums, left, right, depth),
            _ => sized::<S, 1, V>(s, sums, left, right, depth),
        }
    }
}

#[inline(always)]
unsafe fn wide<S: Simd, const V: usize>(s: S, sums: Sums, left: Left, right: Right, depth: usize, rows: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match rows {
            6 => sized::<S, 6, V>(s, sums, left, right, depth),
            4 => sized::<S, 4, V>(s, sums, left, right, depth),
            2 => sized::<S, 2, V>(s, sums, left, right, depth),
            _ => sized::<S, 1, V>(s, sums, left, right, depth),
        }
    }
}

#[inline(always)]
unsafe fn sized<S: Simd, const R: usize, const V: usize>(s: S, to: Sums, left: Left, right: Right, depth: usize) {
    for r in 0..R {
        for v in 0..V {
            s.prefetch(to.at.wrapping_add(r * to.step + v * S::N));
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        let sums = start::<S, R, V>(s, to.start);
        let sums = match left.layout {
            Layout::Rows => by_rows(s, sums, left, right, depth),
            Layout::Columns => by_columns(s, sums, left, right, depth),
        };
        let old = matches!(to.start, Start::Old);
        for (r, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                let y = to.at.add(r * to.step + v * S::N);
                let sum = if old { s.add(s.load_ptr(y), *sum) } else { *sum };
                s.store_ptr(y, if to.end == End::Relu { s.max(s.splat(0.0), sum) } else { sum });
            }
        }
    }
}

/// Old values are added at the end instead, when they have arrived.
#[inline(always)]
unsafe fn start<S: Simd, const R: usize, const V: usize>(s: S, start: Start) -> [[S::F32; V]; R] {
    let mut row = [s.zero(); V];
    if let Start::Bias(bias) = start {
        for (v, b) in row.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *b = unsafe { s.load_ptr(bias.add(v * S::N)) };
        }
    }
    [row; R]
}

/// The left side's columns are contiguous.
#[inline(always)]
unsafe fn by_columns<S: Simd, const R: usize, const V: usize>(
    s: S,
    mut sums: [[S::F32; V]; R],
    left: Left,
    right: Right,
    depth: usize,
) -> [[S::F32; V]; R] {
    let (mut a, mut b) = (left.at, right.at);
    for _ in 0..depth {
        // SAFETY: the caller's promise.
        unsafe {
            let row = vectors::<S, V>(s, b);
            for (r, sums) in sums.iter_mut().enumerate() {
                add(s, sums, *a.add(r), row);
            }
        }
        (a, b) = (a.wrapping_add(left.step), b.wrapping_add(right.step));
    }
    sums
}

/// The left side's rows are contiguous. A pointer for every third row keeps the addresses in registers: one and two steps further are
/// addressing modes.
#[inline(always)]
unsafe fn by_rows<S: Simd, const R: usize, const V: usize>(
    s: S,
    mut sums: [[S::F32; V]; R],
    left: Left,
    right: Right,
    depth: usize,
) -> [[S::F32; V]; R] {
    let n = left.step;
    let mut thirds: [_; 4] = core::array::from_fn(|i| left.at.wrapping_add(3 * i * n));
    let mut b = right.at;
    for _ in 0..depth {
        // SAFETY: the caller's promise.
        unsafe {
            let row = vectors::<S, V>(s, b);
            for (r, sums) in sums.iter_mut().enumerate() {
                add(s, sums, *thirds[r / 3].add((r % 3) * n), row);
            }
        }
        thirds = thirds.map(|at| opaque(at.wrapping_add(1)));
        b = b.wrapping_add(right.step);
    }
    sums
}

/// The same pointer, about which the compiler knows nothing: left to itself it makes all rows' addresses anew from one counter.
#[inline(always)]
fn opaque(at: *const f32) -> *const f32 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut at = at;
        #[allow(clippy::pointers_in_nomem_asm_block)] // nothing is read through it
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) at, options(pure, nomem, nostack, preserves_flags))
        };
        at
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    at
}

#[inline(always)]
unsafe fn vectors<S: Simd, const V: usize>(s: S, b: *const f32) -> [S::F32; V] {
    let mut row = [s.zero(); V];
    for (v, b_v) in row.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *b_v = unsafe { s.load_ptr(b.add(v * S::N)) };
    }
    row
}

/// One element of the left side against a row of the right.
#[inline(always)]
fn add<S: Simd, const V: usize>(s: S, sums: &mut [S::F32; V], a: f32, row: [S::F32; V]) {
    let a = s.splat(a);
    for v in 0..V {
        sums[v] = s.mul_add(a, row[v], sums[v]);
    }
}
