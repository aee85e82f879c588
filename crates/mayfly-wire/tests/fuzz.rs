//! The fuzz targets' entry points, driven by seeded damage to real bytes and by noise.

mod common;

use common::*;
use mayfly_base::Rng;
use mayfly_wire::*;

/// What each parser accepts.
fn samples() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (identity(1), identity(2));
    let store = TrustStore::create(folder.path(), trust(&[&a, &b])).unwrap();
    let token = store.issue_token(&a, 1000, &[loopback()], 1).unwrap().to_string();
    store.revoke(&a, b.id(), 2).unwrap();
    a.create(&folder.path().join("identity.key")).unwrap();
    let file = |name| std::fs::read(folder.path().join(name)).unwrap();
    let frame = |payload: &[u8]| Frame::encode(Kind::Request, 1, 1, payload, 1 << 20).unwrap().to_vec();
    let hello = to_payload("Hello", &(1_u16, "mayfly")).unwrap();
    let (news, list) = (store.news(1, a.id()).unwrap().message, store.list());
    let records = TrustAnswer::Records(list.records().to_vec());
    vec![
        frame(b"x"),
        frame(&[3; 5000]),
        token.into_bytes(),
        file("trust.list"),
        file("tokens.book"),
        file("identity.key"),
        hello,
        news,
        to_payload("an answer", &records).unwrap(),
    ]
}

#[test]
fn each_entry_point_accepts_its_own_and_survives_damage() {
    let samples = samples();
    for (name, accepts) in fuzz::ALL {
        assert!(samples.iter().any(|sample| accepts(sample)), "{name} accepts nothing");
    }
    let rounds = if std::env::var_os("MAYFLY_HEAVY").is_some() { 200_000 } else { 3_000 };
    let mut rng = Rng::new(1);
    for round in 0..rounds {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len() as u64 + 1) as usize;
            match rng.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, rng.next_u64() as u8),
                _ if at < bytes.len() => bytes[at] = rng.next_u64() as u8,
                _ => bytes.extend((0..rng.below(40)).map(|_| 0xff)),
            }
        }
        for (_, accepts) in fuzz::ALL {
            accepts(&bytes);
        }
    }
}
