//! Values put together from where they were some steps later, for the delays at which a window is most like itself (Wu et al. 2021), as an operation of the graph.
use mayfly_nn::{CustomOp, Dims, Shape};

/// `(values [b, t, w], likeness [b, n]) → [b, t, w]`: the values rolled by each of the `most` likeliest delays, weighed by the softmax of their likeness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    pub(super) most: usize,
    /// Whether all rows take the delays that are likeliest on their mean, as in training; else each takes its own.
    pub(super) shared: bool,
}

impl Delays {
    /// The likeliest delays, the first of equals first.
    fn likeliest(&self, likeness: &[f32]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..likeness.len()).collect();
        order.sort_by(|a, b| likeness[*b].total_cmp(&likeness[*a]));
        order.truncate(self.most);
        order
    }

    /// The delays of every row, if they are shared.
    fn of_all(&self, likeness: &[f32], n: usize) -> Option<Vec<usize>> {
        let mut mean = vec![0.0; n];
        for row in likeness.chunks_exact(n) {
            mean.iter_mut().zip(row).for_each(|(mean, v)| *mean += v);
        }
        self.shared.then(|| self.likeliest(&mean))
    }

    fn shares(likeness: &[f32], delays: &[usize]) -> Vec<f32> {
        let most = delays.iter().map(|d| likeness[*d]).fold(f32::NEG_INFINITY, f32::max);
        let mut shares: Vec<f32> = delays.iter().map(|d| (likeness[*d] - most).exp()).collect();
        let sum: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|s| *s /= sum);
        shares
    }
}

impl CustomOp for Delays {
    fn name(&self) -> &'static str {
        "delays"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [values, likeness]
                if values.rank() == 3
                    && likeness.rank() == 2
                    && values.dims()[0] == likeness.dims()[0]
                    && (self.most..=values.dims()[1]).contains(&likeness.last()) =>
            {
                Ok(*values)
            }
            _ => Err(format!("values [batch, time, width] and the likeness of delays are needed, got {inputs:?}")),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let (t, w, n) = (dims[0][1], dims[0].last(), dims[1].last());
        let all = self.of_all(inputs[1], n);
        let rows = y.chunks_exact_mut(t * w).zip(inputs[0].chunks_exact(t * w)).zip(inputs[1].chunks_exact(n));
        for ((y, values), likeness) in rows {
            let delays = all.clone().unwrap_or_else(|| self.likeliest(likeness));
            y.fill(0.0);
            for (delay, share) in delays.iter().zip(Self::shares(likeness, &delays)) {
                for (time, y) in y.chunks_exact_mut(w).enumerate() {
                    let from = &values[(time + delay) % t * w..][..w];
                    y.iter_mut().zip(from).for_each(|(y, v)| *y += share * v);
                }
            }
        }
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let (t, w, n) = (dims[0][1], dims[0].last(), dims[1].last());
        let all = self.of_all(inputs[1], n);
        let len = if which == 0 { t * w } else { n };
        let rows = dy.chunks_exact(t * w).zip(inputs[0].chunks_exact(t * w)).zip(inputs[1].chunks_exact(n));
        for (dx, ((dy, values), likeness)) in dx.chunks_exact_mut(len).zip(rows) {
            let delays = all.clone().unwrap_or_else(|| self.likeliest(likeness));
            let shares = Self::shares(likeness, &delays);
            dx.fill(0.0);
            if which == 0 {
                for (delay, share) in delays.iter().zip(&shares) {
                    for (time, dy) in dy.chunks_exact(w).enumerate() {
                        let to = &mut dx[(time + delay) % t * w..][..w];
                        to.iter_mut().zip(dy).for_each(|(to, dy)| *to += share * dy);
                    }
                }
                continue;
            }
            let worth = |delay: usize| -> f32 {
                let at = |time: usize| &values[(time + delay) % t * w..][..w];
                dy.chunks_exact(w)
                    .enumerate()
                    .flat_map(|(time, dy)| dy.iter().zip(at(time)))
                    .map(|(dy, v)| dy * v)
                    .sum()
            };
            let worth: Vec<f32> = delays.iter().map(|delay| worth(*delay)).collect();
            let mean: f32 = worth.iter().zip(&shares).map(|(w, s)| w * s).sum();
            for ((delay, share), worth) in delays.iter().zip(&shares).zip(&worth) {
                dx[*delay] = share * (worth - mean);
            }
        }
    }
}
