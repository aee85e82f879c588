//! Data files for the commands: opened, encoded, in memory.
use anyhow::Result;
use mayfly_format::data::{
    EncodedRows, Encoder, FitOptions, OpenOptions, RowOptions, Scaling, Source, Table, Want, open,
};
use std::path::Path;

/// Tables larger than this are refused: 4 GiB of rows.
pub const TABLE_BYTES: usize = 4 << 30;

/// Opens a data file; errors name it.
pub fn open_file(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>> {
    Ok(open(path, options)?)
}

/// All rows of a file, encoded as a trained model wants them.
pub fn table(path: &Path, encoder: &Encoder, want: Want) -> Result<Table> {
    let source = open_file(path, &encoder.open_options())?;
    let mut rows = EncodedRows::new(source, encoder, &RowOptions { want, ..RowOptions::default() })?;
    Ok(Table::read(&mut rows, TABLE_BYTES)?)
}

/// An encoder that changes no number: for networks of `inputs` inputs that came without one. A file with as many numbers a row has no targets.
pub fn raw_encoder(path: &Path, inputs: usize) -> Result<Encoder> {
    let mut source = open_file(path, &OpenOptions::default())?;
    let mut options = FitOptions::default();
    let (numbers, categories) = (source.schema().number_width(), source.schema().code_width());
    options.no_targets = numbers == inputs && categories == 0;
    options.input_scaling = Scaling::None;
    options.target_scaling = Scaling::None;
    Ok(Encoder::fit(source.as_mut(), &options)?)
}
