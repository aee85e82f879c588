//! Rows read from a file in every epoch: each once, inputs beside their targets, in an order that the seed decides.
mod common;

use mayfly_format::data::{EncodedRows, Encoder, FitOptions, OpenOptions, RowOptions, Scaling, open};
use mayfly_nn::*;
use proptest::prelude::*;
use std::fmt::Write;
use std::path::Path;

/// A FANN file of rows `i, −i → 10 i, i / 4`.
fn write_rows(path: &Path, rows: usize) {
    let mut text = format!("{rows} 2 2\n");
    for i in 0..rows {
        writeln!(text, "{i} -{i}\n{} {}", i * 10, i as f32 / 4.0).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// The file's rows; `room` is what the data set is told of their number, and so the most that its shuffling buffer holds.
fn streamed(path: &Path, room: Option<usize>) -> Streamed {
    let mut source = open(path, &OpenOptions::default()).unwrap();
    let mut options = FitOptions::default();
    (options.input_scaling, options.target_scaling) = (Scaling::None, Scaling::None);
    let encoder = Encoder::fit(source.as_mut(), &options).unwrap();
    Streamed::new(EncodedRows::new(source, &encoder, &RowOptions::default()).unwrap(), &encoder, room)
}

/// The numbers of the rows of a pass; checks that the four values of each belong together.
fn pass(data: &mut Streamed, order: Order, batch: usize) -> Vec<usize> {
    let (mut x, mut t, mut seen) = (vec![0.0; batch * 2], vec![0.0; batch * 2], Vec::new());
    data.start(order).unwrap();
    loop {
        let rows = data.next(&mut x, &mut t).unwrap();
        if rows == 0 {
            return seen;
        }
        for (x, t) in x.chunks(2).zip(t.chunks(2)).take(rows) {
            assert_eq!((x[1], t[0], t[1]), (-x[0], x[0] * 10.0, x[0] / 4.0), "a row came apart");
            seen.push(x[0] as usize);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_pass_sees_the_rows_of_the_file_paired(rows in 2..3000usize, room in 1..2000usize, batch in 1..300usize, seed: u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.data");
        write_rows(&path, rows);
        for room in [None, Some(room)] {
            let mut data = streamed(&path, room);
            prop_assert_eq!(pass(&mut data, Order::AsIs, batch), (0..rows).collect::<Vec<_>>());
            let first = pass(&mut data, Order::Shuffled(seed), batch);
            let mut sorted = first.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..rows).collect::<Vec<_>>());
            prop_assert_eq!(pass(&mut data, Order::Shuffled(seed), batch + 1), first.clone(), "the seed decides");
            if rows > 20 && room.is_none_or(|room| room > 20) {
                prop_assert_ne!(pass(&mut data, Order::Shuffled(seed ^ 1), batch), first);
            }
        }
    }
}

#[test]
fn training_on_a_file_is_training_on_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.data");
    write_rows(&path, 100);
    let mut memory = InMemory::from_rows((0..100).map(|i| {
        let v = i as f32;
        ([v, -v], [v * 10.0, v / 4.0])
    }))
    .unwrap();
    let config = TrainConfig {
        epochs: 3,
        shuffle: false,
        algorithm: Algorithm::Sgd(Sgd { lr: 1e-6, ..Sgd::default() }),
        ..TrainConfig::default()
    };
    let spec = NetworkSpec::dense(2, &[3], Act::Tanh.into(), 2, Activation::IDENTITY);
    let run = |data: &mut dyn Dataset, held: &mut dyn Dataset| {
        let mut trainer = Trainer::new(Network::new(spec.clone(), 1).unwrap(), config.clone()).unwrap();
        let report = trainer.fit(data, Some(held), &mut ()).unwrap();
        (report, trainer.into_network().params().to_vec())
    };
    let want = run(&mut memory.clone(), &mut memory);
    assert_eq!(run(&mut streamed(&path, Some(100)), &mut streamed(&path, None)), want);
    assert_eq!(run(&mut streamed(&path, None), &mut streamed(&path, Some(100))), want);
    // A file that lost rows since they were counted is not trained on as if nothing had happened.
    let mut trainer = Trainer::new(Network::new(spec, 1).unwrap(), config).unwrap();
    let error = trainer.fit(&mut streamed(&path, Some(101)), None, &mut ()).unwrap_err();
    assert!(matches!(error, NnError::RowsCounted { said: 101, got: 100 }), "{error}");
}
