//! Reading rows from a data set, whatever it says and returns.
use crate::data::{Dataset, Order, WEIGHT};
use crate::error::{NnError, Result};
use crate::network::Network;
use mayfly_kernels::Buffer;

/// Values of a batch that is read at once, at most: 8 GiB.
const BATCH_VALUES: usize = 1 << (if usize::BITS > 32 { 31 } else { 26 });

/// Memory for some rows.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order of the graph's inputs: the first, the further ones, targets.
    parts: Vec<Buffer<f32>>,
    lens: Vec<usize>,
    /// The rows' own weights; empty where the data set has none.
    weights: Option<Buffer<f32>>,
    room: usize,
}

impl Batch {
    /// Makes room for exactly `rows` rows of parts of these lengths.
    pub(super) fn fit(&mut self, lens: &[usize], rows: usize, is_weighted: bool) -> Result<()> {
        if self.room == rows && self.lens == lens && self.weights.is_some() == is_weighted {
            return Ok(());
        }
        let len = lens.iter().fold(0, |sum: usize, len| sum.saturating_add(*len));
        if rows.checked_mul(len).is_none_or(|values| values > BATCH_VALUES) {
            let want = format!("at most {BATCH_VALUES} values are read at once; use smaller batches, or full ones");
            return Err(NnError::option("batch", format!("{rows} rows of {len} values"), want));
        }
        self.parts = lens.iter().map(|len| Buffer::zeroed(rows * len)).collect();
        self.weights = is_weighted.then(|| Buffer::zeroed(rows));
        (self.lens, self.room) = (lens.to_vec(), rows);
        Ok(())
    }

    /// Shows the first `rows` rows: their parts, and their weights if they have some. Allocates nothing for networks of one input.
    pub(super) fn with<R>(&self, rows: usize, see: impl FnOnce(&[&[f32]], Option<&[f32]>) -> R) -> R {
        let weights = self.weights.as_ref().map(|weights| &weights[..rows]);
        let part = |i: usize| &self.parts[i][..rows * self.lens[i]];
        match self.parts.len() {
            2 => see(&[part(0), part(1)], weights),
            n => see(&(0..n).map(part).collect::<Vec<_>>(), weights),
        }
    }
}

/// Where one of a data set's extras goes.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    /// To this one of the network's further inputs.
    Input(usize),
    Weight,
}

/// One pass over a data set. What the data set returns is checked against the room it was given and against what it said of itself.
pub(super) struct Pass {
    known: Option<usize>,
    seen: usize,
    slots: Vec<Slot>,
}

impl Pass {
    /// Goes to the first row.
    pub(super) fn start(data: &mut dyn Dataset, order: Order, network: &Network) -> Result<Pass> {
        let slots = slots(network, data)?;
        data.start(order)?;
        Ok(Pass { known: data.rows(), seen: 0, slots })
    }

    /// Whether the rows have weights.
    pub(super) fn is_weighted(&self) -> bool {
        self.slots.contains(&Slot::Weight)
    }

    /// Fills the batch with rows from the front and returns how many; only at the end are there fewer than fit, and 0 when none is left.
    pub(super) fn read(&mut self, data: &mut dyn Dataset, batch: &mut Batch) -> Result<usize> {
        let mut filled = 0;
        while filled < batch.room {
            let got = self.next(data, batch, filled)?;
            if got > batch.room - filled {
                return Err(NnError::RowsReturned { got, room: batch.room - filled });
            }
            if got == 0 {
                break;
            }
            filled += got;
        }
        self.seen += filled;
        match self.known {
            Some(said) if self.seen > said || (filled < batch.room && self.seen < said) => {
                Err(NnError::RowsCounted { said, got: self.seen })
            }
            _ => Ok(filled),
        }
    }

    /// Asks for rows behind those that are filled.
    fn next(&self, data: &mut dyn Dataset, batch: &mut Batch, filled: usize) -> Result<usize> {
        let Batch { parts, lens, weights, .. } = batch;
        let mut free = parts.iter_mut().zip(lens).map(|(part, len)| &mut part[filled * *len..]);
        let (Some(x), Some(t)) = (free.next(), free.next_back()) else { return Ok(0) };
        if self.slots.is_empty() {
            return data.next(x, t);
        }
        let mut inputs: Vec<Option<&mut [f32]>> = free.map(Some).collect();
        let mut weights = weights.as_mut().map(|weights| &mut weights[filled..]);
        let take = |slot: &Slot| match slot {
            Slot::Input(i) => inputs[*i].take().unwrap_or_default(),
            Slot::Weight => weights.take().unwrap_or_default(),
        };
        let mut extras: Vec<&mut [f32]> = self.slots.iter().map(take).collect();
        data.next_with(x, t, &mut extras)
    }
}

/// Refuses data whose rows do not fit the network.
pub(super) fn check_data(network: &Network, data: &dyn Dataset) -> Result<()> {
    slots(network, data).map(drop)
}

/// Where the data set's extras go, after checking that everything is there once and of the right size.
fn slots(network: &Network, data: &dyn Dataset) -> Result<Vec<Slot>> {
    for (what, want, got) in
        [("inputs", network.input_len(), data.input_len()), ("targets", network.output_len(), data.target_len())]
    {
        if want != got {
            return Err(NnError::DataShape { what, want, got });
        }
    }
    let wanted = network.extra_inputs();
    let mut slots: Vec<Slot> = Vec::new();
    for (name, got) in data.extras() {
        let (slot, want) = match wanted.iter().position(|(known, _)| *known == name) {
            Some(at) => (Slot::Input(at), wanted[at].1),
            None => (Slot::Weight, usize::from(name == WEIGHT)),
        };
        if want != got || want == 0 || slots.contains(&slot) {
            return Err(NnError::InputShape { name, want, got });
        }
        slots.push(slot);
    }
    let missing = (0..wanted.len()).find(|at| !slots.contains(&Slot::Input(*at)));
    match missing {
        Some(at) => Err(NnError::InputShape { name: wanted[at].0.clone(), want: wanted[at].1, got: 0 }),
        None => Ok(slots),
    }
}
