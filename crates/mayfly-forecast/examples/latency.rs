//! How long a forecast of one series takes in a program that has its model: `cargo run --release -p mayfly-forecast --example latency -- SERIES.csv [FAMILY …]`.
//!
//! Each family is made with its defaults, trains a single step and forecasts the series 300 times; a line of JSON has the median and the 99th percentile in microseconds.
use mayfly_forecast::{FAMILIES, Forecaster, FrameOptions, Model, SeriesFrame};
use std::error::Error;
use std::time::{Duration, Instant};

const H: usize = 12;
const INPUT_SIZE: usize = 36;
const RUNS: usize = 300;
/// Slow families run no longer than this.
const LONGEST: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let csv = args.next().ok_or("which series?")?;
    let names: Vec<String> = args.collect();
    let frame = SeriesFrame::read(&csv, &FrameOptions::default())?;
    // TimeLLM needs a language model.
    for family in FAMILIES.iter().filter(|family| family.name != "TimeLLM") {
        if names.is_empty() || names.iter().any(|name| name == family.name) {
            println!("{}", measured(family.name, &frame)?);
        }
    }
    Ok(())
}

fn measured(family: &str, frame: &SeriesFrame) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut model = Model::new(family)?.with("scaler_type", "standard")?.input_size(INPUT_SIZE);
    if family != "Ridge" {
        model = model.with("max_steps", 1)?;
    }
    if family == "TimeXer" {
        model = model.with("patch_len", 12)?;
    }
    let mut forecaster = Forecaster::new(H).val_size(0).model(model);
    forecaster.fit(frame, &mut ())?;
    let (mut times, begun) = (Vec::with_capacity(RUNS), Instant::now());
    while times.len() < RUNS && (times.len() < 5 || begun.elapsed() < LONGEST) {
        let start = Instant::now();
        std::hint::black_box(forecaster.predict(None, None)?);
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].round();
    Ok(serde_json::json!({ "family": family, "median_us": at(0.5), "p99_us": at(0.99), "runs": times.len() }))
}
