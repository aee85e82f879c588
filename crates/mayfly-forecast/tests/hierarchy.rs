//! Forecasts that add up, and paths of the future.
use mayfly_forecast::{
    BacktestOptions, Conformal, Dependence, ForecastLoss, Forecaster, FrameOptions, Hierarchy, Model, Reconciliation,
    SeriesFrame, SimulateOptions,
};

const IDS: [&str; 4] = ["all", "a", "b", "c"];

fn bottom(series: usize, t: usize) -> f32 {
    let draw = (mayfly_base::mix((series as u64) << 32 | t as u64) % 2001) as f32 / 1000.0 - 1.0;
    10.0 * (series + 1) as f32 + 3.0 * (t as f32 * 0.9 + series as f32).sin() + draw
}

fn value(id: usize, t: usize) -> f32 {
    if id == 0 { (0..3).map(|s| bottom(s, t)).sum() } else { bottom(id - 1, t) }
}

fn frame(ids: &[usize], n: usize) -> SeriesFrame {
    let rows = || ids.iter().flat_map(|id| (0..n).map(move |t| (*id, t)));
    let names: Vec<&str> = rows().map(|(id, _)| IDS[id]).collect();
    let ds: Vec<String> = rows().map(|(_, t)| t.to_string()).collect();
    let ds: Vec<&str> = ds.iter().map(String::as_str).collect();
    let y: Vec<f32> = rows().map(|(id, t)| value(id, t)).collect();
    SeriesFrame::from_columns(&names, &ds, &y, &FrameOptions::default()).unwrap()
}

fn hierarchy(method: Reconciliation) -> Hierarchy {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.csv");
    std::fs::write(&path, "unique_id,a,b,c\nall,1,1,1\na,1,0,0\nb,0,1,0\nc,0,0,1\n").unwrap();
    Hierarchy::read(&path, method, &FrameOptions::default()).unwrap()
}

fn model(loss: &str) -> Model {
    let model = Model::new("NLinear").unwrap().input_size(12).with("max_steps", 60).unwrap().alias(loss);
    let model = model.with("learning_rate", 1e-2).unwrap().with("scaler_type", "standard").unwrap();
    model.loss(ForecastLoss::by_name(loss, &[80.0]).unwrap())
}

#[test]
fn forecasts_add_up() {
    let frame = frame(&[0, 1, 2, 3], 80);
    for method in [Reconciliation::BottomUp, Reconciliation::MinTraceOls, Reconciliation::MinTraceWls] {
        let mut forecaster = Forecaster::new(3).model(model("normal")).model(model("mae")).model(model("mq"));
        let conformal = Conformal { windows: 8, step: Some(1), ..Conformal::default() };
        forecaster = forecaster.level(&[80.0]).intervals(conformal);
        forecaster.fit(&frame, &mut ()).unwrap();
        let plain = forecaster.predict(None, Some(5)).unwrap();
        let hierarchy = hierarchy(method);
        forecaster = forecaster.hierarchy(hierarchy.clone());
        let sums = forecaster.predict(None, Some(5)).unwrap();
        assert_eq!(plain.columns(), sums.columns());
        let ids: Vec<String> = sums.keys().step_by(5).map(|(id, ..)| id.to_owned()).collect();
        for (name, adds) in [("normal", true), ("mae", true), ("mq-median", false)] {
            for step in 0..5 {
                let of = |forecasts: &mayfly_forecast::Forecasts| -> Vec<f64> {
                    let column = forecasts.column(name).unwrap();
                    let place = |id: &String| ids.iter().position(|other| other == id).unwrap();
                    hierarchy.ids().iter().map(|id| f64::from(column[place(id) * 5 + step])).collect()
                };
                assert!(!adds || hierarchy.adds_up(&of(&sums)), "{method:?} {name}: {:?}", of(&sums));
                assert!(!hierarchy.adds_up(&of(&plain)), "{method:?} {name} adds up by itself");
                // What adds up is near what does not.
                let near = of(&sums).iter().zip(of(&plain)).all(|(s, p)| (s - p).abs() < 4.0);
                assert!(near, "{method:?} {name}: {:?} {:?}", of(&sums), of(&plain));
            }
        }
        // Bounds of the sum are closer together than the sum of bounds.
        let width = |id: &str, step: usize| {
            let at = ids.iter().position(|other| other == id).unwrap() * 5 + step;
            sums.column("normal-hi-80").unwrap()[at] - sums.column("normal-lo-80").unwrap()[at]
        };
        for step in 0..5 {
            assert!(width("all", step) < 0.9 * (width("a", step) + width("b", step) + width("c", step)));
            assert!(width("a", step) > 0.5);
        }
    }
}

#[test]
fn backtests_add_up_too_and_other_series_are_refused() {
    let forecaster = || Forecaster::new(2).model(model("normal")).hierarchy(hierarchy(Reconciliation::MinTraceOls));
    let options = BacktestOptions { windows: 3, ..BacktestOptions::default() };
    let backtest = forecaster().cross_validation(&frame(&[0, 1, 2, 3], 60), &options, &mut ()).unwrap();
    let column = backtest.forecasts.column("normal").unwrap();
    let places: Vec<(String, String)> = backtest
        .forecasts
        .keys()
        .map(|(id, ds, cutoff)| {
            (id.to_owned(), format!("{} {}", backtest.forecasts.written(ds), backtest.forecasts.written(cutoff)))
        })
        .collect();
    for (at, (id, when)) in places.iter().enumerate().filter(|(_, (id, _))| id == "all") {
        let parts = places.iter().enumerate().filter(|(_, (other, w))| other != id && w == when);
        let sum: f32 = parts.map(|(i, _)| column[i]).sum();
        assert!((sum - column[at]).abs() < 1e-3, "{when}: {sum} {}", column[at]);
    }
    let said = |ids: &[usize]| forecaster().fit(&frame(ids, 60), &mut ()).unwrap_err().to_string();
    assert!(said(&[0, 1, 2]).contains("it has the series \"c\""));
}

#[test]
fn paths_have_the_distribution_of_each_step_and_go_together() {
    let all = frame(&[1, 2], 120);
    let mut forecaster = Forecaster::new(4).model(model("normal")).model(model("mq"));
    forecaster.fit(&all, &mut ()).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    for dependence in [Dependence::GaussianCopula, Dependence::SchaakeShuffle] {
        let options = SimulateOptions { paths: 400, dependence, seed: 7 };
        let paths = forecaster.simulate(Some(&all), None, &options).unwrap();
        assert_eq!(paths.columns(), ["unique_id", "ds", "sample_id", "normal", "mq"]);
        let values = paths.of("normal").unwrap();
        assert_eq!((values.len(), paths.len()), (2 * 400 * 4, 2 * 400 * 4));
        for series in 0..2 {
            for step in 0..4 {
                let at = series * 4 + step;
                let [low, high] = ["normal-lo-80", "normal-hi-80"].map(|name| forecasts.column(name).unwrap()[at]);
                let draws: Vec<f32> = (0..400).map(|path| values[(series * 400 + path) * 4 + step]).collect();
                let within = draws.iter().filter(|v| (low..high).contains(*v)).count() as f64 / 400.0;
                assert!((0.74..0.86).contains(&within), "{dependence:?} {series} {step}: {within}");
            }
        }
        let again = forecaster.simulate(Some(&all), None, &options).unwrap();
        assert_eq!(again.of("mq"), paths.of("mq"));
        let other = forecaster.simulate(Some(&all), None, &SimulateOptions { seed: 8, ..options }).unwrap();
        assert_ne!(other.of("mq"), paths.of("mq"));
        // A path of a series is the same alone.
        let alone = forecaster.simulate(Some(&frame(&[2], 120)), None, &options).unwrap();
        let near = alone.of("normal").unwrap().iter().zip(&values[1600..]).all(|(a, v)| (a - v).abs() < 1e-3);
        assert!(near, "{dependence:?}");
        let mut csv = Vec::new();
        paths.write(&mut csv).unwrap();
        assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), 1 + 2 * 400 * 4);
    }
    let mut points = Forecaster::new(2).model(model("mae"));
    points.fit(&all, &mut ()).unwrap();
    let error = points.simulate(None, None, &SimulateOptions::default()).unwrap_err().to_string();
    assert!(error.contains("points alone"), "{error}");
}
