//! Model files of every kind: what is loaded is a network and, where the file has one, its encoder.
pub mod fann;
pub mod onnx;
pub mod scaling;

use crate::support::metrics::{Metrics, Tally};
use anyhow::{Context, Result, anyhow, bail};
use mayfly_format::data::{Batch, EncodedRows, Encoder, RowOptions, Want};
use mayfly_nn::Model;
use std::path::Path;

/// Rows that are run at a time.
const BATCH_ROWS: usize = 4096;

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

    /// The encoder of the model, or one that takes the file's numbers as they are.
    pub fn encoder_for(&self, data: &Path) -> Result<Encoder> {
        let encoder = match &self.encoder {
            Some(encoder) => encoder.clone(),
            None => crate::support::data::raw_encoder(data, self.model.network.input_len())?,
        };
        let (want, got) = (self.model.network.input_len(), encoder.input_width());
        if want != got {
            bail!("{}: {got} input values a row, the network takes {want}", data.display());
        }
        Ok(encoder)
    }

    /// Runs the model over a file, some thousand rows at a time: `each(rows, outputs)`, where the outputs are `[rows, outputs]`.
    /// However large the file, memory holds one batch.
    pub fn run(
        &self,
        data: &Path,
        encoder: &Encoder,
        want: Want,
        mut each: impl FnMut(&Batch, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let source = crate::support::data::open_file(data, &encoder.open_options())?;
        let mut rows = EncodedRows::new(source, encoder, &RowOptions { want, ..RowOptions::default() })?;
        let mut batch = Batch::default();
        while rows.read(&mut batch, BATCH_ROWS)? > 0 {
            each(&batch, &self.model.predict(&batch.inputs)?)?;
        }
        Ok(())
    }

    /// The figures over a file with targets.
    pub fn measure(&self, data: &Path) -> Result<Metrics> {
        let encoder = self.encoder_for(data)?;
        let (targets, outputs) = (encoder.target_width(), self.model.network.output_len());
        if targets != outputs {
            bail!("{}: {targets} target values a row, the network gives {outputs}", data.display());
        }
        let (named, found) = (self.labels(), encoder.labels());
        if !named.is_empty() && !found.is_empty() && named != found {
            bail!("{}: its classes are {found:?}, the model's {named:?}", data.display());
        }
        let mut tally = Tally::new(&encoder);
        self.run(data, &encoder, Want::InputsAndTargets, |batch, outputs| {
            tally.add(outputs, &batch.targets);
            Ok(())
        })?;
        Ok(tally.finish())
    }
}
