//! Forecasts in parts: that they add up, and what has none.
use mayfly_forecast::{
    Distribution, ForecastError, ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame, Table, TimeFeature,
};
use serde_json::json;

fn frame() -> SeriesFrame {
    let rows = || (0..3).flat_map(|s| (0..40).map(move |t| (s, t)));
    let ids: Vec<String> = rows().map(|(s, _)| format!("s{s}")).collect();
    let ds: Vec<String> = rows().map(|(_, t)| t.to_string()).collect();
    let y: Vec<f32> = rows().map(|(s, t)| 50.0 + 20.0 * s as f32 + t as f32 + 8.0 * (t as f32 * 0.9).sin()).collect();
    SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
}

fn small(name: &str, settings: serde_json::Value) -> Model {
    let model = Model::new(name).unwrap().with("max_steps", 15).unwrap().input_size(10);
    let units = json!({ "mlp_units": [[8, 8], [8, 8]] });
    model.with_all(units.as_object().unwrap()).unwrap().with_all(settings.as_object().unwrap()).unwrap()
}

fn fitted(models: Vec<Model>) -> Forecaster {
    let mut forecaster = models.into_iter().fold(Forecaster::new(4), Forecaster::model);
    forecaster.fit(&frame(), &mut ()).unwrap();
    forecaster
}

#[test]
fn parts_add_up_to_the_forecast() {
    let stacks = json!({ "stack_types": ["trend", "seasonality", "identity", "identity"], "n_blocks": [1, 2, 1, 1] });
    let scaled = json!({ "scaler_type": "robust" });
    let median = small("NHITS", json!({ "scaler_type": "minmax1" })).loss(ForecastLoss::intervals(&[80.0])).alias("MQ");
    let linear = Model::new("NLinear").unwrap().with("max_steps", 5).unwrap();
    let models = vec![
        small("NBEATS", stacks).with_all(scaled.as_object().unwrap()).unwrap(),
        small("NBEATSx", json!({ "scaler_type": "standard" })).local(),
        median,
        linear,
    ];
    let forecaster = fitted(models);
    let parts = forecaster.decompose(None, Some(3)).unwrap();
    let columns = parts.columns();
    let of_nbeats =
        ["NBEATS", "NBEATS-level", "NBEATS-trend", "NBEATS-seasonality", "NBEATS-identity-1", "NBEATS-identity-2"];
    assert_eq!(columns[2..8], of_nbeats);
    assert_eq!(columns[8..12], ["NBEATSx", "NBEATSx-level", "NBEATSx-identity", "NBEATSx-trend"]);
    assert_eq!(columns[13..15], ["MQ-median", "MQ-level"]);
    assert_eq!(columns[18..], ["NLinear"]);
    let forecasts = forecaster.predict(None, Some(3)).unwrap();
    assert_eq!(parts.len(), 9);
    for (first, last) in [(2, 7), (8, 12), (13, 17)] {
        let of = |column: usize| parts.column(&columns[column]).unwrap();
        assert_eq!(of(first), forecasts.column(&columns[first]).unwrap());
        for row in 0..parts.len() {
            let sum: f32 = (first + 1..=last).map(|column| of(column)[row]).sum();
            assert!((sum - of(first)[row]).abs() < 1e-3, "{}: {sum}, not {}", columns[first], of(first)[row]);
        }
        assert!((first + 2..=last).any(|column| of(column).iter().any(|v| v.abs() > 1e-2)), "only a level");
    }
    // The level is the last value of each series: nothing was held back from what is forecast.
    let level = parts.column("NBEATS-level").unwrap();
    let want = frame().iter().flat_map(|s| vec![s.y[39]; 3]).collect::<Vec<f32>>();
    assert!(level.iter().zip(&want).all(|(l, w)| (l - w).abs() < 1e-3), "{level:?} {want:?}");
}

/// Columns of the calendar, which nobody gives for the future, and of categories, whose tables the network of the parts has as well.
#[test]
fn parts_add_up_with_calendar_and_categories() {
    let days: Vec<String> = (1..=28).map(|day| format!("2024-02-{day:02}")).collect();
    let kind: Vec<f32> = (0..28_u8).map(|t| f32::from(t % 3)).collect();
    let y: Vec<f32> = kind.iter().enumerate().map(|(t, k)| 40.0 + 3.0 * k + (t as f32).sin()).collect();
    let hist: &[(&str, &[f32])] = &[("kind", &kind)];
    let table = Table { ids: &vec!["a".to_owned(); 28], ds: &days, y: &y, hist, futr: &[] };
    let options = FrameOptions { cat: vec!["kind".into()], ..FrameOptions::default() };
    let frame = SeriesFrame::from_table(&table, &options).unwrap().with_calendar(&[TimeFeature::WeekDay]).unwrap();
    let mut forecaster = Forecaster::new(4).model(small("NHITS", json!({})));
    forecaster.fit(&frame, &mut ()).unwrap();
    let parts = forecaster.decompose(None, None).unwrap();
    assert_eq!(parts.column("NHITS"), forecaster.predict(None, None).unwrap().column("NHITS"));
    let columns = parts.columns();
    for (row, whole) in parts.column("NHITS").unwrap().iter().enumerate() {
        let sum: f32 = columns[3..].iter().map(|name| parts.column(name).unwrap()[row]).sum();
        assert!((sum - whole).abs() < 1e-3, "{sum} {whole}");
    }
}

#[test]
fn what_is_no_sum_is_refused() {
    let said = |error: ForecastError| error.to_string();
    let stacks = fitted(vec![small("NBEATS", json!({}))]);
    assert!(said(stacks.decompose(None, Some(5)).unwrap_err()).contains("at most 4"));
    let bent = fitted(vec![small("NHITS", json!({ "scaler_type": "invariant" }))]);
    assert!(said(bent.decompose(None, None).unwrap_err()).contains("it bends"));
    let normal = fitted(vec![small("NHITS", json!({})).loss(Distribution::Normal.into())]);
    assert!(said(normal.decompose(None, None).unwrap_err()).contains("parameters"));
    let linear = fitted(vec![Model::new("NLinear").unwrap().with("max_steps", 2).unwrap()]);
    assert!(said(linear.decompose(None, None).unwrap_err()).contains("NHITS, NBEATS, NBEATSx"));
}
