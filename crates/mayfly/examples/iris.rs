//! A CSV file becomes a classifier, a model file, and answers: `cargo run --release -p mayfly --example iris`.
use mayfly::prelude::*;
use std::error::Error;

/// Accuracy on rows that were held out.
pub fn run() -> Result<f64, Box<dyn Error>> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/iris.csv");
    let file = std::env::temp_dir().join(format!("mayfly-iris-{}.mayfly", std::process::id()));

    // The same as `mayfly train data/iris.csv --target class`: columns, network and settings follow from the data.
    let options = TrainOptions { target: vec!["class".into()], ..TrainOptions::default() };
    let trained = tabular::train(data, &options)?;
    trained.save(&file)?;
    let accuracy = trained.summary.scores.accuracy.ok_or("no classes")?;
    println!("accuracy {accuracy:.3} after {} epochs", trained.summary.epochs);

    // The file holds the network and how raw rows become its inputs.
    let model = Predictor::load(&file)?;
    std::fs::remove_file(&file)?;
    let encoder = model.encoder.as_ref().ok_or("the file has no encoder")?;
    println!("classes: {}", encoder.labels().join(", "));
    let rows = load_with(data, encoder, Want::Inputs)?;
    let answers = model.predict(&rows.inputs)?;
    if let Some(Outputs::Class { label, .. }) = encoder.decode(&answers[..encoder.target_width()]) {
        println!("the first row is a {label}");
    }
    Ok(accuracy)
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    run().map(drop)
}
