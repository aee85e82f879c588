//! `etcdserverpb.Auth`. What only reads is answered from a state that has everything acknowledged before; etcd brings it into the log.

use super::answer::{caller, header, propose_auth, read, status};
use super::who::Who;
use crate::auth::{self, Look, Secret};
use crate::engine::Engine;
use crate::etcd_error::EtcdError;
use crate::kv::Answer;
use crate::module::Fault;
use crate::proto::authpb::{Role, User};
use crate::proto::etcdserverpb::auth_server;
use crate::proto::etcdserverpb::{
    AuthDisableRequest, AuthDisableResponse, AuthEnableRequest, AuthEnableResponse, AuthRoleAddRequest,
    AuthRoleAddResponse, AuthRoleDeleteRequest, AuthRoleDeleteResponse, AuthRoleGetRequest, AuthRoleGetResponse,
    AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse, AuthRoleListRequest, AuthRoleListResponse,
    AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse, AuthStatusRequest, AuthStatusResponse,
    AuthUserAddRequest, AuthUserAddResponse, AuthUserChangePasswordRequest, AuthUserChangePasswordResponse,
    AuthUserDeleteRequest, AuthUserDeleteResponse, AuthUserGetRequest, AuthUserGetResponse, AuthUserGrantRoleRequest,
    AuthUserGrantRoleResponse, AuthUserListRequest, AuthUserListResponse, AuthUserRevokeRoleRequest,
    AuthUserRevokeRoleResponse, AuthenticateRequest, AuthenticateResponse, ResponseHeader,
};
use crate::proto::meshpb::auth_command::Request as Command;
use crate::proto::meshpb::{NewPassword, NewToken, NewUser};
use redb::ReadTransaction;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// Passwords that are hashed at once: each takes some 20 MiB.
const AT_ONCE: usize = 4;
/// Passwords that wait for that; who comes then is told "too many requests".
const MAX_WAITING: usize = 1_000;
/// A password is compared again when users changed meanwhile, so often.
const TRIES: u32 = 10;

pub(super) struct AuthService<E> {
    engine: E,
    hashing: Arc<Hashing>,
}

/// Those whose passwords are hashed, and those who wait for it.
struct Hashing {
    places: Semaphore,
    waiting: AtomicUsize,
}

impl Hashing {
    /// On a thread of its own, so that no other request waits.
    async fn run<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Waiting(&self.waiting);
        if waiting >= MAX_WAITING {
            return Err(EtcdError::TooManyRequests.into());
        }
        let _permit = self.places.acquire().await.map_err(|_| Status::from(EtcdError::Stopped))?;
        let done = tokio::task::spawn_blocking(act).await.map_err(|_| Status::from(EtcdError::Stopped));
        drop(place);
        done
    }
}

/// Given back also when the client goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a password is compared with.
struct Known {
    revision: u64,
    /// None for who is no user.
    hash: Option<String>,
}

impl<E: Engine> AuthService<E> {
    pub(super) fn new(engine: E) -> Self {
        let hashing = Hashing { places: Semaphore::new(AT_ONCE), waiting: AtomicUsize::new(0) };
        Self { engine, hashing: Arc::new(hashing) }
    }

    async fn header(&self) -> Result<Option<ResponseHeader>, Status> {
        header(&self.engine).await
    }

    /// Brings a change into the order of entries.
    async fn change(&self, who: Who, request: Command) -> Result<Option<ResponseHeader>, Status> {
        let caller = caller(&self.engine, &who).await?;
        propose_auth(&self.engine, request, caller).await??;
        self.header().await
    }

    /// Reads what is known everywhere by now.
    async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&ReadTransaction) -> Result<Answer<T>, Fault> + Send + 'static,
    ) -> Result<T, Status> {
        self.engine.read_barrier().await.map_err(|e| status(&e))?;
        read(&self.engine, act).await
    }

    async fn read_as_admin<T: Send + 'static>(
        &self,
        who: Who,
        act: impl FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Status> {
        self.read(move |transaction| match who.admin(transaction)? {
            Ok(()) => act(transaction).map(Ok),
            Err(error) => Ok(Err(error)),
        })
        .await
    }

    /// Only for administrators: nobody else makes a node hash.
    async fn hash(&self, who: Who, password: String) -> Result<String, Status> {
        let password = Zeroizing::new(password);
        read(&self.engine, move |transaction| who.admin(transaction)).await?;
        self.hashing.run(move || auth::hash(&password)).await?.map_err(Status::internal)
    }

    /// Whom a password is asked of.
    async fn known(&self, name: String) -> Result<Known, Status> {
        self.read(move |transaction| {
            let state = transaction.state()?;
            if !state.enabled {
                return Ok(Err(EtcdError::AuthNotEnabled));
            }
            let user = transaction.user(&name)?;
            if user.as_ref().is_some_and(auth::has_no_password) {
                return Ok(Err(EtcdError::NoPasswordUser));
            }
            let hash = user.and_then(|user| String::from_utf8(user.password).ok());
            Ok(Ok(Known { revision: state.revision, hash }))
        })
        .await
    }

    /// A token for whoever knows the password.
    async fn token(&self, name: &str, password: &Arc<Zeroizing<String>>) -> Result<Answer<String>, Status> {
        let Known { revision, hash } = self.known(name.into()).await?;
        let password = password.clone();
        if !self.hashing.run(move || auth::is_right(&password, hash.as_deref())).await? {
            return Ok(Err(EtcdError::AuthFailed));
        }
        let no_random = |e: getrandom::Error| Status::internal(format!("the system gives no random numbers: {e}"));
        let secret = Secret::draw().map_err(no_random)?;
        let digest = secret.digest().to_vec();
        let token = NewToken { user: name.into(), auth_revision: revision, digest };
        Ok(propose_auth(&self.engine, Command::NewToken(token), None).await?.map(|index| secret.token(index)))
    }
}

fn names<T>(of: Vec<T>, name: impl Fn(T) -> Vec<u8>) -> Vec<String> {
    of.into_iter().map(|one| String::from_utf8_lossy(&name(one)).into_owned()).collect()
}

#[tonic::async_trait]
impl<E: Engine> auth_server::Auth for AuthService<E> {
    async fn auth_enable(&self, request: Request<AuthEnableRequest>) -> Result<Response<AuthEnableResponse>, Status> {
        let header = self.change(Who::of(&request), Command::Enable(request.into_inner())).await?;
        Ok(Response::new(AuthEnableResponse { header }))
    }

    async fn auth_disable(
        &self,
        request: Request<AuthDisableRequest>,
    ) -> Result<Response<AuthDisableResponse>, Status> {
        let header = self.change(Who::of(&request), Command::Disable(request.into_inner())).await?;
        Ok(Response::new(AuthDisableResponse { header }))
    }

    async fn auth_status(&self, request: Request<AuthStatusRequest>) -> Result<Response<AuthStatusResponse>, Status> {
        let state = self.read_as_admin(Who::of(&request), |transaction| transaction.state()).await?;
        let header = self.header().await?;
        Ok(Response::new(AuthStatusResponse { header, enabled: state.enabled, auth_revision: state.revision }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        let AuthenticateRequest { name, password } = request.into_inner();
        let password = Arc::new(Zeroizing::new(password));
        let mut token = Err(EtcdError::AuthOldRevision);
        for _ in 0..TRIES {
            token = self.token(&name, &password).await?;
            if token != Err(EtcdError::AuthOldRevision) {
                break;
            }
        }
        Ok(Response::new(AuthenticateResponse { token: token?, header: self.header().await? }))
    }

    async fn user_add(&self, request: Request<AuthUserAddRequest>) -> Result<Response<AuthUserAddResponse>, Status> {
        let who = Who::of(&request);
        let AuthUserAddRequest { name, password, options, .. } = request.into_inner();
        let hash = match options {
            Some(options) if options.no_password => String::new(),
            _ => self.hash(who.clone(), password).await?,
        };
        let header = self.change(who, Command::NewUser(NewUser { name, hash })).await?;
        Ok(Response::new(AuthUserAddResponse { header }))
    }

    /// Everybody may ask for themselves; what others ask in vain is not told apart.
    async fn user_get(&self, request: Request<AuthUserGetRequest>) -> Result<Response<AuthUserGetResponse>, Status> {
        let (who, name) = (Who::of(&request), request.into_inner().name);
        let found = self.read(move |transaction| {
            if let Err(error) = who.admin(transaction)?
                && !who.user(transaction)?.is_ok_and(|user| user.unwrap_or_default() == name)
            {
                return Ok(Err(error));
            }
            Ok(transaction.user(&name)?.ok_or(EtcdError::UserNotFound))
        });
        let User { roles, .. } = found.await?;
        Ok(Response::new(AuthUserGetResponse { header: self.header().await?, roles }))
    }

    async fn user_list(&self, request: Request<AuthUserListRequest>) -> Result<Response<AuthUserListResponse>, Status> {
        let users = self.read_as_admin(Who::of(&request), |transaction| transaction.users()).await?;
        let users = names(users, |user| user.name);
        Ok(Response::new(AuthUserListResponse { header: self.header().await?, users }))
    }

    async fn user_delete(
        &self,
        request: Request<AuthUserDeleteRequest>,
    ) -> Result<Response<AuthUserDeleteResponse>, Status> {
        let header = self.change(Who::of(&request), Command::DeleteUser(request.into_inner())).await?;
        Ok(Response::new(AuthUserDeleteResponse { header }))
    }

    async fn user_change_password(
        &self,
        request: Request<AuthUserChangePasswordRequest>,
    ) -> Result<Response<AuthUserChangePasswordResponse>, Status> {
        let who = Who::of(&request);
        let AuthUserChangePasswordRequest { name, password, .. } = request.into_inner();
        let hash = self.hash(who.clone(), password).await?;
        let header = self.change(who, Command::NewPassword(NewPassword { name, hash })).await?;
        Ok(Response::new(AuthUserChangePasswordResponse { header }))
    }

    async fn user_grant_role(
        &self,
        request: Request<AuthUserGrantRoleRequest>,
    ) -> Result<Response<AuthUserGrantRoleResponse>, Status> {
        let header = self.change(Who::of(&request), Command::GrantRole(request.into_inner())).await?;
        Ok(Response::new(AuthUserGrantRoleResponse { header }))
    }

    async fn user_revoke_role(
        &self,
        request: Request<AuthUserRevokeRoleRequest>,
    ) -> Result<Response<AuthUserRevokeRoleResponse>, Status> {
        let header = self.change(Who::of(&request), Command::RevokeRole(request.into_inner())).await?;
        Ok(Response::new(AuthUserRevokeRoleResponse { header }))
    }

    async fn role_add(&self, request: Request<AuthRoleAddRequest>) -> Result<Response<AuthRoleAddResponse>, Status> {
        let header = self.change(Who::of(&request), Command::NewRole(request.into_inner())).await?;
        Ok(Response::new(AuthRoleAddResponse { header }))
    }

    /// Everybody may ask for a role that is theirs.
    async fn role_get(&self, request: Request<AuthRoleGetRequest>) -> Result<Response<AuthRoleGetResponse>, Status> {
        let (who, name) = (Who::of(&request), request.into_inner().role);
        let found = self.read(move |transaction| {
            if let Err(error) = who.admin(transaction)? {
                let user = who.user(transaction)?.ok().flatten();
                let user = user.map(|user| transaction.user(&user)).transpose()?.flatten();
                if user.is_none_or(|user| !user.roles.contains(&name)) {
                    return Ok(Err(error));
                }
            }
            Ok(transaction.role(&name)?.ok_or(EtcdError::RoleNotFound))
        });
        let Role { key_permission: perm, .. } = found.await?;
        Ok(Response::new(AuthRoleGetResponse { header: self.header().await?, perm }))
    }

    async fn role_list(&self, request: Request<AuthRoleListRequest>) -> Result<Response<AuthRoleListResponse>, Status> {
        let roles = self.read_as_admin(Who::of(&request), |transaction| transaction.roles()).await?;
        let roles = names(roles, |role| role.name);
        Ok(Response::new(AuthRoleListResponse { header: self.header().await?, roles }))
    }

    async fn role_delete(
        &self,
        request: Request<AuthRoleDeleteRequest>,
    ) -> Result<Response<AuthRoleDeleteResponse>, Status> {
        let header = self.change(Who::of(&request), Command::DeleteRole(request.into_inner())).await?;
        Ok(Response::new(AuthRoleDeleteResponse { header }))
    }

    async fn role_grant_permission(
        &self,
        request: Request<AuthRoleGrantPermissionRequest>,
    ) -> Result<Response<AuthRoleGrantPermissionResponse>, Status> {
        let header = self.change(Who::of(&request), Command::GrantPermission(request.into_inner())).await?;
        Ok(Response::new(AuthRoleGrantPermissionResponse { header }))
    }

    async fn role_revoke_permission(
        &self,
        request: Request<AuthRoleRevokePermissionRequest>,
    ) -> Result<Response<AuthRoleRevokePermissionResponse>, Status> {
        let header = self.change(Who::of(&request), Command::RevokePermission(request.into_inner())).await?;
        Ok(Response::new(AuthRoleRevokePermissionResponse { header }))
    }
}
