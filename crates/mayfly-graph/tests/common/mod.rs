//! What the graph's tests share: seeded values, the op table's examples and a tolerance that can fail.
#![allow(dead_code)]
use mayfly_graph::*;

/// SplitMix64: enough for test data, and the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Uniform in −1..1, rounded to f32 so that both sides see the same numbers.
    pub fn value(&mut self) -> f64 {
        f64::from((self.unit() * 2.0 - 1.0) as f32)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }
}

/// `|got − want| ≤ tolerance · (1 + |want|)` for every element; NaN never passes.
pub fn close(got: &[f32], want: &[f64], tolerance: f64) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} values, not {}", got.len(), want.len()));
    }
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let fits = (f64::from(*g) - w).abs() <= tolerance * (1.0 + w.abs());
        if !fits {
            return Err(format!("element {i}: {g}, not {w}"));
        }
    }
    Ok(())
}

pub fn narrow(v: &[f64]) -> Vec<f32> {
    v.iter().map(|x| *x as f32).collect()
}

/// A graph with values for everything it reads.
pub struct Filled {
    pub graph: Graph,
    pub batch: usize,
    pub params: Vec<f64>,
    pub inputs: Vec<Vec<f64>>,
}

/// Values for a graph: inputs called `ids…` get small integers, `w` positive weights, all else −1..1.
pub fn fill(graph: Graph, batch: usize, seed: u64) -> Filled {
    let mut rng = Rng(seed);
    let params = (0..graph.param_len()).map(|_| rng.value()).collect();
    let inputs = graph
        .inputs()
        .iter()
        .map(|(name, id)| {
            let n = graph.shape(*id).unwrap().at(batch).len();
            (0..n)
                .map(|_| match name.as_str() {
                    n if n.starts_with("ids") => rng.below(5) as f64,
                    "w" => f64::from((rng.unit() * 0.9 + 0.1) as f32),
                    n if n.starts_with("positive") => f64::from((rng.unit() + 0.5) as f32),
                    _ => rng.value(),
                })
                .collect()
        })
        .collect();
    Filled { graph, batch, params, inputs }
}

impl Filled {
    pub fn reference(&self) -> Vec<Vec<f64>> {
        self.reference_at(&self.params)
    }

    pub fn reference_at(&self, params: &[f64]) -> Vec<Vec<f64>> {
        let inputs: Vec<&[f64]> = self.inputs.iter().map(Vec::as_slice).collect();
        interpret(&self.graph, params, &inputs, self.batch).unwrap()
    }

    pub fn options(&self, isa: Isa) -> PlanOptions {
        PlanOptions { isa, ..PlanOptions::batch(self.batch) }
    }

    pub fn write_inputs(&self, session: &mut Session) {
        for (i, v) in self.inputs.iter().enumerate() {
            session.input_mut(i).copy_from_slice(&narrow(v));
        }
    }
}

thread_local! {
    static FOLD: std::cell::Cell<usize> = const { std::cell::Cell::new(1) };
}

/// What `f` gives where every row of a [`leaf`] is `per_row` rows.
pub fn folded<T>(per_row: usize, f: impl FnOnce() -> T) -> T {
    FOLD.set(per_row);
    let result = f();
    FOLD.set(1);
    result
}

/// A batched input to which a parameter is added, so that gradients with respect to data are checked as well.
pub fn leaf(g: &mut Graph, name: &str, rest: &[usize]) -> NodeId {
    let x = g.input(name, Shape::folded(FOLD.get(), rest).unwrap()).unwrap();
    let p = g.param(&format!("{name}_shift"), rest).unwrap();
    g.add(x, p).unwrap()
}

/// Adds the mean-like loss over `y` that a gradient check differentiates.
pub fn with_loss(g: &mut Graph, y: NodeId, loss: Loss) -> NodeId {
    let shape = g.shape(y).unwrap();
    let t = g.input("t", shape).unwrap();
    let w = g.input("w", Shape::batched(&[]).unwrap()).unwrap();
    let rows = g.loss_rows(loss, y, t).unwrap();
    g.weighted_sum(rows, w).unwrap()
}
