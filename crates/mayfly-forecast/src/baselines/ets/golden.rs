//! All forms against statsforecast's.
use super::super::golden::{Golden, all, apart};
use super::form::{EtsForm, Part};
use super::recursion::{EtsWeights, States};
use super::{Ets, variance};

fn form(name: &str) -> EtsForm {
    name.parse().unwrap()
}

/// With weights and states given there is nothing to search: likelihood, errors, forecasts and, where there is a formula, their standard errors.
#[test]
fn recursions_are_those_of_the_reference() {
    let all = all();
    let golden = all.iter().find(|golden| !golden.recursions.is_empty()).unwrap();
    let (y, n) = (&golden.values, golden.values.len());
    assert_eq!(golden.recursions.len(), 30);
    let mut with_errors = 0;
    for want in &golden.recursions {
        let form = form(&want.form);
        let w = &want.weights;
        let weights = EtsWeights { alpha: w.alpha, beta: w.beta, gamma: w.gamma, phi: w.phi };
        let season = if form.has_season() { want.season.clone() } else { vec![0.0] };
        let m = season.len();
        let mut states = States { level: want.level, slope: want.slope, season };
        let mut errors = Vec::new();
        for (t, y) in y.iter().enumerate() {
            let ahead = states.outlook(form, &weights, t % m).unwrap();
            let unit = if form.error == Part::Multiplicative { ahead.mean } else { 1.0 };
            errors.push((y - ahead.mean) / unit);
            states.update(form, &weights, t % m, &ahead, *y);
        }
        assert!(apart(&errors[n - 4..], &want.errors) < 1e-9, "{form}: {errors:?}");
        let mut again = States { level: want.level, slope: want.slope, season: states.season.clone() };
        again.season = if form.has_season() { want.season.clone() } else { vec![0.0] };
        let likelihood = -0.5 * again.follow(form, &weights, y).unwrap().cost(n);
        assert_eq!(again, states, "{form}");
        assert!((likelihood - want.log_likelihood).abs() < 1e-8, "{form}: {likelihood}");
        let mean = states.ahead(form, &weights, n % m, want.mean.len());
        assert!(apart(&mean, &want.mean) < 1e-10, "{form}: {mean:?}");
        if let Some(sigma) = &want.sigma {
            let got = variance::errors(form, &weights, &states, n % m, want.variance, &mean);
            assert!(apart(&got, sigma) < 1e-9, "{form}: {got:?} instead of {sigma:?}");
            with_errors += 1;
        }
    }
    assert_eq!(with_errors, 11);
}

/// A search may end elsewhere, but nowhere that is worse; where both end in the same place the forecasts are the same.
#[test]
fn fits_are_as_likely_as_the_reference_s() {
    let (mut within, mut alike) = (0, 0);
    for Golden { name, season, values, fits, .. } in all() {
        for want in fits {
            let got = Ets::fit(form(&want.form), &values, season);
            let got = got.unwrap_or_else(|| panic!("{name} {}", want.form));
            let gain = got.log_likelihood() - want.log_likelihood;
            if want.within {
                // Valleys that are missed: of forms that are never chosen.
                let tolerance = if got.form().is_candidate() { 0.02 } else { 1.6 };
                assert!(gain > -tolerance, "{name} {}: {gain}", want.form);
                within += 1;
            }
            assert!((got.aicc() - want.aicc + 2.0 * gain).abs() < 1e-5, "{name} {}", want.form);
            if gain.abs() < 1e-3 {
                let mean = apart(&got.forecast(want.mean.len()).mean, &want.mean);
                assert!(mean < 5e-3, "{name} {}: {mean}", want.form);
                // It takes two degrees of freedom more.
                let left = (values.len() - want.parameters) as f64;
                let sigma = got.sigma() / (want.step * ((left - 1.0) / (left + 1.0)).sqrt());
                assert!((sigma - 1.0).abs() < 1e-3, "{name} {}: {sigma}", want.form);
                alike += 1;
            }
        }
    }
    assert!(within > 50 && alike > 25, "{within} {alike}");
}

#[test]
fn the_chosen_form_is_as_good_as_the_reference_s() {
    for Golden { name, season, values, best, .. } in all() {
        let chosen = Ets::choose(&values, season).unwrap();
        assert!(
            chosen.aicc() < best.aicc + 0.1,
            "{name}: {} {} instead of {}",
            chosen.form(),
            chosen.aicc(),
            best.aicc
        );
    }
    let golden = all();
    let air = golden.iter().find(|golden| golden.name == "AirPassengers").unwrap();
    let chosen = Ets::choose(&air.values, 12).unwrap();
    // Far below the reference's 1458.1, which is the end of a search and no other form's.
    assert!(chosen.form().to_string() == "MAM" && chosen.aicc() < 1391.0, "{} {}", chosen.form(), chosen.aicc());
}
