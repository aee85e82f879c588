//! Logarithms of densities as functions of what a network puts out, with their slopes along it. How outputs become parameters, and what the scale of a window does to them, is NeuralForecast's.
use libm::lgamma;
use statrs::function::gamma::digamma;

/// The scale of a window: values are `scaled · scale + shift`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Back {
    pub(crate) shift: f64,
    pub(crate) scale: f64,
}

/// The logarithm of a density at a value, and its slope along each output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Density {
    pub(crate) ln: f64,
    pub(crate) slopes: [f64; 3],
}

/// Which of the outputs' forms a component has. Mixtures have their own small constants.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Form {
    Bernoulli,
    Normal,
    StudentT,
    /// What is added to the rate.
    Poisson(f64),
    /// Whether mean and dispersion go by the shift of the window, as in mixtures, and not by its scale.
    NegativeBinomial {
        by_shift: bool,
    },
    Tweedie(f64),
}

/// Parameters of a component on the scale of the data.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Parameters {
    Bernoulli { p: f64 },
    Normal { mean: f64, deviation: f64 },
    StudentT { df: f64, mean: f64, scale: f64 },
    Poisson { rate: f64 },
    NegativeBinomial { count: f64, p: f64 },
    Tweedie { log_mean: f64, power: f64 },
}

/// A deviation is never smaller than this share of the window's.
const NORMAL_FLOOR: f64 = 0.2;
const STUDENT_FLOOR: f64 = 0.1;
/// Least and largest logarithm of Tweedie's mean.
const LOG_MEAN: [f64; 2] = [1e-9, 37.0];
/// Least probability of a negative binomial's success, which is torch's for numbers of 32 bits.
const LEAST: f64 = 1.192_092_9e-7;
const TINY: f64 = 1e-8;
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_7;

pub(crate) fn softplus(x: f64) -> f64 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Form {
    /// Outputs of the network that it reads.
    pub(crate) fn outputs(self) -> usize {
        match self {
            Form::Bernoulli | Form::Poisson(_) | Form::Tweedie(_) => 1,
            Form::Normal | Form::NegativeBinomial { .. } => 2,
            Form::StudentT => 3,
        }
    }

    /// What the outputs mean. Missing outputs count as 0, which does not occur.
    pub(crate) fn parameters(self, raw: [f64; 3], back: Back) -> Parameters {
        let [a, b, c] = raw;
        let Back { shift, scale } = back;
        match self {
            Form::Bernoulli => Parameters::Bernoulli { p: sigmoid(a) },
            Form::Normal => {
                Parameters::Normal { mean: a * scale + shift, deviation: (softplus(b) + NORMAL_FLOOR) * scale }
            }
            Form::StudentT => Parameters::StudentT {
                df: 3.0 + softplus(a),
                mean: b * scale + shift,
                scale: (softplus(c) + STUDENT_FLOOR) * scale,
            },
            Form::Poisson(least) => Parameters::Poisson { rate: softplus(a * scale + shift) + least },
            Form::NegativeBinomial { by_shift } => {
                let (mean, dispersion) = negative_binomial(a, b, back, by_shift);
                Parameters::NegativeBinomial { count: 1.0 / dispersion, p: success(mean * dispersion) }
            }
            Form::Tweedie(power) => Parameters::Tweedie { log_mean: log_mean(a, shift).0, power },
        }
    }

    /// The density at `y`.
    pub(crate) fn density(self, raw: [f64; 3], back: Back, y: f64) -> Density {
        let [a, b, c] = raw;
        let Back { shift, scale } = back;
        match self.parameters(raw, back) {
            Parameters::Bernoulli { p } => Density { ln: y * a - softplus(a), slopes: [y - p, 0.0, 0.0] },
            Parameters::Normal { mean, deviation } => {
                let z = (y - mean) / deviation;
                let along_deviation = (z * z - 1.0) / deviation;
                Density {
                    ln: -0.5 * z * z - deviation.ln() - LN_SQRT_2PI,
                    slopes: [z / deviation * scale, along_deviation * scale * sigmoid(b), 0.0],
                }
            }
            Parameters::StudentT { df, mean, scale: spread } => {
                let z = (y - mean) / spread;
                let (half, far) = ((df + 1.0) / 2.0, (z * z / df).ln_1p());
                let along_df =
                    0.5 * (digamma(half) - digamma(df / 2.0) - 1.0 / df - far) + half * z * z / (df * (df + z * z));
                let along_mean = (df + 1.0) * z / (spread * (df + z * z));
                let along_spread = ((df + 1.0) * z * z / (df + z * z) - 1.0) / spread;
                Density {
                    ln: lgamma(half)
                        - lgamma(df / 2.0)
                        - 0.5 * (df * std::f64::consts::PI).ln()
                        - spread.ln()
                        - half * far,
                    slopes: [along_df * sigmoid(a), along_mean * scale, along_spread * scale * sigmoid(c)],
                }
            }
            Parameters::Poisson { rate } => Density {
                ln: times_ln(y, rate) - rate - lgamma(y + 1.0),
                slopes: [(y / rate - 1.0) * sigmoid(a * scale + shift) * scale, 0.0, 0.0],
            },
            Parameters::NegativeBinomial { count, p } => {
                let Form::NegativeBinomial { by_shift } = self else { return Density::default() };
                let (mean, dispersion) = negative_binomial(a, b, back, by_shift);
                let product = mean * dispersion;
                let is_clamped = p <= LEAST;
                let along_p = if is_clamped { 0.0 } else { y / p - count / (1.0 - p) };
                let along_product = along_p / ((1.0 + product) * (1.0 + product));
                let along_count = (-p).ln_1p() + digamma(count + y) - digamma(count);
                let along_dispersion = mean * along_product - along_count * count * count;
                let [of_mean, of_dispersion] =
                    if by_shift { [shift, 1.0 / (shift + 1.0)] } else { [scale, 1.0 / (scale + 1.0)] };
                Density {
                    ln: count * (-p).ln_1p() + times_ln(y, p) + lgamma(count + y) - lgamma(1.0 + y) - lgamma(count),
                    slopes: [
                        dispersion * along_product * of_mean * sigmoid(a),
                        along_dispersion * of_dispersion * sigmoid(b),
                        0.0,
                    ],
                }
            }
            Parameters::Tweedie { log_mean: at, power } => {
                let (first, second) = (((1.0 - power) * at).exp(), ((2.0 - power) * at).exp());
                let slope = (y * first - second) * log_mean(a, shift).1;
                Density { ln: y * first / (1.0 - power) - second / (2.0 - power), slopes: [slope, 0.0, 0.0] }
            }
        }
    }
}

/// `y ln x`, which is 0 where y is.
fn times_ln(y: f64, x: f64) -> f64 {
    if y == 0.0 { 0.0 } else { y * x.ln() }
}

/// Mean and dispersion.
fn negative_binomial(a: f64, b: f64, Back { shift, scale }: Back, by_shift: bool) -> (f64, f64) {
    let (mean, dispersion) = (softplus(a) + TINY, softplus(b) + TINY);
    match by_shift {
        true => (mean * shift, dispersion / (shift + 1.0)),
        false => (mean * scale + shift, dispersion / (scale + 1.0)),
    }
}

fn success(product: f64) -> f64 {
    (product / (1.0 + product) + TINY).clamp(LEAST, 1.0 - 1e-12)
}

/// The logarithm of Tweedie's mean, and its slope.
fn log_mean(a: f64, shift: f64) -> (f64, f64) {
    let [least, most] = LOG_MEAN;
    let inside = |x: f64| x > least && x < most;
    let first = softplus(a);
    let second = first.clamp(least, most) + shift.max(0.0).ln();
    let slope = if inside(first) && inside(second) { sigmoid(a) } else { 0.0 };
    (second.clamp(least, most), slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [Form; 8] = [
        Form::Bernoulli,
        Form::Normal,
        Form::StudentT,
        Form::Poisson(1e-10),
        Form::Poisson(1e-3),
        Form::NegativeBinomial { by_shift: false },
        Form::NegativeBinomial { by_shift: true },
        Form::Tweedie(1.5),
    ];

    #[test]
    fn slopes_are_finite_differences() {
        for form in FORMS {
            for (raw, y) in [([0.3, -0.7, 0.4], 1.0), ([-1.1, 0.2, 1.5], 0.0), ([1.3, 0.9, -2.0], 4.0)] {
                for back in [Back { shift: 2.0, scale: 1.5 }, Back { shift: 0.4, scale: 0.3 }] {
                    let at = form.density(raw, back, y);
                    for i in 0..form.outputs() {
                        let moved = |by: f64| {
                            let mut raw = raw;
                            raw[i] += by;
                            form.density(raw, back, y).ln
                        };
                        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                        let good = (slope - at.slopes[i]).abs() < 1e-6 * (1.0 + slope.abs());
                        assert!(good, "{form:?} {i}: {} for {slope}", at.slopes[i]);
                    }
                }
            }
        }
    }

    #[test]
    fn far_outputs_are_finite() {
        for form in FORMS {
            for raw in [[-80.0; 3], [80.0; 3], [0.0; 3]] {
                for back in [Back { shift: 0.0, scale: 1.0 }, Back { shift: 1e6, scale: 1e5 }] {
                    for y in [0.0, 1.0] {
                        let at = form.density(raw, back, y);
                        let all = [at.ln, at.slopes[0], at.slopes[1], at.slopes[2]];
                        assert!(all.iter().all(|v| v.is_finite()), "{form:?} {raw:?} {back:?} {y}: {at:?}");
                    }
                }
            }
        }
    }
}
