//! Attributions by gradients: along the straight way from a row that says nothing (Sundararajan et al. 2017), or at its end.
use super::inputs::Row;
use super::subject::{Slopes, Subject, Target};
use crate::error::Result;

/// Points on the way, unless they are given: so many at first, and at most.
const POINTS: usize = 64;
const MOST_POINTS: usize = 1024;
/// What may be missing from the sum, as a share of all attributions without their signs.
const CLOSE: f64 = 1e-3;
/// What rounding a forecast and its baseline to 32 bits may cost, as a share of them.
const ROUNDING: f64 = 1e-6;

/// One target's attributions.
pub(super) struct Part {
    pub(super) attributions: Vec<f32>,
    /// The forecast of the row that says nothing, and what is missing from the sum.
    pub(super) sum: Option<Sum>,
}

/// How attributions add up.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub(super) baseline: f32,
    pub(super) gap: f32,
}

/// By integrated gradients, over so many points or as many as it takes.
pub(super) fn integrated(
    subject: &Subject<'_>,
    slopes: &mut Slopes,
    row: &Row,
    targets: &[Target],
    points: Option<usize>,
) -> Result<Vec<Part>> {
    let h = subject.layout.shape.h;
    let [end, start] = [subject.forecasts(row, &row.values)?, subject.forecasts(row, &row.empty)?];
    let at = |forecasts: &[f32], target: &Target| f64::from(forecasts[target.series * h + target.step]);
    let mut parts: Vec<Option<Part>> = targets.iter().map(|_| None).collect();
    let mut n = points.unwrap_or(POINTS);
    loop {
        let open: Vec<usize> = (0..targets.len()).filter(|i| parts[*i].is_none()).collect();
        let asked: Vec<Target> = open.iter().map(|i| targets[*i]).collect();
        let is_last = points.is_some() || n >= MOST_POINTS;
        for ((i, target), all) in open.iter().zip(&asked).zip(along(subject, slopes, row, &asked, n)?) {
            let (baseline, forecast) = (at(&start, target), at(&end, target));
            let gap = forecast - baseline - all.iter().sum::<f64>();
            let allowed =
                CLOSE * all.iter().map(|a| a.abs()).sum::<f64>() + ROUNDING * forecast.abs().max(baseline.abs());
            // A forecast that is no number never gets closer.
            if is_last || gap.abs() <= allowed || !gap.is_finite() {
                let sum = Some(Sum { baseline: baseline as f32, gap: gap as f32 });
                parts[*i] = Some(Part { attributions: all.into_iter().map(|a| a as f32).collect(), sum });
            }
        }
        if parts.iter().all(Option::is_some) {
            return Ok(parts.into_iter().flatten().collect());
        }
        n *= 2;
    }
}

/// For each target the mean gradient at the middles of `n` even parts of the way, times the way.
fn along(subject: &Subject<'_>, slopes: &mut Slopes, row: &Row, targets: &[Target], n: usize) -> Result<Vec<Vec<f64>>> {
    let len = row.values.len();
    let mut all = vec![vec![0.0; len]; targets.len()];
    let (total, rows) = (targets.len() * n, subject.rows_at_once());
    for from in (0..total).step_by(rows) {
        let places = from..(from + rows).min(total);
        let mut values = Vec::with_capacity(places.len() * len);
        for i in places.clone() {
            let share = ((i % n) as f32 + 0.5) / n as f32;
            values.extend(row.values.iter().zip(&row.empty).map(|(end, start)| start + share * (end - start)));
        }
        let asked: Vec<Target> = places.clone().map(|i| targets[i / n]).collect();
        let gradients = subject.gradients(slopes, row, &values, &asked)?;
        for (i, gradient) in places.zip(gradients.chunks_exact(len.max(1))) {
            all[i / n].iter_mut().zip(gradient).for_each(|(sum, g)| *sum += f64::from(*g));
        }
    }
    for all in &mut all {
        let way = row.values.iter().zip(&row.empty).map(|(end, start)| f64::from(end - start) / n as f64);
        all.iter_mut().zip(way).for_each(|(sum, way)| *sum *= way);
    }
    Ok(all)
}

/// By the gradient at the row itself, times its values.
pub(super) fn input_x_gradient(
    subject: &Subject<'_>,
    slopes: &mut Slopes,
    row: &Row,
    targets: &[Target],
) -> Result<Vec<Part>> {
    let mut parts = Vec::with_capacity(targets.len());
    for asked in targets.chunks(subject.rows_at_once()) {
        let gradients = subject.gradients(slopes, row, &row.values.repeat(asked.len()), asked)?;
        parts.extend(gradients.chunks_exact(row.values.len().max(1)).map(|gradient| Part {
            attributions: gradient.iter().zip(&row.values).map(|(g, value)| g * value).collect(),
            sum: None,
        }));
    }
    Ok(parts)
}
