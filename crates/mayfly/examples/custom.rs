//! An activation and a layer of one's own, without touching the library: `cargo run --release -p mayfly --example custom`.
use mayfly::prelude::*;
use serde_json::{Value, json};

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

/// `y = (W·x + b) ∘ σ(V·x + c)`, the gated linear unit of Dauphin et al. (2017). Its gradient follows from its operations.
#[derive(Debug, serde::Deserialize)]
struct Gated {
    units: usize,
}

impl CustomLayer for Gated {
    fn name(&self) -> &str {
        "gated"
    }
    fn config(&self) -> Value {
        json!({ "units": self.units })
    }
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId, NnError> {
        let inputs = cx.dims(x)?.iter().product();
        let mut linear = |name: &str| {
            let w = cx.weight(name, &[self.units, inputs], Init::GlorotUniform)?;
            let b = cx.bias(&format!("{name}_bias"), self.units, Init::Zeros)?;
            Ok::<_, NnError>(cx.graph().linear(x, w, Some(b))?)
        };
        let (value, gate) = (linear("value")?, linear("gate")?);
        let gate = cx.graph().act(gate, Act::Sigmoid)?;
        Ok(cx.graph().mul(value, gate)?)
    }
}

/// The loss after training.
pub fn run() -> Result<f64, NnError> {
    let mut data = InMemory::from_rows((-60..60).map(|i| ([i as f32 * 0.05], [(i as f32 * 0.1).sin()])))?;

    let spec = NetworkSpec::new(&[1])
        .with(Custom::new(Gated { units: 32 }))
        .with(Custom::activation(Snake))
        .with(Dense::new(1, Activation::IDENTITY));
    let config = TrainConfig { epochs: 400, ..TrainConfig::new(Algorithm::Adam(Adam { lr: 0.01, ..Adam::default() })) };
    let mut trainer = Trainer::new(Network::new(spec, 1)?, config)?;
    let report = trainer.fit(&mut data, None, &mut ())?;
    let loss = report.epochs.last().map_or(f64::NAN, |e| e.train_loss);
    println!("mean square error after {} epochs: {loss:.5}", report.epochs.len());

    // A file names them and records the layer's settings; a registry finds them again.
    let file = std::env::temp_dir().join(format!("mayfly-custom-{}.mayfly", std::process::id()));
    let model = Model::new(trainer.into_network());
    model.save(&file)?;
    let registry = Registry::new().with_activation(Snake).with_layer_type::<Gated>("gated");
    let again = Model::load_with(&file, &registry)?;
    std::fs::remove_file(&file).ok();
    assert_eq!(again.predict(&[0.5])?, model.predict(&[0.5])?);
    println!("sin(1) = {:.3}", again.predict(&[0.5])?[0]);
    Ok(loss)
}

#[allow(dead_code)]
fn main() -> Result<(), NnError> {
    run().map(drop)
}
