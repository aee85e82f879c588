//! Arrays of numbers: IDX, npy and npz, as described in `docs/formats/data.md`.

mod dtype;
mod idx;
mod npy;
mod npz;
mod payload;
mod reader;
mod source;
#[cfg(test)]
mod tests;

use super::input::Input;
use super::source::{OpenOptions, Source};
use crate::error::Result;

pub(super) fn open_idx(input: &Input, options: &OpenOptions) -> Result<Box<dyn Source>> {
    Ok(Box::new(idx::open(input, options)?))
}

pub(super) fn open_npy(input: &Input, options: &OpenOptions) -> Result<Box<dyn Source>> {
    Ok(Box::new(npy::open(input, options)?))
}

pub(super) fn open_npz(input: &Input, options: &OpenOptions) -> Result<Box<dyn Source>> {
    Ok(Box::new(npz::open(input, options)?))
}
