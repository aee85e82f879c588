//! Data files for the commands: what can be said about them, and how they are opened.
use anyhow::{Result, bail};
use clap::Args;
use mayfly_format::data::{Decimal, Header, MissingPolicy, NpzKeys, OpenOptions, PlainOptions, Reading, Source, open};
use mayfly_nn::tabular::FileOptions;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::{Path, PathBuf};

/// How a text table is to be read, where it is not to be found out.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TextArgs {
    /// The first line of a text table names the columns [default: found out]
    #[arg(long, conflicts_with = "no_header", help_heading = "Reading data")]
    pub header: bool,
    /// The first line of a text table is a row of data
    #[arg(long, conflicts_with = "header", help_heading = "Reading data")]
    pub no_header: bool,
    /// What parts the columns of a text table: a character, or comma, semicolon, tab, pipe, or space for any white space [default: found out]
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true, help_heading = "Reading data")]
    pub delimiter: Option<String>,
    /// Decimal mark of a text table: point or comma [default: found out]
    #[arg(long, value_name = "MARK", help_heading = "Reading data")]
    pub decimal: Option<String>,
    /// What stands for a missing value, instead of the usual markers (empty, NA, N/A, NaN, null, ? …); numbers too: -999,unknown.
    /// When training also what to do about one: error, drop or impute [default: impute]
    #[arg(
        long,
        visible_alias = "missing-values",
        value_name = "TOKENS",
        value_delimiter = ',',
        allow_hyphen_values = true,
        help_heading = "Reading data"
    )]
    #[serde(deserialize_with = "one_or_many")]
    pub missing: Vec<String>,
}

/// How a data file is to be read, where it is not to be found out.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub text: TextArgs,
    /// Arrays of an .npz file: the inputs, and the targets if there are any [default: X,y and other usual names]
    #[arg(long, visible_alias = "npz", value_name = "X,Y", value_delimiter = ',', help_heading = "Reading data")]
    pub npz_keys: Vec<String>,
    /// Labels of IDX images, where their name does not follow from that of the images
    #[arg(long, value_name = "FILE", help_heading = "Reading data")]
    pub labels: Option<PathBuf>,
}

/// In a file of options one word may stand for a list of one.
pub fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(from)? {
        Either::One(word) => word.split(',').map(str::to_owned).collect(),
        Either::Many(words) => words,
    })
}

impl TextArgs {
    /// What to do about a missing value, where that was said.
    pub fn policy(&self) -> Result<Option<MissingPolicy>> {
        let mut policies = self.missing.iter().filter_map(|word| policy(word));
        match (policies.next(), policies.next()) {
            (_, Some(_)) => bail!("--missing: of error, drop and impute only one can be"),
            (one, None) => Ok(one),
        }
    }

    /// For the library.
    pub fn options(&self) -> Result<FileOptions> {
        Ok(FileOptions {
            header: match (self.header, self.no_header) {
                (true, true) => bail!("--header and --no-header exclude each other"),
                (true, false) => Header::Present,
                (false, true) => Header::Absent,
                (false, false) => Header::Auto,
            },
            delimiter: self.delimiter.as_deref().map(delimiter).transpose()?,
            decimal: self.decimal.as_deref().map(decimal).transpose()?,
            missing_tokens: self.missing.iter().filter(|word| policy(word).is_none()).cloned().collect(),
            ..FileOptions::default()
        })
    }
}

impl FileArgs {
    /// What to do about a missing value, where that was said.
    pub fn policy(&self) -> Result<Option<MissingPolicy>> {
        self.text.policy()
    }

    /// For the library.
    pub fn options(&self) -> Result<FileOptions> {
        Ok(FileOptions {
            npz_keys: match self.npz_keys.as_slice() {
                [] => None,
                [inputs] => Some(NpzKeys { inputs: inputs.clone(), targets: None }),
                [inputs, targets] => Some(NpzKeys { inputs: inputs.clone(), targets: Some(targets.clone()) }),
                more => bail!("--npz-keys: {} names, expected those of the inputs and of the targets", more.len()),
            },
            labels: self.labels.clone(),
            ..self.text.options()?
        })
    }

    /// These options over `base`, which is what a model or nobody says.
    pub fn over(&self, base: OpenOptions) -> Result<OpenOptions> {
        Ok(self.options()?.over(base))
    }
}

fn policy(word: &str) -> Option<MissingPolicy> {
    match word {
        "error" => Some(MissingPolicy::Error),
        "drop" => Some(MissingPolicy::DropRow),
        "impute" => Some(MissingPolicy::Impute),
        _ => None,
    }
}

fn delimiter(text: &str) -> Result<u8> {
    Ok(match (text.to_ascii_lowercase().as_str(), text.as_bytes()) {
        ("comma", _) => b',',
        ("semicolon", _) => b';',
        ("tab" | "\\t", _) => b'\t',
        ("pipe" | "bar", _) => b'|',
        ("space" | "spaces" | "whitespace", _) => b' ',
        (_, [byte]) if byte.is_ascii() => *byte,
        _ => bail!("--delimiter {text:?}: expected one ASCII character, or comma, semicolon, tab, pipe or space"),
    })
}

fn decimal(text: &str) -> Result<Decimal> {
    match text.to_ascii_lowercase().as_str() {
        "." | "point" | "dot" | "period" => Ok(Decimal::Point),
        "," | "comma" => Ok(Decimal::Comma),
        _ => bail!("--decimal {text:?}: expected point or comma"),
    }
}

/// Which columns are meant, for networks that came without names.
#[derive(Args, Debug, Clone, Default)]
pub struct ColumnArgs {
    /// For networks without column names (.onnx, .net): the input columns, in the network's order [default: all, if their number fits]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Reading data")]
    pub inputs: Vec<String>,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Reading data")]
    pub ignore: Vec<String>,
    /// For networks without column names: the target columns
    /// [default: those that the format says, one called target, class, label or y, else the last]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Reading data")]
    pub target: Vec<String>,
}

impl ColumnArgs {
    /// For the library.
    pub fn options(&self) -> PlainOptions {
        PlainOptions { inputs: self.inputs.clone(), ignore: self.ignore.clone(), targets: self.target.clone() }
    }
}

/// Opens a data file; errors name it.
pub fn open_file(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>> {
    Ok(open(path, options)?)
}

/// How a text table is read, in words; nothing for other files.
pub fn reading_line(reading: &Reading) -> Option<String> {
    let delimiter = match reading.delimiter? {
        b',' => "commas".to_owned(),
        b';' => "semicolons".to_owned(),
        b'\t' => "tabs".to_owned(),
        b' ' => "white space".to_owned(),
        other => format!("{:?}", char::from(other)),
    };
    let header = match reading.header_line {
        Some(line) => format!("header in line {line}"),
        None => "no header (columns are called x1, x2 …)".to_owned(),
    };
    let decimal = if reading.decimal == Some(Decimal::Comma) { ", decimal commas" } else { "" };
    let skipped = match reading.skipped_lines {
        0 => String::new(),
        1 => ", one line above the table skipped".to_owned(),
        n => format!(", {n} lines above the table skipped"),
    };
    Some(format!("columns separated by {delimiter}, {header}{decimal}{skipped}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_characters_for_delimiters_and_marks() {
        for (text, want) in [(";", b';'), ("tab", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), ("Space", b' '), (" ", b' ')] {
            assert_eq!(delimiter(text).unwrap(), want, "{text:?}");
        }
        assert!(delimiter("ab").is_err() && delimiter("").is_err() && delimiter("é").is_err());
        assert_eq!((decimal(",").unwrap(), decimal("Point").unwrap()), (Decimal::Comma, Decimal::Point));
        assert!(decimal(";").is_err());
    }

    #[test]
    fn missing_says_what_to_do_and_what_it_looks_like() {
        let args = |words: &[&str]| {
            let missing = words.iter().map(|&w| w.to_owned()).collect();
            FileArgs { text: TextArgs { missing, ..TextArgs::default() }, ..FileArgs::default() }
        };
        assert_eq!(args(&["drop"]).policy().unwrap(), Some(MissingPolicy::DropRow));
        assert_eq!(args(&["drop"]).over(OpenOptions::default()).unwrap().missing_tokens, None);
        let both = args(&["-999", "error"]);
        assert_eq!(both.policy().unwrap(), Some(MissingPolicy::Error));
        assert_eq!(both.over(OpenOptions::default()).unwrap().missing_tokens, Some(vec!["-999".to_owned()]));
        assert!(args(&["drop", "error"]).policy().is_err());
    }
}
