//! Slices cut into pieces of one length.

/// Whole pieces of `len` elements, as `chunks_exact` gives them, but without the division that it begins with:
/// on small networks that costs as much as a row of products.
#[derive(Clone)]
pub(crate) struct Pieces<'a, T> {
    rest: &'a [T],
    len: usize,
}

#[inline(always)]
pub(crate) fn pieces<T>(slice: &[T], len: usize) -> Pieces<'_, T> {
    Pieces { rest: slice, len }
}

impl<'a, T> Iterator for Pieces<'a, T> {
    type Item = &'a [T];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a [T]> {
        if self.len == 0 {
            return None;
        }
        let (piece, rest) = self.rest.split_at_checked(self.len)?;
        self.rest = rest;
        Some(piece)
    }
}

/// [`pieces`] to be written to.
pub(crate) struct PiecesMut<'a, T> {
    rest: &'a mut [T],
    len: usize,
}

#[inline(always)]
pub(crate) fn pieces_mut<T>(slice: &mut [T], len: usize) -> PiecesMut<'_, T> {
    PiecesMut { rest: slice, len }
}

impl<'a, T> Iterator for PiecesMut<'a, T> {
    type Item = &'a mut [T];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a mut [T]> {
        if self.len == 0 || self.rest.len() < self.len {
            return None;
        }
        let (piece, rest) = core::mem::take(&mut self.rest).split_at_mut(self.len);
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn as_chunks_exact() {
        let mut x: Vec<u8> = (0..23).collect();
        for len in 1..30 {
            assert!(pieces(&x, len).eq(x.chunks_exact(len)));
            let want: Vec<Vec<u8>> = x.chunks_exact(len).map(<[u8]>::to_vec).collect();
            assert!(pieces_mut(&mut x, len).map(|p| p.to_vec()).eq(want));
        }
        assert_eq!(pieces(&x, 0).count(), 0);
    }
}
