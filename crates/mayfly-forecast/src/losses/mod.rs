//! Losses over a horizon: what training makes small, which outputs a network has for it, and which columns these become.
mod density;
mod distribution;
#[cfg(test)]
mod golden;
mod isqf;
mod law;
mod margin;
mod nll;
mod point;
mod row;
mod slopes;
mod spectrum;
mod spread;

pub use distribution::{Distribution, DistributionLoss, Mixture};
pub use spread::Spread;

use crate::error::{ForecastError, Result};
use crate::windows::{Asks, BACK, Compare, Fitted, KNOWN, SHARES};
use density::Back;
use law::Law;
pub(crate) use margin::Margin;
use mayfly_nn::{CustomLoss, Loss};
use serde::{Deserialize, Serialize};

/// What training makes small: the mean over the known values of a batch's horizons.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ForecastLoss {
    /// Absolute error.
    #[default]
    Mae,
    /// Squared error.
    Mse,
    /// The root of a batch's mean squared error.
    Rmse,
    /// Absolute error as a share of the truth; a truth of 0 does not count.
    Mape,
    /// Absolute error as a share of the mean of truth and forecast (0 to 2).
    Smape,
    /// Absolute error by that of the seasonal naive forecast within the window (Hyndman & Koehler 2006).
    Mase {
        /// Steps of a season.
        seasonality: usize,
    },
    /// Squared error and the size of the error's frequencies (Wang et al. 2025).
    #[serde(rename = "fredf")]
    FreDf {
        /// The part of the frequencies, 0 to 1.
        alpha: f32,
    },
    /// Half the squared error up to `delta`, a line beyond (Huber 1964).
    Huber {
        /// Where the square turns into a line.
        delta: f32,
    },
    /// Tukey's biweight: large errors count the same, however large they are.
    Tukey {
        /// The error from which on they do.
        c: f32,
        /// Whether errors are measured in standard deviations of the window's targets.
        normalize: bool,
    },
    /// One quantile (Koenker & Bassett 1978).
    Quantile {
        /// Between 0 and 1.
        q: f32,
    },
    /// One quantile, with Huber's square around 0.
    HuberQuantile {
        /// Between 0 and 1.
        q: f32,
        /// Where the square turns into a line.
        delta: f32,
    },
    /// The median and quantiles around it, one output each.
    MultiQuantile(Spread),
    /// The same, with Huber's square around 0.
    HuberMultiQuantile {
        /// The quantiles.
        spread: Spread,
        /// Where the square turns into a line.
        delta: f32,
    },
    /// Any quantile: a layer behind the network is told which, in training a share that is drawn for every step (Gouttes et al. 2021).
    #[serde(rename = "iq")]
    ImplicitQuantile(Spread),
    /// The same, with Huber's square around 0.
    #[serde(rename = "huberiq")]
    HuberImplicitQuantile {
        /// The quantiles of a forecast.
        spread: Spread,
        /// Where the square turns into a line.
        delta: f32,
    },
    /// How unlikely the truth is under a distribution whose parameters the network gives.
    Distribution(DistributionLoss),
}

impl From<Distribution> for ForecastLoss {
    fn from(distribution: Distribution) -> Self {
        ForecastLoss::Distribution(DistributionLoss::new(distribution))
    }
}

impl ForecastLoss {
    /// The names on the command line. Numbers follow behind a colon: `quantile:0.9`, `huberq:0.9,1`, `gmm:3`.
    pub const NAMES: [&str; 25] = [
        "mae",
        "mse",
        "rmse",
        "mape",
        "smape",
        "mase",
        "fredf",
        "huber",
        "tukey",
        "quantile",
        "huberq",
        "mq",
        "hubermq",
        "iq",
        "huberiq",
        "normal",
        "studentt",
        "poisson",
        "negativebinomial",
        "bernoulli",
        "tweedie",
        "isqf",
        "pmm",
        "gmm",
        "nbmm",
    ];

    /// The loss of this name; those with intervals have those of `level`, by default 80 and 90 %.
    ///
    /// # Errors
    /// A name that is not among [`ForecastLoss::NAMES`], or a number that makes no sense behind it.
    pub fn by_name(name: &str, level: &[f64]) -> Result<ForecastLoss> {
        let (name, numbers) = name.split_once(':').map_or((name, None), |(name, numbers)| (name, Some(numbers)));
        let name = name.to_ascii_lowercase();
        let numbers = numbers.map(|text| Numbers::parse(&name, text)).transpose()?.unwrap_or_default();
        let spread = || Spread::level(level);
        let loss = match name.as_str() {
            "mae" => ForecastLoss::Mae,
            "mse" => ForecastLoss::Mse,
            "rmse" => ForecastLoss::Rmse,
            "mape" => ForecastLoss::Mape,
            "smape" => ForecastLoss::Smape,
            "mase" => ForecastLoss::Mase { seasonality: numbers.or(0, 1.0) as usize },
            "fredf" => ForecastLoss::FreDf { alpha: numbers.or(0, 0.5) },
            "huber" => ForecastLoss::Huber { delta: numbers.or(0, 1.0) },
            "tukey" => ForecastLoss::Tukey { c: numbers.or(0, 4.685), normalize: true },
            "quantile" => ForecastLoss::Quantile { q: numbers.or(0, 0.5) },
            "huberq" => ForecastLoss::HuberQuantile { q: numbers.or(0, 0.5), delta: numbers.or(1, 1.0) },
            "mq" => ForecastLoss::MultiQuantile(spread()),
            "hubermq" => ForecastLoss::HuberMultiQuantile { spread: spread(), delta: numbers.or(0, 1.0) },
            "iq" => ForecastLoss::ImplicitQuantile(spread()),
            "huberiq" => ForecastLoss::HuberImplicitQuantile { spread: spread(), delta: numbers.or(0, 1.0) },
            _ => {
                let Some(distribution) = Distribution::by_name(&name, numbers.0.first().copied()) else {
                    return Err(ForecastError::unknown("loss", &name, &ForecastLoss::NAMES));
                };
                ForecastLoss::Distribution(DistributionLoss { spread: spread(), ..DistributionLoss::new(distribution) })
            }
        };
        loss.check()?;
        Ok(loss)
    }

    /// The median and intervals that hold so many per cent each.
    pub fn intervals(level: &[f64]) -> ForecastLoss {
        ForecastLoss::MultiQuantile(Spread::level(level))
    }

    /// Whether it has intervals itself: those of several quantiles, or of a distribution.
    pub fn has_intervals(&self) -> bool {
        self.spread().is_some()
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |said: String, want: &str| Err(ForecastError::option("loss", said, want));
        let is_length = |x: f32| x > 0.0 && x.is_finite();
        match self {
            ForecastLoss::Huber { delta }
            | ForecastLoss::HuberQuantile { delta, .. }
            | ForecastLoss::HuberMultiQuantile { delta, .. }
            | ForecastLoss::HuberImplicitQuantile { delta, .. }
                if !is_length(*delta) =>
            {
                refuse(format!("a delta of {delta}"), "it must be positive")
            }
            ForecastLoss::Tukey { c, .. } if !is_length(*c) => refuse(format!("tukey:{c}"), "c must be positive"),
            ForecastLoss::Mase { seasonality: 0 } => refuse("mase:0".into(), "a season has at least one step"),
            ForecastLoss::FreDf { alpha } if !(0.0..=1.0).contains(alpha) => {
                refuse(format!("fredf:{alpha}"), "the part of the frequencies is 0 to 1")
            }
            ForecastLoss::Quantile { q } | ForecastLoss::HuberQuantile { q, .. } if !(*q > 0.0 && *q < 1.0) => {
                refuse(format!("the quantile {q}"), "the share must be between 0 and 1")
            }
            ForecastLoss::MultiQuantile(spread)
            | ForecastLoss::HuberMultiQuantile { spread, .. }
            | ForecastLoss::ImplicitQuantile(spread)
            | ForecastLoss::HuberImplicitQuantile { spread, .. } => spread.check(),
            ForecastLoss::Distribution(distribution) => distribution.check(),
            _ => Ok(()),
        }
    }

    /// Refuses windows that the loss says nothing about.
    pub(crate) fn check_window(&self, input_size: usize) -> Result<()> {
        match self {
            ForecastLoss::Mase { seasonality } if *seasonality >= input_size => Err(ForecastError::option(
                "loss",
                format!("mase:{seasonality}"),
                format!("the season must be shorter than the input, {input_size}"),
            )),
            _ => Ok(()),
        }
    }

    /// The quantiles that it has as outputs or columns.
    pub(crate) fn spread(&self) -> Option<&Spread> {
        match self {
            ForecastLoss::MultiQuantile(spread)
            | ForecastLoss::HuberMultiQuantile { spread, .. }
            | ForecastLoss::ImplicitQuantile(spread)
            | ForecastLoss::HuberImplicitQuantile { spread, .. } => Some(spread),
            ForecastLoss::Distribution(distribution) => Some(&distribution.spread),
            _ => None,
        }
    }

    /// The quantiles of the outputs, the median first and the others ascending; none for other losses.
    pub(crate) fn quantiles(&self) -> Vec<f64> {
        match self {
            ForecastLoss::MultiQuantile(spread)
            | ForecastLoss::HuberMultiQuantile { spread, .. }
            | ForecastLoss::ImplicitQuantile(spread)
            | ForecastLoss::HuberImplicitQuantile { spread, .. } => {
                spread.bounds().into_iter().map(|bound| bound.share).collect()
            }
            ForecastLoss::Quantile { q } | ForecastLoss::HuberQuantile { q, .. } => vec![f64::from(*q)],
            _ => Vec::new(),
        }
    }

    /// Outputs of a family's network for each step.
    pub fn outputs(&self) -> usize {
        match self {
            _ if self.asks().shares => 1,
            ForecastLoss::Distribution(distribution) => distribution.outputs(),
            _ => self.quantiles().len().max(1),
        }
    }

    /// Numbers that a trained network tells of a step: its outputs, or what a layer behind makes of them.
    pub(crate) fn told(&self) -> usize {
        if self.asks().shares { self.quantiles().len() } else { self.outputs() }
    }

    /// What is appended to a model's name for each column.
    pub fn columns(&self) -> Vec<String> {
        let bounds = |spread: &Spread| spread.bounds().into_iter().map(|bound| bound.suffix);
        match self {
            ForecastLoss::MultiQuantile(spread)
            | ForecastLoss::HuberMultiQuantile { spread, .. }
            | ForecastLoss::ImplicitQuantile(spread)
            | ForecastLoss::HuberImplicitQuantile { spread, .. } => bounds(spread).collect(),
            ForecastLoss::Distribution(loss) => {
                let parameters = if loss.return_params { loss.parameter_names() } else { Vec::new() };
                [String::new()].into_iter().chain(bounds(&loss.spread)).chain(parameters).collect()
            }
            ForecastLoss::Quantile { q } => vec![format!("_ql{q}")],
            ForecastLoss::HuberQuantile { q, delta } => vec![format!("_q{q}_d{delta:?}")],
            _ => vec![String::new()],
        }
    }

    /// Level of each interval, and where its bounds are among the columns.
    pub(crate) fn intervals_of_columns(&self) -> Vec<(String, [usize; 2])> {
        // Distributions have their mean first.
        let first = usize::from(matches!(self, ForecastLoss::Distribution(_)));
        let intervals = self.spread().map_or_else(Vec::new, Spread::intervals);
        intervals.into_iter().map(|(level, bounds)| (level, bounds.map(|at| at + first))).collect()
    }

    /// The columns of a step, on the scale of the data. Where several paths lead to it: means over the paths, and quantiles of what they draw.
    pub(crate) fn read(&self, told: &Told<'_>, columns: &mut Vec<f32>) {
        let from = columns.len();
        let ForecastLoss::Distribution(loss) = self else {
            columns.extend(told.outputs.iter().take(self.told()).map(|value| told.scale.undo(*value)));
            if self.spread().is_some() {
                uncross(&self.quantiles(), columns.get_mut(from..).unwrap_or_default());
            }
            return;
        };
        let laws = told.laws(loss);
        let n = laws.len().max(1) as f64;
        columns.push((laws.iter().map(Law::mean).sum::<f64>() / n) as f32);
        let margin = told.margin(laws.clone());
        columns.extend(loss.spread.bounds().into_iter().map(|bound| margin.quantile(bound.share) as f32));
        if loss.return_params {
            let all: Vec<Vec<f64>> = laws.iter().map(distribution::numbers).collect();
            let count = all.first().map_or(0, Vec::len);
            columns.extend((0..count).map(|i| (all.iter().map(|numbers| numbers[i]).sum::<f64>() / n) as f32));
        }
    }

    /// What is known of a step by itself.
    pub(crate) fn margin(&self, told: &Told<'_>) -> Margin {
        match self {
            ForecastLoss::Distribution(loss) => told.margin(told.laws(loss)),
            _ if self.spread().is_some() => {
                let mut shares = self.quantiles();
                let mut values: Vec<f32> = told.outputs.iter().map(|value| told.scale.undo(*value)).collect();
                shares.sort_by(f64::total_cmp);
                values.sort_by(f32::total_cmp);
                Margin::Some(shares.into_iter().zip(values).map(|(share, value)| [share, f64::from(value)]).collect())
            }
            _ => Margin::Point(f64::from(self.point(told.outputs, told.scale))),
        }
    }

    /// Which output of a step the point forecast is, where it is one of them: of quantiles the one that is the median once they are sorted.
    pub(crate) fn point_output(&self, outputs: &[f32]) -> Option<usize> {
        if self.asks().shares || matches!(self, ForecastLoss::Distribution(_)) {
            return None;
        }
        let below = if self.spread().is_some() { self.quantiles().iter().filter(|q| **q < 0.5).count() } else { 0 };
        let mut order: Vec<usize> = (0..outputs.len()).collect();
        order.sort_by(|a, b| outputs[*a].total_cmp(&outputs[*b]));
        order.get(below).copied()
    }

    /// What stands for a step when forecasts are fed back: the median, where there is one.
    pub(crate) fn point(&self, outputs: &[f32], scale: Fitted) -> f32 {
        match self {
            ForecastLoss::Distribution(loss) => loss.law(outputs, scale.into()).quantile(0.5) as f32,
            _ if self.spread().is_some() => {
                let mut columns = Vec::new();
                self.read(&Told { outputs, scale, shares: &[] }, &mut columns);
                columns.first().copied().unwrap_or_default()
            }
            _ => scale.undo(outputs[0]),
        }
    }

    /// What a recurrent network reads next, on its own scale: the point forecast, or the value of the distribution below which there is this share.
    pub(crate) fn next_input(&self, outputs: &[f32], scale: Fitted, share: f64) -> f32 {
        match self {
            ForecastLoss::Distribution(loss) => {
                scale.apply(loss.law(&outputs[..self.outputs()], scale.into()).quantile(share) as f32)
            }
            _ => scale.apply(self.point(&outputs[..self.told()], scale)),
        }
    }

    /// What it wants of rows.
    pub(crate) fn asks(&self) -> Asks {
        Asks {
            compare: match self {
                ForecastLoss::Distribution(_) => Compare::Original,
                _ => Compare::Scaled,
            },
            shares: matches!(self, ForecastLoss::ImplicitQuantile(_) | ForecastLoss::HuberImplicitQuantile { .. }),
            season: if let ForecastLoss::Mase { seasonality } = self { Some(*seasonality) } else { None },
        }
    }

    /// For the trainer: reads how much each target counts, and how to go back to the scale of the data.
    pub(crate) fn for_trainer(&self, h: usize, series: usize) -> Loss {
        let loss = match self {
            ForecastLoss::Distribution(loss) => CustomLoss::new(nll::Nll::new(loss, h, series)),
            _ => CustomLoss::new(point::HorizonLoss::new(self, h, series)),
        };
        let mut inputs = vec![KNOWN, BACK];
        inputs.extend(self.asks().shares.then_some(SHARES));
        Loss::Custom(loss.reading(inputs))
    }
}

/// What a network says of one step.
pub(crate) struct Told<'a> {
    /// Its outputs; those of several paths one behind the other.
    pub(crate) outputs: &'a [f32],
    /// What its window was scaled by.
    pub(crate) scale: Fitted,
    /// Where several paths lead to it, which share of its distribution each draws.
    pub(crate) shares: &'a [f64],
}

impl Told<'_> {
    fn laws(&self, loss: &DistributionLoss) -> Vec<Law> {
        let paths = self.outputs.chunks_exact(loss.outputs());
        paths.map(|outputs| loss.law(outputs, self.scale.into())).collect()
    }

    /// One law, or what several draw.
    fn margin(&self, mut laws: Vec<Law>) -> Margin {
        match laws.len() {
            1 => Margin::Law(laws.remove(0)),
            _ => {
                let mut draws: Vec<f64> =
                    laws.iter().zip(self.shares).map(|(law, share)| law.quantile(*share)).collect();
                draws.sort_by(f64::total_cmp);
                Margin::Draws(draws)
            }
        }
    }
}

impl From<Fitted> for Back {
    fn from(scale: Fitted) -> Back {
        Back { shift: f64::from(scale.shift), scale: f64::from(scale.scale) }
    }
}

/// What stands behind a name's colon.
#[derive(Default)]
struct Numbers(Vec<f64>);

impl Numbers {
    fn parse(name: &str, text: &str) -> Result<Numbers> {
        let most = match name {
            "huberq" => 2,
            "mase" | "fredf" | "huber" | "tukey" | "quantile" | "hubermq" | "huberiq" => 1,
            _ if Distribution::takes_number(name) => 1,
            _ if !ForecastLoss::NAMES.contains(&name) => {
                return Err(ForecastError::unknown("loss", name, &ForecastLoss::NAMES));
            }
            _ => 0,
        };
        let numbers: std::result::Result<Vec<f64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        match numbers {
            Ok(numbers) if numbers.len() <= most => Ok(Numbers(numbers)),
            _ if most == 0 => Err(ForecastError::option("loss", format!("{name}:{text}"), "it takes no number")),
            _ => {
                let want = if most == 1 {
                    "a number stands behind the colon"
                } else {
                    "at most two numbers stand behind the colon, with a comma between them"
                };
                Err(ForecastError::option("loss", format!("{name}:{text}"), want))
            }
        }
    }

    fn or(&self, i: usize, default: f32) -> f32 {
        self.0.get(i).map_or(default, |number| *number as f32)
    }
}

/// Puts the quantiles of one step, the median first, into an order without crossings: sorted, with the median in its place.
fn uncross(quantiles: &[f64], values: &mut [f32]) {
    values.sort_by(f32::total_cmp);
    // The median comes first, behind it what is below.
    let below = quantiles.iter().filter(|q| **q < 0.5).count();
    if let Some(head) = values.get_mut(..=below) {
        head.rotate_right(1);
    }
}

/// Intervals hold more than nothing and less than all.
pub(crate) fn check_level(level: &[f64]) -> Result<()> {
    match level.iter().find(|l| !(**l > 0.0 && **l < 100.0)) {
        _ if level.is_empty() => {
            Err(ForecastError::option("level", "empty", "at least one number between 0 and 100 is needed"))
        }
        Some(l) => Err(ForecastError::option("level", l, "it must be between 0 and 100")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_neural_forecasts() {
        let columns = |name: &str| ForecastLoss::by_name(name, &[80.0]).unwrap().columns();
        assert_eq!(columns("mq"), ["-median", "-lo-80", "-hi-80"]);
        assert_eq!(columns("quantile:0.1"), ["_ql0.1"]);
        assert_eq!(columns("huberq:0.1"), ["_q0.1_d1.0"]);
        assert_eq!(columns("StudentT"), ["", "-median", "-lo-80", "-hi-80"]);
        assert_eq!(ForecastLoss::by_name("gmm:2", &[80.0]).unwrap().intervals_of_columns(), [("80".into(), [2, 3])]);
        let gmm = Distribution::NormalMixture(Mixture { n_components: 2, weighted: true, ..Mixture::default() });
        let loss = DistributionLoss { return_params: true, ..DistributionLoss::new(gmm) };
        let want = ["-mu-1", "-mu-2", "-std-1", "-std-2", "-weight-1", "-weight-2"];
        assert_eq!(ForecastLoss::Distribution(loss.clone()).columns()[6..], want);
        let mut values = Vec::new();
        let raw = [1.0, -1.0, 0.5, 0.25, 0.0, 1.0];
        let told = Told { outputs: &raw, scale: Fitted::line(0.0, 1.0), shares: &[] };
        ForecastLoss::Distribution(loss).read(&told, &mut values);
        assert_eq!((values.len(), &values[6..8]), (12, &[1.0, -1.0][..]));
        assert!((values[10] + values[11] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn quantiles_never_cross() {
        let mut values = [5.0, 7.0, 1.0, 6.0, 2.0];
        uncross(&[0.5, 0.05, 0.1, 0.9, 0.95], &mut values);
        assert_eq!(values, [5.0, 1.0, 2.0, 6.0, 7.0]);
        let mut values = [5.0, 7.0, 1.0];
        uncross(&[0.5, 0.8, 0.9], &mut values);
        assert_eq!(values, [1.0, 5.0, 7.0]);
    }

    #[test]
    fn names_and_numbers_are_checked() {
        for bad in [
            "quantile:1",
            "quantile:x",
            "huber:0",
            "mapee",
            "mae:1",
            "mase:0",
            "tweedie:2",
            "pmm:0",
            "huberq:0.5,1,2",
            "normal:3",
            "fredf:2",
            "isqf:0",
        ] {
            assert!(ForecastLoss::by_name(bad, &[]).is_err(), "{bad}");
        }
        assert!(ForecastLoss::by_name("mq", &[100.0]).unwrap_err().to_string().contains("level"));
        assert_eq!(ForecastLoss::by_name("huber:2", &[]).unwrap(), ForecastLoss::Huber { delta: 2.0 });
        assert!(ForecastLoss::by_name("studentT5", &[]).unwrap_err().to_string().contains("studentt"));
    }

    #[test]
    fn all_names_are_losses_and_their_settings_are_read_back() {
        for name in ForecastLoss::NAMES {
            let loss = ForecastLoss::by_name(name, &[]).unwrap();
            let text = serde_json::to_string(&loss).unwrap();
            assert_eq!(serde_json::from_str::<ForecastLoss>(&text).unwrap(), loss, "{text}");
            let mut columns = Vec::new();
            let outputs = vec![0.3; loss.told()];
            let scale = Fitted::line(5.0, 2.0);
            loss.read(&Told { outputs: &outputs, scale, shares: &[] }, &mut columns);
            assert_eq!(columns.len(), loss.columns().len(), "{name}");
            assert!(columns.iter().all(|value| value.is_finite()), "{name}: {columns:?}");
            for (_, [low, high]) in loss.intervals_of_columns() {
                assert!(columns[low] <= columns[high], "{name}: {columns:?}");
            }
        }
    }
}
