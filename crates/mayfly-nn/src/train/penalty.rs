//! What is done to a gradient besides computing it: a pull towards given parameters, and a hook of the user's.
use crate::error::{NnError, Result, expect_len};
use crate::optimiser::Stretch;
use serde::{Deserialize, Serialize};

/// A pull of the parameters towards given values, `strength / 2 · Σ importance · (p − towards)²`: L2-SP without importance, EWC with Fisher's diagonal,
/// FedProx with the round's start. The reported losses do not contain it.
#[derive(Clone, PartialEq, Debug)]
pub struct Penalty {
    /// Factor of the whole.
    pub strength: f32,
    /// Where parameters are pulled; one value for each.
    pub towards: Vec<f32>,
    /// How much each counts; all the same where there is none.
    pub importance: Option<Vec<f32>>,
    /// Where it enters.
    pub form: PenaltyForm,
}

/// Where a penalty enters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PenaltyForm {
    /// Its gradient is added to the loss's.
    #[default]
    Gradient,
    /// After the step parameters are pulled by an implicit step of the learning rate, past clipping and moments: `p ← (p + a·towards) / (1 + a)` with
    /// `a = rate · strength · importance`. Stable at any strength. Algorithms without a learning rate use 1.
    Decoupled,
}

impl Penalty {
    /// A pull towards `towards`, all parameters alike.
    pub fn new(strength: f32, towards: &[f32]) -> Self {
        Penalty { strength, towards: towards.to_vec(), importance: None, form: PenaltyForm::default() }
    }

    pub(super) fn check(&self, len: usize) -> Result<()> {
        expect_len("the penalty's values", len, self.towards.len())?;
        let importance = self.importance.as_deref().unwrap_or_default();
        if self.importance.is_some() {
            expect_len("the penalty's importance", len, importance.len())?;
        }
        let fits = |v: f32| v >= 0.0 && v.is_finite();
        if !fits(self.strength) || !importance.iter().all(|v| fits(*v)) {
            return Err(NnError::option("penalty", self.strength, "strength and importance must not be negative"));
        }
        if !self.towards.iter().all(|v| v.is_finite()) {
            return Err(NnError::option("penalty", "values to pull towards", "they must be finite"));
        }
        Ok(())
    }

    fn importance(&self, at: usize) -> f32 {
        self.importance.as_ref().map_or(1.0, |importance| importance[at])
    }

    /// Adds the gradient of the penalty to that of the loss.
    pub(super) fn add_gradient(&self, params: &[f32], grads: &mut [f32], stretches: &[Stretch]) {
        for at in stretches.iter().flat_map(|stretch| stretch.range.clone()) {
            grads[at] += self.strength * self.importance(at) * (params[at] - self.towards[at]);
        }
    }

    /// Pulls the parameters after a step at this learning rate.
    pub(super) fn pull(&self, params: &mut [f32], rate: f32, stretches: &[Stretch]) {
        for stretch in stretches {
            for at in stretch.range.clone() {
                let share = rate * stretch.rate * self.strength * self.importance(at);
                // As a mean of the two, which no share overflows.
                let kept = 1.0 / (1.0 + share);
                params[at] = kept * params[at] + (1.0 - kept) * self.towards[at];
            }
        }
    }
}

/// What a [`GradientHook`] is told.
#[derive(Clone, Copy, Debug)]
pub struct GradientInfo<'a> {
    /// The epoch under way, from 1.
    pub epoch: u64,
    /// Steps taken before this one, over all epochs.
    pub step: u64,
    /// Rows whose gradient it is.
    pub rows: usize,
    /// Their mean loss, where it is a mean, with their weights.
    pub loss: f64,
    /// The parameters that it belongs to.
    pub params: &'a [f32],
}

/// Sees every gradient, in the layout of the parameters, before it is clipped and used, and may change it: control variates, noise, masks. An error ends the training.
pub type GradientHook = Box<dyn FnMut(&GradientInfo<'_>, &mut [f32]) -> Result<()> + Send>;
