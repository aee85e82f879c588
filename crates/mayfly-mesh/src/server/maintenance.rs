//! `etcdserverpb.Maintenance`: where the node stands, and what keeps it going.

use super::answer::{fill, header, propose, read, status};
use super::snapshot;
use super::who::Who;
use crate::engine::Engine;
use crate::error::MeshError;
use crate::etcd_error::EtcdError;
use crate::kv;
use crate::proto::etcdserverpb::alarm_request::AlarmAction;
use crate::proto::etcdserverpb::maintenance_server::Maintenance;
use crate::proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse, HashKvRequest,
    HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse, ResponseHeader, SnapshotRequest,
    SnapshotResponse, StatusRequest, StatusResponse,
};
use crate::proto::meshpb::command::Request as Command;
use crate::proto::meshpb::outcome::Response as Outcome;
use futures_util::Stream;
use mayfly_wire::Identity;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// The version of etcd whose API is covered: clients read it to know what they may ask for.
pub const ETCD_LEVEL: &str = "3.5.0";
/// Snapshots that are sent at once: each keeps the pages of a state.
const MAX_SNAPSHOTS: usize = 2;

pub(super) struct MaintenanceService<E> {
    engine: E,
    snapshots: Arc<Semaphore>,
    /// In whose name snapshots are given.
    signer: Option<Identity>,
}

impl<E: Engine> MaintenanceService<E> {
    pub(super) fn new(engine: E, signer: Option<Identity>) -> Self {
        Self { engine, snapshots: Arc::new(Semaphore::new(MAX_SNAPSHOTS)), signer }
    }

    fn is_learner(&self) -> bool {
        let own = self.engine.store().owner().member;
        self.engine.members().iter().any(|member| member.id == own && !member.is_voter)
    }

    /// On a thread that may wait for the disk; errors are told raw, as etcd's services of the disk do.
    async fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce(&E) -> Result<T, MeshError> + Send + 'static,
    ) -> Result<T, Status> {
        let engine = self.engine.clone();
        let done = tokio::task::spawn_blocking(move || act(&engine)).await;
        done.map_err(|_| Status::from(EtcdError::Stopped))?.map_err(|e| Status::unknown(e.to_string()))
    }
}

/// As clients print it: fields that are 0 are left out, and each ends with a space.
fn alarm_text(alarm: &AlarmMember) -> String {
    let member = match alarm.member_id {
        0 => String::new(),
        id => format!("memberID:{id} "),
    };
    format!("{member}alarm:{} ", alarm.alarm().as_str_name())
}

/// The first bytes of a hash, which is all that the API has room for.
fn short(hash: &[u8; 32]) -> u32 {
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

#[tonic::async_trait]
impl<E: Engine> Maintenance for MaintenanceService<E> {
    type SnapshotStream = Pin<Box<dyn Stream<Item = Result<SnapshotResponse, Status>> + Send>>;

    /// What is only read is no entry here, as it is in etcd; but a member asks the others first.
    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        let (who, request) = (Who::of(&request), request.into_inner());
        let kind = AlarmType::try_from(request.alarm);
        let (Ok(action), Ok(kind)) = (AlarmAction::try_from(request.action), kind) else {
            return Err(Status::invalid_argument("this action or kind of alarm is not known"));
        };
        let mut response = if action == AlarmAction::Get {
            self.engine.read_barrier().await.map_err(|e| status(&e))?;
            let mut alarms = read(&self.engine, |state| kv::alarms(state).map(Ok)).await?;
            alarms.retain(|alarm| kind == AlarmType::None || alarm.alarm() == kind);
            AlarmResponse { header: header(&self.engine).await?, alarms }
        } else {
            match propose(&self.engine, &who, Command::Alarm(request)).await? {
                Outcome::Alarm(response) => response,
                _ => return Err(EtcdError::Corrupt.into()),
            }
        };
        response.header = fill(&self.engine, response.header);
        Ok(Response::new(response))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let standing = self.engine.standing().map_err(|e| status(&e))?;
        let (header, alarms, used) = read(&self.engine, |state| {
            let revision = kv::revision(state)?;
            let header = Some(ResponseHeader { revision, ..ResponseHeader::default() });
            Ok(Ok((header, kv::alarms(state)?, kv::used(state)?)))
        })
        .await?;
        let no_leader = standing.leader.is_none().then(|| EtcdError::NoLeader.text().to_string());
        let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok(Response::new(StatusResponse {
            header: fill(&self.engine, header),
            version: ETCD_LEVEL.into(),
            db_size: bytes(self.engine.store().bytes()),
            leader: standing.leader.unwrap_or_default(),
            raft_index: standing.committed,
            raft_term: self.engine.term(),
            raft_applied_index: standing.applied.index,
            errors: no_leader.into_iter().chain(alarms.iter().map(alarm_text)).collect(),
            db_size_in_use: bytes(used),
            is_learner: self.is_learner(),
        }))
    }

    /// Its answer has no header, as in etcd.
    async fn defragment(&self, _: Request<DefragmentRequest>) -> Result<Response<DefragmentResponse>, Status> {
        self.aside(|engine| engine.store().defragment()).await?;
        Ok(Response::new(DefragmentResponse::default()))
    }

    /// Of the whole state, as it stands here.
    async fn hash(&self, _: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        let hash = self.aside(|engine| engine.store().hash_of_all()).await?;
        Ok(Response::new(HashResponse { header: header(&self.engine).await?, hash: short(&hash) }))
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        let asked = request.into_inner().revision;
        let kv::KvHash { hash, revision, compacted } = read(&self.engine, move |state| kv::hash(state, asked)).await?;
        let header = fill(&self.engine, Some(ResponseHeader { revision, ..ResponseHeader::default() }));
        Ok(Response::new(HashKvResponse { header, hash: short(&hash), compact_revision: compacted }))
    }

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        let place = self.snapshots.clone().try_acquire_owned();
        let place = place.map_err(|_| Status::from(EtcdError::TooManyRequests))?;
        Ok(Response::new(Box::pin(snapshot::stream(self.engine.clone(), self.signer.clone(), place))))
    }

    /// Only the leader is asked; its answer has no header, as in etcd.
    async fn move_leader(&self, request: Request<MoveLeaderRequest>) -> Result<Response<MoveLeaderResponse>, Status> {
        let target = request.into_inner().target_id;
        self.engine.hand_over(target).await.map_err(|e| status(&e))??;
        Ok(Response::new(MoveLeaderResponse::default()))
    }
}
