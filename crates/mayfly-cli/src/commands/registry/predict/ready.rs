//! A version that is ready to answer.

use super::records::TOGETHER;
use crate::support::answers::Answers;
use crate::support::model::{Answering, Loaded};
use anyhow::{Context, Result, bail};
use mayfly_format::data::{self, Batch, EncodedRows, Encoder, FileKind, Header, Names, OpenOptions, RowOptions, Want};
use mayfly_nn::tabular::LoadOptions;

/// What the first record of a table says of those after it.
pub struct Head {
    /// The headings; none of a table of columns by their places.
    names: Option<String>,
    delimiter: u8,
}

impl Head {
    /// Of the first record, which is left among the others where it is a row.
    pub fn of(records: &mut Vec<String>, names: Names) -> Self {
        let delimiter = records.first().map_or(b',', |first| super::records::delimiter_of(first));
        let names = (names == Names::Given && !records.is_empty()).then(|| records.remove(0));
        Self { names, delimiter }
    }
}

pub struct Ready {
    loaded: Loaded,
    encoder: Encoder,
}

impl Ready {
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        let loaded = Loaded::read_with(file.path(), &LoadOptions::default())?;
        let encoder = loaded.encoder.clone().context(
            "it does not know its columns: `mayfly model pull` and `mayfly predict` answer with models of other programs",
        )?;
        Ok(Self { loaded, encoder })
    }

    /// Does it know its columns by name?
    pub fn names(&self) -> Names {
        self.encoder.names()
    }

    /// The inputs that records make, one row for each.
    pub fn inputs(&self, head: &Head, records: &[String]) -> Result<Vec<f32>> {
        let lines = head.names.iter().chain(records);
        let text = lines.fold(String::new(), |text, line| text + line + "\n");
        let header = if head.names.is_some() { Header::Present } else { Header::Absent };
        let (kind, delimiter) = (Some(FileKind::Csv), Some(head.delimiter));
        let options = OpenOptions { kind, delimiter, header, ..self.encoder.open_options() };
        let source = data::open(data::Input::from_bytes("the rows", text.into_bytes()), &options)?;
        let options = RowOptions { want: Want::Inputs, ..RowOptions::default() };
        let mut rows = EncodedRows::new(source, &self.encoder, &options)?;
        let (mut batch, mut inputs, mut count) = (Batch::default(), Vec::new(), 0);
        loop {
            let read = rows.read(&mut batch, TOGETHER)?;
            if read == 0 {
                break;
            }
            inputs.extend_from_slice(&batch.inputs);
            count += read;
        }
        match (count, records.len()) {
            (count, records) if count == records => Ok(inputs),
            (0, 1) => bail!("the model leaves it out, as rows that lack a value were left out in training"),
            (count, records) => bail!("{records} rows are read as {count}"),
        }
    }

    /// All outputs to some inputs.
    pub fn outputs(&self, inputs: &[f32]) -> Result<Vec<f32>> {
        self.loaded.answer(inputs)
    }

    /// Numbers of an answer.
    pub fn width(&self) -> usize {
        self.loaded.output_len().max(1)
    }

    pub fn words(&self) -> Answers<'_> {
        Answers::new(&self.loaded, &self.encoder, false)
    }
}
