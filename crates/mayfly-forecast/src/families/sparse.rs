//! ProbSparse attention (Zhou et al. 2021), as an operation of the graph: the queries that differ most from the mean look at all keys, the others take the mean of the values.
use mayfly_nn::{CustomOp, Dims, Shape};

/// `(q [b, tq, w], k [b, tk, w], v [b, tk, w]) → [b, tq, w]`, or `[b, heads, tq, n]` read as if it were that: NeuralForecast does not put heads and times back in order.
#[derive(Clone, Debug)]
pub(super) struct ProbSparse {
    pub(super) heads: usize,
    /// For each query the keys by which it is judged.
    pub(super) judged_by: Vec<Vec<usize>>,
    /// Queries that look at all keys.
    pub(super) most: usize,
    /// Whether a time sees none later than itself; the others then take the sum of the values so far.
    pub(super) causal: bool,
}

/// One head of one row.
struct Head<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    /// Width of all heads, where this one begins, and its width.
    row: usize,
    at: usize,
    n: usize,
}

impl<'a> Head<'a> {
    fn of(&self, x: &'a [f32], time: usize) -> &'a [f32] {
        &x[time * self.row + self.at..][..self.n]
    }

    fn score(&self, query: usize, key: usize) -> f32 {
        self.of(self.q, query).iter().zip(self.of(self.k, key)).map(|(q, k)| q * k).sum()
    }

    /// Where a query's result stands.
    fn result(&self, query: usize) -> std::ops::Range<usize> {
        let start = self.at * self.times().0 + query * self.n;
        start..start + self.n
    }

    fn times(&self) -> (usize, usize) {
        (self.q.len() / self.row, self.k.len() / self.row)
    }
}

impl ProbSparse {
    /// The queries that look at all keys: those whose largest score stands out most from the sum of theirs.
    fn chosen(&self, head: &Head<'_>) -> Vec<usize> {
        let (tq, tk) = head.times();
        let measure = |query: usize| {
            let scores = self.judged_by[query].iter().map(|key| head.score(query, *key));
            let (most, sum) = scores.fold((f32::NEG_INFINITY, 0.0), |(most, sum), s| (most.max(s), sum + s));
            most - sum / tk as f32
        };
        let mut queries: Vec<(f32, usize)> = (0..tq).map(|query| (measure(query), query)).collect();
        queries.sort_by(|a, b| b.0.total_cmp(&a.0));
        queries.truncate(self.most);
        queries.into_iter().map(|(_, query)| query).collect()
    }

    /// How much a chosen query takes of each key.
    fn shares(&self, head: &Head<'_>, query: usize) -> Vec<f32> {
        let seen = if self.causal { query + 1 } else { head.times().1 };
        let scale = 1.0 / (head.n as f32).sqrt();
        let mut shares: Vec<f32> = (0..seen).map(|key| scale * head.score(query, key)).collect();
        let most = shares.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        shares.iter_mut().for_each(|s| *s = (*s - most).exp());
        let sum: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|s| *s /= sum);
        shares
    }

    /// What each key counts for a query that was not chosen, and how many keys that is true of.
    fn plain(&self, query: usize, tk: usize) -> (f32, usize) {
        if self.causal { (1.0, query + 1) } else { (1.0 / tk as f32, tk) }
    }

    /// Every head of every row, with its number of row.
    fn each<'a>(&self, inputs: &[&'a [f32]], dims: &[Dims], mut f: impl FnMut(usize, Head<'a>)) {
        let (b, tq, tk, row) = (dims[0][0], dims[0][1], dims[1][1], dims[0].last());
        let n = row / self.heads;
        for i in 0..b {
            let part = |x: &'a [f32], t: usize| &x[i * t * row..(i + 1) * t * row];
            for head in 0..self.heads {
                let (q, k, v) = (part(inputs[0], tq), part(inputs[1], tk), part(inputs[2], tk));
                f(i, Head { q, k, v, row, at: head * n, n });
            }
        }
    }
}

fn add(to: &mut [f32], share: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += share * from);
}

impl CustomOp for ProbSparse {
    fn name(&self) -> &'static str {
        "prob_sparse_attention"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [q, k, v] = inputs else { return Err(format!("three inputs are needed, got {inputs:?}")) };
        let fits = q.rank() == 3 && k.rank() == 3 && k == v && q.last() == k.last() && q.dims()[0] == k.dims()[0];
        let tq = if fits { q.dims()[1] } else { 0 };
        let judged = self.judged_by.len() == tq && self.judged_by.iter().flatten().all(|key| *key < k.dims()[1]);
        if !fits || !judged || !q.last().is_multiple_of(self.heads.max(1)) || (self.causal && tq > k.dims()[1]) {
            return Err(format!("{q} for {} heads, keys {k}, values {v}", self.heads));
        }
        Ok(*q)
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        y.fill(0.0);
        let len = dims[0][1] * dims[0].last();
        self.each(inputs, dims, |i, head| {
            let y = &mut y[i * len..(i + 1) * len];
            let chosen = self.chosen(&head);
            let (tq, tk) = head.times();
            for query in 0..tq {
                let y = &mut y[head.result(query)];
                if chosen.contains(&query) {
                    let shares = self.shares(&head, query);
                    shares.iter().enumerate().for_each(|(key, share)| add(y, *share, head.of(head.v, key)));
                } else {
                    let (share, keys) = self.plain(query, tk);
                    (0..keys).for_each(|key| add(y, share, head.of(head.v, key)));
                }
            }
        });
    }

    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], _: &[f32], dims: &[Dims]) {
        dx.fill(0.0);
        let (len_y, len_x) = (dims[0][1] * dims[0].last(), dims[which][1] * dims[which].last());
        self.each(inputs, dims, |i, head| {
            let (dy, dx) = (&dy[i * len_y..(i + 1) * len_y], &mut dx[i * len_x..(i + 1) * len_x]);
            let place = |time: usize| time * head.row + head.at..time * head.row + head.at + head.n;
            let chosen = self.chosen(&head);
            let (tq, tk) = head.times();
            for query in 0..tq {
                let dy = &dy[head.result(query)];
                if !chosen.contains(&query) {
                    let (share, keys) = self.plain(query, tk);
                    if which == 2 {
                        (0..keys).for_each(|key| add(&mut dx[place(key)], share, dy));
                    }
                    continue;
                }
                let shares = self.shares(&head, query);
                if which == 2 {
                    shares.iter().enumerate().for_each(|(key, share)| add(&mut dx[place(key)], *share, dy));
                    continue;
                }
                let worth: Vec<f32> = (0..shares.len())
                    .map(|key| head.of(head.v, key).iter().zip(dy).map(|(v, dy)| v * dy).sum())
                    .collect();
                let mean: f32 = shares.iter().zip(&worth).map(|(s, w)| s * w).sum();
                let scale = 1.0 / (head.n as f32).sqrt();
                for (key, (share, worth)) in shares.iter().zip(&worth).enumerate() {
                    let slope = scale * share * (worth - mean);
                    match which {
                        0 => add(&mut dx[place(query)], slope, head.of(head.k, key)),
                        _ => add(&mut dx[place(key)], slope, head.of(head.q, query)),
                    }
                }
            }
        });
    }
}
