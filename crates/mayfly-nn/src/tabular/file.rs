//! What is said about a data file, where it is not to be found out.
use mayfly_format::data::{Decimal, Header, NpzKeys, OpenOptions};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a data file is read. The default finds everything out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileOptions {
    /// Whether the first line of a text table names the columns.
    pub header: Header,
    /// What parts the columns of a text table: an ASCII character; a space stands for any white space.
    pub delimiter: Option<u8>,
    /// The decimal mark of a text table.
    pub decimal: Option<Decimal>,
    /// What stands for a missing value, instead of the usual markers.
    pub missing_tokens: Vec<String>,
    /// Which arrays of an npz archive are read.
    pub npz_keys: Option<NpzKeys>,
    /// The labels of IDX images, where their name does not follow from that of the images.
    pub labels: Option<PathBuf>,
}

impl FileOptions {
    /// These over `base`, which is what an encoder knows of its files, or nobody says.
    pub fn over(&self, base: OpenOptions) -> OpenOptions {
        let FileOptions { header, delimiter, decimal, missing_tokens, npz_keys, labels } = self.clone();
        OpenOptions {
            header: if header == Header::Auto { base.header } else { header },
            delimiter: delimiter.or(base.delimiter),
            decimal: decimal.or(base.decimal),
            missing_tokens: if missing_tokens.is_empty() { base.missing_tokens } else { Some(missing_tokens) },
            npz_keys: npz_keys.or(base.npz_keys),
            labels: labels.or(base.labels),
            ..base
        }
    }
}
