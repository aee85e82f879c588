//! FANN's networks on the command line.
use super::{Loaded, scaling};
use crate::support::ui::Ui;
use anyhow::{Context, Result, anyhow};
use mayfly_nn::fann;
use std::path::Path;

/// A network that FANN saved.
pub fn read(path: &Path) -> Result<Loaded> {
    Ok(Loaded { model: fann::read(path)?, encoder: None })
}

/// FANN has no place for what is done to raw data before: scaling of numbers goes into the weights.
pub fn write(loaded: &Loaded, path: &Path, ui: Ui) -> Result<()> {
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
