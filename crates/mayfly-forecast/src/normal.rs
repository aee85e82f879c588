//! The standard normal distribution.
use statrs::function::erf::{erfc, erfc_inv};
use std::f64::consts::SQRT_2;

/// The share below `z`.
pub(crate) fn share(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// The value below which there is a share.
pub(crate) fn quantile(share: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * share)
}

/// How many standard deviations lie around the mean in an interval that holds `level` per cent.
pub(crate) fn deviations(level: f64) -> f64 {
    quantile(0.5 + level / 200.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (level, want) in
            [(80.0, 1.281551565544600), (90.0, 1.644853626951473), (95.0, 1.959963984540054), (99.9, 3.290526731491895)]
        {
            assert!((deviations(level) - want).abs() < 1e-12, "{level}: {}", deviations(level));
        }
        assert!(quantile(0.5).abs() < 1e-15 && (quantile(0.01) + 2.326347874040841).abs() < 1e-12);
        for z in [-6.0, -1.0, 0.0, 0.3, 4.0] {
            assert!((quantile(share(z)) - z).abs() < 1e-9, "{z}");
        }
    }
}
