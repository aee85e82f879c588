//! Spectra mixed mode by mode with complex weights (Zhou et al. 2022), as operations of the graph. A spectrum is `[batch, heads · n, 2 · bins]`, real and imaginary parts in turn.
use mayfly_nn::{CustomOp, Dims, Shape};
use std::ops::{Add, AddAssign, Mul};

#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Complex(f32, f32);

impl Complex {
    fn conj(self) -> Complex {
        Complex(self.0, -self.1)
    }

    fn at(values: &[f32], i: usize) -> Complex {
        Complex(values[2 * i], values[2 * i + 1])
    }

    fn add_to(self, values: &mut [f32], i: usize) {
        values[2 * i] += self.0;
        values[2 * i + 1] += self.1;
    }

    /// tanh(a + bi) = (tanh a + i tan b) / (1 + i tanh a tan b), without the poles of the tangent and without overflow.
    fn tanh(self) -> Complex {
        let (a, b) = (2.0 * f64::from(self.0), 2.0 * f64::from(self.1));
        if a.abs() > 40.0 {
            return Complex(a.signum() as f32, 0.0);
        }
        let below = a.cosh() + b.cos();
        Complex((a.sinh() / below) as f32, (b.sin() / below) as f32)
    }
}

impl Add for Complex {
    type Output = Complex;
    fn add(self, b: Complex) -> Complex {
        Complex(self.0 + b.0, self.1 + b.1)
    }
}

impl AddAssign for Complex {
    fn add_assign(&mut self, b: Complex) {
        *self = *self + b;
    }
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, b: Complex) -> Complex {
        Complex(self.0 * b.0 - self.1 * b.1, self.0 * b.1 + self.1 * b.0)
    }
}

/// A table `[rows, columns]` of complex numbers.
#[derive(Clone)]
struct Table {
    columns: usize,
    values: Vec<Complex>,
}

impl Table {
    fn zeros(rows: usize, columns: usize) -> Table {
        Table { columns, values: vec![Complex::default(); rows * columns] }
    }

    fn get(&self, row: usize, column: usize) -> Complex {
        self.values[row * self.columns + column]
    }

    fn add(&mut self, row: usize, column: usize, value: Complex) {
        self.values[row * self.columns + column] += value;
    }

    fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// Some bins of `n` rows of a spectrum, the first of which is `first`.
    fn picked(spectrum: &[f32], bins: usize, (first, n): (usize, usize), modes: &[usize]) -> Table {
        let values =
            (first..first + n).flat_map(|row| modes.iter().map(move |m| Complex::at(spectrum, row * bins + m)));
        Table { columns: modes.len(), values: values.collect() }
    }

    /// Adds the columns to some bins of rows of a spectrum.
    fn put(&self, spectrum: &mut [f32], bins: usize, first: usize, modes: &[usize]) {
        for row in 0..self.rows() {
            for (column, mode) in modes.iter().enumerate() {
                self.get(row, column).add_to(spectrum, (first + row) * bins + mode);
            }
        }
    }
}

/// The weights of a head, `[inputs, outputs, modes]`.
struct Weights<'a> {
    values: &'a [f32],
    n: usize,
    modes: usize,
}

impl Weights<'_> {
    fn at(&self, i: usize, o: usize, mode: usize) -> usize {
        (i * self.n + o) * self.modes + mode
    }

    /// Every mode by its own matrix.
    fn mixed(&self, x: &Table) -> Table {
        let mut y = Table::zeros(self.n, self.modes);
        for i in 0..self.n {
            for o in 0..self.n {
                (0..self.modes).for_each(|m| y.add(o, m, x.get(i, m) * Complex::at(self.values, self.at(i, o, m))));
            }
        }
        y
    }

    /// The gradient of what was mixed.
    fn back(&self, dy: &Table) -> Table {
        let mut dx = Table::zeros(self.n, self.modes);
        for i in 0..self.n {
            for o in 0..self.n {
                (0..self.modes)
                    .for_each(|m| dx.add(i, m, dy.get(o, m) * Complex::at(self.values, self.at(i, o, m)).conj()));
            }
        }
        dx
    }

    /// Adds the gradient of the weights.
    fn add_gradient(&self, dw: &mut [f32], x: &Table, dy: &Table) {
        for i in 0..self.n {
            for o in 0..self.n {
                (0..self.modes).for_each(|m| (dy.get(o, m) * x.get(i, m).conj()).add_to(dw, self.at(i, o, m)));
            }
        }
    }
}

/// Sizes of an operation on spectra.
#[derive(Clone, Copy)]
struct Sizes {
    heads: usize,
    /// Rows of a head.
    n: usize,
    bins: usize,
}

impl Sizes {
    fn of(heads: usize, spectrum: Dims) -> Sizes {
        Sizes { heads, n: spectrum[1] / heads, bins: spectrum.last() / 2 }
    }

    /// Values of a row of the batch.
    fn row(self) -> usize {
        self.heads * self.n * self.bins * 2
    }

    fn weights<'a>(self, all: &'a [f32], head: usize, modes: usize) -> Weights<'a> {
        let len = self.n * self.n * modes * 2;
        Weights { values: &all[head * len..(head + 1) * len], n: self.n, modes }
    }
}

/// Whether weights `[heads, n, n, 2 · modes]` belong to a spectrum with bins for all of `reads`.
fn check(heads: usize, spectrum: Shape, w: Shape, modes: usize, reads: &[&[usize]]) -> Result<(), String> {
    let fits = spectrum.rank() == 3
        && heads > 0
        && spectrum.dims()[1].is_multiple_of(heads)
        && w.row_len() == heads * (spectrum.dims()[1] / heads).pow(2) * modes * 2
        && reads.iter().all(|read| read.iter().all(|bin| *bin < spectrum.last() / 2));
    if fits {
        Ok(())
    } else {
        Err(format!("a spectrum {spectrum} and weights {w} for {modes} modes and {heads} heads"))
    }
}

/// `(spectrum, w [heads, n, n, 2 · modes]) → spectrum`: the bins `reads`, each by its own matrix, at the first places; the other bins are 0.
#[derive(Clone, Debug)]
pub(super) struct FourierBlock {
    pub(super) heads: usize,
    pub(super) reads: Vec<usize>,
}

impl FourierBlock {
    fn writes(&self) -> Vec<usize> {
        (0..self.reads.len()).collect()
    }
}

impl CustomOp for FourierBlock {
    fn name(&self) -> &'static str {
        "fourier_block"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [x, w] = inputs else { return Err(format!("two inputs are needed, got {inputs:?}")) };
        check(self.heads, *x, *w, self.reads.len(), &[&self.reads, &self.writes()]).map(|()| *x)
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let s = Sizes::of(self.heads, dims[0]);
        y.fill(0.0);
        for (y, x) in y.chunks_exact_mut(s.row()).zip(inputs[0].chunks_exact(s.row())) {
            for head in 0..s.heads {
                let x = Table::picked(x, s.bins, (head * s.n, s.n), &self.reads);
                s.weights(inputs[1], head, self.reads.len()).mixed(&x).put(y, s.bins, head * s.n, &self.writes());
            }
        }
    }

    fn backward(&self, which: usize, d: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let s = Sizes::of(self.heads, dims[0]);
        let modes = self.reads.len();
        d.fill(0.0);
        for (at, (dy, x)) in dy.chunks_exact(s.row()).zip(inputs[0].chunks_exact(s.row())).enumerate() {
            for head in 0..s.heads {
                let w = s.weights(inputs[1], head, modes);
                let dy = Table::picked(dy, s.bins, (head * s.n, s.n), &self.writes());
                if which == 0 {
                    let dx = &mut d[at * s.row()..(at + 1) * s.row()];
                    w.back(&dy).put(dx, s.bins, head * s.n, &self.reads);
                } else {
                    let x = Table::picked(x, s.bins, (head * s.n, s.n), &self.reads);
                    let len = w.values.len();
                    w.add_gradient(&mut d[head * len..(head + 1) * len], &x, &dy);
                }
            }
        }
    }
}

/// `(spectrum of queries, spectrum of keys, w [heads, n, n, 2 · modes]) → spectrum of the queries' length`: the queries' bins look at the keys', which are values as well, and are mixed each by its own matrix.
#[derive(Clone, Debug)]
pub(super) struct FourierCrossAttention {
    pub(super) heads: usize,
    pub(super) queries: Vec<usize>,
    pub(super) keys: Vec<usize>,
}

/// What a head computes on the way.
struct Looked {
    q: Table,
    k: Table,
    /// `[queries, keys]`
    shares: Table,
    /// `[n, queries]`
    seen: Table,
}

impl FourierCrossAttention {
    fn looked(&self, q: Table, k: Table) -> Looked {
        let mut shares = Table::zeros(self.queries.len(), self.keys.len());
        let mut seen = Table::zeros(q.rows(), self.queries.len());
        for x in 0..self.queries.len() {
            for y in 0..self.keys.len() {
                let score = (0..q.rows()).fold(Complex::default(), |sum, e| sum + q.get(e, x) * k.get(e, y));
                let share = score.tanh();
                shares.add(x, y, share);
                (0..q.rows()).for_each(|e| seen.add(e, x, share * k.get(e, y)));
            }
        }
        Looked { q, k, shares, seen }
    }

    /// The gradients of queries and keys from that of what was seen.
    fn back(&self, looked: &Looked, dseen: &Table) -> (Table, Table) {
        let Looked { q, k, shares, .. } = looked;
        let (mut dq, mut dk) = (Table::zeros(q.rows(), q.columns), Table::zeros(k.rows(), k.columns));
        for x in 0..self.queries.len() {
            for y in 0..self.keys.len() {
                let share = shares.get(x, y);
                let mut dshare = Complex::default();
                for e in 0..q.rows() {
                    dshare += dseen.get(e, x) * k.get(e, y).conj();
                    dk.add(e, y, dseen.get(e, x) * share.conj());
                }
                let slope = Complex(1.0, 0.0) + Complex(-1.0, 0.0) * share * share;
                let dscore = dshare * slope.conj();
                for e in 0..q.rows() {
                    dq.add(e, x, dscore * k.get(e, y).conj());
                    dk.add(e, y, dscore * q.get(e, x).conj());
                }
            }
        }
        (dq, dk)
    }
}

impl CustomOp for FourierCrossAttention {
    fn name(&self) -> &'static str {
        "fourier_cross_attention"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [q, k, w] = inputs else { return Err(format!("three inputs are needed, got {inputs:?}")) };
        check(self.heads, *q, *w, self.queries.len(), &[&self.queries])?;
        check(self.heads, *k, *w, self.queries.len(), &[&self.keys])?;
        if q.dims()[..2] == k.dims()[..2] { Ok(*q) } else { Err(format!("queries {q} and keys {k}")) }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let (s, t) = (Sizes::of(self.heads, dims[0]), Sizes::of(self.heads, dims[1]));
        y.fill(0.0);
        let rows =
            y.chunks_exact_mut(s.row()).zip(inputs[0].chunks_exact(s.row())).zip(inputs[1].chunks_exact(t.row()));
        for ((y, q), k) in rows {
            for head in 0..s.heads {
                let rows = (head * s.n, s.n);
                let q = Table::picked(q, s.bins, rows, &self.queries);
                let looked = self.looked(q, Table::picked(k, t.bins, rows, &self.keys));
                let w = s.weights(inputs[2], head, self.queries.len());
                w.mixed(&looked.seen).put(y, s.bins, head * s.n, &self.queries);
            }
        }
    }

    fn backward(&self, which: usize, d: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let (s, t) = (Sizes::of(self.heads, dims[0]), Sizes::of(self.heads, dims[1]));
        d.fill(0.0);
        let rows = dy.chunks_exact(s.row()).zip(inputs[0].chunks_exact(s.row())).zip(inputs[1].chunks_exact(t.row()));
        for (at, ((dy, q), k)) in rows.enumerate() {
            for head in 0..s.heads {
                let rows = (head * s.n, s.n);
                let q = Table::picked(q, s.bins, rows, &self.queries);
                let looked = self.looked(q, Table::picked(k, t.bins, rows, &self.keys));
                let w = s.weights(inputs[2], head, self.queries.len());
                let dy = Table::picked(dy, s.bins, rows, &self.queries);
                if which == 2 {
                    let len = w.values.len();
                    w.add_gradient(&mut d[head * len..(head + 1) * len], &looked.seen, &dy);
                    continue;
                }
                let (dq, dk) = self.back(&looked, &w.back(&dy));
                match which {
                    0 => dq.put(&mut d[at * s.row()..(at + 1) * s.row()], s.bins, head * s.n, &self.queries),
                    _ => dk.put(&mut d[at * t.row()..(at + 1) * t.row()], t.bins, head * t.n, &self.keys),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cmath.tanh(a + bi)
    const TANH: [(Complex, (f32, f32)); 4] = [
        (Complex(0.3, 0.7), (0.4697052, 0.7270372)),
        (Complex(-1.2, 2.9), (-0.8484684, -0.0721156)),
        (Complex(5.0, -1.0), (1.0000378, -0.0000826)),
        (Complex(0.0, 1.5), (0.0000000, 14.1014199)),
    ];

    #[test]
    fn complex_tanh_is_pythons() {
        let near = |got: Complex, want: (f32, f32)| (got.0 - want.0).abs() < 1e-6 && (got.1 - want.1).abs() < 1e-5;
        for (z, want) in TANH {
            assert!(near(z.tanh(), want), "{z:?}: {:?}", z.tanh());
        }
        assert_eq!(Complex(100.0, 3.0).tanh(), Complex(1.0, 0.0));
        assert_eq!(Complex(-100.0, 3.0).tanh(), Complex(-1.0, 0.0));
        assert_eq!(Complex(0.0, 0.0).tanh(), Complex(0.0, 0.0));
    }
}
