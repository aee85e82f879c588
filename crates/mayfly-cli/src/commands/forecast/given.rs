//! Series that a trained model goes on with, as options name them.
use super::args::{ExogenousArgs, SeriesArgs};
use super::setup::series_with;
use super::words::as_flags;
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_forecast::{Forecaster, FrameOptions, SeriesFrame};
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
        let beside = ExogenousArgs::trained(forecaster, self.statics.map(Path::to_owned));
        let options = args.options()?;
        let options = FrameOptions { tz: options.tz.or_else(|| forecaster.zone().cloned()), ..options };
        let read = |path| series_with(path, options.clone(), &beside, args.align, ui);
        let frame = self.data.map(read).transpose()?;
        let Some(path) = self.futr else { return Ok(frame) };
        let Some(past) = frame.or_else(|| forecaster.tails().cloned()) else {
            let lacks = "--futr: the model was saved without its series (--no-tails): give DATA as well";
            return Err(Usage(lacks.into()).into());
        };
        Ok(Some(past.with_future(&*Input::open(path)?, &args.options()?).map_err(as_flags)?))
    }
}
