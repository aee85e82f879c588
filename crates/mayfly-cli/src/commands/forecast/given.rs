//! Series that a trained model goes on with, as options name them.
use super::args::{ExogenousArgs, SeriesArgs};
use super::setup::{aligned, read, tell};
use super::words::as_flags;
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_forecast::{Columns, ForecastError, Forecaster, FrameOptions, Freq, SeriesFrame};
use std::path::Path;

/// The files of series and of columns beside them.
pub(super) struct Given<'a> {
    pub(super) data: Option<&'a Path>,
    pub(super) futr: Option<&'a Path>,
    pub(super) statics: Option<&'a Path>,
}

impl Given<'_> {
    /// The series of the data, or those of the model where the future of their columns is given; none for those of the model as they are.
    pub(super) fn frame(&self, forecaster: &Forecaster, args: &SeriesArgs, ui: Ui) -> Result<Option<SeriesFrame>> {
        let read = |path| known(path, forecaster, args, self.statics, ui);
        let frame = self.data.map(read).transpose()?;
        let frame = match frame {
            Some(frame) => Some(aligned(frame, args)?),
            None => {
                args.check_unread(self.futr.is_some())?;
                None
            }
        };
        let Some(path) = self.futr else { return Ok(frame) };
        let Some(past) = frame.or_else(|| forecaster.tails().cloned()) else {
            let lacks = "--futr: the model was saved without its series (--no-tails): give DATA as well";
            return Err(Usage(lacks.into()).into());
        };
        Ok(Some(past.with_future(&*Input::open(path)?, &args.options()?).map_err(as_flags)?))
    }
}

/// A table of series for a trained model: where a person does not say otherwise, its columns are called as those that the model was trained on, or as they are by default,
/// and its frequency is the model's, unless it plainly has another.
pub(super) fn known(
    path: &Path,
    forecaster: &Forecaster,
    args: &SeriesArgs,
    statics: Option<&Path>,
    ui: Ui,
) -> Result<SeriesFrame> {
    // What is standard input can be opened once.
    let (input, statics) = (Input::open(path)?, statics.map(Input::open).transpose()?);
    let path = &*input;
    let beside = ExogenousArgs::trained(forecaster, statics.as_deref().map(Path::to_owned));
    let given = args.options()?;
    let tz = given.tz.clone().or_else(|| forecaster.zone().cloned());
    let given = FrameOptions { tz, least: 1, ..given };
    let read_as = |options: FrameOptions| read(path, options, &beside).map_err(|error| without_option(error, &beside));
    let named = |freq: Option<Freq>| {
        let freq = given.freq.or(freq);
        let as_trained = forecaster.columns().map(|columns| FrameOptions {
            id: given.id.clone().or_else(|| Some(columns.id.clone())),
            time: given.time.clone().or_else(|| Some(columns.time.clone())),
            target: given.target.clone().or_else(|| Some(columns.target.clone())),
            freq,
            ..given.clone()
        });
        match as_trained.filter(|_| !args.wide).map(&read_as) {
            Some(Err(error)) if is_of(&error, |e| matches!(e, ForecastError::NoColumn { .. })) => {
                // A table of one series, or one with the usual names; what its own reading says is said where that fails too.
                read_as(FrameOptions { freq, ..given.clone() })
                    .map_err(|other| if has_default(forecaster) { other } else { error })
            }
            Some(read) => read,
            None => read_as(FrameOptions { freq, ..given.clone() }),
        }
    };
    // Few rows show no frequency, or one that is too long.
    let frame = match named(None) {
        Ok(frame) if forecaster.freq().is_none_or(|freq| differs(frame.freq(), freq)) => frame,
        Err(error) if given.freq.is_some() => return Err(error),
        _ => named(forecaster.freq())?,
    };
    tell(&frame, ui);
    Ok(frame)
}

/// A column that models were trained with has no other name.
fn without_option(error: anyhow::Error, beside: &ExogenousArgs) -> anyhow::Error {
    match error.downcast::<ForecastError>() {
        Ok(ForecastError::NoColumn { file, column, known, .. })
            if beside.hist.contains(&column) || beside.futr.contains(&column) =>
        {
            let role = "exogenous values that the models were trained with";
            ForecastError::NoColumn { file, column, role, known, option: "" }.into()
        }
        Ok(other) => other.into(),
        Err(error) => error,
    }
}

fn has_default(forecaster: &Forecaster) -> bool {
    forecaster.columns().is_none_or(|columns| *columns == Columns::default())
}

fn is_of(error: &anyhow::Error, is: impl Fn(&ForecastError) -> bool) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref()).any(is)
}

/// Whether a table is of another frequency, and not of every so many steps of this one.
fn differs(found: Freq, freq: Freq) -> bool {
    found != freq && std::mem::discriminant(&found) != std::mem::discriminant(&freq)
}
