//! Forecasts that are made step by step.
use mayfly_forecast::{ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame};

fn draw(series: u64, t: usize) -> f32 {
    (mayfly_base::mix(series << 32 | t as u64) % 2001) as f32 / 1000.0 - 1.0
}

/// Values that keep 0.9 of themselves from step to step: of nine steps ahead less than half as much is known as of one.
fn walk(series: u64, n: usize) -> Vec<f32> {
    let mut y = 0.0;
    (0..n)
        .map(|t| {
            y = 0.9 * y + draw(series, t);
            y
        })
        .collect()
}

fn frame(series: u64, n: usize, y: impl Fn(u64, usize) -> Vec<f32>) -> SeriesFrame {
    let ids: Vec<String> = (0..series).flat_map(|s| vec![format!("s{s}"); n]).collect();
    let ds: Vec<String> = (0..series).flat_map(|_| (0..n).map(|t| t.to_string())).collect();
    let y: Vec<f32> = (0..series).flat_map(|s| y(s, n)).collect();
    SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
}

fn model(family: &str, steps: usize) -> Model {
    let units = if family == "DeepAR" { "lstm_hidden_size" } else { "encoder_hidden_size" };
    let model = Model::new(family).unwrap().input_size(8).with("max_steps", steps).unwrap().with(units, 8).unwrap();
    let model = if family == "DeepAR" { model } else { model.with("recurrent", true).unwrap() };
    let model = model.with("learning_rate", 1e-2).unwrap().with("windows_batch_size", 64).unwrap();
    model.with("scaler_type", "standard").unwrap()
}

#[test]
fn doubt_adds_up_along_paths() {
    let mut forecaster = Forecaster::new(9).model(model("DeepAR", 400).with("scaler_type", "identity").unwrap());
    assert_eq!(Model::new("DeepAR").unwrap().loss.columns()[..2], ["", "-median"]);
    forecaster.fit(&frame(6, 150, walk), &mut ()).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    let of = |suffix: &str| forecasts.column(&format!("DeepAR{suffix}")).unwrap();
    let width = |step: usize| -> f32 { (0..6).map(|s| of("-hi-80")[s * 9 + step] - of("-lo-80")[s * 9 + step]).sum() };
    // √((1 − 0.81⁹) / (1 − 0.81)) = 2.1 times as wide.
    let ratio = width(8) / width(0);
    let widths: Vec<f32> = (0..9).map(|k| width(k) / 6.0).collect();
    assert!((1.6..3.0).contains(&ratio), "{ratio} {widths:?}");
    for i in 0..forecasts.len() {
        let row = ["-lo-90", "-lo-80", "-median", "-hi-80", "-hi-90"].map(|suffix| of(suffix)[i]);
        assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{row:?}");
    }
}

#[test]
fn every_kind_forecasts_any_horizon_and_comes_back_from_files() {
    let wave = |s: u64, n: usize| (0..n).map(|t| 10.0 + s as f32 + (t as f32 * 0.8).sin() + 0.1 * draw(s, t)).collect();
    let all = frame(3, 60, wave);
    let mut forecaster = Forecaster::new(4);
    for family in ["RNN", "LSTM", "GRU", "DeepAR"] {
        forecaster = forecaster.model(model(family, 30));
    }
    let mq = model("GRU", 30).alias("MQ").loss(ForecastLoss::intervals(&[80.0]));
    forecaster = forecaster
        .model(mq)
        .model(model("LSTM", 30).alias("N").loss(ForecastLoss::by_name("normal", &[80.0]).unwrap()));
    forecaster.fit(&all, &mut ()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.mayfly");
    forecaster.save(&path).unwrap();
    let again = Forecaster::load(&path).unwrap();
    let long = forecaster.predict(None, Some(7)).unwrap();
    assert_eq!(long.to_csv(), again.predict(None, Some(7)).unwrap().to_csv());
    let short = forecaster.predict(None, Some(2)).unwrap();
    let alone = forecaster.predict(Some(&frame(1, 60, |_, n| wave(1, n))), Some(7)).unwrap();
    for name in &long.columns()[2..] {
        let (long, short, alone) =
            (long.column(name).unwrap(), short.column(name).unwrap(), alone.column(name).unwrap());
        assert!(long.iter().all(|v| v.is_finite()), "{name}");
        for s in 0..3 {
            assert_eq!(long[s * 7..s * 7 + 2], short[s * 2..s * 2 + 2], "{name}");
        }
        let near = long[7..14].iter().zip(alone).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near, "{name}: {:?} among others, {alone:?} alone", &long[7..14]);
    }
}
