//! What a forecast says about one step: mean, quantiles and shares of a distribution on the scale of the data.
use super::density::Parameters;
use super::isqf::Quantiles;
use crate::normal;
use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::{checked_gamma_lr, checked_gamma_ur, ln_gamma};

/// The distribution of one step.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Law {
    One(Parameters),
    /// Shares and components.
    Mixture(Vec<(f64, Parameters)>),
    /// A quantile function on the scale of the network, and the way back.
    Pieces {
        function: Quantiles,
        shift: f64,
        scale: f64,
    },
}

/// How close a quantile is searched, by the width of where it can be.
const CLOSE: f64 = 1e-9;
/// Halvings and secants of a search at most.
const STEPS: usize = 200;

impl Law {
    /// The mean.
    pub(crate) fn mean(&self) -> f64 {
        match self {
            Law::One(parameters) => parameters.mean(),
            Law::Mixture(parts) => parts.iter().map(|(share, part)| share * part.mean()).sum(),
            Law::Pieces { function, shift, scale } => function.mean() * scale + shift,
        }
    }

    /// The share at or below a value.
    pub(crate) fn share(&self, y: f64) -> f64 {
        match self {
            Law::One(parameters) => parameters.share(y),
            Law::Mixture(parts) => parts.iter().map(|(share, part)| share * part.share(y)).sum(),
            Law::Pieces { function, shift, scale } => function.share((y - shift) / scale),
        }
    }

    /// The least value at or below which there is this share, between 0 and 1.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        match self {
            Law::One(parameters) => parameters.quantile(share),
            Law::Mixture(parts) => {
                // It lies between those of the components.
                let all = parts.iter().filter(|(part, _)| *part > 0.0).map(|(_, part)| part.quantile(share));
                let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), q| (l.min(q), h.max(q)));
                match parts.first() {
                    Some((_, part)) if part.is_discrete() => whole(|y| self.share(y), share, low, high),
                    _ => between(|y| self.share(y), share, low, high),
                }
            }
            Law::Pieces { function, shift, scale } => function.quantile(share) * scale + shift,
        }
    }
}

impl Parameters {
    fn is_discrete(&self) -> bool {
        matches!(self, Parameters::Poisson { .. } | Parameters::NegativeBinomial { .. } | Parameters::Bernoulli { .. })
    }

    fn mean(&self) -> f64 {
        match *self {
            Parameters::Bernoulli { p } => p,
            Parameters::Normal { mean, .. } | Parameters::StudentT { mean, .. } => mean,
            Parameters::Poisson { rate } => rate,
            Parameters::NegativeBinomial { count, p } => count * p / (1.0 - p),
            Parameters::Tweedie { log_mean, .. } => log_mean.exp(),
        }
    }

    fn deviation(&self) -> f64 {
        match *self {
            Parameters::Bernoulli { p } => (p * (1.0 - p)).sqrt(),
            Parameters::Normal { deviation, .. } => deviation,
            Parameters::StudentT { df, scale, .. } => scale * (df / (df - 2.0).max(0.1)).sqrt(),
            Parameters::Poisson { rate } => rate.sqrt(),
            Parameters::NegativeBinomial { count, p } => (count * p).sqrt() / (1.0 - p),
            Parameters::Tweedie { log_mean, power } => (0.5 * power * log_mean).exp(),
        }
    }

    fn share(&self, y: f64) -> f64 {
        if y < 0.0 && !matches!(self, Parameters::Normal { .. } | Parameters::StudentT { .. }) {
            return 0.0;
        }
        match *self {
            Parameters::Bernoulli { p } => {
                if y < 1.0 {
                    1.0 - p
                } else {
                    1.0
                }
            }
            Parameters::Normal { mean, deviation } => normal::share((y - mean) / deviation),
            Parameters::StudentT { df, mean, scale } => {
                let z = (y - mean) / scale;
                let tail = 0.5 * checked_beta_reg(df / 2.0, 0.5, df / (df + z * z)).unwrap_or(f64::NAN);
                if z < 0.0 { tail } else { 1.0 - tail }
            }
            Parameters::Poisson { rate } => checked_gamma_ur(y.floor() + 1.0, rate).unwrap_or(f64::NAN),
            Parameters::NegativeBinomial { count, p } => {
                checked_beta_reg(count, y.floor() + 1.0, 1.0 - p).unwrap_or(f64::NAN)
            }
            Parameters::Tweedie { log_mean, power } => tweedie(log_mean.exp(), power, y),
        }
    }

    fn quantile(&self, share: f64) -> f64 {
        let (mean, deviation) = (self.mean(), self.deviation());
        match *self {
            Parameters::Normal { mean, deviation } => mean + deviation * normal::quantile(share),
            Parameters::Bernoulli { p } => f64::from(u8::from(share > 1.0 - p)),
            Parameters::Tweedie { power, .. } if share <= (-jumps(mean, power)).exp() => 0.0,
            _ => {
                // Wide enough by Chebyshev's inequality, and not much wider for quantiles near the middle.
                let reach = deviation * (1.0 / share.min(1.0 - share).max(1e-300)).sqrt();
                match (self.is_discrete(), self) {
                    (true, _) => whole(|y| self.share(y), share, (mean - reach).max(0.0), mean + reach),
                    (false, Parameters::Tweedie { .. }) => {
                        between(|y| self.share(y), share, (mean - reach).max(0.0), mean + reach)
                    }
                    _ => between(|y| self.share(y), share, mean - reach, mean + reach),
                }
            }
        }
    }
}

/// How many jumps are expected.
fn jumps(mean: f64, power: f64) -> f64 {
    mean.powf(2.0 - power) / (2.0 - power)
}

/// The share at or below `y` of a Poisson number of gamma distributed jumps: the sum over the numbers that matter.
fn tweedie(mean: f64, power: f64, y: f64) -> f64 {
    let expected = jumps(mean, power);
    let (shape, rate) = ((2.0 - power) / (power - 1.0), mean.powf(1.0 - power) / (power - 1.0));
    let reach = 12.0 * expected.sqrt() + 40.0;
    let (from, to) = ((expected - reach).max(0.0).floor(), (expected + reach).ceil());
    let probability = |n: f64| (n * expected.ln() - expected - ln_gamma(n + 1.0)).exp();
    let part = |n: u64| {
        let n = n as f64;
        let below = match n > 0.0 && y > 0.0 {
            true => checked_gamma_lr(n * shape, rate * y).unwrap_or(f64::NAN),
            false => f64::from(u8::from(n == 0.0)),
        };
        probability(n) * below
    };
    (from as u64..=to as u64).map(part).sum()
}

/// The least whole number with this share, from `low` to `high` or beside them.
fn whole(of: impl Fn(f64) -> f64, share: f64, low: f64, high: f64) -> f64 {
    let (mut low, mut high) = (low.floor() - 1.0, high.ceil().max(0.0));
    for _ in 0..STEPS {
        if !(high - low > 1.0) {
            break;
        }
        let middle = ((low + high) / 2.0).floor();
        if of(middle) >= share { high = middle } else { low = middle }
    }
    high
}

/// Where a continuous share is met, from `low` to `high`: the method of false position, with the half of a side that stays (Illinois).
fn between(of: impl Fn(f64) -> f64, share: f64, mut low: f64, mut high: f64) -> f64 {
    let close = CLOSE * (high - low);
    let (mut f_low, mut f_high) = (of(low) - share, of(high) - share);
    if f_low >= 0.0 {
        return low;
    }
    if f_high <= 0.0 {
        return high;
    }
    let mut last = 0;
    for _ in 0..STEPS {
        if !(high - low > close) {
            break;
        }
        let middle = (low * f_high - high * f_low) / (f_high - f_low);
        let middle = if middle > low && middle < high { middle } else { (low + high) / 2.0 };
        let f = of(middle) - share;
        if f.abs() < 1e-13 {
            return middle;
        }
        if f < 0.0 {
            (low, f_low) = (middle, f);
            f_high *= if last == -1 { 0.5 } else { 1.0 };
            last = -1;
        } else {
            (high, f_high) = (middle, f);
            f_low *= if last == 1 { 0.5 } else { 1.0 };
            last = 1;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laws() -> Vec<Law> {
        let normal = |mean, deviation| Parameters::Normal { mean, deviation };
        let poisson = |rate| Parameters::Poisson { rate };
        vec![
            Law::One(Parameters::Bernoulli { p: 0.3 }),
            Law::One(normal(2.0, 3.0)),
            Law::One(Parameters::StudentT { df: 3.2, mean: -1.0, scale: 0.5 }),
            Law::One(poisson(0.2)),
            Law::One(poisson(4321.0)),
            Law::One(Parameters::NegativeBinomial { count: 1.7, p: 0.8 }),
            Law::One(Parameters::Tweedie { log_mean: 1.2, power: 1.5 }),
            Law::One(Parameters::Tweedie { log_mean: -3.0, power: 1.3 }),
            Law::Mixture(vec![(0.25, normal(-3.0, 0.2)), (0.75, normal(5.0, 2.0))]),
            Law::Mixture(vec![(0.5, poisson(1.0)), (0.5, poisson(50.0))]),
        ]
    }

    #[test]
    fn quantiles_are_where_shares_are_met() {
        for law in laws() {
            for share in [0.001, 0.05, 0.25, 0.5, 0.9, 0.999] {
                let q = law.quantile(share);
                let slack = 1e-6 * (1.0 + q.abs());
                assert!(law.share(q + slack) >= share - 1e-9, "{law:?} {share}: {q}");
                assert!(law.share(q - slack) <= share + 1e-9, "{law:?} {share}: {q}");
            }
        }
    }

    /// The mean is the area below the quantile function.
    #[test]
    fn means_are_those_of_the_quantiles() {
        let n = 20_000;
        for law in laws() {
            let sum: f64 = (0..n).map(|i| law.quantile((f64::from(i) + 0.5) / f64::from(n))).sum();
            let mean = sum / f64::from(n);
            assert!((mean - law.mean()).abs() < 0.01 * (0.2 + law.mean().abs()), "{law:?}: {mean} {}", law.mean());
        }
    }
}
