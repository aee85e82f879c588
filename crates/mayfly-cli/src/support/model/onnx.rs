//! ONNX on the command line: read with what classes are called, written with the scaling of numbers inside.
use super::{Loaded, scaling};
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use mayfly_format::onnx::ModelProto;
use mayfly_nn::onnx::{ExportOptions, ImportOptions, export, import};
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
        options.inputs = Some(scaling::inputs(encoder));
        options.outputs = scaling::outputs(encoder);
        scaling::say_one_hot(encoder, path, ui);
    } else if let Some(labels) = loaded.model.other.get("labels") {
        options.labels = serde_json::from_str(labels).context("the labels in the model's metadata")?;
    }
    let proto = export(&loaded.model.network, &options)?;
    proto.write(path).with_context(|| format!("cannot write {}", path.display()))
}
