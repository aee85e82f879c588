//! A plain network with start weights that every contestant gets, and a reference in f64 to hold answers against.

use crate::cases::{Activation, Optimiser};

/// Weights of one dense layer, row-major `[outputs, inputs]`.
#[derive(Clone)]
pub struct Layer {
    pub inputs: usize,
    pub outputs: usize,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Dense layers; hidden ones with the activation, the last linear.
#[derive(Clone)]
pub struct Net {
    pub dims: Vec<usize>,
    pub activation: Activation,
    pub layers: Vec<Layer>,
}

/// Steps taken before a trained network's outputs are compared.
pub const CHECK_STEPS: usize = 3;

/// A small generator of its own (SplitMix64), so that runs are the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in -1..1.
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    pub fn vec(&mut self, len: usize, scale: f32) -> Vec<f32> {
        (0..len).map(|_| self.next() * scale).collect()
    }
}

impl Net {
    /// Glorot-uniform weights and small biases from a fixed seed.
    pub fn new(dims: &[usize], activation: Activation) -> Self {
        let mut random = Random::new(1);
        let layer = |w: &[usize]| {
            let scale = (6.0 / (w[0] + w[1]) as f32).sqrt();
            let weights = random.vec(w[0] * w[1], scale);
            Layer { inputs: w[0], outputs: w[1], weights, bias: random.vec(w[1], 0.1) }
        };
        let layers = dims.windows(2).map(layer).collect();
        Self { dims: dims.to_vec(), activation, layers }
    }

    pub fn inputs(&self) -> usize {
        self.dims[0]
    }

    pub fn outputs(&self) -> usize {
        self.dims[self.dims.len() - 1]
    }

    /// Input rows and target rows, the same for everyone.
    pub fn data(&self, rows: usize) -> (Vec<f32>, Vec<f32>) {
        let mut random = Random::new(2);
        (random.vec(rows * self.inputs(), 1.0), random.vec(rows * self.outputs(), 0.5))
    }

    /// The least and the largest value that go into each layer on the rows that are timed.
    pub fn ranges(&self, rows: usize) -> Vec<[f32; 2]> {
        let slots: Vec<Slot> = self.layers.iter().map(Slot::new).collect();
        let mut ranges = vec![[0.0_f32; 2]; slots.len()];
        for x in self.data(rows).0.chunks(self.inputs()) {
            let mut x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
            for (slot, range) in slots.iter().zip(&mut ranges) {
                x.iter().for_each(|&v| *range = [range[0].min(v as f32), range[1].max(v as f32)]);
                let sums = slot.forward(&x);
                x = sums
                    .into_iter()
                    .map(|v| if self.activation == Activation::Relu { v.max(0.0) } else { v.tanh() })
                    .collect();
            }
        }
        ranges
    }

    /// Outputs in f64.
    pub fn reference(&self, x: &[f32]) -> Vec<f64> {
        Reference::new(self).outputs(x)
    }

    /// Outputs in f64 after [`CHECK_STEPS`] training steps.
    pub fn reference_trained(&self, x: &[f32], t: &[f32], optimiser: Optimiser) -> Vec<f64> {
        let mut reference = Reference::new(self);
        for step in 1..=CHECK_STEPS {
            reference.step(x, t, optimiser, step as i32);
        }
        reference.outputs(x)
    }
}

/// Parameters of a layer in f64, each with its gradient and two moments.
struct Slot {
    inputs: usize,
    value: Vec<f64>,
    gradient: Vec<f64>,
    moments: Vec<[f64; 2]>,
}

impl Slot {
    /// One row per output: its weights, then its bias.
    fn new(layer: &Layer) -> Self {
        let rows = layer.weights.chunks(layer.inputs).zip(&layer.bias);
        let value: Vec<f64> = rows.flat_map(|(w, b)| w.iter().chain([b])).map(|&v| f64::from(v)).collect();
        let len = value.len();
        Self { inputs: layer.inputs, value, gradient: vec![0.0; len], moments: vec![[0.0; 2]; len] }
    }

    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let neuron = |row: &[f64]| row[self.inputs] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        self.value.chunks(self.inputs + 1).map(neuron).collect()
    }

    /// Adds to the gradient and returns the gradient of the input.
    fn backward(&mut self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let width = self.inputs + 1;
        let mut dx = vec![0.0; self.inputs];
        for (j, d) in dy.iter().enumerate() {
            let at = j * width;
            for (i, x) in x.iter().chain(&[1.0]).enumerate() {
                self.gradient[at + i] += d * x;
            }
            dx.iter_mut().zip(&self.value[at..]).for_each(|(dx, w)| *dx += d * w);
        }
        dx
    }

    fn update(&mut self, optimiser: Optimiser, step: i32) {
        let rate = f64::from(optimiser.rate());
        for ((value, g), [m, v]) in self.value.iter_mut().zip(&mut self.gradient).zip(&mut self.moments) {
            *value -= rate
                * match optimiser {
                    Optimiser::Sgd => *g,
                    Optimiser::Adam => {
                        *m = 0.9 * *m + 0.1 * *g;
                        *v = 0.999 * *v + 0.001 * *g * *g;
                        (*m / (1.0 - 0.9f64.powi(step))) / ((*v / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8)
                    }
                };
            *g = 0.0;
        }
    }
}

struct Reference {
    slots: Vec<Slot>,
    activation: Activation,
}

impl Reference {
    fn new(net: &Net) -> Self {
        Self { slots: net.layers.iter().map(Slot::new).collect(), activation: net.activation }
    }

    fn rows<'a>(&self, x: &'a [f32]) -> impl Iterator<Item = Vec<f64>> + use<'a> {
        x.chunks(self.slots[0].inputs).map(|row| row.iter().map(|&v| f64::from(v)).collect())
    }

    /// The input of every layer, and the outputs last.
    fn forward(&self, row: Vec<f64>) -> Vec<Vec<f64>> {
        let mut values = vec![row];
        for (at, slot) in self.slots.iter().enumerate() {
            let mut y = slot.forward(&values[at]);
            if at + 1 < self.slots.len() {
                y.iter_mut().for_each(|v| *v = if self.activation == Activation::Relu { v.max(0.0) } else { v.tanh() });
            }
            values.push(y);
        }
        values
    }

    fn outputs(&self, x: &[f32]) -> Vec<f64> {
        self.rows(x).flat_map(|row| self.forward(row).pop().unwrap_or_default()).collect()
    }

    fn step(&mut self, x: &[f32], t: &[f32], optimiser: Optimiser, step: i32) {
        let targets = t.len();
        let outputs = targets / (x.len() / self.slots[0].inputs);
        for (row, t) in self.rows(x).zip(t.chunks(outputs)).collect::<Vec<_>>() {
            let values = self.forward(row);
            let y = &values[self.slots.len()];
            let mut d: Vec<f64> = y.iter().zip(t).map(|(y, t)| 2.0 * (y - f64::from(*t)) / targets as f64).collect();
            for at in (0..self.slots.len()).rev() {
                d = self.slots[at].backward(&values[at], &d);
                if at > 0 {
                    d.iter_mut().zip(&values[at]).for_each(|(d, y)| *d *= self.slope(*y));
                }
            }
        }
        self.slots.iter_mut().for_each(|slot| slot.update(optimiser, step));
    }

    /// The activation's derivative, from its value.
    fn slope(&self, y: f64) -> f64 {
        match self.activation {
            Activation::Relu => f64::from(u8::from(y > 0.0)),
            Activation::Tanh => 1.0 - y * y,
        }
    }
}
