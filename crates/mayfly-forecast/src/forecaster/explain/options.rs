//! What is to be explained, and how.
use crate::error::{ForecastError, Result};

/// How forecasts are explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ExplainMethod {
    /// Gradients along the straight way from a window that says nothing to the one at hand (Sundararajan et al. 2017). They add up: the forecast of the empty window
    /// and all attributions are the forecast.
    ///
    /// The window that says nothing has 0 in every input after scaling, which is what the scaler takes away: the window's mean (`standard`), median (`robust`),
    /// least value (`minmax`) or middle (`minmax1`). Without a scaler it has each column's mean in the window, since a series of zeros says a lot. Static columns, which
    /// are not scaled, are 0. What is unknown stays so.
    #[default]
    IntegratedGradients,
    /// The gradient at the window at hand, times the scaled input. Of a linear model exactly its weights times its inputs; of others a first look.
    InputXGradient,
    /// What changes on average where an input has another value of its column in the window (a static column: 0), one input at a time. It asks nothing of a model, and does
    /// not add up.
    Permutation,
}

impl ExplainMethod {
    /// The names.
    pub const NAMES: [&str; 3] = ["integrated_gradients", "input_x_gradient", "permutation"];

    /// The method of this name.
    ///
    /// # Errors
    /// A name that is not among [`ExplainMethod::NAMES`].
    pub fn by_name(name: &str) -> Result<ExplainMethod> {
        match name {
            "integrated_gradients" => Ok(ExplainMethod::IntegratedGradients),
            "input_x_gradient" => Ok(ExplainMethod::InputXGradient),
            "permutation" => Ok(ExplainMethod::Permutation),
            _ => Err(ForecastError::unknown(
                "method of explaining",
                name,
                &["integrated_gradients", "input_x_gradient", "permutation", "weights"],
            )),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            ExplainMethod::IntegratedGradients => "integrated_gradients",
            ExplainMethod::InputXGradient => "input_x_gradient",
            ExplainMethod::Permutation => "permutation",
        }
    }
}

/// What is to be explained, and how.
#[derive(Clone, PartialEq, Debug)]
pub struct ExplainOptions {
    /// The method.
    pub method: ExplainMethod,
    /// Models by their names; empty for all.
    pub models: Vec<String>,
    /// Series by their names; empty for all.
    pub series: Vec<String>,
    /// Steps of the horizon, from 1; empty for all.
    pub steps: Vec<usize>,
    /// Points on the way of integrated gradients. None: 64, and twice as many again up to 1,024 until no more than a thousandth is missing.
    pub points: Option<usize>,
    /// Other values that permutation tries in the place of each input.
    pub draws: usize,
    /// Decides which.
    pub seed: u64,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        ExplainOptions {
            method: ExplainMethod::default(),
            models: Vec::new(),
            series: Vec::new(),
            steps: Vec::new(),
            points: None,
            draws: 16,
            seed: 1,
        }
    }
}

/// Points and draws, at most.
const MOST_POINTS: usize = 65_536;
const MOST_DRAWS: usize = 1_024;

impl ExplainOptions {
    /// The steps that are asked for, ascending, of a horizon of `h`.
    pub(super) fn checked_steps(&self, h: usize) -> Result<Vec<usize>> {
        for (name, n, most) in [("points", self.points.unwrap_or(1), MOST_POINTS), ("draws", self.draws, MOST_DRAWS)] {
            if n == 0 || n > most {
                return Err(ForecastError::option(name, n, format!("it must be between 1 and {most}")));
            }
        }
        if let Some(step) = self.steps.iter().find(|step| **step == 0 || **step > h) {
            let want = format!("steps of the forecast are 1 to {h}, as the models were trained");
            return Err(ForecastError::option("steps", step, want));
        }
        let mut steps = if self.steps.is_empty() { (1..=h).collect() } else { self.steps.clone() };
        steps.sort_unstable();
        steps.dedup();
        Ok(steps)
    }
}
