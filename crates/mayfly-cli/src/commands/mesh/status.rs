//! `mayfly mesh status`.

use super::advice::said;
use super::connect::{Way, nobody};
use super::target::Target;
use super::words;
use crate::support::exit::Detailed;
use crate::support::text::plain;
use crate::support::ui::{Ui, counted, grouped};
use anyhow::{Result, bail};
use futures_util::future::join_all;
use mayfly_mesh::proto::etcdserverpb::StatusResponse;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a node says to those who do not say who they are.
const NAMELESS: &str = "etcdserver: user name is empty";

/// What an endpoint answered, or why it did not.
struct Look {
    endpoint: String,
    answer: Result<StatusResponse, String>,
}

pub async fn run(target: &Target, ui: Ui) -> Result<()> {
    let way = Way::new(target)?;
    let looks = join_all(target.endpoints.iter().map(|endpoint| look(endpoint, &way))).await;
    let silent: Vec<&Look> = looks.iter().filter(|look| look.answer.is_err()).collect();
    let object = json!({ "endpoints": looks.iter().map(object_of).collect::<Vec<_>>() });
    let failure = match silent.len() {
        0 => return ui.result(&table(&looks), &object),
        n if n == looks.len() && looks.iter().all(asks_who) => {
            format!("{}: {NAMELESS}: --user says who asks", plain(&looks[0].endpoint))
        }
        n if n == looks.len() => nobody(&silent.iter().map(|look| reason(look)).collect::<Vec<_>>()).to_string(),
        n => format!("{n} of {} without an answer", counted(looks.len(), "endpoint")),
    };
    if ui.json {
        return Err(Detailed { message: failure, object }.into());
    }
    if silent.len() < looks.len() {
        ui.result(&table(&looks), &object)?;
    }
    bail!(failure)
}

async fn look(endpoint: &str, way: &Way) -> Look {
    let answer = match way.reach(endpoint).await {
        Ok(reached) => reached.standing().await.map_err(|status| said(&status)),
        Err(reason) => Err(reason),
    };
    Look { endpoint: endpoint.into(), answer }
}

/// Is it there, and tells only those who have a name?
fn asks_who(look: &Look) -> bool {
    look.answer.as_ref().is_err_and(|reason| reason == NAMELESS)
}

fn reason(look: &Look) -> String {
    let reason = look.answer.as_ref().err().map_or("", String::as_str);
    format!("{} ({reason})", look.endpoint)
}

fn member(answer: &StatusResponse) -> u64 {
    answer.header.as_ref().map_or(0, |header| header.member_id)
}

fn cluster(answer: &StatusResponse) -> u64 {
    answer.header.as_ref().map_or(0, |header| header.cluster_id)
}

fn role(answer: &StatusResponse) -> &'static str {
    match answer.leader {
        leader if leader != 0 && leader == member(answer) => "leader",
        _ if answer.is_learner => "learner",
        0 => "no leader",
        _ => "follower",
    }
}

fn object_of(look: &Look) -> Value {
    match &look.answer {
        Err(reason) => json!({ "endpoint": look.endpoint, "error": reason }),
        Ok(answer) => json!({
            "endpoint": look.endpoint,
            "cluster": format!("{:016x}", cluster(answer)),
            "member": words::member(member(answer)),
            "version": answer.version,
            "db_bytes": answer.db_size,
            "db_bytes_in_use": answer.db_size_in_use,
            "leader": (answer.leader != 0).then(|| words::member(answer.leader)),
            "is_leader": role(answer) == "leader",
            "is_learner": answer.is_learner,
            "revision": words::revision(answer.header.as_ref()),
            "raft_term": answer.raft_term,
            "raft_index": answer.raft_index,
            "raft_applied_index": answer.raft_applied_index,
            "errors": answer.errors,
        }),
    }
}

fn table(looks: &[Look]) -> String {
    let width = looks.iter().map(|look| look.endpoint.chars().count()).max().unwrap_or(0).max("endpoint".len());
    let mut text = format!(
        "{:<width$}  {:<16}  {:<9}  {:<8}  {:>13}  {:>10}  {:>5}  {:>10}  {:>10}\n",
        "endpoint", "member", "role", "version", "bytes", "revision", "term", "index", "applied"
    );
    for look in looks {
        let answer = match &look.answer {
            Ok(answer) => answer,
            Err(reason) => {
                let _ = writeln!(text, "{:<width$}  no answer: {}", look.endpoint, plain(reason));
                continue;
            }
        };
        let _ = writeln!(
            text,
            "{:<width$}  {:<16}  {:<9}  {:<8}  {:>13}  {:>10}  {:>5}  {:>10}  {:>10}",
            look.endpoint,
            words::member(member(answer)),
            role(answer),
            plain(&answer.version),
            grouped(usize::try_from(answer.db_size).unwrap_or(0)),
            words::revision(answer.header.as_ref()),
            answer.raft_term,
            answer.raft_index,
            answer.raft_applied_index
        );
        for error in &answer.errors {
            let _ = writeln!(text, "{:<width$}  ! {}", "", plain(error));
        }
    }
    let mut clusters: Vec<u64> = looks.iter().filter_map(|look| look.answer.as_ref().ok().map(cluster)).collect();
    clusters.dedup();
    match clusters[..] {
        [] => {}
        [one] => text += &format!("cluster {one:016x}\n"),
        _ => {
            let each: Vec<String> = clusters.iter().map(|cluster| format!("{cluster:016x}")).collect();
            text += &format!("! these are of different clusters: {}\n", each.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_mesh::proto::etcdserverpb::ResponseHeader;

    fn answer(member_id: u64, leader: u64, is_learner: bool) -> StatusResponse {
        let header = Some(ResponseHeader { member_id, ..ResponseHeader::default() });
        StatusResponse { header, leader, is_learner, ..StatusResponse::default() }
    }

    #[test]
    fn roles_are_told_apart() {
        assert_eq!(role(&answer(1, 1, false)), "leader");
        assert_eq!(role(&answer(1, 2, false)), "follower");
        assert_eq!(role(&answer(1, 2, true)), "learner");
        assert_eq!(role(&answer(1, 0, false)), "no leader");
        assert_eq!(role(&StatusResponse::default()), "no leader");
    }

    #[test]
    fn each_endpoint_has_its_line() {
        let errors = vec!["low\x1b[2J".into()];
        let fine = Look { endpoint: "a:1".into(), answer: Ok(StatusResponse { errors, ..answer(0xab, 0xab, false) }) };
        let gone = Look { endpoint: "b:2".into(), answer: Err("refused".into()) };
        let text = table(&[fine, gone]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[4], "cluster 0000000000000000");
        assert!(lines[1].starts_with("a:1") && lines[1].contains("ab") && lines[1].contains("leader"));
        assert!(lines[2].contains("! low\\u{1b}[2J"));
        assert!(lines[3].starts_with("b:2") && lines[3].contains("refused"));
    }
}
