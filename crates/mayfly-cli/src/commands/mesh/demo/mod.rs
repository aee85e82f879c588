//! `mayfly mesh demo`: real processes on loopback that are written to while leaders are killed, cut off and lose their disks, and whether it showed.

mod check;
mod clients;
mod crew;
mod picture;
mod report;
mod torment;

use super::args::{DemoArgs, Fault};
use crate::support::child::unless_interrupted;
use crate::support::output::{Files, PICTURE};
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use clients::{Clients, Shared};
use crew::{Crew, Kind, PATIENCE};
use report::{Mark, Played};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two requests of a client, where it takes long.
const UNHURRIED: Duration = Duration::from_millis(20);
/// Between two kills, and for how long who was killed is down.
const BETWEEN_KILLS: f64 = 2.0;
const DOWN: f64 = 0.8;

pub async fn run(args: &DemoArgs, ui: Ui) -> Result<()> {
    let mut files = Files::reading([])?;
    let plot = args.plot.as_deref().map(|path| files.writing("--plot", path, PICTURE)).transpose()?;
    files.refuse_json(ui)?;
    if args.etcd {
        let version = std::process::Command::new("etcd").arg("--version").stdout(std::process::Stdio::null()).status();
        version.context("--etcd needs etcd on the path")?; // before twenty seconds of ours
    }
    let ours = unless_interrupted(play(Kind::Mayfly, args, ui)).await?;
    let theirs = if args.etcd { Some(unless_interrupted(play(Kind::Etcd, args, ui)).await?) } else { None };
    if let Some(plot) = &plot {
        let svg = picture::draw(&ours, theirs.as_ref());
        plot.write(|out| Ok(out.write_all(svg.as_bytes())?))?;
        ui.note(format!("picture in {plot}"));
    }
    files.result(ui, &report::text(&ours, theirs.as_ref()), &report::json(&ours, theirs.as_ref()))?;
    let is_fine = [Some(&ours), theirs.as_ref()].into_iter().flatten().all(Played::is_fine);
    anyhow::ensure!(is_fine, "what clients saw is not what they were promised: the lines above say what");
    Ok(())
}

async fn play(kind: Kind, args: &DemoArgs, ui: Ui) -> Result<Played> {
    let nodes = usize::from(args.nodes);
    let name = if kind == Kind::Mayfly { "mayfly" } else { "etcd" };
    ui.note(format!("starting {nodes} processes of {name} …"));
    let mut crew = Crew::start(kind, nodes, args.faults.contains(&Fault::Full)).await?;
    let played = play_with(&mut crew, args, ui).await;
    match played {
        Ok(played) if played.is_fine() => Ok(played),
        Ok(played) => {
            ui.note(crew.keep(played.report()));
            Ok(played)
        }
        Err(error) => Err(error.context(crew.keep(String::new()))),
    }
}

async fn play_with(crew: &mut Crew, args: &DemoArgs, ui: Ui) -> Result<Played> {
    let pause = if args.faults.is_empty() { Duration::ZERO } else { UNHURRIED };
    let mut clients = Clients::start(&crew.addresses, pause)?;
    let shared = clients.shared.clone();
    let mut act = Act { crew: &mut *crew, shared, ui, marks: Vec::new(), faults: BTreeMap::new() };
    match &args.faults[..] {
        [] => act.suffer(args.seconds as f64).await?,
        faults => act.torment(faults, args.seed, args.seconds as f64).await?,
    }
    let Act { marks, faults, .. } = act;
    ui.note("waiting until all are equal …");
    let calls = clients.finish().await;
    let last = calls.iter().filter_map(|call| call.answer.as_ref()).map(|answer| answer.revision).max().unwrap_or(0);
    let are_equal = crew.wait_for_equal(last).await?;
    let told = clients.watched(last, PATIENCE).await;
    let history = tokio::time::timeout(PATIENCE, clients::history(&crew.addresses[0], last)).await;
    let history = history.context("the history is not told")??;
    Ok(Played::new(args, faults, calls, &told, &history, marks, are_equal))
}

/// What happens to the processes while clients ask.
struct Act<'a> {
    crew: &'a mut Crew,
    shared: Arc<Shared>,
    ui: Ui,
    marks: Vec<Mark>,
    /// How often which fault was drawn.
    faults: BTreeMap<&'static str, usize>,
}

impl Act<'_> {
    /// A calm third, which is measured; kills; and, with ours, a cut and a lost disk.
    async fn suffer(&mut self, seconds: f64) -> Result<()> {
        self.ui.note(format!("{} s of reads and writes …", seconds));
        self.until(seconds * 0.35).await;
        self.mark("calm is over", false);
        while self.now() + BETWEEN_KILLS < seconds * 0.68 {
            self.kill_leader().await?;
        }
        if self.crew.kind == Kind::Mayfly {
            self.until(seconds * 0.68).await;
            let leader = self.crew.leader().await?;
            self.note(&format!("node {leader}, which leads, is cut off"));
            self.crew.cut_off(leader);
            self.until(seconds * 0.78).await;
            self.note("the cut is healed");
            self.crew.heal();
            self.until(seconds * 0.84).await;
            let victim = (self.crew.leader().await? + 1) % self.crew.len();
            self.note(&format!("node {victim} is killed and loses its disk"));
            self.crew.kill(victim);
            self.crew.restart_wiped(victim)?;
        }
        self.until(seconds).await;
        Ok(())
    }

    async fn kill_leader(&mut self) -> Result<()> {
        let leader = self.crew.leader().await?;
        let start = self.now();
        self.note(&format!("kill -9 of node {leader}, which leads"));
        self.mark("kill", true);
        self.crew.kill(leader);
        self.until(start + DOWN).await;
        self.crew.restart(leader)?;
        self.until(start + BETWEEN_KILLS).await;
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.ui.note(text);
        if !text.starts_with("kill") {
            self.mark(text, false);
        }
    }

    fn mark(&mut self, text: &str, is_kill: bool) {
        self.marks.push(Mark { at_us: self.shared.now_us(), text: text.into(), is_kill });
    }

    fn now(&self) -> f64 {
        self.shared.begun.elapsed().as_secs_f64()
    }

    async fn until(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64((seconds - self.now()).max(0.0))).await;
    }
}
