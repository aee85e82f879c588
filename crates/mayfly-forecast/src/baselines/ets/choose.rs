//! The form that suits a series best.
use super::super::Normal;
use super::super::classical::naive;
use super::form::EtsForm;
use super::model::Ets;

/// Longer seasons have more places than a series can tell: those forms are left out, as R does.
const LONGEST_SEASON: usize = 24;

impl Ets {
    /// The form with the least AICc among those that R's `ets` considers: no multiplicative trend, a multiplicative season only with multiplicative errors,
    /// multiplicative parts only of values above zero, and no season of more than 24 values.
    ///
    /// `None` of a series that is constant, or of four values and less.
    pub fn choose(y: &[f64], season: usize) -> Option<Ets> {
        let is_seasonal = (2..=LONGEST_SEASON).contains(&season);
        let forms = EtsForm::all().filter(|form| form.is_candidate() && (is_seasonal || !form.has_season()));
        let fits = forms.filter_map(|form| Ets::fit(form, y, season));
        fits.min_by(|a, b| a.aicc().total_cmp(&b.aicc()))
    }
}

/// The baseline: the chosen form, and the last value of a series that is too short, or too dull, for any.
pub(in super::super) fn ets(y: &[f64], season: usize, h: usize) -> Normal {
    Ets::choose(y, season).map_or_else(|| naive(y, 1, h), |model| model.forecast(h))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(n: usize) -> Vec<f64> {
        let noise = |i: usize| (mayfly_base::mix(i as u64) % 1000) as f64 / 1000.0;
        (0..n)
            .map(|i| 20.0 + 0.1 * i as f64 + 3.0 * (i as f64 * std::f64::consts::FRAC_PI_2).sin() + noise(i))
            .collect()
    }

    fn is_sound(y: &[f64], season: usize) -> bool {
        let Normal { mean, sigma } = ets(y, season, 9);
        mean.len() == 9
            && sigma.len() == 9
            && mean.iter().chain(&sigma).all(|v| v.is_finite())
            && sigma.iter().all(|s| *s >= 0.0)
    }

    #[test]
    fn odd_series_have_forecasts() {
        let mut odd: Vec<Vec<f64>> = [1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 19].map(series).into();
        odd.extend([2, 3, 5, 6, 9, 17].map(|n| (0..n).map(f64::from).collect()));
        odd.extend([2, 3, 5, 6, 9, 17].map(|n| (0..n).map(|i| 2_f64.powi(i)).collect()));
        odd.push(vec![0.0; 20]);
        odd.push((0..20).map(|i| if i == 13 { 5.0 } else { 0.0 }).collect());
        odd.push((0..20).map(|i| if i % 3 == 0 { -4.0 } else { 7.0 }).collect());
        odd.push((0..20).map(|i| if i == 0 { 1e-12 } else { 1e9 + i as f64 }).collect());
        odd.push(series(40).iter().map(|y| y * 1e12).collect());
        odd.push(series(40).iter().map(|y| y * 1e-9).collect());
        odd.push(series(40).iter().map(|y| 1e12 + y).collect());
        odd.push(series(40).iter().map(|y| -y).collect());
        for y in &odd {
            for season in [1, 4, 12, 25, usize::MAX] {
                assert!(is_sound(y, season), "{season} {y:?}: {:?}", ets(y, season, 9));
            }
        }
        // What is no number has no form; what is too large to be squared neither.
        assert!(Ets::choose(&[1.0, f64::NAN, 2.0, 4.0, 7.0, 1.0], 1).is_none());
        assert!(
            Ets::choose(&[1e308, -1e308, 1e308, 1e307, 1e308, -1e308, 1.0], 1).is_none_or(|e| e.aicc().is_finite())
        );
        for form in EtsForm::all() {
            for season in [0, 4, usize::MAX] {
                let finite = |e: Ets| e.aicc().is_finite() && e.forecast(2).mean.iter().all(|m| m.is_finite());
                assert!(odd.iter().all(|y| Ets::fit(form, y, season).is_none_or(finite)), "{form} {season}");
            }
        }
    }

    #[test]
    fn a_forecast_does_not_depend_on_the_unit() {
        let y = series(44);
        let Normal { mean, sigma } = ets(&y, 4, 6);
        for unit in [1e12, 1e-9] {
            let other = ets(&y.iter().map(|y| y * unit).collect::<Vec<_>>(), 4, 6);
            let pairs = mean.iter().zip(&other.mean).chain(sigma.iter().zip(&other.sigma));
            assert!(pairs.into_iter().all(|(a, b)| (a * unit - b).abs() <= 1e-5 * b.abs()), "{unit}: {other:?}");
        }
    }

    /// Long series cost no more than those of 2,048 values.
    #[test]
    fn the_far_past_is_left_out() {
        let y = series(6000);
        assert_eq!(ets(&y, 1, 3), ets(&y[6000 - 2048..], 1, 3));
    }

    /// What a form is made of is found again, and what it does not show is not.
    #[test]
    fn forms_are_those_of_the_series() {
        let noise = |i: usize| ((mayfly_base::mix(i as u64) % 2000) as f64 / 1000.0 - 1.0) * 0.5;
        let level: Vec<f64> = (0..80).map(|i| 30.0 + noise(i)).collect();
        let chosen = Ets::choose(&level, 4).unwrap().form();
        assert!(!chosen.has_trend() && !chosen.has_season(), "{chosen}");
        let season = [0.6, 1.2, 1.3, 0.9];
        let growing: Vec<f64> = (0..80).map(|i| (20.0 + i as f64) * season[i % 4] + noise(i)).collect();
        let chosen = Ets::choose(&growing, 4).unwrap();
        assert!(["MAM", "MAdM"].contains(&chosen.form().to_string().as_str()), "{}", chosen.form());
        for (k, mean) in chosen.forecast(8).mean.iter().enumerate() {
            let want = (100.0 + k as f64) * season[k % 4];
            assert!((mean / want - 1.0).abs() < 0.02, "{k}: {mean} instead of {want}");
        }
        // A season of more than 24 values, and one that the series is no longer than, leave no seasonal forms.
        let of = |m: usize| -> Vec<f64> { (0..6 * m).map(|i| 20.0 + (i % m) as f64 + noise(i)).collect() };
        assert!(Ets::choose(&of(24), 24).unwrap().form().has_season());
        assert!(!Ets::choose(&of(25), 25).unwrap().form().has_season());
        assert!(!Ets::choose(&growing[..6], 4).unwrap().form().has_season());
        let negative: Vec<f64> = growing.iter().map(|y| y - 60.0).collect();
        assert!(!Ets::choose(&negative, 4).unwrap().form().needs_positive());
        assert!(Ets::choose(&growing[..4], 1).is_none() && Ets::choose(&growing[..5], 1).is_some());
    }
}
