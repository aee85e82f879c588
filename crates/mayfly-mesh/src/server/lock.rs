//! `v3lockpb.Lock`. Who was paused for longer than its lease lives does not know that it has lost the lock: writes are guarded by the revision of its key.

use super::contend::{Caller, Contend, raw};
use crate::engine::Engine;
use crate::proto::etcdserverpb::DeleteRangeRequest;
use crate::proto::etcdserverpb::kv_server::Kv;
use crate::proto::v3lockpb::lock_server::Lock;
use crate::proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use tonic::{Request, Response, Status};

const EXPIRED: &str = "mutex: session is expired";

pub(super) struct LockService<E>(pub(super) Contend<E>);

#[tonic::async_trait]
impl<E: Engine> Lock for LockService<E> {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let (caller, LockRequest { name, lease }) = Caller::of(request);
        let contender = self.0.enter(&caller, &name, lease, b"").await?;
        let header = match contender.is_first {
            true => contender.header,
            false => self.0.wait(&caller, &name, &contender, EXPIRED).await?,
        };
        Ok(Response::new(LockResponse { header, key: contender.key }))
    }

    /// Whose the key is, is not asked, as in etcd.
    async fn unlock(&self, request: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        let (caller, UnlockRequest { key }) = Caller::of(request);
        let delete = DeleteRangeRequest { key, ..DeleteRangeRequest::default() };
        let deleted = self.0.kv.delete_range(caller.request(delete)).await.map_err(raw)?;
        Ok(Response::new(UnlockResponse { header: deleted.into_inner().header }))
    }
}
