//! `v3electionpb.Election`.

use super::contend::{Caller, Contend, first, if_made, prefix};
use super::follow::{Follow, News};
use crate::engine::Engine;
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::{DeleteRangeRequest, PutRequest, ResponseHeader, WatchCreateRequest};
use crate::proto::mvccpb::KeyValue;
use crate::proto::mvccpb::event::EventType;
use crate::proto::v3electionpb::election_server::Election;
use crate::proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ProclaimResponse,
    ResignRequest, ResignResponse,
};
use futures_util::stream::{self, Stream};
use std::pin::Pin;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

const NO_LEADER: &str = "election: no leader";
const NOT_LEADER: &str = "election: not leader";
const NO_KEY: &str = "\"leader\" field must be provided";

#[derive(Clone)]
pub(super) struct ElectionService<E>(pub(super) Contend<E>);

type Told = mpsc::Sender<Result<LeaderResponse, Status>>;

fn put(key: &[u8], value: Vec<u8>, lease: i64) -> Op {
    Op::RequestPut(PutRequest { key: key.to_vec(), value, lease, ..PutRequest::default() })
}

fn delete(key: &[u8]) -> Op {
    Op::RequestDeleteRange(DeleteRangeRequest { key: key.to_vec(), ..DeleteRangeRequest::default() })
}

#[tonic::async_trait]
impl<E: Engine> Election for ElectionService<E> {
    type ObserveStream = Pin<Box<dyn Stream<Item = Result<LeaderResponse, Status>> + Send>>;

    /// The header is that of entering, also after a long wait, as in etcd; but who lost its key meanwhile is told so.
    async fn campaign(&self, request: Request<CampaignRequest>) -> Result<Response<CampaignResponse>, Status> {
        let (caller, CampaignRequest { name, lease, value }) = Caller::of(request);
        let contender = self.0.enter(&caller, &name, lease, &value).await?;
        let (key, rev) = (&contender.key, contender.made);
        if contender.before.as_ref().is_some_and(|before| before.value != value) {
            let renewed = if_made(key, rev, vec![put(key, value, contender.lease)], Vec::new());
            let renewed = self.0.txn(&caller, renewed).await;
            if let Some(refused) =
                renewed.map_or_else(Some, |done| (!done.succeeded).then(|| Status::unknown(NOT_LEADER)))
            {
                // As etcd's clients do: who cannot say what it stands for does not stand.
                let left = self.0.txn(&caller, if_made(key, rev, vec![delete(key)], Vec::new())).await;
                return left.and(Err(refused));
            }
        }
        if !contender.is_first {
            self.0.wait(&caller, &name, &contender, NOT_LEADER).await?;
        }
        let leader = LeaderKey { name, key: contender.key, rev, lease: contender.lease };
        Ok(Response::new(CampaignResponse { header: contender.header, leader: Some(leader) }))
    }

    async fn proclaim(&self, request: Request<ProclaimRequest>) -> Result<Response<ProclaimResponse>, Status> {
        let (caller, ProclaimRequest { leader, value }) = Caller::of(request);
        let leader = leader.ok_or_else(|| Status::unknown(NO_KEY))?;
        let request = if_made(&leader.key, leader.rev, vec![put(&leader.key, value, leader.lease)], Vec::new());
        let done = self.0.txn(&caller, request).await?;
        match done.succeeded {
            true => Ok(Response::new(ProclaimResponse { header: done.header })),
            false => Err(Status::unknown(NOT_LEADER)),
        }
    }

    async fn leader(&self, request: Request<LeaderRequest>) -> Result<Response<LeaderResponse>, Status> {
        let (caller, LeaderRequest { name }) = Caller::of(request);
        let found = self.0.range(&caller, first(&name)).await?;
        let kv = found.kvs.into_iter().next().ok_or_else(|| Status::unknown(NO_LEADER))?;
        Ok(Response::new(LeaderResponse { header: found.header, kv: Some(kv) }))
    }

    async fn observe(&self, request: Request<LeaderRequest>) -> Result<Response<Self::ObserveStream>, Status> {
        let (caller, LeaderRequest { name }) = Caller::of(request);
        let (tell, told) = mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = tell.closed() => {} // the client is gone
                ended = service.tell_leaders(&caller, &name, &tell) => {
                    if let Err(status) = ended {
                        let _ = tell.send(Err(status)).await; // the client may be gone
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) }))))
    }

    /// Who does not lead any more has nothing to give up: that is fine.
    async fn resign(&self, request: Request<ResignRequest>) -> Result<Response<ResignResponse>, Status> {
        let (caller, ResignRequest { leader }) = Caller::of(request);
        let leader = leader.ok_or_else(|| Status::unknown(NO_KEY))?;
        let request = if_made(&leader.key, leader.rev, vec![delete(&leader.key)], Vec::new());
        let done = self.0.txn(&caller, request).await?;
        Ok(Response::new(ResignResponse { header: done.header }))
    }
}

impl<E: Engine> ElectionService<E> {
    /// One leader after the other, and what each proclaims. It ends without an error when history is gone before it was told.
    async fn tell_leaders(&self, caller: &Caller, name: &[u8], tell: &Told) -> Result<(), Status> {
        loop {
            let found = self.0.range(caller, first(name)).await?;
            let revision = found.header.as_ref().map_or(0, |header| header.revision);
            let (header, kv) = match found.kvs.into_iter().next() {
                Some(kv) => (found.header, kv),
                None => match self.next_leader(name, revision + 1).await? {
                    Some(next) => next,
                    None => return Ok(()),
                },
            };
            let from = header.as_ref().map_or(0, |header| header.revision) + 1;
            let key = kv.key.clone();
            let _ = tell.send(Ok(LeaderResponse { header, kv: Some(kv) })).await; // its end is looked for elsewhere
            if !self.tell_one(key, from, tell).await? {
                return Ok(());
            }
        }
    }

    /// The first who comes, where nobody leads. None when history is gone.
    async fn next_leader(&self, name: &[u8], from: i64) -> Result<Option<(Option<ResponseHeader>, KeyValue)>, Status> {
        let (key, range_end) = (prefix(name), first(name).range_end);
        let request = WatchCreateRequest { key, range_end, start_revision: from, ..WatchCreateRequest::default() };
        let mut follow = Follow::new(&self.0.engine, &self.0.hub, request).await?;
        loop {
            let News::Events(header, events) = follow.next().await? else { return Ok(None) };
            let puts = events.into_iter().filter(|event| event.r#type() == EventType::Put);
            if let Some(kv) = puts.filter_map(|event| event.kv).next() {
                let header = header.map(|header| ResponseHeader { revision: kv.mod_revision, ..header });
                return Ok(Some((header, kv)));
            }
        }
    }

    /// What one leader proclaims, until it is none any more. False when history is gone.
    async fn tell_one(&self, key: Vec<u8>, from: i64, tell: &Told) -> Result<bool, Status> {
        let request = WatchCreateRequest { key, start_revision: from, ..WatchCreateRequest::default() };
        let mut follow = Follow::new(&self.0.engine, &self.0.hub, request).await?;
        loop {
            let News::Events(header, events) = follow.next().await? else { return Ok(false) };
            for event in events {
                if event.r#type() == EventType::Delete {
                    return Ok(true);
                }
                let _ = tell.send(Ok(LeaderResponse { header, kv: event.kv })).await; // its end is looked for elsewhere
            }
        }
    }
}
