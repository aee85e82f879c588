//! `mayfly run`: a network is built for a task, answers, and dissolves. Nothing of it stays but the answers and its certificate.
pub mod args;
mod words;

use crate::support::answers::Answers;
use crate::support::config::over_file;
use crate::support::data::ColumnArgs;
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::model::{Answering, Rows};
use crate::support::output::{Extensions, Files, Output, TABLE};
use crate::support::signals::Signals;
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use args::{Protect, RunArgs, RunOptions};
use mayfly_lifecycle::{Built, Certificate, Ephemeral, Host, HostConfig, Lease};
use mayfly_vault::{Level, VaultConfig};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

const CERTIFICATE: Extensions = Extensions::Only { what: "a certificate as JSON", are: &["json"] };

/// Runs the command.
pub fn run(args: RunArgs, ui: Ui) -> Result<()> {
    let (data, options) = task(args)?;
    let places = Places::of(&data, &options, ui)?;
    let rows = options.input.as_deref().map(Input::open).transpose()?;
    let data = Input::open(&data)?;
    let purpose = options.purpose(data.to_path_buf())?;
    let signals = Signals::listen()?;
    let host = host(options.protect.unwrap_or_default(), ui)?;
    let built = host.build_for_until(&purpose, &|| signals.came());
    signals.check()?;
    let built = built.map_err(words::as_flags)?;
    words::say_built(&built, ui);
    let (object, certificate) = live(&built, rows.as_deref(), &options, &places, signals, ui)?;
    if let Some(output) = &places.certificate {
        let text = serde_json::to_string_pretty(&words::certificate(&certificate))?;
        output.write(|out| Ok(writeln!(out, "{text}")?))?;
    }
    ui.note(words::ended(&certificate));
    match (ui.json, &places.answers) {
        (true, _) => ui.result("", &object),
        (false, None) => ui.result(&words::measured(&built), &object),
        (false, Some(_)) => Ok(()),
    }
}

/// The rows to learn from, and the options of the command line over those of a task.
fn task(args: RunArgs) -> Result<(PathBuf, RunOptions)> {
    let RunArgs { task, options } = args;
    if !task.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        return Ok((task, options));
    }
    let read = || std::fs::read_to_string(&*Input::open(&task)?).map_err(anyhow::Error::from);
    let text = read().with_context(|| format!("cannot read {}", task.display()))?;
    let options = over_file(&options, &text).with_context(|| format!("in {}", task.display()))?;
    let Some(data) = &options.data else {
        return Err(
            Usage(format!("{}: a task names the rows to learn from: data = \"rows.csv\"", task.display())).into()
        );
    };
    // A task and its rows move together.
    let data = task.parent().unwrap_or(Path::new("")).join(data);
    Ok((data, options))
}

/// The files that are written.
struct Places {
    answers: Option<Output>,
    certificate: Option<Output>,
}

impl Places {
    fn of(data: &Path, options: &RunOptions, ui: Ui) -> Result<Places> {
        let input = options.input.as_deref().map(|path| ("the rows of --input", path));
        let mut files = Files::reading([("the data", data)].into_iter().chain(input))?;
        let answers = match (&options.input, &options.output) {
            (Some(_), Some(path)) => Some(files.writing("-o", path, TABLE)?),
            (Some(_), None) if !ui.json => Some(files.writing("standard output", Path::new("-"), TABLE)?),
            _ => None,
        };
        let certificate = options.certificate.as_deref();
        let certificate = certificate.map(|path| files.writing("--certificate", path, CERTIFICATE)).transpose()?;
        files.refuse_json(ui)?;
        Ok(Places { answers, certificate })
    }
}

/// A host for this process, and a word about what its memory lacks.
fn host(protect: Protect, ui: Ui) -> Result<Host> {
    let level = match protect {
        Protect::Best => Level::Best,
        Protect::Strict => Level::Strict,
        Protect::Off => Level::Off,
    };
    let vault = VaultConfig { level, ..VaultConfig::default() };
    let host = Host::start(HostConfig { vault, ..HostConfig::default() })?;
    if let Some(remedy) = host.protection()?.remedy() {
        ui.note(format!("warning: memory is not wholly protected ({}); {remedy}", host.protection()?));
    }
    Ok(host)
}

/// An instance's whole life.
fn live(
    built: &Built,
    rows: Option<&Path>,
    options: &RunOptions,
    places: &Places,
    signals: Signals,
    ui: Ui,
) -> Result<(Value, Certificate)> {
    let instance = Instance { fly: built.planned.lease(&Lease::default())?, built };
    let mut object = words::object(built);
    if let Some(path) = rows {
        let columns = ColumnArgs::default();
        let rows = Rows { path, files: &options.files, columns: &columns };
        let mut answers = Answers::new(&instance, &built.encoder, ui.json);
        answers.signals = Some(signals);
        match &places.answers {
            Some(output) => output.write(|out| answers.run(rows, out))?,
            None => answers.run(rows, &mut io::sink())?,
        }
        if ui.json {
            object["answers"] = answers.json();
        } else if let Some(output) = places.answers.as_ref().filter(|output| !output.is_stdout()) {
            ui.note(format!("{} rows written to {output}", answers.rows));
        }
    }
    let certificate = instance.fly.dissolve();
    object["certificate"] = words::certificate(&certificate);
    Ok((object, certificate))
}

/// A network that lives, as what answers rows.
struct Instance<'a> {
    fly: Ephemeral,
    built: &'a Built,
}

impl Answering for Instance<'_> {
    fn answer(&self, inputs: &[f32]) -> Result<Vec<f32>> {
        let (x, y) = (self.built.planned.input_len().max(1), self.built.planned.output_len());
        let mut answers = vec![0.0; inputs.len() / x * y];
        for (row, answer) in inputs.chunks_exact(x).zip(answers.chunks_exact_mut(y.max(1))) {
            self.fly.call_into(row, answer)?;
        }
        Ok(answers)
    }
    fn output_len(&self) -> usize {
        self.built.planned.output_len()
    }
    fn labels(&self) -> Vec<String> {
        self.built.encoder.labels().to_vec()
    }
    fn has_encoder(&self) -> bool {
        true
    }
}
