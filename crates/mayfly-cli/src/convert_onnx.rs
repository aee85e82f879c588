//! ONNX on the command line: read with what classes are called, written with the scaling of numbers inside.
use crate::model::Loaded;
use crate::ui::Ui;
use anyhow::{Context, Result};
use mayfly_format::data::{Encoder, InputEncoding, TargetEncoding};
use mayfly_format::onnx::ModelProto;
use mayfly_nn::onnx::{ExportOptions, ImportOptions, Scale, export, import};
use std::path::Path;

/// A network that some other program exported. Of several outputs the first is taken, with a word on standard error.
pub fn read(path: &Path) -> Result<Loaded> {
    let proto = ModelProto::read(path)?;
    let imported = match import(&proto, &ImportOptions::default()) {
        Ok(imported) => imported,
        Err(error) => match first_that_imports(&proto) {
            Some((name, imported)) => {
                Ui { json: false }.note(format!("{}: several outputs; {name:?} is taken", path.display()));
                imported
            }
            None => return Err(error.into()),
        },
    };
    Ok(Loaded { model: imported.model, encoder: None })
}

/// The first output that can be imported, when there are several.
fn first_that_imports(proto: &ModelProto) -> Option<(String, mayfly_nn::onnx::Imported)> {
    let outputs = &proto.graph().ok()?.output;
    outputs.iter().filter(|_| outputs.len() > 1).find_map(|output| {
        let options = ImportOptions { output: Some(output.name.clone()), ..ImportOptions::default() };
        import(proto, &options).ok().map(|imported| (output.name.clone(), imported))
    })
}

/// Writes a model. Scaling of numbers goes into the graph; what else the encoder does to raw rows is said on standard error.
pub fn write(loaded: &Loaded, path: &Path, ui: Ui) -> Result<()> {
    let mut options = ExportOptions::default();
    if let Some(encoder) = &loaded.encoder {
        options.labels = encoder.labels().to_vec();
        options.outputs = outputs(encoder);
        options.inputs = inputs(encoder);
        if options.inputs.is_none() {
            ui.note(format!(
                "{}: the graph takes encoded inputs ({} numbers a row), since some columns are categories: {}",
                path.display(),
                encoder.input_width(),
                encoder.input_names().join(", ")
            ));
        }
    } else if let Some(labels) = loaded.model.other.get("labels") {
        options.labels = serde_json::from_str(labels).context("the labels in the model's metadata")?;
    }
    let proto = export(&loaded.model.network, &options)?;
    proto.write(path).with_context(|| format!("cannot write {}", path.display()))
}

/// How the encoder scales its inputs, when all of them are numbers.
fn inputs(encoder: &Encoder) -> Option<Scale> {
    let mut all = Scale { shift: Vec::new(), scale: Vec::new() };
    for column in encoder.inputs() {
        let (InputEncoding::Number { shift, scale, .. } | InputEncoding::Grid { shift, scale, .. }) = &column.encoding
        else {
            return None;
        };
        let width = column.encoding.width();
        all.shift.extend(std::iter::repeat_n(*shift as f32, width));
        all.scale.extend(std::iter::repeat_n(*scale as f32, width));
    }
    Some(all)
}

/// How the targets of a regression were scaled.
fn outputs(encoder: &Encoder) -> Option<Scale> {
    let TargetEncoding::Numbers { columns } = encoder.targets() else { return None };
    let shift = columns.iter().map(|c| c.shift as f32).collect();
    let scale = columns.iter().map(|c| c.scale as f32).collect();
    Some(Scale { shift, scale })
}
