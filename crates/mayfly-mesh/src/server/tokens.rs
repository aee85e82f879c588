//! The time of tokens. Members agree on it: it is counted in entries, which nobody's clock is in. Whoever leads says when a tenth of a life is over, and each
//! member which tokens were used with it.

use super::answer::{in_state, propose_auth};
use super::used::Used;
use crate::auth::{self, Look, TICKS};
use crate::engine::Engine;
use crate::proto::meshpb::auth_command::Request;
use crate::proto::meshpb::{Tick, UsedTokens};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Status;

/// For as long as it is let.
pub(super) async fn keep<E: Engine>(engine: &E, used: &Arc<Used>, life: Duration) -> Infallible {
    let part = life / u32::try_from(TICKS).unwrap_or(u32::MAX);
    let mut parts = interval(part.max(Duration::from_millis(1)));
    parts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        parts.tick().await;
        let seen = used.take();
        if let Err(status) = say(engine, &seen).await {
            seen.into_iter().for_each(|index| used.note(index));
            tracing::debug!(%status, "what was used will be said again");
        }
    }
}

async fn say<E: Engine>(engine: &E, seen: &[u64]) -> Result<(), Status> {
    if !seen.is_empty() {
        propose_auth(engine, Request::UsedTokens(UsedTokens { token: seen.to_vec() }), None).await??;
    }
    let own = engine.store().owner().member;
    if engine.standing().is_ok_and(|standing| standing.leader == Some(own)) {
        let counted =
            in_state(engine, |transaction| Ok(auth::has_tokens(transaction)?.then_some(transaction.state()?.tick)));
        if let Some(from) = counted.await? {
            propose_auth(engine, Request::Tick(Tick { from }), None).await??;
        }
    }
    Ok(())
}
