//! `mayfly mesh recover`: a new mesh of what the last member has, when a majority is lost for good.

use super::args::RecoverArgs;
use super::words;
use crate::commands::swarm::MESH;
use crate::support::exit::Usage;
use crate::support::text::plain;
use crate::support::ui::Ui;
use anyhow::{Context, Result, bail};
use mayfly_mesh::modules;
use mayfly_mesh::proto::etcdserverpb::AlarmMember;
use mayfly_mesh::recover::{Facts, Known, LogUse, Survivor};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;

pub fn run(args: &RecoverArgs, ui: Ui) -> Result<()> {
    let RecoverArgs { data, cluster_id, bump_revision, without_log, .. } = args;
    let survivor = Survivor::open(&data.join(MESH), modules())?;
    let facts = survivor.facts().clone();
    if let Some(id) = cluster_id {
        check_id(&facts, *id, data)?;
    }
    let log = if *without_log { LogUse::Nothing } else { LogUse::Committed };
    if let (Some(error), LogUse::Committed) = (&facts.unread_log, log) {
        bail!("{error}\n--without-log leaves the log aside, and what is in it alone is lost");
    }
    let (told, unknown) = (text_of(&facts, log, data), unknown(&facts, log));
    if cluster_id.is_none() || !ui.json {
        ui.note(format!("{told}\nWhat cannot be known here:\n  {}", unknown.join("\n  ")));
    }
    if cluster_id.is_none() {
        check_id(&facts, ask(ui)?, data)?;
    }
    let refound = survivor.recover(log, *bump_revision)?;
    let (cluster, member) = (format!("{:016x}", refound.owner.cluster), words::member(refound.owner.member));
    let text = format!(
        "{0} is the only member of a new mesh: cluster {cluster}, member {member}, revision {1}; {2} applied, {3} discarded\n\
         `mayfly node --data {0} --mesh` starts it. What members of the old cluster say is refused from now on: \
         move the folder {MESH} of each away, and start it with --mesh to join this one",
        data.display(),
        refound.revision,
        entries(facts.to_apply(log)),
        facts.discarded(log).map_or("nobody knows how many entries".into(), entries),
    );
    let object = json!({
        "data": data,
        "cluster": cluster,
        "member": member,
        "revision": refound.revision,
        "before": object_of(&facts),
        "applied": facts.to_apply(log),
        "discarded": facts.discarded(log),
        "cannot_be_known": unknown,
    });
    ui.result(&text, &object)
}

fn entries(n: u64) -> String {
    match n {
        1 => "1 entry".into(),
        n => format!("{n} entries"),
    }
}

/// Typed by whoever knows what is given up.
fn ask(ui: Ui) -> Result<u64> {
    if ui.json || !std::io::stdin().is_terminal() {
        return Err(Usage("--cluster-id ID says which cluster is given up: `mayfly mesh status` has shown it, and so do the lines above".into()).into());
    }
    let mut out = std::io::stderr().lock();
    let asked = write!(out, "Type the id of the cluster that is given up: ").and_then(|()| out.flush());
    asked.context("cannot ask")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the answer")?;
    words::member_id(line.trim()).map_err(|why| Usage(format!("nothing was changed: {why}")).into())
}

fn check_id(facts: &Facts, id: u64, data: &Path) -> Result<()> {
    let (found, data) = (facts.owner.cluster, data.display());
    if facts.before.contains(&id) {
        bail!(
            "{data} was recovered from cluster {id:016x} before: it is of cluster {found:016x} now, and can be started"
        );
    }
    if id != found {
        bail!("{data} is of cluster {found:016x}, not {id:016x}: nothing was changed");
    }
    Ok(())
}

fn text_of(facts: &Facts, log: LogUse, data: &Path) -> String {
    let Facts { owner, members, applied, revision, committed, last, alarms, missing, .. } = facts;
    let mut text = format!(
        "{}: member {} of cluster {:016x}\nrevision {revision}, after entry {} of term {}",
        data.display(),
        words::member(owner.member),
        owner.cluster,
        applied.index,
        applied.term,
    );
    let _ = match &facts.unread_log {
        Some(error) => write!(text, "\nits log cannot be read and is left aside: {error}"),
        None => write!(
            text,
            "\nits log ends with entry {} of term {}; up to entry {}, it knows that a majority has them: \
             {} of them applied now, {} after them DISCARDED, as etcd does",
            last.index,
            last.term,
            committed.index,
            entries(facts.to_apply(log)),
            facts.discarded(log).map_or("nobody knows how many".into(), entries),
        ),
    };
    for Known { id, name, address, is_voter } in members {
        let role = if *is_voter { "voter" } else { "learner" };
        let own = if *id == owner.member { " (this one)" } else { "" };
        let _ = write!(text, "\nmember {} {} {} {role}{own}", words::member(*id), plain(name), plain(address));
    }
    for alarm in alarms {
        let _ = write!(
            text,
            "\nan alarm is up: {} of member {}",
            alarm.alarm().as_str_name(),
            words::member(alarm.member_id)
        );
    }
    for (name, digest) in missing {
        let _ = write!(text, "\nwarning: the artefact of {} is not here: {digest}", plain(name));
    }
    text
}

/// What one member cannot tell.
fn unknown(facts: &Facts, log: LogUse) -> Vec<String> {
    let Facts { last, owner, .. } = facts;
    let mut unknown = vec![format!(
        "writes that others acknowledged and member {} was never sent: they are lost",
        words::member(owner.member)
    )];
    match facts.discarded(log) {
        None | Some(0) => {}
        Some(n) => unknown.push(format!(
            "whether {} to {} of its log ({}) were acknowledged, or replaced elsewhere: they are discarded",
            last.index - n + 1,
            last.index,
            entries(n),
        )),
    }
    if facts.unread_log.is_some() {
        unknown.push("what is in the log that cannot be read".into());
    }
    unknown.push("whether the other members are really gone: one that comes back is refused, but a majority that reaches each other and not this node goes on by itself".into());
    unknown
}

fn object_of(facts: &Facts) -> Value {
    let Facts { owner, members, applied, revision, committed, last, alarms, missing, .. } = facts;
    let place = |at: &mayfly_mesh::Applied| json!({ "index": at.index, "term": at.term });
    let seat = |known: &Known| json!({ "id": words::member(known.id), "name": known.name, "address": known.address, "is_learner": !known.is_voter });
    let alarm =
        |alarm: &AlarmMember| json!({ "member": words::member(alarm.member_id), "alarm": alarm.alarm().as_str_name() });
    let artefact = |(name, digest): &(String, String)| json!({ "model": name, "digest": digest });
    json!({
        "cluster": format!("{:016x}", owner.cluster),
        "member": words::member(owner.member),
        "revision": revision,
        "applied": place(applied),
        "committed": place(committed),
        "log_end": place(last),
        "members": members.iter().map(seat).collect::<Vec<_>>(),
        "alarms": alarms.iter().map(alarm).collect::<Vec<_>>(),
        "missing": missing.iter().map(artefact).collect::<Vec<_>>(),
        "unread_log": facts.unread_log.as_ref().map(ToString::to_string),
    })
}
