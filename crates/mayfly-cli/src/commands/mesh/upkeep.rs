//! `mayfly mesh defrag`, `alarm` and `check`.

use super::args::AlarmCommand;
use super::connect::{Way, connect, connect_by};
use super::target::Target;
use super::words;
use crate::support::exit::Detailed;
use crate::support::text::plain;
use crate::support::ui::{Ui, counted, grouped};
use anyhow::{Result, anyhow, bail};
use mayfly_mesh::proto::etcdserverpb::alarm_request::AlarmAction;
use mayfly_mesh::proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, DefragmentRequest, HashKvRequest, HashKvResponse, MemberListRequest,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use tonic::Code;

/// A member that is behind is asked again so often.
const TRIES: u32 = 10;
const AGAIN: Duration = Duration::from_millis(200);

/// One endpoint after the other: each serves nobody while its file gets shorter.
pub async fn defrag(target: &Target, ui: Ui) -> Result<()> {
    let way = Way::new(target)?;
    let mut done = Vec::new();
    for endpoint in &target.endpoints {
        let reached = way.reach(endpoint).await.map_err(|reason| anyhow!("{endpoint}: {reason}"))?;
        let size = async || {
            let standing = reached.standing().await.map_err(|status| reached.failed(&status))?;
            Ok::<_, anyhow::Error>(usize::try_from(standing.db_size).unwrap_or(0))
        };
        let before = size().await?;
        reached.ask(reached.maintenance().defragment(DefragmentRequest {})).await?;
        done.push((endpoint, before, size().await?));
    }
    let line = |(endpoint, before, after): &(&String, usize, usize)| {
        format!("{}: {} bytes, {} before", plain(endpoint), grouped(*after), grouped(*before))
    };
    let object = |(endpoint, before, after): &(&String, usize, usize)| json!({ "endpoint": endpoint, "db_bytes": after, "db_bytes_before": before });
    let objects: Vec<Value> = done.iter().map(object).collect();
    let lines: Vec<String> = done.iter().map(line).collect();
    ui.result(&lines.join("\n"), &json!({ "endpoints": objects }))
}

pub async fn alarm(command: &AlarmCommand, ui: Ui) -> Result<()> {
    let (AlarmCommand::List(target) | AlarmCommand::Disarm(target)) = command;
    let reached = connect(target).await?;
    let ask = async |action: AlarmAction, member_id, alarm| {
        let request = AlarmRequest { action: action.into(), member_id, alarm };
        Ok::<_, anyhow::Error>(reached.ask(reached.maintenance().alarm(request)).await?.alarms)
    };
    let up = ask(AlarmAction::Get, 0, AlarmType::None.into()).await?;
    if let AlarmCommand::List(_) = command {
        let lines: Vec<String> = up.iter().map(alarm_text).collect();
        return words::show(ui, &lines.join("\n"), &json!({ "alarms": objects(&up) }));
    }
    for alarm in &up {
        ask(AlarmAction::Deactivate, alarm.member_id, alarm.alarm).await?;
    }
    let text = match up.len() {
        0 => "no alarm is up".into(),
        n => format!("{} taken back", counted(n, "alarm")),
    };
    ui.result(&text, &json!({ "disarmed": objects(&up) }))
}

fn kind(alarm: &AlarmMember) -> &'static str {
    alarm.alarm().as_str_name()
}

fn alarm_text(alarm: &AlarmMember) -> String {
    let what = match alarm.alarm() {
        AlarmType::Nospace => "more is stored than its quota: compact, delete or raise it, then disarm",
        AlarmType::Corrupt => "its state differs from that of the others: take it out, and let it join anew",
        AlarmType::None => "not known",
    };
    format!("{}  {}  {what}", words::member(alarm.member_id), kind(alarm))
}

fn objects(alarms: &[AlarmMember]) -> Vec<Value> {
    alarms.iter().map(|alarm| json!({ "member": words::member(alarm.member_id), "alarm": kind(alarm) })).collect()
}

/// Do all members have the same history? Each is asked for the hash of its own, at one revision.
pub async fn check(target: &Target, ui: Ui) -> Result<()> {
    let way = Way::new(target)?;
    let first = connect_by(&way, target).await?;
    let revision = {
        let told = first.ask(first.maintenance().hash_kv(HashKvRequest { revision: 0 })).await?;
        words::revision(told.header.as_ref())
    };
    let members = first.ask(first.cluster().member_list(MemberListRequest { linearizable: false })).await?.members;
    let told = members.into_iter().filter_map(|member| member.client_ur_ls.into_iter().next());
    let mut endpoints = target.endpoints.clone();
    endpoints.extend(told);
    let mut looks = Vec::new();
    for endpoint in &endpoints {
        let look = look(endpoint, revision, &way).await;
        let same = |other: &Look| matches!((&other.hash, &look.hash), (Ok(a), Ok(b)) if member(a) == member(b));
        if !looks.iter().any(same) {
            looks.push(look);
        }
    }
    report(&looks, revision, ui)
}

/// What an endpoint answered, or why it did not.
struct Look {
    endpoint: String,
    hash: Result<HashKvResponse, String>,
}

fn member(told: &HashKvResponse) -> u64 {
    told.header.as_ref().map_or(0, |header| header.member_id)
}

async fn look(endpoint: &str, revision: i64, way: &Way) -> Look {
    let hash = async {
        let reached = way.reach(endpoint).await?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut maintenance = reached.maintenance();
            match reached.within(maintenance.hash_kv(HashKvRequest { revision })).await {
                Ok(told) => return Ok(told.into_inner()),
                Err(status) if status.code() == Code::OutOfRange && tries < TRIES => tokio::time::sleep(AGAIN).await,
                Err(status) => return Err(super::advice::said(&status)),
            }
        }
    };
    Look { endpoint: endpoint.into(), hash: hash.await }
}

fn report(looks: &[Look], revision: i64, ui: Ui) -> Result<()> {
    let mut text = format!("at revision {revision}:");
    for look in looks {
        let _ = match &look.hash {
            Ok(told) => write!(
                text,
                "\n{:<16}  {:08x}  compacted {:>10}  {}",
                words::member(member(told)),
                told.hash,
                told.compact_revision,
                plain(&look.endpoint)
            ),
            Err(reason) => write!(text, "\nno answer         {}: {}", plain(&look.endpoint), plain(reason)),
        };
    }
    let object = |look: &Look| match &look.hash {
        Ok(told) => json!({
            "endpoint": look.endpoint, "member": words::member(member(told)), "hash": told.hash,
            "compact_revision": told.compact_revision,
        }),
        Err(reason) => json!({ "endpoint": look.endpoint, "error": reason }),
    };
    let objects: Vec<Value> = looks.iter().map(object).collect();
    let message = match verdict(looks) {
        Verdict::Same => return ui.result(&text, &json!({ "revision": revision, "same": true, "members": objects })),
        Verdict::Silent => "not all members answered",
        Verdict::NotComparable => "not all members have compacted to the same revision: check again in a moment",
        Verdict::Differ => "the members' histories differ: the one that differs from the others is to be taken out",
    };
    let object = json!({ "revision": revision, "same": false, "members": objects, "error": message });
    if ui.json {
        return Err(Detailed { message: message.into(), object }.into());
    }
    ui.result(&text, &object)?;
    bail!(message)
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Differ,
    NotComparable,
    Silent,
}

fn verdict(looks: &[Look]) -> Verdict {
    let told: Vec<&HashKvResponse> = looks.iter().filter_map(|look| look.hash.as_ref().ok()).collect();
    let pairs = || told.iter().flat_map(|a| told.iter().map(move |b| (a, b)));
    if pairs().any(|(a, b)| a.compact_revision == b.compact_revision && a.hash != b.hash) {
        Verdict::Differ
    } else if told.len() < looks.len() {
        Verdict::Silent
    } else if pairs().any(|(a, b)| a.compact_revision != b.compact_revision) {
        Verdict::NotComparable
    } else {
        Verdict::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(told: &[Option<(u32, i64)>]) -> Vec<Look> {
        let look = |told: &Option<(u32, i64)>| {
            let hash = told.map(|(hash, compact_revision)| HashKvResponse { header: None, hash, compact_revision });
            Look { endpoint: "a:1".into(), hash: hash.ok_or_else(|| "refused".into()) }
        };
        told.iter().map(look).collect()
    }

    #[test]
    fn histories_are_the_same_or_not() {
        let of = |told: &[Option<(u32, i64)>]| verdict(&looks(told));
        assert_eq!(of(&[Some((1, 5)), Some((1, 5))]), Verdict::Same);
        assert_eq!(of(&[Some((1, 5)), Some((2, 5))]), Verdict::Differ);
        assert_eq!(of(&[Some((1, 5)), Some((2, 6))]), Verdict::NotComparable);
        assert_eq!(of(&[Some((1, 5)), None]), Verdict::Silent);
        assert_eq!(of(&[Some((1, 5)), Some((2, 5)), None]), Verdict::Differ);
    }
}
