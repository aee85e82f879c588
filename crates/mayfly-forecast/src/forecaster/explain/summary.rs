//! Which inputs matter, over all forecasts that were explained.
use super::explanations::Explanation;
use super::inputs::InputKind;
use std::collections::BTreeMap;

/// How much an input matters: a lag of the series, or a whole exogenous column.
#[derive(Clone, PartialEq, Debug)]
pub struct Importance {
    /// What kind of column it is from.
    pub kind: InputKind,
    /// The column.
    pub column: String,
    /// Another series than the one that is forecast.
    pub of: Option<String>,
    /// Steps before the one that is forecast, for values of the series itself; all others are sums over time.
    pub lag: Option<i64>,
    /// Mean over the forecasts of the attributions without their signs.
    pub mean: f64,
    /// Its share of all.
    pub share: f64,
}

impl Explanation {
    /// What matters, most first.
    pub fn summary(&self) -> Vec<Importance> {
        let mut sums: BTreeMap<(InputKind, &str, Option<&str>, Option<i64>), f64> = BTreeMap::new();
        for explained in &self.forecasts {
            for (input, attribution) in self.inputs.iter().zip(&explained.attributions) {
                let other = input.of.as_deref().filter(|of| *of != explained.id);
                let is_own = input.kind == InputKind::Y && other.is_none();
                let lag = input.lag(explained.step).filter(|_| is_own);
                *sums.entry((input.kind, &input.column, other, lag)).or_default() += f64::from(attribution.abs());
            }
        }
        let all: f64 = sums.values().sum();
        let n = self.forecasts.len().max(1) as f64;
        let one = |((kind, column, of, lag), sum): ((InputKind, &str, Option<&str>, Option<i64>), f64)| Importance {
            kind,
            column: column.to_owned(),
            of: of.map(str::to_owned),
            lag,
            mean: sum / n,
            share: if all > 0.0 { sum / all } else { 0.0 },
        };
        let mut summary: Vec<Importance> = sums.into_iter().map(one).collect();
        summary.sort_by(|a, b| b.mean.total_cmp(&a.mean));
        summary
    }
}

/// For people: `y lag 12`, `price`, `y of b`.
impl std::fmt::Display for Importance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.column)?;
        if let Some(of) = &self.of {
            write!(f, " of {of}")?;
        }
        match self.lag {
            Some(lag) => write!(f, " lag {lag}"),
            None => Ok(()),
        }
    }
}
