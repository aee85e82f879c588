//! Forecasts of what comes, and what must be known for them.
use super::at::baseline;
use super::fit::{Forecaster, MOST};
use super::fitted::Fitted;
use super::forecasts::Forecasts;
use super::group::{Cut, Group};
use crate::error::{ForecastError, Result};
use crate::frame::{Exogenous, Series, SeriesFrame};

impl Forecaster {
    /// The next `h` values (else as many as it was trained for) of every series of `frame`, or of those that it was trained on.
    ///
    /// # Errors
    /// Nothing was trained; a frame of another frequency; no frame, where the file came without the series' ends.
    pub fn predict(&self, frame: Option<&SeriesFrame>, h: Option<usize>) -> Result<Forecasts> {
        let known = self.known_ahead(frame, h)?;
        let (frame, fitted, h) = self.ready(known.as_ref().or(frame), h)?;
        let cuts: Vec<Cut<'_>> = frame.iter().map(|series| (series, series.y.len())).collect();
        let mut forecasts = Forecasts::new(frame, &cuts, h, self.state.as_ref().map_or(1, |state| state.season), false);
        self.add_models(&mut forecasts, &cuts, fitted, h)?;
        self.add_ensemble(&mut forecasts, fitted);
        Ok(forecasts)
    }

    /// What is to be forecast, by what, and how far; refuses what cannot be.
    pub(super) fn ready<'a>(
        &'a self,
        frame: Option<&'a SeriesFrame>,
        h: Option<usize>,
    ) -> Result<(&'a SeriesFrame, &'a [Fitted], usize)> {
        let (frame, fitted, h) = self.ready_past(frame, h)?;
        self.check_future(frame, h.div_ceil(self.h).saturating_mul(self.h))?;
        Ok((frame, fitted, h))
    }

    /// The same where nothing behind the ends of the series needs to be known.
    pub(super) fn ready_past<'a>(
        &'a self,
        frame: Option<&'a SeriesFrame>,
        h: Option<usize>,
    ) -> Result<(&'a SeriesFrame, &'a [Fitted], usize)> {
        let h = h.unwrap_or(self.h);
        if h == 0 || h > MOST {
            return Err(ForecastError::option("h", h, format!("it must be between 1 and {MOST}")));
        }
        let Some(state) = &self.state else {
            return Err(ForecastError::option("forecaster", "not trained", "fit it first"));
        };
        if let Some(frame) = frame.filter(|frame| frame.freq() != state.about.freq) {
            let what = format!(
                "the series have the frequency {}, the models were trained on {}: give --freq if it does not show well",
                frame.freq(),
                state.about.freq
            );
            return Err(ForecastError::Frequency { what });
        }
        let Some(frame) = frame.or(state.tails.as_ref()) else {
            let want = "the file was saved without the ends of its series: give series to forecast";
            return Err(ForecastError::option("series", "missing", want));
        };
        if frame.exogenous() != &state.about.exogenous {
            return Err(other_columns(frame.exogenous(), &state.about.exogenous));
        }
        for fitted in &state.fitted {
            fitted.check_series(frame)?;
        }
        self.hierarchy.iter().try_for_each(|hierarchy| hierarchy.check(frame))?;
        Ok((frame, &state.fitted, h))
    }

    /// A model's forecasts, which add up where they should.
    fn group(&self, fitted: &Fitted, cuts: &[Cut<'_>], h: usize) -> Result<Group> {
        match &self.hierarchy {
            Some(hierarchy) => fitted.reconciled(hierarchy, cuts, h),
            None => fitted.at(cuts, h),
        }
    }

    /// Refuses a future of which the exogenous columns are not known.
    fn check_future(&self, frame: &SeriesFrame, h: usize) -> Result<()> {
        let names = frame.exogenous();
        let n = names.futr.len();
        let lacks = |series: &Series<'_>| n > 0 && series.futr.len() / n < series.y.len() + h;
        let mut missing = frame.iter().filter(lacks);
        let Some(first) = missing.next() else { return Ok(()) };
        let ds = frame.written(frame.time(&first, first.futr.len() / n));
        let columns = names.futr[..names.given()].join(", ");
        Err(ForecastError::NoFuture {
            id: first.id.to_owned(),
            ds,
            columns,
            h,
            horizon: self.h,
            series: 1 + missing.count(),
        })
    }

    pub(super) fn add_models(&self, to: &mut Forecasts, cuts: &[Cut<'_>], fitted: &[Fitted], h: usize) -> Result<()> {
        for fitted in fitted {
            to.groups.push(self.group(fitted, cuts, h)?);
        }
        Ok(())
    }

    /// Adds the ensemble of the models, which alone are there so far.
    pub(super) fn add_ensemble(&self, to: &mut Forecasts, fitted: &[Fitted]) {
        let weights: Vec<f64> = fitted.iter().map(|fitted| fitted.weight).collect();
        let all = self.ensemble.and_then(|ensemble| ensemble.of(&to.groups, &weights));
        to.groups.extend(all);
    }

    pub(super) fn add_baselines(&self, to: &mut Forecasts, cuts: &[Cut<'_>], season: usize) {
        to.groups.extend(self.baselines.iter().map(|b| baseline(b, cuts, (self.h, season), &self.level, self.threads)));
    }

    pub(super) fn add_groups(
        &self,
        to: &mut Forecasts,
        cuts: &[Cut<'_>],
        fitted: &[Fitted],
        season: usize,
    ) -> Result<()> {
        self.add_models(to, cuts, fitted, self.h)?;
        self.add_ensemble(to, fitted);
        self.add_baselines(to, cuts, season);
        Ok(())
    }
}

pub(super) fn other_columns(got: &Exogenous, want: &Exogenous) -> ForecastError {
    let said = |names: &Exogenous| {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let words: Vec<String> = names.categories.iter().map(|category| category.name.clone()).collect();
        let words = if words.is_empty() { String::new() } else { format!(", cat: {}", words.join(", ")) };
        format!("hist: {}, futr: {}, static: {}{words}", list(&names.hist), list(&names.futr), list(&names.stat))
    };
    let hint = if got.stat.is_empty() && !want.stat.is_empty() { ": name the table with --static" } else { "" };
    ForecastError::option("exogenous columns", said(got), format!("the models were trained with {}{hint}", said(want)))
}
