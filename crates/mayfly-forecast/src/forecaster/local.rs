//! Local models: one network for each series instead of one for all.
use super::network::{Networks, Task};
use super::watch::{Progress, Watch};
use crate::error::Result;
use crate::frame::SeriesFrame;
use mayfly_nn::{Control, Network};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often it is asked whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The parameters of each series' network.
pub(super) type Locals = BTreeMap<String, Vec<f32>>;

/// What training them came to.
pub(super) struct TrainedEach {
    pub(super) locals: Locals,
    pub(super) seconds: f64,
    pub(super) steps: usize,
    pub(super) windows: usize,
}

/// One series, trained.
struct One {
    id: String,
    params: Vec<f32>,
    steps: usize,
    windows: usize,
}

/// Asked by the trainings, which run on other threads.
struct Flag<'a>(&'a AtomicBool);

impl Watch for Flag<'_> {
    fn control(&mut self) -> Control {
        if self.0.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
    }
}

/// Trains a network for each series of the task's frame, several at once, each on one thread. Those in `from` go on from their parameters. None where it was asked to stop.
pub(super) fn train_each(task: &Task<'_>, from: Option<&Locals>, watch: &mut dyn Watch) -> Result<Option<TrainedEach>> {
    let start = Instant::now();
    let count = task.frame.len();
    let threads = match task.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let (stop, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (sender, done) = channel();
    let each = std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            let (sender, stop, next) = (sender.clone(), &stop, &next);
            scope.spawn(move || work(task, from, stop, next, &sender));
        }
        drop(sender);
        let each = gather(&done, task, &stop, watch);
        stop.store(true, Ordering::Relaxed);
        each
    })?;
    let Some(each) = each.filter(|each| each.len() == count) else { return Ok(None) };
    let sum = |of: fn(&One) -> usize| each.iter().map(of).sum();
    let (steps, windows) = (sum(|one| one.steps), sum(|one| one.windows));
    let locals = each.into_iter().map(|one| (one.id, one.params)).collect();
    Ok(Some(TrainedEach { locals, seconds: start.elapsed().as_secs_f64(), steps, windows }))
}

/// Takes series until there are none, or one fails.
fn work(
    task: &Task<'_>,
    from: Option<&Locals>,
    stop: &AtomicBool,
    next: &AtomicUsize,
    sender: &Sender<Result<Option<One>>>,
) {
    loop {
        let i = next.fetch_add(1, Ordering::Relaxed);
        if i >= task.frame.len() || stop.load(Ordering::Relaxed) {
            return;
        }
        let one = train_one(task, from, i, stop);
        let is_over = one.is_err();
        if sender.send(one).is_err() || is_over {
            return;
        }
    }
}

fn train_one(task: &Task<'_>, from: Option<&Locals>, i: usize, stop: &AtomicBool) -> Result<Option<One>> {
    let frame = task.frame.only(i);
    let id = frame.ids.first().cloned().unwrap_or_default();
    let before = from.and_then(|locals| locals.get(&id));
    let network = before.map(|params| network(task, &frame, params)).transpose()?;
    let alone = Task { frame: &frame, threads: 1, from: network.as_ref(), ..*task };
    let trained = alone.train(&mut Flag(stop))?;
    let (steps, windows) = (trained.steps, trained.windows);
    let params = trained.networks.first.params().to_vec();
    Ok((!trained.stopped).then_some(One { id, params, steps, windows }))
}

fn network(task: &Task<'_>, frame: &SeriesFrame, params: &[f32]) -> Result<Network> {
    let shape = task.model.shape(task.input_size, task.h, frame.exogenous(), 1);
    Ok(Networks::new(task.model, shape, params)?.first)
}

/// Collects what is done, and tells of it. None where it was asked to stop.
fn gather(
    done: &Receiver<Result<Option<One>>>,
    task: &Task<'_>,
    stop: &AtomicBool,
    watch: &mut dyn Watch,
) -> Result<Option<Vec<One>>> {
    let mut each: Vec<One> = Vec::with_capacity(task.frame.len());
    loop {
        // One series may train for long: who wants to stop is not kept waiting for it.
        if watch.control() == Control::Stop {
            stop.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        match done.recv_timeout(LOOK) {
            Ok(one) => match one? {
                Some(one) => each.push(one),
                None => return Ok(None),
            },
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(Some(each)),
        }
        watch.progress(&Progress {
            model: &task.model.alias,
            number: task.number,
            step: each.len(),
            steps: task.frame.len(),
            train_loss: f64::NAN,
            validation_loss: None,
        });
    }
}
