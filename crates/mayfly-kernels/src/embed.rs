//! Rows of a table by number.

use crate::Isa;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// The row that `id` names: clamped to the table, NaN to row 0.
fn row_of(id: f32, rows: usize) -> usize {
    // A cast from f32 saturates and turns NaN into 0.
    (id as usize).min(rows - 1)
}

/// The index of the first id that is no integer in `0..vocab`.
///
/// # Errors
/// That index.
pub fn check_ids(ids: &[f32], vocab: usize) -> Result<(), usize> {
    let wrong = |&id: &f32| !(id >= 0.0 && (id as usize) < vocab && id as usize as f32 == id);
    ids.iter().position(wrong).map_or(Ok(()), Err)
}

/// `y [n, d]`: row `ids[r]` of `table [v, d]` for each of the `n` ids. An id beyond the table is clamped to it; [`check_ids`]
/// finds one.
pub fn embed_fwd(_isa: Isa, y: &mut [f32], ids: &[f32], table: &[f32], d: usize) {
    check_len("embed_fwd", &[y.len()], &[ids.len(), d]);
    if d == 0 || ids.is_empty() {
        return;
    }
    assert!(!table.is_empty() && table.len().is_multiple_of(d), "embed_fwd: the table is not [v, d] with v > 0");
    let rows = table.len() / d;
    for (y, &id) in y.chunks_exact_mut(d).zip(ids) {
        let at = row_of(id, rows) * d;
        y.copy_from_slice(&table[at..at + d]);
    }
}

#[inline(always)]
fn bwd_body<S: Simd>(s: S, dtable: &mut [f32], dy: &[f32], ids: &[f32], d: usize) {
    let rows = dtable.len() / d;
    for (dy, &id) in dy.chunks_exact(d).zip(ids) {
        let at = row_of(id, rows) * d;
        for (dtable, dy) in dtable[at..at + d].chunks_mut(S::N).zip(dy.chunks(S::N)) {
            s.put(dtable, s.add(s.get(dtable), s.get(dy)));
        }
    }
}

/// Adds each row of `dy [n, d]` to the row of `dtable [v, d]` that its id names, in the order of the ids.
pub fn embed_bwd_acc(isa: Isa, dtable: &mut [f32], dy: &[f32], ids: &[f32], d: usize) {
    check_len("embed_bwd_acc", &[dy.len()], &[ids.len(), d]);
    if d == 0 || ids.is_empty() {
        return;
    }
    assert!(!dtable.is_empty() && dtable.len().is_multiple_of(d), "embed_bwd_acc: the table is not [v, d] with v > 0");
    dispatch!(isa, bwd_body(dtable: &mut [f32], dy: &[f32], ids: &[f32], d: usize));
}
