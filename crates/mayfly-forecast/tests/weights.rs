//! What values count in training, and values that are to be taken for unknown.
use mayfly_forecast::{Fill, Forecaster, FrameOptions, Model, SeriesFrame};

/// Two series of twenty values with what each value counts.
fn table(b: impl Fn(usize) -> f32, weight: impl Fn(&str, usize) -> f32) -> String {
    let row = |id: &str, t: usize, y: f32| format!("{id},{t},{y},{}\n", weight(id, t));
    let a = (0..20).map(|t| row("a", t, (t as f32 * 0.7).sin() + 0.1 * t as f32));
    let b = (0..20).map(|t| row("b", t, b(t)));
    std::iter::once("unique_id,ds,y,sample_weight\n".to_owned()).chain(a).chain(b).collect()
}

fn read(text: &str, options: &FrameOptions) -> mayfly_forecast::Result<SeriesFrame> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("series.csv");
    std::fs::write(&path, text).unwrap();
    SeriesFrame::read(path, options)
}

/// What models trained on this say of series a.
fn forecasts(frame: &SeriesFrame) -> Vec<f32> {
    let small = |name: &str| Model::new(name).unwrap().input_size(6).with("max_steps", 20).unwrap();
    let mlp = small("MLP").with("hidden_size", 8).unwrap().with("scaler_type", "standard").unwrap();
    let recurrent = small("LSTM").with("encoder_hidden_size", 4).unwrap().with("recurrent", true).unwrap();
    let ridge = Model::new("Ridge").unwrap().input_size(6);
    let mut forecaster = Forecaster::new(3).model(mlp).model(recurrent).model(ridge);
    forecaster.fit(frame, &mut ()).unwrap();
    let only = frame.iter().next().unwrap().id.to_owned();
    assert_eq!(only, "a");
    let told = forecaster.predict(None, None).unwrap();
    ["MLP", "LSTM", "Ridge"].iter().flat_map(|name| told.column(name).unwrap()[..3].to_vec()).collect()
}

#[test]
fn what_counts_nothing_teaches_nothing() {
    let of = |b: f32, weight: f32| {
        let text = table(|t| b * (t as f32).cos() + b, |id, _| if id == "a" { 1.0 } else { weight });
        forecasts(&read(&text, &FrameOptions::default()).unwrap())
    };
    assert_eq!(of(3.0, 0.0), of(-50.0, 0.0));
    assert_ne!(of(3.0, 1.0), of(-50.0, 1.0));
    assert_ne!(of(3.0, 0.0), of(3.0, 1.0));
}

/// What counts is the ratio of weights; powers of two change no bit.
#[test]
fn weights_that_are_all_alike_change_nothing() {
    let of = |weight: f32| forecasts(&read(&table(|t| t as f32, |_, _| weight), &FrameOptions::default()).unwrap());
    assert_eq!(of(4.0), of(1.0));
    let frame = read(&table(|t| t as f32, |_, _| 1.0), &FrameOptions::default()).unwrap();
    assert_eq!(forecasts(&frame.clone().weighted(|_, _| 0.25).unwrap()), of(1.0));
    let recent = frame.weighted(|series, at| 0.5_f32.powi((series.y.len() - 1 - at) as i32)).unwrap();
    assert_ne!(forecasts(&recent), of(1.0));
}

/// Parts of a frame, aligned frames and appended ones have the weights of their values.
#[test]
fn weights_go_where_their_values_go() {
    let weight = |id: &str, t: usize| t as f32 + if id == "a" { 0.0 } else { 100.0 };
    let frame = read(&table(|t| t as f32, weight), &FrameOptions::default()).unwrap();
    let of = |frame: &SeriesFrame| -> Vec<Vec<f32>> {
        frame.iter().map(|series| (0..series.y.len()).map(|at| series.weight(at)).collect()).collect()
    };
    assert_eq!(of(&frame.last(2)), [[18.0, 19.0], [118.0, 119.0]]);
    assert_eq!(of(&frame.without_last(18)), [[0.0, 1.0], [100.0, 101.0]]);
    let (joined, _) = frame.without_last(2).appended(&frame.last(4), Fill::Error).unwrap();
    assert_eq!(of(&joined), of(&frame));
    // Without a word about them they count 1.
    let plain = read("unique_id,ds,y\na,0,1\na,1,2\nb,0,1\nb,1,2\nb,2,2\n", &FrameOptions::default()).unwrap();
    assert_eq!(of(&plain), [vec![1.0; 2], vec![1.0; 3]]);
    assert_eq!(of(&plain.with_common_end().unwrap()), [vec![1.0; 3], vec![1.0; 3]]);
}

#[test]
fn weights_that_are_none_are_refused_with_their_place() {
    let said = |text: &str, options: &FrameOptions| read(text, options).unwrap_err().to_string();
    let usual = FrameOptions::default();
    let negative = said("unique_id,ds,y,sample_weight\na,1,1,1\na,2,2,-0.5\na,3,3,1\n", &usual);
    assert!(negative.contains("-0.5 is no weight") && negative.contains("line 3"), "{negative}");
    let absent = said("unique_id,ds,y,sample_weight\na,1,1,1\na,2,2,\na,3,3,1\n", &usual);
    assert!(absent.contains("is no weight"), "{absent}");
    let nothing = said("unique_id,ds,y,sample_weight\na,1,1,0\na,2,2,0\n", &usual);
    assert!(nothing.contains("all weights are 0"), "{nothing}");
    let other = FrameOptions { weight: Some("w".into()), ..FrameOptions::default() };
    let unknown = said("unique_id,ds,y\na,1,1\na,2,2\n", &other);
    assert!(unknown.contains("\"w\"") && unknown.contains("--weight"), "{unknown}");
    let frame = read("unique_id,ds,y\na,1,1\na,2,2\n", &usual).unwrap();
    assert!(frame.clone().weighted(|_, _| f32::NAN).is_err() && frame.weighted(|_, _| 0.0).is_err());
}

/// A column with another use is not the usual one.
#[test]
fn a_weight_that_is_a_column_of_its_own_is_no_weight() {
    let text = "unique_id,ds,y,sample_weight\na,1,1,5\na,2,2,6\na,3,3,7\n";
    let usual = read(text, &FrameOptions::default()).unwrap();
    assert!(usual.notes()[0].contains("sample_weight"), "{:?}", usual.notes());
    let options = FrameOptions { hist: vec!["sample_weight".into()], ..FrameOptions::default() };
    let other = read(text, &options).unwrap();
    assert_eq!((other.iter().next().unwrap().weight(0), other.notes().len()), (1.0, 0));
}

#[test]
fn values_that_are_not_available_are_unknown() {
    let text = "unique_id,ds,y,available_mask\na,1,1,1\na,2,-999,0\na,3,3,1\na,4,4,1\n";
    let frame = read(text, &FrameOptions::default()).unwrap();
    let series = frame.iter().next().unwrap();
    assert_eq!((series.y, series.known), (&[1.0, 1.0, 3.0, 4.0][..], Some(&[true, false, true, true][..])));
    assert!(
        frame.notes()[0].contains("1 values") && frame.notes()[0].contains("available_mask"),
        "{:?}",
        frame.notes()
    );
    // A gap is still a gap: it is an error, or filled in as asked, beside what is unknown.
    let gap = text.replace("a,3,3,1\n", "");
    let options = FrameOptions { freq: Some("1".parse().unwrap()), ..FrameOptions::default() };
    assert!(read(&gap, &options).unwrap_err().to_string().contains("no value at 3"));
    let options = FrameOptions { fill: Fill::Linear, ..options };
    let frame = read(&gap, &options).unwrap();
    assert_eq!(frame.iter().next().unwrap().known, Some(&[true, false, true, true][..]));
    let mut forecaster = Forecaster::new(1).model(Model::new("NLinear").unwrap().input_size(2));
    forecaster.fit(&frame, &mut ()).unwrap();
    assert_eq!(forecaster.predict(None, None).unwrap().len(), 1);
}
