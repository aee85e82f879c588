//! `etcdserverpb.Watch`.

use super::answer::{fill, has_leader, in_state, needs_leader, status};
use super::who::Who;
use crate::auth::Rights;
use crate::engine::Engine;
use crate::error::MeshError;
use crate::etcd_error::EtcdError;
use crate::kv::Answer;
use crate::proto::etcdserverpb::watch_request::RequestUnion;
use crate::proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse, watch_server};
use crate::upkeep::Condition;
use crate::watch::{Hub, Watching, watched};
use futures_util::stream::{self, Stream};
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::{Request, Response, Status, Streaming};

/// How often watchers without news are told how far they are: etcd's time.
const PROGRESS: Duration = Duration::from_secs(10 * 60);
/// A client with `hasleader` is let go after so long without a leader.
const NO_LEADER: Duration = Duration::from_secs(1);
const NO_LEADER_CHECKS: u32 = 3;
/// Answers that may wait for a client that goes on asking.
const MAX_WAITING: usize = 1_000;

pub(super) struct WatchService<E> {
    pub(super) engine: E,
    pub(super) hub: Arc<Hub>,
    pub(super) condition: Arc<Condition>,
}

#[tonic::async_trait]
impl<E: Engine> watch_server::Watch for WatchService<E> {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let needs_leader = needs_leader(&request);
        if needs_leader && !has_leader(&self.engine) {
            return Err(EtcdError::NoLeader.into());
        }
        // One waits while the client takes the one before: what a slow client has not read stays in history.
        let (responses, told) = mpsc::channel(1);
        let (engine, hub, condition) = (self.engine.clone(), self.hub.clone(), self.condition.clone());
        let (watching, who) = (Watching::new(hub.clone()), Who::of(&request));
        let connection = Connection { watching, engine, hub, condition, who, waiting: VecDeque::new() };
        tokio::spawn(connection.run(request.into_inner(), responses, needs_leader));
        let told = stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) });
        Ok(Response::new(Box::pin(told)))
    }
}

/// One client's stream.
struct Connection<E> {
    watching: Watching,
    engine: E,
    hub: Arc<Hub>,
    condition: Arc<Condition>,
    who: Who,
    /// What the client is to be told.
    waiting: VecDeque<WatchResponse>,
}

type Responses = mpsc::Sender<Result<WatchResponse, Status>>;

impl<E: Engine> Connection<E> {
    async fn run(mut self, asked: Streaming<WatchRequest>, responses: Responses, needs_leader: bool) {
        if let Err(status) = self.serve(asked, &responses, needs_leader).await {
            let _ = responses.send(Err(status)).await; // the client may be gone
        }
    }

    async fn serve(
        &mut self,
        mut asked: Streaming<WatchRequest>,
        responses: &Responses,
        needs_leader: bool,
    ) -> Result<(), Status> {
        let hub = self.hub.clone();
        let (mut ended, mut compactions) = (pin!(hub.ended()), hub.compactions());
        let wake = self.watching.wake();
        let mut progress = interval_at(Instant::now() + PROGRESS, PROGRESS);
        let mut leader = interval_at(Instant::now() + NO_LEADER, NO_LEADER);
        leader.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut without_leader, mut listens) = (0, true);
        loop {
            tokio::select! {
                reason = &mut ended => return Err(status(&reason)),
                () = responses.closed() => return Ok(()), // the client is gone
                request = asked.message(), if listens && self.waiting.len() < MAX_WAITING => match request? {
                    Some(WatchRequest { request_union }) => self.take(request_union).await?,
                    None => listens = false, // a client that asks no more may still listen, as in etcd
                },
                permit = responses.reserve(), if !self.waiting.is_empty() => match (permit, self.waiting.pop_front()) {
                    (Ok(permit), Some(response)) => permit.send(Ok(response)),
                    _ => return Ok(()), // the client is gone
                },
                () = wake.notified(), if self.waiting.is_empty() => self.read().await?,
                Ok(()) = compactions.changed() => self.watching.owe_progress(true),
                _ = progress.tick() => self.watching.owe_progress(false),
                _ = leader.tick() => {
                    if self.condition.differs() {
                        return Err(EtcdError::Corrupt.into());
                    }
                    if !needs_leader {
                        continue;
                    }
                    without_leader = if has_leader(&self.engine) { 0 } else { without_leader + 1 };
                    if without_leader == NO_LEADER_CHECKS {
                        return Err(EtcdError::NoLeader.into());
                    }
                }
            }
        }
    }

    /// What the client asks.
    async fn take(&mut self, request: Option<RequestUnion>) -> Result<(), Status> {
        // What this client knows to be written lies before what it asks now.
        let (hub, engine) = (self.hub.clone(), self.engine.clone());
        blocking(move || hub.advance(engine.store())).await?;
        match request {
            Some(RequestUnion::CreateRequest(request)) => {
                let response = match self.permitted(&request).await? {
                    Ok(()) => self.watching.create(&request),
                    Err(error) => self.watching.refuse(&error.in_words_of_go()),
                };
                self.tell(response);
            }
            Some(RequestUnion::CancelRequest(request)) => {
                if let Some(response) = self.watching.cancel(request.watch_id) {
                    self.tell(response);
                }
            }
            Some(RequestUnion::ProgressRequest(_)) => self.watching.ask_progress(),
            None => {}
        }
        Ok(())
    }

    /// May these keys be watched? Asked when a watcher begins, and not again, as in etcd.
    async fn permitted(&self, request: &WatchCreateRequest) -> Result<Answer<()>, Status> {
        let (who, keys) = (self.who.clone(), watched(request));
        let may = move |rights: Rights| rights.may_read(&keys.key, &keys.range_end);
        in_state(&self.engine, move |transaction| Ok(who.rights(transaction)?.and_then(may))).await
    }

    /// What is new for the client's watchers.
    async fn read(&mut self) -> Result<(), Status> {
        let mut watching = std::mem::replace(&mut self.watching, Watching::new(self.hub.clone()));
        let engine = self.engine.clone();
        let (watching, responses) = blocking(move || {
            let responses = watching.read(engine.store())?;
            Ok((watching, responses))
        })
        .await?;
        self.watching = watching;
        responses.into_iter().for_each(|response| self.tell(response));
        Ok(())
    }

    fn tell(&mut self, response: WatchResponse) {
        let header = fill(&self.engine, response.header);
        self.waiting.push_back(WatchResponse { header, ..response });
    }
}

/// On a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, MeshError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|_| Status::from(EtcdError::Stopped))?.map_err(|e| status(&e))
}
