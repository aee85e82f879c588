//! What a life costs: spawn to first answer, dissolve, and whole cycles, of a 64-32-16 network with a warm plan.
use mayfly_lifecycle::{Ephemeral, Lease, LifeError, Task};
use mayfly_nn::{Act, Activation, Network, NetworkSpec};
use std::time::{Duration, Instant};

fn main() -> Result<(), LifeError> {
    let spec = NetworkSpec::dense(64, &[32], Act::Relu.into(), 16, Activation::IDENTITY);
    let task = Task::network(Network::new(spec, 1)?);
    let planned = Ephemeral::build(&task)?;
    let lease = Lease { ttl: Some(Duration::from_secs(60)), calls: Some(10), ..Lease::default() };
    let (x, mut y) = ([0.5; 64], [0.0; 16]);
    let rounds = 100_000;
    let (mut spawn, mut end) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    let all = Instant::now();
    for _ in 0..rounds {
        let start = Instant::now();
        let fly = planned.lease(&lease)?;
        fly.call_into(&x, &mut y)?;
        spawn.push(start.elapsed());
        let start = Instant::now();
        drop(fly);
        end.push(start.elapsed());
    }
    let all = all.elapsed();
    spawn.sort_unstable();
    end.sort_unstable();
    for (what, times) in [("spawn to first answer", &spawn), ("dissolve", &end)] {
        println!("{what}: p50 {:?}, p99 {:?}", times[rounds / 2], times[rounds * 99 / 100]);
    }
    println!("{:.0} cycles a second; slots protected: {}", rounds as f64 / all.as_secs_f64(), planned.protection());
    Ok(())
}
