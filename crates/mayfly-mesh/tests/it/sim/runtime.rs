//! A runtime on virtual time whose tasks belong to nodes: a node can be stopped between any two steps, and killed.

use openraft::AsyncRuntime;
use openraft_rt_sim::{Elapsed, SimInstant, SimJoinError, SimJoinHandle, SimRuntime, SimSleep, SimTimeout};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Stopped,
    Dead,
}

struct Inside {
    way: Way,
    tasks: BTreeMap<u64, Waker>,
}

/// What a node's tasks pass at every step.
pub struct Gate(Mutex<Inside>);

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inside { way: Way::Open, tasks: BTreeMap::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().expect("no panic")
    }

    fn turn(&self, way: Way) {
        let tasks: Vec<Waker> = {
            let mut inside = self.lock();
            if inside.way == Way::Dead {
                return;
            }
            inside.way = way;
            inside.tasks.values().cloned().collect()
        };
        tasks.into_iter().for_each(Waker::wake);
    }

    /// SIGSTOP.
    pub fn stop(&self) {
        self.turn(Way::Stopped);
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.turn(Way::Open);
    }

    /// SIGKILL: no task takes another step.
    pub fn kill(&self) {
        self.turn(Way::Dead);
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Gate>>> = const { RefCell::new(None) };
}

/// A task of a node.
pub struct Gated<F> {
    gate: Option<Arc<Gate>>,
    id: u64,
    /// None once the node is dead.
    future: Option<Pin<Box<F>>>,
}

/// A task behind a gate; what it spawns is behind the same one.
pub fn behind<F: Future>(gate: Option<Arc<Gate>>, future: F) -> Gated<F> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    Gated { gate, id: COUNT.fetch_add(1, Ordering::Relaxed), future: Some(Box::pin(future)) }
}

/// Puts a gate in place for as long as it is held.
struct Within(Option<Arc<Gate>>);

impl Within {
    fn new(gate: Option<Arc<Gate>>) -> Self {
        Self(CURRENT.replace(gate))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _within = Within::new(this.gate.clone());
        let way = this.gate.as_ref().map_or(Way::Open, |gate| {
            let mut inside = gate.lock();
            inside.tasks.insert(this.id, context.waker().clone());
            inside.way
        });
        let polled = match (way, &mut this.future) {
            (Way::Open, Some(future)) => future.as_mut().poll(context),
            (Way::Stopped, _) => Poll::Pending,
            _ => {
                this.future = None;
                Poll::Pending
            }
        };
        if polled.is_ready() {
            this.future = None;
            if let Some(gate) = &this.gate {
                gate.lock().tasks.remove(&this.id);
            }
        }
        polled
    }
}

/// The runtime.
#[derive(Debug)]
pub struct Rt;

impl Rt {
    /// Virtual time since the beginning, in nanoseconds.
    pub fn now_ns() -> u64 {
        SimInstant::try_now().map_or(0, |now| now.elapsed_since_start().as_nanos() as u64)
    }

    /// Runs something on virtual time of its own.
    pub fn simulate<T>(seed: u64, future: impl Future<Output = T>) -> T {
        SimRuntime::with_seed(seed).block_on(future)
    }
}

impl AsyncRuntime for Rt {
    type JoinError = SimJoinError;
    type JoinHandle<T: Send + 'static> = SimJoinHandle<T>;
    type Sleep = SimSleep;
    type Instant = SimInstant;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R> + Send> = SimTimeout<T>;
    type ThreadLocalRng = <SimRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <SimRuntime as AsyncRuntime>::Mpsc;
    type Watch = <SimRuntime as AsyncRuntime>::Watch;
    type Oneshot = <SimRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: Send + 'static> = <SimRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        SimRuntime::spawn(behind(CURRENT.with_borrow(Clone::clone), future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        SimRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        SimRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + Send>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        SimRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        SimRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        SimRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        SimRuntime::thread_rng()
    }

    fn new(_: usize) -> Self {
        Self
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        SimRuntime::with_seed(0).block_on(future)
    }

    fn spawn_blocking<F, T>(f: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        SimRuntime::spawn_blocking(f)
    }
}
