//! The binary interface: where the host puts descriptor, parameters and tensors in a guest's memory, and what it writes there.

use crate::error::{PackError, Result};
use crate::tensor::DType;

/// Bytes of a version 1 descriptor: ten words.
pub const DESCRIPTOR_V1_BYTES: u32 = 40;
/// Bytes of a version 2 descriptor: a count and an offset more.
pub const DESCRIPTOR_V2_BYTES: u32 = 48;
/// Bytes of a tensor reference: twenty words.
pub const TENSOR_REF_BYTES: u32 = 80;
const ALIGN: u64 = 64;

/// The name of a kernel's return code.
pub fn code_name(code: i32) -> &'static str {
    match code {
        0 => "OK",
        1 => "INVALID_INPUT",
        2 => "INVALID_OUTPUT",
        3 => "INVALID_PARAMS",
        4 => "OUT_OF_MEMORY",
        5 => "NOT_IMPLEMENTED",
        6 => "INTERNAL_ERROR",
        _ => "a code that the ABI does not know",
    }
}

/// A piece of a guest's memory. Offset 0 means unused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Region {
    /// From the start of the memory, in bytes.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
}

impl Region {
    /// Where it ends, in numbers that cannot overflow.
    fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.size)
    }

    fn overlaps(self, other: Self) -> bool {
        self.size > 0 && other.size > 0 && u64::from(self.offset) < other.end() && u64::from(other.offset) < self.end()
    }

    /// The bytes of the region.
    ///
    /// # Errors
    /// [`PackError::MemoryAccessViolation`] when it does not lie in the memory.
    pub fn of(self, memory: &mut [u8]) -> Result<&mut [u8]> {
        let violation = PackError::MemoryAccessViolation { offset: Some(self.offset.into()), size: self.size.into() };
        let end = usize::try_from(self.end()).map_err(|_| violation.clone())?;
        memory.get_mut(self.offset as usize..end).ok_or(violation)
    }
}

/// What a call needs room for.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// 1 or 2.
    pub abi_version: u32,
    /// Bytes of the parameters.
    pub params: u64,
    /// Bytes of each input.
    pub inputs: Vec<u64>,
    /// Bytes of each output.
    pub outputs: Vec<u64>,
    /// Bytes of scratch.
    pub scratch: u64,
}

/// Where everything of a call lies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The descriptor, with the tensor references of version 2 behind it.
    pub descriptor: Region,
    /// The parameters.
    pub params: Region,
    /// The inputs.
    pub inputs: Vec<Region>,
    /// The outputs.
    pub outputs: Vec<Region>,
    /// Scratch.
    pub scratch: Region,
    /// Where the last of them ends.
    pub end: u64,
}

impl Needs {
    fn descriptor_bytes(&self) -> u64 {
        let tensors = (self.inputs.len() + self.outputs.len()) as u64;
        match self.abi_version {
            1 => DESCRIPTOR_V1_BYTES.into(),
            _ => u64::from(DESCRIPTOR_V2_BYTES) + tensors * u64::from(TENSOR_REF_BYTES),
        }
    }

    /// Bytes from the first to the last, whatever the base.
    pub fn bytes(&self) -> u64 {
        let parts = [self.descriptor_bytes(), self.params, self.scratch].into_iter();
        let parts = parts.chain(self.inputs.iter().copied()).chain(self.outputs.iter().copied());
        parts.fold(ALIGN, |sum, bytes| sum.saturating_add(bytes).saturating_add(ALIGN))
    }

    /// Bytes of the contents alone: no memory of fewer bytes can hold the call.
    pub fn least_bytes(&self) -> u64 {
        let parts = [self.descriptor_bytes(), self.params, self.scratch].into_iter();
        parts.chain(self.inputs.iter().copied()).chain(self.outputs.iter().copied()).fold(0, u64::saturating_add)
    }

    /// Lays everything out from `base` on, each at a multiple of 64.
    ///
    /// # Errors
    /// [`PackError::MemoryAccessViolation`] when an offset passes 2^32.
    pub fn layout(&self, base: u32) -> Result<Layout> {
        let mut at = u64::from(base).max(ALIGN);
        let mut place = |size: u64| {
            let offset = at.next_multiple_of(ALIGN);
            let violation = PackError::MemoryAccessViolation { offset: Some(offset), size };
            at = offset.checked_add(size).filter(|end| *end <= u64::from(u32::MAX)).ok_or(violation)?;
            // tidy: both fit, since their sum does
            Ok::<_, PackError>(if size == 0 {
                Region::default()
            } else {
                Region { offset: offset as u32, size: size as u32 }
            })
        };
        let mut layout =
            Layout { descriptor: place(self.descriptor_bytes())?, params: place(self.params)?, ..Layout::default() };
        layout.inputs = self.inputs.iter().map(|size| place(*size)).collect::<Result<_>>()?;
        layout.outputs = self.outputs.iter().map(|size| place(*size)).collect::<Result<_>>()?;
        layout.scratch = place(self.scratch)?;
        layout.end = at;
        Ok(layout)
    }
}

impl Layout {
    /// Checks a layout whoever made it: alignment, bounds, and that what is written overlaps nothing else.
    ///
    /// # Errors
    /// [`PackError::MemoryAccessViolation`] with the first region that breaks a rule.
    pub fn check(&self, memory_bytes: u64) -> Result<()> {
        let written = [self.descriptor, self.params, self.scratch];
        let all: Vec<Region> =
            written.into_iter().chain(self.outputs.iter().copied()).chain(self.inputs.iter().copied()).collect();
        let exclusive = written.len() + self.outputs.len();
        for (i, region) in all.iter().enumerate() {
            let others = if i < exclusive { &all[i + 1..] } else { &[] };
            let bad = !region.offset.is_multiple_of(4)
                || region.end() > memory_bytes
                || others.iter().any(|o| region.overlaps(*o));
            if bad {
                return Err(PackError::MemoryAccessViolation {
                    offset: Some(region.offset.into()),
                    size: region.size.into(),
                });
            }
        }
        Ok(())
    }

    /// Writes the descriptor, and for version 2 the tensor references.
    ///
    /// # Errors
    /// [`PackError::MemoryAccessViolation`] when the descriptor does not lie in the memory.
    pub fn write_descriptor(&self, abi_version: u32, tensors: &[(DType, &[u64])], memory: &mut [u8]) -> Result<()> {
        let region = |list: &[Region], i: usize| list.get(i).copied().unwrap_or_default();
        let five =
            [region(&self.inputs, 0), region(&self.inputs, 1), region(&self.outputs, 0), self.scratch, self.params];
        let out = self.descriptor.of(memory)?;
        let mut words = Words { out, at: 0 };
        five.iter().for_each(|r| words.put_all(&[r.offset, r.size]));
        if abi_version >= 2 {
            words.put_all(&[tensors.len() as u32, self.descriptor.offset + DESCRIPTOR_V2_BYTES]);
            let regions = self.inputs.iter().chain(&self.outputs);
            regions.zip(tensors).for_each(|(region, (dtype, dims))| put_tensor(&mut words, *region, *dtype, dims));
        }
        Ok(())
    }
}

fn put_tensor(words: &mut Words<'_>, region: Region, dtype: DType, dims: &[u64]) {
    words.put_all(&[region.offset, region.size, dtype.code(), dims.len() as u32]);
    (0..8).for_each(|i| words.put(dims.get(i).copied().unwrap_or(0) as u32));
    for i in 0..8 {
        let stride: u64 = dims.get(i + 1..).map_or(0, |rest| rest.iter().product());
        words.put(if i < dims.len() { stride as u32 } else { 0 });
    }
}

struct Words<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Words<'_> {
    fn put(&mut self, word: u32) {
        if let Some(place) = self.out.get_mut(self.at..self.at + 4) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.at += 4;
    }

    fn put_all(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.put(*word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(memory: &[u8], region: Region) -> Vec<u32> {
        let bytes = &memory[region.offset as usize..(region.offset + region.size) as usize];
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    #[test]
    fn the_descriptor_of_version_1_is_ten_words_in_their_order() {
        let needs = Needs { abi_version: 1, params: 4, inputs: vec![16, 8], outputs: vec![12], scratch: 0 };
        let layout = needs.layout(100).unwrap();
        let mut memory = vec![0xAA; 1024];
        layout.check(1024).unwrap();
        layout.write_descriptor(1, &[], &mut memory).unwrap();
        let expected = [256, 16, 320, 8, 384, 12, 0, 0, 192, 4];
        assert_eq!(words(&memory, layout.descriptor), expected);
        assert_eq!(memory[168], 0xAA, "nothing behind the 40 bytes");
    }

    #[test]
    fn version_2_adds_the_tensors() {
        let needs = Needs { abi_version: 2, params: 0, inputs: vec![24], outputs: vec![6], scratch: 5 };
        let layout = needs.layout(64).unwrap();
        let mut memory = vec![0; 1024];
        let tensors = [(DType::F32, &[2u64, 3][..]), (DType::Q8, &[6][..])];
        layout.write_descriptor(2, &tensors, &mut memory).unwrap();
        let words = words(&memory, layout.descriptor);
        assert_eq!(words.len(), 12 + 2 * 20);
        assert_eq!(words[10..16], [2, 64 + 48, layout.inputs[0].offset, 24, 0, 2]);
        assert_eq!(words[16..18], [2, 3]);
        assert_eq!(words[24..27], [3, 1, 0]);
        assert_eq!(words[32..37], [layout.outputs[0].offset, 6, 6, 1, 6]);
    }

    #[test]
    fn broken_layouts_are_refused() {
        let needs = Needs { abi_version: 1, params: 4, inputs: vec![16, 16], outputs: vec![16], scratch: 16 };
        let good = needs.layout(64).unwrap();
        good.check(good.end).unwrap();
        assert!(good.check(good.end - 1).is_err());
        let breaks: [fn(&mut Layout); 6] = [
            |l| l.outputs[0] = l.inputs[1],
            |l| l.scratch.offset = l.inputs[0].offset + 8,
            |l| l.params.offset = l.scratch.offset,
            |l| l.outputs[0].offset += 2,
            |l| l.inputs[0].offset = u32::MAX - 3,
            |l| l.descriptor.offset = l.outputs[0].offset,
        ];
        for (i, change) in breaks.iter().enumerate() {
            let mut layout = good.clone();
            change(&mut layout);
            assert!(matches!(layout.check(1 << 20), Err(PackError::MemoryAccessViolation { .. })), "change {i}");
        }
        let mut shared = good;
        shared.inputs[0] = shared.inputs[1];
        shared.check(1 << 20).unwrap();
    }

    proptest! {
        #[test]
        fn layouts_keep_their_own_rules(
            base in any::<u32>(), params in 0u64..300, scratch in 0u64..1000,
            inputs in proptest::collection::vec(0u64..(1 << 31), 0..5),
            outputs in proptest::collection::vec(0u64..(1 << 31), 0..5),
        ) {
            let needs = Needs { abi_version: 2, params, inputs, outputs, scratch };
            match needs.layout(base) {
                Ok(layout) => {
                    prop_assert!(layout.end <= u64::from(base).max(64) + needs.bytes());
                    prop_assert!(layout.check(layout.end).is_ok());
                }
                Err(error) => prop_assert!(u64::from(base) + needs.bytes() > u64::from(u32::MAX), "{}", error),
            }
        }
    }
}
