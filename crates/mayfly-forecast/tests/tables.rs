//! What NeuralForecast and utilsforecast count out: cutoffs of a backtest, and the times of a forecast. `tables.json` is written by `bench/python/nf_tables.py`; windows and conformal bounds are tested where they are made.
use mayfly_forecast::{BacktestOptions, Forecaster, FrameOptions, Freq, Model, Refit, SeriesFrame, Stamp};
use serde::Deserialize;

#[derive(Deserialize)]
struct Tables {
    cutoffs: Vec<Cutoffs>,
    dates: Vec<Dates>,
}

#[derive(Deserialize)]
struct Cutoffs {
    lens: Vec<usize>,
    h: usize,
    windows: usize,
    step: usize,
    refit: usize,
    freq: String,
    /// Series, time, cutoff, value.
    rows: Vec<(String, String, String, f32)>,
}

#[derive(Deserialize)]
struct Dates {
    freq: String,
    last: String,
    ds: Vec<String>,
}

fn tables() -> Tables {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn stamp(text: &str) -> Stamp {
    Stamp::parse(text).unwrap().0
}

impl Cutoffs {
    /// The series that the script made: values tell series and place, all begin with 2024.
    fn frame(&self) -> SeriesFrame {
        let freq: Freq = self.freq.parse().unwrap();
        // The first time of the grid in 2024, as pandas has it.
        let first = stamp(match self.freq.as_str() {
            "ME" => "2024-01-31",
            "W-SUN" => "2024-01-07",
            _ => "2024-01-01",
        });
        let form = Stamp::parse("2024-01-01 00:00:00").unwrap().1;
        let rows = || self.lens.iter().enumerate().flat_map(|(s, n)| (0..*n).map(move |t| (s, t)));
        let ids: Vec<String> = rows().map(|(s, _)| format!("s{s}")).collect();
        let ds: Vec<String> = rows().map(|(_, t)| form.write(freq.add(first, t as i64))).collect();
        let y: Vec<f32> = rows().map(|(s, t)| (1000 * (s + 1) + t) as f32).collect();
        SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions { freq: Some(freq), ..FrameOptions::default() }).unwrap()
    }
}

#[test]
fn cutoffs_are_neural_forecasts() {
    for case in tables().cutoffs {
        let refit = if case.refit == 0 { Refit::Never } else { Refit::Every(case.refit) };
        let options = BacktestOptions { windows: case.windows, step: Some(case.step), refit };
        let forecaster = Forecaster::new(case.h).model(Model::new("Ridge").unwrap().input_size(4));
        let backtest = forecaster.cross_validation(&case.frame(), &options, &mut ()).unwrap();
        let table = backtest.forecasts.to_csv();
        let y = table.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<f32>().unwrap());
        let keys = backtest.forecasts.keys().zip(y);
        let got: Vec<(String, Stamp, Stamp, f32)> =
            keys.map(|((id, ds, cutoff), y)| (id.to_owned(), ds, cutoff, y)).collect();
        let mut want: Vec<(String, Stamp, Stamp, f32)> =
            case.rows.iter().map(|(id, ds, cutoff, y)| (id.clone(), stamp(ds), stamp(cutoff), *y)).collect();
        // Where it trains again, its rows go window by window.
        want.sort_by(|a, b| (&a.0, a.2, a.1).cmp(&(&b.0, b.2, b.1)));
        assert_eq!(got, want, "{} {} windows, {} apart", case.freq, case.windows, case.step);
    }
}

#[test]
fn the_times_of_a_forecast_are_pandas() {
    let cases = tables().dates;
    assert!(cases.len() >= 25);
    for Dates { freq: name, last, ds } in cases {
        // Three months are quarters of the calendar here, of which those that end with November have a name of their own.
        let freq: Freq = if name == "3ME" { "QE-NOV" } else { &name }.parse().unwrap();
        let last = stamp(&last);
        let got: Vec<Stamp> = (1..=ds.len() as i64).map(|k| freq.add(last, k)).collect();
        let want: Vec<Stamp> = ds.iter().map(|ds| stamp(ds)).collect();
        assert_eq!(got, want, "{name} from {last:?}");
        let steps: Vec<Option<i64>> = want.iter().map(|ds| freq.steps(last, *ds)).collect();
        assert_eq!(steps, (1..=ds.len() as i64).map(Some).collect::<Vec<_>>(), "{name}");
    }
}
