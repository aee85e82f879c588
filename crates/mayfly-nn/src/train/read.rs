//! Reading rows from a data set, whatever it says and returns.
use crate::data::{Dataset, Order};
use crate::error::{NnError, Result};

/// One pass over a data set. What the data set returns is checked against the room it was given and against what it said of itself.
pub(super) struct Pass {
    known: Option<usize>,
    seen: usize,
}

impl Pass {
    /// Goes to the first row.
    pub(super) fn start(data: &mut dyn Dataset, order: Order) -> Result<Pass> {
        data.start(order)?;
        Ok(Pass { known: data.rows(), seen: 0 })
    }

    /// Fills `x` and `t` with whole rows from the front and returns how many; only at the end are there fewer than fit, and 0 when none is left.
    pub(super) fn read(&mut self, data: &mut dyn Dataset, x: &mut [f32], t: &mut [f32]) -> Result<usize> {
        let (n, m) = (data.input_len().max(1), data.target_len().max(1));
        let room = (x.len() / n).min(t.len() / m);
        let mut filled = 0;
        while filled < room {
            let got = data.next(&mut x[filled * n..], &mut t[filled * m..])?;
            if got > room - filled {
                return Err(NnError::RowsReturned { got, room: room - filled });
            }
            if got == 0 {
                break;
            }
            filled += got;
        }
        self.seen += filled;
        match self.known {
            Some(said) if self.seen > said || (filled < room && self.seen < said) => {
                Err(NnError::RowsCounted { said, got: self.seen })
            }
            _ => Ok(filled),
        }
    }
}
