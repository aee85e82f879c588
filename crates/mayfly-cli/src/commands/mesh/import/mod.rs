//! `mayfly mesh import`: what another cluster has, and what it changes from then on.

pub mod args;
mod dest;
mod job;
mod load;
mod page;
mod source;
mod stop;

use super::advice::said;
use super::connect::{Reached, Way, again, connect_by};
use super::target::Target;
use super::words::line;
use crate::support::text::plain;
use crate::support::ui::{Ui, counted};
use anyhow::{Result, anyhow};
use args::ImportArgs;
use dest::{Dest, together};
use job::{Job, Progress, RESERVED, State, exactly, range_of};
use load::Tally;
use mayfly_mesh::proto::etcdserverpb::RangeRequest;
use serde_json::json;
use source::{Source, Told};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stop::{Side, Stop};

/// Between two lines about what was followed.
const EVERY: Duration = Duration::from_secs(10);

/// What has been told of the changes that were followed.
struct Followed {
    changes: usize,
    revision: i64,
    told: Instant,
}

pub async fn run(args: &ImportArgs, ui: Ui) -> Result<()> {
    let from = args.source();
    let (there, here) = (Way::new(&from)?, Way::new(&args.target)?);
    let (source, dest) = (connect_by(&there, &from).await?, connect_by(&here, &args.target).await?);
    let prefix = args.prefix.as_encoded_bytes();
    let source_id = cluster_of(&source, range_of(prefix)).await?;
    let dest_id = cluster_of(&dest, exactly(RESERVED)).await?;
    let dest_prefix = args.dest_prefix.as_ref().map_or(prefix, |prefix| prefix.as_encoded_bytes());
    let job = Job::new(source_id, dest_id, prefix, dest_prefix)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let by = format!("{:x}-{:x}", std::process::id(), since.as_nanos());
    let (source, dest) = (Source::new(source), Dest::new(dest, &job, by.clone()));
    Import { args, ui, job: &job, by, source, dest, follows: false }.run((&there, &from), (&here, &args.target)).await
}

/// Which cluster answers, about keys that may be read there.
async fn cluster_of(reached: &Reached, keys: RangeRequest) -> Result<u64> {
    let mut kv = reached.kv();
    let answer = reached.ask(kv.range(RangeRequest { limit: 1, keys_only: true, ..keys })).await?;
    Ok(answer.header.map_or(0, |header| header.cluster_id))
}

struct Import<'a> {
    args: &'a ImportArgs,
    ui: Ui,
    job: &'a Job,
    /// What this program is called in the progress that it writes.
    by: String,
    source: Source,
    dest: Dest<'a>,
    /// Was progress noted by this program?
    follows: bool,
}

impl Import<'_> {
    async fn run(mut self, from: (&Way, &Target), to: (&Way, &Target)) -> Result<()> {
        let mut reload = self.args.once;
        let mut said_before = None;
        loop {
            let stop = match self.work(reload).await {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            reload = self.args.once;
            match stop {
                Stop::Over(error) => return Err(error),
                Stop::NotAlone => {} // its progress says who it was
                Stop::Compacted => {
                    self.ui.note("the source has compacted what was not read yet: all keys are compared anew");
                    reload = true;
                }
                Stop::Lost(side, status) => {
                    let (reached, way) = match side {
                        Side::Source => (&self.source.reached, from),
                        Side::Dest => (&self.dest.reached, to),
                    };
                    let note = format!("{} went away ({})", plain(&reached.address), plain(&said(&status)));
                    if said_before.as_ref() != Some(&note) {
                        self.ui.note(&note);
                    }
                    said_before = Some(note);
                    let found = again(way.0, way.1, &reached.address).await?;
                    self.take(side, found).await?;
                }
            }
        }
    }

    /// Goes on at another endpoint, which must be of the same cluster.
    async fn take(&mut self, side: Side, found: Reached) -> Result<()> {
        match side {
            Side::Dest => self.dest.reached = found,
            Side::Source => match cluster_of(&found, self.job.there(None)).await {
                Ok(id) if id != self.job.source => {
                    return Err(anyhow!(
                        "{} is of another cluster than before ({id:016x}, not {:016x}): begin anew with --replace",
                        found.address,
                        self.job.source
                    ));
                }
                _ => self.source.reached = found, // who does not answer now is asked again
            },
        }
        Ok(())
    }

    /// One round: until it is done, or something keeps it from going on.
    async fn work(&mut self, reload: bool) -> Result<(), Stop> {
        let progress = self.dest.progress().await?;
        self.check(progress.as_ref()).await?;
        // Of a repeated load that was cut off.
        let loading = |progress: &&Progress| progress.state == State::Loading && progress.revision > 0;
        let own = progress.as_ref().filter(loading).map(|progress| progress.revision);
        let followed = progress.filter(|progress| progress.state == State::Following);
        // A source that was put back to an earlier state, or begun anew, has other changes under the same numbers.
        if let Some(Progress { revision, .. }) = followed.as_ref().filter(|_| !self.args.replace)
            && self.source.revision(self.job).await? < *revision
        {
            return Err(Stop::Over(anyhow!(
                "the source is behind revision {revision}, which is here already: it was put back, or is another one of the same name. --replace makes all as it is there now, and deletes what it does not have"
            )));
        }
        let own = if self.args.replace { None } else { own.or(followed.as_ref().map(|_| self.dest.seen())) };
        let revision = match followed.filter(|_| !reload) {
            Some(progress) if progress.revision <= self.source.revision(self.job).await? => {
                self.dest.note(State::Following, progress.revision).await?;
                self.follows = true;
                progress.revision
            }
            _ => self.load(own).await?,
        };
        if self.args.once { Ok(()) } else { self.follow(revision).await }
    }

    /// Whose is the progress that is there, and what if there is none?
    async fn check(&mut self, progress: Option<&Progress>) -> Result<(), Stop> {
        match progress {
            Some(progress) if self.follows && progress.by != self.by => Err(Stop::Over(anyhow!(
                "another import of the same keys goes on with this one: one of the two is to be ended"
            ))),
            Some(_) => Ok(()),
            None if self.follows => {
                Err(Stop::Over(anyhow!("the note of how far this import has come is gone: begin anew with --replace")))
            }
            None if self.args.replace => Ok(()),
            None => match load::first_key(self.job, &mut self.dest).await? {
                None => Ok(()),
                Some(key) => Err(Stop::Over(anyhow!(
                    "{} has keys there already, such as {}: --replace deletes what the source does not have, --dest-prefix names another place",
                    self.dest.reached.address,
                    line(&key)
                ))),
            },
        }
    }

    async fn load(&mut self, own: Option<i64>) -> Result<i64, Stop> {
        self.dest.note(State::Loading, own.unwrap_or(0)).await?;
        self.follows = true;
        let mut tally = Tally::default();
        let revision = load::load(self.job, &mut self.source, &mut self.dest, own, &mut tally).await?;
        let Tally { put, deleted, same, skipped } = tally;
        let mut text = format!(
            "as the source at revision {revision}: {} written, {deleted} deleted, {same} were the same",
            counted(put, "key")
        );
        if skipped > 0 {
            text += &format!(", {skipped} left out");
        }
        self.ui.result(&text, &json!({ "loaded": { "revision": revision, "put": put, "deleted": deleted, "same": same, "left_out": skipped } }))?;
        Ok(revision)
    }

    async fn follow(&mut self, revision: i64) -> Result<(), Stop> {
        let mut followed = Followed { changes: 0, revision, told: Instant::now() };
        let mut changes = self.source.watch(self.job, revision + 1).await?;
        loop {
            match changes.next(self.job).await? {
                Told::Nothing(revision) if revision > followed.revision => {
                    self.dest.note(State::Following, revision).await?;
                    followed.revision = revision;
                }
                Told::Nothing(_) => {}
                Told::Changes(steps) => {
                    for step in together(steps) {
                        followed.changes += step.changes.len();
                        followed.revision = step.revision;
                        self.dest.change(step.changes, Some((State::Following, step.revision))).await?;
                    }
                    self.tell(&mut followed)?;
                }
            }
        }
    }

    /// Says now and then how far it is.
    fn tell(&self, followed: &mut Followed) -> Result<()> {
        if followed.told.elapsed() < EVERY {
            return Ok(());
        }
        let Followed { changes, revision, .. } = *followed;
        *followed = Followed { changes: 0, revision, told: Instant::now() };
        let text = format!("as the source at revision {revision}: {}", counted(changes, "change"));
        self.ui.result(&text, &json!({ "followed": { "revision": revision, "changes": changes } }))
    }
}
