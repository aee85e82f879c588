//! A run on rows that are made up: points of a square, in two classes, with a corner that is hard to get at.
#![allow(dead_code)]

pub mod world;

use mayfly_base::Rng;
use mayfly_format::data::{Encoder, FitOptions, OpenOptions, open};
use mayfly_learn::{Mode, Run, Split};
use mayfly_nn::{
    Act, Activation, AdamW, Algorithm, BatchRows, InMemory, Loss, Network, NetworkSpec, Schedule, TrainConfig, class_of,
};

pub const INPUTS: usize = 4;

/// Rows: four numbers, and which of two classes.
pub fn rows(count: usize, seed: u64) -> InMemory {
    let mut rng = Rng::new(seed);
    let row = |rng: &mut Rng| {
        let x: [f32; INPUTS] = std::array::from_fn(|_| rng.uniform_f32() * 2.0 - 1.0);
        let is_in = x[0] * x[1] > 0.0 || x[2] + 0.5 * x[3] > 0.8;
        (x, if is_in { [1.0, 0.0] } else { [0.0, 1.0] })
    };
    InMemory::from_rows((0..count).map(|_| row(&mut rng)).collect::<Vec<_>>()).expect("rows of one length")
}

pub fn network() -> Network {
    Network::new(NetworkSpec::dense(INPUTS, &[16, 8], Act::Relu.into(), 2, Activation::Softmax), 1).expect("a network")
}

pub fn config(algorithm: Algorithm, batch: usize) -> TrainConfig {
    TrainConfig {
        algorithm,
        loss: Loss::CrossEntropy { smoothing: 0.0 },
        batch: BatchRows::Rows(batch),
        schedule: Schedule::Constant,
        threads: 1,
        seed: 3,
        ..TrainConfig::default()
    }
}

pub fn adamw() -> Algorithm {
    Algorithm::AdamW(AdamW { lr: 5e-3, ..AdamW::default() })
}

/// An encoder of some table: these runs have rows already, and never use it.
pub fn encoder() -> Encoder {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.csv");
    let lines: String =
        (0..40).map(|i| format!("{},{}\n", f64::from(i) * 0.37, ["yes", "no"][i as usize % 2])).collect();
    std::fs::write(&path, format!("x,class\n{lines}")).expect("a file");
    let mut source = open(&path, &OpenOptions::default()).expect("a table");
    Encoder::fit(source.as_mut(), &FitOptions::default()).expect("an encoder")
}

pub fn run(mode: Mode, rounds: u64, config: &TrainConfig) -> Run {
    Run::new("test", mode, rounds, &network(), config, encoder())
}

/// Rows divided among nodes.
pub fn shards(rows: &InMemory, split: Split, nodes: usize) -> Vec<InMemory> {
    let of = split.assign(&Split::classes(rows.targets(), 2), nodes, 1).expect("rows enough");
    let part = |node: usize| {
        let own = (0..rows.len()).filter(|row| of[*row] == node);
        let pairs =
            own.map(|row| (&rows.inputs()[row * INPUTS..(row + 1) * INPUTS], &rows.targets()[row * 2..row * 2 + 2]));
        InMemory::from_rows(pairs).expect("each has a row")
    };
    (0..nodes).map(part).collect()
}

/// The share of rows whose class these parameters get right.
pub fn accuracy(params: &[f32], rows: &InMemory) -> f64 {
    let network = Network::from_parts(network().spec().clone(), params, None).expect("as many parameters");
    let answers = network.predict(rows.inputs()).expect("rows of the right length");
    let pairs = answers.chunks_exact(2).zip(rows.targets().chunks_exact(2));
    pairs.filter(|(y, t)| class_of(y) == class_of(t)).count() as f64 / rows.len() as f64
}
