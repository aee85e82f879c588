//! `mayfly mesh move-leader`.

use super::connect::{Reached, Way, connect_by};
use super::target::Target;
use super::words;
use crate::support::ui::Ui;
use anyhow::{Result, bail};
use mayfly_mesh::proto::etcdserverpb::{MemberListRequest, MoveLeaderRequest, StatusResponse};
use serde_json::json;

pub async fn run(heir: u64, target: &Target, ui: Ui) -> Result<()> {
    let (reached, leader) = leader(target).await?;
    let object = json!({ "leader": words::member(heir), "before": words::member(leader) });
    if leader == heir {
        return ui.result(&format!("{} leads already", words::member(heir)), &object);
    }
    let mut maintenance = reached.maintenance();
    reached.ask(maintenance.move_leader(MoveLeaderRequest { target_id: heir })).await?;
    ui.result(&format!("{} leads in place of {}", words::member(heir), words::member(leader)), &object)
}

/// The member that leads: only it can step back for another one.
async fn leader(target: &Target) -> Result<(Reached, u64)> {
    let way = Way::new(target)?;
    let first = connect_by(&way, target).await?;
    let standing = first.standing().await.map_err(|status| first.failed(&status))?;
    let leader = standing.leader;
    if leader == 0 {
        bail!("{} knows no leader: no majority is within reach; see `mayfly mesh status`", first.address);
    }
    if leads(&standing) {
        return Ok((first, leader));
    }
    let mut cluster = first.cluster();
    let members = first.ask(cluster.member_list(MemberListRequest { linearizable: false })).await?.members;
    let told = members.into_iter().filter(|member| member.id == leader).flat_map(|member| member.client_ur_ls);
    // What members tell may be an address that only they reach: the endpoints are asked as well.
    let addresses: Vec<String> = told.chain(target.endpoints.iter().cloned()).collect();
    for address in &addresses {
        let Ok(reached) = way.reach(address).await else { continue };
        if let Ok(standing) = reached.standing().await
            && leads(&standing)
        {
            return Ok((reached, standing.leader));
        }
    }
    bail!(
        "{} leads, and only it can step back, but it is not at {}: --endpoints names where it serves clients",
        words::member(leader),
        addresses.join(", ")
    )
}

fn leads(standing: &StatusResponse) -> bool {
    standing.header.as_ref().is_some_and(|header| header.member_id == standing.leader)
}
