//! `etcdserverpb.Lease`.

use super::answer::{fill, has_leader, header, needs_leader, propose_within, read_as, status};
use super::who::Who;
use crate::engine::Engine;
use crate::etcd_error::EtcdError;
use crate::kv;
use crate::lease::LeaseAsk;
use crate::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse, lease_server,
};
use crate::proto::meshpb::command::Request as Command;
use crate::proto::meshpb::outcome::Response as Outcome;
use crate::upkeep::Condition;
use crate::watch::Hub;
use futures_util::stream::{self, Stream};
use std::pin::Pin;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

#[derive(Clone)]
pub(super) struct LeaseService<E> {
    pub(super) engine: E,
    pub(super) hub: Arc<Hub>,
    pub(super) condition: Arc<Condition>,
}

/// An id that nobody has chosen: positive, as clients print it.
fn random_id() -> Result<i64, Status> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| Status::internal(format!("the system gives no random numbers: {e}")))?;
    Ok((i64::from_be_bytes(bytes) & i64::MAX).max(1))
}

#[tonic::async_trait]
impl<E: Engine> lease_server::Lease for LeaseService<E> {
    type LeaseKeepAliveStream = Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_grant(&self, request: Request<LeaseGrantRequest>) -> Result<Response<LeaseGrantResponse>, Status> {
        let (who, mut request) = (Who::of(&request), request.into_inner());
        if request.id == 0 {
            request.id = random_id()?;
        }
        match propose_within(&self.engine, &self.condition, &who, Command::Grant(request)).await? {
            Outcome::Grant(mut response) => {
                response.header = fill(&self.engine, response.header);
                Ok(Response::new(response))
            }
            _ => Err(EtcdError::Corrupt.into()),
        }
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let who = Who::of(&request);
        match propose_within(&self.engine, &self.condition, &who, Command::Revoke(request.into_inner())).await? {
            Outcome::Revoke(mut response) => {
                response.header = fill(&self.engine, response.header);
                Ok(Response::new(response))
            }
            _ => Err(EtcdError::Corrupt.into()),
        }
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        if needs_leader(&request) && !has_leader(&self.engine) {
            return Err(EtcdError::NoLeader.into());
        }
        let (engine, hub, who) = (self.engine.clone(), self.hub.clone(), Who::of(&request));
        let answers = stream::try_unfold(request.into_inner(), move |mut asked| {
            let (engine, hub, who) = (engine.clone(), hub.clone(), who.clone());
            async move {
                let request = tokio::select! {
                    reason = hub.ended() => return Err(status(&reason)),
                    request = asked.message() => request?,
                };
                let Some(LeaseKeepAliveRequest { id }) = request else { return Ok(None) };
                Ok(Some((keep_alive(&engine, who, id).await?, asked)))
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let (who, LeaseTimeToLiveRequest { id, keys }) = (Who::of(&request), request.into_inner());
        let time = self.engine.lease(LeaseAsk::TimeToLive(id)).await.map_err(|e| status(&e))?;
        let found = read_as(&self.engine, who, move |transaction, rights| {
            let permitted = if keys { kv::may_look(transaction, rights, Some(id))? } else { rights.is_user() };
            let attached = if keys { kv::attached(transaction, id)? } else { Vec::new() };
            Ok(permitted.and(Ok(attached)))
        });
        let attached = found.await?;
        let mut response = LeaseTimeToLiveResponse { id, ttl: -1, ..LeaseTimeToLiveResponse::default() };
        if let Some(time) = time {
            (response.ttl, response.granted_ttl) = (time.remaining_s, time.granted_s);
            response.keys = attached;
        }
        response.header = header(&self.engine).await?;
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let found = read_as(&self.engine, Who::of(&request), |transaction, rights| {
            Ok(kv::may_look(transaction, rights, None)?.and(Ok(kv::leases(transaction)?)))
        });
        let leases = found.await?;
        let leases = leases.into_iter().map(|lease| LeaseStatus { id: lease.id }).collect();
        Ok(Response::new(LeaseLeasesResponse { header: header(&self.engine).await?, leases }))
    }
}

/// The revision is from before, so that a client that sees it knows its lease to have been alive then.
async fn keep_alive<E: Engine>(engine: &E, who: Who, id: i64) -> Result<LeaseKeepAliveResponse, Status> {
    read_as(engine, who, move |transaction, rights| kv::may_keep(transaction, rights, id)).await?;
    let header = header(engine).await?;
    let time = engine.lease(LeaseAsk::Renew(id)).await.map_err(|e| status(&e))?;
    Ok(LeaseKeepAliveResponse { header, id, ttl: time.map_or(0, |time| time.granted_s) })
}
