//! A training step allocates nothing: a counting allocator watches this thread.
mod common;

use common::{inputs, networks, values};
use mayfly_nn::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local cell that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|c| c.set(c.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        CALLS.with(|c| c.set(c.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator while `f` runs.
fn calls(f: impl FnOnce()) -> usize {
    let before = CALLS.with(Cell::get);
    f();
    CALLS.with(Cell::get) - before
}

fn config(algorithm: Algorithm) -> TrainConfig {
    TrainConfig { threads: 1, shard_rows: 4, clip_norm: Some(1.0), loss: Loss::Mse, ..TrainConfig::new(algorithm) }
}

#[test]
fn a_step_of_any_algorithm_allocates_nothing() {
    let spec = NetworkSpec::dense(5, &[7], Act::Tanh.into(), 3, Activation::IDENTITY);
    let (x, t) = (values(10 * 5, 1), values(10 * 3, 2));
    for name in Algorithm::NAMES {
        let mut trainer =
            Trainer::new(Network::new(spec.clone(), 1).unwrap(), config(Algorithm::by_name(name).unwrap())).unwrap();
        trainer.step(&x, &t).unwrap();
        assert_eq!(calls(|| _ = trainer.step(&x, &t).unwrap()), 0, "{name}");
    }
}

#[test]
fn a_step_through_any_layer_allocates_nothing() {
    for (name, spec) in networks() {
        let network = Network::new(spec.clone(), 1).unwrap();
        let (x, t) = (inputs(&spec, 10, 1), values(10 * network.output_len(), 2));
        let mut trainer = Trainer::new(network, config(Algorithm::Adam(Adam::default()))).unwrap();
        trainer.step(&x, &t).unwrap();
        assert_eq!(calls(|| _ = trainer.step(&x, &t).unwrap()), 0, "{name}");
    }
}

#[test]
fn the_counter_counts() {
    assert!(calls(|| drop(vec![1_u8; 100])) >= 2);
}
