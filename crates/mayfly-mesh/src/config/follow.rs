//! The task that keeps settings equal to the mesh.

use super::error::{MeshConfigError, MeshConfigResult};
use super::tail::Tail;
use crate::engine::Engine;
use mayfly_config::{Feed, Revision};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// How far the mesh is followed, or why it is not any more.
pub(super) type Followed = Result<Revision, MeshConfigError>;

/// Loads the state.
pub(super) async fn start<E: Engine>(engine: E, prefix: Arc<str>, feed: Feed) -> MeshConfigResult<Tail> {
    let start = move || Tail::start(engine.store(), prefix, feed);
    tokio::task::spawn_blocking(start).await.map_err(MeshConfigError::stopped)?
}

/// Follows until it is told to end, or cannot go on.
pub(super) async fn run<E: Engine>(
    engine: E,
    tail: Tail,
    told: watch::Sender<Followed>,
    is_ending: oneshot::Receiver<()>,
) {
    let ended = tokio::select! {
        ended = follow(&engine, tail, &told) => ended,
        reason = engine.ended() => MeshConfigError::Ended { reason: reason.to_string() },
        _ = is_ending => return,
    };
    tracing::warn!(reason = %ended, "settings do not follow the mesh any more");
    told.send_modify(|followed| *followed = Err(ended));
}

async fn follow<E: Engine>(engine: &E, mut tail: Tail, told: &watch::Sender<Followed>) -> MeshConfigError {
    let mut commits = engine.store().commits(); // before the first look, so that nothing falls between
    loop {
        let engine = engine.clone();
        // On a thread that may wait for the disk. What fails ends the following.
        let turn = move || tail.catch_up(engine.store()).map(|is_all| (tail, is_all));
        let turned = tokio::task::spawn_blocking(turn).await.map_err(MeshConfigError::stopped);
        let is_all;
        (tail, is_all) = match turned.and_then(|turned| turned) {
            Ok(turned) => turned,
            Err(error) => return error,
        };
        told.send_modify(|followed| *followed = Ok(tail.revision()));
        if is_all && commits.changed().await.is_err() {
            return MeshConfigError::Ended { reason: "the node has ended".into() };
        }
    }
}
