//! The class of a row, as far as splitting is concerned: rows with the same target values fall together.

use crate::data::chunk::{Chunk, MISSING_CODE};
use crate::data::schema::{Schema, Slot};
use crate::data::source::Source;
use mayfly_base::split_mix;

/// Computes the class of each row from its targets. It depends on values and names only, not on how a source numbers them.
#[derive(Debug, Clone)]
pub(super) struct Strata {
    slots: Vec<Slot>,
    /// For each categorical target the hashes of its categories, by code.
    hashes: Vec<Vec<u64>>,
}

impl Strata {
    pub(super) fn new(schema: &Schema, targets: &[usize]) -> Self {
        let slots: Vec<Slot> = targets.iter().filter_map(|&i| schema.slot(i)).map(|(_, slot)| slot).collect();
        Self { hashes: vec![Vec::new(); slots.len()], slots }
    }

    /// Takes in categories that are new since the last chunk.
    pub(super) fn update(&mut self, source: &dyn Source) {
        for (slot, hashes) in self.slots.iter().zip(&mut self.hashes) {
            if let Slot::Code(slot) = slot {
                let names = source.categories(*slot).iter().skip(hashes.len());
                hashes.extend(names.map(|name| hash(name)));
            }
        }
    }

    /// The class of a row. Numbers that are not whole are no class of their own.
    pub(super) fn class_of(&self, schema: &Schema, chunk: &Chunk, row: usize) -> u64 {
        let (numbers, codes) = (chunk.numbers_of(schema, row), chunk.codes_of(schema, row));
        let cell = |(slot, hashes): (&Slot, &Vec<u64>)| match *slot {
            Slot::Number(at) => numbers.get(at).map_or(0, |&value| whole(value)),
            Slot::Code(at) => match codes.get(at) {
                Some(&MISSING_CODE) | None => 0,
                Some(&code) => hashes.get(code as usize).copied().unwrap_or(0),
            },
            Slot::Text(_) => 0,
        };
        self.slots.iter().zip(&self.hashes).map(cell).fold(0, |class, cell| split_mix(class ^ cell))
    }
}

fn whole(value: f64) -> u64 {
    if value.fract() == 0.0 { split_mix((value + 0.0).to_bits()) } else { 0 }
}

fn hash(name: &str) -> u64 {
    name.bytes().fold(1, |hash, byte| split_mix(hash ^ u64::from(byte)))
}
