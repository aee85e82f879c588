//! `mayfly model predict`: rows answered by whichever version is live, while versions change.

use super::args::PredictArgs;
use super::bytes::fetch;
use super::stage::asked;
use crate::commands::mesh::{Reached, connect};
use crate::support::answers::Answers;
use crate::support::input::is_dash;
use crate::support::model::{Answering, Loaded};
use crate::support::ui::{Ui, counted, grouped, written};
use anyhow::{Context, Result, anyhow, bail};
use mayfly_format::data::{self, Batch, EncodedRows, Encoder, RowOptions, Want};
use mayfly_mesh::models::{Chosen, Live, Served};
use mayfly_mesh::proto::modelspb::{Canary, FollowRequest, Followed, Stage, StageRequest, Version};
use mayfly_nn::tabular::LoadOptions;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Rows that are answered together, where so many have come.
const TOGETHER: usize = 256;
/// Between two tries to hear from the mesh again.
const AGAIN: Duration = Duration::from_secs(1);

/// A version that is ready to answer.
struct Ready {
    loaded: Loaded,
    encoder: Encoder,
}

impl Ready {
    fn new(bytes: &[u8]) -> Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        let loaded = Loaded::read_with(file.path(), &LoadOptions::default())?;
        let encoder = loaded.encoder.clone().context(
            "it does not know its columns by name: `mayfly model pull` and `mayfly predict` answer with models of other programs",
        )?;
        Ok(Self { loaded, encoder })
    }

    /// The inputs that lines of a table make.
    fn inputs(&self, head: &str, lines: &[String]) -> Result<Vec<f32>> {
        let text = lines.iter().fold(format!("{head}\n"), |text, line| text + line + "\n");
        let source = data::open(data::Input::from_bytes("the rows", text.into_bytes()), &self.encoder.open_options())?;
        let options = RowOptions { want: Want::Inputs, ..RowOptions::default() };
        let mut rows = EncodedRows::new(source, &self.encoder, &options)?;
        let (mut batch, mut inputs) = (Batch::default(), Vec::new());
        while rows.read(&mut batch, TOGETHER)? > 0 {
            inputs.extend_from_slice(&batch.inputs);
        }
        Ok(inputs)
    }

    fn header(&self) -> String {
        Answers::new(&self.loaded, &self.encoder, false).header()
    }
}

/// A session that goes on while versions change.
struct Session {
    name: String,
    live: Live<Ready>,
    /// The columns of all answers: a version that has others is not changed over to.
    header: Mutex<Option<String>>,
    /// Canaries that were found unfit here.
    unfit: Mutex<BTreeSet<u64>>,
    ui: Ui,
}

pub async fn run(args: PredictArgs, ui: Ui) -> Result<()> {
    let session = Arc::new(Session {
        name: args.name.clone(),
        live: Live::default(),
        header: Mutex::default(),
        unfit: Mutex::default(),
        ui,
    });
    let args = Arc::new(args);
    let reached = connect(&args.target).await?;
    let mut news = reached.ask(reached.models().follow(FollowRequest { name: args.name.clone() })).await?;
    let first = news.message().await.map_err(|status| reached.failed(&status))?.unwrap_or_default();
    if first.live.is_none() {
        bail!("no version of {0} is live: `mayfly model promote {0}@VERSION` makes one live", args.name);
    }
    session.change_over(&reached, &first, &args).await?;
    let following = tokio::spawn(session.clone().follow(args.clone(), reached, news));
    let mut rows = read(&args.rows)?;
    let answered = session.answer_all(&args, &mut rows).await;
    following.abort();
    answered
}

/// Lines of a file or of standard input, as many at a time as have come; the first are the headings.
fn read(path: &Path) -> Result<mpsc::Receiver<Result<Vec<String>>>> {
    let input: Box<dyn std::io::Read + Send> = match is_dash(path) {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
    };
    let (send, lines) = mpsc::channel(4);
    let name = path.display().to_string();
    std::thread::Builder::new().name("rows".into()).spawn(move || {
        let mut input = BufReader::with_capacity(1 << 16, input);
        loop {
            let part = part(&mut input).with_context(|| format!("cannot read {name}"));
            let is_last = part.as_ref().map_or(true, Vec::is_empty);
            if send.blocking_send(part).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(lines)
}

fn part(input: &mut BufReader<impl std::io::Read>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < TOGETHER && (lines.is_empty() || input.buffer().contains(&b'\n')) {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            break;
        }
        lines.push(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    Ok(lines)
}

impl Session {
    /// Changes over whenever the registry says so, and goes on with what there is while the mesh is not reached.
    async fn follow(self: Arc<Self>, args: Arc<PredictArgs>, reached: Reached, news: tonic::Streaming<Followed>) {
        let mut connection = Some((reached, news));
        loop {
            if let Some((reached, news)) = &mut connection {
                while let Ok(Some(followed)) = news.message().await {
                    if let Err(error) = self.change_over(reached, &followed, &args).await {
                        self.ui.note(format!("goes on as before: {error:#}"));
                    }
                }
            }
            tokio::time::sleep(AGAIN).await;
            connection = match connect(&args.target).await {
                Ok(reached) => {
                    let news = reached.ask(reached.models().follow(FollowRequest { name: args.name.clone() })).await;
                    news.ok().map(|news| (reached, news))
                }
                Err(_) => None,
            };
        }
    }

    async fn change_over(&self, reached: &Reached, followed: &Followed, args: &PredictArgs) -> Result<()> {
        let canary = followed.canary.as_ref().filter(|canary| !self.is_unfit(canary.version));
        let mut ready = BTreeMap::new();
        for version in followed.live.iter().chain(canary) {
            if ![self.live.version(), self.live.canary()].contains(&Some(version.version)) {
                ready.insert(version.version, self.load(reached, version, args).await?);
            }
        }
        let live = followed.live.as_ref().map(|live| live.version);
        let tried = canary.map(|canary| (canary.version, canary.canary.unwrap_or_default()));
        let before = (self.live.version(), self.live.canary());
        // Nothing is live: who answers goes on with what it has.
        let live = live.or(before.0);
        self.exchange(live, tried, ready)?;
        let Self { name, ui, .. } = self;
        if before.0.is_some() && before.0 != live {
            ui.note(format!("{name}@{} answers from now on", live.unwrap_or(0)));
        }
        if let Some((version, canary)) = tried.filter(|(version, _)| before.1 != Some(*version)) {
            let how = match canary.shadow {
                true => "is asked beside it".to_owned(),
                false => format!("answers {} % of the calls", f64::from(canary.permille) / 10.0),
            };
            ui.note(format!("{name}@{version} {how}"));
        }
        Ok(())
    }

    fn exchange(&self, live: Option<u64>, tried: Option<(u64, Canary)>, mut ready: BTreeMap<u64, Ready>) -> Result<()> {
        let load = |version| ready.remove(&version).ok_or_else(|| anyhow!("{}@{version} is not loaded", self.name));
        self.live.exchange(live, tried, load)
    }

    async fn load(&self, reached: &Reached, version: &Version, args: &PredictArgs) -> Result<Ready> {
        let bytes = fetch(reached, version, &args.trust, self.ui).await?;
        let ready = tokio::task::spawn_blocking(move || Ready::new(&bytes)).await?;
        let ready = ready.with_context(|| format!("{}@{}", version.name, version.version))?;
        let mut header = self.header.lock().unwrap_or_else(PoisonError::into_inner);
        let own = ready.header();
        match &*header {
            Some(header) if *header != own => {
                bail!("{}@{} answers {own}, and not {header}: start anew for it", version.name, version.version)
            }
            _ => *header = Some(own),
        }
        Ok(ready)
    }

    fn is_unfit(&self, version: u64) -> bool {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).contains(&version)
    }

    async fn answer_all(&self, args: &PredictArgs, rows: &mut mpsc::Receiver<Result<Vec<String>>>) -> Result<()> {
        let (mut head, mut row) = (None, 0);
        let (mut failed, mut by) = (0, BTreeMap::<u64, usize>::new());
        while let Some(part) = rows.recv().await {
            let mut lines = part?;
            if head.is_none() && !lines.is_empty() {
                head = Some(lines.remove(0));
                if !self.ui.json {
                    let header = self.header.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    self.print(&[format!("version,{}", header.unwrap_or_default())])?;
                }
            }
            let Some(head) = head.as_ref().filter(|_| !lines.is_empty()) else { continue };
            let Chosen { answers, shadow } = self.live.choose().context("nothing is live")?;
            failed += self.answer(&answers, head, &lines, row)?;
            if let Some(shadow) = shadow
                && let Ok(inputs) = shadow.model.inputs(head, &lines)
            {
                let _ = call(&shadow, &inputs); // what it says counts for its guards alone
            }
            *by.entry(answers.version).or_default() += lines.len();
            row += lines.len();
            if let Some((version, reason)) = self.live.breach() {
                self.take_back(version, &reason, args).await;
            }
        }
        let shares = by.iter().map(|(version, rows)| format!("{} by {}@{version}", grouped(*rows), self.name));
        self.ui.note(format!("{}: {}", counted(row, "row"), shares.collect::<Vec<_>>().join(", ")));
        if failed > 0 {
            bail!("{failed} of {row} rows have no answer: their lines above are empty");
        }
        Ok(())
    }

    /// Prints the answers to some rows; gives how many have none.
    fn answer(&self, served: &Served<Ready>, head: &str, lines: &[String], row: usize) -> Result<usize> {
        let inputs = match served.model.inputs(head, lines) {
            Ok(inputs) => inputs,
            Err(error) if lines.len() == 1 => {
                self.ui.note(format!("row {}: {error:#}", row + 1));
                self.print(&[match self.ui.json {
                    true => json!({ "version": served.version, "error": format!("{error:#}") }).to_string(),
                    false => format!("{},{}", served.version, served.model.header().replace(|c| c != ',', "")),
                }])?;
                return Ok(1);
            }
            // One of them is not fit: each by itself.
            Err(_) => {
                let each = lines.chunks(1).enumerate();
                return each.map(|(i, line)| self.answer(served, head, line, row + i)).sum();
            }
        };
        let outputs = call(served, &inputs)?;
        let answers = Answers::new(&served.model.loaded, &served.model.encoder, false);
        let width = served.model.loaded.output_len().max(1);
        let line = |row: &[f32]| match self.ui.json {
            true => {
                let mut object = answers.object(row);
                object.insert("version".into(), served.version.into());
                serde_json::Value::Object(object).to_string()
            }
            false => format!("{},{}", served.version, answers.line(row)),
        };
        self.print(&outputs.chunks_exact(width).map(line).collect::<Vec<_>>())?;
        Ok(0)
    }

    fn print(&self, lines: &[String]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// A canary that breaks its guards answers no more here, and is retired for all.
    async fn take_back(&self, version: u64, reason: &str, args: &PredictArgs) {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).insert(version);
        let _ = self.exchange(self.live.version(), None, BTreeMap::new()); // what is live is loaded
        let Self { name, ui, .. } = self;
        ui.note(format!("{name}@{version} answers no more: {reason}"));
        let retire = async {
            let reached = connect(&args.target).await?;
            let asked = asked(&format!("guard: {reason}"));
            let to = Stage::Retired.into();
            let request = StageRequest { name: name.clone(), version, to, asked, ..StageRequest::default() };
            reached.ask(reached.models().set_stage(request)).await
        };
        match retire.await {
            Ok(_) => ui.note(format!("{name}@{version} is retired")),
            Err(error) => ui.note(format!("{name}@{version} could not be retired: {error:#}")),
        }
    }
}

fn call(served: &Served<Ready>, inputs: &[f32]) -> Result<Vec<f32>> {
    served.call(|ready| ready.loaded.answer(inputs), |outputs| outputs.iter().all(|value| value.is_finite()))
}
