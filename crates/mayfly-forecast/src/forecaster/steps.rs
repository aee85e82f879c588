//! Forecasts step by step: each step is made from the one before. Where steps are distributions, paths of the future are drawn, so that doubt adds up.
use super::at::Read;
use super::fitted::Fitted;
use super::group::Cut;
use super::seen::Seen;
use crate::error::Result;
use crate::families::STATES;
use crate::losses::{ForecastLoss, Told};
use crate::windows::{FUTR, Fitted as Scale, HIST, RowShape};
use mayfly_base::{Rng, mix};
use mayfly_nn::PreparedNetwork;

impl Fitted {
    /// Paths that are drawn from each cut.
    pub(super) fn paths(&self) -> usize {
        match (&self.next, &self.model.loss) {
            (Some(_), ForecastLoss::Distribution(_)) => self.model.own.trajectories(),
            _ => 1,
        }
    }

    /// What `read` makes of every step of every cut, for any h.
    pub(super) fn step_by_step<T>(
        &self,
        next: &PreparedNetwork,
        cuts: &[Cut<'_>],
        h: usize,
        read: Read<'_, T>,
    ) -> Result<Vec<T>> {
        let shape = self.shape();
        let seen = Seen::new(shape, cuts);
        let ahead = Seen::new(RowShape { h, ..shape }, cuts);
        self.stepping(next, [&seen, &ahead], h, read)
    }

    /// The same from what is seen for the first step, and from what is known ahead for all of them.
    pub(super) fn stepping<T>(
        &self,
        next: &PreparedNetwork,
        [seen, ahead]: [&Seen; 2],
        h: usize,
        read: Read<'_, T>,
    ) -> Result<Vec<T>> {
        let (shape, outputs) = (self.shape(), self.model.loss.told());
        let len = outputs + self.model.own.states(self.model.loss.outputs());
        let mut told: Vec<Vec<T>> = seen.scales.iter().map(|_| Vec::new()).collect();
        let y = self.network.predict_named(&seen.x, &seen.extras())?;
        for ((row, scale), told) in y.chunks_exact(len).zip(&seen.scales).zip(&mut told) {
            read(&Told { outputs: &row[..outputs], scale: *scale, shares: &[] }, told);
        }
        let paths = self.paths();
        let wide: Vec<Scale> = seen.scales.iter().flat_map(|scale| vec![*scale; paths]).collect();
        let mut y: Vec<f32> = y.chunks_exact(len).flat_map(|row| row.repeat(paths)).collect();
        for step in 1..h {
            let x = self.drawn(&y, len, &wide, step);
            let states: Vec<f32> = y.chunks_exact(len).flat_map(|row| &row[outputs..]).copied().collect();
            let beside = self.beside(ahead, shape, paths, step);
            let mut extras: Vec<(&str, &[f32])> = vec![(STATES, &states)];
            extras.extend(beside.iter().map(|(name, values)| (*name, &values[..])));
            y = next.predict_named(&x, &extras)?;
            let shares = strata(mix(self.model.common.random_seed) ^ mix(1), step, paths);
            for ((rows, told), scale) in y.chunks_exact(len * paths).zip(&mut told).zip(&seen.scales) {
                let rows: Vec<f32> = rows.chunks_exact(len).flat_map(|row| &row[..outputs]).copied().collect();
                read(&Told { outputs: &rows, scale: *scale, shares: &shares }, told);
            }
        }
        Ok(told.into_iter().flatten().collect())
    }

    /// What is fed back: the point forecast, or a draw from each path's distribution, on the scale of the network.
    fn drawn(&self, y: &[f32], len: usize, scales: &[Scale], step: usize) -> Vec<f32> {
        let paths = self.paths();
        // The same draws for every series, so that a forecast does not depend on what else is forecast.
        let shares = strata(mix(self.model.common.random_seed), step, paths);
        let rows = y.chunks_exact(len).zip(scales).enumerate();
        rows.map(|(i, (row, scale))| self.model.loss.next_input(row, *scale, shares[i % paths])).collect()
    }

    /// The exogenous columns of a further step, for each path of each cut.
    pub(super) fn beside(
        &self,
        ahead: &Seen,
        shape: RowShape,
        paths: usize,
        step: usize,
    ) -> Vec<(&'static str, Vec<f32>)> {
        let part = |(name, len, values): &(&'static str, usize, Vec<f32>)| {
            let rows = values.chunks_exact((*len).max(1));
            let values: Vec<f32> = match *name {
                // The step itself is the second of two times: the first has been seen.
                FUTR => {
                    let from = (shape.input_size + step - 1) * shape.counts.futr;
                    rows.flat_map(|row| row[from..from + 2 * shape.counts.futr].repeat(paths)).collect()
                }
                HIST => vec![0.0; rows.len() * paths * shape.counts.hist],
                _ => rows.flat_map(|row| row.repeat(paths)).collect(),
            };
            (*name, values)
        };
        ahead.beside.iter().filter(|(_, len, _)| *len > 0).map(part).collect()
    }
}

/// As many shares as there are paths, one in each even part of 0 to 1, in an order of their own in each step.
pub(super) fn strata(seed: u64, step: usize, paths: usize) -> Vec<f64> {
    let mut rng = Rng::stream(seed, step as u64);
    let mut order: Vec<usize> = (0..paths).collect();
    rng.shuffle(&mut order);
    order.into_iter().map(|i| (i as f64 + rng.uniform_f64()) / paths as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strata_are_even_and_differ_from_step_to_step() {
        let (one, other) = (strata(7, 1, 50), strata(7, 2, 50));
        assert_ne!(one, other);
        for mut shares in [one, other] {
            shares.sort_by(f64::total_cmp);
            assert!(shares.iter().enumerate().all(|(i, s)| (s * 50.0).floor() as usize == i), "{shares:?}");
        }
    }
}
