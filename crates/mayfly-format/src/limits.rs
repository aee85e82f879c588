//! Upper bounds on what a file may ask for.

/// How large the parts of a data file may be.
///
/// They bound the memory that one file can claim; the length of a file is not bounded, because files are streamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataLimits {
    /// Columns of a table, or values in one row of an array. Default 1,048,576 (an image of 1024 × 1024).
    pub columns: usize,
    /// Bytes of one CSV record. Default 16 MiB.
    pub record_bytes: usize,
    /// Different values of one categorical column. Default 1,024.
    pub categories: usize,
    /// Bytes of an array that has to be held whole, because it is compressed and in Fortran order. Default 1 GiB.
    pub whole_array_bytes: u64,
}

impl Default for DataLimits {
    fn default() -> Self {
        Self { columns: 1 << 20, record_bytes: 16 << 20, categories: 1024, whole_array_bytes: 1 << 30 }
    }
}
