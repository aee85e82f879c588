//! The descriptor and the regions that it names. The host has checked that they lie in memory and that outputs and scratch
//! overlap nothing.

use core::slice;

/// Why a kernel does not compute.
#[derive(Clone, Copy)]
pub enum Code {
    InvalidInput = 1,
    InvalidOutput = 2,
    InvalidParams = 3,
}

pub type Result<T> = core::result::Result<T, Code>;

/// One call.
pub struct Call {
    words: &'static [u32; 10],
    tensors: &'static [Tensor],
}

/// A tensor reference of ABI 2.
#[repr(C)]
pub struct Tensor {
    pub offset: u32,
    pub bytes: u32,
    pub dtype: u32,
    pub rank: u32,
    pub dims: [u32; 8],
    pub strides: [u32; 8],
}

const INPUT_A: usize = 0;
const INPUT_B: usize = 2;
const OUTPUT: usize = 4;
const SCRATCH: usize = 6;
const PARAMS: usize = 8;

impl Call {
    /// A call with a version 1 descriptor.
    ///
    /// # Safety
    /// `descriptor` must be the address of one, as the host writes it.
    pub unsafe fn new(descriptor: u32) -> Self {
        // SAFETY: the caller's promise; ten words, aligned.
        Self { words: unsafe { &*(descriptor as *const [u32; 10]) }, tensors: &[] }
    }

    /// The same call with the tensors of version 2.
    pub fn v2(&self) -> Self {
        let more = self.words.as_ptr().wrapping_add(10);
        // SAFETY: a kernel that calls this is declared as ABI 2, so count and offset follow the ten words.
        let tensors = unsafe { slice::from_raw_parts(*more.add(1) as *const Tensor, *more as usize) };
        Self { words: self.words, tensors }
    }

    pub fn input_a<T: 'static>(&self) -> &[T] {
        region(self.words[INPUT_A], self.words[INPUT_A + 1])
    }

    pub fn input_b<T: 'static>(&self) -> &[T] {
        region(self.words[INPUT_B], self.words[INPUT_B + 1])
    }

    /// One at a time: nothing else of the call overlaps it.
    #[allow(clippy::mut_from_ref)]
    pub fn output<T: 'static>(&self) -> &mut [T] {
        region_mut(self.words[OUTPUT], self.words[OUTPUT + 1])
    }

    #[allow(clippy::mut_from_ref)]
    pub fn scratch<T: 'static>(&self) -> &mut [T] {
        region_mut(self.words[SCRATCH], self.words[SCRATCH + 1])
    }

    /// Parameter `i` in the order of names.
    pub fn param(&self, i: usize) -> Result<u32> {
        let params: &[u32] = region(self.words[PARAMS], self.words[PARAMS + 1]);
        params.get(i).copied().ok_or(Code::InvalidParams)
    }

    pub fn tensor(&self, i: usize) -> Result<&Tensor> {
        self.tensors.get(i).ok_or(Code::InvalidInput)
    }
}

impl Tensor {
    pub fn data<T: 'static>(&self) -> &[T] {
        region(self.offset, self.bytes)
    }

    #[allow(clippy::mut_from_ref)]
    pub fn data_mut<T: 'static>(&self) -> &mut [T] {
        region_mut(self.offset, self.bytes)
    }

    pub fn dim(&self, i: usize) -> usize {
        self.dims[i] as usize
    }
}

fn region<T>(offset: u32, bytes: u32) -> &'static [T] {
    if offset == 0 {
        return &[];
    }
    // SAFETY: the host checked that the region lies in memory; it is aligned to 64 and holds plain numbers.
    unsafe { slice::from_raw_parts(offset as *const T, bytes as usize / size_of::<T>()) }
}

fn region_mut<T>(offset: u32, bytes: u32) -> &'static mut [T] {
    if offset == 0 {
        return &mut [];
    }
    // SAFETY: as above, and outputs and scratch overlap no other region of the call.
    unsafe { slice::from_raw_parts_mut(offset as *mut T, bytes as usize / size_of::<T>()) }
}
