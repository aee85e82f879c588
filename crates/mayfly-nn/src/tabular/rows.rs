//! The rows of a training: in memory, or read from the file in every epoch.
use super::options::TrainOptions;
use super::settings::Settings;
use crate::data::{Dataset, InMemory, Order};
use crate::error::{NnError, Result};
use crate::stream::Streamed;
use mayfly_format::FormatError;
use mayfly_format::data::{
    Chunk, EncodedRows, Encoder, Part as Role, RowOptions, Source, Split, Table, Tables, Want, open,
};
use std::path::Path;

/// Rows that are read at a time when the whole part is gone through.
const SCAN_ROWS: usize = 1024;

/// Tables larger than this are read from the file in every epoch: 4 GiB of rows, or 1 GiB where addresses have 32 bits.
const TABLE_BYTES: usize = if usize::BITS > 32 { (4_u64 << 30) as usize } else { 1 << 30 };
const _: () = assert!(TABLE_BYTES >= 1 << 30); // 4 << 30 is 0 in 32 bits

/// With fewer rows than this a held-out part would be a handful: figures over it would say nothing, and training would miss it.
pub(super) const SMALL: usize = 20;

/// What a network is trained on, held back from, and judged by.
pub(super) struct Rows {
    pub(super) encoder: Encoder,
    pub(super) training: Part,
    /// Which rows of the file the training rows are, from 0; none where they stay in the file.
    pub(super) numbers: Vec<u64>,
    pub(super) validation: Part,
    pub(super) test: Part,
}

/// The rows for one purpose.
pub(super) enum Part {
    Memory(InMemory),
    File(Box<Streamed>),
}

/// The training file and how it is read.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    pub(super) options: &'a TrainOptions,
    pub(super) settings: &'a Settings,
    pub(super) split: Split,
}

impl Rows {
    /// Reads the training file, which is open already, and the test file if there is one; otherwise test rows are held out.
    pub(super) fn read(source: Box<dyn Source>, encoder: Encoder, from: Origin<'_>) -> Result<Rows> {
        let row_options = RowOptions { want: Want::InputsAndTargets, split: from.split, ..RowOptions::default() };
        let mut rows = match tables(source, &encoder, &row_options, from.options)? {
            Some(tables) => Rows::in_memory(encoder, tables)?,
            None => Rows::streamed(from, encoder, &row_options)?,
        };
        if let Some(path) = &from.options.test {
            rows.test = rows.other_file(path, from.options)?;
            refuse_empty(&mut rows.test, path, "to test on")?;
        }
        refuse_empty(&mut rows.training, from.path, "are left to train on")?;
        Ok(rows)
    }

    fn in_memory(encoder: Encoder, mut tables: Tables) -> Result<Rows> {
        let numbers = std::mem::take(&mut tables.training.row_numbers);
        let part = |table| Ok::<_, NnError>(Part::Memory(InMemory::from_table(table, &encoder)?));
        let (training, validation, test) = (part(tables.training)?, part(tables.validation)?, part(tables.test)?);
        Ok(Rows { encoder, training, numbers, validation, test })
    }

    fn streamed(from: Origin<'_>, encoder: Encoder, row_options: &RowOptions) -> Result<Rows> {
        let part = |role, rows| {
            let source = open(from.path, &from.settings.open)?;
            let encoded = EncodedRows::new(source, &encoder, &RowOptions { part: Some(role), ..*row_options })?;
            Ok::<_, NnError>(Part::File(Box::new(Streamed::new(encoded, &encoder, rows))))
        };
        // How many rows there are was counted when the encoder was fitted, which was on other rows for a stored network.
        let is_counted = from.settings.base.is_none();
        let count = if is_counted { usize::try_from(encoder.training_rows()).ok() } else { None };
        let training = part(Role::Training, count)?;
        let (validation, test) = (part(Role::Validation, None)?, part(Role::Test, None)?);
        Ok(Rows { encoder, training, numbers: Vec::new(), validation, test })
    }

    /// A test file, held as the training file is.
    fn other_file(&self, path: &Path, options: &TrainOptions) -> Result<Part> {
        let source = open(path, &options.file.over(self.encoder.open_options()))?;
        let mut encoded = EncodedRows::new(source, &self.encoder, &RowOptions::default())?;
        Ok(match self.training {
            Part::Memory(_) => {
                let table = Table::read(&mut encoded, TABLE_BYTES)?;
                Part::Memory(InMemory::from_table(table, &self.encoder)?)
            }
            Part::File(_) => Part::File(Box::new(Streamed::new(encoded, &self.encoder, None))),
        })
    }

    /// How many rows an epoch has. Where nobody counted them, those that the encoder was fitted on are a guess.
    pub(super) fn an_epoch(&self) -> usize {
        let fitted = || usize::try_from(self.encoder.training_rows()).unwrap_or(usize::MAX);
        self.training.rows().unwrap_or_else(fitted)
    }
}

/// All rows, each in its part; none if they are to stay in the file, or do not fit into memory.
fn tables(
    source: Box<dyn Source>,
    encoder: &Encoder,
    row_options: &RowOptions,
    options: &TrainOptions,
) -> Result<Option<Tables>> {
    if options.stream {
        return Ok(None);
    }
    match Tables::read(&mut EncodedRows::new(source, encoder, row_options)?, TABLE_BYTES) {
        Err(FormatError::TableTooLarge { .. }) => Ok(None),
        tables => Ok(Some(tables?)),
    }
}

fn refuse_empty(part: &mut Part, path: &Path, what: &'static str) -> Result<()> {
    if part.is_empty()? {
        return Err(NnError::EmptyFile { file: path.display().to_string(), what });
    }
    Ok(())
}

impl Part {
    /// The rows for a trainer.
    pub(super) fn data(&mut self) -> &mut dyn Dataset {
        match self {
            Part::Memory(data) => data,
            Part::File(data) => data.as_mut(),
        }
    }

    /// How many rows there are, where they were counted.
    pub(super) fn rows(&self) -> Option<usize> {
        match self {
            Part::Memory(data) => data.rows(),
            Part::File(data) => data.rows(),
        }
    }

    /// All rows, where an algorithm must have them at once.
    pub(super) fn memory(&self) -> Result<&InMemory> {
        match self {
            Part::Memory(data) => Ok(data),
            Part::File(_) => {
                let what = "cascade needs all rows in memory (4 GiB at most); leave out `stream`";
                Err(NnError::misfit("algorithm", what))
            }
        }
    }

    /// All rows, taken out, where they are in memory.
    pub(super) fn into_memory(self) -> Result<InMemory> {
        match self {
            Part::Memory(data) => Ok(data),
            Part::File(_) => {
                Err(NnError::misfit("stream", "cannot be used here: the rows must be in memory (4 GiB at most)"))
            }
        }
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&mut self) -> Result<bool> {
        let data = self.data();
        let (mut x, mut t) = (vec![0.0; data.input_len()], vec![0.0; data.target_len()]);
        data.start(Order::AsIs)?;
        Ok(data.next(&mut x, &mut t)? == 0)
    }

    /// Goes through all rows: `each(inputs, targets)`.
    pub(super) fn each(&mut self, mut each: impl FnMut(&[f32], &[f32]) -> Result<()>) -> Result<()> {
        let data = self.data();
        let (inputs, targets) = (data.input_len(), data.target_len());
        let (mut x, mut t) = (vec![0.0; SCAN_ROWS * inputs], vec![0.0; SCAN_ROWS * targets]);
        data.start(Order::AsIs)?;
        loop {
            match data.next(&mut x, &mut t)? {
                0 => return Ok(()),
                rows => each(&x[..rows * inputs], &t[..rows * targets])?,
            }
        }
    }

    /// The least and the largest target.
    pub(super) fn target_range(&mut self) -> Result<[f32; 2]> {
        let mut range = [f32::INFINITY, f32::NEG_INFINITY];
        self.each(|_, targets| {
            range = targets.iter().fold(range, |[low, high], t| [low.min(*t), high.max(*t)]);
            Ok(())
        })?;
        Ok(range)
    }
}

/// Whether the file has only a few rows; looks no further.
pub(super) fn is_small(source: &mut dyn Source) -> Result<bool> {
    let mut chunk = Chunk::default();
    let mut rows = 0;
    source.rewind()?;
    while rows < SMALL {
        match source.read(&mut chunk, SMALL)? {
            0 => break,
            more => rows += more,
        }
    }
    source.rewind()?;
    Ok(rows < SMALL)
}
