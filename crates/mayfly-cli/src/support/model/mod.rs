//! Model files of every kind: what is loaded is a network and, where the file has one, its encoder.
pub mod fann;
pub mod onnx;
mod rows;
pub mod scaling;

use anyhow::{Context, Result, anyhow, bail};
use mayfly_format::data::Encoder;
use mayfly_nn::Model;
use std::path::Path;

pub use rows::Rows;

/// A model with its preprocessing.
pub struct Loaded {
    pub model: Model,
    /// How raw rows become inputs; files of other programs have none.
    pub encoder: Option<Encoder>,
}

/// What an extension says of a model file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Native,
    FannNet,
    Onnx,
    Dot,
}

impl Kind {
    /// The kind a path's extension names.
    pub fn of(path: &Path) -> Result<Kind> {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("mayfly" | "safetensors") => Ok(Kind::Native),
            Some("net") => Ok(Kind::FannNet),
            Some("onnx") => Ok(Kind::Onnx),
            Some("dot") => Ok(Kind::Dot),
            _ => bail!(
                "{}: the extension says no model format; there are .mayfly, .safetensors, .net, .onnx and .dot",
                path.display()
            ),
        }
    }
}

impl Loaded {
    /// Reads a model file of any kind.
    pub fn read(path: &Path) -> Result<Loaded> {
        let loaded = match Kind::of(path)? {
            Kind::Native => Loaded::native(path),
            Kind::FannNet => fann::read(path),
            Kind::Onnx => onnx::read(path),
            Kind::Dot => Err(anyhow!("a .dot file is a drawing; it can be written, not read")),
        };
        loaded.with_context(|| format!("cannot load {}", path.display()))
    }

    fn native(path: &Path) -> Result<Loaded> {
        let model = Model::load(path)?;
        let encoder =
            model.encoder.as_deref().map(serde_json::from_str).transpose().context("the encoder in the file")?;
        Ok(Loaded { model, encoder })
    }

    /// What the classes are called: the encoder says so or, of a model of another program, its metadata. Empty when numbers are predicted.
    pub fn labels(&self) -> Vec<String> {
        match &self.encoder {
            Some(encoder) => encoder.labels().to_vec(),
            None => self.model.other.get("labels").and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default(),
        }
    }
}
