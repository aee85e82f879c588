//! Attributions by trying: what a forecast is where an input has another value of its column.
use super::inputs::Row;
use super::subject::{Subject, Target};
use crate::error::Result;
use mayfly_base::{Rng, mix};

/// For each target, how much more it is than its mean with other values in the place of each input: `draws` at most, the same for every series.
pub(super) fn permuted(
    subject: &Subject<'_>,
    row: &Row,
    targets: &[Target],
    draws: usize,
    seed: u64,
) -> Result<Vec<Vec<f32>>> {
    let (len, h, each) =
        (row.values.len(), subject.layout.shape.h, subject.layout.shape.h * subject.layout.shape.series);
    let forecast = subject.forecasts(row, &row.values)?;
    let tried = others(subject, row, draws, seed);
    let mut sums = vec![vec![0.0_f64; len]; targets.len()];
    let mut counts = vec![0_usize; len];
    for part in tried.chunks(subject.rows_at_once()) {
        let mut values = row.values.repeat(part.len());
        values.chunks_exact_mut(len.max(1)).zip(part).for_each(|(row, (at, value))| row[*at] = *value);
        let forecasts = subject.forecasts(row, &values)?;
        for ((at, _), other) in part.iter().zip(forecasts.chunks_exact(each.max(1))) {
            counts[*at] += 1;
            for (sums, target) in sums.iter_mut().zip(targets) {
                let place = target.series * h + target.step;
                sums[*at] += f64::from(forecast[place]) - f64::from(other[place]);
            }
        }
    }
    let mean =
        |sums: Vec<f64>| sums.into_iter().zip(&counts).map(|(sum, n)| (sum / (*n).max(1) as f64) as f32).collect();
    Ok(sums.into_iter().map(mean).collect())
}

/// Which place gets which other value.
fn others(subject: &Subject<'_>, row: &Row, draws: usize, seed: u64) -> Vec<(usize, f32)> {
    let mut all = Vec::new();
    let mut changes = vec![false; row.values.len()];
    for places in subject.layout.columns() {
        for at in &places {
            changes[*at] = true;
            let mut rest: Vec<usize> =
                places.iter().copied().filter(|other| row.is_there[*other] && other != at).collect();
            if !row.is_there[*at] {
                continue;
            }
            // By the place in the row, so that a series is tried alike wherever it stands.
            Rng::stream(mix(seed), *at as u64).shuffle(&mut rest);
            all.extend(rest.iter().take(draws).map(|other| (*at, row.values[*other])));
        }
    }
    // A static column has no other value.
    all.extend((0..row.values.len()).filter(|at| !changes[*at]).map(|at| (at, row.empty[at])));
    all
}
