//! `etcdserverpb.Maintenance`: where the node stands.

use super::answer::{header, status};
use crate::engine::Engine;
use crate::proto::etcdserverpb::maintenance_server::Maintenance;
use crate::proto::etcdserverpb::{StatusRequest, StatusResponse};
use tonic::{Request, Response, Status};

/// The version of etcd whose API is covered: clients read it to know what they may ask for.
pub const ETCD_LEVEL: &str = "3.5.0";

pub(super) struct MaintenanceService<E> {
    pub(super) engine: E,
}

#[tonic::async_trait]
impl<E: Engine> Maintenance for MaintenanceService<E> {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let header = header(&self.engine).await?;
        let standing = self.engine.standing().map_err(|e| status(&e))?;
        let bytes = i64::try_from(self.engine.store().bytes()).unwrap_or(i64::MAX);
        Ok(Response::new(StatusResponse {
            header,
            version: ETCD_LEVEL.into(),
            db_size: bytes,
            leader: standing.leader.unwrap_or_default(),
            raft_index: standing.committed,
            raft_term: self.engine.term(),
            raft_applied_index: standing.applied.index,
            errors: Vec::new(),
            db_size_in_use: bytes,
            is_learner: false,
        }))
    }
}
