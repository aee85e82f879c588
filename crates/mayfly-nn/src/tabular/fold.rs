//! What an encoder does to numbers, for formats that can hold that and no more.
use crate::scale::Scale;
use mayfly_format::data::{Encoder, InputEncoding, TargetEncoding};
use mayfly_format::fann_net::FannScale;
use std::iter::repeat_n;

/// How the encoder scales its inputs; those that stand for categories stay 0 and 1.
pub(super) fn inputs(encoder: &Encoder) -> Scale {
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
pub(super) fn outputs(encoder: &Encoder) -> Option<Scale> {
    let TargetEncoding::Numbers { columns } = encoder.targets() else { return None };
    let shift = columns.iter().map(|c| c.shift as f32).collect();
    let scale = columns.iter().map(|c| c.scale as f32).collect();
    Some(Scale { shift, scale })
}

/// FANN's four parameters a column as two: `((x − mean) / deviation + 1) · factor + new_min` is `(x − shift) / scale`.
pub(super) fn fann(scale: &FannScale) -> Scale {
    let columns = scale.columns().map(|[mean, deviation, new_min, factor]| match deviation == 0.0 {
        true => (0.0, 1.0), // FANN leaves such a column as it is
        false => (mean - (new_min + factor) * deviation / factor, deviation / factor),
    });
    let (shift, scale) = columns.map(|(shift, scale)| (shift as f32, scale as f32)).unzip();
    Scale { shift, scale }
}
