//! Every scaler of windows against NeuralForecast's: what a window is scaled by, its scaled values, and the way back. `tests/scalers.json` is written by `bench/python/nf_scalers.py`.
use super::scaler::Scaler;
use super::shape::inputs_of;
use crate::frame::Series;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Table {
    /// Values of a window that are inputs; the others are its horizon.
    inputs: usize,
    /// What is brought to the scale of the data.
    probes: Vec<f32>,
    windows: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    name: String,
    values: Vec<f32>,
    known: Vec<f32>,
    scalers: BTreeMap<String, Scaled>,
}

#[derive(Deserialize)]
struct Scaled {
    shift: f32,
    scale: f32,
    scaled: Vec<f32>,
    back: Vec<f32>,
}

fn table() -> Table {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scalers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// By the largest of those wanted.
fn near(got: &[f32], want: &[f32]) -> bool {
    let largest = want.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
    got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= 1e-5 * largest)
}

impl Window {
    /// What differs from NeuralForecast, if anything.
    fn difference(&self, scaler: Scaler, want: &Scaled, table: &Table) -> Option<String> {
        let n = table.inputs;
        let known: Vec<bool> = self.known.iter().map(|known| *known > 0.0).collect();
        let mut x = vec![9.0; n];
        let fitted = inputs_of(&Series::bare(&self.values[..n], Some(&known)), n, scaler, &mut x, None);
        if !near(&[fitted.shift], &[want.shift]) || !near(&[fitted.scale], &[want.scale]) {
            return Some(format!("{fitted:?}, not {} and {}", want.shift, want.scale));
        }
        // Unknown inputs are 0 here, and what the scale makes of 0 in NeuralForecast.
        let wanted: Vec<f32> = want.scaled.iter().zip(&known).map(|(v, known)| if *known { *v } else { 0.0 }).collect();
        if !near(&x, &wanted) {
            return Some(format!("inputs {x:?}, not {wanted:?}"));
        }
        let ahead: Vec<f32> = self.values[n..].iter().map(|v| fitted.apply(*v)).collect();
        if !near(&ahead, &want.scaled[n..]) {
            return Some(format!("values ahead {ahead:?}, not {:?}", &want.scaled[n..]));
        }
        let back: Vec<f32> = table.probes.iter().map(|v| fitted.undo(*v)).collect();
        (!near(&back, &want.back)).then(|| format!("back {back:?}, not {:?}", want.back))
    }
}

#[test]
fn every_scaler_is_neural_forecasts() {
    let table = table();
    let mut wrong = Vec::new();
    for window in &table.windows {
        assert_eq!(window.scalers.len(), Scaler::NAMES.len(), "{}", window.name);
        for name in Scaler::NAMES {
            let difference = window.difference(Scaler::by_name(name).unwrap(), &window.scalers[name], &table);
            wrong.extend(difference.map(|what| format!("{name} of {}: {what}", window.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Scalers exchanged are noticed; `revin` is `standard` but for a millionth.
#[test]
fn another_scaler_is_noticed() {
    let table = table();
    let window = table.windows.iter().find(|window| window.name == "noise").unwrap();
    for (name, want) in &window.scalers {
        for other in Scaler::NAMES.into_iter().filter(|other| other != name) {
            let alike = ["standard", "revin"].contains(&other) && ["standard", "revin"].contains(&name.as_str());
            let difference = window.difference(Scaler::by_name(other).unwrap(), want, &table);
            assert_eq!(difference.is_none(), alike, "{name} as {other}: {difference:?}");
        }
    }
}
