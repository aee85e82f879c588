//! Paths of the future: draws of every step that go together as the series' values do.
use super::fit::Forecaster;
use super::forecasts::{Forecasts, quoted};
use super::group::Cut;
use crate::calendar::Stamp;
use crate::error::{ForecastError, Result};
use crate::frame::{Series, SeriesFrame};
use crate::losses::Margin;
use crate::normal;
use mayfly_base::{Rng, mix};
use std::io::{self, Write};

/// How the steps of a path go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dependence {
    /// A Gaussian copula whose correlation falls with distance by that of one change of the series to the next.
    #[default]
    GaussianCopula,
    /// As in stretches of the series' past, whose ranks the draws take (Clark et al. 2004).
    SchaakeShuffle,
}

impl Dependence {
    /// NeuralForecast's names.
    pub const NAMES: [&str; 2] = ["gaussian_copula", "schaake_shuffle"];

    /// The one of this name.
    ///
    /// # Errors
    /// A name that is not among [`Dependence::NAMES`].
    pub fn by_name(name: &str) -> Result<Dependence> {
        match name {
            "gaussian_copula" => Ok(Dependence::GaussianCopula),
            "schaake_shuffle" => Ok(Dependence::SchaakeShuffle),
            _ => Err(ForecastError::unknown("dependence", name, &Dependence::NAMES)),
        }
    }
}

/// What to draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimulateOptions {
    /// Paths of each series.
    pub paths: usize,
    /// How their steps go together.
    pub dependence: Dependence,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        SimulateOptions { paths: 100, dependence: Dependence::default(), seed: 1 }
    }
}

/// Paths of the future.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Series and times.
    rows: Forecasts,
    h: usize,
    paths: usize,
    /// For each model `[series, paths, h]`.
    models: Vec<(String, Vec<f32>)>,
}

impl Forecaster {
    /// Draws paths of the next `h` values of every series, as [`Forecaster::predict`] forecasts them. A model needs to know more than a point: a distribution, quantiles, or conformal intervals. How steps go together is taken from the values of `frame`; a file has only the last of each series.
    ///
    /// # Errors
    /// Those of [`Forecaster::predict`]; a model that gives points alone; a past that is too short to take its order from.
    pub fn simulate(&self, frame: Option<&SeriesFrame>, h: Option<usize>, options: &SimulateOptions) -> Result<Paths> {
        if options.paths == 0 {
            return Err(ForecastError::option("paths", 0, "at least one is needed"));
        }
        let known = self.known_ahead(frame, h)?;
        let (frame, fitted, h) = self.ready(known.as_ref().or(frame), h)?;
        let cuts: Vec<Cut<'_>> = frame.iter().map(|series| (series, series.y.len())).collect();
        let rows = Forecasts::new(frame, &cuts, h, 1, false);
        let mut models = Vec::with_capacity(fitted.len());
        for fitted in fitted {
            let margins = fitted.margins(&cuts, h)?;
            if margins.iter().any(|margin| matches!(margin, Margin::Point(_))) {
                let want = "it gives points alone: train it with a distribution, quantiles (mq) or intervals (--level)";
                return Err(ForecastError::option("model", &fitted.model.alias, want));
            }
            let mut values = Vec::with_capacity(cuts.len() * options.paths * h);
            for ((series, _), margins) in cuts.iter().zip(margins.chunks_exact(h)) {
                for shares in options.shares(series, h)? {
                    values.extend(shares.iter().zip(margins).map(|(share, margin)| margin.quantile(*share) as f32));
                }
            }
            models.push((fitted.model.alias.clone(), values));
        }
        Ok(Paths { rows, h, paths: options.paths, models })
    }
}

impl SimulateOptions {
    /// For each path the share of each step's distribution that it draws.
    fn shares(&self, series: &Series<'_>, h: usize) -> Result<Vec<Vec<f64>>> {
        // By the name, so that paths of a series do not depend on what else there is.
        let name = series.id.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        let mut rng = Rng::stream(mix(self.seed), name);
        let known: Vec<f64> =
            (0..series.y.len()).filter(|at| series.is_known(*at)).map(|at| f64::from(series.y[at])).collect();
        match self.dependence {
            Dependence::GaussianCopula => {
                let rho = correlation_of_changes(&known).abs();
                let rest = (1.0 - rho * rho).sqrt();
                let path = |rng: &mut Rng| {
                    let mut z = rng.normal();
                    let step = |i: usize| {
                        if i > 0 {
                            z = rho * z + rest * rng.normal();
                        }
                        normal::share(z).clamp(1e-12, 1.0 - 1e-12)
                    };
                    (0..h).map(step).collect()
                };
                Ok((0..self.paths).map(|_| path(&mut rng)).collect())
            }
            Dependence::SchaakeShuffle => self.shuffled(series.id, &known, h, &mut rng),
        }
    }

    /// Even shares of each step in the order in which stretches of the past have that step.
    fn shuffled(&self, id: &str, known: &[f64], h: usize, rng: &mut Rng) -> Result<Vec<Vec<f64>>> {
        let n = self.paths;
        let Some(stretches) = (known.len() + 1).checked_sub(h).filter(|count| *count > 0) else {
            let got = format!("{} known values of {id:?}", known.len());
            return Err(ForecastError::option("schaake_shuffle", got, format!("stretches of {h} are needed")));
        };
        let starts: Vec<usize> = match stretches >= n {
            true => {
                let mut all: Vec<usize> = (0..stretches).collect();
                rng.shuffle(&mut all);
                all.truncate(n);
                all
            }
            false => (0..n).map(|_| rng.below(stretches as u64) as usize).collect(),
        };
        let mut paths = vec![vec![0.0; h]; n];
        for step in 0..h {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|a, b| known[starts[*a] + step].total_cmp(&known[starts[*b] + step]));
            for (rank, path) in order.into_iter().enumerate() {
                paths[path][step] = (rank as f64 + rng.uniform_f64()) / n as f64;
            }
        }
        paths.iter_mut().flatten().for_each(|share| *share = share.clamp(1e-12, 1.0 - 1e-12));
        Ok(paths)
    }
}

/// How much a change goes with the one before; 0 of changes that are all alike.
fn correlation_of_changes(y: &[f64]) -> f64 {
    let changes: Vec<f64> = y.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if changes.len() < 2 {
        return 0.0;
    }
    let (before, after) = (&changes[..changes.len() - 1], &changes[1..]);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (m0, m1) = (mean(before), mean(after));
    let product =
        |a: &[f64], b: &[f64], ma: f64, mb: f64| -> f64 { a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum() };
    let size = (product(before, before, m0, m0) * product(after, after, m1, m1)).sqrt();
    if size < 1e-15 { 0.0 } else { (product(before, after, m0, m1) / size).clamp(-0.99, 0.99) }
}

impl Paths {
    /// How many paths each series has.
    pub fn paths(&self) -> usize {
        self.paths
    }

    /// What the columns are called.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = self.rows.columns();
        columns.push("sample_id".to_owned());
        columns.extend(self.models.iter().map(|(name, _)| name.clone()));
        columns
    }

    /// The values of one model, `[series, paths, h]`.
    pub fn of(&self, model: &str) -> Option<&[f32]> {
        self.models.iter().find(|(name, _)| name == model).map(|(_, values)| &values[..])
    }

    /// Rows of the table.
    pub fn len(&self) -> usize {
        self.rows.len() * self.paths
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The models, in the order of their columns.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|(name, _)| name.as_str())
    }

    /// Series, time and path of each row: all steps of a path, all paths of a series.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Stamp, usize)> {
        let keys: Vec<(&str, Stamp)> = self.rows.keys().map(|(id, ds, _)| (id, ds)).collect();
        (0..self.len()).map(move |row| {
            let (path, step) = (row / self.h, row % self.h);
            let (id, ds) = keys[path / self.paths * self.h + step];
            (id, ds, path % self.paths)
        })
    }

    /// A time as the file writes it.
    pub fn written(&self, stamp: Stamp) -> String {
        self.rows.written(stamp)
    }

    /// Writes the table as CSV.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let header: Vec<String> = self.columns().iter().map(|name| quoted(name)).collect();
        writeln!(out, "{}", header.join(","))?;
        for (row, (id, ds, path)) in self.keys().enumerate() {
            write!(out, "{},{},{path}", quoted(id), self.written(ds))?;
            for (_, values) in &self.models {
                write!(out, ",{}", values[row])?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_correlated_as_neural_forecast_has_it() {
        // neuralforecast.utils.estimate_ar1_rho of 3.3.0.
        assert!((correlation_of_changes(&[1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 5.5]) - RHO).abs() < 1e-6);
        assert_eq!(correlation_of_changes(&[1.0, 2.0, 3.0, 4.0]), 0.0);
        assert_eq!(correlation_of_changes(&[1.0]), 0.0);
    }

    const RHO: f64 = -0.964_285_714_285_714_3;

    #[test]
    fn shuffled_shares_have_the_order_of_the_past() {
        let y: Vec<f32> = (0..60).map(|t| (t as f32 * 0.37).sin()).collect();
        let series = Series::bare(&y, None);
        let options = SimulateOptions { paths: 20, dependence: Dependence::SchaakeShuffle, seed: 3 };
        let paths = options.shares(&series, 4).unwrap();
        for step in 0..4 {
            let mut shares: Vec<f64> = paths.iter().map(|path| path[step]).collect();
            shares.sort_by(f64::total_cmp);
            assert!(shares.iter().enumerate().all(|(i, s)| (s * 20.0).floor() as usize == i), "{shares:?}");
        }
        // A wave moves slowly: a path that is high at one step is high at the next.
        let product: f64 = paths.iter().map(|path| (path[0] - 0.5) * (path[1] - 0.5)).sum::<f64>() / 20.0;
        assert!(product > 0.05, "{product}");
        assert!(options.shares(&series, 61).is_err());
    }
}
