//! Networks built for a purpose: the smallest that keeps all limits, or an error that names the limit.
mod common;

use common::host;
use mayfly_lifecycle::{Lease, LifeError, Limits, MinScore, Missed, Purpose};
use mayfly_nn::tabular::TrainOptions;
use std::path::PathBuf;
use std::time::Duration;

/// Rows whose class is the sign of `f(a, b)`, for a and b between −1 and 1.
fn rows(folder: &tempfile::TempDir, f: impl Fn(f64, f64) -> f64) -> PathBuf {
    let mut text = String::from("a,b,class\n");
    let mut rng = mayfly_base::Rng::new(5);
    for _ in 0..600 {
        let mut number = || 2.0 * f64::from(rng.below(10_000) as u32) / 10_000.0 - 1.0;
        let (a, b) = (number(), number());
        text += &format!("{a},{b},{}\n", if f(a, b) > 0.0 { "plus" } else { "minus" });
    }
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, text).unwrap();
    path
}

fn purpose(data: PathBuf, limits: Limits) -> Purpose {
    Purpose { data, options: TrainOptions { epochs: Some(120), ..TrainOptions::default() }, limits }
}

fn accuracy(least: f64) -> Limits {
    Limits { min_score: Some(MinScore::Accuracy(least)), ..Limits::default() }
}

#[test]
fn the_smallest_that_is_good_enough_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let host = host();
    // A line parts these: no hidden layer is needed, and none is tried.
    let built = host.build_for(&purpose(rows(&folder, |a, b| a + 0.5 * b), accuracy(0.9))).unwrap();
    assert_eq!((built.chosen, built.candidates.len()), (0, 1));
    assert!(built.candidates[0].hidden.is_empty() && built.candidates[0].score >= Some(0.9));
    // No line parts these.
    let curved = purpose(rows(&folder, |a, b| a * b), accuracy(0.9));
    let built = host.build_for(&curved).unwrap();
    assert!(built.chosen > 0 && !built.candidates[built.chosen].hidden.is_empty());
    assert!(built.candidates[0].score < Some(0.9) && built.candidates[built.chosen].score >= Some(0.9));
    assert_eq!(built.candidates.len(), built.chosen + 1, "nothing is tried behind what is good enough");
    assert_eq!(built.planned.input_len(), 2);
    let fly = built.planned.lease(&Lease::default()).unwrap();
    assert_eq!(fly.call(&[0.5, 0.5]).unwrap().len(), built.planned.output_len());
    // The same again is the same network.
    let again = host.build_for(&curved).unwrap();
    let other = again.planned.lease(&Lease::default()).unwrap();
    assert_eq!((again.chosen, other.call(&[0.3, -0.7]).unwrap()), (built.chosen, fly.call(&[0.3, -0.7]).unwrap()));
}

#[test]
fn limits_that_cannot_be_kept_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = rows(&folder, |a, b| a * b);
    let host = host();
    let missed = |limits: Limits| match host.build_for(&purpose(path.clone(), limits)) {
        Err(LifeError::Infeasible { missed, candidates }) => (missed, candidates),
        other => panic!("{:?}", other.map(|built| built.chosen)),
    };
    let (latency, tried) = missed(Limits { latency: Some(Duration::from_nanos(1)), ..Limits::default() });
    assert!(matches!(latency, Missed::Latency(best) if best > Duration::ZERO));
    assert!(tried.len() == 1 && tried[0].score.is_none(), "nothing is trained in vain");
    let (memory, _) = missed(Limits { memory_bytes: Some(100), ..Limits::default() });
    assert!(matches!(memory, Missed::MemoryBytes(best) if best > 100));
    let (deadline, _) = missed(Limits { deadline: Some(Duration::ZERO), ..Limits::default() });
    assert_eq!(deadline, Missed::Deadline);
    let (score, tried) = missed(Limits { memory_bytes: Some(1500), ..accuracy(0.99) });
    assert!(matches!(score, Missed::Score(best) if best < 0.99), "{score:?}");
    assert!(tried.len() > 1 && tried.last().unwrap().score.is_none(), "the first that is too large ends it: {tried:?}");
    let numbers = Limits { min_score: Some(MinScore::R2(0.5)), ..Limits::default() };
    assert!(matches!(host.build_for(&purpose(path.clone(), numbers)), Err(LifeError::NoSuchScore { score: "R²" })));
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let host = host();
    let path = folder.path().join("rows.csv");
    for text in ["", "a,b,class\n", "a,b,class\n1,2,x\n2,3,x\n3,4,x\n"] {
        std::fs::write(&path, text).unwrap();
        let built = host.build_for(&purpose(path.clone(), Limits::default()));
        assert!(matches!(built, Err(LifeError::Network(_))), "{text:?}");
    }
    let unknown = TrainOptions { target: vec!["nobody".into()], ..TrainOptions::default() };
    let path = rows(&folder, |a, _| a);
    let purpose = Purpose { data: path, options: unknown, limits: Limits::default() };
    assert!(host.build_for(&purpose).is_err());
    assert_eq!(host.figures().instances, 0);
}
