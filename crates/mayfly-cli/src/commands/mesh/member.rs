//! `mayfly mesh member`.

use super::args::MemberCommand;
use super::connect::connect;
use super::words;
use crate::support::text::plain;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_mesh::proto::etcdserverpb::{
    Member, MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub async fn run(command: MemberCommand, ui: Ui) -> Result<()> {
    match command {
        MemberCommand::List(target) => {
            let reached = connect(&target).await?;
            let mut cluster = reached.cluster();
            let answer = reached.ask(cluster.member_list(MemberListRequest { linearizable: true })).await?;
            ui.result(&table(&answer.members), &json!({ "members": objects(&answer.members) }))
        }
        MemberCommand::Add { name, peer_url, learner, target } => {
            let reached = connect(&target).await?;
            let mut cluster = reached.cluster();
            let request = MemberAddRequest { peer_ur_ls: peer_url, is_learner: learner };
            let answer = reached.ask(cluster.member_add(request)).await?;
            let id = answer.member.as_ref().map_or(0, |member| member.id);
            let text = added_text(&name, id, learner);
            // The cluster learns the name from the member itself, once it runs.
            let member = answer.member.map(|member| object_of(&Member { name, ..member }));
            ui.result(&text, &json!({ "member": member, "members": objects(&answer.members) }))
        }
        MemberCommand::Promote(member) => {
            let reached = connect(&member.target).await?;
            let mut cluster = reached.cluster();
            let answer = reached.ask(cluster.member_promote(MemberPromoteRequest { id: member.id })).await?;
            changed(member.id, "has a vote", &answer.members, ui)
        }
        MemberCommand::Update { member, peer_url } => {
            let reached = connect(&member.target).await?;
            let mut cluster = reached.cluster();
            let request = MemberUpdateRequest { id: member.id, peer_ur_ls: peer_url };
            let answer = reached.ask(cluster.member_update(request)).await?;
            changed(member.id, "is reached at the new place", &answer.members, ui)
        }
        MemberCommand::Remove(member) => {
            let reached = connect(&member.target).await?;
            let mut cluster = reached.cluster();
            let answer = reached.ask(cluster.member_remove(MemberRemoveRequest { id: member.id })).await?;
            changed(member.id, "is shut out", &answer.members, ui)
        }
    }
}

fn changed(id: u64, how: &str, members: &[Member], ui: Ui) -> Result<()> {
    let id = words::member(id);
    ui.result(&format!("{id} {how}"), &json!({ "member": id, "members": objects(members) }))
}

fn added_text(name: &str, id: u64, learner: bool) -> String {
    let id = words::member(id);
    let then = match learner {
        true => format!(" as a learner: `mayfly mesh member promote {id}` gives it a vote once it has caught up"),
        false => ": start its node now, and it gets its vote once it has caught up".into(),
    };
    format!("{} is let in as {id}{then}", plain(name))
}

fn object_of(member: &Member) -> Value {
    json!({
        "id": words::member(member.id),
        "name": member.name,
        "peer_urls": member.peer_ur_ls,
        "client_urls": member.client_ur_ls,
        "is_learner": member.is_learner,
    })
}

fn objects(members: &[Member]) -> Vec<Value> {
    members.iter().map(object_of).collect()
}

fn table(members: &[Member]) -> String {
    let mut text =
        format!("{:<16}  {:<16}  {:<7}  {:<28}  {}\n", "member", "name", "role", "members reach it", "clients");
    for member in members {
        let _ = writeln!(
            text,
            "{:<16}  {:<16}  {:<7}  {:<28}  {}",
            words::member(member.id),
            if member.name.is_empty() { "(not started)".into() } else { plain(&member.name) },
            if member.is_learner { "learner" } else { "voter" },
            plain(&member.peer_ur_ls.join(",")),
            plain(&member.client_ur_ls.join(","))
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_names_do_not_steer() {
        let member = Member { id: 0xab, name: "a\nb\x1b[2J".into(), is_learner: true, ..Member::default() };
        let text = table(&[member, Member::default()]);
        assert!(text.contains("a\\nb\\u{1b}[2J") && text.contains("learner") && text.contains("(not started)"));
        assert_eq!(text.lines().count(), 3);
    }
}
