//! What learning together is held against: all rows in one place, and each node alone.

use super::prepare::Prepared;
use anyhow::Result;
use mayfly_format::data::Encoder;
use mayfly_nn::{InMemory, Measured, Network, Over, Tally, TrainConfig, Trainer};
use std::time::Instant;

/// Rows that are run at a time.
const ROWS: usize = 1024;

/// Figures of a network on rows.
pub fn measure(network: &Network, encoder: &Encoder, rows: &InMemory, over: Over) -> Result<Measured> {
    let mut tally = Tally::new(encoder);
    let (inputs, targets) = (encoder.input_width() * ROWS, encoder.target_width() * ROWS);
    for (x, t) in rows.inputs().chunks(inputs.max(1)).zip(rows.targets().chunks(targets.max(1))) {
        tally.add(&network.predict(x)?, t);
    }
    Ok(Measured::new(tally.finish(), encoder, over))
}

/// One number that says how good: the share that is right, or of the variance that is explained.
pub fn score(measured: &Measured) -> f64 {
    let scores = measured.scores();
    scores.accuracy.or(scores.r2).unwrap_or(f64::NAN)
}

/// Without test rows, the training rows are what figures are over.
pub fn yardstick(prepared: &Prepared) -> (&InMemory, Over) {
    match prepared.parts.test.is_empty() {
        true => (&prepared.parts.training, Over::Training),
        false => (&prepared.parts.test, Over::Test),
    }
}

/// What others reach with the same passes.
pub struct Compared {
    pub centralised: f64,
    pub seconds: f64,
    pub best_alone: f64,
}

pub fn compare(prepared: &Prepared, shards: &[InMemory]) -> Result<Compared> {
    let begun = Instant::now();
    let centralised = train(prepared, &prepared.parts.training)?;
    let seconds = begun.elapsed().as_secs_f64();
    let score_of = |network: &Network| {
        let (rows, over) = yardstick(prepared);
        Ok::<_, anyhow::Error>(score(&measure(network, &prepared.parts.plan.encoder, rows, over)?))
    };
    let mut best_alone = f64::NEG_INFINITY;
    if shards.len() > 1 {
        for shard in shards {
            best_alone = best_alone.max(score_of(&train(prepared, shard)?)?);
        }
    }
    Ok(Compared { centralised: score_of(&centralised)?, seconds, best_alone })
}

fn train(prepared: &Prepared, rows: &InMemory) -> Result<Network> {
    let config = TrainConfig { epochs: prepared.epochs, patience: None, ..prepared.parts.plan.config.clone() };
    let mut trainer = Trainer::new(prepared.parts.plan.network.clone(), config)?;
    let mut rows = rows.clone();
    for _ in 0..prepared.epochs {
        trainer.epoch(&mut rows, None)?;
    }
    Ok(trainer.into_network())
}
