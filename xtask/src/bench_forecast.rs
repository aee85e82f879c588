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

/// How many times faster than NeuralForecast a family is to be. TimeXer wants an input size that is a multiple of 16, which 36 is not.
const AIMS: [(&str, f64); 32] = [
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
    /// Write the table into `docs/benchmarks.md`
    #[arg(long)]
    write: bool,
}

/// Seconds of a training and the error of its forecast, means over seeds.
#[derive(Clone, Copy)]
struct Figures {
    seconds: f64,
    mae: f64,
}

pub(crate) fn run_bench(args: &[String]) -> Result<()> {
    let args = Args::try_parse_from(std::iter::once(&"bench".to_owned()).chain(args))?;
    run(&mut cargo(&["build", "--quiet", "--release", "-p", "mayfly-cli"]))?;
    let mut lines = vec![
        "| family | ours s | NeuralForecast s | times faster | aim | | MAE of ours | of theirs |".to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for (family, aim) in AIMS {
        if !args.models.is_empty() && !args.models.iter().any(|name| name.eq_ignore_ascii_case(family)) {
            continue;
        }
        let (ours, theirs) = (ours(&args, family)?, theirs(&args, family)?);
        let ratio = theirs.seconds / ours.seconds;
        let verdict = if ratio >= aim { "met" } else { "**missed**" };
        let line = format!(
            "| {family} | {:.3} | {:.2} | {ratio:.1} | {aim} | {verdict} | {:.1} | {:.1} |",
            ours.seconds, theirs.seconds, ours.mae, theirs.mae
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
        let object: Value = serde_json::from_str(&output(&mut command)?).context("mayfly's JSON")?;
        all.push(figures(&object["models"][0])?);
    }
    mean(&all)
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
    let number = |name: &str| object[name].as_f64().with_context(|| format!("no {name} in {object}"));
    Ok(Figures { seconds: number("seconds")?, mae: number("mae")? })
}

fn mean(all: &[Figures]) -> Result<Figures> {
    if all.is_empty() {
        bail!("no figures");
    }
    let n = all.len() as f64;
    let of = |part: fn(&Figures) -> f64| all.iter().map(part).sum::<f64>() / n;
    Ok(Figures { seconds: of(|f| f.seconds), mae: of(|f| f.mae) })
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
