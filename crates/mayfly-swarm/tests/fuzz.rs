//! The fuzz targets' entry points, driven by seeded damage to what nodes really send and keep, and by noise.

use mayfly_base::Rng;
use mayfly_swarm::crdt::{AverageTensor, Contribution, LwwTensor, Stamp, TensorClock};
use mayfly_swarm::memory::Record;
use mayfly_swarm::sim::{Sim, SimConfig};
use mayfly_swarm::{Now, Output, fuzz};

/// Every kind of message: small and large news, deletions, and the walk after a disk was lost.
fn messages() -> Vec<Vec<u8>> {
    let mut sim = Sim::new(SimConfig { nodes: 3, ..SimConfig::default() }).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    sim.keep_messages();
    for i in 0..12_usize {
        let value = vec![i as u8; if i % 3 == 0 { 600 } else { 20 }];
        sim.write(i % 3, format!("key-{i}").as_bytes(), Some(&value)).unwrap();
    }
    sim.write(1, b"key-1", None).unwrap();
    sim.run_for(1_000);
    sim.crash(2);
    sim.wipe(2);
    sim.start(2).unwrap();
    sim.run_for(10_000);
    let messages = sim.take_messages();
    let kinds: std::collections::BTreeSet<u8> = messages.iter().map(|message| message[0]).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5], "a kind of message is missing");
    messages
}

fn samples() -> Vec<Vec<u8>> {
    let mut samples = messages();
    let now = Now { steady_ms: 1, wall_ms: 1_000 };
    for output in fuzz::node(2).unwrap().join(&[fuzz::peer(1)], now) {
        if let Output::Datagram { payload, .. } = output {
            samples.push(payload);
        }
    }
    let mut tensor = LwwTensor::new(40, 2).unwrap();
    tensor.write(4, &[1.0; 10], TensorClock { time: 5, node: 6 }).unwrap();
    let mut average = AverageTensor::new(3);
    let contribution = Contribution { round: 1, weight: 1.0, values: vec![1.0; 3] };
    average.contribute(fuzz::peer(1).id, contribution).unwrap();
    samples.push(postcard::to_stdvec(&tensor).unwrap());
    samples.push(postcard::to_stdvec(&average).unwrap());
    let stamp = Stamp { ms: 9, count: 1, node: fuzz::peer(1).id };
    samples.push(fuzz::to_stored(&Record { key: b"key".into(), stamp, value: Some(vec![7; 30]) }));
    samples
}

#[test]
fn each_entry_point_accepts_its_own_and_survives_damage() {
    let samples = samples();
    for (name, accepts) in fuzz::ALL {
        assert!(samples.iter().any(|sample| accepts(sample)), "{name} accepts nothing");
    }
    let rounds = if std::env::var_os("MAYFLY_HEAVY").is_some() { 200_000 } else { 2_000 };
    let mut rng = Rng::new(1);
    for _ in 0..rounds {
        let mut bytes = samples[rng.below(samples.len() as u64) as usize].clone();
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
