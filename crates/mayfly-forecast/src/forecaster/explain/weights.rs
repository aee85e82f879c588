//! What a network says itself: the weights by which it chooses among its inputs.
use super::run::{chosen, wanted};
use crate::calendar::Stamp;
use crate::error::{ForecastError, Result};
use crate::families::{ChoiceKind, ChoiceSizes, FAMILIES, Use, spec};
use crate::forecaster::fit::Forecaster;
use crate::forecaster::fitted::Fitted;
use crate::forecaster::forecasts::quoted;
use crate::forecaster::group::Cut;
use crate::forecaster::seen::Seen;
use crate::frame::{About, Series, SeriesFrame};
use mayfly_nn::Network;
use serde_json::Map;
use std::io::{self, Write};

/// Weights of one call, at most: half a gigabyte.
const MOST: usize = 1 << 27;

/// The weights by which models choose among the inputs of their forecasts.
#[derive(Clone, PartialEq, Debug)]
pub struct InputWeights {
    pub(crate) about: About,
    /// For every model and series.
    pub forecasts: Vec<WeightsOfForecast>,
}

/// The weights of one forecast.
#[derive(Clone, PartialEq, Debug)]
pub struct WeightsOfForecast {
    /// The series.
    pub id: String,
    /// The model.
    pub model: String,
    /// What it chooses among.
    pub choices: Vec<Weights>,
}

/// Weights that are 1 together at each time.
#[derive(Clone, PartialEq, Debug)]
pub struct Weights {
    /// What they are of.
    pub kind: ChoiceKind,
    /// When it is chosen; static columns have no time.
    pub times: Vec<Stamp>,
    /// What is chosen among: columns, or for attention times.
    pub among: Vec<String>,
    /// `[times, among]`
    pub values: Vec<f32>,
    past: usize,
}

impl Weights {
    /// Times of the past among those at which it is chosen.
    pub fn past(&self) -> usize {
        self.past
    }

    /// For each of what is chosen among its mean weight.
    pub fn means(&self) -> Vec<f32> {
        let n = self.among.len().max(1);
        let rows = (self.values.len() / n).max(1) as f32;
        (0..n).map(|i| self.values.iter().skip(i).step_by(n).sum::<f32>() / rows).collect()
    }
}

impl Forecaster {
    /// The weights by which models choose among their inputs, where they do: TFT's of columns in the past and over the horizon, of static columns, and its attention
    /// (Lim et al. 2021). They say where the network looks, not how much a forecast owes to it: [`Forecaster::explain`] is for that.
    ///
    /// # Errors
    /// What [`Forecaster::predict`] refuses; models and series that there are not; no model that chooses; more weights than memory should hold.
    pub fn input_weights(
        &self,
        frame: Option<&SeriesFrame>,
        models: &[String],
        series: &[String],
    ) -> Result<InputWeights> {
        let known = self.known_ahead(frame, None)?;
        let (frame, fitted, _) = self.ready(known.as_ref().or(frame), None)?;
        let wanted = wanted(frame, series)?;
        let fitted: Vec<&Fitted> = chosen(fitted, models)?;
        let choosers: Vec<&Fitted> = fitted.iter().copied().filter(|fitted| fitted.weights_len() > 0).collect();
        if choosers.is_empty() {
            return Err(none_chooses(&fitted));
        }
        let total = choosers.iter().map(|fitted| fitted.weights_len().saturating_mul(wanted.len()));
        let total = total.fold(0_usize, usize::saturating_add);
        if total > MOST {
            let want = format!("at most {MOST} at a time: ask for fewer series");
            return Err(ForecastError::option("weights", total, want));
        }
        let mut forecasts = Vec::with_capacity(choosers.len() * wanted.len());
        for fitted in choosers {
            for series in wanted.iter().filter_map(|place| frame.iter().nth(*place)) {
                forecasts.push(fitted.weights(frame, &series)?);
            }
        }
        Ok(InputWeights { about: frame.about.clone(), forecasts })
    }
}

fn none_chooses(fitted: &[&Fitted]) -> ForecastError {
    let names: Vec<&str> = fitted.iter().map(|fitted| fitted.model.family.name).collect();
    let sizes = ChoiceSizes { input_size: 1, h: 1, columns: [0; 3] };
    let chooses = |own: &dyn crate::families::Build| !own.choices(sizes).is_empty();
    let takers = FAMILIES.iter().filter(|family| (family.settings)(&Map::new()).is_ok_and(|own| chooses(&*own)));
    let takers: Vec<&str> = takers.map(|family| family.name).collect();
    let want = format!("they choose nothing among their inputs; {} does", takers.join(", "));
    ForecastError::option("method weights", names.join(", "), want)
}

impl Fitted {
    fn sizes(&self) -> ChoiceSizes {
        let shape = self.shape();
        let columns = [shape.counts.hist, shape.counts.futr, shape.counts.stat];
        ChoiceSizes { input_size: shape.input_size, h: shape.h, columns }
    }

    /// Values of all its choices for one forecast.
    fn weights_len(&self) -> usize {
        let choices = self.model.own.choices(self.sizes());
        choices.iter().map(|choice| choice.times.saturating_mul(choice.among)).fold(0, usize::saturating_add)
    }

    fn weights(&self, frame: &SeriesFrame, series: &Series<'_>) -> Result<WeightsOfForecast> {
        let of_series = self.locals.as_ref().map(|locals| self.of_series(locals, series.id)).transpose()?;
        let fitted = of_series.as_ref().unwrap_or(self);
        let (shape, model) = (fitted.shape(), &fitted.model);
        let network =
            Network::from_parts(spec(model.family, model.build(), shape, Use::Choices), fitted.network.params(), None)?;
        let cuts: [Cut<'_>; 1] = [(*series, series.y.len())];
        let seen = Seen::new(shape, &cuts);
        let y = network.predict_named(&seen.x, &seen.extras())?;
        let (mut rest, mut choices) = (&y[..], Vec::new());
        for choice in model.own.choices(fitted.sizes()) {
            let (values, behind) = rest.split_at((choice.times * choice.among).min(rest.len()));
            rest = behind;
            let (times, among) = fitted.labels(frame, series, choice.kind);
            let past = if choice.kind == ChoiceKind::Future { 0 } else { shape.input_size.min(times.len()) };
            choices.push(Weights { kind: choice.kind, times, among, values: values.to_vec(), past });
        }
        Ok(WeightsOfForecast { id: series.id.to_owned(), model: model.alias.clone(), choices })
    }

    /// When it is chosen, and among what.
    fn labels(&self, frame: &SeriesFrame, series: &Series<'_>, kind: ChoiceKind) -> (Vec<Stamp>, Vec<String>) {
        let (l, h) = (self.shape().input_size as i64, self.shape().h as i64);
        let time = |ahead: i64| frame.about.freq.add(series.start, series.y.len() as i64 + ahead);
        let names = &frame.about.exogenous;
        let futr = || match names.futr.is_empty() {
            true => vec!["last value".to_owned()],
            false => names.futr.clone(),
        };
        match kind {
            ChoiceKind::Static => (Vec::new(), names.stat.clone()),
            ChoiceKind::Past => {
                let target = [frame.about.columns.target.clone()];
                ((-l..0).map(time).collect(), [names.hist.clone(), futr(), target.to_vec()].concat())
            }
            ChoiceKind::Future => ((0..h).map(time).collect(), futr()),
            ChoiceKind::Attention => {
                let times: Vec<Stamp> = (-l..h).map(time).collect();
                let among = times.iter().map(|time| frame.written(*time)).collect();
                (times, among)
            }
        }
    }
}

impl InputWeights {
    /// A time as the data writes it.
    pub fn written(&self, time: Stamp) -> String {
        self.about.form.write(time)
    }

    /// How many rows [`InputWeights::write`] writes.
    pub fn rows(&self) -> usize {
        self.forecasts.iter().flat_map(|one| &one.choices).map(|weights| weights.values.len()).sum()
    }

    /// Writes a row for every weight as comma-separated values: series, model, what it is of, when, among what, the weight.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let names = &self.about.columns;
        writeln!(out, "{},{},model,kind,of,weight", quoted(&names.id), quoted(&names.time))?;
        for one in &self.forecasts {
            for weights in &one.choices {
                let (id, model) = (quoted(&one.id), quoted(&one.model));
                for (row, values) in weights.values.chunks(weights.among.len().max(1)).enumerate() {
                    let when = weights.times.get(row).map(|time| self.written(*time)).unwrap_or_default();
                    for (of, value) in weights.among.iter().zip(values) {
                        writeln!(out, "{id},{when},{model},{},{},{value}", weights.kind.name(), quoted(of))?;
                    }
                }
            }
        }
        Ok(())
    }
}
