//! `etcdserverpb.Cluster`, as far as a single member is honest.

use super::answer::header;
use crate::engine::Engine;
use crate::proto::etcdserverpb::cluster_server::Cluster;
use crate::proto::etcdserverpb::{Member, MemberListRequest, MemberListResponse};
use std::net::SocketAddr;
use tonic::{Request, Response, Status};

pub(super) struct ClusterService<E> {
    pub(super) engine: E,
    pub(super) name: String,
    pub(super) address: SocketAddr,
}

#[tonic::async_trait]
impl<E: Engine> Cluster for ClusterService<E> {
    async fn member_list(&self, _: Request<MemberListRequest>) -> Result<Response<MemberListResponse>, Status> {
        let member = Member {
            id: self.engine.store().owner().member,
            name: self.name.clone(),
            peer_ur_ls: Vec::new(), // nobody replicates yet
            client_ur_ls: vec![format!("http://{}", self.address)],
            is_learner: false,
        };
        Ok(Response::new(MemberListResponse { header: header(&self.engine).await?, members: vec![member] }))
    }
}
