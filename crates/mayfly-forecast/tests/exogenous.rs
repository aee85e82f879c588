//! Exogenous columns from a table to a forecast: that they are used, that nothing of the future leaks, and what is said when they are missing.
use mayfly_forecast::{BacktestOptions, ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame, Table};
use std::io::Write;

const N: usize = 400;

/// 1 at times that follow no pattern.
fn promotion(t: usize) -> f32 {
    f32::from(u8::from(mayfly_base::mix(t as u64).is_multiple_of(3)))
}

/// What a second column says of the value two steps later.
fn sensor(t: usize) -> f32 {
    (mayfly_base::mix(t as u64 + 1000) % 100) as f32 / 100.0
}

fn times(n: usize) -> Vec<String> {
    (0..n).map(|t| t.to_string()).collect()
}

/// `y` is 10, 5 more under a promotion, 4 times the sensor of two steps before.
fn y(t: usize) -> f32 {
    10.0 + 5.0 * promotion(t) + if t >= 2 { 4.0 * sensor(t - 2) } else { 0.0 }
}

fn frame_with(hist: &[f32], futr: &[f32]) -> SeriesFrame {
    let values: Vec<f32> = (0..N).map(y).collect();
    let (ids, ds) = (vec!["a".to_owned(); N], times(N));
    let table = Table { ids: &ids, ds: &ds, y: &values, hist: &[("sensor", hist)], futr: &[("promo", futr)] };
    SeriesFrame::from_table(&table, &FrameOptions::default()).unwrap()
}

fn frame() -> SeriesFrame {
    let column = |of: fn(usize) -> f32| (0..N).map(of).collect::<Vec<f32>>();
    frame_with(&column(sensor), &column(promotion))
}

fn model(name: &str) -> Model {
    let model = Model::new(name)
        .unwrap()
        .input_size(4)
        .with("max_steps", 400)
        .unwrap()
        .with("windows_batch_size", 128)
        .unwrap();
    let model = model.with("learning_rate", 1e-2).unwrap().with("num_lr_decays", -1).unwrap().loss(ForecastLoss::Mse);
    match name {
        "MLP" | "TiDE" | "DeepNPTS" => model.with("hidden_size", 32).unwrap(),
        _ => model.with("mlp_units", vec![vec![32, 32]; 2]).unwrap(),
    }
}

/// A table of the future as a file.
fn future(rows: &[(usize, f32)]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    writeln!(file, "unique_id,ds,promo").unwrap();
    rows.iter().for_each(|(t, value)| writeln!(file, "a,{t},{value}").unwrap());
    file
}

#[test]
fn forecasts_follow_what_is_known_of_the_future() {
    let frame = frame();
    for family in ["MLP", "NHITS", "NBEATSx", "TiDE"] {
        let mut forecaster = Forecaster::new(2).model(model(family)).val_size(0);
        forecaster.fit(&frame, &mut ()).unwrap();
        let of = |promos: [f32; 2]| {
            let file = future(&[(N, promos[0]), (N + 1, promos[1])]);
            let known = forecaster.tails().unwrap().clone().with_future(file.path(), &FrameOptions::default()).unwrap();
            forecaster.predict(Some(&known), None).unwrap().column(family).unwrap().to_vec()
        };
        let (none, first) = (of([0.0, 0.0]), of([1.0, 0.0]));
        let second = of([0.0, 1.0]);
        // Five in the data: each step is lifted by its own promotion.
        let lift = |with: &[f32], step: usize| with[step] - none[step];
        assert!(lift(&first, 0) > 2.5 && lift(&second, 1) > 2.5, "{family}: {none:?} {first:?} {second:?}");
        assert!(lift(&first, 0) > 2.0 * lift(&second, 0).abs(), "{family}: {none:?} {first:?} {second:?}");
    }
}

#[test]
fn a_file_brings_the_columns_back() {
    let frame = frame();
    let mut forecaster = Forecaster::new(2).model(model("NBEATSx")).model(model("TiDE"));
    forecaster.fit(&frame, &mut ()).unwrap();
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("f.mayfly");
    forecaster.save(&path).unwrap();
    let again = Forecaster::load(&path).unwrap();
    assert_eq!(again.exogenous().unwrap(), frame.exogenous());
    assert_eq!(again.tails().unwrap().clone(), frame.last(5));
    let file = future(&[(N, 1.0), (N + 1, 0.0), (N + 2, 1.0)]); // one row more than is needed
    let of = |forecaster: &Forecaster| {
        let known = forecaster.tails().unwrap().clone().with_future(file.path(), &FrameOptions::default()).unwrap();
        forecaster.predict(Some(&known), None).unwrap().to_csv()
    };
    assert_eq!(of(&forecaster), of(&again));
}

/// Columns known to the cutoff are poisoned behind it, and those of the horizon behind the horizon: a backtest sees neither.
#[test]
fn nothing_behind_the_cutoff_is_seen() {
    let (h, windows) = (3, 4);
    let column = |of: fn(usize) -> f32| (0..N).map(of).collect::<Vec<f32>>();
    let (hist, futr) = (column(sensor), column(promotion));
    let backtest = |frame: &SeriesFrame| {
        let forecaster = Forecaster::new(h).model(model("NHITS")).model(model("MLP"));
        let options = BacktestOptions { windows, ..BacktestOptions::default() };
        forecaster.cross_validation(frame, &options, &mut ()).unwrap().forecasts
    };
    let clean = backtest(&frame_with(&hist, &futr));
    // The first cutoff is 12 before the end; poison what the first window must not know.
    let cut = N - h * windows;
    let mut poisoned = hist.clone();
    poisoned[cut..].fill(1e20);
    let mut later = futr.clone();
    later[cut + h..].fill(1e20);
    let dirty = backtest(&frame_with(&poisoned, &later));
    for name in ["NHITS", "MLP"] {
        let (a, b) = (clean.column(name).unwrap(), dirty.column(name).unwrap());
        assert_eq!(a[..h], b[..h], "{name}");
        assert_ne!(a[h..], b[h..], "{name}: the poison was not seen at all");
    }
}

#[test]
fn what_is_missing_is_named() {
    let frame = frame();
    let mut forecaster = Forecaster::new(2).model(model("MLP"));
    forecaster.fit(&frame, &mut ()).unwrap();
    let said = forecaster.predict(None, None).unwrap_err().to_string();
    assert!(said.contains("\"a\" has no row at 400 for promo") && said.contains("--futr"), "{said}");
    let file = future(&[(N, 1.0)]);
    let short = frame.clone().with_future(file.path(), &FrameOptions::default()).unwrap();
    let said = forecaster.predict(Some(&short), None).unwrap_err().to_string();
    assert!(said.contains("no row at 401"), "{said}");
    let file = future(&(0..8).map(|i| (N + i, 0.0)).collect::<Vec<_>>());
    let long = frame.clone().with_future(file.path(), &FrameOptions::default()).unwrap();
    let said = forecaster.predict(Some(&long), Some(4)).unwrap_err().to_string();
    assert!(said.contains("sensor would have to be known"), "{said}");
    let bare = SeriesFrame::from_columns(
        &vec!["a"; N],
        &times(N).iter().map(String::as_str).collect::<Vec<_>>(),
        &[1.0; N],
        &FrameOptions::default(),
    );
    let said = forecaster.predict(Some(&bare.unwrap()), None).unwrap_err().to_string();
    assert!(said.contains("futr: promo"), "{said}");
    let said = Forecaster::new(2).model(Model::new("DLinear").unwrap()).fit(&frame, &mut ()).unwrap_err().to_string();
    assert!(said.contains("DLinear") && said.contains("NHITS"), "{said}");
}

#[test]
fn tables_with_holes_are_refused() {
    let read = |text: &str, options: &FrameOptions| {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        SeriesFrame::read(file.path(), options).map_err(|error| error.to_string())
    };
    let named = |hist: &[&str], futr: &[&str]| FrameOptions {
        hist: hist.iter().map(|name| (*name).to_owned()).collect(),
        futr: futr.iter().map(|name| (*name).to_owned()).collect(),
        ..FrameOptions::default()
    };
    let text = "unique_id,ds,y,p,q\na,1,1,5,6\na,2,2,7,8\nb,1,3,9,1\nb,2,4,2,3\n";
    let frame = read(text, &named(&["q"], &["p"])).unwrap();
    let columns: Vec<_> = frame.iter().map(|series| (series.hist.to_vec(), series.futr.to_vec())).collect();
    assert_eq!(columns, [(vec![6.0, 8.0], vec![5.0, 7.0]), (vec![1.0, 3.0], vec![9.0, 2.0])]);
    assert!(read(text, &named(&["p"], &["p"])).unwrap_err().contains("either hist or futr"));
    assert!(
        read(text, &named(&["y"], &[])).unwrap_err().contains("is y; this column is the id, the time or the value")
    );
    assert!(read(text, &named(&["z"], &[])).unwrap_err().contains("no column \"z\""));
    let hole = read("unique_id,ds,y,p\na,1,1,5\na,2,2,\n", &named(&[], &["p"])).unwrap_err();
    assert!(hole.contains("line 3") && hole.contains("no value here"), "{hole}");
    // A time without a row: an error unless gaps are filled; then the row before stands in.
    let gap = "unique_id,ds,y,p\na,1,1,5\na,2,2,6\na,3,2,7\na,5,2,8\n";
    let one = |fill| FrameOptions { freq: Some(mayfly_forecast::Freq::Integer(1)), fill, ..named(&[], &["p"]) };
    assert!(read(gap, &one(mayfly_forecast::Fill::Error)).unwrap_err().contains("no row at 4"));
    let filled = read(gap, &one(mayfly_forecast::Fill::Mask)).unwrap();
    assert_eq!(filled.iter().next().unwrap().futr, [5.0, 6.0, 7.0, 7.0, 8.0]);
}

#[test]
fn static_columns_are_read_by_series() {
    let table = |text: &str| {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let rows = ["b", "b", "b", "a", "a", "a"].map(str::to_owned);
    let ds = ["1", "2", "3", "1", "2", "3"].map(str::to_owned);
    let frame =
        SeriesFrame::from_columns(&rows, &ds, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &FrameOptions::default()).unwrap();
    let with = |text: &str| frame.clone().with_static(table(text).path(), &FrameOptions::default());
    let both = with("size,unique_id,place\n7,b,1\n8,a,2\n9,c,3\n").unwrap();
    assert_eq!(both.exogenous().stat, ["size", "place"]);
    let stats: Vec<_> = both.iter().map(|series| series.stat.to_vec()).collect();
    assert_eq!(stats, [[8.0, 2.0], [7.0, 1.0]]);
    let said = |text: &str| with(text).unwrap_err().to_string();
    assert!(said("unique_id,size\nb,7\n").contains("series \"a\" has no row"));
    assert!(said("unique_id,size\nb,7\nb,8\na,1\n").contains("two rows"));
    assert!(said("unique_id,size\nb,x\na,y\n").contains("must be numbers"));
    // A network that sees them tells series apart.
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for (id, level) in [("a", 1.0), ("b", 9.0)] {
        for t in 0..40 {
            ids.push(id.to_owned());
            ds.push(t.to_string());
            // Behind a past that looks the same, series differ.
            y.push(if t % 4 == 3 { level } else { 5.0 });
        }
    }
    let frame = SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap();
    let frame = frame.with_static(table("unique_id,k\na,-1\nb,1\n").path(), &FrameOptions::default()).unwrap();
    let mut forecaster =
        Forecaster::new(1).model(model("MLP").input_size(3).with("max_steps", 300).unwrap()).val_size(0);
    forecaster.fit(&frame.without_last(1), &mut ()).unwrap();
    let got = forecaster.predict(None, None).unwrap().column("MLP").unwrap().to_vec();
    assert!((got[0] - 1.0).abs() < 1.0 && (got[1] - 9.0).abs() < 1.0, "{got:?}");
}
