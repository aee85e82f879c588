//! Every loss against NeuralForecast's: values, gradients, and what is read from outputs. `tests/losses.json` is written by `bench/python/nf_losses.py`.
use super::row::Layout;
use super::{ForecastLoss, Told};
use crate::windows::{Asks, Fitted};
use mayfly_graph::CustomOp;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, Clone)]
struct Golden {
    loss: Value,
    outputs: Vec<f32>,
    targets: Vec<f32>,
    known: Vec<f32>,
    /// What each step counts, where they do not all count alike.
    #[serde(default)]
    horizon_weight: Vec<f32>,
    shift: Vec<f32>,
    scale: Vec<f32>,
    value: f64,
    gradient: Vec<f64>,
    #[serde(default)]
    past: Vec<f32>,
    /// The share of each target, where losses draw some.
    #[serde(default)]
    shares: Vec<f32>,
    columns: Option<Vec<Vec<Option<f64>>>>,
}

const ROWS: usize = 3;
const H: usize = 4;

fn all() -> Vec<Golden> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/losses.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// By the largest of those wanted.
fn near(got: &[f64], want: &[f64], tolerance: f64) -> bool {
    let largest = want.iter().fold(1e-6_f64, |most, v| most.max(v.abs()));
    got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= tolerance * largest)
}

impl Golden {
    fn loss(&self) -> ForecastLoss {
        match &self.loss {
            Value::String(name) => ForecastLoss::by_name(name, &[]).unwrap(),
            config => serde_json::from_value(config.clone()).unwrap(),
        }
    }

    /// What each target counts.
    fn weights(&self) -> Vec<f32> {
        let of = |(i, known): (usize, &f32)| known * self.horizon_weight.get(i % H).copied().unwrap_or(1.0);
        self.known.iter().enumerate().map(of).collect()
    }

    /// As the trainer has it: rows weigh what they know.
    fn value_and_gradient(&self, loss: &ForecastLoss) -> (f64, Vec<f64>) {
        let op: Box<dyn CustomOp> = match loss {
            ForecastLoss::Distribution(of) => Box::new(super::nll::Nll::new(of, H, 1)),
            _ => Box::new(super::point::HorizonLoss::new(loss, H, 1)),
        };
        let m = loss.outputs();
        let scaled = |(i, y): (usize, &f32)| (y - self.shift[i / H]) / self.scale[i / H];
        let t: Vec<f32> = self.targets.iter().enumerate().map(scaled).flat_map(|y| vec![y; m]).collect();
        let unit = |row: usize| match loss.asks() {
            Asks { season: Some(season), .. } if !self.past.is_empty() => {
                let past = &self.past[row * self.past.len() / ROWS..(row + 1) * self.past.len() / ROWS];
                let errors: f32 = past[season..].iter().zip(past).map(|(now, then)| (now - then).abs()).sum();
                (past.len() - season) as f32 / errors
            }
            _ => 1.0,
        };
        let back: Vec<f32> = (0..ROWS).flat_map(|row| [self.shift[row], self.scale[row], unit(row), 0.0]).collect();
        assert_eq!(back.len(), ROWS * Layout::BACK);
        let counted = self.weights();
        let mut inputs: Vec<&[f32]> = vec![&self.outputs, &t, &counted, &back];
        inputs.extend((!self.shares.is_empty()).then_some(&self.shares[..]));
        let all: f32 = counted.iter().sum();
        let weights: Vec<f32> = counted.chunks_exact(H).map(|row| row.iter().sum::<f32>() / all).collect();
        let mut rows = vec![0.0; ROWS];
        op.forward(&mut rows, &inputs, &[]);
        let value: f64 = rows.iter().zip(&weights).map(|(row, w)| f64::from(row * w)).sum();
        let mut d = vec![9.0; self.outputs.len()];
        op.backward(0, &mut d, &weights, &inputs, &rows, &[]);
        let (value, slope) = match loss {
            // The trainer's gradient hook takes the root.
            ForecastLoss::Rmse => (value.sqrt(), 0.5 / value.sqrt()),
            // NeuralForecast divides by the number of quantiles where it has 1 for it.
            ForecastLoss::MultiQuantile(_) | ForecastLoss::HuberMultiQuantile { .. } => (value * m as f64, m as f64),
            _ => (value, 1.0),
        };
        (value, d.into_iter().map(|d| f64::from(d) * slope).collect())
    }

    fn difference(&self, loss: &ForecastLoss) -> Option<String> {
        let (value, gradient) = self.value_and_gradient(loss);
        if !near(&[value], &[self.value], 1e-5) {
            return Some(format!("{value}, not {}", self.value));
        }
        if !near(&gradient, &self.gradient, 1e-5) {
            return Some(format!("gradient {gradient:?}, not {:?}", self.gradient));
        }
        let m = loss.outputs();
        for (i, want) in self.columns.iter().flatten().enumerate() {
            let mut got = Vec::new();
            let scale = Fitted::line(self.shift[i / H], self.scale[i / H]);
            loss.read(&Told { outputs: &self.outputs[i * m..(i + 1) * m], scale, shares: &[] }, &mut got);
            let pairs = got.iter().zip(want).filter_map(|(got, want)| Some((f64::from(*got), (*want)?)));
            let (got, want): (Vec<f64>, Vec<f64>) = pairs.unzip();
            if !near(&got, &want, 1e-5) {
                return Some(format!("columns {got:?}, not {want:?}"));
            }
        }
        None
    }
}

#[test]
fn every_loss_is_neural_forecasts() {
    let all = all();
    let names: Vec<String> = all.iter().map(|golden| golden.loss.to_string().to_lowercase()).collect();
    for name in ForecastLoss::NAMES.iter().filter(|name| **name != "tukey") {
        assert!(names.iter().any(|written| written.contains(name)), "no values of {name}");
    }
    assert_eq!(all.iter().filter(|golden| !golden.horizon_weight.is_empty()).count(), 5);
    let wrong =
        all.iter().filter_map(|golden| Some(format!("{}: {}", golden.loss, golden.difference(&golden.loss())?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Losses exchanged are noticed.
#[test]
fn another_loss_is_noticed() {
    for golden in all() {
        for other in all() {
            let (own, loss) = (golden.loss(), other.loss());
            if loss != own && loss.outputs() == own.outputs() {
                assert!(golden.difference(&loss).is_some(), "{} as {}", golden.loss, other.loss);
            }
        }
    }
}

/// Weights of a horizon's steps make a difference.
#[test]
fn weights_of_steps_are_noticed() {
    for mut golden in all().into_iter().filter(|golden| !golden.horizon_weight.is_empty()) {
        golden.horizon_weight.reverse();
        assert!(golden.difference(&golden.loss()).is_some(), "{}", golden.loss);
    }
}

#[test]
fn wrong_values_are_refused() {
    assert!(near(&[1.0, 2.0], &[1.0, 2.000_01], 1e-5) && !near(&[1.0, 2.0], &[1.0, 2.000_1], 1e-5));
    assert!(!near(&[f64::NAN], &[1.0], 1e-5) && !near(&[], &[1.0], 1e-5));
    let mut golden = all().into_iter().find(|golden| golden.loss == "mae").unwrap();
    golden.outputs[0] += 1e-3;
    assert!(golden.difference(&golden.loss()).is_some());
}
