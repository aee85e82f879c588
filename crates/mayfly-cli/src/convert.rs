//! `mayfly convert`: between the native format, FANN's, ONNX and drawings, by extension.
use crate::dot::dot;
use crate::model::{Kind, Loaded};
use crate::scaling;
use crate::ui::Ui;
use anyhow::{Context, Result, anyhow};
use mayfly_nn::{Mode, fann};
use serde_json::json;
use std::path::Path;

/// Converts a model file.
pub fn convert(from: &Path, to: &Path, ui: Ui) -> Result<()> {
    let kind = Kind::of(to)?;
    let loaded = Loaded::read(from)?;
    match kind {
        Kind::Native => loaded.model.save(to)?,
        Kind::FannNet => write_fann(&loaded, to, ui)?,
        Kind::Onnx => crate::convert_onnx::write(&loaded, to, ui)?,
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

/// A network that FANN saved.
pub fn read_fann(path: &Path) -> Result<Loaded> {
    Ok(Loaded { model: fann::read(path)?, encoder: None })
}

/// FANN has no place for what is done to raw data before: scaling of numbers goes into the weights.
fn write_fann(loaded: &Loaded, path: &Path, ui: Ui) -> Result<()> {
    let mut file = fann::to_file(&loaded.model).map_err(|e| {
        anyhow!("{e}; mayfly train has --activation tanh and, for classes, --output-activation sigmoid, or --algorithm rprop")
    })?;
    if let Some(encoder) = &loaded.encoder {
        fann::fold_inputs(&mut file, &scaling::inputs(encoder))?;
        scaling::say_one_hot(encoder, path, ui);
        if let Some(scale) = scaling::outputs(encoder)
            && !fann::fold_outputs(&mut file, &scale)?
        {
            let unscale = |(scale, shift): (&f32, &f32)| format!("× {scale} + {shift}");
            let how: Vec<String> = scale.scale.iter().zip(&scale.shift).map(unscale).collect();
            ui.note(format!("{}: outputs are scaled; the target's units are {}", path.display(), how.join(", ")));
        }
    }
    file.write(path).with_context(|| format!("cannot write {}", path.display()))
}
