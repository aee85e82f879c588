//! The lives that are measured.
use crate::times::Times;
use anyhow::{Result, ensure};
use mayfly_lifecycle::{Host, HostConfig, Lease, Planned, Task};
use mayfly_nn::{Act, Activation, Network, NetworkSpec, Precision};
use mayfly_vault::{Level, Mode, Protection, VaultConfig};
use std::sync::Barrier;
use std::time::{Duration, Instant};

const INPUTS: usize = 64;
const OUTPUTS: usize = 16;

fn network() -> Result<Network> {
    let spec = NetworkSpec::dense(INPUTS, &[32], Act::Relu.into(), OUTPUTS, Activation::IDENTITY);
    Ok(Network::new(spec, 1)?)
}

fn row() -> [f32; INPUTS] {
    std::array::from_fn(|i| (i as f32 * 0.37).sin())
}

/// A network on a host.
pub(crate) struct Setting {
    planned: Planned,
    lease: Lease,
    expected: Vec<f32>,
    /// From a network in memory and a host without any page to the first answer.
    pub(crate) cold: Duration,
}

impl Setting {
    pub(crate) fn new(level: Level, mode: Mode) -> Result<Setting> {
        let network = network()?;
        let expected = network.predict(&row())?;
        let vault = VaultConfig { level, mode, ..VaultConfig::default() };
        let host = Host::start(HostConfig { vault, ..HostConfig::default() })?;
        let lease = Lease { ttl: Some(Duration::from_secs(600)), calls: Some(1000), ..Lease::default() };
        let start = Instant::now();
        let planned = host.build(&Task::network(network))?;
        let answer = planned.lease(&lease)?.call(&row())?;
        let cold = start.elapsed();
        ensure!(answer == expected, "an instance answers otherwise than its network");
        Ok(Setting { planned, lease, expected, cold })
    }

    pub(crate) fn protection(&self) -> Protection {
        self.planned.protection()
    }

    /// Lives with each part timed.
    pub(crate) fn time(&self, runs: usize) -> Result<Times> {
        self.cycle(1000)?;
        let (x, mut y) = (row(), [0.0; OUTPUTS]);
        let mut times = Times::with_capacity(runs);
        let all = Instant::now();
        for _ in 0..runs {
            let start = Instant::now();
            let fly = self.planned.lease(&self.lease)?;
            fly.call_into(&x, &mut y)?;
            times.spawn.push(start.elapsed());
            let start = Instant::now();
            drop(fly);
            times.end.push(start.elapsed());
        }
        times.all = all.elapsed();
        ensure!(y[..] == self.expected[..], "the last answer is another");
        Ok(times)
    }

    /// Lives without a look at the clock.
    pub(crate) fn cycle(&self, runs: usize) -> Result<Duration> {
        let (x, mut y) = (row(), [0.0; OUTPUTS]);
        let start = Instant::now();
        for _ in 0..runs {
            self.planned.lease(&self.lease)?.call_into(&x, &mut y)?;
        }
        ensure!(y[..] == self.expected[..], "the last answer is another");
        Ok(start.elapsed())
    }

    /// Eight threads on which so many live at a time, each answering twice.
    pub(crate) fn crowd(&self, live: usize) -> Result<Duration> {
        let all = Barrier::new(8);
        let part = || -> Result<()> {
            let flies = (0..live / 8).map(|_| self.planned.lease(&self.lease)).collect::<Result<Vec<_>, _>>();
            all.wait(); // until every one of them lives
            let flies = flies?;
            for fly in flies.iter().chain(&flies) {
                ensure!(fly.call(&row())? == self.expected, "an answer is another");
            }
            Ok(())
        };
        let start = Instant::now();
        std::thread::scope(|threads| {
            let threads: Vec<_> = (0..8).map(|_| threads.spawn(part)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
        })?;
        Ok(start.elapsed())
    }
}

/// A session that is built for one answer and dropped.
pub(crate) fn time_sessions(runs: usize) -> Result<Times> {
    let (network, x) = (network()?, row());
    let mut times = Times::with_capacity(runs);
    let all = Instant::now();
    for _ in 0..runs {
        let start = Instant::now();
        let mut session = network.session(1, Precision::F32)?;
        std::hint::black_box(session.infer(&x)?);
        times.spawn.push(start.elapsed());
        let start = Instant::now();
        drop(session);
        times.end.push(start.elapsed());
    }
    times.all = all.elapsed();
    Ok(times)
}
