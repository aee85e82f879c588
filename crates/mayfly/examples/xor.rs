//! Exclusive or, as FANN's users know it: `cargo run --release -p mayfly --example xor`.
use mayfly::prelude::*;
use std::error::Error;

/// The largest error of an output after training.
pub fn run() -> Result<f32, Box<dyn Error>> {
    let rows = [([-1.0, -1.0], [-1.0]), ([-1.0, 1.0], [1.0]), ([1.0, -1.0], [1.0]), ([1.0, 1.0], [-1.0])];
    let mut data = InMemory::from_rows(rows)?;

    let act = Activation::fann(FannAct::SigmoidSymmetric);
    let network = Network::new(NetworkSpec::dense(2, &[3], act, 1, act), 1)?;
    let config = TrainConfig {
        epochs: 1000,
        stop: Some(StopAt::Mse(1e-4)),
        ..TrainConfig::new(Algorithm::Rprop(Rprop::default()))
    };
    let mut trainer = Trainer::new(network, config)?;
    let report = trainer.fit(&mut data, None, &mut ())?;
    println!("{} epochs", report.epochs.len());

    let mut session = trainer.into_network().session(1, Precision::F32)?;
    let mut worst = 0.0f32;
    for ([a, b], [want]) in rows {
        let y = session.infer(&[a, b])?[0];
        println!("{a:2} xor {b:2} = {y:.3}");
        worst = worst.max((y - want).abs());
    }
    Ok(worst)
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    run().map(drop)
}
