//! Forecasts with what they are made of.
use super::inputs::Input;
use super::options::ExplainMethod;
use crate::calendar::Stamp;
use crate::frame::About;

/// Explained forecasts of some models.
#[derive(Clone, Debug)]
pub struct Explanations {
    pub(super) about: About,
    /// How they were explained.
    pub method: ExplainMethod,
    /// One for each model.
    pub models: Vec<Explanation>,
}

/// Explained forecasts of one model.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The model.
    pub model: String,
    /// Values of the past that it sees.
    pub input_size: usize,
    /// What it sees, in the order of the attributions.
    pub inputs: Vec<Input>,
    /// Series by series, step by step.
    pub forecasts: Vec<Explained>,
}

/// One step of a forecast, with what it is made of.
#[derive(Clone, PartialEq, Debug)]
pub struct Explained {
    /// The series.
    pub id: String,
    /// The step, from 1.
    pub step: usize,
    /// Its time.
    pub ds: Stamp,
    /// The point forecast.
    pub forecast: f32,
    /// What the forecast would be if every input said nothing; integrated gradients have it.
    pub baseline: Option<f32>,
    /// What is missing: the forecast less the baseline and all attributions.
    pub gap: Option<f32>,
    /// How much of the forecast comes from each input, in the unit of the series.
    pub attributions: Vec<f32>,
}

impl Explanations {
    /// Those of one model.
    pub fn of(&self, model: &str) -> Option<&Explanation> {
        self.models.iter().find(|explanation| explanation.model == model)
    }

    /// A time as the file writes it.
    pub fn written(&self, stamp: Stamp) -> String {
        self.about.form.write(stamp)
    }

    /// When an input was: its time for one that changes with time.
    pub fn time(&self, explained: &Explained, input: &Input) -> Option<Stamp> {
        input.lag(explained.step).map(|lag| self.about.freq.add(explained.ds, -lag))
    }

    /// The largest gap, as a share of all attributions of its forecast without their signs; none without gaps.
    pub fn largest_gap(&self) -> Option<f64> {
        let share = |explained: &Explained| {
            let all: f64 = explained.attributions.iter().map(|a| f64::from(a.abs())).sum();
            let gap = f64::from(explained.gap?.abs());
            Some(if gap == 0.0 { 0.0 } else { gap / all })
        };
        self.models.iter().flat_map(|model| &model.forecasts).filter_map(share).max_by(f64::total_cmp)
    }
}
