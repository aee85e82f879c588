//! A watcher of the node's own, for services that wait for a key.

use super::answer::{fill, status};
use super::watch::blocking;
use crate::engine::Engine;
use crate::proto::etcdserverpb::{ResponseHeader, WatchCreateRequest};
use crate::proto::mvccpb::Event;
use crate::watch::{Hub, Watching};
use std::sync::Arc;
use tonic::Status;

pub(super) struct Follow<E> {
    engine: E,
    hub: Arc<Hub>,
    watching: Watching,
}

/// What happened to the keys that are followed.
pub(super) enum News {
    Events(Option<ResponseHeader>, Vec<Event>),
    /// History is gone that was not told yet.
    Compacted,
}

impl<E: Engine> Follow<E> {
    /// Follows what happens to keys from a revision on.
    pub(super) async fn new(engine: &E, hub: &Arc<Hub>, request: WatchCreateRequest) -> Result<Self, Status> {
        let (asked, advanced) = (engine.clone(), hub.clone());
        blocking(move || advanced.advance(asked.store())).await?;
        let mut watching = Watching::new(hub.clone());
        watching.create(&request);
        Ok(Self { engine: engine.clone(), hub: hub.clone(), watching })
    }

    pub(super) async fn next(&mut self) -> Result<News, Status> {
        let (hub, wake) = (self.hub.clone(), self.watching.wake());
        loop {
            tokio::select! {
                reason = hub.ended() => return Err(status(&reason)),
                () = wake.notified() => {}
            }
            let mut watching = std::mem::replace(&mut self.watching, Watching::new(hub.clone()));
            let engine = self.engine.clone();
            let (watching, responses) = blocking(move || {
                let responses = watching.read(engine.store())?;
                Ok((watching, responses))
            })
            .await?;
            self.watching = watching;
            for response in responses {
                if response.canceled {
                    return Ok(News::Compacted);
                }
                if !response.events.is_empty() {
                    return Ok(News::Events(fill(&self.engine, response.header), response.events));
                }
            }
        }
    }
}
