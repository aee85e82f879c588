//! How columns were scaled before a network saw them.

/// How columns were scaled for training: `(value − shift) / scale`, one of each for a column.
#[derive(Clone, PartialEq, Debug)]
pub struct Scale {
    /// Subtracted from inputs, added to outputs.
    pub shift: Vec<f32>,
    /// Divides inputs, multiplies outputs.
    pub scale: Vec<f32>,
}

impl Scale {
    /// Factor and shift of a column.
    pub(crate) fn column(&self, at: usize) -> Option<(f32, f32)> {
        Some((*self.scale.get(at)?, *self.shift.get(at)?))
    }

    /// Whether there is one of each for `columns` columns, all finite and no factor 0.
    pub(crate) fn fits(&self, columns: usize) -> bool {
        let is_right = |v: &[f32]| v.len() == columns && v.iter().all(|v| v.is_finite());
        is_right(&self.shift) && is_right(&self.scale) && !self.scale.contains(&0.0)
    }
}
