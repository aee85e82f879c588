//! Errors of the families on public data, by the conventions of the papers: z-scores by the training rows, every window of the test part, a step apart.
//!
//! `cargo run --release -p mayfly-forecast --example accuracy -- DATA_FOLDER [NAME …]` trains what `TABLE` lists (or the rows whose data or family contain a NAME), prints a table
//! in Markdown, and fails when a bar is missed. A NAME that is a JSON object changes settings of these rows, to try others. `accuracy -- DATA_FOLDER gate [FAMILY …]` compares families with NeuralForecast's.
//! The folder has `ETTh1.csv`, `ETTm2.csv`, `weather.csv`, `EPF-NP.csv`, `M3.csv`, `M4-Hourly-train.csv`, `M4-Hourly-test.csv`.
mod data;
mod gate;

use data::{m3, m4, split};
use mayfly_forecast::{Backtest, BacktestOptions, Ensemble, ForecastLoss, Forecaster, Model, Scores};
use serde_json::{Map, Value};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A family on some data.
struct Row<'a> {
    data: &'static str,
    family: &'static str,
    h: usize,
    input_size: usize,
    /// By NeuralForecast's names.
    settings: &'a str,
    /// Largest MSE and MAE, or sMAPE alone.
    bars: &'static [f64],
    /// What was published, and by whom it was solved or trained.
    published: &'static str,
}

/// EPF-NP with both columns that are known ahead, against the prices alone.
const WITH: &str = "EPF-NP, known columns against none";
const LINEAR: &str = r#"{"max_steps": 1500, "learning_rate": 0.002, "num_lr_decays": 4, "windows_batch_size": 256, "val_check_steps": 150}"#;
const TABLE: &[Row<'static>] = &[
    Row {
        data: "ETTh1",
        family: "Ridge",
        h: 96,
        input_size: 336,
        settings: r#"{"alpha": 0.1}"#,
        bars: &[0.372, 0.394],
        published: ".370/.392, solved",
    },
    Row {
        data: "ETTh1",
        family: "NLinear",
        h: 96,
        input_size: 336,
        settings: r#"{"max_steps": 3000, "learning_rate": 0.001, "num_lr_decays": 6, "windows_batch_size": 1024, "val_check_steps": 300}"#,
        bars: &[0.379, 0.402],
        published: "–",
    },
    Row {
        data: "ETTh1",
        family: "DLinear",
        h: 96,
        input_size: 336,
        settings: LINEAR,
        bars: &[0.380, 0.403],
        published: ".375/.399 (Zeng et al. 2023)",
    },
    Row {
        data: "ETTh1",
        family: "PatchTST",
        h: 96,
        input_size: 336,
        settings: r#"{"max_steps": 1200, "learning_rate": 0.0005, "num_lr_decays": 4, "windows_batch_size": 128, "val_check_steps": 150, "hidden_size": 16, "n_heads": 4, "linear_hidden_size": 128, "dropout": 0.3, "revin_subtract_last": false}"#,
        bars: &[0.385, 0.408],
        published: ".375/.399 (Nie et al. 2023)",
    },
    Row {
        data: "ETTh1",
        family: "iTransformer",
        h: 96,
        input_size: 96,
        settings: r#"{"max_steps": 1000, "learning_rate": 0.0003, "num_lr_decays": 4, "windows_batch_size": 32, "val_check_steps": 100, "hidden_size": 256, "d_ff": 256}"#,
        bars: &[0.397, 0.415],
        published: ".386/.405 (Liu et al. 2024)",
    },
    Row {
        data: "ETTh1",
        family: "TiDE",
        h: 96,
        input_size: 720,
        settings: r#"{"max_steps": 600, "learning_rate": 0.001, "num_lr_decays": 4, "windows_batch_size": 256, "val_check_steps": 100, "hidden_size": 16, "decoder_output_dim": 4, "temporal_decoder_dim": 16, "dropout": 0.5, "scaler_type": "standard"}"#,
        bars: &[0.392, 0.410],
        published: ".375/.398 (Das et al. 2023)",
    },
    Row {
        data: "ETTh1",
        family: "TimeMixer",
        h: 96,
        input_size: 96,
        settings: r#"{"max_steps": 1000, "learning_rate": 0.003, "num_lr_decays": 4, "windows_batch_size": 32, "batch_size": 32, "val_check_steps": 100, "channel_independence": 1, "d_model": 16, "d_ff": 32, "e_layers": 2, "down_sampling_layers": 3}"#,
        bars: &[0.390, 0.412],
        published: ".375/.400 (Wang et al. 2024)",
    },
    Row {
        data: "ETTm2",
        family: "NHITS",
        h: 96,
        input_size: 480,
        settings: r#"{"max_steps": 1000, "learning_rate": 0.001, "windows_batch_size": 256, "val_check_steps": 100, "n_pool_kernel_size": [8, 4, 1], "n_freq_downsample": [24, 4, 1], "scaler_type": "standard"}"#,
        bars: &[0.185, 0.262],
        published: ".176/.255 (Challu et al. 2023)",
    },
    Row {
        data: "ETTm2",
        family: "TSMixer",
        h: 96,
        input_size: 512,
        settings: r#"{"max_steps": 2000, "learning_rate": 0.001, "num_lr_decays": 4, "windows_batch_size": 32, "val_check_steps": 200, "n_block": 1, "ff_dim": 64, "dropout": 0.9}"#,
        bars: &[0.172, 0.256],
        published: ".163/.252 (Chen et al. 2023)",
    },
    Row {
        data: "ETTm2",
        family: "PatchTST",
        h: 96,
        input_size: 336,
        settings: r#"{"max_steps": 1000, "learning_rate": 0.0002, "num_lr_decays": 4, "windows_batch_size": 128, "val_check_steps": 250, "hidden_size": 64, "n_heads": 8, "linear_hidden_size": 128, "dropout": 0.2, "revin_subtract_last": false}"#,
        bars: &[0.175, 0.265],
        published: ".165/.255 (Nie et al. 2023)",
    },
    Row {
        data: "Weather",
        family: "DLinear",
        h: 96,
        input_size: 336,
        settings: LINEAR,
        bars: &[0.180, 0.242],
        published: ".176/.237 (Zeng et al. 2023)",
    },
    Row {
        data: "Weather",
        family: "PatchTST",
        h: 96,
        input_size: 336,
        settings: r#"{"max_steps": 1000, "learning_rate": 0.0003, "num_lr_decays": 4, "windows_batch_size": 128, "val_check_steps": 500, "hidden_size": 64, "n_heads": 8, "linear_hidden_size": 128, "dropout": 0.2, "revin_subtract_last": false}"#,
        bars: &[0.162, 0.210],
        published: ".152/.199 (Nie et al. 2023)",
    },
    Row {
        data: "EPF-NP",
        family: "TimeXer",
        h: 24,
        input_size: 168,
        settings: r#"{"max_steps": 5000, "learning_rate": 0.0003, "num_lr_decays": 6, "windows_batch_size": 16, "val_check_steps": 150, "patch_len": 24, "hidden_size": 256, "d_ff": 512, "n_heads": 8, "dropout": 0.2, "scaler_type": "standard"}"#,
        bars: &[0.255, 0.285],
        published: ".236/.268 (Wang et al. 2024)",
    },
    Row {
        data: WITH,
        family: "NBEATSx",
        h: 24,
        input_size: 168,
        settings: r#"{"max_steps": 1000, "learning_rate": 0.001, "num_lr_decays": 3, "windows_batch_size": 256, "val_check_steps": 100, "scaler_type": "standard", "mlp_units": [[128, 128], [128, 128], [128, 128]]}"#,
        bars: &[0.95, 0.95],
        published: "–",
    },
    Row {
        data: WITH,
        family: "TFT",
        h: 24,
        input_size: 168,
        settings: r#"{"max_steps": 400, "learning_rate": 0.001, "num_lr_decays": 3, "windows_batch_size": 64, "val_check_steps": 100, "hidden_size": 32}"#,
        bars: &[0.95, 0.95],
        published: "–",
    },
    Row {
        data: "M3 yearly",
        family: "NHITS",
        h: 6,
        input_size: 12,
        settings: M3,
        bars: &[17.2],
        published: "16.7 by NeuralForecast",
    },
    Row {
        data: "M3 quarterly",
        family: "NHITS",
        h: 8,
        input_size: 16,
        settings: M3,
        bars: &[10.7],
        published: "9.9–10.6 by NeuralForecast",
    },
    Row {
        data: "M3 monthly",
        family: "NHITS",
        h: 18,
        input_size: 36,
        settings: M3,
        bars: &[14.6],
        published: "14.2 by NeuralForecast",
    },
    Row {
        data: "M3 yearly",
        family: "NBEATS",
        h: 6,
        input_size: 12,
        settings: M3,
        bars: &[17.2],
        published: "16.7 by NeuralForecast",
    },
    Row {
        data: "M3 quarterly",
        family: "NBEATS",
        h: 8,
        input_size: 16,
        settings: M3,
        bars: &[10.7],
        published: "9.9–10.6 by NeuralForecast",
    },
    Row {
        data: "M3 monthly",
        family: "NBEATS",
        h: 18,
        input_size: 36,
        settings: M3,
        bars: &[14.6],
        published: "14.2 by NeuralForecast",
    },
    Row {
        data: "M4 hourly",
        family: "NHITS + NBEATS, 3 seeds",
        h: 48,
        input_size: 168,
        settings: r#"{"max_steps": 1000, "scaler_type": "robust", "windows_batch_size": 256}"#,
        bars: &[13.4],
        published: "NeuralForecast 13.9–14.8, the winner 9.33",
    },
];
const M3: &str = r#"{"max_steps": 1000, "scaler_type": "robust", "windows_batch_size": 256}"#;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("which folder has the data?")?;
    let mut names: Vec<String> = args.collect();
    if names.first().is_some_and(|name| name == "gate") {
        return gate::run(Path::new(&folder), &names.split_off(1));
    }
    let (tried, names): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| name.starts_with('{'));
    let tried = tried.first().map_or("{}", String::as_str);
    let is_wanted = |row: &&Row<'_>| {
        names.is_empty()
            || names.iter().any(|name| row.data.contains(name.as_str()) || row.family.contains(name.as_str()))
    };
    println!("| data, h | family (inputs) | MSE / MAE, or sMAPE | bar | | published | s |");
    println!("|---|---|---|---|---|---|---|");
    let mut missed = 0;
    for row in TABLE.iter().filter(is_wanted) {
        let row = &Row { settings: &changed(row.settings, tried)?, ..*row };
        let start = Instant::now();
        let (got, said) = row.measured(Path::new(&folder))?;
        let is_met = got.iter().zip(row.bars).all(|(got, bar)| got <= bar);
        missed += usize::from(!is_met);
        let shown = |values: &[f64]| values.iter().map(|v| digits(*v)).collect::<Vec<_>>().join(" / ");
        let verdict = if is_met { "met" } else { "**missed**" };
        println!(
            "| {}, {} | {} ({}) | {}{said} | {} | {verdict} | {} | {:.0} |",
            row.data,
            row.h,
            row.family,
            row.input_size,
            shown(&got),
            shown(row.bars),
            row.published,
            start.elapsed().as_secs_f64()
        );
    }
    if missed > 0 { Err(format!("{missed} bars are missed").into()) } else { Ok(()) }
}

/// Settings with some of them changed.
fn changed(settings: &str, by: &str) -> Result<String> {
    let [mut settings, by]: [Map<String, Value>; 2] = [serde_json::from_str(settings)?, serde_json::from_str(by)?];
    settings.extend(by);
    Ok(Value::Object(settings).to_string())
}

fn digits(v: f64) -> String {
    if v < 5.0 { format!("{v:.3}") } else { format!("{v:.2}") }
}

impl Row<'_> {
    fn model(&self, family: &str) -> Result<Model> {
        let settings: Map<String, Value> = serde_json::from_str(self.settings)?;
        Ok(Model::new(family)?.with_all(&settings)?.input_size(self.input_size))
    }

    /// Its errors, and what else is to be said.
    fn measured(&self, folder: &Path) -> Result<(Vec<f64>, String)> {
        match self.data {
            "M4 hourly" => self.m4(folder),
            WITH => self.with_known(folder),
            m3 if m3.starts_with("M3 ") => self.m3(folder),
            _ => self.long_horizon(folder),
        }
    }

    fn long_horizon(&self, folder: &Path) -> Result<(Vec<f64>, String)> {
        let scores = self.split_scores(self.data, folder)?;
        Ok((vec![scores.mse, scores.mae], String::new()))
    }

    /// MSE and MAE with the columns that are known over the horizon, as shares of those without.
    fn with_known(&self, folder: &Path) -> Result<(Vec<f64>, String)> {
        let with = self.split_scores("EPF-NP futr", folder)?;
        let without = self.split_scores("EPF-NP alone", folder)?;
        let said = format!(" ({:.3} / {:.3} against {:.3} / {:.3})", with.mse, with.mae, without.mse, without.mae);
        Ok((vec![with.mse / without.mse, with.mae / without.mae], said))
    }

    fn split_scores(&self, data: &str, folder: &Path) -> Result<Scores> {
        let (frame, [val, test]) = split(data, folder)?;
        let mut model = self.model(self.family)?;
        if model.loss == ForecastLoss::Mae {
            model = model.loss(ForecastLoss::Mse);
        }
        let forecaster = Forecaster::new(self.h).model(model).val_size(val);
        let windows = BacktestOptions { windows: test - self.h + 1, step: Some(1), ..BacktestOptions::default() };
        let backtest = forecaster.cross_validation(&frame, &windows, &mut ())?;
        scores(&backtest, self.family)
    }

    fn m3(&self, folder: &Path) -> Result<(Vec<f64>, String)> {
        let frame = m3(folder, &self.data[3..], self.h)?;
        let forecaster = Forecaster::new(self.h).model(self.model(self.family)?);
        let backtest = forecaster.cross_validation(&frame, &BacktestOptions::default(), &mut ())?;
        Ok((vec![scores(&backtest, self.family)?.smape], String::new()))
    }

    fn m4(&self, folder: &Path) -> Result<(Vec<f64>, String)> {
        let frame = m4(folder)?;
        let mut forecaster = Forecaster::new(self.h).ensemble(Ensemble::Median).season(24);
        for family in ["NHITS", "NBEATS"] {
            for seed in 1..=3 {
                let model = self.model(family)?.with("random_seed", seed)?.alias(format!("{family} {seed}"));
                forecaster = forecaster.model(model.loss(ForecastLoss::intervals(&[90.0])));
            }
        }
        let backtest = forecaster.cross_validation(&frame, &BacktestOptions::default(), &mut ())?;
        let all = backtest.ensemble.ok_or("no ensemble")?;
        let within = all.coverage.iter().find(|(level, _)| *level == "90").map_or(f64::NAN, |(_, share)| *share);
        Ok((vec![all.smape], format!(", {:.1} % within 90 %", within * 100.0)))
    }
}

fn scores(backtest: &Backtest, family: &str) -> Result<Scores> {
    backtest.forecasts.scores(family).ok_or_else(|| "nothing was measured".into())
}
