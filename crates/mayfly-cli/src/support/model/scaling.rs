//! What an encoder does to numbers, for formats that can hold that and no more.
use crate::support::ui::Ui;
use mayfly_format::data::{Encoder, InputEncoding, TargetEncoding};
use mayfly_nn::Scale;
use std::iter::repeat_n;
use std::path::Path;

/// How the encoder scales its inputs; those that stand for categories stay 0 and 1.
pub fn inputs(encoder: &Encoder) -> Scale {
    let mut all = Scale { shift: Vec::new(), scale: Vec::new() };
    for column in encoder.inputs() {
        let (shift, scale) = match &column.encoding {
            InputEncoding::Number { shift, scale, .. } | InputEncoding::Grid { shift, scale, .. } => (*shift, *scale),
            _ => (0.0, 1.0),
        };
        let width = column.encoding.width();
        all.shift.extend(repeat_n(shift as f32, width));
        all.scale.extend(repeat_n(scale as f32, width));
    }
    all
}

/// How the targets of a regression were scaled.
pub fn outputs(encoder: &Encoder) -> Option<Scale> {
    let TargetEncoding::Numbers { columns } = encoder.targets() else { return None };
    let shift = columns.iter().map(|c| c.shift as f32).collect();
    let scale = columns.iter().map(|c| c.scale as f32).collect();
    Some(Scale { shift, scale })
}

/// Says which inputs are not the numbers of the file.
pub fn say_one_hot(encoder: &Encoder, path: &Path, ui: Ui) {
    if encoder.inputs().iter().any(|column| matches!(column.encoding, InputEncoding::OneHot { .. })) {
        ui.note(format!(
            "{}: takes {} numbers a row; a category is 1 in its place and 0 in those of its column's others: {}",
            path.display(),
            encoder.input_width(),
            encoder.input_names().join(", ")
        ));
    }
}
