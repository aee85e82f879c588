//! `etcdserverpb.KV`.

use super::answer::{fill, propose_within, read, read_as, status};
use super::who::Who;
use crate::engine::Engine;
use crate::etcd_error::EtcdError;
use crate::kv;
use crate::proto::etcdserverpb::kv_server;
use crate::proto::etcdserverpb::request_op;
use crate::proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};
use crate::proto::meshpb::command::Request as Command;
use crate::proto::meshpb::outcome::Response as Outcome;
use crate::upkeep::Condition;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub(super) struct KvService<E> {
    pub(super) engine: E,
    pub(super) condition: Arc<Condition>,
}

/// How often it is looked whether what was compacted is removed, for those who wait for that.
const LOOK: Duration = Duration::from_millis(20);

impl<E: Engine> KvService<E> {
    async fn propose(&self, who: &Who, request: Command) -> Result<Outcome, Status> {
        propose_within(&self.engine, &self.condition, who, request).await
    }
}

/// An outcome of another kind than its request: the module does not do that.
fn mismatch() -> Status {
    EtcdError::Corrupt.into()
}

#[tonic::async_trait]
impl<E: Engine> kv_server::Kv for KvService<E> {
    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let (who, request) = (Who::of(&request), request.into_inner());
        kv::check_range(&request)?;
        if !request.serializable {
            self.engine.read_barrier().await.map_err(|e| status(&e))?;
        }
        let range = read_as(&self.engine, who, move |transaction, rights| {
            match rights.may_read(&request.key, &request.range_end) {
                Ok(()) => kv::range(transaction, &request),
                Err(error) => Ok(Err(error)),
            }
        });
        let mut response = range.await?;
        response.header = fill(&self.engine, response.header);
        Ok(Response::new(response))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let who = Who::of(&request);
        match self.propose(&who, Command::Put(request.into_inner())).await? {
            Outcome::Put(mut response) => {
                response.header = fill(&self.engine, response.header);
                Ok(Response::new(response))
            }
            _ => Err(mismatch()),
        }
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let who = Who::of(&request);
        match self.propose(&who, Command::DeleteRange(request.into_inner())).await? {
            Outcome::DeleteRange(mut response) => {
                response.header = fill(&self.engine, response.header);
                Ok(Response::new(response))
            }
            _ => Err(mismatch()),
        }
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let (who, request) = (Who::of(&request), request.into_inner());
        let mut response = if kv::is_read_only(&request) {
            kv::check_txn(&request)?;
            if !is_serializable(&request) {
                self.engine.read_barrier().await.map_err(|e| status(&e))?;
            }
            let read =
                read_as(&self.engine, who, move |transaction, rights| match kv::permit_read_txn(rights, &request) {
                    Ok(()) => kv::read_txn(transaction, &request),
                    Err(error) => Ok(Err(error)),
                });
            read.await?
        } else {
            match self.propose(&who, Command::Txn(request)).await? {
                Outcome::Txn(response) => response,
                _ => return Err(mismatch()),
            }
        };
        response.header = fill(&self.engine, response.header);
        Ok(Response::new(response))
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        let (who, request) = (Who::of(&request), request.into_inner());
        match self.propose(&who, Command::Compaction(request)).await? {
            Outcome::Compaction(mut response) => {
                while request.physical && !read(&self.engine, |state| kv::is_removed(state).map(Ok)).await? {
                    tokio::time::sleep(LOOK).await;
                }
                response.header = fill(&self.engine, response.header);
                Ok(Response::new(response))
            }
            _ => Err(mismatch()),
        }
    }
}

/// Do all reads of it content themselves with this member's state?
fn is_serializable(request: &TxnRequest) -> bool {
    let mut ops = request.success.iter().chain(&request.failure);
    ops.all(|op| matches!(&op.request, Some(request_op::Request::RequestRange(range)) if range.serializable))
}
