//! A trained model.
use super::conformal::Residuals;
use super::model::Model;
use crate::frame::Exogenous;
use crate::metrics::Scores;
use mayfly_nn::Network;

/// A trained model.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// What was trained.
    pub model: Model,
    /// Values of the past that it sees.
    pub input_size: usize,
    /// Steps that it gives at once.
    pub h: usize,
    /// The exogenous columns that it takes.
    pub exogenous: Exogenous,
    /// The series that it forecasts together; none for families that look at one at a time.
    pub series: Vec<String>,
    /// How long its training took.
    pub seconds: f64,
    /// Steps of its training.
    pub steps: usize,
    /// Windows that it was trained on.
    pub windows: usize,
    /// Its figures over what was held out.
    pub scores: Option<Scores>,
    pub(super) network: Network,
    /// Where forecasts are made step by step, what continues the first.
    pub(super) next: Option<Network>,
    /// What its intervals are made of, if not of its loss.
    pub(super) residuals: Option<Residuals>,
}
