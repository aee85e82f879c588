//! Columns of categories from a table to a forecast: that their words are learnt, only those of the training, and kept in files.
use mayfly_forecast::{
    BacktestOptions, ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame, Table, UpdateOptions,
};
use std::fmt::Write;

const N: usize = 240;
/// What each word is worth; in no order.
const WORDS: [(&str, f32); 4] = [("plum", 4.0), ("apple", -3.0), ("pear", 0.0), ("fig", 9.0)];

/// A word for each time, which no past tells.
fn word(t: usize) -> (&'static str, f32) {
    WORDS[(mayfly_base::mix(t as u64) % 4) as usize]
}

fn options() -> FrameOptions {
    let names = |name: &str| vec![name.to_owned()];
    FrameOptions { futr: names("fruit"), cat: names("fruit"), least: 1, ..FrameOptions::default() }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Series `a` at some times, with the words that `of` says.
fn frame_of(times: std::ops::Range<usize>, of: impl Fn(usize) -> (String, f32)) -> SeriesFrame {
    let mut text = String::from("unique_id,ds,y,fruit\n");
    for t in times {
        let (word, y) = of(t);
        writeln!(text, "a,{t},{y},{word}").unwrap();
    }
    let options = FrameOptions { freq: Some("1".parse().unwrap()), ..options() };
    SeriesFrame::read(file(&text).path(), &options).unwrap()
}

fn frame(times: std::ops::Range<usize>) -> SeriesFrame {
    frame_of(times, |t| (word(t).0.to_owned(), word(t).1))
}

fn model(name: &str) -> Model {
    let model = Model::new(name).unwrap().input_size(2).with("max_steps", 400).unwrap();
    let model = model.with("learning_rate", 1e-2).unwrap().with("num_lr_decays", -1).unwrap().loss(ForecastLoss::Mse);
    let model = model.with("scaler_type", "identity").unwrap().with("windows_batch_size", 64).unwrap();
    match name {
        "MLP" => model.with("hidden_size", 32).unwrap(),
        _ => model.with("encoder_hidden_size", 16).unwrap().with("recurrent", true).unwrap(),
    }
}

/// A forecast where these words come next.
fn ahead(forecaster: &Forecaster, name: &str, words: &[&str]) -> Vec<f32> {
    let mut text = String::from("unique_id,ds,fruit\n");
    let end = N;
    words.iter().enumerate().for_each(|(i, word)| writeln!(text, "a,{},{word}", end + i).unwrap());
    let known = forecaster.tails().unwrap().clone().with_future(file(&text).path(), &options()).unwrap();
    forecaster.predict(Some(&known), None).unwrap().column(name).unwrap().to_vec()
}

#[test]
fn words_are_learnt_and_kept() {
    for name in ["MLP", "LSTM"] {
        let mut forecaster = Forecaster::new(2).model(model(name)).val_size(0);
        forecaster.fit(&frame(0..N), &mut ()).unwrap();
        let words = &forecaster.exogenous().unwrap().categories[0].words;
        assert_eq!(words, &["apple", "fig", "pear", "plum"]);
        for pair in WORDS.windows(2) {
            let got = ahead(&forecaster, name, &[pair[0].0, pair[1].0]);
            let near = got.iter().zip(pair).all(|(got, (_, want))| (got - want).abs() < 1.5);
            assert!(near, "{name}: {pair:?} {got:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        forecaster.save(folder.path().join("f.mayfly")).unwrap();
        let again = Forecaster::load(folder.path().join("f.mayfly")).unwrap();
        // A word that was not seen is the same as any other such.
        let of = |forecaster: &Forecaster, words: [&str; 2]| ahead(forecaster, name, &words);
        assert_eq!(of(&again, ["kiwi", "fig"]), of(&forecaster, ["melon", "fig"]));
        assert_ne!(of(&again, ["kiwi", "fig"]), of(&again, ["pear", "fig"]));
    }
}

/// Another table numbers its words in another way; the models know them by name.
#[test]
fn tables_of_other_words_are_understood() {
    let mut forecaster = Forecaster::new(2).model(model("MLP")).val_size(0);
    forecaster.fit(&frame(0..N), &mut ()).unwrap();
    let other = |t: usize| if t == N - 1 { ("zucchini".to_owned(), 1.0) } else { (word(t).0.to_owned(), word(t).1) };
    let text = format!("unique_id,ds,fruit\na,{N},fig\na,{},plum\n", N + 1);
    let known = |frame: SeriesFrame| frame.with_future(file(&text).path(), &options()).unwrap();
    let of = |forecaster: &Forecaster, frame: &SeriesFrame| forecaster.predict(Some(frame), None).unwrap().to_csv();
    let few = known(frame(N - 3..N)); // not all words are in it
    assert_eq!(of(&forecaster, &few), of(&forecaster, &known(frame(0..N))));
    let strange = known(frame_of(N - 3..N, other));
    assert_ne!(of(&forecaster, &strange), of(&forecaster, &few));
    // New rows are renumbered as well; the word that is strange is unknown from then on.
    forecaster.update(&frame_of(N - 2..N, other), &UpdateOptions::default(), &mut ()).unwrap();
    assert_eq!(of(&forecaster, &known(forecaster.tails().unwrap().clone())), of(&forecaster, &strange));
}

/// Whatever words stand behind the cutoff, training does not know them: the vocabulary and the weights are the same.
#[test]
fn the_vocabulary_is_that_of_the_training() {
    let later = |from: usize| {
        move |t: usize| {
            if t >= from { (format!("later{}", t % 5), word(t).1) } else { (word(t).0.to_owned(), word(t).1) }
        }
    };
    let mut forecaster = Forecaster::new(2).model(model("MLP")).val_size(6);
    forecaster.fit(&frame_of(0..N, later(N - 6)), &mut ()).unwrap();
    assert_eq!(forecaster.exogenous().unwrap().categories[0].words.len(), 4);

    let backtest = |from: usize, one: bool| {
        let word = move |t: usize| if one && t >= from { ("other".to_owned(), word(t).1) } else { later(from)(t) };
        let options = BacktestOptions { windows: 2, ..BacktestOptions::default() };
        let forecaster = Forecaster::new(2).model(model("MLP"));
        forecaster.cross_validation(&frame_of(0..N, word), &options, &mut ()).unwrap().forecasts.to_csv()
    };
    // Five words or one: to the model that was trained before them they are all unknown.
    assert_eq!(backtest(N - 4, true), backtest(N - 4, false));
    assert_ne!(backtest(N - 5, true), backtest(N - 5, false));
}

/// Whole numbers in memory are words too.
#[test]
fn numbers_are_words() {
    let ids = vec!["a".to_owned(); 5];
    let ds: Vec<String> = (0..5).map(|t| t.to_string()).collect();
    let codes = [10.0, 9.0, 10.0, -1.0, 9.0];
    let table = Table { ids: &ids, ds: &ds, y: &[0.0; 5], hist: &[("b", &[1.5; 5])], futr: &[("code", &codes)] };
    let options = FrameOptions { cat: vec!["code".to_owned()], ..FrameOptions::default() };
    let frame = SeriesFrame::from_table(&table, &options).unwrap();
    assert_eq!(frame.exogenous().categories[0].words, ["-1", "9", "10"]);
    assert_eq!(frame.iter().next().unwrap().futr, [3.0, 2.0, 3.0, 1.0, 2.0]);
    let options = FrameOptions { cat: vec!["b".to_owned()], ..FrameOptions::default() };
    assert!(SeriesFrame::from_table(&table, &options).unwrap_err().to_string().contains("whole numbers"));
}

#[test]
fn families_that_take_none_are_refused() {
    let mut forecaster = Forecaster::new(2).model(Model::new("TFT").unwrap());
    let said = forecaster.fit(&frame(0..60), &mut ()).unwrap_err().to_string();
    assert!(said.contains("takes no cat columns such as fruit") && said.contains("TiDE"), "{said}");
}
