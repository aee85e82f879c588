//! Where the search begins: a line and a season through the first values, and the best of a few weights.
use super::super::line;
use super::form::{EtsForm, Part};
use super::recursion::States;
use super::search;
use super::space::{Shares, Space};

/// A few rows to begin from. Levels that follow at once and slowly, and seasons that change and that stay, are valleys of their own: the best row of each.
pub(super) fn rows(space: &Space, y: &[f64]) -> Vec<Vec<f64>> {
    let first = |sloped| states(space.form, space.m, y, sloped);
    let starts = if space.form.has_trend() { vec![first(true), first(false)] } else { vec![first(false)] };
    let betas = if space.form.has_trend() { &[0.03, 0.3, 0.95][..] } else { &[0.0] };
    let phis = if space.form.damped { &[0.3, 0.9][..] } else { &[0.0] };
    let gammas = if space.form.has_season() { &[0.05, 0.5][..] } else { &[0.0] };
    let best = |alphas: &[f64], gamma: f64| {
        let of = |(alpha, beta): (f64, f64)| phis.iter().map(move |phi| Shares { alpha, beta, gamma, phi: *phi });
        let shares = alphas.iter().flat_map(|alpha| betas.iter().map(move |beta| (*alpha, *beta))).flat_map(of);
        let rows = shares.flat_map(|shares| starts.iter().map(move |states| space.row(&shares, states)));
        let costs = rows.filter_map(|row| Some((search::errors(space, &row, y)?.cost(y.len()), row)));
        costs.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, row)| row)
    };
    // Without a season steps cost little, and more of them are taken.
    let alphas = [0.03, 0.2, 0.6, 0.95];
    let together = if space.form.has_season() { 2 } else { 1 };
    let valleys = gammas.iter().flat_map(|gamma| alphas.chunks(together).map(move |alphas| (alphas, *gamma)));
    valleys.filter_map(|(alphas, gamma)| best(alphas, gamma)).collect()
}

/// Level, slope and season of the first values; without `sloped` the slope is none.
fn states(form: EtsForm, m: usize, y: &[f64], sloped: bool) -> States {
    let whole = |seasons: usize| (y.len() / m).min(seasons) * m;
    // Whole seasons, so that a season is no trend.
    let head = if form.has_season() && y.len() >= 2 * m { whole(4.max(10_usize.div_ceil(m))) } else { y.len().min(10) };
    let head = if form.has_season() && y.len() < 2 * m { y } else { &y[..head.max(1)] };
    let season = season(form, m, head);
    let plain: Vec<f64> = head.iter().enumerate().map(|(t, y)| without(form.season, *y, season[t % m])).collect();
    let mean = plain.iter().sum::<f64>() / plain.len() as f64;
    let (level, slope) = match form.trend {
        Part::Additive if sloped => {
            let (first, slope) = line(&plain);
            (first - slope, slope)
        }
        Part::Multiplicative if sloped && plain.iter().all(|v| *v > 0.0) => {
            let (first, slope) = line(&plain.iter().map(|v| v.ln()).collect::<Vec<f64>>());
            ((first - slope).exp(), slope.exp())
        }
        Part::Multiplicative => (mean, 1.0),
        _ => (mean, 0.0),
    };
    States { level, slope, season }
}

/// How each place lies to the line through all values: differences that sum to 0, or ratios of mean 1.
fn season(form: EtsForm, m: usize, y: &[f64]) -> Vec<f64> {
    let neutral = if form.season == Part::Multiplicative { 1.0 } else { 0.0 };
    if form.season == Part::None {
        return vec![neutral];
    }
    let (first, slope) = line(y);
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let trend = |t: usize| first + slope * t as f64;
    let mut sums = vec![(0.0, 0.0); m];
    for (t, y) in y.iter().enumerate() {
        let trend = if form.season == Part::Multiplicative && trend(t) < 0.1 * mean { mean } else { trend(t) };
        let (sum, n) = &mut sums[t % m];
        (*sum, *n) = (*sum + without(form.season, *y, trend), *n + 1.0);
    }
    let mut season: Vec<f64> = sums.iter().map(|(sum, n)| if *n > 0.0 { sum / n } else { neutral }).collect();
    if form.season == Part::Multiplicative {
        season.iter_mut().for_each(|s| *s = s.max(1e-2));
    }
    let mean = season.iter().sum::<f64>() / m as f64;
    season.iter_mut().for_each(|s| *s = without(form.season, *s, mean));
    season
}

/// A value without a part of it.
fn without(part: Part, y: f64, of: f64) -> f64 {
    match part {
        Part::None => y,
        Part::Additive => y - of,
        Part::Multiplicative => y / of,
    }
}
