//! An array as rows of numbers.

use super::dtype::{ByteOrder, Dtype};
use super::payload::{Payload, PayloadReader};
use crate::data::input::Stream;
use crate::error::{FormatError, Result};

/// What an array's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArrayHeader {
    pub(super) dtype: Dtype,
    pub(super) byte_order: ByteOrder,
    pub(super) order: Order,
    /// Rows first; a scalar has no dimension.
    pub(super) shape: Vec<usize>,
}

/// How the elements follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The last index is the fastest.
    C,
    /// The first index is the fastest.
    Fortran,
}

impl ArrayHeader {
    /// Rows: the first dimension.
    pub(super) fn rows(&self) -> u64 {
        self.shape.first().map_or(1, |&rows| rows as u64)
    }

    /// The shape of one row.
    pub(super) fn row_shape(&self) -> &[usize] {
        self.shape.get(1..).unwrap_or_default()
    }

    /// Values in one row, unless that overflows.
    pub(super) fn row_len(&self) -> Option<usize> {
        self.row_shape().iter().try_fold(1_usize, |n, &dim| n.checked_mul(dim))
    }

    /// Bytes of all values, unless that overflows.
    pub(super) fn value_bytes(&self) -> Option<u64> {
        let row = (self.row_len()? as u64).checked_mul(self.dtype.size() as u64)?;
        row.checked_mul(self.rows())
    }
}

/// Reads an array row by row.
#[derive(Debug)]
pub(super) struct ArrayReader {
    header: ArrayHeader,
    row_len: usize,
    payload: Payload,
    access: Access,
    scratch: Vec<u8>,
    row: u64,
}

#[derive(Debug)]
enum Access {
    /// Rows follow each other in the file.
    Sequential(PayloadReader),
    /// Columns do, and the file is read in strides.
    Strided(Stream),
    /// Columns do, and the unpacked array is held in memory.
    Held(Vec<u8>),
}

impl ArrayReader {
    /// `whole_array_bytes` limits what is held in memory for a packed array in Fortran order.
    pub(super) fn open(header: ArrayHeader, payload: Payload, whole_array_bytes: u64) -> Result<Self> {
        let file = payload.input.name();
        let too_large = |what: &str, limit| FormatError::TooLarge {
            file: file.to_owned(),
            what: what.to_owned(),
            got: u64::MAX,
            limit,
        };
        let row_len = header.row_len().ok_or_else(|| too_large("the number of values in a row", u64::MAX - 1))?;
        let access = access(&header, row_len, &payload, whole_array_bytes)?;
        Ok(Self { header, row_len, payload, access, scratch: Vec::new(), row: 0 })
    }

    pub(super) fn header(&self) -> &ArrayHeader {
        &self.header
    }

    pub(super) fn row_len(&self) -> usize {
        self.row_len
    }

    pub(super) fn rewind(&mut self) -> Result<()> {
        self.row = 0;
        if let Access::Sequential(reader) = &mut self.access {
            *reader = self.payload.open()?;
        }
        Ok(())
    }

    /// Reads `rows` rows, which are there, into `cells`.
    pub(super) fn read(&mut self, rows: usize, cells: Cells<'_>) -> Result<()> {
        let first = self.row;
        self.row += rows as u64;
        if self.row_len == 0 || rows == 0 {
            return Ok(());
        }
        let size = self.header.dtype.size();
        let columns = Columns { header: &self.header, row_len: self.row_len, first_row: first };
        match &mut self.access {
            Access::Sequential(reader) => {
                self.scratch.resize(rows * self.row_len * size, 0);
                reader.read(&mut self.scratch)?;
                scatter_rows(&self.header, self.row_len, &self.scratch, cells);
                Ok(())
            }
            Access::Strided(stream) => {
                self.scratch.resize(rows * size, 0);
                columns.read(cells, &mut self.scratch, |at, part| self.payload.read_at(stream, at, part))
            }
            Access::Held(bytes) => {
                self.scratch.resize(rows * size, 0);
                columns.read(cells, &mut self.scratch, |at, part| {
                    let start = usize::try_from(at).unwrap_or(usize::MAX);
                    let held = bytes.iter().skip(start);
                    part.iter_mut().zip(held).for_each(|(to, from)| *to = *from);
                    Ok(())
                })
            }
        }
    }
}

/// Where values go: value `i` of row `r` to `out[r * stride + offset + i]`.
pub(super) struct Cells<'a> {
    pub(super) out: &'a mut [f64],
    pub(super) stride: usize,
    pub(super) offset: usize,
}

fn access(header: &ArrayHeader, row_len: usize, payload: &Payload, whole_array_bytes: u64) -> Result<Access> {
    if header.order == Order::C || row_len <= 1 {
        return payload.open().map(Access::Sequential);
    }
    if payload.is_seekable() {
        return payload.input.open().map(Access::Strided);
    }
    if payload.value_bytes > whole_array_bytes {
        return Err(FormatError::TooLarge {
            file: payload.input.name().to_owned(),
            what: "the size in bytes of a compressed array in Fortran order, which must be held in memory (save it in C order),".into(),
            got: payload.value_bytes,
            limit: whole_array_bytes,
        });
    }
    hold(payload).map(Access::Held)
}

/// Unpacks the values piece by piece, so that memory grows with what is really there.
fn hold(payload: &Payload) -> Result<Vec<u8>> {
    const PIECE_BYTES: u64 = 1 << 20;
    let mut reader = payload.open()?;
    let mut bytes = Vec::new();
    while reader.left() > 0 {
        let start = bytes.len();
        let piece = reader.left().min(PIECE_BYTES) as usize; // at most a MiB
        bytes.resize(start + piece, 0);
        reader.read(bytes.get_mut(start..).unwrap_or_default())?;
    }
    Ok(bytes)
}

fn scatter_rows(header: &ArrayHeader, row_len: usize, bytes: &[u8], cells: Cells<'_>) {
    let row_bytes = row_len * header.dtype.size();
    for (row, to) in bytes.chunks_exact(row_bytes).zip(cells.out.chunks_mut(cells.stride)) {
        let mut to = to.iter_mut().skip(cells.offset);
        header.dtype.decode(header.byte_order, row, |value| {
            if let Some(cell) = to.next() {
                *cell = value;
            }
        });
    }
}

/// Some rows of an array in Fortran order.
struct Columns<'a> {
    header: &'a ArrayHeader,
    row_len: usize,
    first_row: u64,
}

impl Columns<'_> {
    /// `fill(offset, part)` fills `part`, the rows' part of one column, from the values at byte `offset`.
    fn read(
        &self,
        cells: Cells<'_>,
        part: &mut [u8],
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let header = self.header;
        for cell in 0..self.row_len {
            let column = fortran_index(cell, header.row_shape()) as u64;
            // No overflow: all offsets are inside the array, whose bytes were counted in u64.
            let at = (column * header.rows() + self.first_row) * header.dtype.size() as u64;
            fill(at, part)?;
            let mut to = cells.out.iter_mut().skip(cells.offset + cell).step_by(cells.stride);
            header.dtype.decode(header.byte_order, part, |value| {
                if let Some(cell) = to.next() {
                    *cell = value;
                }
            });
        }
        Ok(())
    }
}

/// The position in Fortran order of the cell at position `c_index` in C order.
fn fortran_index(c_index: usize, shape: &[usize]) -> usize {
    let mut rest = c_index;
    let mut weight: usize = shape.iter().product();
    let mut index = 0;
    for &dim in shape.iter().rev() {
        weight /= dim.max(1);
        index += (rest % dim.max(1)) * weight;
        rest /= dim.max(1);
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_indices_of_a_small_block() {
        // Shape (2, 3): C order 00 01 02 10 11 12; Fortran order 00 10 01 11 02 12.
        let indices: Vec<usize> = (0..6).map(|i| fortran_index(i, &[2, 3])).collect();
        assert_eq!(indices, [0, 2, 4, 1, 3, 5]);
        assert_eq!(fortran_index(5, &[9]), 5);
        // Shape (2, 3, 4): element (i, j, k) is at i + 2 (j + 3 k).
        assert_eq!(fortran_index((3 + 2) * 4 + 3, &[2, 3, 4]), 1 + 2 * (2 + 3 * 3));
    }
}
