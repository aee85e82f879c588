//! Baselines against statsforecast's: `tests/baselines.json` is written by `bench/python/sf_baselines.py`.
use super::optimized_theta::Model;
use super::seasonal::Seasonal;
use super::{Baseline, Normal};
use mayfly_format::testdata;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct Golden {
    pub(super) name: String,
    /// Where the values are; here if they are in none.
    file: Option<String>,
    pub(super) season: usize,
    pub(super) values: Vec<f64>,
    pub(super) fits: Vec<Fit>,
    pub(super) best: Best,
    others: BTreeMap<String, Other>,
    #[serde(default)]
    pub(super) recursions: Vec<Recursion>,
}

/// A form that was fitted.
#[derive(Deserialize)]
pub(super) struct Fit {
    pub(super) form: String,
    pub(super) log_likelihood: f64,
    pub(super) aicc: f64,
    /// Whether it keeps the bounds that ours keeps.
    pub(super) within: bool,
    pub(super) mean: Vec<f64>,
    pub(super) step: f64,
    /// The variance counted.
    pub(super) parameters: usize,
}

#[derive(Deserialize)]
pub(super) struct Best {
    pub(super) aicc: f64,
}

#[derive(Deserialize)]
struct Other {
    mean: Vec<f64>,
    sigma: Vec<f64>,
    /// Of the optimised Theta model: alpha, theta, start.
    #[serde(default)]
    figures: Vec<f64>,
}

/// A form with everything given.
#[derive(Deserialize)]
pub(super) struct Recursion {
    pub(super) form: String,
    pub(super) weights: Weights,
    pub(super) level: f64,
    pub(super) slope: f64,
    pub(super) season: Vec<f64>,
    pub(super) log_likelihood: f64,
    /// The last four.
    pub(super) errors: Vec<f64>,
    pub(super) mean: Vec<f64>,
    pub(super) variance: f64,
    pub(super) sigma: Option<Vec<f64>>,
}

#[derive(Deserialize)]
pub(super) struct Weights {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) gamma: f64,
    pub(super) phi: f64,
}

/// The series that are at hand: some are in files that may be absent.
pub(super) fn all() -> Vec<Golden> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/baselines.json");
    let all: Vec<Golden> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let with_values = |mut golden: Golden| {
        if let Some(file) = &golden.file {
            let text = std::fs::read_to_string(testdata::find(&format!("forecast/{file}"))?).unwrap();
            let quoted = format!("\"{}\"", golden.name);
            let line = text.lines().find(|line| line.split(',').take(2).any(|field| field == quoted)).unwrap();
            let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
            let fields = if file == "M3.csv" { fields[7].split(';').collect() } else { fields[1..].to_vec() };
            golden.values = fields.iter().filter_map(|v| v.trim().parse().ok()).collect();
        }
        Some(golden)
    };
    all.into_iter().filter_map(with_values).collect()
}

/// How far two rows are apart, by the largest that is wanted.
pub(super) fn apart(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-300_f64, |most, v| most.max(v.abs()));
    got.iter().zip(want).fold(0.0, |most: f64, (g, w)| most.max((g - w).abs() / largest))
}

/// SES and Theta search their weights in other bounds and start elsewhere, which shows in short series. Theta's errors are those of 200 paths there.
#[test]
fn others_are_near_the_reference() {
    for golden in all() {
        for (name, want) in &golden.others {
            let (season, h) = (golden.season, want.mean.len());
            let Normal { mean, sigma } = Baseline::by_name(name).unwrap().forecast(&golden.values, season, h);
            let (mean, sigma) = (apart(&mean, &want.mean), apart(&sigma[..1], &want.sigma[..1]));
            let (mean_limit, sigma_limit) = match golden.values.len() {
                // All errors count here, those behind the first three there.
                ..20 => (0.16, 0.2),
                20..80 => (0.075, 0.09),
                _ => (0.01, 0.07),
            };
            assert!(mean < mean_limit && sigma < sigma_limit, "{} {name}: {mean} {sigma}", golden.name);
        }
    }
}

/// With the reference's figures the optimised Theta model forecasts what the reference does, and its own figures leave smaller errors.
#[test]
fn the_optimised_theta_model_is_the_references() {
    let mut seen = 0;
    for golden in all() {
        let other = &golden.others["OptimizedTheta"];
        let [alpha, theta, start] = other.figures[..] else { panic!("{}", golden.name) };
        let y = Seasonal::of(&golden.values, golden.season).without(&golden.values);
        let fitted = Model::fit(&y);
        let (best, mut given) = (fitted.squares(&y), fitted);
        (given.alpha, given.share, given.start) = (alpha, 1.0 - 1.0 / theta, start);
        assert!(best <= given.squares(&y) * (1.0 + 1e-9), "{}: {best}", golden.name);
        if y == golden.values {
            given.follow(&y);
            let mean = given.means(other.mean.len());
            assert!(apart(&mean, &other.mean) < 1e-6, "{}: {mean:?} instead of {:?}", golden.name, other.mean);
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen}");
}
