//! Leases against a model, and their ends under threads, clocks and panics.
mod common;

use common::{dense, host, planned, planned_on, simulated};
use mayfly_lifecycle::{
    Certificate, Host, HostConfig, HostParts, Lease, LifeError, Limit, Reason, State, Task, Term, Witness,
};
use mayfly_nn::{Act, Custom, CustomActivation, Dense, Network, NetworkSpec};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

/// What may happen to a lease.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Call,
    Renew { ttl: Option<u64>, idle: Option<u64>, calls: Option<u64> },
}

/// The lease as one would write it down: lists, and no cleverness.
struct Model {
    ends_at: Option<u64>,
    idle: Option<u64>,
    calls: Option<u64>,
    made: u64,
    last: u64,
    dead: Option<Reason>,
}

impl Model {
    fn look(&mut self, now: u64) {
        if self.dead.is_some() {
            return;
        }
        self.dead = if self.calls == Some(self.made) {
            Some(Reason::Budget)
        } else if self.ends_at.is_some_and(|end| now >= end) {
            Some(Reason::Ttl)
        } else if self.idle.is_some_and(|idle| now - self.last >= idle) {
            Some(Reason::Idle)
        } else {
            None
        };
    }
}

fn ms(ms: Option<u64>) -> Option<Duration> {
    ms.map(Duration::from_millis)
}

fn event() -> impl Strategy<Value = Event> {
    let bound = || proptest::option::of(1u64..60);
    prop_oneof![
        (0u64..40).prop_map(Event::Pass),
        Just(Event::Call),
        Just(Event::Call),
        (bound(), bound(), proptest::option::of(1u64..5)).prop_map(|(ttl, idle, calls)| Event::Renew {
            ttl,
            idle,
            calls
        }),
    ]
}

proptest! {
    /// An instance on a simulated clock does what the model does, with and without a keeper that looks after every event.
    #[test]
    fn a_lease_is_its_model(
        ttl in proptest::option::of(1u64..100),
        idle in proptest::option::of(1u64..60),
        calls in proptest::option::of(1u64..6),
        events in proptest::collection::vec(event(), 0..40),
        reaps in any::<bool>(),
    ) {
        let (host, clock) = simulated();
        let lease = Lease { ttl: ms(ttl), idle: ms(idle), calls, owner: None };
        let fly = planned_on(&host).lease(&lease).unwrap();
        let mut now = 0;
        let mut model = Model { ends_at: ttl, idle, calls, made: 0, last: 0, dead: None };
        for event in events {
            match event {
                Event::Pass(ms) => {
                    clock.advance_ns(ms * 1_000_000);
                    now += ms;
                    if reaps {
                        host.reap();
                        model.look(now);
                    }
                }
                Event::Call => {
                    model.look(now);
                    let answer = fly.call(&[0.5; 4]);
                    prop_assert_eq!(answer.is_ok(), model.dead.is_none());
                    if model.dead.is_none() {
                        model.made += 1;
                        model.last = now;
                        model.look(now);
                    }
                }
                Event::Renew { ttl, idle, calls } => {
                    model.look(now);
                    let renewed = fly.renew(&Lease { ttl: ms(ttl), idle: ms(idle), calls, owner: None });
                    prop_assert_eq!(renewed.is_ok(), model.dead.is_none());
                    if model.dead.is_none() {
                        if let (Some(end), Some(ttl)) = (model.ends_at, ttl) { model.ends_at = Some(end.max(now + ttl)); }
                        if let (Some(old), Some(new)) = (model.idle, idle) { model.idle = Some(old.max(new)); }
                        if let (Some(old), Some(more)) = (model.calls, calls) { model.calls = Some(old.max(model.made + more)); }
                    }
                }
            }
            if let Some(why) = model.dead {
                prop_assert_eq!(fly.state(), State::Dissolved);
                prop_assert_eq!(fly.dissolve().reason, why);
                prop_assert_eq!(fly.dissolve().calls, model.made);
                let said = match (fly.call(&[0.5; 4]), why) {
                    (Err(LifeError::Exhausted { calls }), Reason::Budget) => calls == model.made,
                    (Err(LifeError::Expired { why: said, .. }), Reason::Ttl | Reason::Idle) => said == why,
                    _ => false,
                };
                prop_assert!(said, "{:?}", why);
            }
        }
    }

    /// Nothing that renewing does makes anything shorter, and what is over stays over.
    #[test]
    fn renewing_never_shortens_or_revives(
        ttl in proptest::option::of(1u64..100), idle in proptest::option::of(1u64..100), calls in proptest::option::of(1u64..5),
        more_ttl in proptest::option::of(1u64..100), more_idle in proptest::option::of(1u64..100), more_calls in proptest::option::of(1u64..5),
        at in 0u64..150,
    ) {
        let now = at * 1_000_000;
        let mut term = Term::begin(&Lease { ttl: ms(ttl), idle: ms(idle), calls, owner: None }, 0);
        let before = term;
        let renewed = term.renew(&Lease { ttl: ms(more_ttl), idle: ms(more_idle), calls: more_calls, owner: None }, now);
        match before.over(now) {
            Some(why) => prop_assert!(renewed == Err(why) && term == before),
            None => {
                prop_assert!(term.due_ns() >= before.due_ns());
                prop_assert!(term.calls_left().unwrap_or(u64::MAX) >= before.calls_left().unwrap_or(u64::MAX));
            }
        }
    }
}

#[test]
fn leases_that_nothing_could_keep_are_refused() {
    let host = host();
    let planned = planned_on(&host);
    for lease in [
        Lease { calls: Some(0), ..Lease::default() },
        Lease { ttl: Some(Duration::ZERO), ..Lease::default() },
        Lease { idle: Some(Duration::ZERO), ..Lease::default() },
    ] {
        assert!(matches!(planned.lease(&lease), Err(LifeError::BadLease { .. })), "{lease:?}");
    }
    let fly =
        planned.lease(&Lease { ttl: Some(Duration::MAX), idle: Some(Duration::MAX), ..Lease::default() }).unwrap();
    assert!(fly.call(&[0.0; 4]).is_ok());
}

/// Eight threads call as often as they can: a thousand are answered, whoever makes them.
#[test]
fn budgets_are_exact_under_threads() {
    let planned = planned();
    for _ in 0..20 {
        let fly = planned.lease(&Lease { calls: Some(1000), ..Lease::default() }).unwrap();
        let (answered, exhausted) = (AtomicU64::new(0), AtomicU64::new(0));
        let start = Barrier::new(8);
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    start.wait();
                    for _ in 0..200 {
                        match fly.call(&[0.1, 0.2, 0.3, 0.4]) {
                            Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
                            Err(LifeError::Exhausted { calls: 1000 }) => exhausted.fetch_add(1, Ordering::Relaxed),
                            Err(other) => panic!("{other}"),
                        };
                    }
                });
            }
        });
        assert_eq!((answered.into_inner(), exhausted.into_inner()), (1000, 600));
        assert_eq!(fly.dissolve().reason, Reason::Budget);
    }
}

#[test]
fn calls_that_cannot_be_made_cost_nothing() {
    let fly = planned().lease(&Lease { calls: Some(1), ..Lease::default() }).unwrap();
    assert!(matches!(fly.call(&[0.0; 3]), Err(LifeError::RowLength { want: 4, got: 3 })));
    assert!(matches!(fly.call_into(&[0.0; 4], &mut [0.0; 7]), Err(LifeError::AnswerLength { want: 2, got: 7 })));
    assert!(fly.call(&[0.0; 4]).is_ok());
    assert!(matches!(fly.call(&[0.0; 4]), Err(LifeError::Exhausted { calls: 1 })));
}

/// Of racing dissolves one acts; all get the same certificate.
#[test]
fn racing_dissolves_give_one_certificate() {
    let host = host();
    let planned = planned_on(&host);
    for round in 0..200 {
        let fly = planned.lease(&Lease::default()).unwrap();
        let start = Barrier::new(8);
        let certificates: Vec<Certificate> = std::thread::scope(|threads| {
            let race = || {
                start.wait();
                fly.dissolve()
            };
            let racers: Vec<_> = (0..8).map(|_| threads.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(certificates.windows(2).all(|two| two[0] == two[1]));
        assert_eq!((certificates[0].number, certificates[0].instance), (round, fly.id()));
    }
}

struct Kept(Mutex<Vec<Certificate>>);

impl Witness for Kept {
    fn dissolved(&self, certificate: &Certificate) {
        self.0.lock().unwrap().push(*certificate);
    }
}

/// Eight threads spawn and drop: every life is in the chain once, each certificate holding the hash of the one before.
#[test]
fn every_life_is_in_the_chain() {
    let kept = Arc::new(Kept(Mutex::default()));
    let parts = HostParts { witness: kept.clone(), ..HostParts::default() };
    let host = Host::start_with(HostConfig::default(), parts).unwrap();
    let planned = planned_on(&host);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| (0..100).for_each(|_| drop(planned.lease(&Lease::default()).unwrap())));
        }
    });
    let chain = kept.0.lock().unwrap();
    assert_eq!(chain.len(), 800);
    let mut previous = [0; 32];
    for (number, certificate) in chain.iter().enumerate() {
        assert_eq!((certificate.number, certificate.previous), (number as u64, previous));
        assert_eq!(certificate.reason, Reason::Dropped);
        previous = certificate.hash();
    }
    let mut ids: Vec<_> = chain.iter().map(|c| c.instance).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 800);
    let mut commitments: Vec<_> = chain.iter().map(|c| c.commitment).collect();
    commitments.dedup();
    assert_eq!(commitments.len(), 800, "the same weights under keys that are not kept");
}

/// Nobody calls, and it is wiped all the same.
#[test]
fn the_keeper_ends_leases_that_nobody_calls() {
    let host = host();
    let planned = planned_on(&host);
    let rounds = if std::env::var_os("MAYFLY_HEAVY").is_some() { 1000 } else { 30 };
    let mut late = Vec::new();
    for round in 0..rounds {
        // Some are due before what the keeper waits for already.
        let long = planned.lease(&Lease { ttl: Some(Duration::from_secs(60)), ..Lease::default() }).unwrap();
        let ttl = Duration::from_millis(3 + round % 30);
        let lease = match round % 2 {
            0 => Lease { ttl: Some(ttl), ..Lease::default() },
            _ => Lease { idle: Some(ttl), ..Lease::default() },
        };
        let start = Instant::now();
        let fly = planned.lease(&lease).unwrap();
        while fly.state() == State::Live {
            assert!(start.elapsed() < Duration::from_secs(10), "nobody came");
            std::thread::sleep(Duration::from_micros(200));
        }
        late.push(start.elapsed().saturating_sub(ttl));
        let certificate = fly.dissolve();
        assert!(certificate.lived_ns >= ttl.as_nanos() as u64, "wiped too early");
        assert_eq!(certificate.reason, if round % 2 == 0 { Reason::Ttl } else { Reason::Idle });
        assert_eq!(long.state(), State::Live);
    }
    late.sort_unstable();
    // Times are shown, not asserted: on a busy machine a thread is late without being wrong.
    eprintln!("late by {:?} in the middle, {:?} at most", late[late.len() / 2], late[late.len() - 1]);
}

/// A host whose keeper sleeps without end ends with its last owner.
#[test]
fn hosts_end_with_their_last_owner() {
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let before = threads();
    let hosts: Vec<Host> = (0..20).map(|_| host()).collect();
    let fly = planned_on(&hosts[0]).lease(&Lease::default()).unwrap();
    drop(hosts);
    assert!(fly.call(&[0.0; 4]).is_ok(), "an instance keeps its host");
    drop(fly);
    let start = Instant::now();
    while threads() > before && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(threads() <= before, "keepers are left");
}

#[derive(Debug)]
struct Bomb;

impl CustomActivation for Bomb {
    fn name(&self) -> &'static str {
        "bomb"
    }
    fn forward(&self, y: &mut [f32], x: &[f32]) {
        assert!(x.iter().all(|x| *x < 100.0), "a kernel panics");
        y.copy_from_slice(x);
    }
    fn backward(&self, dx: &mut [f32], dy: &[f32], _: &[f32], _: &[f32]) {
        dx.copy_from_slice(dy);
    }
}

/// A call that panics ends its instance and nothing else.
#[test]
fn a_panic_dissolves_and_the_host_goes_on() {
    let spec = NetworkSpec::new(&[4]).with(Dense::new(4, Act::Identity)).with(Custom::activation(Bomb));
    let mut network = Network::new(spec, 1).unwrap();
    network.params_mut().fill(1.0);
    let host = host();
    let planned = host.build(&Task::network(network)).unwrap();
    let (one, other) = (planned.lease(&Lease::default()).unwrap(), planned.lease(&Lease::default()).unwrap());
    assert!(one.call(&[1.0; 4]).is_ok());
    assert!(matches!(one.call(&[1e3; 4]), Err(LifeError::Dissolved { why: Reason::Panic, .. })));
    let certificate = one.dissolve();
    assert_eq!((certificate.reason, certificate.calls), (Reason::Panic, 2));
    assert!(certificate.wiped.parameters > 0 && certificate.wiped.arena > 0);
    assert!(other.call(&[1.0; 4]).is_ok());
    assert_eq!(planned.lease(&Lease::default()).unwrap().call(&[1.0; 4]).unwrap(), other.call(&[1.0; 4]).unwrap());
}

#[test]
fn hosts_have_limits_and_shut_down() {
    let host = Host::start(HostConfig { instances: 2, ..HostConfig::default() }).unwrap();
    let planned = planned_on(&host);
    let (one, two) = (planned.lease(&Lease::default()).unwrap(), planned.lease(&Lease::default()).unwrap());
    let refused = planned.lease(&Lease::default());
    assert!(matches!(refused, Err(LifeError::Refused { limit: Limit::Instances(2) })));
    assert_eq!(host.instances().len(), 2);
    drop(two);
    let three = planned.lease(&Lease::default()).unwrap();
    host.shutdown();
    assert!(host.instances().is_empty());
    for fly in [&one, &three] {
        assert_eq!(fly.dissolve().reason, Reason::Shutdown);
        assert!(matches!(fly.call(&[0.0; 4]), Err(LifeError::Dissolved { why: Reason::Shutdown, .. })));
    }
    assert!(matches!(planned.lease(&Lease::default()), Err(LifeError::Closed)));
    drop((one, three));
    assert_eq!(host.figures().instances, 0);
}

/// A full vault says how long to wait; what waits for its next life gives way first.
#[test]
fn a_full_vault_is_busy() {
    let mut config = HostConfig::default();
    config.vault.limit_bytes = 256 << 10;
    let host = Host::start(config).unwrap();
    let planned = planned_on(&host);
    let lease = Lease { ttl: Some(Duration::from_secs(60)), ..Lease::default() };
    let mut flies = Vec::new();
    let busy = loop {
        match planned.lease(&lease) {
            Ok(fly) => flies.push(fly),
            Err(error) => break error,
        }
    };
    let LifeError::Busy { used, limit, wait_for, .. } = busy else { panic!("{busy}") };
    assert!(used <= limit && wait_for.is_some_and(|wait| wait <= Duration::from_secs(60)), "{busy}");
    assert!(flies.len() > 10 && flies.iter().all(|fly| fly.call(&[0.0; 4]).is_ok()));
    flies.clear();
    // The bodies wait; a network of another size gets their pages.
    let large = host.build(&Task::network(dense(&[64, 128, 16]))).unwrap();
    assert!(large.lease(&lease).unwrap().call(&[0.5; 64]).is_ok());
}
