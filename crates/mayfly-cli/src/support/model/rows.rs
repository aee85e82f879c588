//! A model over the rows of a file.
use super::Loaded;
use crate::support::data::{ColumnArgs, FileArgs, open_file};
use crate::support::ui::Ui;
use anyhow::{Result, bail};
use mayfly_format::data::{Batch, ClassNames, EncodedRows, Encoder, Identifiers, OpenOptions, RowOptions, Want};
use mayfly_nn::{Measured, Over, Tally};
use std::path::Path;

/// Rows that are run at a time.
const BATCH_ROWS: usize = 4096;

/// A file of rows, and what was said about it.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub path: &'a Path,
    pub files: &'a FileArgs,
    pub columns: &'a ColumnArgs,
}

/// What answers rows of inputs.
pub trait Answering {
    /// The outputs for rows of inputs, one after another.
    fn answer(&self, inputs: &[f32]) -> Result<Vec<f32>>;
    /// Numbers of an answer.
    fn output_len(&self) -> usize;
    /// What the classes are called; empty when numbers are predicted.
    fn labels(&self) -> Vec<String>;
    /// Whether it brings what makes inputs of raw rows.
    fn has_encoder(&self) -> bool;
}

impl Answering for Loaded {
    fn answer(&self, inputs: &[f32]) -> Result<Vec<f32>> {
        Ok(self.predict(inputs)?)
    }
    fn output_len(&self) -> usize {
        self.model.network.output_len()
    }
    fn labels(&self) -> Vec<String> {
        self.predictor.labels()
    }
    fn has_encoder(&self) -> bool {
        self.encoder.is_some()
    }
}

impl Rows<'_> {
    /// Runs a model over the file, some thousand rows at a time: `each(rows, outputs)`, where the outputs are `[rows, outputs]`.
    /// However large the file, memory holds one batch.
    pub fn run(
        self,
        model: &dyn Answering,
        encoder: &Encoder,
        want: Want,
        mut each: impl FnMut(&Batch, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let mut options = self.files.over(encoder.open_options())?;
        options.ignore.extend(self.columns.ignore.iter().cloned());
        let source = open_file(self.path, &options)?;
        let mut rows = EncodedRows::new(source, encoder, &RowOptions { want, ..RowOptions::default() })?;
        let mut batch = Batch::default();
        while rows.read(&mut batch, BATCH_ROWS)? > 0 {
            each(&batch, &model.answer(&batch.inputs)?)?;
        }
        for (column, cells) in rows.imputed() {
            let cells = if cells == 1 { "1 cell".to_owned() } else { format!("{cells} cells") };
            Ui { json: false }.note(format!("imputed: {cells} missing in {column:?}, as in training"));
        }
        Ok(())
    }
}

impl Loaded {
    /// The encoder of the model, or one that takes the file's numbers as they are: the answer to a row depends on that row and the model
    /// alone.
    pub fn encoder_for(&self, rows: Rows<'_>, ui: Ui) -> Result<Encoder> {
        if let Some(encoder) = &self.encoder {
            return self.own_encoder(encoder, rows);
        }
        let source = open_file(rows.path, &rows.files.over(plain())?)?;
        let encoder = Encoder::plain(source.as_ref(), self.model.network.input_len(), &rows.columns.options())?;
        say_columns(&encoder, ui);
        Ok(encoder)
    }

    fn own_encoder(&self, encoder: &Encoder, rows: Rows<'_>) -> Result<Encoder> {
        for (option, given) in [("--inputs", &rows.columns.inputs), ("--target", &rows.columns.target)] {
            if !given.is_empty() {
                bail!(
                    "{option} is for networks without column names (.onnx, .net); this model knows its columns by name"
                );
            }
        }
        let (want, got) = (self.model.network.input_len(), encoder.input_width());
        if want != got {
            bail!("the model's encoder makes {got} inputs, its network takes {want}");
        }
        Ok(encoder.clone())
    }

    /// An encoder with targets, to measure the model by; for a network without one its classes are said.
    fn encoder_with_targets(&self, rows: Rows<'_>, ui: Ui) -> Result<Encoder> {
        if let Some(encoder) = &self.encoder {
            return self.own_encoder(encoder, rows);
        }
        let mut source = open_file(rows.path, &rows.files.over(plain())?)?;
        let network = &self.model.network;
        let (inputs, outputs) = (network.input_len(), network.output_len());
        let options = rows.columns.options();
        let (encoder, names) = Encoder::plain_with_targets(source.as_mut(), inputs, outputs, &self.labels(), &options)?;
        say_columns(&encoder, ui);
        ui.note(format!("measured against {}", encoder.targets().columns().join(", ")));
        match names {
            ClassNames::None | ClassNames::Network => {}
            ClassNames::Outputs => ui.note("classes are numbered as the outputs are, from 0 or by column"),
            ClassNames::Sorted => {
                let order: Vec<String> = encoder
                    .labels()
                    .iter()
                    .enumerate()
                    .map(|(i, label)| format!("output {} is {label:?}", i + 1))
                    .collect();
                ui.note(format!(
                    "the network does not say what its classes are called; the labels of the file are taken in their order: {}",
                    order.join(", ")
                ));
            }
        }
        Ok(encoder)
    }

    /// The figures over a file with targets.
    pub fn measure(&self, rows: Rows<'_>, ui: Ui) -> Result<Measured> {
        let encoder = self.encoder_with_targets(rows, ui)?;
        let (targets, outputs) = (encoder.target_width(), self.model.network.output_len());
        if targets != outputs {
            bail!("{}: {targets} target values a row, the network gives {outputs}", rows.path.display());
        }
        let mut tally = Tally::new(&encoder);
        rows.run(self, &encoder, Want::InputsAndTargets, |batch, outputs| {
            tally.add(outputs, &batch.targets);
            Ok(())
        })?;
        let figures = tally.finish();
        if figures.rows() == 0 {
            bail!("{}: no rows to measure on", rows.path.display());
        }
        Ok(Measured::new(figures, &encoder, Over::Test))
    }
}

/// A network without column names takes every number for one: none is left out because it looks like a row number.
fn plain() -> OpenOptions {
    OpenOptions { identifiers: Identifiers::Keep, ..OpenOptions::default() }
}

/// Which columns a network without names gets, where there is a choice.
fn say_columns(encoder: &Encoder, ui: Ui) {
    if !encoder.left_out().is_empty() {
        let inputs: Vec<&str> = encoder.inputs().iter().map(|input| input.name.as_str()).collect();
        let others: Vec<&str> = encoder.left_out().iter().map(|left| left.name.as_str()).collect();
        ui.note(format!("inputs are {}; left out: {}", inputs.join(", "), others.join(", ")));
    }
}
