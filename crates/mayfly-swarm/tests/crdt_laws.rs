//! The laws of every replicated type, over replicas that come from random histories of updates and merges.

use mayfly_base::{NodeId, Rng};
use mayfly_swarm::crdt::*;
use std::fmt::Debug;

const NODES: usize = 3;

fn node(i: usize) -> NodeId {
    NodeId([i as u8 + 1; 32])
}

/// Few times and few counts, so that stamps collide; the same node may stamp two updates alike, as a node whose name is used twice does.
fn stamp(rng: &mut Rng) -> Stamp {
    Stamp { ms: rng.below(3), count: rng.below(2) as u32, node: node(rng.below(NODES as u64) as usize) }
}

/// A type under test: how it starts, and one random update of replica `who`, which returns the delta.
trait Subject: Crdt + Debug {
    fn start() -> Self;
    fn update(&mut self, who: NodeId, rng: &mut Rng) -> Self;
}

impl Subject for GCounter {
    fn start() -> Self {
        Self::default()
    }
    fn update(&mut self, who: NodeId, rng: &mut Rng) -> Self {
        self.add(who, rng.below(4))
    }
}

impl Subject for PnCounter {
    fn start() -> Self {
        Self::default()
    }
    fn update(&mut self, who: NodeId, rng: &mut Rng) -> Self {
        self.add(who, rng.below(9) as i64 - 4)
    }
}

impl Subject for LwwRegister<Vec<u8>> {
    fn start() -> Self {
        Self::new(Vec::new(), Stamp::default())
    }
    fn update(&mut self, _: NodeId, rng: &mut Rng) -> Self {
        self.set(vec![rng.below(4) as u8], stamp(rng))
    }
}

impl Subject for LwwMap<u8, u8> {
    fn start() -> Self {
        Self::default()
    }
    fn update(&mut self, _: NodeId, rng: &mut Rng) -> Self {
        let key = rng.below(4) as u8;
        if rng.below(3) == 0 { self.remove(key, stamp(rng)) } else { self.set(key, rng.below(4) as u8, stamp(rng)) }
    }
}

impl Subject for OrSet<u8> {
    fn start() -> Self {
        Self::default()
    }
    fn update(&mut self, who: NodeId, rng: &mut Rng) -> Self {
        let item = rng.below(4) as u8;
        if rng.below(2) == 0 { self.remove(&item) } else { self.add(who, item) }
    }
}

const ODD: [f32; 8] =
    [0.0, -0.0, f32::NAN, f32::from_bits(0xffc0_0001), f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(1), 1.5];

impl Subject for LwwTensor {
    fn start() -> Self {
        Self::new(37, 2).unwrap()
    }
    fn update(&mut self, _: NodeId, rng: &mut Rng) -> Self {
        let first = rng.below(19) as usize;
        let end = (first + 1 + rng.below(19) as usize).min(19);
        let len = (end * 2).min(37) - first * 2;
        let values: Vec<f32> = (0..len).map(|_| ODD[rng.below(8) as usize]).collect();
        let clock = TensorClock { time: rng.below(3), node: rng.below(2) };
        self.write(first * 2, &values, clock).unwrap()
    }
}

impl Subject for AverageTensor {
    fn start() -> Self {
        Self::new(2)
    }
    fn update(&mut self, who: NodeId, rng: &mut Rng) -> Self {
        let value = |rng: &mut Rng| rng.below(3) as f32 - 0.0;
        let values = vec![value(rng), if rng.below(2) == 0 { -0.0 } else { 0.0 }];
        let c = Contribution { round: rng.below(3), weight: 1.0 + rng.below(2) as f32, values };
        self.contribute(who, c).unwrap()
    }
}

/// Replicas after a random history, and every delta that was made on the way.
fn history<T: Subject>(seed: u64) -> (Vec<T>, Vec<T>) {
    let rng = &mut Rng::new(seed);
    let mut replicas: Vec<T> = (0..NODES).map(|_| T::start()).collect();
    let mut deltas = Vec::new();
    for _ in 0..rng.below(12) {
        let (i, j) = (rng.below(NODES as u64) as usize, rng.below(NODES as u64) as usize);
        if rng.below(3) == 0 {
            let other = replicas[j].clone();
            let before = replicas[i].clone();
            let is_new = replicas[i].merge(&other);
            assert_eq!(is_new, replicas[i] != before, "merge tells whether something was new");
        } else {
            deltas.push(replicas[i].update(node(i), rng));
        }
    }
    (replicas, deltas)
}

fn joined<T: Crdt>(a: &T, b: &T) -> T {
    let mut a = a.clone();
    a.merge(b);
    a
}

fn laws<T: Subject>() {
    let cases = std::env::var("PROPTEST_CASES").map_or(600, |n| n.parse().unwrap());
    for seed in 0..cases {
        let (replicas, mut deltas) = history::<T>(seed);
        let [a, b, c] = &replicas[..] else { unreachable!() };
        assert_eq!(joined(a, b), joined(b, a), "commutative, seed {seed}");
        assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)), "associative, seed {seed}");
        assert_eq!(&joined(a, a), a, "idempotent, seed {seed}");
        let all = joined(&joined(a, b), c);
        for part in &replicas {
            assert_eq!(joined(&all, part), all, "monotone, seed {seed}");
        }
        // Any order of the deltas, some twice, gives the full state.
        Rng::new(seed).shuffle(&mut deltas);
        let again = deltas.clone();
        let from_deltas = deltas.iter().chain(again.iter().take(2)).fold(T::start(), |all, delta| joined(&all, delta));
        assert_eq!(from_deltas, all, "deltas equal the whole, seed {seed}");
    }
}

#[test]
fn g_counter() {
    laws::<GCounter>();
}

#[test]
fn pn_counter() {
    laws::<PnCounter>();
    let (mut a, mut b) = (PnCounter::default(), PnCounter::default());
    a.add(node(0), 5);
    b.add(node(1), -7);
    a.merge(&b);
    assert_eq!(a.value(), -2);
    a.add(node(0), i64::MIN);
    assert_eq!(a.value(), -2 + i128::from(i64::MIN));
}

#[test]
fn lww_register() {
    laws::<LwwRegister<Vec<u8>>>();
}

#[test]
fn lww_map() {
    laws::<LwwMap<u8, u8>>();
}

#[test]
fn or_set() {
    laws::<OrSet<u8>>();
}

/// An addition that the remover had not seen survives; one that it had seen does not come back.
#[test]
fn or_set_addition_wins() {
    let (mut a, mut b) = (OrSet::default(), OrSet::default());
    a.add(node(0), "x");
    b.merge(&a);
    let old = a.clone();
    b.remove(&"x");
    a.add(node(0), "x");
    b.merge(&a);
    assert!(b.contains(&"x"));
    b.remove(&"x");
    b.merge(&old);
    b.merge(&a);
    assert!(!b.contains(&"x"), "and leaves no tombstone");
    assert!(b.is_empty());
}

#[test]
fn lww_tensor() {
    laws::<LwwTensor>();
}

#[test]
fn lww_tensor_keeps_bits_and_origin() {
    let mut a = LwwTensor::new(4, 1).unwrap();
    let mut b = a.clone();
    let clock = |node| TensorClock { time: 7, node };
    a.write(0, &[0.0, f32::NAN, 1.0, 2.0], clock(1)).unwrap();
    b.write(0, &[-0.0, 3.0, 1.0, 2.0], clock(1)).unwrap();
    b.write(3, &[2.0], clock(2)).unwrap();
    let both = joined(&a, &b);
    let bits: Vec<u32> = both.values().map(f32::to_bits).collect();
    assert_eq!(bits, [0x8000_0000, f32::NAN.to_bits(), 1.0f32.to_bits(), 2.0f32.to_bits()]);
    assert_eq!(both.origin(3), Some(clock(2)));
    assert_eq!(joined(&b, &a).origin(3), Some(clock(2)));
    assert!(a.write(1, &[0.0; 4], clock(1)).is_err());
    assert!(a.try_merge(&LwwTensor::new(5, 1).unwrap()).is_err());
}

/// Against cells compared one by one: clocks that make whole runs newer, older, equal and mixed, lengths that leave something over, blocks of one and of three.
#[test]
fn lww_tensor_runs_equal_cells() {
    for seed in 0..400 {
        let rng = &mut Rng::new(seed);
        let (block, cells) = (1 + 2 * (seed as usize % 2), 33 + rng.below(60) as usize);
        let fill = |rng: &mut Rng, spread: u64| {
            let mut t = LwwTensor::new(cells * block, block).unwrap();
            let mut clock = TensorClock::default();
            for i in 0..cells {
                if i % 16 == 0 || rng.below(9) < spread {
                    clock = TensorClock { time: (1 << 63) - 2 + rng.below(4), node: rng.below(2) };
                }
                t.write(i * block, &vec![rng.below(3) as f32; block], clock).unwrap();
            }
            t
        };
        let (spread, same) = (rng.below(9), rng.below(4) == 0);
        let a = fill(rng, spread);
        let b = if same { a.clone() } else { fill(rng, spread) };
        let (merged, blocks) = (joined(&a, &b), |t: &LwwTensor| -> Vec<_> {
            let bits: Vec<u32> = t.values().map(f32::to_bits).collect();
            bits.chunks(block).enumerate().map(|(i, bits)| (t.origin(i * block).unwrap(), bits.to_vec())).collect()
        });
        let want: Vec<_> = blocks(&a).into_iter().zip(blocks(&b)).map(|(a, b)| a.max(b)).collect();
        assert_eq!(blocks(&merged), want, "seed {seed}");
        assert_eq!(a.clone().merge(&b), merged != a, "seed {seed}");
    }
}

#[test]
fn average_tensor() {
    laws::<AverageTensor>();
    let mut t = AverageTensor::new(1);
    assert_eq!(t.value(Combine::Mean).unwrap(), None);
    for (i, (value, weight)) in [(1.0, 1.0), (2.0, 3.0), (900.0, 1.0)].into_iter().enumerate() {
        t.contribute(node(i), Contribution { round: 1, weight, values: vec![value] }).unwrap();
    }
    assert_eq!(t.value(Combine::Mean).unwrap(), Some(vec![907.0 / 5.0]));
    assert_eq!(t.value(Combine::Median).unwrap(), Some(vec![2.0]));
    assert_eq!(t.value(Combine::TrimmedMean(0.34)).unwrap(), Some(vec![2.0]));
    assert!(t.value(Combine::TrimmedMean(0.5)).is_err());
    let bad = Contribution { round: 2, weight: 1.0, values: vec![f32::NAN] };
    assert!(t.contribute(node(0), bad).is_err());
}

#[test]
fn clocks_survive_restart_and_a_wall_clock_set_back() {
    let mut clock = Clock::new(node(0));
    let mut last = clock.tick(10_000);
    let rng = &mut Rng::new(3);
    let mut now = 10_000;
    for _ in 0..2_000 {
        match rng.below(5) {
            0 => now -= now.min(rng.below(3_600_000)),
            1 => clock = Clock::resume(node(0), last),
            2 => {
                let seen = Stamp { ms: now + rng.below(50), count: u32::MAX, node: node(1) };
                clock.observe(seen);
                last = last.max(Stamp { node: node(0), ..seen });
            }
            _ => now += rng.below(100),
        }
        let next = clock.tick(now);
        assert!(next > last);
        last = next;
    }
    clock.observe(Stamp { ms: u64::MAX, count: 0, node: node(1) });
    assert!(clock.tick(now).ms < MAX_STAMP_MS);
}
