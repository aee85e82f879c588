//! Many lives: nothing grows, nothing is allocated, nothing is left. `cargo xtask bench lifecycle` does the same a million times and takes the time.
#![cfg(target_os = "linux")]
mod common;

use common::{dense, host};
use mayfly_lifecycle::{Lease, Planned, Task};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

/// Counts the allocations of this thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Resident kilobytes, mappings and descriptors of this process.
fn footprint() -> (usize, usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let resident = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mappings = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    (resident, mappings, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

fn cycle(planned: &Planned, lease: &Lease, x: &[f32], y: &mut [f32]) {
    let fly = planned.lease(lease).unwrap();
    fly.call_into(x, y).unwrap();
}

fn rounds(short: usize) -> usize {
    if std::env::var_os("MAYFLY_HEAVY").is_some() { 1_000_000 } else { short }
}

#[test]
fn cycles_allocate_nothing_and_nothing_grows() {
    let planned = host().build(&Task::network(dense(&[64, 32, 16]))).unwrap();
    let lease = Lease { ttl: Some(Duration::from_secs(600)), calls: Some(10), ..Lease::default() };
    let (x, mut y) = ([0.5; 64], [0.0; 16]);
    (0..1000).for_each(|_| cycle(&planned, &lease, &x, &mut y));
    let (resident, mappings, descriptors) = footprint();
    let before = ALLOCATIONS.with(Cell::get);
    (0..rounds(30_000)).for_each(|_| cycle(&planned, &lease, &x, &mut y));
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    let now = footprint();
    assert!(now.0.abs_diff(resident) <= 1024, "resident: {resident} kB and then {} kB", now.0);
    assert_eq!((now.1, now.2), (mappings, descriptors));
}

/// Eight threads, many alive at a time. Each answer is that of the network, so no slot is shared.
#[test]
fn many_live_at_a_time_on_many_threads() {
    let live = if std::env::var_os("MAYFLY_HEAVY").is_some() { 10_000 } else { 400 };
    let host = host();
    let networks: Vec<_> = [[8, 8, 2], [64, 32, 2], [16, 64, 2]].iter().map(|sizes| dense(sizes)).collect();
    let planned: Vec<_> = networks.iter().map(|n| host.build(&Task::network(n.clone())).unwrap()).collect();
    let turn = |thread: usize| {
        let mut flies = Vec::new();
        for i in 0..3 * live / 8 {
            let which = (i + thread) % planned.len();
            let x: Vec<f32> = (0..planned[which].input_len()).map(|k| ((k + i) as f32).sin()).collect();
            let fly = planned[which].lease(&Lease::default()).unwrap();
            let y = fly.call(&x).unwrap();
            flies.push((which, x, y, fly));
            if flies.len() > live / 8 {
                let (which, x, y, fly) = flies.swap_remove((i * 7) % flies.len());
                assert_eq!(fly.call(&x).unwrap(), y);
                assert_eq!(networks[which].predict(&x).unwrap(), y);
            }
        }
        for (_, x, y, fly) in &flies {
            assert_eq!(&fly.call(x).unwrap(), y);
        }
        flies.len()
    };
    let turn = &turn;
    // Slots of one of each: of a kind there are never more than live at a time.
    let one_of_each: Vec<_> = planned.iter().map(|p| p.lease(&Lease::default()).unwrap()).collect();
    let most = host.figures().vault.slots * (live + 8);
    drop(one_of_each);
    let all = || {
        std::thread::scope(|s| {
            let threads: Vec<_> = (0..8).map(|t| s.spawn(move || turn(t))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum::<usize>()
        })
    };
    assert_eq!(all(), live / 8 * 8);
    // Further rounds find slots there, whatever the timing of the threads: without that there would be one for each of all leases.
    let rounds = 8;
    assert!((1..rounds).all(|_| all() == live / 8 * 8));
    let (slots, leases) = (host.figures().vault.slots, rounds * 8 * (3 * live / 8));
    assert!(slots <= most && most < leases, "{slots} slots for {leases} leases, of which {most} would do");
    assert_eq!(host.figures().instances, 0);
    host.shutdown();
    assert_eq!(host.figures().vault.used_bytes, planned.iter().map(|p| p.params_bytes()).sum::<usize>());
}
