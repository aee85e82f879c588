//! Gradients of forecasts that are made step by step, each from the one before: from the step that is asked for back to the window.
use crate::error::Result;
use crate::families::STATES;
use crate::forecaster::fitted::Fitted;
use crate::forecaster::seen::Seen;
use crate::windows::{FUTR, HIST};
use mayfly_nn::{Gradients, InputGradients, PreparedNetwork};

/// The gradients of the network that gives the first step, and of the one that gives each further step.
pub(super) struct Chain {
    first: InputGradients,
    next: InputGradients,
}

/// A further step: what its network was fed with, and what came of the step before.
struct Link {
    x: Vec<f32>,
    beside: Vec<(&'static str, Vec<f32>)>,
    /// `[rows, outputs and states]`
    before: Vec<f32>,
}

/// Rows on the way back.
#[derive(Clone, Copy)]
struct Way<'a> {
    fitted: &'a Fitted,
    /// What the first step is made from.
    seen: &'a Seen,
    /// The columns of all steps.
    ahead: &'a Seen,
    /// Which step is asked of each row, from 0.
    steps: &'a [usize],
    outputs: usize,
    /// Outputs and states of a step.
    len: usize,
}

impl Chain {
    pub(super) fn new(fitted: &Fitted, next: &PreparedNetwork) -> Result<Chain> {
        Ok(Chain { first: fitted.network.input_gradients()?, next: next.input_gradients()? })
    }

    /// How the step of each row changes with all that it was made from: the past, then columns to the cutoff, over the horizon, and once, row by row.
    /// `seen` is what the first step is made from, `ahead` has the columns of all steps.
    pub(super) fn gradients(
        &mut self,
        fitted: &Fitted,
        [seen, ahead]: [&Seen; 2],
        steps: &[usize],
    ) -> Result<Vec<f32>> {
        let outputs = fitted.model.loss.outputs();
        let way = Way { fitted, seen, ahead, steps, outputs, len: outputs + fitted.model.own.states(outputs) };
        let (links, mut given) = way.forward()?;
        let mut beside = ahead.beside.each_ref().map(|(_, _, values)| vec![0.0; values.len()]);
        // Of the outputs and states of the step at hand, as far as later steps are made from them.
        let mut dy = vec![0.0; steps.len() * way.len];
        for (step, link) in links.into_iter().enumerate().map(|(i, link)| (i + 1, link)).rev() {
            way.begin(step, &given, &mut dy);
            let states = way.states(&link.before);
            let gradients = self.next.run(&link.x, &link.extras(&states), &dy)?;
            way.add(&mut beside, &gradients, step);
            dy = way.passed_on(&link.before, &gradients);
            given = link.before;
        }
        way.begin(0, &given, &mut dy);
        let gradients = self.first.run(&seen.x, &seen.extras(), &dy)?;
        way.add(&mut beside, &gradients, 0);
        let columns = beside.iter().zip(&ahead.beside).map(|(values, (_, len, _))| (&values[..], *len));
        let parts: Vec<(&[f32], usize)> =
            [(&gradients.x[..], gradients.x.len() / steps.len().max(1))].into_iter().chain(columns).collect();
        let of_row = |i: usize| parts.iter().flat_map(move |(values, len)| &values[i * len..(i + 1) * len]);
        Ok((0..steps.len()).flat_map(of_row).copied().collect())
    }
}

impl Way<'_> {
    /// Everything up to the last step that is asked for, and what that gives.
    fn forward(&self) -> Result<(Vec<Link>, Vec<f32>)> {
        let mut given = self.fitted.network.predict_named(&self.seen.x, &self.seen.extras())?;
        let mut links = Vec::new();
        let Some(next) = &self.fitted.next else { return Ok((links, given)) };
        for step in 1..=self.steps.iter().copied().max().unwrap_or(0) {
            let rows = given.chunks_exact(self.len).zip(&self.seen.scales);
            let x = rows.map(|(row, scale)| self.fitted.model.loss.next_input(row, *scale, 0.5)).collect();
            let beside = self.fitted.beside(self.ahead, self.fitted.shape(), 1, step);
            let link = Link { x, beside, before: given };
            given = next.predict_named(&link.x, &link.extras(&self.states(&link.before)))?;
            links.push(link);
        }
        Ok((links, given))
    }

    /// The states among what a step gave.
    fn states(&self, given: &[f32]) -> Vec<f32> {
        given.chunks_exact(self.len).flat_map(|row| &row[self.outputs..]).copied().collect()
    }

    /// Rows whose step this is begin here.
    fn begin(&self, step: usize, given: &[f32], dy: &mut [f32]) {
        let rows = dy.chunks_exact_mut(self.len).zip(given.chunks_exact(self.len)).zip(&self.seen.scales);
        for (((dy, given), scale), _) in rows.zip(self.steps).filter(|(_, own)| **own == step) {
            let slopes = self.fitted.model.loss.slopes(&given[..self.outputs], *scale);
            dy[..self.outputs].copy_from_slice(&slopes);
        }
    }

    /// From the gradient of what a step was made from to that of what the step before gave: its states, and its point forecast, which was fed back.
    fn passed_on(&self, before: &[f32], gradients: &Gradients) -> Vec<f32> {
        let of_states = gradients.extras.iter().find(|(name, _)| name == STATES).map_or(&[][..], |(_, values)| values);
        let mut dy = vec![0.0; before.len()];
        let rows = dy.chunks_exact_mut(self.len).zip(before.chunks_exact(self.len));
        let given = rows.zip(&self.seen.scales).zip(&gradients.x);
        for ((((dy, before), scale), dx), states) in given.zip(of_states.chunks_exact(self.len - self.outputs)) {
            let loss = &self.fitted.model.loss;
            let slopes = loss.slopes(&before[..self.outputs], *scale);
            let fed_back = scale.apply(loss.point(&before[..self.outputs], *scale));
            dy.iter_mut().zip(&slopes).for_each(|(dy, slope)| *dy = dx * slope / scale.slope(fed_back));
            dy[self.outputs..].copy_from_slice(states);
        }
        dy
    }

    /// Adds the gradients of a step's columns to those of all steps.
    fn add(&self, all: &mut [Vec<f32>; 3], gradients: &Gradients, step: usize) {
        let shape = self.fitted.shape();
        for (all, (name, len, _)) in all.iter_mut().zip(&self.ahead.beside).filter(|(_, (_, len, _))| *len > 0) {
            // Behind the cutoff there are zeros in the place of what is known up to it.
            let Some((_, values)) =
                gradients.extras.iter().find(|(other, _)| other == name && (step == 0 || *name != HIST))
            else {
                continue;
            };
            // A further step reads two times: its own is the second.
            let from = if *name == FUTR && step > 0 { (shape.input_size + step - 1) * shape.counts.futr } else { 0 };
            let each = values.len() / self.steps.len().max(1);
            for (to, from_row) in all.chunks_exact_mut(*len).zip(values.chunks_exact(each.max(1))) {
                to[from..].iter_mut().zip(from_row).for_each(|(to, value)| *to += value);
            }
        }
    }
}

impl Link {
    /// All inputs but the first, by name.
    fn extras<'a>(&'a self, states: &'a [f32]) -> Vec<(&'a str, &'a [f32])> {
        let beside = self.beside.iter().map(|(name, values)| (*name, &values[..]));
        [(STATES, states)].into_iter().chain(beside).collect()
    }
}
