//! A run allocates nothing, and a dropped session leaves only zeros behind.
use mayfly_graph::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts allocations of this thread and looks at what is in memory when it is freed.
struct Watching;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static WATCH_FREES: Cell<bool> = const { Cell::new(false) };
    static LARGE_FREES: Cell<usize> = const { Cell::new(0) };
    static DIRTY_FREES: Cell<usize> = const { Cell::new(0) };
}

/// Blocks smaller than this hold bookkeeping (names, steps), no values of the network.
const LARGE: usize = 1024;

// SAFETY: every call is handed to the system's allocator unchanged; freed memory is only read, while it is still allocated.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|a| a.set(a.get() + 1));
        let _ = BYTES.try_with(|b| b.set(b.get() + layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let watch = WATCH_FREES.try_with(Cell::get).unwrap_or(false);
        if watch && layout.size() >= LARGE {
            // SAFETY: the block is still allocated, `layout.size()` bytes long, and was zeroed when allocated.
            let bytes = unsafe { std::slice::from_raw_parts(ptr, layout.size()) };
            let dirty = bytes.iter().any(|b| *b != 0);
            LARGE_FREES.with(|n| n.set(n.get() + 1));
            DIRTY_FREES.with(|n| n.set(n.get() + usize::from(dirty)));
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

fn network(training: bool) -> (Graph, usize) {
    let mut g = Graph::new();
    let x = g.input("x", Shape::batched(&[32]).unwrap()).unwrap();
    let (w1, b1) = (g.param("w1", &[256, 32]).unwrap(), g.param("b1", &[256]).unwrap());
    let (w2, b2) = (g.param("w2", &[8, 256]).unwrap(), g.param("b2", &[8]).unwrap());
    let h = g.linear(x, w1, Some(b1)).unwrap();
    let h = g.act(h, Act::Relu).unwrap();
    let y = g.linear(h, w2, Some(b2)).unwrap();
    g.output("y", y).unwrap();
    let n = g.param_len();
    if !training {
        return (g, n);
    }
    let t = g.input("t", Shape::batched(&[8]).unwrap()).unwrap();
    let w = g.input("w", Shape::batched(&[]).unwrap()).unwrap();
    let rows = g.loss_rows(Loss::Mse, y, t).unwrap();
    let loss = g.weighted_sum(rows, w).unwrap();
    (gradient(&g, loss).unwrap(), n)
}

fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    f();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) > 0);
}

#[test]
fn inference_allocates_nothing() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        for batch in [1, 16] {
            let (g, n) = network(false);
            let plan = Plan::new(&g, &PlanOptions { precision, ..PlanOptions::batch(batch) }).unwrap();
            let mut session = Session::new(plan, &vec![0.1; n]).unwrap();
            let x = vec![0.5; 32 * batch];
            session.infer(&x).unwrap(); // the first call may detect the CPU
            let count = allocations(|| {
                std::hint::black_box(session.infer(&x).unwrap());
            });
            assert_eq!(count, 0, "{precision:?}, batch {batch}");
        }
    }
}

#[test]
fn training_allocates_nothing() {
    for batch in [1, 16, 256] {
        let (g, n) = network(true);
        let mut session = Session::for_training(Plan::new(&g, &PlanOptions::batch(batch)).unwrap());
        let (params, mut grads) = (vec![0.1; n], vec![0.0; n]);
        session.backprop(&params, &mut grads).unwrap();
        assert_eq!(allocations(|| session.backprop(&params, &mut grads).unwrap()), 0, "batch {batch}");
    }
}

#[test]
fn a_dropped_session_leaves_zeros() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let (g, n) = network(false);
        let plan = Plan::new(&g, &PlanOptions { precision, ..PlanOptions::batch(16) }).unwrap();
        let mut session = Session::new(plan.clone(), &vec![0.1; n]).unwrap();
        session.infer(&[0.5; 32 * 16]).unwrap();
        assert!(session.output(0).iter().any(|y| *y != 0.0));
        WATCH_FREES.with(|w| w.set(true));
        drop(session);
        WATCH_FREES.with(|w| w.set(false));
        // The arena and the two layers' packed weights.
        assert!(LARGE_FREES.with(|n| n.replace(0)) >= 3, "{precision:?}");
        assert_eq!(DIRTY_FREES.with(Cell::get), 0, "{precision:?}");
    }
}

/// Nine batch sizes hold one copy of the weights, which is wiped when the last session goes.
#[test]
fn sessions_share_their_weights() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let (g, n) = network(false);
        let params: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
        let plan = |batch| Plan::new(&g, &PlanOptions { precision, ..PlanOptions::batch(batch) }).unwrap();
        let plans: Vec<_> = (0..9).map(|k| plan(1 << k)).collect();
        let weights = Weights::new(&plans[0], &params).unwrap();
        let mut sessions = Vec::with_capacity(plans.len());
        for plan in &plans {
            let before = BYTES.with(Cell::get);
            sessions.push(Session::with_weights(plan.clone(), weights.clone()).unwrap());
            let took = BYTES.with(Cell::get) - before;
            assert!(
                took <= plan.arena_bytes() + 4 * 1024,
                "{precision:?}: {took} bytes for a batch of {}",
                plan.batch()
            );
            assert!(weights.bytes() > 8 * 1024, "and a copy of the weights would be {weights:?}");
        }
        for (session, plan) in sessions.iter_mut().zip(&plans) {
            let x: Vec<f32> = (0..32 * plan.batch()).map(|i| (i as f32).cos()).collect();
            let mut alone = Session::new(plan.clone(), &params).unwrap();
            assert_eq!(session.infer(&x).unwrap(), alone.infer(&x).unwrap(), "{precision:?}");
        }
        drop(weights);
        let mut last = sessions.pop().unwrap();
        let x = vec![0.5; 32 * last.plan().batch()];
        let y = last.infer(&x).unwrap().to_vec();
        drop(sessions);
        assert_eq!(last.infer(&x).unwrap(), y, "the weights stay as long as one session has them");
        LARGE_FREES.with(|n| n.set(0));
        WATCH_FREES.with(|w| w.set(true));
        drop(last);
        WATCH_FREES.with(|w| w.set(false));
        assert!(LARGE_FREES.with(|n| n.replace(0)) >= 3, "{precision:?}");
        assert_eq!(DIRTY_FREES.with(Cell::get), 0, "{precision:?}");
    }
}

#[test]
fn a_dropped_training_session_leaves_zeros() {
    let (g, n) = network(true);
    let plan = Plan::new(&g, &PlanOptions::batch(64)).unwrap();
    let mut session = Session::for_training(plan.clone()); // a plan holds no values
    let (params, mut grads) = (vec![0.1; n], vec![0.0; n]);
    session.backprop(&params, &mut grads).unwrap();
    WATCH_FREES.with(|w| w.set(true));
    drop(session);
    WATCH_FREES.with(|w| w.set(false));
    assert!(LARGE_FREES.with(|n| n.replace(0)) >= 1);
    assert_eq!(DIRTY_FREES.with(Cell::get), 0);
}

#[test]
fn the_watcher_sees_what_is_left() {
    let secret = vec![7u8; 2 * LARGE];
    WATCH_FREES.with(|w| w.set(true));
    drop(std::hint::black_box(secret));
    WATCH_FREES.with(|w| w.set(false));
    LARGE_FREES.with(|n| n.set(0));
    assert_eq!(DIRTY_FREES.with(|n| n.replace(0)), 1);
}
