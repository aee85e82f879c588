//! What networks see at cuts of series.
use super::group::Cut;
use crate::families::Prompter;
use crate::windows::{BesideMut, Fitted, INPUT_MASK, PROMPT, RowShape, inputs_of};

/// The inputs of some cuts, row by row.
pub(super) struct Seen {
    pub(super) x: Vec<f32>,
    pub(super) mask: Vec<f32>,
    /// Name, values of a row, values of all.
    pub(super) beside: [(&'static str, usize, Vec<f32>); 3],
    /// Tokens of the sentences about windows, for families that read them.
    pub(super) prompt: Vec<f32>,
    /// What each row was scaled by.
    pub(super) scales: Vec<Fitted>,
}

impl Seen {
    pub(super) fn new(shape: RowShape, cuts: &[Cut<'_>]) -> Seen {
        let l = shape.input_size;
        let mut x = vec![0.0; cuts.len() * l];
        let mut mask = vec![0.0; if shape.reads_mask { x.len() } else { 0 }];
        let mut masks = mask.chunks_exact_mut(l);
        let scale = |((series, cut), x): (&Cut<'_>, &mut [f32])| inputs_of(series, *cut, shape.scaler, x, masks.next());
        let scales: Vec<_> = cuts.iter().zip(x.chunks_exact_mut(l)).map(scale).collect();
        let mut beside = shape.beside().map(|(name, len)| (name, len, vec![0.0; cuts.len() * len]));
        for (i, (series, cut)) in cuts.iter().enumerate() {
            let [hist, futr, stat] = beside.each_mut().map(|(_, len, values)| match *len {
                0 => None,
                len => Some(&mut values[i * len..(i + 1) * len]),
            });
            shape.fill_beside(series, *cut, BesideMut { hist, futr, stat });
        }
        Seen { x, mask, beside, prompt: Vec::new(), scales }
    }

    /// The same with sentences about the windows.
    pub(super) fn telling(mut self, prompter: Option<&Prompter>) -> Seen {
        if let (Some(prompter), false) = (prompter, self.scales.is_empty()) {
            self.prompt = vec![0.0; self.scales.len() * prompter.len()];
            prompter.tell(&self.x, self.x.len() / self.scales.len(), &mut self.prompt);
        }
        self
    }

    /// All inputs but the first, by name.
    pub(super) fn extras(&self) -> Vec<(&str, &[f32])> {
        let mask = (!self.mask.is_empty()).then_some((INPUT_MASK, &self.mask[..]));
        let beside = self.beside.iter().filter(|(_, len, _)| *len > 0);
        let prompt = (!self.prompt.is_empty()).then_some((PROMPT, &self.prompt[..]));
        let beside = beside.map(|(name, _, values)| (*name, &values[..]));
        mask.into_iter().chain(beside).chain(prompt).collect()
    }
}
