//! Random changes of users and roles over few names, so that they meet; asked over gRPC, and applied to a store without a server.

use super::apply_bytes;
use mayfly_base::Rng;
use mayfly_mesh::proto::authpb::permission::Type;
use mayfly_mesh::proto::authpb::{Permission, UserAddOptions};
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use mayfly_mesh::proto::etcdserverpb::{
    AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGetRequest,
    AuthRoleGrantPermissionRequest, AuthRoleListRequest, AuthRoleRevokePermissionRequest, AuthUserAddRequest,
    AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest, AuthUserGrantRoleRequest,
    AuthUserListRequest, AuthUserRevokeRoleRequest, AuthenticateRequest,
};
use mayfly_mesh::proto::meshpb::auth_command::Request as Command;
use mayfly_mesh::proto::meshpb::{Caller, NewPassword, NewUser};
use mayfly_mesh::{EtcdError, Store, auth};
use tonic::transport::Channel;
use tonic::{Request, Status};

pub const USERS: [&str; 4] = ["root", "u1", "u2", "u3"];
pub const ROLES: [&str; 4] = ["root", "r1", "r2", "r3"];

/// One end for each key: what becomes of several, etcd leaves open.
pub const RANGES: [(&[u8], &[u8]); 7] =
    [(b"a", b""), (b"a\0", b"b"), (b"b", b"b0"), (b"aa", b"c"), (b"\0", b"\0"), (b"b/1", b"z"), (b"z", b"\0")];

#[derive(Clone, Debug)]
pub enum AuthOp {
    Enable,
    Disable,
    UserAdd(String, bool),
    UserGet(String),
    UserList,
    UserDelete(String),
    Password(String),
    GrantRole(String, String),
    RevokeRole(String, String),
    RoleAdd(String),
    RoleGet(String),
    RoleList,
    RoleDelete(String),
    Grant(String, Permission),
    Revoke(String, Permission),
}

/// The password of a user, the same after each change.
pub fn password(user: &str) -> String {
    format!("pw of {user}")
}

pub fn permission(kind: Type, key: &[u8], range_end: &[u8]) -> Permission {
    Permission { perm_type: kind.into(), key: key.to_vec(), range_end: range_end.to_vec() }
}

fn pick<T: Clone>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize].clone()
}

/// Now and then one that is none.
fn name(rng: &mut Rng, of: &[&str]) -> String {
    match rng.below(30) {
        0 => String::new(),
        1 => "nobody".into(),
        _ => pick(rng, of).into(),
    }
}

impl AuthOp {
    pub fn random(rng: &mut Rng) -> Self {
        let (user, role) = (name(rng, &USERS), name(rng, &ROLES));
        let (key, end) = pick(rng, &RANGES);
        let permission = permission(pick(rng, &[Type::Read, Type::Write, Type::Readwrite]), key, end);
        match rng.below(100) {
            0..12 => Self::UserAdd(user, rng.below(12) == 0),
            12..16 => Self::UserDelete(user),
            16..20 => Self::Password(user),
            20..34 => Self::GrantRole(user, role),
            34..40 => Self::RevokeRole(user, role),
            40..50 => Self::RoleAdd(role),
            50..54 => Self::RoleDelete(role),
            54..74 => Self::Grant(role, permission),
            74..82 => Self::Revoke(role, permission),
            82..85 => Self::UserGet(user),
            85..88 => Self::RoleGet(role),
            88..90 => Self::UserList,
            90..92 => Self::RoleList,
            92..98 => Self::Enable,
            _ => Self::Disable,
        }
    }

    /// The entry that it becomes, if it is one.
    pub fn command(&self) -> Option<Command> {
        let hash = |no_password: bool| if no_password { String::new() } else { "a hash".into() };
        Some(match self.clone() {
            Self::Enable => Command::Enable(AuthEnableRequest {}),
            Self::Disable => Command::Disable(AuthDisableRequest {}),
            Self::UserAdd(name, no_password) => Command::NewUser(NewUser { name, hash: hash(no_password) }),
            Self::UserDelete(name) => Command::DeleteUser(AuthUserDeleteRequest { name }),
            Self::Password(name) => Command::NewPassword(NewPassword { name, hash: "another".into() }),
            Self::GrantRole(user, role) => Command::GrantRole(AuthUserGrantRoleRequest { user, role }),
            Self::RevokeRole(name, role) => Command::RevokeRole(AuthUserRevokeRoleRequest { name, role }),
            Self::RoleAdd(name) => Command::NewRole(AuthRoleAddRequest { name }),
            Self::RoleDelete(role) => Command::DeleteRole(AuthRoleDeleteRequest { role }),
            Self::Grant(name, permission) => {
                Command::GrantPermission(AuthRoleGrantPermissionRequest { name, perm: Some(permission) })
            }
            Self::Revoke(role, Permission { key, range_end, .. }) => {
                Command::RevokePermission(AuthRoleRevokePermissionRequest { role, key, range_end })
            }
            Self::UserGet(_) | Self::UserList | Self::RoleGet(_) | Self::RoleList => return None,
        })
    }
}

/// Applies to a store without a server.
pub fn apply(store: &Store, command: Command, caller: Option<Caller>) -> Result<u64, EtcdError> {
    let outcome = apply_bytes(store, &[auth::entry(command, caller).encode()]).expect("applied").remove(0);
    auth::outcome(&outcome).expect("an outcome")
}

/// A request with a token.
pub fn by<T>(token: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("token", token.parse().expect("a token"));
    }
    request
}

pub async fn log_in(client: &mut AuthClient<Channel>, name: &str, password: &str) -> Result<String, Status> {
    let request = AuthenticateRequest { name: name.into(), password: password.into() };
    Ok(client.authenticate(request).await?.into_inner().token)
}

/// Asks over gRPC; gives what was answered, but for the header.
pub async fn ask(client: &mut AuthClient<Channel>, token: Option<&str>, op: &AuthOp) -> Result<String, Status> {
    let done = "done".to_string();
    Ok(match op.clone() {
        AuthOp::Enable => client.auth_enable(by(token, AuthEnableRequest {})).await.map(|_| done)?,
        AuthOp::Disable => client.auth_disable(by(token, AuthDisableRequest {})).await.map(|_| done)?,
        AuthOp::UserAdd(name, no_password) => {
            let password = password(&name);
            let options = Some(UserAddOptions { no_password });
            let request = AuthUserAddRequest { name, password, options, ..AuthUserAddRequest::default() };
            client.user_add(by(token, request)).await.map(|_| done)?
        }
        AuthOp::UserGet(name) => {
            format!("{:?}", client.user_get(by(token, AuthUserGetRequest { name })).await?.into_inner().roles)
        }
        AuthOp::UserList => {
            format!("{:?}", client.user_list(by(token, AuthUserListRequest {})).await?.into_inner().users)
        }
        AuthOp::UserDelete(name) => {
            client.user_delete(by(token, AuthUserDeleteRequest { name })).await.map(|_| done)?
        }
        AuthOp::Password(name) => {
            let password = password(&name);
            let request = AuthUserChangePasswordRequest { name, password, ..AuthUserChangePasswordRequest::default() };
            client.user_change_password(by(token, request)).await.map(|_| done)?
        }
        AuthOp::GrantRole(user, role) => {
            client.user_grant_role(by(token, AuthUserGrantRoleRequest { user, role })).await.map(|_| done)?
        }
        AuthOp::RevokeRole(name, role) => {
            client.user_revoke_role(by(token, AuthUserRevokeRoleRequest { name, role })).await.map(|_| done)?
        }
        AuthOp::RoleAdd(name) => client.role_add(by(token, AuthRoleAddRequest { name })).await.map(|_| done)?,
        AuthOp::RoleGet(role) => {
            format!("{:?}", client.role_get(by(token, AuthRoleGetRequest { role })).await?.into_inner().perm)
        }
        AuthOp::RoleList => {
            format!("{:?}", client.role_list(by(token, AuthRoleListRequest {})).await?.into_inner().roles)
        }
        AuthOp::RoleDelete(role) => {
            client.role_delete(by(token, AuthRoleDeleteRequest { role })).await.map(|_| done)?
        }
        AuthOp::Grant(name, permission) => {
            let request = AuthRoleGrantPermissionRequest { name, perm: Some(permission) };
            client.role_grant_permission(by(token, request)).await.map(|_| done)?
        }
        AuthOp::Revoke(role, Permission { key, range_end, .. }) => {
            let request = AuthRoleRevokePermissionRequest { role, key, range_end };
            client.role_revoke_permission(by(token, request)).await.map(|_| done)?
        }
    })
}

/// An administrator, a user who may read and write keys that begin with "a", and callers that are looked at. Gives their tokens.
pub async fn enable(client: &mut AuthClient<Channel>) -> (String, String) {
    let add = |name: &str| AuthOp::UserAdd(name.into(), false);
    for op in [
        add("root"),
        AuthOp::GrantRole("root".into(), "root".into()),
        add("u1"),
        AuthOp::RoleAdd("r1".into()),
        AuthOp::Grant("r1".into(), permission(Type::Readwrite, b"a", b"b")),
        AuthOp::GrantRole("u1".into(), "r1".into()),
        AuthOp::Enable,
    ] {
        ask(client, None, &op).await.unwrap_or_else(|status| panic!("{op:?}: {status}"));
    }
    let root = log_in(client, "root", &password("root")).await.expect("a token");
    (root, log_in(client, "u1", &password("u1")).await.expect("a token"))
}
