//! What forecasts are made of: that attributions add up, that they are right where they can be worked out by hand, and that they find what a series depends on.
use mayfly_forecast::{
    Distribution, DistributionLoss, ExplainMethod, ExplainOptions, Explained, Explanation, Explanations, FAMILIES,
    ForecastLoss, Forecaster, FrameOptions, InputKind, Model, Scaler, SeriesFrame, Table,
};
use std::io::Write;

const H: usize = 3;
const N: usize = 50;

fn noise(stream: u64, t: usize) -> f32 {
    (mayfly_base::mix(stream << 32 | t as u64) % 2001) as f32 / 1000.0 - 1.0
}

/// 1 at times that follow no pattern.
fn promotion(t: usize) -> f32 {
    f32::from(u8::from(mayfly_base::mix(t as u64).is_multiple_of(3)))
}

fn table(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Series of values that `y` gives for series and time.
fn series(ids: &[&str], n: usize, y: impl Fn(usize, usize) -> f32) -> SeriesFrame {
    let names: Vec<String> = ids.iter().flat_map(|id| vec![(*id).to_owned(); n]).collect();
    let ds: Vec<String> = ids.iter().flat_map(|_| (0..n).map(|t| t.to_string())).collect();
    let y: Vec<f32> = (0..ids.len()).flat_map(|s| (0..n).map(|t| y(s, t)).collect::<Vec<_>>()).collect();
    SeriesFrame::from_columns(&names, &ds, &y, &FrameOptions::default()).unwrap()
}

/// Series with a level, a season and noise.
fn plain(ids: &[&str]) -> SeriesFrame {
    series(ids, N, |s, t| 10.0 + 3.0 * s as f32 + 2.0 * (t as f32 * 0.9).sin() + noise(s as u64, t))
}

/// The same with columns of these kinds, and what is known ahead of them.
fn beside(ids: &[&str], kinds: &[&str], y: impl Fn(usize, usize) -> f32) -> SeriesFrame {
    let names: Vec<String> = ids.iter().flat_map(|id| vec![(*id).to_owned(); N]).collect();
    let ds: Vec<String> = ids.iter().flat_map(|_| (0..N).map(|t| t.to_string())).collect();
    let of = |f: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        (0..ids.len()).flat_map(|s| (0..N).map(|t| f(s, t)).collect::<Vec<_>>()).collect()
    };
    let (y, sensor, promo) = (of(&y), of(&|s, t| noise(70 + s as u64, t)), of(&|_, t| promotion(t)));
    let hist: &[(&str, &[f32])] = if kinds.contains(&"hist") { &[("sensor", &sensor), ("visitors", &y)] } else { &[] };
    let futr: &[(&str, &[f32])] = if kinds.contains(&"futr") { &[("promo", &promo)] } else { &[] };
    let mut frame =
        SeriesFrame::from_table(&Table { ids: &names, ds: &ds, y: &y, hist, futr }, &FrameOptions::default()).unwrap();
    if kinds.contains(&"static") {
        let rows: String = ids.iter().enumerate().map(|(i, id)| format!("{id},{}\n", 2 * i + 1)).collect();
        frame = frame.with_static(table(&format!("unique_id,size\n{rows}")).path(), &FrameOptions::default()).unwrap();
    }
    if kinds.contains(&"futr") {
        let row = |id: &&str| (N..N + H).map(|t| format!("{id},{t},{}\n", promotion(t))).collect::<String>();
        let rows: String = ids.iter().map(row).collect();
        frame =
            frame.with_future(table(&format!("unique_id,ds,promo\n{rows}")).path(), &FrameOptions::default()).unwrap();
    }
    frame
}

fn small(name: &str) -> Model {
    let model =
        Model::new(name).unwrap().input_size(10).with("max_steps", 15).unwrap().with("learning_rate", 1e-2).unwrap();
    let model = model.with("scaler_type", "standard").unwrap();
    let widths = ["hidden_size", "d_ff", "d_core", "conv_hidden_size", "linear_hidden_size", "encoder_hidden_size"];
    let sizes = widths.map(|name| (name, 8)).into_iter().chain([
        ("n_heads", 2),
        ("n_head", 2),
        ("patch_len", 5),
        ("lstm_hidden_size", 8),
        ("decoder_hidden_size", 8),
        ("ff_dim", 8),
    ]);
    let there = sizes.filter(|(name, _)| model.config().get(name).is_some_and(serde_json::Value::is_number));
    let sizes = there.map(|(name, n)| (name.to_owned(), n.into())).collect();
    let model = model.with_all(&sizes).unwrap();
    match model.config().get("mlp_units") {
        Some(_) => model.with("mlp_units", vec![vec![8, 8]; 3]).unwrap(),
        None => model,
    }
}

fn fitted(model: Model, frame: &SeriesFrame) -> Forecaster {
    let mut forecaster = Forecaster::new(H).model(model).val_size(0);
    forecaster.fit(frame, &mut ()).unwrap();
    forecaster
}

fn by(method: ExplainMethod) -> ExplainOptions {
    ExplainOptions { method, ..ExplainOptions::default() }
}

fn explained(forecaster: &Forecaster, frame: &SeriesFrame, options: &ExplainOptions) -> Explanation {
    forecaster.explain(Some(frame), options).unwrap().models.remove(0)
}

/// Families whose forecasts jump where they choose other keys or delays, which no gradient shows, or are as good as jumps (FEDformer's tanh of complex numbers has poles).
const JUMPY: [&str; 3] = ["Informer", "Autoformer", "FEDformer"];

/// Baseline and attributions are the forecast, and that is what `predict` says.
fn check_sums(name: &str, forecaster: &Forecaster, frame: &SeriesFrame) -> Explanations {
    let points = JUMPY.contains(&name).then_some(64);
    let explanations = forecaster.explain(Some(frame), &ExplainOptions { points, ..Default::default() }).unwrap();
    let forecasts = forecaster.predict(Some(frame), None).unwrap();
    let explanation = &explanations.models[0];
    let column = forecasts.column(&forecaster.fitted()[0].model.columns()[0]).unwrap();
    assert_eq!(explanation.forecasts.len(), column.len(), "{name}");
    let keys: Vec<(&str, String)> = forecasts.keys().map(|(id, ds, _)| (id, forecasts.written(ds))).collect();
    for (i, (one, want)) in explanation.forecasts.iter().zip(column).enumerate() {
        assert_eq!((one.id.as_str(), explanations.written(one.ds)), keys[i], "{name}");
        assert_eq!(one.step, i % H + 1, "{name}");
        assert!((one.forecast - want).abs() <= 1e-4 * (1.0 + want.abs()), "{name}: {} {want}", one.forecast);
        let (baseline, sum) = (f64::from(one.baseline.unwrap()), sum(one));
        let all: f64 = one.attributions.iter().map(|a| f64::from(a.abs())).sum();
        let gap = f64::from(one.forecast) - baseline - sum;
        assert!(
            JUMPY.contains(&name) || gap.abs() <= 1.1e-3 * all + 1e-5 * want.abs().max(1.0) as f64,
            "{name} {}: {gap} of {all}",
            one.step
        );
        assert!((gap - f64::from(one.gap.unwrap())).abs() < 1e-3, "{name}: {gap} {:?}", one.gap);
        assert_eq!(one.attributions.len(), explanation.inputs.len(), "{name}");
    }
    let largest = explanation.forecasts.iter().flat_map(|one| &one.attributions).fold(0.0_f32, |m, a| m.max(a.abs()));
    assert!(largest > 1e-3, "{name}: nothing is explained");
    explanations
}

fn sum(one: &Explained) -> f64 {
    one.attributions.iter().map(|a| f64::from(*a)).sum()
}

#[test]
fn attributions_of_every_family_add_up_to_what_it_forecasts() {
    // TimeLLM reads a folder and has tests of its own.
    for family in FAMILIES.iter().filter(|family| !["DeepAR", "TimeLLM"].contains(&family.name)) {
        let kinds = family.takes.kinds();
        let frame = beside(&["a", "b"], &kinds, |s, t| 10.0 + 4.0 * s as f32 + (t as f32 * 0.9).sin() + promotion(t));
        let forecaster = fitted(small(family.name), &frame);
        let explanations = check_sums(family.name, &forecaster, &frame);
        let explanation = &explanations.models[0];
        let mut want = vec![InputKind::Y];
        for (kind, found) in [("hist", InputKind::Hist), ("futr", InputKind::Futr), ("static", InputKind::Static)] {
            want.extend(kinds.contains(&kind).then_some(found));
        }
        let mut got: Vec<InputKind> = explanation.inputs.iter().map(|input| input.kind).collect();
        got.dedup();
        assert_eq!(got, want, "{}", family.name);
        let seen = if family.takes.multivariate { 2 } else { 1 };
        assert_eq!(explanation.inputs.iter().filter(|input| input.kind == InputKind::Y).count(), seen * 10);
    }
}

#[test]
fn attributions_add_up_step_by_step_and_under_losses_with_several_outputs() {
    let frame = beside(&["a", "b"], &["hist", "futr", "static"], |s, t| {
        20.0 + 4.0 * s as f32 + (t as f32 * 0.9).sin() + promotion(t)
    });
    for family in ["RNN", "LSTM", "GRU"] {
        for loss in [ForecastLoss::Mae, ForecastLoss::intervals(&[80.0])] {
            let model = small(family).with("recurrent", true).unwrap().loss(loss);
            check_sums(family, &fitted(model, &frame), &frame);
        }
    }
    for name in ["mq", "normal", "studentt", "poisson", "gmm:2", "isqf"] {
        let model = small("NHITS");
        let forecaster = fitted(model.loss(ForecastLoss::by_name(name, &[80.0]).unwrap()), &frame);
        check_sums(name, &forecaster, &frame);
    }
    let normal = ForecastLoss::Distribution(DistributionLoss::new(Distribution::Normal));
    check_sums("TSMixerx", &fitted(small("TSMixerx").loss(normal), &frame), &frame);
}

/// The window that says nothing is a flat one at the level that the scaler takes away.
#[test]
fn every_scaler_has_its_own_nothing() {
    let frame = plain(&["a"]);
    for scaler in ["identity", "standard", "robust", "minmax"] {
        let forecaster = fitted(small("MLP").with("scaler_type", scaler).unwrap(), &frame);
        let explanations = check_sums(scaler, &forecaster, &frame);
        let window: Vec<f32> = frame.iter().next().unwrap().y[N - 10..].to_vec();
        let mut sorted = window.clone();
        sorted.sort_by(f32::total_cmp);
        let level = match scaler {
            "robust" => sorted[4],
            "minmax" => sorted[0],
            _ => window.iter().sum::<f32>() / 10.0,
        };
        let flat = series(&["a"], N, |_, _| level);
        let of_flat = forecaster.predict(Some(&flat), None).unwrap().column("MLP").unwrap().to_vec();
        // A flat window has a spread of 1, this one its own.
        let mut values: Vec<f64> = window.iter().map(|y| f64::from(*y)).collect();
        let scale = Scaler::by_name(scaler).unwrap().fit(&mut values).scale;
        for (one, of_flat) in explanations.models[0].forecasts.iter().zip(of_flat) {
            let (got, want) = (one.baseline.unwrap(), (of_flat - level) * scale + level);
            assert!((got - want).abs() < 1e-3, "{scaler}: {got}, not {want}");
        }
    }
}

/// The weights of a linear model on its scaled inputs, worked out from its parameters.
fn weights(forecaster: &Forecaster, family: &str) -> Vec<Vec<f64>> {
    let network = forecaster.fitted()[0].network();
    let matrix = |name: &str| -> Vec<Vec<f64>> {
        let w = network.param(&format!("layers.0.{name}.weight")).unwrap();
        w.chunks(10).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect()
    };
    if family == "NLinear" {
        let mut w = matrix("linear");
        w.iter_mut().for_each(|row| row[9] += 1.0 - row.iter().sum::<f64>());
        return w;
    }
    let (trend, season) = (matrix("linear_trend"), matrix("linear_season"));
    // How often place `i` stands under the moving average of 5 at `j`, ends repeated.
    let share = |i: usize, j: usize| {
        (j as i64 - 2..=j as i64 + 2).filter(|at| (*at).clamp(0, 9) as usize == i).count() as f64 / 5.0
    };
    let one =
        |k: usize, i: usize| season[k][i] + (0..10).map(|j| (trend[k][j] - season[k][j]) * share(i, j)).sum::<f64>();
    (0..H).map(|k| (0..10).map(|i| one(k, i)).collect()).collect()
}

#[test]
fn a_linear_model_is_explained_by_its_weights() {
    let frame = plain(&["a", "b"]);
    for family in ["NLinear", "DLinear"] {
        let model = small(family);
        let model = if family == "DLinear" { model.with("moving_avg_window", 5).unwrap() } else { model };
        let forecaster = fitted(model, &frame);
        let weights = weights(&forecaster, family);
        let gradient = explained(&forecaster, &frame, &by(ExplainMethod::InputXGradient));
        let integrated = explained(&forecaster, &frame, &ExplainOptions { points: Some(1), ..Default::default() });
        let all = ExplainOptions { draws: 100, ..by(ExplainMethod::Permutation) };
        let permuted = explained(&forecaster, &frame, &all);
        for (s, series) in frame.iter().enumerate() {
            let window: Vec<f64> = series.y[N - 10..].iter().map(|v| f64::from(*v)).collect();
            let mean = window.iter().sum::<f64>() / 10.0;
            for (k, weights) in weights.iter().enumerate() {
                let at = s * H + k;
                assert_eq!((gradient.forecasts[at].id.as_str(), gradient.forecasts[at].step), (series.id, k + 1));
                for i in 0..10 {
                    // The scale that it is divided by and multiplied with again cancels out.
                    let want = weights[i] * (window[i] - mean);
                    let others = (window.iter().sum::<f64>() - window[i]) / 9.0;
                    let tried = weights[i] * (window[i] - others);
                    for (what, got, want) in [
                        ("gradient", gradient.forecasts[at].attributions[i], want),
                        ("integrated", integrated.forecasts[at].attributions[i], want),
                        ("permutation", permuted.forecasts[at].attributions[i], tried),
                    ] {
                        let near = (f64::from(got) - want).abs() < 2e-4 * (1.0 + want.abs());
                        assert!(near, "{family}, {what}, step {k}, place {i}: {got}, not {want}");
                    }
                }
            }
        }
        // The last value is one step before the first forecast.
        let last = &gradient.inputs[9];
        assert_eq!((last.ahead, last.lag(1), last.lag(3), last.of.as_ref()), (Some(0), Some(1), Some(3), None));
    }
}

#[test]
fn the_column_that_a_series_depends_on_is_found() {
    let frame = beside(&["a", "b"], &["hist", "futr", "static"], |s, t| 10.0 + 5.0 * promotion(t) + s as f32);
    let model = small("MLP").with("max_steps", 300).unwrap().with("hidden_size", 32).unwrap();
    let forecaster = fitted(model, &frame);
    for method in [ExplainMethod::IntegratedGradients, ExplainMethod::InputXGradient, ExplainMethod::Permutation] {
        let explanation = explained(&forecaster, &frame, &by(method));
        let summary = explanation.summary();
        let clear = summary[0].share > 2.0 * summary[1].share;
        assert!(summary[0].column == "promo" && clear, "{method:?}: {:?}", &summary[..3]);
        assert_eq!(summary[0].to_string(), "promo");
        assert!((summary.iter().map(|one| one.share).sum::<f64>() - 1.0).abs() < 1e-9);
        // The gradient at one place alone may mistake what a forecast is made of.
        let steps = if method == ExplainMethod::InputXGradient { &[][..] } else { &explanation.forecasts };
        for one in steps {
            let most = (0..one.attributions.len())
                .max_by(|a, b| one.attributions[*a].abs().total_cmp(&one.attributions[*b].abs()));
            let input = &explanation.inputs[most.unwrap()];
            assert_eq!(
                (input.column.as_str(), input.lag(one.step)),
                ("promo", Some(0)),
                "{method:?}, step {}",
                one.step
            );
            // A promotion adds to a forecast, its absence takes away.
            let sign = if promotion(N + one.step - 1) > 0.0 { 1.0 } else { -1.0 };
            assert!(one.attributions[most.unwrap()] * sign > 0.0, "{method:?}, step {}", one.step);
        }
    }
}

#[test]
fn an_explanation_is_the_same_alone_or_among_others() {
    let frame = plain(&["a", "b", "c"]);
    let forecaster = fitted(small("NHITS"), &frame);
    let alone = series(&["b"], N, |_, t| frame.iter().nth(1).unwrap().y[t]);
    for method in [ExplainMethod::IntegratedGradients, ExplainMethod::InputXGradient, ExplainMethod::Permutation] {
        let among = explained(&forecaster, &frame, &by(method));
        let one = explained(&forecaster, &alone, &by(method));
        let picked = explained(&forecaster, &frame, &ExplainOptions { series: vec!["b".into()], ..by(method) });
        assert_eq!(picked, one, "{method:?}");
        assert_eq!(among.forecasts[H..2 * H], one.forecasts[..], "{method:?}");
        let last = explained(&forecaster, &frame, &ExplainOptions { steps: vec![H, 1, H], ..by(method) });
        let steps: Vec<usize> = last.forecasts.iter().map(|one| one.step).collect();
        assert_eq!(steps, [1, H, 1, H, 1, H]);
        assert_eq!(last.forecasts[1].attributions.len(), one.forecasts[2].attributions.len());
    }
    let again = |seed: u64| {
        explained(&forecaster, &frame, &ExplainOptions { seed, draws: 3, ..by(ExplainMethod::Permutation) })
    };
    assert_eq!(again(4), again(4));
    assert_ne!(again(4), again(5));
}

#[test]
fn a_multivariate_model_is_explained_by_every_series() {
    let frame = plain(&["a", "b", "c"]);
    let forecaster = fitted(small("TSMixer").with("max_steps", 60).unwrap(), &frame);
    let all = explained(&forecaster, &frame, &ExplainOptions::default());
    let one = explained(&forecaster, &frame, &ExplainOptions { series: vec!["b".into()], ..Default::default() });
    assert_eq!(one.forecasts.len(), H);
    for (one, all) in one.forecasts.iter().zip(&all.forecasts[H..]) {
        assert_eq!((&one.id, one.step, one.forecast), (&all.id, all.step, all.forecast));
        assert!(one.attributions.iter().zip(&all.attributions).all(|(a, b)| (a - b).abs() < 1e-3));
    }
    let names: Vec<&str> = all.inputs.iter().step_by(10).map(|input| input.of.as_deref().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    // A change of another series changes the forecast as its attributions say.
    let summary = one.summary();
    assert!(summary.iter().any(|one| one.of.as_deref() == Some("a") && one.mean > 0.0), "{summary:?}");
    assert!(summary.iter().all(|one| one.of.as_deref() != Some("b")), "{summary:?}");
}

#[test]
fn what_is_not_there_explains_nothing() {
    let frame = plain(&["a", "b"]);
    for scaler in ["identity", "standard"] {
        let forecaster = fitted(small("MLP").with("scaler_type", scaler).unwrap(), &frame);
        let short = series(&["new"], 4, |_, t| 8.0 + t as f32);
        for method in [ExplainMethod::IntegratedGradients, ExplainMethod::InputXGradient, ExplainMethod::Permutation] {
            let explanation = explained(&forecaster, &short, &by(method));
            for one in &explanation.forecasts {
                assert!(one.attributions[..6].iter().all(|a| *a == 0.0), "{scaler} {method:?}: {one:?}");
                assert!(one.attributions[6..].iter().any(|a| *a != 0.0), "{scaler} {method:?}: {one:?}");
            }
        }
        // All values that are there are alike: none of the others is tried in their place. (Rows of one batch and of another are added up in another order.)
        let alike = explained(&forecaster, &series(&["new"], 4, |_, _| 8.0), &by(ExplainMethod::Permutation));
        assert!(
            alike.forecasts.iter().flat_map(|one| &one.attributions).all(|a| a.abs() < 1e-5),
            "{scaler}: {alike:?}"
        );
    }
}

#[test]
fn the_table_adds_up_to_the_forecasts() {
    let frame = beside(&["a", "b"], &["hist", "futr", "static"], |_, t| 10.0 + promotion(t) + noise(1, t));
    let forecaster = fitted(small("TiDE"), &frame);
    let explanations = forecaster.explain(Some(&frame), &ExplainOptions::default()).unwrap();
    let text = explanations.to_csv();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "unique_id,ds,model,step,kind,column,of,lag,attribution");
    assert_eq!(lines.len(), 1 + explanations.rows());
    assert!(lines[1].starts_with("a,50,TiDE,1,baseline,,,,"), "{}", lines[1]);
    assert!(lines[2].starts_with("a,50,TiDE,1,y,y,a,10,"), "{}", lines[2]);
    assert!(lines.iter().any(|line| line.starts_with("b,52,TiDE,3,futr,promo,b,0,")));
    assert!(lines.iter().any(|line| line.starts_with("b,52,TiDE,3,static,size,b,,")));
    for one in &explanations.models[0].forecasts {
        let start = format!("{},{},", one.id, explanations.written(one.ds));
        let of_one = lines.iter().filter(|line| line.starts_with(&start));
        let sum: f64 = of_one.map(|line| line.rsplit(',').next().unwrap().parse::<f64>().unwrap()).sum();
        assert!((sum + f64::from(one.gap.unwrap()) - f64::from(one.forecast)).abs() < 1e-3, "{sum} {one:?}");
    }
    assert!(explanations.largest_gap().unwrap() <= 1.1e-3);
    assert_eq!(forecaster.explain(Some(&frame), &by(ExplainMethod::Permutation)).unwrap().largest_gap(), None);
}

#[test]
fn what_cannot_be_explained_is_refused_with_what_to_do() {
    let frame = plain(&["a", "b"]);
    let forecaster = fitted(small("NLinear"), &frame);
    let said = |options: ExplainOptions| forecaster.explain(Some(&frame), &options).unwrap_err().to_string();
    let series = said(ExplainOptions { series: vec!["c".into()], ..Default::default() });
    assert!(series.contains("no series is called \"c\"") && series.contains("a, b"), "{series}");
    let model = said(ExplainOptions { models: vec!["NLinaer".into()], ..Default::default() });
    assert!(model.contains("did you mean NLinear?"), "{model}");
    let step = said(ExplainOptions { steps: vec![1, 4], ..Default::default() });
    assert!(step.contains("steps is 4; steps of the forecast are 1 to 3"), "{step}");
    assert!(said(ExplainOptions { points: Some(0), ..Default::default() }).contains("points is 0"));
    assert!(said(ExplainOptions { draws: 0, ..Default::default() }).contains("draws is 0"));
    let method = ExplainMethod::by_name("integrated_gradient").unwrap_err().to_string();
    assert!(method.contains("did you mean integrated_gradients?"), "{method}");
    ExplainMethod::NAMES.iter().for_each(|name| assert_eq!(ExplainMethod::by_name(name).unwrap().name(), *name));
    assert!(Forecaster::new(3).explain(None, &ExplainOptions::default()).unwrap_err().to_string().contains("fit it"));
    // Drawn paths have no gradient, but can be tried.
    let forecaster = fitted(small("DeepAR"), &frame);
    let drawn = forecaster.explain(None, &ExplainOptions::default()).unwrap_err().to_string();
    assert!(drawn.contains("DeepAR") && drawn.contains("permutation"), "{drawn}");
    let permuted = forecaster.explain(None, &ExplainOptions { draws: 2, ..by(ExplainMethod::Permutation) }).unwrap();
    let all = &permuted.models[0].forecasts;
    assert!(all.len() == 2 * H && all[0].attributions.iter().any(|a| *a != 0.0), "{all:?}");
}

/// Scalers that bend, and those of two halves, keep the sums.
#[test]
fn attributions_add_up_under_every_scaler() {
    let frame = plain(&["a"]);
    for scaler in ["minmax1", "invariant", "revin"] {
        check_sums(scaler, &fitted(small("MLP").with("scaler_type", scaler).unwrap(), &frame), &frame);
    }
}

/// Each series of a local model by its own network: as alone.
#[test]
fn local_models_are_explained_series_by_series() {
    let both = plain(&["a", "b"]);
    let local = fitted(small("MLP").local(), &both);
    let options = by(ExplainMethod::IntegratedGradients);
    let together = check_sums("MLP", &local, &both);
    let alone = local.explain(Some(&both), &ExplainOptions { series: vec!["b".into()], ..options.clone() }).unwrap();
    let of_b: Vec<&Explained> = together.models[0].forecasts.iter().filter(|one| one.id == "b").collect();
    assert!(!of_b.is_empty() && of_b.into_iter().eq(alone.models[0].forecasts.iter()));
}

/// What TFT says it looks at: weights that are 1 together at each time, with the names of what is chosen among.
#[test]
fn tft_says_what_it_looks_at() {
    let frame = beside(&["a", "b"], &["hist", "futr", "static"], |s, t| 10.0 + s as f32 + 3.0 * promotion(t));
    let model = Model::new("TFT").unwrap().input_size(8).with("hidden_size", 8).unwrap();
    let model = model.with("n_head", 2).unwrap().with("max_steps", 5).unwrap();
    let mut forecaster = Forecaster::new(H).model(model);
    forecaster.fit(&frame, &mut ()).unwrap();
    let told = forecaster.input_weights(Some(&frame), &[], &["b".to_owned()]).unwrap();
    let [one] = &told.forecasts[..] else { panic!("{} forecasts", told.forecasts.len()) };
    assert_eq!((one.id.as_str(), one.model.as_str()), ("b", "TFT"));
    let kinds: Vec<&str> = one.choices.iter().map(|choice| choice.kind.name()).collect();
    assert_eq!(kinds, ["static", "past", "future", "attention"]);
    let among: Vec<Vec<&str>> =
        one.choices[..3].iter().map(|choice| choice.among.iter().map(String::as_str).collect()).collect();
    assert_eq!(among, [vec!["size"], vec!["sensor", "visitors", "promo", "y"], vec!["promo"]]);
    for (choice, times) in one.choices.iter().zip([0, 8, H, 8 + H]) {
        assert_eq!(choice.times.len(), times, "{}", choice.kind.name());
        assert_eq!(choice.values.len(), choice.among.len() * times.max(1));
        for row in choice.values.chunks(choice.among.len()) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{}: {row:?}", choice.kind.name());
        }
        assert!((choice.means().iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let attention = &one.choices[3];
    assert!((0..8 + H).all(|at| attention.values[at * (8 + H)..][at + 1..8 + H].iter().all(|later| *later == 0.0)));
    // Behind 49, the last value, come 50, 51 and 52.
    assert_eq!(told.written(attention.times[8]), "50");
    let mut csv = Vec::new();
    told.write(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.lines().count(), told.rows() + 1);
    assert!(csv.starts_with("unique_id,ds,model,kind,of,weight\nb,,TFT,static,size,1\nb,42,TFT,past,sensor,"), "{csv}");

    let mut linear = Forecaster::new(H).model(Model::new("NLinear").unwrap().with("max_steps", 2).unwrap());
    linear.fit(&plain(&["a"]), &mut ()).unwrap();
    let said = linear.input_weights(None, &[], &[]).unwrap_err().to_string();
    assert!(said.contains("NLinear") && said.contains("TFT does"), "{said}");
}
