//! Whether old values are forgotten: some weights within their bounds let the far past count more and more (Hyndman et al. 2008, chapter 10).
use super::form::EtsForm;
use super::recursion::EtsWeights;

/// Whether these weights of a season of `m` values forget. Without a season all weights within the usual bounds do.
pub(super) fn is_admissible(form: EtsForm, weights: &EtsWeights, m: usize) -> bool {
    !form.has_season() || m < 2 || has_roots_within(polynomial(form, weights, m))
}

/// The characteristic polynomial of a seasonal form, the highest power first.
fn polynomial(form: EtsForm, weights: &EtsWeights, m: usize) -> Vec<f64> {
    let EtsWeights { alpha, beta, gamma, phi } = *weights;
    let mut of = vec![1.0];
    if form.has_trend() {
        of.push(alpha + beta - phi);
        of.extend(vec![alpha + beta - alpha * phi; m - 2]);
        of.extend([alpha + beta - alpha * phi + gamma - 1.0, phi * (1.0 - alpha - gamma)]);
    } else {
        of.extend(vec![alpha; m - 1]);
        of.push(alpha + gamma - 1.0);
    }
    of
}

/// Whether all roots lie within the unit circle (Schur 1917, Cohn 1922): the degree is lowered one by one.
fn has_roots_within(mut of: Vec<f64>) -> bool {
    for degree in (1..of.len()).rev() {
        let ratio = of[degree] / of[0];
        if !(ratio.abs() < 1.0) {
            return false;
        }
        for i in 0..=degree / 2 {
            let (low, high) = (of[i], of[degree - i]);
            of[i] = low - ratio * high;
            of[degree - i] = high - ratio * low;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_by_hand() {
        // (z − 0.5)(z + 0.9), (z − 0.5)(z + 1.1), z² + 0.81 and z² + 1.21, and a triple root.
        assert!(has_roots_within(vec![1.0, 0.4, -0.45]) && !has_roots_within(vec![1.0, 0.6, -0.55]));
        assert!(has_roots_within(vec![1.0, 0.0, 0.81]) && !has_roots_within(vec![1.0, 0.0, 1.21]));
        assert!(has_roots_within(vec![1.0, -1.5, 0.75, -0.125]));
        assert!(has_roots_within(vec![2.0]) && !has_roots_within(vec![1.0, f64::NAN]));
    }

    /// Weights are admissible where errors of the start die away: an error-free series of zeros, with the states off by something that the form can tell.
    #[test]
    fn what_is_admissible_forgets_its_start() {
        use super::super::recursion::States;
        let zeros = [0.0; 12_000];
        let mut refused = 0;
        for name in ["ANA", "AAA", "AAdA"] {
            let form: EtsForm = name.parse().unwrap();
            for (alpha, beta, gamma) in [
                (0.2, 0.1, 0.3),
                (0.9, 0.9, 0.1),
                (0.45, 0.44, 0.5),
                (0.2, 0.18, 0.78),
                (0.25, 0.23, 0.72),
                (0.5, 0.1, 0.3),
            ] {
                let phi = if form.damped { 0.9 } else { 1.0 };
                let beta = if form.has_trend() { beta } else { 0.0 };
                let weights = EtsWeights { alpha, beta, gamma, phi };
                let mut season = vec![0.0; 12];
                (season[0], season[5]) = (0.5, -0.5);
                let mut states = States { level: 0.3, slope: 0.0, season };
                // What grows may run over on the way.
                let far = states.follow(form, &weights, &zeros).map(|_| {
                    let mut later = states.clone();
                    later.follow(form, &weights, &zeros[..12]).map_or(f64::INFINITY, |e| e.squares)
                });
                let forgets = far.is_some_and(|squares| squares < 1e-6);
                assert_eq!(is_admissible(form, &weights, 12), forgets, "{name} {weights:?}: {far:?}");
                refused += usize::from(!forgets);
            }
        }
        assert!(refused > 3, "{refused}");
    }
}
