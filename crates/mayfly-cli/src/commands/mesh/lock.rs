//! `mayfly mesh lock` and `mayfly mesh elect`: what one holds at a time, by a lease that is renewed while it is held.

use super::args::{ElectArgs, LockArgs};
use super::connect::{Reached, connect};
use super::lease::{pause, renew};
use super::words;
use crate::support::exit::Ended;
use crate::support::ui::Ui;
use anyhow::{Context, Error, Result, anyhow, bail};
use mayfly_mesh::proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, RangeRequest};
use mayfly_mesh::proto::v3electionpb::{CampaignRequest, LeaderRequest, ResignRequest};
use mayfly_mesh::proto::v3lockpb::LockRequest;
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Exit codes of what was told to end.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;
/// What a command that a terminal has interrupted may still do.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What is held: its key, and the revision in which that was made. A later holder has a higher one: what is written is to be guarded by it.
struct Held {
    key: Vec<u8>,
    token: i64,
}

pub async fn lock(args: &LockArgs, ui: Ui) -> Result<()> {
    let reached = connect(&args.target).await?;
    let lease = grant(&reached, args.ttl).await?;
    let done = hold(&reached, args, lease, ui).await;
    give_up(&reached, lease).await;
    done
}

/// Waits for the lock, and does what it is for.
async fn hold(reached: &Reached, args: &LockArgs, lease: i64, ui: Ui) -> Result<()> {
    let mut lost = pin!(keep(reached, lease, args.ttl));
    let held = tokio::select! {
        held = take(reached, &args.name, lease) => held?,
        error = &mut lost => return Err(error),
        stopped = stopped() => return Err(stopped?.into()),
    };
    if let Some((program, rest)) = args.command.split_first() {
        return run(program, rest, &held, lease, lost).await;
    }
    let key = words::line(&held.key);
    let object = json!({ "key": key, "token": held.token, "lease": words::lease(lease) });
    ui.result(&format!("{key} holds the lock, with the token {}", held.token), &object)?;
    tokio::select! {
        error = lost => Err(error),
        stopped = stopped() => Err(stopped?.into()),
    }
}

async fn take(reached: &Reached, name: &OsStr, lease: i64) -> Result<Held> {
    let name = name.as_encoded_bytes().to_vec();
    let asked = reached.locks().lock(LockRequest { name, lease }).await; // it waits for as long as others have it
    look(reached, asked.map_err(|status| reached.failed(&status))?.into_inner().key).await
}

/// The key that holds it, with its token.
async fn look(reached: &Reached, key: Vec<u8>) -> Result<Held> {
    let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
    let found = reached.ask(reached.kv().range(range)).await?;
    match found.kvs.first() {
        Some(kv) => Ok(Held { key, token: kv.create_revision }),
        None => bail!("the lock was lost right after it was taken: the lease has ended"),
    }
}

/// Runs a command while the lock is held. It is over before the lock is given up: when that is lost, or this is told to end, it is killed.
async fn run(
    program: &OsStr,
    arguments: &[OsString],
    held: &Held,
    lease: i64,
    lost: impl Future<Output = Error>,
) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments);
    command.env("MAYFLY_LOCK_KEY", words::line(&held.key)).env("MAYFLY_LOCK_TOKEN", held.token.to_string());
    command.env("MAYFLY_LOCK_LEASE", words::lease(lease));
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let why = tokio::select! {
        status = child.wait() => return ended(status?),
        error = lost => error,
        stopped = stopped() => {
            let stopped = stopped?;
            // A terminal has told both.
            let late = stopped.code != INTERRUPTED || tokio::time::timeout(LAST_WORDS, child.wait()).await.is_err();
            if !late {
                return Err(stopped.into());
            }
            stopped.into()
        }
    };
    child.kill().await.with_context(|| format!("cannot end {}", program.display()))?;
    Err(why)
}

/// A command that failed gives its exit code on.
fn ended(status: ExitStatus) -> Result<()> {
    use std::os::unix::process::ExitStatusExt;
    if status.success() {
        return Ok(());
    }
    let signalled = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signalled).and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Ended { code, how: "the command has failed" }.into())
}

pub async fn elect(args: &ElectArgs, ui: Ui) -> Result<()> {
    let reached = connect(&args.target).await?;
    let name = args.name.as_encoded_bytes().to_vec();
    let Some(value) = &args.value else { return observe(&reached, name, ui).await };
    let lease = grant(&reached, args.ttl).await?;
    let value = value.as_encoded_bytes().to_vec();
    let leads = async {
        let asked = reached.elections().campaign(CampaignRequest { name, lease, value }).await; // it waits for its turn
        let told = asked.map_err(|status| reached.failed(&status))?.into_inner();
        let leader = told.leader.ok_or_else(|| anyhow!("{} does not say by which key it leads", reached.address))?;
        let key = words::line(&leader.key);
        let object = json!({ "key": key, "token": leader.rev, "lease": words::lease(lease) });
        ui.result(&format!("{key} leads, with the token {}", leader.rev), &object)?;
        let stopped = stopped().await?;
        reached.ask(reached.elections().resign(ResignRequest { leader: Some(leader) })).await?;
        Err(stopped.into())
    };
    let done = tokio::select! {
        done = leads => done,
        error = keep(&reached, lease, args.ttl) => Err(error),
    };
    give_up(&reached, lease).await;
    done
}

/// Prints who leads, and what they proclaim, until interrupted.
async fn observe(reached: &Reached, name: Vec<u8>, ui: Ui) -> Result<()> {
    let asked = reached.elections().observe(LeaderRequest { name }).await;
    let mut leaders = asked.map_err(|status| reached.failed(&status))?.into_inner();
    while let Some(told) = leaders.message().await.map_err(|status| reached.failed(&status))? {
        let Some(kv) = told.kv else { continue };
        let text = format!("{}  {}", words::line(&kv.key), words::line(&kv.value));
        ui.result(&text, &words::kv_json(&kv))?;
    }
    bail!("{}: history was compacted before it was told: observe again", reached.address)
}

async fn grant(reached: &Reached, ttl: i64) -> Result<i64> {
    Ok(reached.ask(reached.leases().lease_grant(LeaseGrantRequest { ttl, id: 0 })).await?.id)
}

/// Renews the lease for as long as it lives; gives why it does not any more.
async fn keep(reached: &Reached, lease: i64, ttl: i64) -> Error {
    let whole = Duration::from_secs(ttl.unsigned_abs());
    let mut renewed = Instant::now();
    while renewed.elapsed() < whole {
        tokio::time::sleep(pause(ttl)).await;
        let asked = Instant::now();
        match tokio::time::timeout(whole.saturating_sub(renewed.elapsed()), renew(reached, lease)).await {
            Ok(Ok(left)) if left > 0 => renewed = asked,
            Ok(Ok(_)) => break,
            Ok(Err(_)) | Err(_) => {} // the node may be back in time
        }
    }
    anyhow!("the lease {} has ended, and with it what was held", words::lease(lease))
}

/// Whoever comes next need not wait until the lease is over.
async fn give_up(reached: &Reached, lease: i64) {
    let revoked = reached.ask(reached.leases().lease_revoke(LeaseRevokeRequest { id: lease })).await;
    drop(revoked); // otherwise it ends by itself
}

/// Until somebody wants this to end.
async fn stopped() -> Result<Ended> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let code = tokio::select! {
        _ = interrupt.recv() => INTERRUPTED,
        _ = terminate.recv() => TERMINATED,
    };
    Ok(Ended { code, how: "it was told to end, and has given up what it held" })
}

#[cfg(test)]
mod tests {
    use super::ended;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn exit_codes_go_on() {
        assert!(ended(ExitStatus::from_raw(0)).is_ok());
        let code = |raw| ended(ExitStatus::from_raw(raw)).expect_err("it failed").to_string();
        assert!(code(3 << 8).contains('3'));
        assert!(code(9).contains("137"), "killed");
    }
}
