//! `mayfly model predict`: rows answered by whichever version is live, while versions change.

mod ready;
mod records;

use super::args::PredictArgs;
use super::bytes::load;
use super::stage::asked;
use crate::commands::mesh::{Reached, Way, again, connect_by};
use crate::support::ui::{Ui, counted, grouped, written};
use anyhow::{Context, Result, anyhow, bail};
use mayfly_mesh::models::{Chosen, Live, Served};
use mayfly_mesh::proto::modelspb::{Canary, FollowRequest, Followed, Stage, StageRequest, Version};
use ready::{Head, Ready};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Between two tries of what did not succeed.
const AGAIN: Duration = Duration::from_secs(1);

/// A session that goes on while versions change.
struct Session {
    args: PredictArgs,
    way: Way,
    live: Live<Ready>,
    state: Mutex<State>,
    ui: Ui,
}

#[derive(Default)]
struct State {
    /// The columns of all answers: a version that has others is not changed over to.
    header: Option<String>,
    /// Canaries that were found unfit here.
    unfit: BTreeSet<u64>,
    /// What went wrong last, which is said once.
    said: String,
}

pub async fn run(args: PredictArgs, ui: Ui) -> Result<()> {
    let way = Way::new(&args.target)?;
    let session = Arc::new(Session { args, way, live: Live::default(), state: Mutex::default(), ui });
    let reached = connect_by(&session.way, &session.args.target).await?;
    let mut news = session.news(&reached).await?;
    let first = news.message().await.map_err(|status| reached.failed(&status))?.unwrap_or_default();
    if first.live.is_none() {
        bail!("no version of {0} is live: `mayfly model promote {0}@VERSION` makes one live", session.args.name);
    }
    session.change_over(&reached, &first).await?;
    let mut rows = records::read(&session.args.rows)?;
    let following = tokio::spawn(session.clone().follow(reached, news));
    let answered = session.answer_all(&mut rows).await;
    following.abort();
    answered
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A version, as people call it.
    fn called(&self, version: u64) -> String {
        format!("{}@{version}", self.args.name)
    }

    /// Says what went wrong, unless it was said last.
    fn say(&self, what: String) {
        let mut state = self.state();
        if state.said != what {
            self.ui.note(&what);
            state.said = what;
        }
    }

    async fn news(&self, reached: &Reached) -> Result<tonic::Streaming<Followed>> {
        let request = FollowRequest { name: self.args.name.clone() };
        reached.ask(reached.models().follow(request)).await
    }

    /// Changes over whenever the registry says so, and goes on with what there is while the mesh is not reached. What failed is tried again.
    async fn follow(self: Arc<Self>, mut reached: Reached, news: tonic::Streaming<Followed>) {
        let mut news = Some(news);
        loop {
            while let Some(stream) = &mut news
                && let Ok(Some(followed)) = stream.message().await
            {
                if let Err(error) = self.change_over(&reached, &followed).await {
                    self.say(format!("goes on as before: {error:#}"));
                    break;
                }
            }
            tokio::time::sleep(AGAIN).await;
            reached = match again(&self.way, &self.args.target, &reached.address).await {
                Ok(reached) => reached,
                Err(error) => return self.say(format!("hears of no changes any more: {error:#}")),
            };
            news = self.news(&reached).await.ok(); // without it, once more
        }
    }

    async fn change_over(&self, reached: &Reached, followed: &Followed) -> Result<()> {
        let mut ready = BTreeMap::new();
        if let Some(live) = followed.live.as_ref().filter(|live| !self.has(live.version)) {
            ready.insert(live.version, self.load(reached, live).await?);
        }
        let mut tried = followed.canary.as_ref().filter(|canary| !self.state().unfit.contains(&canary.version));
        if let Some(canary) = tried.filter(|canary| !self.has(canary.version)) {
            match self.load(reached, canary).await {
                Ok(loaded) => drop(ready.insert(canary.version, loaded)),
                Err(error) => {
                    self.say(format!("{} is not tried here: {error:#}", self.called(canary.version)));
                    tried = None;
                }
            }
        }
        // Where nothing is live any more, who answers goes on.
        let live = followed.live.as_ref().map(|live| live.version).or(self.live.version());
        let tried = tried.map(|canary| (canary.version, canary.canary.unwrap_or_default()));
        let before = (self.live.version(), self.live.canary());
        let tried = self.exchange(live, tried, ready)?;
        if let Some(live) = live.filter(|live| before.0.is_some_and(|before| before != *live)) {
            self.ui.note(format!("{} answers from now on", self.called(live)));
        }
        if let Some((version, canary)) = tried.filter(|(version, _)| before.1 != Some(*version)) {
            let how = match canary.shadow {
                true => "is asked beside it".to_owned(),
                false => format!("answers {} % of the calls", f64::from(canary.permille) / 10.0),
            };
            self.ui.note(format!("{} {how}", self.called(version)));
        }
        Ok(())
    }

    fn has(&self, version: u64) -> bool {
        [self.live.version(), self.live.canary()].contains(&Some(version))
    }

    /// One at a time, and never with a canary that was found unfit meanwhile. Gives who is tried then.
    fn exchange(
        &self,
        live: Option<u64>,
        tried: Option<(u64, Canary)>,
        mut ready: BTreeMap<u64, Ready>,
    ) -> Result<Option<(u64, Canary)>> {
        let state = self.state();
        let tried = tried.filter(|(version, _)| !state.unfit.contains(version));
        let load = |version| ready.remove(&version).ok_or_else(|| anyhow!("{} is not loaded", self.called(version)));
        self.live.exchange(live, tried, load)?;
        Ok(tried)
    }

    async fn load(&self, reached: &Reached, version: &Version) -> Result<Ready> {
        let called = self.called(version.version);
        let make = move |bytes: &[u8]| Ready::new(bytes).context(called);
        let ready = load(reached, version, &self.args.trust, self.ui, make).await?;
        let (mut state, own) = (self.state(), ready.words().header());
        match &state.header {
            Some(header) if *header != own => {
                bail!("{} answers {own}, and not {header}: start anew for it", self.called(version.version))
            }
            _ => state.header = Some(own),
        }
        drop(state);
        Ok(ready)
    }

    async fn answer_all(self: &Arc<Self>, rows: &mut mpsc::Receiver<records::Part>) -> Result<()> {
        let (mut head, mut tally, mut retirements) = (None, Tally::default(), JoinSet::new());
        while let Some(part) = rows.recv().await {
            let mut records = part?;
            if records.is_empty() {
                break;
            }
            let head = match &mut head {
                Some(head) => head,
                none => {
                    let names = self.live.live().context("nothing is live")?.model.names();
                    self.print_header()?;
                    none.insert(Head::of(&mut records, names))
                }
            };
            if !records.is_empty() {
                self.answer(head, &records, &mut tally)?;
            }
            if let Some((version, reason)) = self.live.breach() {
                self.put_aside(version, &reason);
                let session = self.clone();
                retirements.spawn(async move { session.retire(version, &reason).await });
            }
        }
        while retirements.join_next().await.is_some() {}
        let Tally { rows, failed, by } = tally;
        let shares = by.iter().map(|(version, rows)| format!("{} by {}", grouped(*rows), self.called(*version)));
        self.ui.note(format!("{}: {}", counted(rows, "row"), shares.collect::<Vec<_>>().join(", ")));
        if failed > 0 {
            bail!("{failed} of {rows} rows have no answer: their lines above are empty");
        }
        Ok(())
    }

    /// Answers some records; the shadow, if there is one, is asked as well.
    fn answer(&self, head: &Head, records: &[String], tally: &mut Tally) -> Result<()> {
        let Chosen { answers, shadow } = self.live.choose().context("nothing is live")?;
        if let Some(shadow) = shadow {
            let _ = ask(&shadow, head, records); // what it says counts for its guards alone
        }
        // What a canary cannot answer, the live one does.
        let is_canary = self.live.canary() == Some(answers.version);
        match ask(&answers, head, records) {
            Err(_) if is_canary => match self.live.live() {
                Some(live) => self.answer_by(&live, head, records, tally),
                None => self.answer_by(&answers, head, records, tally),
            },
            Err(_) => self.answer_by(&answers, head, records, tally),
            Ok(outputs) => self.print_answers(&answers, &outputs, tally),
        }
    }

    /// The same by one version; where not all can be answered at once, one by one.
    fn answer_by(&self, served: &Served<Ready>, head: &Head, records: &[String], tally: &mut Tally) -> Result<()> {
        for record in records.chunks(1) {
            match ask(served, head, record) {
                Ok(outputs) => self.print_answers(served, &outputs, tally)?,
                Err(error) => {
                    self.ui.note(format!("row {}: {error:#}", tally.rows + 1));
                    let line = match self.ui.json {
                        true => json!({ "version": served.version, "error": format!("{error:#}") }).to_string(),
                        false => format!("{},{}", served.version, served.model.words().blank()),
                    };
                    self.print(&[line])?;
                    tally.add(served.version, 1);
                    tally.failed += 1;
                }
            }
        }
        Ok(())
    }

    fn print_header(&self) -> Result<()> {
        let header = self.state().header.clone().unwrap_or_default();
        if self.ui.json { Ok(()) } else { self.print(&[format!("version,{header}")]) }
    }

    fn print_answers(&self, served: &Served<Ready>, outputs: &[f32], tally: &mut Tally) -> Result<()> {
        let words = served.model.words();
        let line = |row: &[f32]| match self.ui.json {
            true => {
                let mut object = words.object(row);
                object.insert("version".into(), served.version.into());
                Value::Object(object).to_string()
            }
            false => format!("{},{}", served.version, words.line(row)),
        };
        let lines: Vec<String> = outputs.chunks_exact(served.model.width()).map(line).collect();
        self.print(&lines)?;
        tally.add(served.version, lines.len());
        Ok(())
    }

    fn print(&self, lines: &[String]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// A canary that breaks its guards answers no more here.
    fn put_aside(&self, version: u64, reason: &str) {
        self.state().unfit.insert(version);
        if let Err(error) = self.exchange(self.live.version(), None, BTreeMap::new()) {
            self.say(format!("{error:#}"));
        }
        self.ui.note(format!("{} answers no more: {reason}", self.called(version)));
    }

    /// Nor does it anywhere else.
    async fn retire(&self, version: u64, reason: &str) {
        let retire = async {
            let reached = connect_by(&self.way, &self.args.target).await?;
            let (name, to) = (self.args.name.clone(), Stage::Retired.into());
            let asked = asked(&format!("guard: {reason}"));
            let request = StageRequest { name, version, to, asked, ..StageRequest::default() };
            reached.ask(reached.models().set_stage(request)).await
        };
        match retire.await {
            Ok(_) => self.ui.note(format!("{} is retired", self.called(version))),
            Err(error) => self.ui.note(format!("{} could not be retired: {error:#}", self.called(version))),
        }
    }
}

/// What was answered.
#[derive(Default)]
struct Tally {
    rows: usize,
    failed: usize,
    by: BTreeMap<u64, usize>,
}

impl Tally {
    fn add(&mut self, version: u64, rows: usize) {
        self.rows += rows;
        *self.by.entry(version).or_default() += rows;
    }
}

/// Asks a version about some records, and notes for its guards whether it could answer with numbers, and the time for a row: lots have different lengths.
fn ask(served: &Served<Ready>, head: &Head, records: &[String]) -> Result<Vec<f32>> {
    let begun = Instant::now();
    let outputs = served.model.inputs(head, records).and_then(|inputs| served.model.outputs(&inputs));
    let is_fit = outputs.as_ref().is_ok_and(|outputs| outputs.iter().all(|value| value.is_finite()));
    served.note(begun.elapsed() / u32::try_from(records.len().max(1)).unwrap_or(u32::MAX), is_fit);
    outputs
}
