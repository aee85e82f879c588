//! The log of a search: a line for each trial, from which a search that was broken off goes on.
use super::trial::Trial;
use crate::error::{ForecastError, Result};
use crate::frame::{LocalScaler, SeriesFrame};
use mayfly_base::mix;
use mayfly_format::FormatError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What a search is of. A log of another search is not gone on with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// The version of the log.
    pub(super) mayfly_auto: u32,
    pub(super) h: usize,
    pub(super) val_size: usize,
    pub(super) freq: String,
    pub(super) rows: usize,
    /// Of the values and their places.
    pub(super) data: String,
    pub(super) seed: u64,
    pub(super) search: String,
    pub(super) samples: usize,
    /// What whole series are scaled by.
    #[serde(default)]
    pub(super) local_scaler: Option<LocalScaler>,
    /// The models with their settings, whether they are local, and what is searched.
    pub(super) models: serde_json::Value,
}

/// What the frame holds, in sixteen digits.
pub(super) fn fingerprint(frame: &SeriesFrame) -> String {
    let words = frame.iter().flat_map(|series| {
        let id = series.id.bytes().fold(series.y.len() as u64, |word, byte| mix(word ^ u64::from(byte)));
        let values = series.y.iter().chain(series.hist).chain(series.futr).chain(series.stat);
        [id, series.start.0 as u64].into_iter().chain(values.map(|v| u64::from(v.to_bits())))
    });
    format!("{:016x}", words.fold(1, |sum: u64, word| mix(sum.rotate_left(5) ^ word)))
}

/// A log that is being written; none where a search leaves none.
pub(super) struct TrialLog(Option<File>);

impl TrialLog {
    /// Opens or begins a log, with the trials that are in it. A last line that was cut off by a kill is left out.
    pub(super) fn open(path: Option<&Path>, head: &Head) -> Result<(TrialLog, Vec<Trial>)> {
        let Some(path) = path else { return Ok((TrialLog(None), Vec::new())) };
        let io = |source| failed(path, source);
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(io)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        let mut log = match lines.next() {
            Some(first) => {
                check(path, first, head)?;
                file.set_len(whole as u64).map_err(io)?;
                file.seek(SeekFrom::End(0)).map_err(io)?;
                TrialLog(Some(file))
            }
            // Nothing whole is in it: a search that was killed in its first line, or an empty file.
            None if text.is_empty() || text.starts_with("{\"mayfly_auto\"") => {
                file.set_len(0).map_err(io)?;
                file.seek(SeekFrom::Start(0)).map_err(io)?;
                TrialLog(Some(file))
            }
            None => return Err(other(path, "it is no log of a search")),
        };
        let parsed = lines.enumerate().map(|(at, line)| {
            serde_json::from_str(line).map_err(|e| other(path, &format!("line {} is no trial: {e}", at + 2)))
        });
        let trials = parsed.collect::<Result<Vec<Trial>>>()?;
        if whole == 0 {
            log.line(head, path)?;
        }
        Ok((log, trials))
    }

    /// Writes a trial down, on the disk when this returns.
    pub(super) fn add(&mut self, trial: &Trial, path: Option<&Path>) -> Result<()> {
        path.map_or(Ok(()), |path| self.line(trial, path))
    }

    fn line(&mut self, what: &impl Serialize, path: &Path) -> Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let json = |source| ForecastError::Json { what: "the log".into(), source };
        let mut line = serde_json::to_string(what).map_err(json)?;
        line.push('\n');
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|source| failed(path, source))
    }
}

fn failed(path: &Path, source: std::io::Error) -> ForecastError {
    ForecastError::Format(FormatError::Io { path: path.to_owned(), source })
}

fn other(path: &Path, what: &str) -> ForecastError {
    ForecastError::BadFile { file: path.display().to_string(), what: format!("{what}; give the search another log") }
}

/// Refuses the log of another search, with what differs.
fn check(path: &Path, line: &str, head: &Head) -> Result<()> {
    let found: Head = serde_json::from_str(line).map_err(|_| other(path, "it is no log of a search"))?;
    let both = [&found, head].map(|head| serde_json::to_value(head).unwrap_or_default());
    let keys = both[0].as_object().map(|keys| keys.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    match keys.iter().find(|key| both[0][key.as_str()] != both[1][key.as_str()]) {
        None => Ok(()),
        Some(key) => {
            let [there, here] = [0, 1].map(|i| both[i][key.as_str()].to_string());
            Err(other(path, &format!("it is of another search: {key} is {there} there and {here} here")))
        }
    }
}
