//! Hosts and networks for tests.
#![allow(dead_code)] // each test uses some of it
use mayfly_lifecycle::{Host, HostConfig, HostParts, Planned, Reaping, SimulatedClock, Task};
use mayfly_nn::{Act, Activation, Network, NetworkSpec};
use std::sync::Arc;

pub fn host() -> Host {
    Host::start(HostConfig::default()).unwrap()
}

/// A host whose time stands still until it is moved.
pub fn simulated() -> (Host, Arc<SimulatedClock>) {
    let clock = Arc::new(SimulatedClock::default());
    let parts = HostParts { clock: clock.clone(), ..HostParts::default() };
    let config = HostConfig { reaping: Reaping::Manual, ..HostConfig::default() };
    (Host::start_with(config, parts).unwrap(), clock)
}

/// Layers of these sizes.
pub fn dense(sizes: &[usize]) -> Network {
    let (inputs, rest) = sizes.split_first().unwrap();
    let (outputs, hidden) = rest.split_last().unwrap();
    Network::new(NetworkSpec::dense(*inputs, hidden, Act::Relu.into(), *outputs, Activation::IDENTITY), 7).unwrap()
}

pub fn planned_on(host: &Host) -> Planned {
    host.build(&Task::network(dense(&[4, 8, 2]))).unwrap()
}

pub fn planned() -> Planned {
    planned_on(&host())
}
