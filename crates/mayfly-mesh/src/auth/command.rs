//! What entries do to users, roles and tokens: etcd's rules, and its order of looking.

use super::ranges::is_range;
use super::rights::{ROOT, admin};
use super::tables::{Look, ROLES, State, TOKENS, Token, USERS, keep_role, keep_token, keep_user};
use crate::etcd_error::EtcdError;
use crate::logged::Applied;
use crate::module::Fault;
use crate::proto::authpb::{Permission, Role, User, UserAddOptions};
use crate::proto::etcdserverpb::{
    AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthUserGrantRoleRequest,
    AuthUserRevokeRoleRequest,
};
use crate::proto::meshpb::auth_command::Request;
use crate::proto::meshpb::{Caller, NewPassword, NewToken, NewUser, UsedTokens};
use crate::refusal::Stop;
use redb::WriteTransaction;

/// How often the life of a token is counted down: it is forgotten when it was not used for more ticks than this.
pub(crate) const TICKS: u64 = 10;

/// A refusal comes before the first change.
pub(super) fn run(
    transaction: &WriteTransaction,
    at: Applied,
    caller: Option<&Caller>,
    request: &Request,
) -> Result<(), Stop> {
    if !is_from_a_member(request) {
        admin(transaction, caller.map(|caller| &caller.user[..]))??;
    }
    match request {
        Request::Enable(_) => enable(transaction),
        Request::Disable(_) => disable(transaction),
        Request::NewUser(request) => new_user(transaction, request),
        Request::DeleteUser(request) => delete_user(transaction, &request.name),
        Request::NewPassword(request) => new_password(transaction, request),
        Request::GrantRole(request) => grant_role(transaction, request),
        Request::RevokeRole(request) => revoke_role(transaction, request),
        Request::NewRole(request) => new_role(transaction, &request.name),
        Request::DeleteRole(request) => delete_role(transaction, &request.role),
        Request::GrantPermission(request) => grant_permission(transaction, request),
        Request::RevokePermission(request) => revoke_permission(transaction, request),
        Request::NewToken(request) => new_token(transaction, at, request),
        Request::UsedTokens(request) => Ok(use_tokens(transaction, request)?),
        Request::Tick(tick) => Ok(count_down(transaction, tick.from)?),
    }
}

/// Said by whoever serves clients, and by none of them.
fn is_from_a_member(request: &Request) -> bool {
    matches!(request, Request::NewToken(_) | Request::UsedTokens(_) | Request::Tick(_))
}

/// Something that was asked under the revision before may not hold any more.
fn changed(transaction: &WriteTransaction) -> Result<(), Stop> {
    let state = transaction.state()?;
    Ok(State { revision: state.revision + 1, ..state }.keep(transaction)?)
}

fn enable(transaction: &WriteTransaction) -> Result<(), Stop> {
    let state = transaction.state()?;
    if state.enabled {
        return Ok(());
    }
    let root = transaction.user(ROOT)?.ok_or(EtcdError::RootUserNotFound)?;
    if !root.roles.iter().any(|role| role == ROOT) {
        return Err(EtcdError::RootRoleNotFound.into());
    }
    Ok(State { enabled: true, ..state }.keep(transaction)?)
}

fn disable(transaction: &WriteTransaction) -> Result<(), Stop> {
    let state = transaction.state()?;
    if state.enabled {
        State { enabled: false, ..state }.keep(transaction)?;
        drop_tokens(transaction, |_| true)?;
        changed(transaction)?;
    }
    Ok(())
}

fn new_user(transaction: &WriteTransaction, NewUser { name, hash }: &NewUser) -> Result<(), Stop> {
    if name.is_empty() {
        return Err(EtcdError::UserEmpty.into());
    }
    if transaction.user(name)?.is_some() {
        return Err(EtcdError::UserExists.into());
    }
    let options = Some(UserAddOptions { no_password: hash.is_empty() });
    let (name, password) = (name.as_bytes().to_vec(), hash.as_bytes().to_vec());
    keep_user(transaction, &User { name, password, roles: Vec::new(), options })?;
    changed(transaction)
}

fn delete_user(transaction: &WriteTransaction, name: &str) -> Result<(), Stop> {
    if transaction.state()?.enabled && name == ROOT {
        return Err(EtcdError::InvalidAuthManagement.into());
    }
    if transaction.user(name)?.is_none() {
        return Err(EtcdError::UserNotFound.into());
    }
    transaction.open_table(USERS).map_err(Fault::from)?.remove(name).map_err(Fault::from)?;
    drop_tokens(transaction, |token| token.user == name)?;
    changed(transaction)
}

/// Who was added without a password stays without one.
fn new_password(transaction: &WriteTransaction, NewPassword { name, hash }: &NewPassword) -> Result<(), Stop> {
    let mut user = transaction.user(name)?.ok_or(EtcdError::UserNotFound)?;
    if !has_no_password(&user) {
        user.password = hash.as_bytes().to_vec();
    }
    keep_user(transaction, &user)?;
    drop_tokens(transaction, |token| token.user == *name)?;
    changed(transaction)
}

/// Was it added so that nobody can give a password for it?
pub(crate) fn has_no_password(user: &User) -> bool {
    user.options.is_some_and(|options| options.no_password)
}

fn grant_role(
    transaction: &WriteTransaction,
    AuthUserGrantRoleRequest { user, role }: &AuthUserGrantRoleRequest,
) -> Result<(), Stop> {
    let mut user = transaction.user(user)?.ok_or(EtcdError::UserNotFound)?;
    if role != ROOT && transaction.role(role)?.is_none() {
        return Err(EtcdError::RoleNotFound.into());
    }
    let Err(place) = user.roles.binary_search(role) else { return Ok(()) };
    user.roles.insert(place, role.clone());
    keep_user(transaction, &user)?;
    changed(transaction)
}

fn revoke_role(
    transaction: &WriteTransaction,
    AuthUserRevokeRoleRequest { name, role }: &AuthUserRevokeRoleRequest,
) -> Result<(), Stop> {
    if transaction.state()?.enabled && name == ROOT && role == ROOT {
        return Err(EtcdError::InvalidAuthManagement.into());
    }
    let mut user = transaction.user(name)?.ok_or(EtcdError::UserNotFound)?;
    let place = user.roles.binary_search(role).map_err(|_| EtcdError::RoleNotGranted)?;
    user.roles.remove(place);
    keep_user(transaction, &user)?;
    changed(transaction)
}

fn new_role(transaction: &WriteTransaction, name: &str) -> Result<(), Stop> {
    if name.is_empty() {
        return Err(EtcdError::RoleEmpty.into());
    }
    if transaction.role(name)?.is_some() {
        return Err(EtcdError::RoleExists.into());
    }
    keep_role(transaction, &Role { name: name.as_bytes().to_vec(), key_permission: Vec::new() })?;
    changed(transaction)
}

/// It is taken from all users, too.
fn delete_role(transaction: &WriteTransaction, name: &str) -> Result<(), Stop> {
    if transaction.state()?.enabled && name == ROOT {
        return Err(EtcdError::InvalidAuthManagement.into());
    }
    if transaction.role(name)?.is_none() {
        return Err(EtcdError::RoleNotFound.into());
    }
    transaction.open_table(ROLES).map_err(Fault::from)?.remove(name).map_err(Fault::from)?;
    for mut user in transaction.users()? {
        if let Ok(place) = user.roles.binary_search_by(|role| role[..].cmp(name)) {
            user.roles.remove(place);
            keep_user(transaction, &user)?;
        }
    }
    changed(transaction)
}

/// Permissions of a role are kept by key and end, one for each such pair.
fn grant_permission(
    transaction: &WriteTransaction,
    AuthRoleGrantPermissionRequest { name, perm }: &AuthRoleGrantPermissionRequest,
) -> Result<(), Stop> {
    let permission = perm.clone().ok_or(EtcdError::PermissionNotGiven)?;
    if !is_range(&permission.key, &permission.range_end) {
        return Err(EtcdError::InvalidAuthManagement.into());
    }
    let mut role = transaction.role(name)?.ok_or(EtcdError::RoleNotFound)?;
    match place_of(&role, &permission.key, &permission.range_end) {
        Ok(place) => role.key_permission[place] = permission,
        Err(place) => role.key_permission.insert(place, permission),
    }
    keep_role(transaction, &role)?;
    changed(transaction)
}

fn revoke_permission(
    transaction: &WriteTransaction,
    AuthRoleRevokePermissionRequest { role, key, range_end }: &AuthRoleRevokePermissionRequest,
) -> Result<(), Stop> {
    let mut role = transaction.role(role)?.ok_or(EtcdError::RoleNotFound)?;
    let place = place_of(&role, key, range_end).map_err(|_| EtcdError::PermissionNotGranted)?;
    role.key_permission.remove(place);
    keep_role(transaction, &role)?;
    changed(transaction)
}

fn place_of(role: &Role, key: &[u8], range_end: &[u8]) -> Result<usize, usize> {
    let pair = |permission: &Permission| (&permission.key[..], &permission.range_end[..]).cmp(&(key, range_end));
    role.key_permission.binary_search_by(pair)
}

/// Its password was compared with what auth had in a revision: if that moved meanwhile, it is compared again.
fn new_token(transaction: &WriteTransaction, at: Applied, request: &NewToken) -> Result<(), Stop> {
    let state = transaction.state()?;
    if !state.enabled {
        return Err(EtcdError::AuthNotEnabled.into());
    }
    if request.auth_revision != state.revision {
        return Err(EtcdError::AuthOldRevision.into());
    }
    let unreadable = |_| Fault::Unreadable("a token has no digest of 32 bytes".into());
    let digest = request.digest[..].try_into().map_err(unreadable)?;
    let token = Token { digest, user: request.user.clone(), used: state.tick };
    Ok(keep_token(transaction, at.index, &token)?)
}

fn use_tokens(transaction: &WriteTransaction, UsedTokens { token: used }: &UsedTokens) -> Result<(), Fault> {
    let tick = transaction.state()?.tick;
    for index in used {
        if let Some(token) = transaction.token(*index)? {
            keep_token(transaction, *index, &Token { used: tick, ..token })?;
        }
    }
    Ok(())
}

/// Forgets the tokens that were not used for a whole life.
fn count_down(transaction: &WriteTransaction, from: u64) -> Result<(), Fault> {
    let state = transaction.state()?;
    if state.tick != from {
        return Ok(());
    }
    let tick = state.tick + 1;
    State { tick, ..state }.keep(transaction)?;
    drop_tokens(transaction, |token| token.used + TICKS < tick)
}

fn drop_tokens(transaction: &WriteTransaction, is_gone: impl Fn(&Token) -> bool) -> Result<(), Fault> {
    let gone: Vec<u64> =
        transaction.tokens()?.into_iter().filter(|(_, token)| is_gone(token)).map(|(index, _)| index).collect();
    let mut table = transaction.open_table(TOKENS)?;
    for index in gone {
        table.remove(index)?;
    }
    Ok(())
}
