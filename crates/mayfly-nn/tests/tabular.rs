//! From a data file to a saved network, as a program that uses the library meets it.
use mayfly_nn::tabular::{Course, Opened, Predictor, TrainOptions, TrainingObserver, train, train_with};
use mayfly_nn::{Control, EpochReport, Observer, Over, Stopped, fann::CascadeReport};
use std::path::{Path, PathBuf};

/// Two classes that a line parts.
fn table(dir: &Path, rows: usize) -> PathBuf {
    let row = |i: usize| {
        let (a, b) = ((i as f64 * 0.7).sin(), (i as f64 * 1.3).cos());
        format!("{a:.4},{b:.4},{}\n", if a + b > 0.1 { "above" } else { "below" })
    };
    let path = dir.join("d.csv");
    std::fs::write(&path, format!("a,b,side\n{}", (0..rows).map(row).collect::<String>())).unwrap();
    path
}

fn options(epochs: usize) -> TrainOptions {
    TrainOptions { epochs: Some(epochs), ..TrainOptions::default() }
}

#[test]
fn a_saved_network_answers_as_the_one_that_was_trained() {
    let dir = tempfile::tempdir().unwrap();
    let data = table(dir.path(), 120);
    let options = TrainOptions { algorithm: Some("rprop".into()), ..options(40) };
    let trained = train(&data, &options).unwrap();
    assert!(trained.summary.scores.accuracy.unwrap() > 0.8, "{:?}", trained.summary);
    for name in ["m.mayfly", "m.net", "m.onnx"] {
        trained.save(dir.path().join(name)).unwrap();
    }
    let again = Predictor::load(dir.path().join("m.mayfly")).unwrap();
    assert_eq!(again.predict(&[0.3, -0.2]).unwrap(), trained.predictor.predict(&[0.3, -0.2]).unwrap());
    let record: mayfly_nn::tabular::Summary = serde_json::from_str(&again.model.training.unwrap()).unwrap();
    assert_eq!((record.scores.accuracy, record.epochs, record.seed), (trained.summary.scores.accuracy, 40, 1));
    let said = trained.save(dir.path().join("m.pkl")).unwrap_err().to_string();
    assert!(said.contains("m.pkl") && said.contains(".onnx"), "{said}");
    assert!(!dir.path().join("m.pkl").exists());
}

/// Ends a training after so many reports.
struct Ends(usize);

impl Ends {
    fn after(&mut self) -> Control {
        self.0 -= 1;
        if self.0 == 0 { Control::Stop } else { Control::Continue }
    }
}

impl Observer for Ends {
    fn epoch(&mut self, _: &EpochReport) -> Control {
        self.after()
    }
}

impl TrainingObserver for Ends {
    fn grown(&mut self, _: &CascadeReport) -> Control {
        self.after()
    }
}

#[test]
fn an_observer_hears_of_every_epoch_and_size_and_may_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = table(dir.path(), 60);
    let stopped = train_with(&data, &options(50), &mut Ends(3)).unwrap();
    let Course::Fitted(report) = &stopped.course else { panic!("{:?}", stopped.course) };
    assert_eq!((report.stopped, report.epochs.len(), stopped.summary.epochs), (Stopped::Requested, 3, 3));
    let cascade = TrainOptions { algorithm: Some("cascade".into()), ..TrainOptions::default() };
    let stopped = train_with(&data, &cascade, &mut Ends(1)).unwrap();
    let Course::Grown(growth) = &stopped.course else { panic!("{:?}", stopped.course) };
    assert_eq!((growth.stopped, growth.reports.len()), (Stopped::Requested, 1));
    let full = train(&data, &TrainOptions { max_neurons: Some(0), ..cascade }).unwrap();
    let Course::Grown(growth) = &full.course else { panic!("{:?}", full.course) };
    assert_eq!(growth.stopped, if growth.best.bit_fail == 0 { Stopped::Reached } else { Stopped::Epochs });
}

#[test]
fn what_is_decided_can_be_looked_at_before_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Opened::open(table(dir.path(), 100), &options(2)).unwrap();
    assert!(!opened.is_small() && opened.encoder().labels() == ["above", "below"]);
    let training = opened.read().unwrap();
    assert_eq!((training.algorithm(), training.epochs(), training.is_streamed()), ("adamw", Some(2), false));
    let rows = training.rows();
    assert_eq!([rows.training, rows.validation, rows.test].into_iter().flatten().sum::<usize>(), 100);
    let before = training.network().unwrap().params().to_vec();
    let trained = training.train(&mut ()).unwrap();
    assert_eq!(trained.predictor.model.network.params().len(), before.len());
    assert!(trained.predictor.model.network.params() != before && trained.measured.over == Over::Test);
    let few = Opened::open(table(dir.path(), Opened::FEW_ROWS - 1), &options(2)).unwrap();
    assert!(few.is_small());
    assert_eq!(few.read().unwrap().train(&mut ()).unwrap().measured.over, Over::Training);
}
