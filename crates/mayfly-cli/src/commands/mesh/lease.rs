//! `mayfly mesh lease`.

use super::advice::{is_passing, said};
use super::args::LeaseCommand;
use super::connect::{Reached, Way, again, connect, connect_by};
use super::target::Target;
use super::words::{self, line};
use crate::support::text::plain;
use crate::support::ui::{Ui, counted};
use anyhow::{Result, bail};
use futures_util::stream;
use mayfly_mesh::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
use serde_json::{Value, json};
use std::time::Duration;
use tonic::Status;

/// The least time between two renewals.
const LEAST_PAUSE: Duration = Duration::from_millis(300);
/// The most: a token that shows who one is ends five minutes after it was last used.
const MOST_PAUSE: Duration = Duration::from_secs(120);

pub async fn run(command: LeaseCommand, ui: Ui) -> Result<()> {
    match command {
        LeaseCommand::Grant { ttl, id, target } => grant(ttl, id.unwrap_or(0), &target, ui).await,
        LeaseCommand::Revoke(lease) => {
            let reached = connect(&lease.target).await?;
            let mut leases = reached.leases();
            let answer = reached.ask(leases.lease_revoke(LeaseRevokeRequest { id: lease.id })).await?;
            let id = words::lease(lease.id);
            let object = json!({ "id": id, "revision": words::revision(answer.header.as_ref()) });
            ui.result(&format!("lease {id} has ended, and the keys that it held are deleted"), &object)
        }
        LeaseCommand::List(target) => list(&target, ui).await,
        LeaseCommand::Show { lease, keys } => {
            let reached = connect(&lease.target).await?;
            let mut leases = reached.leases();
            let request = LeaseTimeToLiveRequest { id: lease.id, keys };
            let answer = reached.ask(leases.lease_time_to_live(request)).await?;
            ui.result(&lease_text(&answer, keys), &lease_json(&answer, keys))
        }
        LeaseCommand::KeepAlive { lease, once: true } => renew_once(lease.id, &lease.target, ui).await,
        LeaseCommand::KeepAlive { lease, .. } => keep_alive(lease.id, &lease.target, ui).await,
    }
}

async fn grant(ttl: i64, id: i64, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let mut leases = reached.leases();
    let answer = reached.ask(leases.lease_grant(LeaseGrantRequest { ttl, id })).await?;
    if !answer.error.is_empty() {
        bail!("{}: {}", reached.address, answer.error);
    }
    let id = words::lease(answer.id);
    let text = format!("lease {id} lives {} s unless it is renewed", answer.ttl);
    ui.result(&text, &json!({ "id": id, "ttl": answer.ttl }))
}

async fn list(target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let mut leases = reached.leases();
    let answer = reached.ask(leases.lease_leases(LeaseLeasesRequest {})).await?;
    let ids: Vec<String> = answer.leases.iter().map(|lease| words::lease(lease.id)).collect();
    words::show(ui, &ids.join("\n"), &json!({ "leases": ids }))
}

fn lease_json(answer: &LeaseTimeToLiveResponse, keys: bool) -> Value {
    let mut object = json!({ "id": words::lease(answer.id), "ttl": answer.ttl, "granted_ttl": answer.granted_ttl });
    if keys {
        object["keys"] = answer.keys.iter().map(|key| words::bytes_json(key)).collect();
    }
    object
}

fn lease_text(answer: &LeaseTimeToLiveResponse, keys: bool) -> String {
    let id = words::lease(answer.id);
    if answer.ttl < 0 {
        return format!("lease {id} has expired, or never was");
    }
    let mut text = format!("lease {id} lives {} s more, of {} s", answer.ttl, answer.granted_ttl);
    if keys {
        text += &format!(", and holds {}", counted(answer.keys.len(), "key"));
        answer.keys.iter().for_each(|key| text += &format!("\n{}", line(key)));
    }
    text
}

async fn renew_once(id: i64, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let ttl = renew(&reached, id).await.map_err(|status| reached.failed(&status))?;
    renewed(id, ttl, ui)
}

/// Goes on at another node when one goes away; a new leader gives leases their whole time again.
async fn keep_alive(id: i64, target: &Target, ui: Ui) -> Result<()> {
    let way = Way::new(target)?;
    let mut reached = connect_by(&way, target).await?;
    let (mut begun, mut away) = (false, false);
    // A renewal that takes longer than until the next one is lost: another node may still be in time.
    let mut most = None;
    loop {
        match renew_within(&reached, id, most).await {
            Ok(ttl) => {
                most = Some(pause(ttl));
                if away {
                    ui.note(format!("renewing again at {}", plain(&reached.address)));
                }
                (begun, away) = (true, false);
                renewed(id, ttl, ui)?;
                tokio::time::sleep(pause(ttl)).await;
            }
            Err(status) if !begun || !is_passing(&status) => return Err(reached.failed(&status)),
            Err(status) => {
                if !away {
                    let (address, reason) = (plain(&reached.address), plain(&said(&status)));
                    ui.note(format!("{address} does not renew it ({reason}): trying on"));
                }
                away = true;
                reached = again(&way, target, &reached.address).await?;
            }
        }
    }
}

async fn renew_within(reached: &Reached, id: i64, most: Option<Duration>) -> Result<i64, Status> {
    let Some(most) = most else { return renew(reached, id).await };
    let renewed = tokio::time::timeout(most, renew(reached, id)).await;
    renewed.unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("no answer within {} ms", most.as_millis()))))
}

/// The seconds that the lease lives from now on; none when it is no more.
pub(super) async fn renew(reached: &Reached, id: i64) -> Result<i64, Status> {
    let mut leases = reached.leases();
    let call = async {
        let asked = stream::iter([LeaseKeepAliveRequest { id }]);
        let mut answers = leases.lease_keep_alive(asked).await?.into_inner();
        answers.message().await?.ok_or_else(|| Status::unavailable("the node ended the stream without an answer"))
    };
    Ok(reached.within(call).await?.ttl)
}

fn renewed(id: i64, ttl: i64, ui: Ui) -> Result<()> {
    let id = words::lease(id);
    if ttl <= 0 {
        bail!("lease {id} has expired or was revoked: `mayfly mesh lease grant` makes a new one");
    }
    ui.result(&format!("lease {id} lives {ttl} s from now"), &json!({ "id": id, "ttl": ttl }))
}

/// A third of the lease's time, so that two renewals may be lost, or less.
pub(super) fn pause(ttl: i64) -> Duration {
    (Duration::from_secs(ttl.max(0).unsigned_abs()) / 3).clamp(LEAST_PAUSE, MOST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewals_come_every_third() {
        assert_eq!(pause(30), Duration::from_secs(10));
        assert_eq!(pause(1), Duration::from_secs(1) / 3);
        assert_eq!(pause(0), LEAST_PAUSE);
        assert_eq!(pause(86_400), MOST_PAUSE);
    }

    #[test]
    fn keys_are_shown_when_asked_for() {
        let answer = LeaseTimeToLiveResponse {
            id: 255,
            ttl: 7,
            granted_ttl: 10,
            keys: vec![b"a".to_vec(), vec![0xff]],
            ..LeaseTimeToLiveResponse::default()
        };
        assert_eq!(lease_text(&answer, false), "lease 00000000000000ff lives 7 s more, of 10 s");
        assert!(lease_text(&answer, true).ends_with("holds 2 keys\na\n0xff"));
        assert_eq!(lease_json(&answer, true)["keys"], json!(["a", { "hex": "ff" }]));
        assert_eq!(lease_json(&answer, false)["keys"], Value::Null);
        assert!(lease_text(&LeaseTimeToLiveResponse { ttl: -1, ..answer }, true).contains("expired"));
    }
}
