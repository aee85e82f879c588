//! Damaged data files of every kind: nothing panics, and what is accepted is consistent (see `mayfly_format::fuzz`).
//!
//! Every seed file is cut at many lengths, every bit of its first and last bytes is flipped, and seeded random damage follows.

use std::io::Write;
use std::path::Path;

use mayfly_format::fuzz;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Bytes at the start and at the end of a file in which every single bit is flipped: the headers.
const FLIPPED_BYTES: usize = 80;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data").join(name)).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn seeds(format: &str) -> Vec<Vec<u8>> {
    let idx =
        [&[0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2][..], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]].concat();
    let floats =
        [&[0, 0, 0x0d, 2, 0, 0, 0, 2, 0, 0, 0, 1][..], &1.5_f32.to_be_bytes(), &2.5_f32.to_be_bytes()].concat();
    match format {
        "csv" => vec![
            b"a,b,class\n1,x,yes\n2.5,\"y, \"\"z\"\"\",no\n,NA,yes\n-3e2,x,no\n".to_vec(),
            b"\xef\xbb\xbf1;2;3\r\n4;5;6\r\n\r\n7;8;9".to_vec(),
            b"date\tv\n2020-01-01\t1\n2020-01-02\t0\n2020-01-03\t1\n".to_vec(),
        ],
        "fann_data" => {
            vec![b"4 2 1\n-1 -1\n-1\n-1 1\n1\n1 -1\n1\n1 1\n-1\n".to_vec(), b"2 1 2 0.5 0 1 1e-3 1 0".to_vec()]
        }
        "idx" => vec![gzip(&idx), idx, gzip(&floats), floats],
        "npy" => ["c_f8.npy", "fortran_f4.npy", "grid_fortran_u1.npy", "bool.npy", "version3.npy"].map(golden).to_vec(),
        "npz" => ["stored.npz", "deflated.npz", "deflated_fortran.npz"].map(golden).to_vec(),
        "parquet" => ["table_none.parquet", "table_snappy.parquet", "table_gzip.parquet", "table_zstd.parquet"]
            .map(golden)
            .to_vec(),
        other => panic!("no seeds for {other}"),
    }
}

fn target(format: &str) -> fn(&[u8]) -> bool {
    fuzz::DATA.iter().find(|(name, _)| *name == format).unwrap().1
}

/// A change to make somewhere in a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(u8),
    Set(u8),
    Remove(usize),
    Insert(Vec<u8>),
    Cut,
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..9),
        prop::sample::select(vec![
            &b"\""[..],
            b",",
            b"\n",
            b"\r\n",
            b"NaN",
            b"1e999",
            b"99999999999",
            b"\0",
            b"-",
            b"\xff\xff\xff\xff",
            b"(",
            b"?"
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    let change = prop_oneof![
        (0..8_u8).prop_map(|bit| Damage::Flip(1 << bit)),
        prop_oneof![Just(0), Just(0xff), Just(0x7f), any::<u8>()].prop_map(Damage::Set),
        (1..40_usize).prop_map(Damage::Remove),
        bytes.prop_map(Damage::Insert),
        Just(Damage::Cut),
    ];
    (any::<prop::sample::Index>(), change)
}

fn apply(bytes: &mut Vec<u8>, at: usize, damage: &Damage) {
    match damage {
        Damage::Flip(bit) => bytes[at] ^= bit,
        Damage::Set(value) => bytes[at] = *value,
        Damage::Remove(count) => drop(bytes.drain(at..(at + count).min(bytes.len()))),
        Damage::Insert(new) => drop(bytes.splice(at..at, new.iter().copied())),
        Damage::Cut => bytes.truncate(at),
    }
}

fn exhaust(format: &str) {
    let run = target(format);
    let seeds = seeds(format);
    // One Parquet file takes as long as all others; the random damage goes through every codec.
    let count = if format == "parquet" { 1 } else { seeds.len() };
    for seed in &seeds[..count] {
        assert!(run(seed), "an undamaged file is refused");
        for length in (0..seed.len()).step_by((seed.len() / 100).max(1)) {
            run(&seed[..length]);
        }
        let last = seed.len().saturating_sub(FLIPPED_BYTES);
        for place in (0..seed.len()).filter(|&place| place < FLIPPED_BYTES || place >= last) {
            for bit in 0..8 {
                let mut bytes = seed.clone();
                bytes[place] ^= 1 << bit;
                run(&bytes);
            }
        }
    }
}

fn random_damage(format: &str, cases: u32) {
    let run = target(format);
    let seeds = seeds(format);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let strategy = (prop::sample::select(seeds), prop::collection::vec(damage(), 1..6));
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let result = TestRunner::new_with_rng(config, random).run(&strategy, |(mut bytes, damages)| {
        for (index, damage) in &damages {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                apply(&mut bytes, at, damage);
            }
        }
        run(&bytes);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{format}: {error}");
    }
}

macro_rules! formats {
    ($($name:ident),*) => {$(
        mod $name {
            #[test]
            fn every_cut_and_flip() {
                super::exhaust(stringify!($name));
            }

            #[test]
            fn random_damage() {
                super::random_damage(stringify!($name), super::CASES);
            }
        }
    )*};
}

/// Random cases for each format; PROPTEST_CASES is not read, so that the count is the same everywhere.
const CASES: u32 = 2000;

formats!(csv, fann_data, idx, npy, npz);

#[cfg(feature = "parquet")]
formats!(parquet);
