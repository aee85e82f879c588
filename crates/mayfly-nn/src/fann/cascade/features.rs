//! What neurons see: inputs, the bias and the neurons installed so far, for every row.
use super::Neuron;
use mayfly_kernels::{self as k, Buffer, Isa, MatMul, Trans};

/// One line of values over all rows for each input, then the bias (1), then each hidden neuron.
pub(super) struct Features {
    isa: Isa,
    rows: usize,
    count: usize,
    /// `[count, rows]`, with room for what will come.
    values: Buffer<f32>,
    inputs: usize,
}

impl Features {
    pub(super) fn new(x: &[f32], inputs: usize, max_neurons: usize) -> Self {
        let rows = x.len() / inputs;
        let mut values = Buffer::zeroed((inputs + 1 + max_neurons) * rows);
        let isa = Isa::detect();
        k::transpose(isa, &mut values[..inputs * rows], x, [1, 1, rows, inputs], [0, 1, 3, 2]);
        values[inputs * rows..(inputs + 1) * rows].fill(1.0);
        Features { isa, rows, count: inputs + 1, values, inputs }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Hidden neurons among them.
    pub(super) fn hidden(&self) -> usize {
        self.count - self.inputs - 1
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    fn values(&self) -> &[f32] {
        &self.values[..self.count * self.rows]
    }

    /// `sums [units, rows] = weights [units, count] · values`.
    pub(super) fn sums(&self, sums: &mut [f32], weights: &[f32], scratch: &mut Scratch) {
        let p = MatMul { m: sums.len() / self.rows, k: self.count, n: self.rows, a: Trans::No, b: Trans::No };
        k::matmul(self.isa, sums, weights, self.values(), scratch.of(p), p);
    }

    /// `grads [units, count] = errors [units, rows] · valuesᵀ`.
    pub(super) fn gradient(&self, grads: &mut [f32], errors: &[f32], scratch: &mut Scratch) {
        let p = MatMul { m: errors.len() / self.rows, k: self.rows, n: self.count, a: Trans::No, b: Trans::Yes };
        k::matmul(self.isa, grads, errors, self.values(), scratch.of(p), p);
    }

    /// Adds a neuron's values.
    pub(super) fn push(&mut self, neuron: &Neuron) {
        let mut sums = Buffer::zeroed(self.rows);
        self.sums(&mut sums, &neuron.weights, &mut Scratch::default());
        let line = self.count * self.rows..(self.count + 1) * self.rows;
        k::act_fwd(self.isa, neuron.act, &mut self.values[line], &sums);
        self.count += 1;
    }
}

/// Memory for products, as much as the largest needed so far.
#[derive(Default)]
pub(super) struct Scratch(Option<Buffer<f32>>);

impl Scratch {
    fn of(&mut self, p: MatMul) -> &mut [f32] {
        let len = p.scratch_len();
        if self.0.as_ref().is_none_or(|b| b.len() < len) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| Buffer::zeroed(len))
    }
}
