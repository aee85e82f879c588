//! Families from a series to a forecast: some against naive readings of their definitions in f64, with every parameter set to noise. What each one computes is held against NeuralForecast's modules in `src/golden.rs`.
use mayfly_forecast::{Common, FAMILIES, Family, ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame};
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, TensorData};
use std::collections::BTreeMap;

const L: usize = 10;
const H: usize = 6;

/// Parameters by name, row-major.
type Params = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

/// The window that a family sees.
struct Window {
    x: Vec<f64>,
    mask: Vec<f64>,
}

fn dense(params: &Params, name: &str, x: &[f64]) -> Vec<f64> {
    let ((dims, w), (_, b)) = (&params[&format!("{name}.weight")], &params[&format!("{name}.bias")]);
    assert_eq!(dims, &[b.len(), x.len()], "{name}");
    (0..b.len()).map(|o| b[o] + (0..x.len()).map(|i| w[o * x.len() + i] * x[i]).sum::<f64>()).collect()
}

fn relu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|v| v.max(0.0)).collect()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn dlinear(params: &Params, window: &Window, _: usize) -> Vec<f64> {
    let x = &window.x;
    let at = |i: i64| x[i.clamp(0, L as i64 - 1) as usize];
    let trend: Vec<f64> = (0..L as i64).map(|i| (i - 2..=i + 2).map(at).sum::<f64>() / 5.0).collect();
    let season: Vec<f64> = x.iter().zip(&trend).map(|(x, t)| x - t).collect();
    add(&dense(params, "linear_trend", &trend), &dense(params, "linear_season", &season))
}

fn nlinear(params: &Params, window: &Window, _: usize) -> Vec<f64> {
    let last = window.x[L - 1];
    let differences: Vec<f64> = window.x.iter().map(|x| x - last).collect();
    dense(params, "linear", &differences).into_iter().map(|y| y + last).collect()
}

fn mlp(params: &Params, window: &Window, _: usize) -> Vec<f64> {
    let first = relu(dense(params, "mlp.0", &window.x));
    dense(params, "out", &relu(dense(params, "mlp.1", &first)))
}

/// Blocks that pool by 4, 3 and 1 and have a knot for 4, 2 and 1 steps.
fn nhits(params: &Params, window: &Window, m: usize) -> Vec<f64> {
    let mut rest: Vec<f64> = window.x.iter().rev().copied().collect();
    let mask: Vec<f64> = window.mask.iter().rev().copied().collect();
    let mut y = vec![window.x[L - 1]; H * m];
    for (i, (pool, down)) in [(4, 4), (3, 2), (1, 1)].into_iter().enumerate() {
        let pooled: Vec<f64> = rest.chunks(pool).map(|c| c.iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect();
        let hidden = dense(params, &format!("blocks.{i}.layers.0"), &pooled);
        let hidden = relu(dense(params, &format!("blocks.{i}.layers.1"), &hidden));
        let hidden = relu(dense(params, &format!("blocks.{i}.layers.3"), &hidden));
        let theta = dense(params, &format!("blocks.{i}.layers.5"), &hidden);
        let knots = H / down;
        assert_eq!(theta.len(), L + m * knots);
        for step in 0..H {
            let at = ((step as f64 + 0.5) * knots as f64 / H as f64 - 0.5).max(0.0);
            let (low, share) = (at.floor() as usize, at.fract());
            for q in 0..m {
                let knot = |k: usize| theta[L + q * knots + k.min(knots - 1)];
                y[step * m + q] += knot(low) * (1.0 - share) + knot(low + 1) * share;
            }
        }
        rest = (0..L).map(|t| (rest[t] - theta[t]) * mask[t]).collect();
    }
    y
}

type Naive = fn(&Params, &Window, usize) -> Vec<f64>;

const NAIVE: [(&str, Naive); 4] = [("DLinear", dlinear), ("NLinear", nlinear), ("MLP", mlp), ("NHITS", nhits)];

fn small(family: &Family) -> Model {
    let model = Model::new(family.name).unwrap().input_size(L).with("max_steps", 1).unwrap();
    let widths = ["hidden_size", "d_ff", "d_core", "conv_hidden_size", "linear_hidden_size", "encoder_hidden_size"];
    let sizes = widths.map(|name| (name, 8)).into_iter().chain([("n_heads", 2), ("n_head", 2), ("patch_len", 5)]);
    let config = model.config();
    let sizes = sizes.filter(|(name, _)| config.get(name).is_some_and(serde_json::Value::is_number));
    let model = model.with_all(&sizes.map(|(name, n)| (name.to_owned(), n.into())).collect()).unwrap();
    match family.name {
        "DLinear" => model.with("moving_avg_window", 5).unwrap(),
        "MLP" => model.with("hidden_size", 7).unwrap(),
        "NHITS" => {
            let model = model.with("mlp_units", vec![vec![7, 7], vec![7, 5]]).unwrap();
            model.with("n_pool_kernel_size", vec![4, 3, 1]).unwrap()
        }
        "NBEATS" | "NBEATSx" => model.with("mlp_units", vec![vec![7, 7], vec![7, 5]]).unwrap(),
        "TiDE" | "DeepNPTS" => model.with("hidden_size", 7).unwrap(),
        _ => model,
    }
}

/// Fifteen values, of which two before the last window's end are unknown.
fn frame() -> SeriesFrame {
    let ds: Vec<String> = (0..15).map(|i| i.to_string()).collect();
    let mut y: Vec<f32> = (0..15).map(|i| (i as f32 * 1.3).sin() * 4.0 + i as f32).collect();
    (y[8], y[9]) = (f32::NAN, f32::NAN);
    let options = FrameOptions { fill: mayfly_forecast::Fill::Mask, ..FrameOptions::default() };
    SeriesFrame::from_columns(&vec!["a".to_owned(); 15], &ds, &y, &options).unwrap()
}

/// Trains one step, overwrites every parameter with noise through the file, and gives the forecaster with its parameters.
fn noisy(model: Model) -> (Forecaster, Params) {
    let alias = model.alias.clone();
    let mut forecaster = Forecaster::new(H).model(model).val_size(0);
    forecaster.fit(&frame(), &mut ()).unwrap();
    let mut file = ModelFile::parse("f", &forecaster.to_bytes().unwrap(), &ReadOptions::default()).unwrap();
    let mut rng = mayfly_base::Rng::new(11);
    let mut params = Params::new();
    for tensor in &mut file.tensors {
        let Some(name) = tensor.name.strip_prefix(&format!("{alias}/")) else { continue };
        let TensorData::F32(values) = &mut tensor.data else { continue };
        values.iter_mut().for_each(|v| *v = rng.between(-0.5, 0.5));
        params.insert(name.to_owned(), (tensor.shape.clone(), values.iter().map(|v| f64::from(*v)).collect()));
    }
    let bytes = file.to_bytes(NanPolicy::Refuse).unwrap();
    let file = ModelFile::parse("f", &bytes, &ReadOptions::default()).unwrap();
    (Forecaster::from_file("f", file).unwrap(), params)
}

#[test]
fn families_compute_their_definitions() {
    for (name, naive) in NAIVE {
        let family = Family::by_name(name).unwrap();
        for loss in [ForecastLoss::Mae, ForecastLoss::intervals(&[80.0])] {
            let (forecaster, params) = noisy(small(family).loss(loss.clone()));
            let frame = frame();
            let series = frame.iter().next().unwrap();
            let places: Vec<usize> = (15 - L..15).collect();
            let mask: Vec<f64> = places.iter().map(|at| f64::from(u8::from(series.is_known(*at)))).collect();
            let x = places.iter().map(|at| if series.is_known(*at) { f64::from(series.y[*at]) } else { 0.0 }).collect();
            let m = loss.outputs();
            let mut want = naive(&params, &Window { x, mask }, m);
            // The forecaster sorts quantiles; what is sorted here is compared as sets.
            want.chunks_exact_mut(m).for_each(|step| step.sort_by(f64::total_cmp));
            let forecasts = forecaster.predict(Some(&frame), None).unwrap();
            let columns: Vec<&[f32]> =
                forecasts.columns()[2..].iter().map(|name| forecasts.column(name).unwrap()).collect();
            for (step, want) in want.chunks_exact(m).enumerate() {
                let mut got: Vec<f64> = columns.iter().map(|column| f64::from(column[step])).collect();
                got.sort_by(f64::total_cmp);
                for (g, w) in got.iter().zip(want) {
                    assert!(
                        (g - w).abs() < 1e-4 * (1.0 + w.abs()),
                        "{} {loss:?} step {step}: {got:?} {want:?}",
                        family.name
                    );
                }
            }
        }
    }
}

/// No two families give the same forecast from the same settings, but for NBEATSx, which is NBEATS without exogenous columns, and Ridge, which is NLinear with
/// other weights. TimeLLM, which reads a folder, has tests of its own.
#[test]
fn families_differ() {
    let forecasts: Vec<Vec<f32>> = FAMILIES
        .iter()
        .filter(|family| !["NBEATSx", "Ridge", "TimeLLM"].contains(&family.name))
        .map(|family| {
            noisy(small(family)).0.predict(Some(&frame()), None).unwrap().column(family.name).unwrap().to_vec()
        })
        .collect();
    for (i, a) in forecasts.iter().enumerate() {
        assert!(forecasts[..i].iter().all(|b| a != b), "forecast {i}");
    }
}

/// NeuralForecast's defaults, as its documentation has them.
#[test]
fn defaults_are_neural_forecasts() {
    let common = |name: &str| Model::new(name).unwrap().common;
    let linear = Common { max_steps: 5000, learning_rate: 1e-4, ..Common::a() };
    assert_eq!((common("DLinear"), common("NLinear"), common("MLP")), (linear.clone(), linear, Common::a()));
    assert_eq!(common("NHITS"), Common { num_lr_decays: 3, ..Common::a() });
    let config = Model::new("NHITS").unwrap().config();
    assert_eq!(config["n_freq_downsample"], serde_json::json!([4, 2, 1]));
    assert_eq!(
        (&config["windows_batch_size"], &config["batch_size"]),
        (&serde_json::json!(1024), &serde_json::json!(32))
    );
}
