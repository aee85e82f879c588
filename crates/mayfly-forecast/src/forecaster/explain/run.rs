//! Explaining: which models, series and steps, and row by row how.
use super::explanations::{Explained, Explanation, Explanations};
use super::inputs::{Layout, Row};
use super::integrate::{Part, input_x_gradient, integrated};
use super::options::{ExplainMethod, ExplainOptions};
use super::permute::permuted;
use super::subject::{Slopes, Subject, Target};
use crate::error::{ForecastError, Result};
use crate::forecaster::at::Together;
use crate::forecaster::fit::Forecaster;
use crate::forecaster::fitted::Fitted;
use crate::forecaster::group::Cut;
use crate::frame::SeriesFrame;
use crate::windows::RowShape;

/// Attributions of one call, at most: half a gigabyte.
const MOST: usize = 1 << 27;
/// Names in an error, at most.
const NAMED: usize = 30;

impl Forecaster {
    /// What the forecasts of every series of `frame`, or of those that it was trained on, are made of: how much of each step's point forecast comes from each value of
    /// the past, each exogenous column at each time, and each static column, in the unit of the series. What a window is scaled by is taken as given.
    /// Forecasts are those of the models, before a hierarchy makes them add up.
    ///
    /// ```
    /// use mayfly_forecast::{ExplainOptions, FrameOptions, Forecaster, Model, SeriesFrame};
    /// let ds: Vec<String> = (0..60).map(|i| format!("{}-{:02}", 2019 + i / 12, i % 12 + 1)).collect();
    /// let y: Vec<f32> = (0..60).map(|i| 100.0 + i as f32 + 20.0 * ((i % 12) as f32 - 6.0).abs()).collect();
    /// let frame = SeriesFrame::from_columns(&vec!["a".to_owned(); 60], &ds, &y, &FrameOptions::default())?;
    /// let mut forecaster = Forecaster::new(6).model(Model::new("NLinear")?.with("max_steps", 50)?);
    /// forecaster.fit(&frame, &mut ())?;
    /// let explanations = forecaster.explain(None, &ExplainOptions { steps: vec![1, 6], ..ExplainOptions::default() })?;
    /// let first = &explanations.models[0].forecasts[0];
    /// let sum = first.baseline.unwrap_or_default() + first.attributions.iter().sum::<f32>();
    /// assert!((sum - first.forecast).abs() < 0.01);
    /// println!("{}", explanations.models[0].summary()[0]); // y lag …
    /// # Ok::<(), mayfly_forecast::ForecastError>(())
    /// ```
    ///
    /// # Errors
    /// What [`Forecaster::predict`] refuses; models, series and steps that there are not; a method by gradients for a model that draws its forecasts;
    /// more attributions than memory should hold.
    pub fn explain(&self, frame: Option<&SeriesFrame>, options: &ExplainOptions) -> Result<Explanations> {
        let known = self.known_ahead(frame, None)?;
        let (frame, fitted, h) = self.ready(known.as_ref().or(frame), None)?;
        let steps = options.checked_steps(h)?;
        let chosen = chosen(fitted, &options.models)?;
        let wanted = wanted(frame, &options.series)?;
        let sizes = chosen.iter().map(|fitted| layout(fitted, h).len());
        let total = sizes.fold(0_usize, usize::saturating_add).saturating_mul(wanted.len()).saturating_mul(steps.len());
        if total > MOST {
            let want = format!("at most {MOST} at a time: explain fewer series, steps or models");
            return Err(ForecastError::option("attributions", total, want));
        }
        let mut models = Vec::with_capacity(chosen.len());
        for fitted in chosen {
            models.push(Ask { fitted, frame, wanted: &wanted, steps: &steps, h, options }.explained()?);
        }
        Ok(Explanations { about: frame.about.clone(), method: options.method, models })
    }
}

/// The models of these names; all without names.
pub(super) fn chosen<'a>(fitted: &'a [Fitted], names: &[String]) -> Result<Vec<&'a Fitted>> {
    if names.is_empty() {
        return Ok(fitted.iter().collect());
    }
    let known: Vec<&str> = fitted.iter().map(|fitted| fitted.model.alias.as_str()).collect();
    let find = |name: &String| {
        let found = fitted.iter().find(|fitted| fitted.model.alias.eq_ignore_ascii_case(name.trim()));
        found.ok_or_else(|| ForecastError::unknown("trained model", name, &known))
    };
    names.iter().map(find).collect()
}

/// The places of these series in the frame; all without names.
pub(super) fn wanted(frame: &SeriesFrame, names: &[String]) -> Result<Vec<usize>> {
    if names.is_empty() {
        return Ok((0..frame.len()).collect());
    }
    let find = |name: &String| {
        let known = || frame.ids.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>();
        let found = frame.ids.iter().position(|id| id == name);
        found.ok_or_else(|| ForecastError::unknown("series", name, &known()))
    };
    let mut places = names.iter().map(find).collect::<Result<Vec<_>>>()?;
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

fn layout(fitted: &Fitted, h: usize) -> Layout {
    Layout { shape: RowShape { h, ..fitted.shape() } }
}

/// What is asked of one model.
#[derive(Clone, Copy)]
struct Ask<'a> {
    fitted: &'a Fitted,
    frame: &'a SeriesFrame,
    wanted: &'a [usize],
    steps: &'a [usize],
    h: usize,
    options: &'a ExplainOptions,
}

impl Ask<'_> {
    fn explained(&self) -> Result<Explanation> {
        let Some(locals) = &self.fitted.locals else { return self.explained_by_one() };
        // Of a local model each series by its own network; what they see is the same.
        let mut all: Option<Explanation> = None;
        for place in self.wanted {
            let id = self.frame.ids.get(*place).map_or("", String::as_str);
            let own = self.fitted.of_series(locals, id)?;
            let one = Ask { fitted: &own, wanted: &[*place], ..*self }.explained_by_one()?;
            match &mut all {
                None => all = Some(one),
                Some(all) => all.forecasts.extend(one.forecasts),
            }
        }
        all.map_or_else(|| self.explained_by_one(), Ok)
    }

    fn explained_by_one(&self) -> Result<Explanation> {
        let subject = Subject { fitted: self.fitted, layout: layout(self.fitted, self.h) };
        let cuts: Vec<Cut<'_>> = self.frame.iter().map(|series| (series, series.y.len())).collect();
        let mut slopes = match self.options.method {
            ExplainMethod::Permutation => None,
            _ => Some(subject.slopes()?),
        };
        let mut forecasts = Vec::with_capacity(self.wanted.len() * self.steps.len());
        if self.fitted.series.is_empty() {
            for place in self.wanted {
                forecasts.extend(self.row(&subject, &mut slopes, &cuts[*place..=*place], &[*place])?);
            }
        } else {
            // All series are one row: the place of a series is that in the model.
            let Together { cuts: all, places } = Together::new(&cuts, &self.fitted.series);
            let places: Vec<usize> = self.wanted.iter().map(|place| places[*place]).collect();
            forecasts = self.row(&subject, &mut slopes, &all, &places)?;
        }
        let about = &self.frame.about;
        let inputs = subject.layout.inputs(&about.columns.target, &about.exogenous, &self.fitted.series);
        Ok(Explanation {
            model: self.fitted.model.alias.clone(),
            input_size: self.fitted.input_size,
            inputs,
            forecasts,
        })
    }

    /// The series at these places, of a row of one series or of all.
    fn row(
        &self,
        subject: &Subject<'_>,
        slopes: &mut Option<Slopes>,
        cuts: &[Cut<'_>],
        places: &[usize],
    ) -> Result<Vec<Explained>> {
        let prompter = self.fitted.model.prompter(self.fitted.input_size, self.fitted.h);
        let row = Row::new(subject.layout, cuts, prompter.as_deref());
        // A row of one series has it at its first place.
        let place = |at: usize| if cuts.len() == 1 { 0 } else { at };
        let step = |at: usize| self.steps.iter().map(move |step| Target { series: place(at), step: step - 1 });
        let targets: Vec<Target> = places.iter().flat_map(|at| step(*at)).collect();
        let parts = match slopes {
            Some(slopes) if self.options.method == ExplainMethod::InputXGradient => {
                input_x_gradient(subject, slopes, &row, &targets)?
            }
            Some(slopes) => integrated(subject, slopes, &row, &targets, self.options.points)?,
            None => {
                let all = permuted(subject, &row, &targets, self.options.draws, self.options.seed)?;
                all.into_iter().map(|attributions| Part { attributions, sum: None }).collect()
            }
        };
        let forecasts = subject.forecasts(&row, &row.values)?;
        let one = |(target, part): (Target, Part)| {
            let (series, cut) = cuts[target.series];
            Explained {
                id: series.id.to_owned(),
                step: target.step + 1,
                ds: self.frame.freq().add(series.start, (cut + target.step) as i64),
                forecast: forecasts[target.series * self.h + target.step],
                baseline: part.sum.map(|sum| sum.baseline),
                gap: part.sum.map(|sum| sum.gap),
                attributions: part.attributions,
            }
        };
        Ok(targets.into_iter().zip(parts).map(one).collect())
    }
}
