//! Who may call which method. Methods that look at keys look themselves, in the state that they read or change; what is not named here is for administrators.

use super::answer::{in_state, status};
use super::calls::Calls;
use super::used::Used;
use super::who::Who;
use crate::auth::Look;
use crate::engine::Engine;
use crate::etcd_error::EtcdError;
use crate::kv::Answer;
use crate::upkeep::Condition;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

/// A token is waited for that was made elsewhere and is not known here yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a caller must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The method looks itself, or is open to all.
    Nothing,
    User,
    Admin,
    /// An administrator as far as this member knows, also without the others; etcd gives the reason in other words there.
    AdminHere,
}

/// The rules of etcd 3.5.
fn need(path: &str) -> Need {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    match (service, method) {
        ("etcdserverpb.KV" | "etcdserverpb.Lease" | "etcdserverpb.Watch" | "etcdserverpb.Auth", _) => Need::Nothing,
        // They ask for keys and leases in the caller's name.
        ("v3lockpb.Lock" | "v3electionpb.Election", _) => Need::Nothing,
        ("grpc.health.v1.Health", _) => Need::Nothing,
        ("modelspb.Models", "Get" | "List" | "Log" | "Follow" | "Blob" | "Download") => Need::User,
        ("etcdserverpb.Maintenance", "Status") | ("etcdserverpb.Cluster", "MemberList") => Need::User,
        ("etcdserverpb.Maintenance", "Defragment" | "Hash" | "HashKV" | "Snapshot") => Need::AdminHere,
        _ => Need::Admin,
    }
}

/// A service behind the gate: its requests say [`Who`] asks.
#[derive(Clone)]
pub(super) struct Gated<E, S> {
    pub(super) engine: E,
    pub(super) used: Arc<Used>,
    /// Of a service that a member which differs from the others does not give.
    pub(super) condition: Option<Arc<Condition>>,
    pub(super) calls: Arc<Calls>,
    pub(super) service: S,
}

impl<E, S: NamedService> NamedService for Gated<E, S> {
    const NAME: &'static str = S::NAME;
}

impl<E, S> Service<http::Request<Body>> for Gated<E, S>
where
    E: Engine,
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let who = Who::of_headers(request.headers(), request.extensions(), &self.used);
        let need = need(request.uri().path());
        let call = self.calls.begin(request.uri().path());
        request.extensions_mut().insert(who.clone());
        let engine = self.engine.clone();
        let differs = self.condition.as_ref().is_some_and(|condition| condition.differs());
        let waiting = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, waiting); // the one that said it is ready
        Box::pin(async move {
            let admitted = if differs { Err(EtcdError::Corrupt.into()) } else { admit(&engine, &who, need).await };
            let response = match admitted {
                Ok(()) => service.call(request).await?,
                Err(status) => status.into_http(),
            };
            Ok(match call {
                Some(call) => call.see(response),
                None => response,
            })
        })
    }
}

async fn admit<E: Engine>(engine: &E, who: &Who, need: Need) -> Result<(), Status> {
    if let Who::Shows(shown, _) = who {
        wait_for(engine, shown.index).await?;
    }
    let asker = who.clone();
    match need {
        Need::Nothing => Ok(()),
        Need::User => {
            let rights = in_state(engine, move |transaction| asker.rights(transaction)).await??;
            Ok(rights.is_user()?)
        }
        Need::Admin => {
            engine.read_barrier().await.map_err(|e| status(&e))?; // who became one elsewhere, or is none any more
            Ok(in_state(engine, move |transaction| asker.admin(transaction)).await??)
        }
        Need::AdminHere => {
            let answer: Answer<()> = in_state(engine, move |transaction| asker.admin(transaction)).await?;
            answer.map_err(|error| Status::new(Code::Unknown, inner_text(error)))
        }
    }
}

/// Until the entry that made a token is applied here.
async fn wait_for<E: Engine>(engine: &E, index: u64) -> Result<(), Status> {
    let is_there = || engine.store().applied().map(|applied| applied.index >= index).map_err(|e| status(&e));
    let mut commits = engine.store().commits();
    if is_there()? || !in_state(engine, |transaction| Ok(transaction.state()?.enabled)).await? {
        return Ok(()); // where callers are not looked at, a token says nothing
    }
    let there = async {
        while !is_there()? && commits.changed().await.is_ok() {}
        Ok(())
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap_or(Ok(())) // then it is no token
}

/// The words of etcd's own store, which some methods pass on as they are.
fn inner_text(error: EtcdError) -> String {
    match error {
        EtcdError::UserNotFound => "auth: user not found".into(),
        error => error.text().replacen("etcdserver:", "auth:", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{EtcdError, Need, inner_text, need};

    #[test]
    fn what_is_not_named_is_for_administrators() {
        for (path, want) in [
            ("/etcdserverpb.KV/Put", Need::Nothing),
            ("/etcdserverpb.Auth/Authenticate", Need::Nothing),
            ("/etcdserverpb.Maintenance/Status", Need::User),
            ("/etcdserverpb.Maintenance/Snapshot", Need::AdminHere),
            ("/etcdserverpb.Maintenance/Alarm", Need::Admin),
            ("/etcdserverpb.Cluster/MemberRemove", Need::Admin),
            ("/v3lockpb.Lock/Lock", Need::Nothing),
            ("/modelspb.Models/Get", Need::User),
            ("/modelspb.Models/Register", Need::Admin),
            ("/modelspb.Models/Upload", Need::Admin),
            ("/Put", Need::Admin),
            ("", Need::Admin),
        ] {
            assert_eq!(need(path), want, "{path}");
        }
    }

    #[test]
    fn maintenance_has_words_of_its_own() {
        assert_eq!(inner_text(EtcdError::UserEmpty), "auth: user name is empty");
        assert_eq!(inner_text(EtcdError::PermissionDenied), "auth: permission denied");
        assert_eq!(inner_text(EtcdError::InvalidAuthToken), "auth: invalid auth token");
        assert_eq!(inner_text(EtcdError::UserNotFound), "auth: user not found");
    }
}
