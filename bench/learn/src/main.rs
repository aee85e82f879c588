//! Learning together: `cargo xtask bench learn`. Five processes of the released binary for each row of the table, with the rows of a file divided among them;
//! beside them the same trainer with all rows in one place, and each node alone, all with as many passes.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Parser)]
#[command(
    name = "cargo xtask bench learn",
    about = "Modes and splits of learning together, against all rows in one place"
)]
struct Args {
    /// One JSON object a row instead of tables.
    #[arg(long)]
    json: bool,
    /// The binary that is measured: `cargo build --release -p mayfly-cli --features full` makes it.
    #[arg(long, default_value = "target/release/mayfly")]
    mayfly: PathBuf,
    /// Processes.
    #[arg(long, default_value_t = 5)]
    nodes: usize,
    /// Only these data sets.
    #[arg(long, value_delimiter = ',', default_values = ["fashion", "mushroom", "thyroid"])]
    data: Vec<String>,
    /// Only these splits.
    #[arg(long, value_delimiter = ',', default_values = ["iid", "dirichlet:0.1"])]
    splits: Vec<String>,
    /// Only these ways: a mode, and perhaps the steps between exchanges.
    #[arg(long, value_delimiter = ',', default_values = ["auto", "sync", "local:10", "local", "fedavg", "fedprox", "fedadam"])]
    modes: Vec<String>,
    /// Seeds; medians are reported.
    #[arg(long, value_delimiter = ',', default_values_t = [1_u64, 2, 3])]
    seeds: Vec<u64>,
    /// Folder of Fashion-MNIST: Debian's package dataset-fashion-mnist has it.
    #[arg(long, default_value = "/usr/share/datasets/fashion-mnist")]
    fashion: PathBuf,
    /// Folder of FANN's data sets.
    #[arg(long)]
    fann: Option<PathBuf>,
}

/// A table to train on, and how.
struct Data {
    name: String,
    training: PathBuf,
    test: PathBuf,
    options: Vec<&'static str>,
}

impl Args {
    fn data(&self, name: &str) -> Result<Data> {
        let fann = |name: &str| {
            let folder = self.fann.clone().or_else(|| Some(Path::new(&std::env::var_os("MAYFLY_DATA")?).join("fann")));
            folder
                .map(|folder| folder.join(name))
                .context("--fann, or the variable MAYFLY_DATA, names the folder of FANN's data")
        };
        let (training, test, options) = match name {
            "fashion" => {
                let file = |part: &str| self.fashion.join(format!("{part}-images-idx3-ubyte.gz"));
                (file("train"), file("t10k"), vec!["--hidden", "64,32", "--batch", "64", "--weight-decay", "0.01"])
            }
            "mushroom" | "thyroid" => (
                fann(&format!("{name}.train"))?,
                fann(&format!("{name}.test"))?,
                vec!["--hidden", "32", "--batch", "16"],
            ),
            other => bail!("{other} is no data set here: fashion, mushroom, thyroid"),
        };
        Ok(Data { name: name.to_owned(), training, test, options })
    }

    fn run(&self, data: &Data, split: &str, way: &Way, seed: u64, is_compared: bool) -> Result<Value> {
        let mut command = Command::new(&self.mayfly);
        command.args(["swarm", "learn"]).arg(&data.training).arg("--test").arg(&data.test).args(&data.options);
        command.args(["--nodes", &self.nodes.to_string(), "--split", split, "--seed", &seed.to_string(), "--json"]);
        command.args(["--mode", &way.mode]).args(way.steps.iter().flat_map(|steps| ["--local-steps", steps]));
        if !is_compared {
            command.arg("--no-compare");
        }
        let output = command.output().with_context(|| format!("cannot run {}", self.mayfly.display()))?;
        if !output.status.success() {
            bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// All ways on one split of one data set, over all seeds.
    fn rows(&self, data: &Data, split: &str) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = self.modes.iter().map(|way| Row { way: way.clone(), runs: Vec::new() }).collect();
        for seed in &self.seeds {
            let mut others = None;
            for row in &mut rows {
                let mut run = self.run(data, split, &Way::of(&row.way), *seed, others.is_none())?;
                // What it is held against depends on the seed alone.
                let others = others.get_or_insert_with(|| OTHERS.map(|name| run[name].clone()));
                OTHERS.iter().zip(others.iter()).for_each(|(name, value)| run[name] = value.clone());
                if self.json {
                    run["data"] = data.name.clone().into();
                    println!("{run}");
                }
                eprintln!("{} {split} {} seed {seed}: {:.4}", data.name, row.way, number(&run, "accuracy"));
                row.runs.push(run);
            }
        }
        Ok(rows)
    }
}

/// What a run is held against.
const OTHERS: [&str; 3] = ["accuracy_centralised", "seconds_centralised", "accuracy_best_alone"];

/// A mode, and perhaps the steps between exchanges.
struct Way {
    mode: String,
    steps: Option<String>,
}

impl Way {
    fn of(text: &str) -> Self {
        match text.split_once(':') {
            Some((mode, steps)) => Self { mode: mode.into(), steps: Some(steps.into()) },
            None => Self { mode: text.into(), steps: None },
        }
    }
}

/// A way, with its run for each seed.
struct Row {
    way: String,
    runs: Vec<Value>,
}

fn number(run: &Value, name: &str) -> f64 {
    run[name].as_f64().unwrap_or(f64::NAN)
}

impl Row {
    fn median(&self, of: impl Fn(&Value) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn text(&self) -> String {
        let median = |name: &'static str| self.median(move |run| number(run, name));
        let points = |value: f64| value * 100.0;
        let gap = self.median(|run| number(run, "accuracy_centralised") - number(run, "accuracy"));
        let worst = self
            .runs
            .iter()
            .map(|run| number(run, "accuracy_centralised") - number(run, "accuracy"))
            .fold(f64::MIN, f64::max);
        format!(
            "| {} | {:.2} | {:+.2} | {:+.2} | {} | {:.1} | {:.1} | {:.0} % |",
            self.way,
            points(median("accuracy")),
            points(gap),
            points(worst),
            median("rounds"),
            median("bytes_sent") / 1e6,
            median("seconds"),
            median("exchange_share") * 100.0
        )
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    for name in &args.data {
        let data = args.data(name)?;
        for split in &args.splits {
            let rows = args.rows(&data, split)?;
            let Some(first) = rows.first().filter(|_| !args.json) else { continue };
            let others = OTHERS.map(|name| first.median(|run| number(run, name)));
            println!(
                "\n{} {split}: in one place {:.2} % in {:.1} s, the best node alone {:.2} %\n",
                data.name,
                others[0] * 100.0,
                others[1],
                others[2] * 100.0
            );
            println!(
                "| mode | % | gap, points | worst | rounds | MB sent | seconds | exchange |\n|---|---|---|---|---|---|---|---|"
            );
            rows.iter().for_each(|row| println!("{}", row.text()));
        }
    }
    Ok(())
}
