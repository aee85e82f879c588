//! What is known of one step of a forecast by itself: its quantiles.
use super::law::Law;
use crate::metrics::quantile;

/// The quantiles of one step of one series.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Margin {
    /// A distribution.
    Law(Law),
    /// Draws, ascending.
    Draws(Vec<f64>),
    /// Some quantiles, ascending: shares and values.
    Some(Vec<[f64; 2]>),
    /// A point alone.
    Point(f64),
}

impl Margin {
    /// The value below which there is this share. Beyond the quantiles that are known there is nothing.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        match self {
            Margin::Law(law) => law.quantile(share),
            Margin::Draws(draws) => quantile(draws, share),
            Margin::Some(known) => {
                let above = known.partition_point(|[s, _]| *s < share);
                match (above.checked_sub(1).and_then(|i| known.get(i)), known.get(above)) {
                    (Some([s0, v0]), Some([s1, v1])) => v0 + (v1 - v0) * (share - s0) / (s1 - s0),
                    (Some([_, v]), None) | (None, Some([_, v])) => *v,
                    (None, None) => f64::NAN,
                }
            }
            Margin::Point(point) => *point,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_on_lines_between_those_that_are_known() {
        let some = Margin::Some(vec![[0.1, 1.0], [0.5, 3.0], [0.9, 4.0]]);
        for (share, want) in [(0.05, 1.0), (0.1, 1.0), (0.3, 2.0), (0.5, 3.0), (0.7, 3.5), (0.99, 4.0)] {
            assert!((some.quantile(share) - want).abs() < 1e-12, "{share}: {}", some.quantile(share));
        }
        assert_eq!(Margin::Draws(vec![1.0, 2.0, 4.0]).quantile(0.75), 3.0);
        assert_eq!(Margin::Point(7.0).quantile(0.01), 7.0);
    }
}
