//! What windows are scaled by, and what the steps of a horizon count, from training to forecast.
use mayfly_forecast::{Distribution, ForecastLoss, Forecaster, FrameOptions, Model, Scaler, SeriesFrame};

/// Two series with a season and a trend, as `by · y + plus`.
fn frame(by: f32, plus: f32) -> SeriesFrame {
    let rows = || (0..2_u64).flat_map(|s| (0..60_u64).map(move |t| (s, t)));
    let ids: Vec<String> = rows().map(|(s, _)| format!("s{s}")).collect();
    let ds: Vec<String> = rows().map(|(_, t)| t.to_string()).collect();
    let value = |(s, t): (u64, u64)| {
        let noise = (mayfly_base::mix(s << 32 | t) % 1000) as f32 / 1000.0;
        by * ((t as f32 * 0.7).sin() * 3.0 + t as f32 * 0.1 + noise + s as f32) + plus
    };
    let y: Vec<f32> = rows().map(value).collect();
    SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
}

fn forecast(model: Model, frame: &SeriesFrame, val_size: usize) -> Vec<f32> {
    let column = model.columns()[0].clone();
    let mut forecaster = Forecaster::new(4).model(model.input_size(12)).val_size(val_size);
    forecaster.fit(frame, &mut ()).unwrap();
    forecaster.predict(None, None).unwrap().column(&column).unwrap().to_vec()
}

fn model(settings: serde_json::Value, loss: ForecastLoss) -> Model {
    model_of("NLinear", settings, loss)
}

fn model_of(family: &str, settings: serde_json::Value, loss: ForecastLoss) -> Model {
    let model = Model::new(family).unwrap().with("learning_rate", 1e-2).unwrap().with("max_steps", 60).unwrap();
    let settings = settings.as_object().unwrap().clone();
    model.with("val_check_steps", 20).unwrap().with_all(&settings).unwrap().loss(loss)
}

/// Series of another unit and origin have the same forecasts, in that unit, whatever is scaled by.
#[test]
fn forecasts_follow_the_unit_of_the_data() {
    let normal: ForecastLoss = Distribution::Normal.into();
    for name in Scaler::NAMES.into_iter().filter(|name| *name != "identity") {
        for loss in [ForecastLoss::Mae, ForecastLoss::Mse, ForecastLoss::Mase { seasonality: 3 }, normal.clone()] {
            if name == "revin" && loss == normal {
                continue;
            }
            let of = |by: f32, plus: f32| {
                let model = model(serde_json::json!({ "scaler_type": name }), loss.clone());
                forecast(model, &frame(by, plus), 4)
            };
            let (here, there) = (of(1.0, 0.0), of(200.0, 3000.0));
            let near = |(a, b): (&f32, &f32)| (200.0 * a + 3000.0 - b).abs() < 20.0;
            assert!(here.iter().zip(&there).all(near), "{name} {loss:?}: {here:?} {there:?}");
            assert!(here.iter().all(|v| (-2.0..14.0).contains(v)), "{name} {loss:?}: {here:?}");
        }
    }
}

/// Steps that count nothing learn nothing; steps that all count the same are as if nothing was said.
#[test]
fn steps_learn_by_what_they_count() {
    let of = |weights: Option<[f32; 4]>, steps: usize| {
        let settings = serde_json::json!({ "horizon_weight": weights, "max_steps": steps, "scaler_type": "standard" });
        forecast(model(settings, ForecastLoss::Mse), &frame(1.0, 0.0), 0)
    };
    let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
    let (begun, trained) = (of(Some([1.0, 0.0, 3.0, 0.0]), 1), of(Some([1.0, 0.0, 3.0, 0.0]), 60));
    for step in 0..4 {
        assert_eq!(near(begun[step], trained[step]), step % 2 == 1, "step {step}: {begun:?} {trained:?}");
    }
    let (alike, plain) = (of(Some([2.0; 4]), 60), of(None, 60));
    assert!(alike.iter().zip(&plain).all(|(a, b)| near(*a, *b)), "{alike:?} {plain:?}");
    // Steps of a linear map have weights of their own, which learn alike however much they count; those of a hidden layer are shared.
    let shared = |weights: Option<[f32; 4]>| {
        let settings = serde_json::json!({ "horizon_weight": weights, "hidden_size": 8, "scaler_type": "standard" });
        forecast(model_of("MLP", settings, ForecastLoss::Mse), &frame(1.0, 0.0), 0)
    };
    let (uneven, plain) = (shared(Some([1.0, 1.0, 9.0, 1.0])), shared(None));
    assert!(!uneven.iter().zip(&plain).all(|(a, b)| near(*a, *b)), "{uneven:?}");
}

#[test]
fn weights_of_another_horizon_are_refused() {
    let said = |weights: serde_json::Value| {
        let model = model(serde_json::json!({ "horizon_weight": weights }), ForecastLoss::Mae);
        Forecaster::new(4).model(model).fit(&frame(1.0, 0.0), &mut ()).unwrap_err().to_string()
    };
    assert!(said(serde_json::json!([1, 2])).contains("it has 2 numbers: 4 are needed"));
    assert!(said(serde_json::json!([1, 2, -3, 4])).contains("-3 is among them"));
    assert!(said(serde_json::json!([0, 0, 0, 0])).contains("some step must count"));
}
