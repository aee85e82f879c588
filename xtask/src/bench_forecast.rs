//! `cargo xtask bench forecast`: trainings of the binary beside NeuralForecast's, on one series, in turns.

use crate::process::{cargo, output, print, program, root, run, say};
use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;
use std::path::{Path, PathBuf};

const MARKS: [&str; 2] = ["<!-- forecast: written by cargo xtask bench forecast --write -->", "<!-- /forecast -->"];
const H: &str = "12";
const INPUT_SIZE: &str = "36";
const STEPS: &str = "50";

/// How many times faster a forecast is to be.
const PREDICT_AIM: f64 = 10.0;
/// How many times NeuralForecast's mean error ours may be.
const ERROR: f64 = 1.1;
/// Settings of TimeXer, whose defaults do not suit these sizes.
const CONFIG: &str = "bench/forecast_bench.toml";

/// What is learnt from weather.csv, in which an hour is there twice and some values are missing.
const WEATHER: &str = "--wide --time date --duplicates last --fill linear --models nhits --h 96 --input-size 336 --steps 50 --val 0 --baselines none -o";

/// How many times faster than NeuralForecast a family is to learn.
const AIMS: [(&str, f64); 34] = [
    ("DLinear", 40.0),
    ("NLinear", 40.0),
    ("TSMixer", 15.0),
    ("MLP", 2.5),
    ("TiDE", 2.5),
    ("NBEATS", 2.5),
    ("NHITS", 2.5),
    ("KAN", 10.0),
    ("BiTCN", 10.0),
    ("PatchTST", 8.0),
    ("DeepAR", 5.0),
    ("TFT", 5.0),
    ("VanillaTransformer", 10.0),
    ("Informer", 10.0),
    ("FEDformer", 10.0),
    ("Autoformer", 10.0),
    ("TimesNet", 2.0),
    ("LSTM", 1.2),
    ("GRU", 1.2),
    ("TCN", 1.2),
    ("RNN", 1.5),
    ("DilatedRNN", 1.5),
    ("xLSTM", 1.5),
    ("NBEATSx", 1.5),
    ("DeepNPTS", 1.5),
    ("MLPMultivariate", 1.5),
    ("TSMixerx", 1.5),
    ("iTransformer", 1.5),
    ("TimeXer", 1.5),
    ("TimeMixer", 1.5),
    ("XLinear", 1.5),
    ("RMoK", 1.5),
    ("SOFTS", 1.5),
    ("StemGNN", 1.5),
];

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench forecast")]
struct Args {
    /// Python with NeuralForecast (see `bench/python/nf_golden.py`)
    #[arg(long, value_name = "PROGRAM")]
    python: String,
    /// The series: a table of times and values
    #[arg(long, value_name = "CSV")]
    data: PathBuf,
    /// Families, else all
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// Seeds
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u32>,
    /// Time whole processes and large data instead; the folder of the series has M4-Hourly and weather.csv too
    #[arg(long)]
    processes: bool,
    /// Write the table into `docs/benchmarks.md`
    #[arg(long)]
    write: bool,
}

/// Seconds of a training, of a forecast, and its error: means over seeds.
#[derive(Clone, Copy)]
struct Figures {
    seconds: f64,
    predict: f64,
    mae: f64,
}

pub(crate) fn run_bench(args: &[String]) -> Result<()> {
    let args = Args::try_parse_from(std::iter::once(&"bench".to_owned()).chain(args))?;
    run(&mut cargo(&["build", "--quiet", "--release", "-p", "mayfly-cli"]))?;
    run(&mut cargo(&["build", "--quiet", "--release", "-p", "mayfly-forecast", "--example", "latency"]))?;
    if args.processes {
        return processes(&args);
    }
    let mut lines = vec![
        "| family | ours s | NeuralForecast s | times faster | aim | | forecast of ours µs | of theirs ms | times faster | | MAE of ours | of theirs | |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for (family, aim) in AIMS {
        if !args.models.is_empty() && !args.models.iter().any(|name| name.eq_ignore_ascii_case(family)) {
            continue;
        }
        let (ours, theirs) = (ours(&args, family)?, theirs(&args, family)?);
        let [fit, predict] = [theirs.seconds / ours.seconds, theirs.predict / ours.predict];
        let verdict = |is_met: bool| if is_met { "met" } else { "**missed**" };
        let line = format!(
            "| {family} | {:.3} | {:.2} | {fit:.1} | {aim} | {} | {:.0} | {:.1} | {predict:.0} | {} | {:.1} | {:.1} | {} |",
            ours.seconds,
            theirs.seconds,
            verdict(fit >= aim),
            ours.predict * 1e6,
            theirs.predict * 1e3,
            verdict(predict >= PREDICT_AIM),
            ours.mae,
            theirs.mae,
            verdict(ours.mae <= ERROR * theirs.mae)
        );
        say(&line);
        lines.push(line);
    }
    let table = format!("{}\n\n{}", heading(&args)?, lines.join("\n"));
    print(&table);
    if args.write { written(&table) } else { Ok(()) }
}

fn ours(args: &Args, family: &str) -> Result<Figures> {
    let mut all = Vec::new();
    for seed in &args.seeds {
        let data = args.data.to_string_lossy();
        let seed = seed.to_string();
        let mut command = program(
            "target/release/mayfly",
            &["forecast", "cv", &data, "--models", family, "--h", H, "--input-size", INPUT_SIZE, "--steps", STEPS],
        );
        command.args(["--scaler", "standard", "--windows", "1", "--baselines", "none", "--json", "--seed", &seed]);
        if family == "TimeXer" {
            command.args(["--config", CONFIG]);
        }
        let object: Value = serde_json::from_str(&output(&mut command)?).context("mayfly's JSON")?;
        all.push((number(&object["models"][0], "seconds")?, number(&object["models"][0], "mae")?));
    }
    let mut command = program("target/release/examples/latency", &[&args.data.to_string_lossy(), family]);
    let latency: Value = serde_json::from_str(&output(&mut command)?).context("the forecast's JSON")?;
    let predict = number(&latency, "median_us")? / 1e6;
    mean(&all.into_iter().map(|(seconds, mae)| Figures { seconds, predict, mae }).collect::<Vec<_>>())
}

fn theirs(args: &Args, family: &str) -> Result<Figures> {
    let mut command = program(&args.python, &["bench/python/nf_bench.py", family]);
    command.arg(&args.data).args([H, INPUT_SIZE, STEPS]).args(args.seeds.iter().map(u32::to_string));
    let text = output(&mut command)?;
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let all: Vec<Figures> = lines.map(|line| figures(&serde_json::from_str(line)?)).collect::<Result<_>>()?;
    mean(&all)
}

fn figures(object: &Value) -> Result<Figures> {
    Ok(Figures {
        seconds: number(object, "seconds")?,
        predict: number(object, "predict")?,
        mae: number(object, "mae")?,
    })
}

fn number(object: &Value, name: &str) -> Result<f64> {
    object[name].as_f64().with_context(|| format!("no {name} in {object}"))
}

fn mean(all: &[Figures]) -> Result<Figures> {
    if all.is_empty() {
        bail!("no figures");
    }
    let n = all.len() as f64;
    let of = |part: fn(&Figures) -> f64| all.iter().map(part).sum::<f64>() / n;
    Ok(Figures { seconds: of(|f| f.seconds), predict: of(|f| f.predict), mae: of(|f| f.mae) })
}

/// Whole processes: how long they take, and the memory they hold.
fn processes(args: &Args) -> Result<()> {
    let folder = args.data.parent().unwrap_or(Path::new("."));
    let work = std::env::temp_dir().join(format!("mayfly-bench-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let at = |name: &str| work.join(name).to_string_lossy().into_owned();
    let [model, csv, long] = ["m.mayfly", "out.csv", "m4.csv"].map(at);
    let data = args.data.to_string_lossy();
    let sizes = format!("--h {H} --models nhits --steps 20 --input-size {INPUT_SIZE} -o");
    let train = [vec!["forecast", "train", &*data], words(&sizes), vec![&*model]].concat();
    output(&mut program("target/release/mayfly", &train))?;
    let mut lines = vec!["| what | figure | aim | |".to_owned(), "|---|---|---|---|".to_owned()];
    let mut row = |what: &str, figure: String, aim: &str, is_met: bool| {
        let line = format!("| {what} | {figure} | {aim} | {} |", if is_met { "met" } else { "**missed**" });
        say(&line);
        lines.push(line);
    };
    let (seconds, rss) = timed(args, "40", &["forecast", "predict", &model, "-o", &csv])?;
    row(
        "`mayfly forecast predict` of one series by NHITS, from its start to the file",
        format!("{:.0} ms", seconds * 1e3),
        "50 ms",
        seconds < 0.05,
    );
    row("memory of it", format!("{rss:.0} MB"), "40 MB", rss < 40.0);
    let weather = folder.join("weather.csv").to_string_lossy().into_owned();
    let fit = [vec!["forecast", "train", &*weather], words(WEATHER), vec![&*model]].concat();
    let (seconds, rss) = timed(args, "1", &fit)?;
    row(
        "memory of `forecast train` on Weather (21 series of 52,696 values), NHITS, 336 values in and 96 out",
        format!("{rss:.0} MB ({seconds:.0} s for 50 steps)"),
        "200 MB",
        rss < 200.0,
    );
    let (said, is_met) = m4(args, folder, &long)?;
    row("M4-Hourly (414 series), one NHITS for all, 1,000 steps of 256 windows", said, "1.1 times", is_met);
    std::fs::remove_dir_all(&work)?;
    print(&format!("{}\n\n{}", heading(args)?, lines.join("\n")));
    Ok(())
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

/// One network for all of M4's hourly series, here and there: what it took, and whether ours is as much faster as it is to be.
fn m4(args: &Args, folder: &Path, long: &str) -> Result<(String, bool)> {
    let theirs = ["bench/python/nf_m4.py", &folder.to_string_lossy(), long, "1000"];
    let theirs: Value =
        serde_json::from_str(output(&mut program(&args.python, &theirs))?.lines().last().unwrap_or_default())?;
    let ours = [
        "forecast",
        "cv",
        long,
        "--h",
        "48",
        "--input-size",
        "168",
        "--models",
        "nhits",
        "--steps",
        "1000",
        "--windows",
        "1",
    ];
    let mut command = program("target/release/mayfly", &ours);
    command.args(["--scaler", "robust", "--config", "bench/forecast_m4.toml", "--baselines", "none", "--json"]);
    let ours: Value = serde_json::from_str(&output(&mut command)?)?;
    let (ours, theirs) = (&ours["models"][0], &theirs);
    let (fast, slow) = (number(ours, "seconds")?, number(theirs, "seconds")?);
    let said = format!(
        "{fast:.1} s, sMAPE {:.2}; NeuralForecast {slow:.1} s, {:.2}: {:.2} times faster",
        number(ours, "smape")?,
        number(theirs, "smape")?,
        slow / fast
    );
    Ok((said, slow >= 1.1 * fast))
}

/// Seconds (median) and resident memory of so many runs of the binary.
fn timed(args: &Args, runs: &str, command: &[&str]) -> Result<(f64, f64)> {
    let mut timer = program(&args.python, &["bench/python/process.py", runs, "target/release/mayfly"]);
    let said: Value = serde_json::from_str(&output(timer.args(command))?)?;
    Ok((number(&said, "seconds")?, number(&said, "rss_mb")?))
}

fn heading(args: &Args) -> Result<String> {
    let commit = output(&mut program("git", &["rev-parse", "--short", "HEAD"]))?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let name = args.data.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let seeds: Vec<String> = args.seeds.iter().map(u32::to_string).collect();
    Ok(format!(
        "Measured on {}, two threads each, at commit `{}`: {name}, {STEPS} steps, {INPUT_SIZE} values in and {H} out, each window standardised, means of the seeds {}.",
        cpu.trim_start_matches([' ', '\t', ':']),
        commit.trim(),
        seeds.join(", ")
    ))
}

/// Puts the table between its marks.
fn written(table: &str) -> Result<()> {
    let path = root().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&path)?;
    let place = |mark: &str| page.find(mark).with_context(|| format!("no {mark} in {}", path.display()));
    let (start, end) = (place(MARKS[0])? + MARKS[0].len(), place(MARKS[1])?);
    let page = format!("{}\n{table}\n\n{}", &page[..start], &page[end..]);
    write(&path, &page)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
