//! A trained model as a function of the inputs of one row: its point forecasts, and how they change.
use super::chain::Chain;
use super::inputs::{Layout, Row};
use crate::error::{ForecastError, Result};
use crate::forecaster::fitted::Fitted;
use crate::forecaster::seen::Seen;
use crate::losses::{ForecastLoss, Told};
use crate::windows::{FUTR, Fitted as Scale, Scaler};
use mayfly_nn::InputGradients;

/// Rows that are run at a time, at most, and values of all of them.
const ROWS: usize = 256;
const VALUES: usize = 1 << 22;

/// A step of the forecast of one series of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target {
    /// Its place in the row.
    pub(super) series: usize,
    /// From 0.
    pub(super) step: usize,
}

pub(super) struct Subject<'a> {
    pub(super) fitted: &'a Fitted,
    pub(super) layout: Layout,
}

/// What gives a subject's gradients.
pub(super) enum Slopes {
    /// Of a network that gives all steps.
    Whole(Box<InputGradients>),
    /// Of two that give one step after the other.
    Chain(Box<Chain>),
}

impl Subject<'_> {
    /// Rows that should be run at a time.
    pub(super) fn rows_at_once(&self) -> usize {
        (VALUES / self.layout.len().max(1)).clamp(1, ROWS)
    }

    /// The point forecasts of rows with these values: `[rows, series, h]`.
    pub(super) fn forecasts(&self, row: &Row, values: &[f32]) -> Result<Vec<f32>> {
        let (loss, h) = (&self.fitted.model.loss, self.layout.shape.h);
        let read = |told: &Told<'_>, points: &mut Vec<f32>| points.push(point(loss, told));
        let seen = row.seen(self.layout, values);
        let Some(next) = &self.fitted.next else {
            let (outputs, mut points) = (loss.outputs(), Vec::new());
            let y = self.fitted.network.predict_named(&seen.x, &seen.extras())?;
            for (row, scale) in y.chunks_exact(h * outputs).zip(&seen.scales) {
                row.chunks_exact(outputs).for_each(|outputs| read(&told(outputs, *scale), &mut points));
            }
            return Ok(points);
        };
        self.fitted.stepping(next, [&self.first_step(&seen), &seen], h, &read)
    }

    /// What a network sees of them that gives the first step alone.
    pub(super) fn first_step(&self, seen: &Seen) -> Seen {
        let shape = self.fitted.shape();
        let futr = |values: &[f32], len: usize, kept: usize| -> Vec<f32> {
            values.chunks_exact(len.max(1)).flat_map(|row| row.iter().take(kept)).copied().collect()
        };
        let part = |((name, len, values), (_, kept)): (&(&'static str, usize, Vec<f32>), (&str, usize))| match *name {
            FUTR => (*name, kept, futr(values, *len, kept)),
            _ => (*name, *len, values.clone()),
        };
        let mut parts = seen.beside.iter().zip(shape.beside()).map(part);
        let beside = std::array::from_fn(|_| parts.next().unwrap_or_default());
        Seen {
            x: seen.x.clone(),
            mask: seen.mask.clone(),
            beside,
            prompt: seen.prompt.clone(),
            scales: seen.scales.clone(),
        }
    }

    /// What its gradients are made with.
    pub(super) fn slopes(&self) -> Result<Slopes> {
        if let Some(category) = self.fitted.exogenous.categories.first() {
            let want = format!(
                "{} has a column of categories, {}, between which there are no steps to follow: explain it by permutation",
                self.fitted.model.alias, category.name
            );
            return Err(ForecastError::option("method", "by gradients", want));
        }
        let Some(next) = &self.fitted.next else {
            return Ok(Slopes::Whole(Box::new(self.fitted.network.input_gradients()?)));
        };
        if matches!(self.fitted.model.loss, ForecastLoss::Distribution(_)) {
            let want = format!(
                "{} forecasts means over {} drawn paths, which have no gradient: explain it by permutation, or the other models without it",
                self.fitted.model.alias,
                self.fitted.paths()
            );
            return Err(ForecastError::option("method", "one by gradients", want));
        }
        Ok(Slopes::Chain(Box::new(Chain::new(self.fitted, next)?)))
    }

    /// For rows with these values, one target each: how it changes with every value, `[rows, values]`.
    pub(super) fn gradients(
        &self,
        slopes: &mut Slopes,
        row: &Row,
        values: &[f32],
        targets: &[Target],
    ) -> Result<Vec<f32>> {
        let seen = row.seen(self.layout, values);
        match slopes {
            Slopes::Whole(slopes) => self.gradients_of_whole(slopes, &seen, targets),
            Slopes::Chain(chain) => {
                let steps: Vec<usize> = targets.iter().map(|target| target.step).collect();
                chain.gradients(self.fitted, [&self.first_step(&seen), &seen], &steps)
            }
        }
    }

    fn gradients_of_whole(&self, slopes: &mut InputGradients, seen: &Seen, targets: &[Target]) -> Result<Vec<f32>> {
        let (loss, outputs) = (&self.fitted.model.loss, self.fitted.model.loss.outputs());
        let (series, h) = (self.layout.shape.series, self.layout.shape.h);
        let len = series * h * outputs;
        // Of several outputs it depends on their values which of them count, and under a curve how much.
        let bends = self.layout.shape.scaler == Scaler::Invariant;
        let y = match outputs {
            1 if !bends && !matches!(loss, ForecastLoss::Distribution(_)) => vec![0.0; targets.len() * len],
            _ => self.fitted.network.predict_named(&seen.x, &seen.extras())?,
        };
        let mut dy = vec![0.0; targets.len() * len];
        for (i, target) in targets.iter().enumerate() {
            let at = i * len + (target.series * h + target.step) * outputs;
            let scale = seen.scales[i * series + target.series];
            dy[at..at + outputs].copy_from_slice(&loss.slopes(&y[at..at + outputs], scale));
        }
        let gradients = slopes.run(&seen.x, &seen.extras(), &dy)?;
        let parts = self.layout.parts().map(|(name, len)| {
            let found = gradients.extras.iter().find(|(other, _)| other == name).map(|(_, values)| &values[..]);
            (found.unwrap_or(if name.is_empty() { &gradients.x } else { &[] }), series * len)
        });
        let of_row = |i: usize| parts.iter().flat_map(move |(values, len)| &values[i * len..(i + 1) * len]);
        Ok((0..targets.len()).flat_map(of_row).copied().collect())
    }
}

fn told<'a>(outputs: &'a [f32], scale: Scale) -> Told<'a> {
    Told { outputs, scale, shares: &[] }
}

/// The first column of a step.
fn point(loss: &ForecastLoss, told: &Told<'_>) -> f32 {
    let mut columns = Vec::new();
    loss.read(told, &mut columns);
    columns.first().copied().unwrap_or(f32::NAN)
}
