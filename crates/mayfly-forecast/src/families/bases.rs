//! Functions of time that coefficients are multiplied with: `[len, n]`, a row for each step.
use serde::{Deserialize, Serialize};

/// The functions of a trend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrendBasis {
    /// Powers of `t / len`.
    #[default]
    Polynomial,
    /// Legendre's polynomials on −1 … 1.
    Legendre,
    /// Chebyshev's polynomials on −1 … 1.
    Chebyshev,
    /// Lines that rise from one point on.
    Changepoint,
    /// Triangles between knots, the first function 0.
    PiecewiseLinear,
    /// Triangles around knots.
    LinearHat,
    /// Cubic B-splines; at least four of them.
    Spline,
}

impl TrendBasis {
    /// The values of `n` functions at `len` steps.
    pub(super) fn matrix(self, len: usize, n: usize) -> Vec<f32> {
        let unit = |t: usize| t as f64 / (len.max(2) - 1) as f64; // 0 … 1
        let spline = if self == TrendBasis::Spline { knots(n) } else { Vec::new() };
        (0..len)
            .flat_map(|t| match self {
                TrendBasis::Polynomial => powers(t as f64 / len as f64, n),
                TrendBasis::Legendre => recurrence(2.0 * unit(t) - 1.0, n, |i| {
                    let i = i as f64;
                    ((2.0 * i + 1.0) / (i + 1.0), i / (i + 1.0))
                }),
                TrendBasis::Chebyshev => recurrence(2.0 * unit(t) - 1.0, n, |_| (2.0, 1.0)),
                TrendBasis::Changepoint => (1..=n).map(|i| (unit(t) - i as f64 / n as f64).max(0.0)).collect(),
                TrendBasis::PiecewiseLinear => {
                    let hat = |i: usize| (1.0 - (unit(t) * n as f64 - i as f64).abs()).max(0.0);
                    (0..n).map(|i| if i == 0 { 0.0 } else { hat(i) }).collect()
                }
                TrendBasis::LinearHat => {
                    (0..n).map(|i| (1.0 - (unit(t) * (n - 1) as f64 - i as f64).abs()).max(0.0)).collect()
                }
                TrendBasis::Spline => splines(&spline, unit(t), n),
            })
            .map(|value| value as f32)
            .collect()
    }

    /// Functions that the basis has at least.
    pub(super) fn least(self) -> usize {
        match self {
            TrendBasis::Spline => 4,
            TrendBasis::LinearHat => 2,
            _ => 1,
        }
    }
}

fn powers(x: f64, n: usize) -> Vec<f64> {
    std::iter::successors(Some(1.0), |power| Some(power * x)).take(n).collect()
}

/// `p₀ = 1, p₁ = x, pᵢ₊₁ = a x pᵢ − b pᵢ₋₁`; for i = 0 the factors do not matter.
fn recurrence(x: f64, n: usize, factors: impl Fn(usize) -> (f64, f64)) -> Vec<f64> {
    let mut values = vec![1.0, x];
    while values.len() < n {
        let i = values.len() - 1;
        let (a, b) = factors(i);
        values.push(a * x * values[i] - b * values[i - 1]);
    }
    values.truncate(n);
    values
}

/// Knots of `n` cubic splines over 0 … 1, the ends four times.
fn knots(n: usize) -> Vec<f64> {
    let inner = n.max(4) - 2;
    let even = (0..inner).map(|i| i as f64 / (inner - 1) as f64);
    [0.0; 3].into_iter().chain(even).chain([1.0; 3]).collect()
}

/// The values of `n` cubic splines at `x` (de Boor 1978).
fn splines(knots: &[f64], x: f64, n: usize) -> Vec<f64> {
    let last = n.max(4) - 1;
    let span = knots.partition_point(|knot| *knot <= x).saturating_sub(1).clamp(3, last);
    let mut values = vec![0.0; n.max(4)];
    values[span] = 1.0;
    let ratio = |over: f64, under: f64| if under > 0.0 { over / under } else { 0.0 };
    for degree in 1..=3 {
        for i in span - degree..=span {
            let before = ratio(x - knots[i], knots[i + degree] - knots[i]) * values[i];
            let behind = match i < last {
                true => ratio(knots[i + degree + 1] - x, knots[i + degree + 1] - knots[i + 1]) * values[i + 1],
                false => 0.0,
            };
            values[i] = before + behind;
        }
    }
    values
}

/// Cosines, then sines, of the frequencies 0 and `k / harmonics` for `harmonics ≤ k < harmonics · h / 2`, turns over the horizon; forwards or backwards in time.
pub(super) fn seasonality(len: usize, h: usize, harmonics: usize, backwards: bool) -> Vec<f32> {
    let turn = if backwards { -2.0 } else { 2.0 } * std::f64::consts::PI / h as f64;
    let frequencies = frequencies(h, harmonics);
    (0..len)
        .flat_map(|t| {
            let angles = frequencies.iter().map(move |f| turn * t as f64 * f);
            let cosines: Vec<f64> = angles.clone().map(libm::cos).collect();
            cosines.into_iter().chain(angles.map(libm::sin)).collect::<Vec<f64>>()
        })
        .map(|value| value as f32)
        .collect()
}

/// Frequencies of a seasonality.
pub(super) fn frequencies(h: usize, harmonics: usize) -> Vec<f64> {
    let end = harmonics as f64 / 2.0 * h as f64;
    let inner = (harmonics..).map(|k| k as f64).take_while(|k| *k < end).map(|k| k / harmonics as f64);
    [0.0].into_iter().chain(inner).collect()
}
