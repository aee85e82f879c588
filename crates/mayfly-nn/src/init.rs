//! How parameters start. Every parameter draws from its own stream of one seed, so that a layer added behind does not change the ones before it.
use mayfly_base::Rng;
use serde::{Deserialize, Serialize};

/// A scheme for the start of a parameter. `i` and `o` are the connections into and out of one of its units (kernel positions counted in).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Init {
    /// All zero.
    Zeros,
    /// One value.
    Constant(f32),
    /// The parameter cut into equal blocks along its first dimension, one value each.
    Blocks(Vec<f32>),
    /// Uniform between two values.
    Uniform {
        /// Smallest value.
        min: f32,
        /// Largest value.
        max: f32,
    },
    /// Normal around 0.
    Normal {
        /// Standard deviation.
        deviation: f32,
    },
    /// Uniform within `±√(6 / (i + o))` (Glorot & Bengio 2010): for tanh, sigmoid and linear units.
    GlorotUniform,
    /// Normal with variance `2 / (i + o)`.
    GlorotNormal,
    /// Uniform within `±√(6 / i)` (He et al. 2015): for rectifiers.
    HeUniform,
    /// Normal with variance `2 / i`.
    HeNormal,
    /// Normal with variance `1 / i` (LeCun et al. 1998): what SELU needs.
    LecunNormal,
    /// Orthonormal rows or columns (Saxe et al. 2014).
    Orthogonal,
    /// FANN's `fann_randomize_weights`: weights and biases alike, uniform between two values; its networks start with −0.1 and 0.1.
    FannUniform {
        /// Smallest value.
        min: f32,
        /// Largest value.
        max: f32,
    },
    /// FANN's `fann_init_weights`, after Nguyen & Widrow (1990): with `s = (0.7 · hidden units)^(1 / inputs) / (max − min)`,
    /// weights are uniform in `0..s` and biases in `−s..s`.
    NguyenWidrow {
        /// Smallest input in the training data.
        min: f32,
        /// Largest input in the training data.
        max: f32,
    },
}

/// What a parameter is to its layer: a scheme that a user chooses for a whole network goes to the weights, FANN's to the biases too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Multiplies.
    Weight,
    /// Is added.
    Bias,
    /// Has a start of its own: gains, statistics, tables.
    Other,
}

/// How one parameter of a network starts.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamInit {
    /// The layer's own choice.
    pub scheme: Init,
    /// Weight, bias or something else.
    pub part: Part,
    /// Connections into a unit.
    pub fan_in: usize,
    /// Connections out of a unit.
    pub fan_out: usize,
}

/// What FANN's Nguyen–Widrow needs to know of the whole network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetSize {
    pub inputs: usize,
    pub hidden: usize,
}

impl ParamInit {
    /// The scheme to use when the user chose `chosen` for the network.
    pub(crate) fn resolve(&self, chosen: Option<&Init>) -> Init {
        let everywhere = matches!(chosen, Some(Init::FannUniform { .. } | Init::NguyenWidrow { .. }));
        match (chosen, self.part) {
            (Some(init), Part::Weight) => init.clone(),
            (Some(init), Part::Bias) if everywhere => init.clone(),
            _ => self.scheme.clone(),
        }
    }

    /// Fills a parameter with `rows` rows (its first dimension).
    pub(crate) fn fill(&self, init: &Init, values: &mut [f32], rows: usize, size: NetSize, rng: &mut Rng) {
        let (i, o) = (self.fan_in as f32, self.fan_out as f32);
        match init {
            Init::Zeros => values.fill(0.0),
            Init::Constant(v) => values.fill(*v),
            Init::Blocks(blocks) => fill_blocks(values, blocks),
            Init::Uniform { min, max } | Init::FannUniform { min, max } => uniform(values, *min, *max, rng),
            Init::Normal { deviation } => normal(values, *deviation, rng),
            Init::GlorotUniform => within(values, (6.0 / (i + o)).sqrt(), rng),
            Init::GlorotNormal => normal(values, (2.0 / (i + o)).sqrt(), rng),
            Init::HeUniform => within(values, (6.0 / i).sqrt(), rng),
            Init::HeNormal => normal(values, (2.0 / i).sqrt(), rng),
            Init::LecunNormal => normal(values, (1.0 / i).sqrt(), rng),
            Init::Orthogonal => orthogonal(values, rows, rng),
            Init::NguyenWidrow { min, max } => {
                let s = size.nguyen_widrow(f64::from(max - min));
                uniform(values, if self.part == Part::Bias { -s } else { 0.0 }, s, rng);
            }
        }
    }
}

impl NetSize {
    fn nguyen_widrow(self, range: f64) -> f32 {
        let root = libm::pow(0.7 * self.hidden.max(1) as f64, 1.0 / self.inputs.max(1) as f64);
        if range > 0.0 { (root / range) as f32 } else { root as f32 }
    }
}

fn uniform(values: &mut [f32], min: f32, max: f32, rng: &mut Rng) {
    values.iter_mut().for_each(|v| *v = rng.between(min, max));
}

fn within(values: &mut [f32], limit: f32, rng: &mut Rng) {
    uniform(values, -limit, limit, rng);
}

fn normal(values: &mut [f32], deviation: f32, rng: &mut Rng) {
    values.iter_mut().for_each(|v| *v = rng.normal() as f32 * deviation);
}

fn fill_blocks(values: &mut [f32], blocks: &[f32]) {
    let len = values.len().div_ceil(blocks.len().max(1)).max(1);
    values.chunks_mut(len).zip(blocks).for_each(|(block, v)| block.fill(*v));
}

/// Normal draws made orthonormal, along the shorter side, by Gram–Schmidt (each vector cleaned twice, which is enough: Giraud et al. 2005).
fn orthogonal(values: &mut [f32], rows: usize, rng: &mut Rng) {
    let columns = values.len() / rows.max(1);
    let (count, len) = if rows <= columns { (rows, columns) } else { (columns, rows) };
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut v: Vec<f64> = (0..len).map(|_| rng.normal()).collect();
        clean(&mut v, &basis);
        clean(&mut v, &basis);
        if normalise(&mut v) {
            basis.push(v);
        }
    }
    for (r, row) in values.chunks_exact_mut(columns.max(1)).enumerate() {
        for (c, value) in row.iter_mut().enumerate() {
            *value = if rows <= columns { basis[r][c] } else { basis[c][r] } as f32;
        }
    }
}

/// Takes the parts along `basis` out of `v`.
fn clean(v: &mut [f64], basis: &[Vec<f64>]) {
    for b in basis {
        let along: f64 = v.iter().zip(b).map(|(x, y)| x * y).sum();
        v.iter_mut().zip(b).for_each(|(x, y)| *x -= along * y);
    }
}

/// Scales `v` to length 1; false if there is next to nothing left of it.
fn normalise(v: &mut [f64]) -> bool {
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.iter_mut().for_each(|x| *x /= length);
    length > 1e-6
}
