//! `mayfly convert`: between the native format, FANN's, ONNX and drawings, by extension.
use super::dot::dot;
use crate::support::model::{Kind, Loaded, fann, onnx};
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use mayfly_nn::Mode;
use serde_json::json;
use std::path::Path;

/// Converts a model file.
pub fn convert(from: &Path, to: &Path, ui: Ui) -> Result<()> {
    let kind = Kind::of(to)?;
    let loaded = Loaded::read(from)?;
    match kind {
        Kind::Native => loaded.model.save(to)?,
        Kind::FannNet => fann::write(&loaded, to, ui)?,
        Kind::Onnx => onnx::write(&loaded, to, ui)?,
        Kind::Dot => {
            let lowered = loaded.model.network.spec().lower(Mode::Inference)?;
            let name = from.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            let text = dot(&lowered.graph, &name);
            mayfly_format::atomic::write(to, |out| out.write_all(text.as_bytes()))
                .with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    ui.result(&format!("{} written", to.display()), &json!({ "model": to.display().to_string() }))
}
