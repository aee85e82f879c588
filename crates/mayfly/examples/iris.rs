//! A CSV file becomes a classifier, a model file, and answers: `cargo run --release -p mayfly --example iris`.
use mayfly::prelude::*;
use std::error::Error;

/// Accuracy on rows that were held out.
pub fn run() -> Result<f64, Box<dyn Error>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/iris.csv");
    let mut options = FitOptions::default();
    options.split = Split { seed: 1, validation_fraction: 0.1, test_fraction: 0.2 };
    let (encoder, tables) = load(file, &options)?;
    println!("classes: {}", encoder.labels().join(", "));

    let spec = NetworkSpec::new(&[encoder.input_width()])
        .with(Dense::new(16, Act::Relu))
        .with(Dense::new(encoder.target_width(), Activation::Softmax));
    let config = TrainConfig {
        loss: Loss::CrossEntropy { smoothing: 0.0 },
        epochs: 200,
        patience: Some(30),
        ..TrainConfig::new(Algorithm::Adam(Adam { lr: 0.01, ..Adam::default() }))
    };
    let mut trainer = Trainer::new(Network::new(spec, 1)?, config)?;
    let mut training = InMemory::from_table(tables.training, &encoder)?;
    let mut validation = InMemory::from_table(tables.validation, &encoder)?;
    let report = trainer.fit(&mut training, Some(&mut validation), &mut ())?;
    println!("best of {} epochs: {}", report.epochs.len(), report.best_epoch);

    // The file holds the network and how raw rows become its inputs.
    let path = std::env::temp_dir().join(format!("mayfly-iris-{}.mayfly", std::process::id()));
    Model::new(trainer.into_network()).with_encoder(&encoder)?.save(&path)?;
    let model = Model::load(&path)?;
    std::fs::remove_file(&path)?;

    let encoder = model.data_encoder()?.ok_or("the file has no encoder")?;
    let answers = model.predict(&tables.test.inputs)?;
    if let Some(Outputs::Class { label, .. }) = encoder.decode(&answers[..encoder.target_width()]) {
        println!("the first test row is a {label}");
    }
    let found = classification(&answers, &tables.test.targets, encoder.target_width(), 0.5)?;
    println!("{} test rows, accuracy {:.3}", tables.test.rows, found.accuracy);
    Ok(found.accuracy)
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    run().map(drop)
}
