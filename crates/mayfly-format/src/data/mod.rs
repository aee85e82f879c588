//! Tables of data: CSV, Parquet, FANN, IDX, npy and npz in, `f32` features and targets out.
//!
//! What is read, and how, is written down in `docs/formats/data.md`.

mod array;
mod chunk;
mod column;
mod csv;
mod encode;
mod fann;
mod input;
mod kind;
mod number;
mod open;
#[cfg(feature = "parquet")]
mod parquet;
mod schema;
mod source;
mod split;
mod table;
mod value;

pub use chunk::{Chunk, MISSING_CODE, TextColumn};
pub use encode::{
    Batch, ClassNames, EncodedRows, Encoder, ExtraColumns, FitOptions, InputColumn, InputEncoding, LeftOut,
    MissingPolicy, Outputs, PlainOptions, Reason, RowOptions, ScaledColumn, Scaling, Survey, TargetEncoding, Task,
    Want,
};
pub use input::Input;
pub use kind::FileKind;
pub use open::open;
pub use schema::{Column, ColumnKind, Names, Schema, Targets};
pub use source::{Header, Identifiers, NpzKeys, OpenOptions, Reading, Source};
pub use split::{Part, Split, Splitter};
pub use table::{Table, Tables, load, load_with};
pub use value::Decimal;
