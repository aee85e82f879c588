//! The rows of a training: in memory, or read from the file in every epoch.
use super::args::TrainArgs;
use super::settings::Settings;
use crate::support::data::{FileArgs, TABLE_BYTES, open_file, reading_line, table};
use crate::support::ui::{Ui, grouped};
use anyhow::{Result, bail};
use mayfly_format::FormatError;
use mayfly_format::data::{
    Chunk, EncodedRows, Encoder, FitOptions, Part as Role, RowOptions, Source, Split, Tables, Want,
};
use mayfly_nn::{Dataset, InMemory, Order, Streamed};
use std::path::Path;

/// Rows that are read at a time when the whole part is gone through.
const SCAN_ROWS: usize = 1024;

/// What a network is trained on, held back from, and judged by.
pub(super) struct Rows {
    pub(super) encoder: Encoder,
    pub(super) training: Part,
    pub(super) validation: Part,
    pub(super) test: Part,
}

/// The rows for one purpose.
pub(super) enum Part {
    Memory(InMemory),
    File(Box<Streamed>),
}

impl Rows {
    /// Reads the training file, and the test file if there is one; otherwise test rows are held out, where there are enough.
    pub(super) fn read(args: &TrainArgs, settings: &Settings, ui: Ui) -> Result<Rows> {
        let mut source = open_file(&args.data, &settings.open)?;
        let fit = match is_small(source.as_mut())? {
            true => FitOptions { split: Split { seed: settings.seed, ..Split::default() }, ..settings.fit.clone() },
            false => settings.fit.clone(),
        };
        let encoder = match &settings.base {
            Some(base) => {
                source = open_file(&args.data, &settings.open)?;
                base.encoder.clone()
            }
            None => {
                let encoder = Encoder::fit(source.as_mut(), &fit)?;
                say_decisions(source.as_ref(), &encoder, ui);
                encoder
            }
        };
        if fit.split != settings.fit.split {
            ui.note(format!("fewer than {SMALL} rows: all of them are trained on, none is held out"));
        }
        let options = RowOptions { want: Want::InputsAndTargets, split: fit.split, ..RowOptions::default() };
        let tables = match args.stream {
            true => None,
            false => match Tables::read(&mut EncodedRows::new(source, &encoder, &options)?, TABLE_BYTES) {
                Err(FormatError::TableTooLarge { .. }) => {
                    ui.note("the rows do not fit into memory: they are read from the file in every epoch");
                    None
                }
                tables => Some(tables?),
            },
        };
        let mut rows = match tables {
            Some(tables) => Rows::in_memory(encoder, tables)?,
            None => Rows::streamed(args, settings, encoder, &options)?,
        };
        if let Some(path) = &args.test {
            rows.test = rows.other_file(path, &args.files)?;
            if rows.test.is_empty()? {
                bail!("{}: no rows to test on", path.display());
            }
        }
        if rows.training.is_empty()? {
            bail!("{}: no rows are left to train on", args.data.display());
        }
        Ok(rows)
    }

    fn in_memory(encoder: Encoder, tables: Tables) -> Result<Rows> {
        let part = |table| Ok::<_, anyhow::Error>(Part::Memory(InMemory::from_table(table, &encoder)?));
        let (training, validation, test) = (part(tables.training)?, part(tables.validation)?, part(tables.test)?);
        Ok(Rows { encoder, training, validation, test })
    }

    fn streamed(args: &TrainArgs, settings: &Settings, encoder: Encoder, options: &RowOptions) -> Result<Rows> {
        let part = |role, rows| {
            let source = open_file(&args.data, &settings.open)?;
            let encoded = EncodedRows::new(source, &encoder, &RowOptions { part: Some(role), ..*options })?;
            Ok::<_, anyhow::Error>(Part::File(Box::new(Streamed::new(encoded, &encoder, rows))))
        };
        // How many rows there are was counted when the encoder was fitted, which was on other rows for a stored network.
        let count = if settings.base.is_some() { None } else { usize::try_from(encoder.training_rows()).ok() };
        let training = part(Role::Training, count)?;
        let (validation, test) = (part(Role::Validation, None)?, part(Role::Test, None)?);
        Ok(Rows { encoder, training, validation, test })
    }

    /// A test file, held as the training file is.
    fn other_file(&self, path: &Path, files: &FileArgs) -> Result<Part> {
        if let Part::Memory(_) = self.training {
            let table = table(path, &self.encoder, files, Want::InputsAndTargets)?;
            return Ok(Part::Memory(InMemory::from_table(table, &self.encoder)?));
        }
        let source = open_file(path, &files.over(self.encoder.open_options())?)?;
        let encoded = EncodedRows::new(source, &self.encoder, &RowOptions::default())?;
        Ok(Part::File(Box::new(Streamed::new(encoded, &self.encoder, None))))
    }

    /// What is about to be trained; a network that grows has no number of parameters yet.
    pub(super) fn say_plan(&self, parameters: Option<usize>, algorithm: &str, ui: Ui) {
        let task = match self.encoder.labels() {
            [] => "numbers".to_string(),
            labels => format!("{} classes", labels.len()),
        };
        let count = |part: &Part| part.rows().map(grouped).unwrap_or_default();
        let held = match (&self.validation, self.validation.rows(), self.test.rows()) {
            (Part::File(_), ..) => ", read from the file in every epoch".to_string(),
            (_, Some(0), Some(0)) => ", none held out: figures are over the training rows".to_string(),
            (_, Some(0), _) => format!(", {} for testing", count(&self.test)),
            (_, Some(n), Some(0)) => {
                format!(", {} held out for validation, none to test: figures are over the training rows", grouped(n))
            }
            (_, n, _) => {
                format!(
                    ", {} held out for validation, {} for testing",
                    n.map(grouped).unwrap_or_default(),
                    count(&self.test)
                )
            }
        };
        let parameters = parameters.map(|n| format!("{} parameters; ", grouped(n))).unwrap_or_default();
        let (training, inputs) = (count(&self.training), self.encoder.input_width());
        let inputs = if inputs == 1 { "1 input".to_owned() } else { format!("{inputs} inputs") };
        ui.note(format!("{training} rows to train on{held}; {inputs}, {task}; {parameters}{algorithm}"));
    }
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
            Part::File(_) => bail!("cascade training needs all rows in memory (4 GiB at most); leave out --stream"),
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

/// With fewer rows than this a held-out part would be a handful: figures over it would say nothing, and training would miss it.
const SMALL: usize = 20;

/// Whether the file has only a few rows; looks no further.
fn is_small(source: &mut dyn Source) -> Result<bool> {
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

/// How the file is read, and what its columns are.
fn say_decisions(source: &dyn Source, encoder: &Encoder, ui: Ui) {
    let reading = source.reading();
    let lines = reading_line(&reading).into_iter().chain(encoder.decisions());
    lines.chain(reading.remarks).for_each(|line| ui.note(line));
}
