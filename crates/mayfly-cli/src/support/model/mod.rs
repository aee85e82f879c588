//! Model files on the command line: the library's [`Predictor`], run over data files, with words for people.
mod rows;

use crate::support::ui::Ui;
use anyhow::{Context, Result, anyhow, bail};
use mayfly_format::data::Encoder;
use mayfly_format::model_file::{ModelFile, ReadOptions};
use mayfly_nn::Model;
use mayfly_nn::tabular::{LoadOptions, ModelKind, Predictor};
use std::ops::Deref;
use std::path::Path;

pub use rows::{Answering, Rows};

/// A model with its preprocessing.
pub struct Loaded {
    predictor: Predictor,
}

impl Deref for Loaded {
    type Target = Predictor;

    fn deref(&self) -> &Predictor {
        &self.predictor
    }
}

/// What an extension says of a file to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Model(ModelKind),
    Dot,
}

impl Kind {
    /// The kind a path's extension names.
    pub fn of(path: &Path) -> Result<Kind> {
        let is_drawing = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("dot"));
        match ModelKind::of_name(path) {
            Some(kind) => Ok(Kind::Model(kind)),
            None if is_drawing => Ok(Kind::Dot),
            None => bail!(
                "{}: the extension says no model format; there are .mayfly, .safetensors, .net, .onnx and .dot",
                path.display()
            ),
        }
    }
}

/// Whether a file that is no network is a forecaster's. Its description tells, also to builds that could not read it.
pub fn is_forecaster(path: &Path) -> bool {
    ModelFile::read(path, &ReadOptions::default()).is_ok_and(|file| file.other.contains_key("forecast"))
}

impl From<Predictor> for Loaded {
    fn from(predictor: Predictor) -> Loaded {
        Loaded { predictor }
    }
}

impl Loaded {
    /// A model as the library has it.
    pub fn new(model: Model, encoder: Option<Encoder>) -> Result<Loaded> {
        Ok(Loaded { predictor: Predictor::new(model, encoder)? })
    }

    /// Reads a model file of any kind, with what it leaves open. What there is to know about it is said on standard error.
    pub fn read_with(path: &Path, options: &LoadOptions) -> Result<Loaded> {
        let loaded = Predictor::load_with(path, options);
        if loaded.is_err() && is_forecaster(path) {
            bail!(
                "{}: this forecasts series, which mayfly forecast does: mayfly forecast predict, plot",
                path.display()
            );
        }
        let predictor = loaded.with_context(|| format!("cannot load {}", path.display()))?;
        for note in predictor.notes() {
            Ui { json: false }.note(format!("{}: {note}", path.display()));
        }
        Ok(Loaded { predictor })
    }

    /// Writes the model as a file of some kind. What is lost or differs is said on standard error.
    pub fn write(&self, path: &Path, kind: ModelKind, ui: Ui) -> Result<()> {
        let advised = |e: mayfly_nn::NnError| match (kind, &e) {
            (ModelKind::Fann, mayfly_nn::NnError::LayerSpec { .. }) => anyhow!(
                "{e}; mayfly train has --activation tanh and, for classes, --output-activation sigmoid, or --algorithm rprop"
            ),
            _ => anyhow!(e),
        };
        for note in self.save(path, kind).map_err(advised)? {
            ui.note(format!("{}: {note}", path.display()));
        }
        Ok(())
    }
}
