//! `etcdserverpb.Maintenance`: where the node stands.

use super::answer::{header, status};
use crate::engine::Engine;
use crate::etcd_error::EtcdError;
use crate::proto::etcdserverpb::maintenance_server::Maintenance;
use crate::proto::etcdserverpb::{MoveLeaderRequest, MoveLeaderResponse, StatusRequest, StatusResponse};
use tonic::{Request, Response, Status};

/// The version of etcd whose API is covered: clients read it to know what they may ask for.
pub const ETCD_LEVEL: &str = "3.5.0";

pub(super) struct MaintenanceService<E> {
    pub(super) engine: E,
}

impl<E: Engine> MaintenanceService<E> {
    fn is_learner(&self) -> bool {
        let own = self.engine.store().owner().member;
        self.engine.members().iter().any(|member| member.id == own && !member.is_voter)
    }
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
            errors: standing.leader.map_or_else(|| vec![EtcdError::NoLeader.text().into()], |_| Vec::new()),
            db_size_in_use: bytes,
            is_learner: self.is_learner(),
        }))
    }

    /// Only the leader is asked; its answer has no header, as in etcd.
    async fn move_leader(&self, request: Request<MoveLeaderRequest>) -> Result<Response<MoveLeaderResponse>, Status> {
        let target = request.into_inner().target_id;
        self.engine.hand_over(target).await.map_err(|e| status(&e))??;
        Ok(Response::new(MoveLeaderResponse::default()))
    }
}
