//! An activation and a loss of one's own, without touching the library: `cargo run --release -p mayfly --example custom`.
use mayfly::nn::{CustomActivation, CustomLoss, CustomOp, Dims, Registry, Shape};
use mayfly::prelude::*;

/// `y = x + sin²(x)`, the snake of Ziyin et al. (2020): networks with it can go on with a period.
#[derive(Debug)]
struct Snake;

impl CustomActivation for Snake {
    fn name(&self) -> &'static str {
        "snake"
    }
    fn forward(&self, y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x + x.sin().powi(2));
    }
    fn backward(&self, dx: &mut [f32], dy: &[f32], x: &[f32], _y: &[f32]) {
        dx.iter_mut().zip(dy).zip(x).for_each(|((dx, dy), x)| *dx = dy * (1.0 + (2.0 * x).sin()));
    }
}

/// The mean over a row of `ln cosh(p − t)`.
#[derive(Debug)]
struct LogCosh;

impl CustomOp for LogCosh {
    fn name(&self) -> &'static str {
        "log_cosh"
    }
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [p, t] if p == t => Shape::batched(&[]).map_err(|e| e.to_string()),
            _ => Err("prediction and target of one shape are needed".to_owned()),
        }
    }
    fn forward(&self, rows: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let n = inputs[0].len() / rows.len();
        for (row, (p, t)) in rows.iter_mut().zip(inputs[0].chunks_exact(n).zip(inputs[1].chunks_exact(n))) {
            *row = p.iter().zip(t).map(|(p, t)| (p - t).cosh().ln()).sum::<f32>() / n as f32;
        }
    }
    fn backward(&self, which: usize, d: &mut [f32], drows: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        let (n, sign) = (d.len() / drows.len(), if which == 0 { 1.0 } else { -1.0 });
        for (i, d) in d.iter_mut().enumerate() {
            *d = sign * drows[i / n] * (inputs[0][i] - inputs[1][i]).tanh() / n as f32;
        }
    }
}

/// The loss after training.
pub fn run() -> Result<f64, NnError> {
    let mut data = InMemory::from_rows((-60..60).map(|i| ([i as f32 * 0.05], [(i as f32 * 0.1).sin()])))?;

    let spec = NetworkSpec::new(&[1])
        .with(Dense::new(32, Activation::IDENTITY))
        .with(Custom::activation(Snake))
        .with(Dense::new(1, Activation::IDENTITY));
    let config = TrainConfig {
        loss: Loss::Custom(CustomLoss::new(LogCosh)),
        epochs: 400,
        ..TrainConfig::new(Algorithm::Adam(Adam { lr: 0.01, ..Adam::default() }))
    };
    let mut trainer = Trainer::new(Network::new(spec, 1)?, config)?;
    let report = trainer.fit(&mut data, None, &mut |_: &EpochReport| Control::Continue)?;
    let loss = report.epochs.last().map_or(f64::NAN, |e| e.train_loss);
    println!("ln cosh after {} epochs: {loss:.5}", report.epochs.len());

    // A file names the activation; a registry finds it again.
    let file = std::env::temp_dir().join(format!("mayfly-custom-{}.mayfly", std::process::id()));
    Model::new(trainer.into_network()).save(&file)?;
    let registry = Registry::new().with_activation(Snake);
    println!("sin(1) = {:.3}", Model::load_with(&file, &registry)?.predict(&[0.5])?[0]);
    std::fs::remove_file(&file).ok();
    Ok(loss)
}

#[allow(dead_code)]
fn main() -> Result<(), NnError> {
    run().map(drop)
}
