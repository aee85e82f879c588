//! The operation of the graph behind distributions: how unlikely the truth is, on the scale of the data.
use super::density::{Back, sigmoid, softplus};
use super::distribution::{Components, DistributionLoss, ln_sum_exp};
use super::isqf::Pieces;
use super::row::{Layout, Row};
use mayfly_graph::{CustomOp, Dims, Shape};

/// `(outputs [b, n·h·m], target [b, n·h·m], known [b, n·h], back [b, n·4]) → [b]`: the mean of −ln p over the known steps of n series.
#[derive(Debug)]
pub(super) struct Nll {
    loss: DistributionLoss,
    layout: Layout,
}

/// One known step of one series of one row.
struct Step<'a> {
    row: usize,
    step: usize,
    raw: &'a [f32],
    y: f64,
    back: Back,
    /// Its share of the row's loss.
    weight: f64,
}

impl Nll {
    pub(super) fn new(loss: &DistributionLoss, h: usize, series: usize) -> Nll {
        Nll { layout: Layout { h, series, outputs: loss.outputs(), shares: false }, loss: loss.clone() }
    }

    fn steps<'a>(&self, row: usize, of: Row<'a>) -> impl Iterator<Item = Step<'a>> {
        let m = self.layout.outputs;
        let h = self.layout.h;
        let all: f32 = of.known.iter().sum();
        let Row { p, t, known, back, .. } = of;
        let known = known.iter().enumerate().filter(|(_, known)| **known > 0.0);
        known.map(move |(step, known)| {
            let [shift, scale] = [0, 1].map(|i| f64::from(back[step / h * Layout::BACK + i]));
            Step {
                row,
                step,
                raw: &p[step * m..(step + 1) * m],
                y: f64::from(t[step * m]) * scale + shift,
                back: Back { shift, scale },
                weight: f64::from(known / all),
            }
        })
    }

    /// Steps that share a draw of the component: those of a series and row, of a time, or of all.
    fn group(&self, components: &Components, at: &Step<'_>, place: usize) -> usize {
        let (series, time) = (at.step / self.layout.h, at.step % self.layout.h);
        match (components.mixture.batch_correlation, components.mixture.horizon_correlation) {
            (false, false) => place,
            (false, true) => at.row * self.layout.series + series,
            (true, false) => series * self.layout.h + time,
            (true, true) => series,
        }
    }

    /// Calls back for every known step with its loss and, where asked for, its slopes along the raw outputs of rows that count `drows`.
    fn mixture(
        &self,
        components: &Components,
        steps: &[Step<'_>],
        drows: Option<&[f32]>,
        mut tell: impl FnMut(usize, f64, &[f64]),
    ) {
        let n = components.mixture.n_components;
        let groups: Vec<usize> = steps.iter().enumerate().map(|(i, at)| self.group(components, at, i)).collect();
        let densities: Vec<_> =
            steps.iter().flat_map(|at| (0..n).map(|k| components.density(at.raw, k, at.back, at.y))).collect();
        let count = groups.iter().max().map_or(0, |most| most + 1);
        let mut together = vec![0.0; count * n];
        for (i, density) in densities.iter().enumerate() {
            together[groups[i / n] * n + i % n] += density.ln;
        }
        let ln_shares: Vec<Vec<f64>> = steps.iter().map(|at| components.ln_shares(at.raw)).collect();
        let joint = |i: usize, k: usize| together[groups[i] * n + k] + ln_shares[i][k];
        let losses: Vec<f64> = (0..steps.len()).map(|i| -ln_sum_exp((0..n).map(|k| joint(i, k)))).collect();
        let Some(drows) = drows else {
            losses.iter().enumerate().for_each(|(i, loss)| tell(i, *loss, &[]));
            return;
        };
        // How much each component answers for each group.
        let mut blame = vec![0.0; count * n];
        for (i, at) in steps.iter().enumerate() {
            let weight = at.weight * f64::from(drows[at.row]);
            for k in 0..n {
                blame[groups[i] * n + k] += weight * (joint(i, k) + losses[i]).exp();
            }
        }
        let mut slopes = vec![0.0; self.layout.outputs];
        for (i, at) in steps.iter().enumerate() {
            let weight = at.weight * f64::from(drows[at.row]);
            for k in 0..n {
                let density = &densities[i * n + k];
                for kind in 0..components.form.outputs() {
                    slopes[kind * n + k] = -blame[groups[i] * n + k] * density.slopes[kind];
                }
                if components.mixture.weighted {
                    let own = (joint(i, k) + losses[i]).exp() - ln_shares[i][k].exp();
                    slopes[components.form.outputs() * n + k] = -weight * own;
                }
            }
            tell(i, losses[i], &slopes);
        }
    }

    fn pieces(
        &self,
        pieces: &Pieces,
        steps: &[Step<'_>],
        drows: Option<&[f32]>,
        mut tell: impl FnMut(usize, f64, &[f64]),
    ) {
        let mut slopes = vec![0.0; self.layout.outputs];
        for (i, at) in steps.iter().enumerate() {
            let score = pieces.score(at.raw, (at.y - at.back.shift) / at.back.scale, &mut slopes);
            if let Some(drows) = drows {
                let share = at.weight * f64::from(drows[at.row]) * sigmoid(score);
                slopes.iter_mut().for_each(|slope| *slope *= share);
            }
            tell(i, softplus(score) + at.back.scale.ln(), &slopes);
        }
    }

    fn each(&self, steps: &[Step<'_>], drows: Option<&[f32]>, tell: impl FnMut(usize, f64, &[f64])) {
        match (self.loss.distribution.components(), self.loss.pieces()) {
            (Some(components), _) => self.mixture(&components, steps, drows, tell),
            (_, Some(pieces)) => self.pieces(&pieces, steps, drows, tell),
            _ => {}
        }
    }

    fn all<'a>(&self, rows: usize, inputs: &[&'a [f32]]) -> Vec<Step<'a>> {
        (0..rows).flat_map(|row| self.steps(row, self.layout.row(inputs, row))).collect()
    }
}

impl CustomOp for Nll {
    fn name(&self) -> &'static str {
        "negative_log_likelihood"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.layout.check(inputs)
    }

    fn forward(&self, rows: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let steps = self.all(rows.len(), inputs);
        let mut sums = vec![0.0_f64; rows.len()];
        self.each(&steps, None, |i, loss, _| sums[steps[i].row] += steps[i].weight * loss);
        rows.iter_mut().zip(sums).for_each(|(row, sum)| *row = sum as f32);
    }

    fn backward(&self, which: usize, d: &mut [f32], drows: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        d.fill(0.0);
        if which != 0 {
            return; // data
        }
        let (m, len) = (self.layout.outputs, self.layout.len());
        let steps = self.all(drows.len(), inputs);
        self.each(&steps, Some(drows), |i, _, slopes| {
            let place = steps[i].row * len + steps[i].step * m;
            for (d, slope) in d[place..place + m].iter_mut().zip(slopes) {
                *d = *slope as f32;
            }
        });
    }
}
