//! Model files of every kind: what is loaded is a network and, where the file has one, its encoder.
use anyhow::{Context, Result, anyhow, bail};
use mayfly_format::data::{Encoder, Want};
use mayfly_nn::Model;
use std::path::Path;

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
            Kind::FannNet => crate::convert::read_fann(path),
            Kind::Onnx => crate::convert_onnx::read(path),
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

    /// The encoder of the model, or one that takes the file's numbers as they are.
    pub fn encoder_for(&self, data: &Path) -> Result<Encoder> {
        let encoder = match &self.encoder {
            Some(encoder) => encoder.clone(),
            None => crate::data::raw_encoder(data)?,
        };
        let (want, got) = (self.model.network.input_len(), encoder.input_width());
        if want != got {
            bail!("{}: {got} input values a row, the network takes {want}", data.display());
        }
        Ok(encoder)
    }

    /// Outputs and encoded targets for all rows of a file.
    pub fn run(&self, data: &Path, want: Want) -> Result<Ran> {
        let encoder = self.encoder_for(data)?;
        let table = crate::data::table(data, &encoder, want)?;
        let outputs = self.model.predict(&table.inputs)?;
        Ok(Ran { encoder, outputs, table })
    }
}

/// A model run over a file.
pub struct Ran {
    pub encoder: Encoder,
    /// Row-major `[rows, outputs]`.
    pub outputs: Vec<f32>,
    pub table: mayfly_format::data::Table,
}
