//! Seeded damage to the files of the core pack, through what the fuzz targets check.

use mayfly_base::Rng;
use mayfly_packs::{Manifest, fuzz};

fn core(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../packs/mayfly-core-1.0.0/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// One to four bytes changed, removed, doubled or swapped.
fn damage(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..1 + rng.below(4) {
        let (at, other) = (rng.below(out.len() as u64) as usize, rng.below(out.len() as u64) as usize);
        match rng.below(5) {
            0 => out[at] = rng.below(256) as u8,
            1 => out[at] ^= 1 << rng.below(8),
            2 => out.truncate(at + 1),
            3 => out.insert(at, out[other]),
            _ => out.swap(at, other),
        }
    }
    out
}

fn each(bytes: &[u8], check: impl Fn(&[u8])) {
    let rounds = if std::env::var_os("MAYFLY_HEAVY").is_some() { 200_000 } else { 1500 };
    let mut rng = Rng::new(11);
    check(bytes);
    (0..rounds).for_each(|_| check(&damage(bytes, &mut rng)));
}

#[test]
fn manifests() {
    each(&core("kernels.json"), fuzz::manifest);
}

#[test]
fn envelopes() {
    each(&core("kernels.json.sig"), fuzz::envelope);
}

#[test]
fn modules() {
    let manifest = Manifest::from_json(&core("kernels.json")).unwrap();
    for kernel in manifest.kernels.iter().step_by(4) {
        each(&core(&kernel.path), |bytes| fuzz::module(bytes, kernel));
    }
}
