//! Every family against NeuralForecast's on ETTh1, small and briefly trained, with the same settings: `bench/forecast_gate.json` says which, and `bench/python/nf_gate.py` wrote
//! NeuralForecast's errors beside it.
use super::{Result, data};
use mayfly_forecast::{BacktestOptions, Forecaster, Model};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many times NeuralForecast's mean squared error ours may be.
const MARGIN: f64 = 1.03;

#[derive(serde::Deserialize)]
struct Plan {
    data: String,
    train: usize,
    rows: usize,
    test: usize,
    stride: usize,
    h: usize,
    input_size: usize,
    seeds: Vec<u64>,
    /// Of families whose errors differ so much between seeds that three say little.
    more_seeds: BTreeMap<String, Vec<u64>>,
    settings: Map<String, Value>,
    families: Map<String, Value>,
}

#[derive(serde::Deserialize)]
struct Theirs {
    neuralforecast: String,
    mse: BTreeMap<String, BTreeMap<u64, f64>>,
}

/// Trains the families whose names are given, or all, and prints a row for each.
///
/// # Errors
///
/// One of them is worse than the margin, or was not measured with NeuralForecast.
pub fn run(folder: &Path, names: &[String]) -> Result<()> {
    let plan: Plan = serde_json::from_str(&std::fs::read_to_string(bench("forecast_gate.json"))?)?;
    let theirs: Theirs = serde_json::from_str(&std::fs::read_to_string(bench("forecast_gate_nf.json"))?)?;
    println!("| family | seeds | MSE | NeuralForecast {} | ratio | | s |", theirs.neuralforecast);
    println!("|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for (family, settings) in &plan.families {
        if !names.is_empty() && !names.contains(family) {
            continue;
        }
        let known = theirs.mse.get(family).ok_or_else(|| format!("{family} has no figures of NeuralForecast"))?;
        let start = Instant::now();
        let mut ours = Vec::new();
        for seed in plan.seeds.iter().chain(plan.more_seeds.get(family).into_iter().flatten()) {
            ours.push(plan.error(folder, family, settings, *seed)?);
        }
        let known: Vec<f64> = known.values().copied().collect();
        if known.len() != ours.len() {
            return Err(format!("{family}: {} figures of NeuralForecast, {} seeds", known.len(), ours.len()).into());
        }
        let [our, their] = [mean(&ours), mean(&known)];
        let is_met = our <= MARGIN * their;
        let verdict = if is_met { "met" } else { "**missed**" };
        let seconds = start.elapsed().as_secs_f64();
        let [us, them] = [spread(&ours), spread(&known)];
        let n = ours.len();
        println!(
            "| {family} | {n} | {our:.4} ± {us:.4} | {their:.4} ± {them:.4} | {:.3} | {verdict} | {seconds:.0} |",
            our / their
        );
        if !is_met {
            missed.push(family.as_str());
        }
    }
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("more than {MARGIN} times theirs: {}", missed.join(", ")).into())
    }
}

impl Plan {
    fn error(&self, folder: &Path, family: &str, settings: &Value, seed: u64) -> Result<f64> {
        let frame = data::wide(&folder.join(format!("{}.csv", self.data)), self.train, self.rows)?;
        let model = Model::new(family)?.with_all(&self.settings)?.with("random_seed", seed)?;
        let model = model.with_all(settings.as_object().ok_or("settings are an object")?)?;
        let windows = 1 + (self.test - self.h) / self.stride;
        let options = BacktestOptions { windows, step: Some(self.stride), ..BacktestOptions::default() };
        let forecaster = Forecaster::new(self.h).model(model.input_size(self.input_size));
        let backtest = forecaster.cross_validation(&frame, &options, &mut ())?;
        Ok(backtest.forecasts.scores(family).ok_or("nothing was measured")?.mse)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation between seeds.
fn spread(values: &[f64]) -> f64 {
    let squares = values.iter().map(|v| (v - mean(values)).powi(2)).sum::<f64>();
    (squares / (values.len().max(2) - 1) as f64).sqrt()
}

fn bench(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench").join(file)
}
