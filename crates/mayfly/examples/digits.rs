//! A small convolutional network reads handwritten digits: `cargo run --release -p mayfly --example digits`.
use mayfly::prelude::*;
use std::error::Error;

/// Accuracy on the test file.
pub fn run() -> Result<f64, Box<dyn Error>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data");
    let (encoder, train) = load(format!("{folder}/digits-train.csv"), &FitOptions::default())?;
    let test = load_with(format!("{folder}/digits-test.csv"), &encoder, Want::InputsAndTargets)?;

    // 64 columns are an image of 8 × 8 with one channel.
    let spec = NetworkSpec::new(&[encoder.input_width()])
        .with(Reshape(vec![1, 8, 8]))
        .with(Conv2d::new(16, [3, 3], Act::Relu))
        .with(Pool2d::new(Pooling::Max, [2, 2]))
        .with(Flatten {})
        .with(Dense::new(32, Act::Relu))
        .with(Dense::new(encoder.target_width(), Activation::Softmax));
    let config = TrainConfig {
        loss: Loss::CrossEntropy { smoothing: 0.0 },
        epochs: 15,
        ..TrainConfig::new(Algorithm::Adam(Adam { lr: 3e-3, ..Adam::default() }))
    };
    let mut trainer = Trainer::new(Network::new(spec, 1)?, config)?;
    let mut rows = InMemory::from_table(train.training, &encoder)?;
    trainer.fit(&mut rows, None, &mut |report: &EpochReport| {
        println!("epoch {:2}: loss {:.4}", report.epoch, report.train_loss);
        Control::Continue
    })?;

    let network = trainer.into_network();
    let answers = network.predict(&test.inputs)?;
    let found = classification(&answers, &test.targets, encoder.target_width(), 0.5)?;
    println!("{} parameters, accuracy {:.3}", network.param_count(), found.accuracy);
    Ok(found.accuracy)
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    run().map(drop)
}
