//! The gradient of a batch: cut into shards whose size depends on the network alone, computed by any number of threads, added in shard order.
//! So the result has the same bits at any number of threads.
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::spec::Lowered;
use mayfly_graph::{Graph, Op, Plan, PlanOptions, Session, gradient};
use mayfly_kernels::{self as k, Buffer, FannMeasure, FannSpan, Isa};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Outputs of a training graph.
const PREDICTION: usize = 0;
const LOSS: usize = 1;

/// Rows of a shard where a row costs one product with each weight: below, adding up gradients would show beside computing them.
const SHARD_ROWS: usize = 256;
/// Shards of a chunk, where rows are read piece by piece.
const SHARDS_A_CHUNK: usize = 16;
/// Rows of a shard and threads, at most, whatever the settings say.
const MOST_ROWS: usize = 1 << 20;
const MOST_THREADS: usize = 256;
/// Dropout counts the shards of a step within this many.
const SHARDS_A_STEP: u64 = 1 << 24;

/// Rows of a batch: what the graph takes of each, and one weight each.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// In the order of the graph's inputs: the first, the further ones, targets.
    pub parts: &'a [&'a [f32]],
    /// Values a row of each part.
    pub lens: &'a [usize],
    pub w: &'a [f32],
}

/// What came of the rows of a batch so far.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Tally {
    /// Sum of the weighted losses.
    pub loss: f64,
    pub rows: usize,
    pub measure: FannMeasure,
    shards: u64,
}

/// How FANN's figures are taken.
#[derive(Clone, Copy)]
pub(super) struct Measuring {
    pub span: FannSpan,
    pub limit: f32,
    /// What the loss has inside, so that the training graph's prediction has not been through it, and the length of the rows that it is over.
    pub inside: Option<(Activation, usize)>,
}

impl Measuring {
    /// FANN's figures of the outputs that belong to a prediction of the training graph.
    pub(super) fn of(&self, prediction: &[f32], targets: &[f32]) -> FannMeasure {
        let Some((inside, row)) = self.inside else {
            return k::fann_measure(prediction, targets, self.span, self.limit);
        };
        let mut outputs = Buffer::from(prediction);
        outputs.chunks_mut(row.max(1)).for_each(|row| squash(inside, row));
        k::fann_measure(&outputs, targets, self.span, self.limit)
    }
}

/// A softmax over the row, or a sigmoid of each of its values.
fn squash(inside: Activation, row: &mut [f32]) {
    if inside == Activation::Softmax {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|v| *v = libm::expf(*v - most));
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|v| *v /= sum);
    } else {
        row.iter_mut().for_each(|v| *v = 1.0 / (1.0 + libm::expf(-*v)));
    }
}

/// What all shards have in common.
#[derive(Clone, Copy)]
struct Cut {
    shard_rows: usize,
    measuring: Option<Measuring>,
}

/// One shard's work.
#[derive(Clone, Copy)]
struct Job<'a> {
    rows: Rows<'a>,
    /// Its rows among them.
    start: usize,
    end: usize,
    params: &'a [f32],
    /// Distinguishes the shard for dropout.
    number: u64,
    measuring: Option<Measuring>,
}

pub(super) struct Engine {
    graph: Graph,
    isa: Isa,
    cut: Cut,
    /// Ranges of running statistics: their "gradient" is the mean over the rows' shards and not the sum.
    running: Vec<Range<usize>>,
    threads: usize,
    pool: Option<rayon::ThreadPool>,
    plans: Vec<Arc<Plan>>,
    workers: Vec<Worker>,
}

/// A thread's own memory.
#[derive(Default)]
struct Worker {
    sessions: Vec<Session>,
    /// The gradient of its last shard, where it does not go to the sum directly.
    grads: Option<Buffer<f32>>,
    done: Done,
}

/// What came of a shard.
#[derive(Clone, Copy, Default)]
struct Done {
    loss: f64,
    rows: usize,
    measure: FannMeasure,
}

impl<'a> Job<'a> {
    fn rows(&self) -> usize {
        self.end - self.start
    }

    /// The shard's part of some values of all rows.
    fn of(&self, values: &'a [f32], len: usize) -> &'a [f32] {
        values.get(self.start * len..self.end * len).unwrap_or_default()
    }
}

impl Cut {
    fn shards(&self, rows: usize) -> usize {
        rows.div_ceil(self.shard_rows)
    }

    /// Shard `index` of some rows; `number` is that of the first.
    fn job<'a>(&self, rows: Rows<'a>, params: &'a [f32], number: u64, index: usize) -> Job<'a> {
        let start = index * self.shard_rows;
        let end = (start + self.shard_rows).min(rows.w.len());
        Job { rows, start, end, params, number: number.wrapping_add(index as u64), measuring: self.measuring }
    }
}

impl Tally {
    /// What came of one row.
    pub(super) fn of_row(loss: f32, measure: FannMeasure) -> Tally {
        Tally { loss: f64::from(loss), rows: 1, measure, shards: 1 }
    }

    fn add(&mut self, done: Done) {
        self.loss += done.loss;
        self.rows += done.rows;
        self.measure.squared += done.measure.squared;
        self.measure.bit_fail += done.measure.bit_fail;
        self.shards += 1;
    }
}

impl Engine {
    pub(super) fn new(
        lowered: &Lowered,
        threads: usize,
        shard_rows: usize,
        measuring: Option<Measuring>,
    ) -> Result<Self> {
        let Some(loss) = lowered.loss else {
            return Err(NnError::option("mode", "inference", "training needs a graph with a loss"));
        };
        let graph = gradient(&lowered.graph, loss)?;
        let shard_rows = if shard_rows == 0 { choose_shard_rows(&lowered.graph) } else { shard_rows.min(MOST_ROWS) };
        let threads = if threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { threads };
        Ok(Engine {
            cut: Cut { shard_rows, measuring },
            running: lowered.momenta.iter().map(|(i, _)| graph.params()[*i].range()).collect(),
            threads: threads.min(MOST_THREADS),
            isa: Isa::detect(),
            pool: None,
            plans: Vec::new(),
            workers: vec![Worker::default()],
            graph,
        })
    }

    /// A good number of rows to read at a time where all `rows` rows are one batch: whole shards, or everything.
    pub(super) fn chunk_rows(&self, rows: Option<usize>) -> usize {
        let chunk = self.cut.shard_rows.saturating_mul(SHARDS_A_CHUNK);
        rows.map_or(chunk, |rows| chunk.min(rows.max(1)))
    }

    /// Adds the gradient of some rows of a batch to `grads`; the first rows of a batch overwrite it. All but the last rows of a batch come in whole shards.
    /// Allocates nothing once it has seen batches of this size, unless several threads work.
    pub(super) fn accumulate(
        &mut self,
        rows: Rows<'_>,
        params: &[f32],
        grads: &mut [f32],
        step: u64,
        tally: &mut Tally,
    ) -> Result<()> {
        let shards = self.cut.shards(rows.w.len());
        self.prepare(rows.w.len(), shards)?;
        let number = step.wrapping_mul(SHARDS_A_STEP).wrapping_add(tally.shards);
        let mut next = 0;
        while next < shards {
            let wave = (shards - next).min(self.workers.len());
            if wave == 1 {
                let job = self.cut.job(rows, params, number, next);
                self.alone(&job, grads, tally)?;
            } else {
                self.together(wave, &|cut, i| cut.job(rows, params, number, next + i), grads, tally)?;
            }
            next += wave;
        }
        Ok(())
    }

    /// One shard on this thread; the first one of a batch goes straight to the sum.
    fn alone(&mut self, job: &Job<'_>, grads: &mut [f32], tally: &mut Tally) -> Result<()> {
        let Some(worker) = self.workers.first_mut() else { return Ok(()) };
        if tally.shards == 0 {
            worker.run(job, grads)?;
            scale_all(self.isa, grads, &self.running, job.rows() as f32);
            tally.add(worker.done);
            return Ok(());
        }
        worker.run_own(job, params_len(job))?;
        worker.give(self.isa, grads, &self.running, tally);
        Ok(())
    }

    /// A wave of shards, one a worker; then their gradients are added in order.
    fn together<'a>(
        &mut self,
        wave: usize,
        job: &(dyn Fn(&Cut, usize) -> Job<'a> + Sync),
        grads: &mut [f32],
        tally: &mut Tally,
    ) -> Result<()> {
        let Engine { workers, pool, cut, isa, running, .. } = self;
        let workers = workers.get_mut(..wave).unwrap_or_default();
        let run = |(i, worker): (usize, &mut Worker)| {
            let job = job(cut, i);
            worker.run_own(&job, params_len(&job))
        };
        match pool {
            Some(pool) => pool.install(|| workers.par_iter_mut().enumerate().try_for_each(run))?,
            None => workers.iter_mut().enumerate().try_for_each(run)?,
        }
        workers.iter_mut().for_each(|worker| worker.give(*isa, grads, running, tally));
        Ok(())
    }

    /// Ends a batch: sums become means where they should.
    pub(super) fn finish(&self, grads: &mut [f32], tally: &Tally) {
        scale_all(self.isa, grads, &self.running, 1.0 / tally.rows.max(1) as f32);
    }

    /// Plans and sessions for the shards of a batch.
    fn prepare(&mut self, rows: usize, shards: usize) -> Result<()> {
        self.start_threads(shards)?;
        let (whole, last) = (self.cut.shard_rows.min(rows), rows - (shards.max(1) - 1) * self.cut.shard_rows);
        for rows in [whole, last] {
            if self.workers.iter().any(|w| !w.knows(rows)) {
                self.plan(rows)?;
            }
        }
        Ok(())
    }

    /// As many workers as there are shards to share out, at most as many as threads.
    fn start_threads(&mut self, shards: usize) -> Result<()> {
        let want = shards.min(self.threads).max(1);
        if want <= self.workers.len() {
            return Ok(());
        }
        self.workers.resize_with(self.threads, Worker::default);
        let refused =
            |e: rayon::ThreadPoolBuildError| NnError::Threads { threads: self.threads, reason: e.to_string() };
        self.pool = Some(rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().map_err(refused)?);
        Ok(())
    }

    fn plan(&mut self, rows: usize) -> Result<()> {
        let plan = match self.plans.iter().find(|p| p.batch() == rows) {
            Some(plan) => plan.clone(),
            None => Plan::new(&self.graph, &PlanOptions::batch(rows))?,
        };
        self.plans.push(plan.clone());
        for worker in self.workers.iter_mut().filter(|w| !w.knows(rows)) {
            worker.sessions.push(Session::for_training(plan.clone()));
        }
        Ok(())
    }
}

fn params_len(job: &Job<'_>) -> usize {
    job.params.len()
}

fn scale_all(isa: Isa, values: &mut [f32], ranges: &[Range<usize>], factor: f32) {
    for range in ranges {
        k::scale(isa, values.get_mut(range.clone()).unwrap_or_default(), factor);
    }
}

impl Worker {
    fn knows(&self, rows: usize) -> bool {
        self.sessions.iter().any(|s| s.plan().batch() == rows)
    }

    /// Computes a shard, its gradient into `grads`.
    fn run(&mut self, job: &Job<'_>, grads: &mut [f32]) -> Result<()> {
        let rows = job.rows();
        let Some(session) = self.sessions.iter_mut().find(|s| s.plan().batch() == rows) else {
            return Err(NnError::NoRows { what: "planned" }); // `prepare` made one for every size of shard
        };
        let Rows { parts, lens, w } = job.rows;
        for (i, (values, len)) in parts.iter().zip(lens).enumerate() {
            session.input_mut(i).copy_from_slice(job.of(values, *len));
        }
        session.input_mut(parts.len()).copy_from_slice(job.of(w, 1));
        session.set_step(job.number);
        session.backprop(job.params, grads)?;
        let (t, len) = (parts.last().copied().unwrap_or_default(), lens.last().copied().unwrap_or(1));
        let measure = job.measuring.map(|m| m.of(session.output(PREDICTION), job.of(t, len)));
        let loss = session.output(LOSS).first().copied().unwrap_or(f32::NAN);
        self.done = Done { loss: f64::from(loss), rows, measure: measure.unwrap_or_default() };
        Ok(())
    }

    /// Computes a shard, its gradient into the worker's own array.
    fn run_own(&mut self, job: &Job<'_>, len: usize) -> Result<()> {
        let mut grads = self.grads.take().unwrap_or_else(|| Buffer::zeroed(len));
        let result = self.run(job, &mut grads);
        self.grads = Some(grads);
        result
    }

    /// Adds the worker's gradient to the sum.
    fn give(&mut self, isa: Isa, sum: &mut [f32], running: &[Range<usize>], tally: &mut Tally) {
        let Some(grads) = &mut self.grads else { return };
        scale_all(isa, grads, running, self.done.rows as f32);
        if tally.shards == 0 {
            sum.copy_from_slice(grads);
        } else {
            k::add_acc(isa, sum, grads);
        }
        tally.add(self.done);
    }
}

/// Shards get smaller where a row costs more than one product with each weight (convolutions, sequences): there is more to share out between two additions of gradients.
fn choose_shard_rows(graph: &Graph) -> usize {
    let shape = |id| graph.shape(id).ok();
    let cost: usize = graph
        .nodes()
        .iter()
        .map(|node| {
            let weight = node.inputs.get(1).and_then(|w| shape(*w)).map_or(0, |s| s.row_len());
            let uses = match node.op {
                Op::Linear(_) => node.shape.row_len() / node.shape.last(),
                Op::Conv2d(_) => node.shape.dims().iter().skip(2).product(),
                Op::Rnn(_) | Op::Lstm(_) | Op::Gru(_) => node.shape.dims().get(1).copied().unwrap_or(1),
                _ => 0,
            };
            weight.saturating_mul(uses)
        })
        .fold(0, usize::saturating_add);
    let times = (cost / graph.param_len().max(1)).max(1);
    let rows = (SHARD_ROWS / times).clamp(8, SHARD_ROWS);
    1 << rows.ilog2()
}
