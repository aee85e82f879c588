//! `etcdserverpb.Cluster`. Its headers have no revision, as etcd's.

use super::answer::{fill, status};
use crate::engine::{self, Engine, MemberChange};
use crate::proto::etcdserverpb::cluster_server::Cluster;
use crate::proto::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest, MemberUpdateResponse,
};
use tonic::{Request, Response, Status};

pub(super) struct ClusterService<E> {
    pub(super) engine: E,
    pub(super) name: String,
    pub(super) url: String,
}

impl<E: Engine> ClusterService<E> {
    /// By id. What this member serves, it knows best itself.
    fn members(&self) -> Vec<Member> {
        let own = self.engine.store().owner().member;
        let member = |member: engine::Member| {
            let mut shown = Member {
                id: member.id,
                name: member.name,
                peer_ur_ls: member.peers,
                client_ur_ls: member.clients,
                is_learner: !member.is_voter,
            };
            if shown.id == own && shown.client_ur_ls.is_empty() {
                shown.name.clone_from(&self.name);
                shown.client_ur_ls = vec![self.url.clone()];
            }
            shown
        };
        self.engine.members().into_iter().map(member).collect()
    }

    async fn change(&self, change: MemberChange) -> Result<u64, Status> {
        Ok(self.engine.change_members(change).await.map_err(|e| status(&e))??)
    }
}

#[tonic::async_trait]
impl<E: Engine> Cluster for ClusterService<E> {
    async fn member_list(&self, request: Request<MemberListRequest>) -> Result<Response<MemberListResponse>, Status> {
        if request.into_inner().linearizable {
            self.engine.read_barrier().await.map_err(|e| status(&e))?;
        }
        Ok(Response::new(MemberListResponse { header: fill(&self.engine, None), members: self.members() }))
    }

    /// A new member is a learner at first, also where a voter was asked for: it gets its vote when it has what the others have.
    async fn member_add(&self, request: Request<MemberAddRequest>) -> Result<Response<MemberAddResponse>, Status> {
        let MemberAddRequest { peer_ur_ls, is_learner } = request.into_inner();
        let id = self.change(MemberChange::Add { peers: peer_ur_ls, wants_vote: !is_learner }).await?;
        let members = self.members();
        let member = members.iter().find(|member| member.id == id).cloned();
        Ok(Response::new(MemberAddResponse { header: fill(&self.engine, None), member, members }))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        self.change(MemberChange::Remove(request.into_inner().id)).await?;
        Ok(Response::new(MemberRemoveResponse { header: fill(&self.engine, None), members: self.members() }))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        let MemberUpdateRequest { id, peer_ur_ls } = request.into_inner();
        self.change(MemberChange::Update(id, peer_ur_ls)).await?;
        Ok(Response::new(MemberUpdateResponse { header: fill(&self.engine, None), members: self.members() }))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        self.change(MemberChange::Promote(request.into_inner().id)).await?;
        Ok(Response::new(MemberPromoteResponse { header: fill(&self.engine, None), members: self.members() }))
    }
}
