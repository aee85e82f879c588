//! Activations as layers name them, and how they are written in files and on the command line.
use crate::error::{NnError, Result};
use mayfly_graph::{Act, FannAct};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What a layer applies to its sums.
///
/// Every elementwise function of the graph is one, so layers take an [`Act`] as well:
///
/// ```
/// use mayfly_nn::{Act, Activation, Dense};
/// let hidden = Dense::new(32, Act::Tanh);
/// let output = Dense::new(3, Activation::Softmax);
/// assert_eq!("leaky_relu:0.2".parse::<Activation>()?, Activation::Act(Act::LeakyRelu { slope: 0.2 }));
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Activation {
    /// An elementwise function.
    Act(Act),
    /// Probabilities over the last dimension.
    Softmax,
    /// Their logarithms.
    LogSoftmax,
}

/// Other names that people know functions by.
const ALIASES: [(&str, &str); 8] = [
    ("linear", "identity"),
    ("none", "identity"),
    ("swish", "silu"),
    ("hardswish", "hard_swish"),
    ("hardsigmoid", "hard_sigmoid"),
    ("leakyrelu", "leaky_relu"),
    ("logistic", "sigmoid"),
    ("logsoftmax", "log_softmax"),
];

impl Activation {
    /// No change: `y = x`.
    pub const IDENTITY: Activation = Activation::Act(Act::Identity);

    /// FANN's function with FANN's default steepness, 0.5.
    pub fn fann(function: FannAct) -> Activation {
        Activation::Act(Act::Fann(function, 0.5))
    }

    /// The name, without parameters.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Act(act) => act.name(),
            Activation::Softmax => "softmax",
            Activation::LogSoftmax => "log_softmax",
        }
    }

    /// Every activation, with default parameters.
    pub fn all() -> impl Iterator<Item = Activation> {
        Act::all().map(Activation::Act).chain([Activation::Softmax, Activation::LogSoftmax])
    }

    /// The parameters, in the order of their definition.
    fn params(&self) -> Vec<f32> {
        match self {
            Activation::Act(act) => act.params().to_vec(),
            Activation::Softmax | Activation::LogSoftmax => Vec::new(),
        }
    }

    fn with_params(self, params: &[f32]) -> Result<Activation> {
        let refused =
            |want: String| NnError::option("activation", format!("{} with parameters {params:?}", self.name()), want);
        if let Some(bad) = params.iter().find(|p| !p.is_finite()) {
            return Err(refused(format!("{bad} is not finite")));
        }
        match self {
            Activation::Act(act) => Ok(Activation::Act(act.with_params(params).map_err(|e| refused(e.to_string()))?)),
            other if params.is_empty() => Ok(other),
            _ => Err(refused("it takes none".to_owned())),
        }
    }

    /// By name: as in files; an alias; or FANN's name in lower case with or without `fann_`, where no other function has it.
    fn by_name(name: &str) -> Result<Activation> {
        let lower = name.to_ascii_lowercase();
        let plain = ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower.as_str(), |(_, name)| name);
        let fann = format!("fann_{}", lower.strip_prefix("fann_").unwrap_or(&lower));
        let named = |wanted: &str| Activation::all().find(|a| a.name().eq_ignore_ascii_case(wanted));
        named(plain).or_else(|| named(&fann)).ok_or_else(|| NnError::UnknownName {
            kind: "activation",
            name: name.to_owned(),
            known: Activation::all().map(|a| a.name().to_ascii_lowercase()).collect(),
        })
    }
}

impl Default for Activation {
    fn default() -> Self {
        Activation::IDENTITY
    }
}

impl From<Act> for Activation {
    fn from(act: Act) -> Self {
        Activation::Act(act)
    }
}

/// `name` or `name:parameter,parameter`.
impl FromStr for Activation {
    type Err = NnError;

    fn from_str(text: &str) -> Result<Activation> {
        let Some((name, params)) = text.split_once(':') else { return Activation::by_name(text.trim()) };
        let number = |p: &str| {
            p.trim().parse::<f32>().map_err(|_| NnError::option("activation", text, format!("{p:?} is no number")))
        };
        let params = params.split(',').map(number).collect::<Result<Vec<_>>>()?;
        Activation::by_name(name.trim())?.with_params(&params)
    }
}

/// What [`Activation::from_str`] reads.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().to_ascii_lowercase())?;
        let params = self.params();
        params.iter().enumerate().try_for_each(|(i, p)| write!(f, "{}{p}", if i == 0 { ':' } else { ',' }))
    }
}

/// A string, as [`Activation`]'s `Display` writes it.
impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activation_is_read_back_as_it_was_written() {
        let odd =
            [Act::LeakyRelu { slope: 0.1 }, Act::Affine { mul: -2.5, add: 1e-9 }, Act::Fann(FannAct::Elliot, 0.3)];
        for a in Activation::all().chain(odd.map(Activation::Act)) {
            assert_eq!(a.to_string().parse::<Activation>().unwrap(), a);
            let json = serde_json::to_string(&a).unwrap();
            assert_eq!(serde_json::from_str::<Activation>(&json).unwrap(), a, "{json}");
        }
        assert!(Activation::all().count() > 40);
    }

    #[test]
    fn names_people_use() {
        let same = [
            ("linear", Act::Identity),
            ("Swish", Act::Silu),
            ("sigmoid", Act::Sigmoid),
            ("fann_sigmoid", Act::Fann(FannAct::Sigmoid, 0.5)),
            ("sigmoid_symmetric", Act::Fann(FannAct::SigmoidSymmetric, 0.5)),
            ("FANN_SIGMOID_SYMMETRIC:0.25", Act::Fann(FannAct::SigmoidSymmetric, 0.25)),
            ("gaussian", Act::Fann(FannAct::Gaussian, 0.5)),
            (" elu : 2 ", Act::Elu { alpha: 2.0 }),
        ];
        for (text, act) in same {
            assert_eq!(text.parse::<Activation>().unwrap(), Activation::Act(act), "{text}");
        }
    }

    #[test]
    fn what_is_no_activation_is_refused() {
        for text in ["", "sigmod", "relu:1", "softmax:1", "elu:a", "elu:1,2", "elu:inf", "elu:"] {
            assert!(text.parse::<Activation>().is_err(), "{text}");
        }
        let error = "sigmod".parse::<Activation>().unwrap_err().to_string();
        assert!(error.contains("\"sigmod\"") && error.contains("sigmoid"), "{error}");
    }
}
