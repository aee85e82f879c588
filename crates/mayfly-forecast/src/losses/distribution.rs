//! Distributions as losses: what a network's outputs for a step stand for, and how unlikely the truth is under it.
use super::Spread;
use super::density::{Back, Density, Form, Parameters};
use super::isqf::Pieces;
use super::law::Law;
use crate::error::{ForecastError, Result};
use serde::{Deserialize, Serialize};

/// What a step is distributed as. Outputs become parameters as in NeuralForecast, on the scale of the data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Distribution {
    /// Yes or no, as 1 and 0.
    Bernoulli,
    /// The normal distribution.
    Normal,
    /// Student's, with more than three degrees of freedom.
    StudentT,
    /// Counts whose variance is their mean.
    Poisson,
    /// Counts whose variance is larger than their mean.
    NegativeBinomial,
    /// Sums of a Poisson number of gamma distributed values: many zeros among positive values.
    Tweedie {
        /// The variance goes by the mean to this power, between 1 and 2.
        rho: f64,
    },
    /// A quantile function in pieces (Park et al. 2022), trained by its continuous ranked probability score.
    #[serde(rename = "ISQF")]
    Isqf {
        /// Pieces between two quantiles.
        num_pieces: usize,
    },
    /// A mixture of Poisson distributions.
    #[serde(rename = "PMM")]
    PoissonMixture(Mixture),
    /// A mixture of normal distributions.
    #[serde(rename = "GMM")]
    NormalMixture(Mixture),
    /// A mixture of negative binomial distributions.
    #[serde(rename = "NBMM")]
    NegativeBinomialMixture(Mixture),
}

/// How components are mixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mixture {
    /// How many there are.
    pub n_components: usize,
    /// Whether their shares are learnt; else all are alike.
    pub weighted: bool,
    /// Whether a component is drawn once for a whole horizon, so that its steps go together.
    pub horizon_correlation: bool,
    /// Whether a component is drawn once for all series at a time (of those that a thread trains together).
    pub batch_correlation: bool,
}

impl Default for Mixture {
    fn default() -> Self {
        Mixture { n_components: 1, weighted: false, horizon_correlation: false, batch_correlation: false }
    }
}

/// A distribution with the quantiles that are told of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DistributionLoss {
    /// What a step is distributed as.
    pub distribution: Distribution,
    /// The quantiles.
    pub spread: Spread,
    /// Whether forecasts have the parameters as columns too.
    #[serde(default)]
    pub return_params: bool,
}

/// A density at a value, where it is a mixture of one or more of one form.
pub(super) struct Components {
    pub(super) form: Form,
    pub(super) mixture: Mixture,
}

impl Distribution {
    /// The names.
    pub const NAMES: [&str; 10] =
        ["Bernoulli", "Normal", "StudentT", "Poisson", "NegativeBinomial", "Tweedie", "ISQF", "PMM", "GMM", "NBMM"];

    /// The distribution of this name in any case, with NeuralForecast's defaults; `number` is Tweedie's power, or how many components or pieces there are.
    pub(crate) fn by_name(name: &str, number: Option<f64>) -> Option<Distribution> {
        let known = Distribution::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
        let count = |default: usize| number.map_or(default, |n| n as usize);
        let mixture = |default| Mixture { n_components: count(default), ..Mixture::default() };
        Some(match known {
            "Bernoulli" => Distribution::Bernoulli,
            "Normal" => Distribution::Normal,
            "StudentT" => Distribution::StudentT,
            "Poisson" => Distribution::Poisson,
            "NegativeBinomial" => Distribution::NegativeBinomial,
            "Tweedie" => Distribution::Tweedie { rho: number.unwrap_or(1.5) },
            "ISQF" => Distribution::Isqf { num_pieces: count(5) },
            "PMM" => Distribution::PoissonMixture(mixture(10)),
            "GMM" => Distribution::NormalMixture(mixture(1)),
            _ => Distribution::NegativeBinomialMixture(mixture(1)),
        })
    }

    pub(super) fn takes_number(name: &str) -> bool {
        ["tweedie", "isqf", "pmm", "gmm", "nbmm"].contains(&name.to_ascii_lowercase().as_str())
    }

    /// NeuralForecast's name.
    pub fn name(&self) -> &'static str {
        match self {
            Distribution::Bernoulli => "Bernoulli",
            Distribution::Normal => "Normal",
            Distribution::StudentT => "StudentT",
            Distribution::Poisson => "Poisson",
            Distribution::NegativeBinomial => "NegativeBinomial",
            Distribution::Tweedie { .. } => "Tweedie",
            Distribution::Isqf { .. } => "ISQF",
            Distribution::PoissonMixture(_) => "PMM",
            Distribution::NormalMixture(_) => "GMM",
            Distribution::NegativeBinomialMixture(_) => "NBMM",
        }
    }

    fn mixture(&self) -> Option<Mixture> {
        match self {
            Distribution::PoissonMixture(mixture)
            | Distribution::NormalMixture(mixture)
            | Distribution::NegativeBinomialMixture(mixture) => Some(*mixture),
            _ => None,
        }
    }

    /// Its components; none for a quantile function.
    pub(super) fn components(&self) -> Option<Components> {
        let form = match self {
            Distribution::Bernoulli => Form::Bernoulli,
            Distribution::Normal | Distribution::NormalMixture(_) => Form::Normal,
            Distribution::StudentT => Form::StudentT,
            Distribution::Poisson => Form::Poisson(1e-10),
            Distribution::PoissonMixture(_) => Form::Poisson(1e-3),
            Distribution::NegativeBinomial => Form::NegativeBinomial { by_shift: false },
            Distribution::NegativeBinomialMixture(_) => Form::NegativeBinomial { by_shift: true },
            Distribution::Tweedie { rho } => Form::Tweedie(*rho),
            Distribution::Isqf { .. } => return None,
        };
        Some(Components { form, mixture: self.mixture().unwrap_or_default() })
    }

    fn check(&self) -> Result<()> {
        let refuse = |value: String, want: &str| Err(ForecastError::option("loss", value, want));
        match self {
            Distribution::Tweedie { rho } if !(*rho > 1.0 && *rho < 2.0) => {
                refuse(format!("Tweedie:{rho}"), "the power must be between 1 and 2")
            }
            Distribution::Isqf { num_pieces } if !(1..=1000).contains(num_pieces) => {
                refuse(format!("ISQF:{num_pieces}"), "there must be 1 to 1000 pieces")
            }
            _ => match self.mixture() {
                Some(Mixture { n_components: n, .. }) if !(1..=1000).contains(&n) => {
                    refuse(format!("{}:{n}", self.name()), "there must be 1 to 1000 components")
                }
                _ => Ok(()),
            },
        }
    }

    /// Which values it can be of, where not of all.
    pub(crate) fn domain(&self) -> Option<Domain> {
        match self {
            Distribution::Bernoulli => Some(Domain::ZeroOrOne),
            Distribution::Poisson
            | Distribution::NegativeBinomial
            | Distribution::Tweedie { .. }
            | Distribution::PoissonMixture(_)
            | Distribution::NegativeBinomialMixture(_) => Some(Domain::NotNegative),
            _ => None,
        }
    }
}

/// Which values a distribution can be of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Domain {
    ZeroOrOne,
    NotNegative,
}

impl Domain {
    pub(crate) fn holds(self, y: f32) -> bool {
        match self {
            Domain::ZeroOrOne => y == 0.0 || y == 1.0,
            Domain::NotNegative => y >= 0.0,
        }
    }

    pub(crate) fn said(self) -> &'static str {
        match self {
            Domain::ZeroOrOne => "only 0 and 1",
            Domain::NotNegative => "no negative values",
        }
    }
}

impl DistributionLoss {
    /// A distribution with the usual quantiles.
    pub fn new(distribution: Distribution) -> DistributionLoss {
        DistributionLoss { distribution, spread: Spread::default(), return_params: false }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.distribution.check()?;
        self.spread.check()?;
        let is_isqf = matches!(self.distribution, Distribution::Isqf { .. });
        if is_isqf && self.spread.bounds().len() < 2 {
            return Err(ForecastError::option("loss", "ISQF", "at least two quantiles are needed"));
        }
        if is_isqf && self.return_params {
            return Err(ForecastError::option("return_params", true, "ISQF has no columns of parameters"));
        }
        Ok(())
    }

    /// The pieces of a quantile function, at the quantiles that are told.
    pub(super) fn pieces(&self) -> Option<Pieces> {
        let Distribution::Isqf { num_pieces } = self.distribution else { return None };
        let mut shares: Vec<f64> = self.spread.bounds().into_iter().map(|bound| bound.share).collect();
        shares.sort_by(f64::total_cmp);
        Some(Pieces { shares, each: num_pieces })
    }

    /// Outputs of the network for a step.
    pub(super) fn outputs(&self) -> usize {
        match (self.distribution.components(), self.pieces()) {
            (Some(components), _) => components.outputs(),
            (_, Some(pieces)) => pieces.outputs(),
            _ => 1,
        }
    }

    /// What outputs stand for.
    pub(crate) fn law(&self, raw: &[f32], back: Back) -> Law {
        match (self.distribution.components(), self.pieces()) {
            (Some(components), _) => components.law(raw, back),
            (_, pieces) => {
                let Back { shift, scale } = back;
                let pieces = pieces.unwrap_or(Pieces { shares: vec![0.0, 1.0], each: 1 });
                Law::Pieces { function: pieces.function(raw), shift, scale }
            }
        }
    }

    /// What the columns of parameters are called, as in NeuralForecast.
    pub(super) fn parameter_names(&self) -> Vec<String> {
        let names: &[&str] = match &self.distribution {
            Distribution::Bernoulli => &["-probs"],
            Distribution::Normal => &["-loc", "-scale"],
            Distribution::StudentT => &["-df", "-loc", "-scale"],
            Distribution::Poisson => &["-loc"],
            Distribution::NegativeBinomial => &["-total_count", "-probs"],
            Distribution::Tweedie { .. } => &["-log_mu"],
            Distribution::Isqf { .. } => &[],
            Distribution::PoissonMixture(_) => &["-lambda"],
            Distribution::NormalMixture(_) => &["-mu", "-std"],
            Distribution::NegativeBinomialMixture(_) => &["-total_count", "-probs"],
        };
        match self.distribution.mixture() {
            None => names.iter().map(|name| (*name).to_owned()).collect(),
            Some(mixture) => {
                let weight = mixture.weighted.then_some("-weight");
                let numbered = |name: &str| (1..=mixture.n_components).map(move |i| format!("{name}-{i}")).collect();
                names.iter().copied().chain(weight).flat_map(|name| -> Vec<String> { numbered(name) }).collect()
            }
        }
    }
}

impl Components {
    pub(super) fn outputs(&self) -> usize {
        (self.form.outputs() + usize::from(self.mixture.weighted)) * self.mixture.n_components
    }

    /// The outputs of one component: each kind of all components is behind the one before.
    pub(super) fn raw(&self, raw: &[f32], component: usize) -> [f64; 3] {
        let n = self.mixture.n_components;
        std::array::from_fn(|i| match i < self.form.outputs() {
            true => raw.get(i * n + component).map_or(0.0, |v| f64::from(*v)),
            false => 0.0,
        })
    }

    pub(super) fn density(&self, raw: &[f32], component: usize, back: Back, y: f64) -> Density {
        self.form.density(self.raw(raw, component), back, y)
    }

    /// The logarithms of the components' shares.
    pub(super) fn ln_shares(&self, raw: &[f32]) -> Vec<f64> {
        let n = self.mixture.n_components;
        if !self.mixture.weighted {
            return vec![-(n as f64).ln(); n];
        }
        let own: Vec<f64> = raw.iter().skip(self.form.outputs() * n).map(|v| f64::from(*v)).collect();
        let all = ln_sum_exp(own.iter().copied());
        own.into_iter().map(|v| v - all).collect()
    }

    fn law(&self, raw: &[f32], back: Back) -> Law {
        let parameters = |component: usize| self.form.parameters(self.raw(raw, component), back);
        match self.mixture.n_components {
            1 => Law::One(parameters(0)),
            _ => {
                let shares = self.ln_shares(raw);
                Law::Mixture(shares.iter().enumerate().map(|(i, ln)| (ln.exp(), parameters(i))).collect())
            }
        }
    }
}

/// `ln Σ eˣ`.
pub(super) fn ln_sum_exp(all: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = all.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY { most } else { most + all.map(|x| (x - most).exp()).sum::<f64>().ln() }
}

/// The numbers that describe a law, in the order of their names.
pub(super) fn numbers(law: &Law) -> Vec<f64> {
    let of = |parameters: &Parameters| match *parameters {
        Parameters::Bernoulli { p } => vec![p],
        Parameters::Normal { mean, deviation } => vec![mean, deviation],
        Parameters::StudentT { df, mean, scale } => vec![df, mean, scale],
        Parameters::Poisson { rate } => vec![rate],
        Parameters::NegativeBinomial { count, p } => vec![count, p],
        Parameters::Tweedie { log_mean, .. } => vec![log_mean],
    };
    match law {
        Law::One(parameters) => of(parameters),
        Law::Mixture(parts) => {
            let all: Vec<Vec<f64>> = parts.iter().map(|(_, parameters)| of(parameters)).collect();
            let kinds = all.first().map_or(0, Vec::len);
            let numbers = (0..kinds).flat_map(|kind| all.iter().map(move |one| one[kind]));
            numbers.chain(parts.iter().map(|(share, _)| *share)).collect()
        }
        Law::Pieces { .. } => Vec::new(),
    }
}
