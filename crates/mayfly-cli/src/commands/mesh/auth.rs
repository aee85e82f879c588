//! `mayfly mesh auth`, `mayfly mesh user` and `mayfly mesh role`.

use super::args::{AuthCommand, Range, RoleCommand, UserCommand};
use super::auth_args::{OneName, What};
use super::connect::{Reached, connect};
use super::login::new_password;
use super::words::{self, bytes_json, line};
use super::{requests, target::Target};
use crate::support::text::plain;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_mesh::proto::authpb::permission::Type;
use mayfly_mesh::proto::authpb::{Permission, UserAddOptions};
use mayfly_mesh::proto::etcdserverpb::{
    AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGetRequest,
    AuthRoleGrantPermissionRequest, AuthRoleListRequest, AuthRoleRevokePermissionRequest, AuthStatusRequest,
    AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest,
    AuthUserGrantRoleRequest, AuthUserListRequest, AuthUserRevokeRoleRequest,
};
use serde_json::{Value, json};

pub async fn auth(command: AuthCommand, ui: Ui) -> Result<()> {
    match command {
        AuthCommand::Enable(target) => {
            let reached = connect(&target).await?;
            reached.ask(reached.auth().auth_enable(AuthEnableRequest {})).await?;
            ui.result("from now on, it is looked at who asks", &json!({ "enabled": true }))
        }
        AuthCommand::Disable(target) => {
            let reached = connect(&target).await?;
            reached.ask(reached.auth().auth_disable(AuthDisableRequest {})).await?;
            ui.result("from now on, everybody may do everything", &json!({ "enabled": false }))
        }
        AuthCommand::Status(target) => {
            let reached = connect(&target).await?;
            let answer = reached.ask(reached.auth().auth_status(AuthStatusRequest {})).await?;
            let text = if answer.enabled { "it is looked at who asks" } else { "everybody may do everything" };
            let text = format!("{text} (users and roles are at revision {})", answer.auth_revision);
            ui.result(&text, &json!({ "enabled": answer.enabled, "auth_revision": answer.auth_revision }))
        }
    }
}

pub async fn user(command: UserCommand, ui: Ui) -> Result<()> {
    match command {
        UserCommand::Add { name, no_password, target } => {
            let password = if no_password { String::new() } else { new_password(&name)? };
            let reached = connect(&target).await?;
            let options = Some(UserAddOptions { no_password });
            let request = AuthUserAddRequest { name: name.clone(), password, options, ..AuthUserAddRequest::default() };
            reached.ask(reached.auth().user_add(request)).await?;
            done("user", &name, "is added", ui)
        }
        UserCommand::Get(OneName { name, target }) => {
            let reached = connect(&target).await?;
            let roles = reached.ask(reached.auth().user_get(AuthUserGetRequest { name: name.clone() })).await?.roles;
            words::show(ui, &names_text(&roles), &json!({ "user": name, "roles": roles }))
        }
        UserCommand::List(target) => {
            let reached = connect(&target).await?;
            let users = reached.ask(reached.auth().user_list(AuthUserListRequest {})).await?.users;
            words::show(ui, &names_text(&users), &json!({ "users": users }))
        }
        UserCommand::Delete(OneName { name, target }) => {
            let reached = connect(&target).await?;
            reached.ask(reached.auth().user_delete(AuthUserDeleteRequest { name: name.clone() })).await?;
            done("user", &name, "is deleted", ui)
        }
        UserCommand::Passwd(OneName { name, target }) => {
            let password = new_password(&name)?;
            let reached = connect(&target).await?;
            let request = AuthUserChangePasswordRequest {
                name: name.clone(),
                password,
                ..AuthUserChangePasswordRequest::default()
            };
            reached.ask(reached.auth().user_change_password(request)).await?;
            done("user", &name, "has another password", ui)
        }
        UserCommand::GrantRole { name, role, target } => {
            let reached = connect(&target).await?;
            let request = AuthUserGrantRoleRequest { user: name.clone(), role: role.clone() };
            reached.ask(reached.auth().user_grant_role(request)).await?;
            done("user", &name, &format!("has role {}", plain(&role)), ui)
        }
        UserCommand::RevokeRole { name, role, target } => {
            let reached = connect(&target).await?;
            let request = AuthUserRevokeRoleRequest { name: name.clone(), role: role.clone() };
            reached.ask(reached.auth().user_revoke_role(request)).await?;
            done("user", &name, &format!("has role {} no more", plain(&role)), ui)
        }
    }
}

pub async fn role(command: RoleCommand, ui: Ui) -> Result<()> {
    match command {
        RoleCommand::Add(OneName { name, target }) => {
            let reached = connect(&target).await?;
            reached.ask(reached.auth().role_add(AuthRoleAddRequest { name: name.clone() })).await?;
            done("role", &name, "is added", ui)
        }
        RoleCommand::Get(OneName { name, target }) => {
            let reached = connect(&target).await?;
            let request = AuthRoleGetRequest { role: name.clone() };
            let permissions = reached.ask(reached.auth().role_get(request)).await?.perm;
            let object = json!({ "role": name, "permissions": permissions.iter().map(object_of).collect::<Vec<_>>() });
            words::show(ui, &permissions_text(&permissions), &object)
        }
        RoleCommand::List(target) => {
            let reached = connect(&target).await?;
            let roles = reached.ask(reached.auth().role_list(AuthRoleListRequest {})).await?.roles;
            words::show(ui, &names_text(&roles), &json!({ "roles": roles }))
        }
        RoleCommand::Delete(OneName { name, target }) => {
            let reached = connect(&target).await?;
            reached.ask(reached.auth().role_delete(AuthRoleDeleteRequest { role: name.clone() })).await?;
            done("role", &name, "is deleted", ui)
        }
        RoleCommand::GrantPermission { name, what, range, target } => grant(name, what, &range, &target, ui).await,
        RoleCommand::RevokePermission { name, range, target } => {
            let reached = connect(&target).await?;
            let (key, range_end) = requests::bounds(&range);
            let (role, text) = (name.clone(), span_text(&key, &range_end));
            let request = AuthRoleRevokePermissionRequest { role, key, range_end };
            reached.ask(reached.auth().role_revoke_permission(request)).await?;
            done("role", &name, &format!("allows nothing with {text} by itself any more"), ui)
        }
    }
}

async fn grant(name: String, what: What, range: &Range, target: &Target, ui: Ui) -> Result<()> {
    let reached: Reached = connect(target).await?;
    let (key, range_end) = requests::bounds(range);
    let kind = match what {
        What::Read => Type::Read,
        What::Write => Type::Write,
        What::Readwrite => Type::Readwrite,
    };
    let permission = Permission { perm_type: kind.into(), key, range_end };
    let text = format!("may {}", permission_text(&permission));
    let request = AuthRoleGrantPermissionRequest { name: name.clone(), perm: Some(permission) };
    reached.ask(reached.auth().role_grant_permission(request)).await?;
    done("role", &name, &text, ui)
}

fn done(kind: &str, name: &str, how: &str, ui: Ui) -> Result<()> {
    ui.result(&format!("{kind} {} {how}", plain(name)), &json!({ kind: name }))
}

/// A name on each line; strangers gave them.
fn names_text(names: &[String]) -> String {
    names.iter().map(|name| plain(name)).collect::<Vec<_>>().join("\n")
}

fn kind_of(permission: &Permission) -> &'static str {
    match permission.perm_type() {
        Type::Read => "read",
        Type::Write => "write",
        Type::Readwrite => "read and write",
    }
}

fn object_of(permission: &Permission) -> Value {
    let kind = kind_of(permission).replace(" and ", "");
    json!({ "what": kind, "key": bytes_json(&permission.key), "range_end": bytes_json(&permission.range_end) })
}

fn permissions_text(permissions: &[Permission]) -> String {
    permissions.iter().map(permission_text).collect::<Vec<_>>().join("\n")
}

fn permission_text(permission: &Permission) -> String {
    format!("{} {}", kind_of(permission), span_text(&permission.key, &permission.range_end))
}

/// Which keys, in words.
fn span_text(key: &[u8], range_end: &[u8]) -> String {
    match (key, range_end) {
        ([0], [0]) => "all keys".into(),
        (key, []) => format!("key {}", line(key)),
        (key, [0]) => format!("keys from {} on", line(key)),
        (key, end) if requests::prefix_end(key) == end => format!("keys that begin with {}", line(key)),
        (key, end) => format!("keys from {} to before {}", line(key), line(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_have_words() {
        let of = |kind: Type, key: &[u8], end: &[u8]| Permission {
            perm_type: kind.into(),
            key: key.into(),
            range_end: end.into(),
        };
        for (permission, want) in [
            (of(Type::Read, b"k", b""), "read key k"),
            (of(Type::Write, b"k/", b"k0"), "write keys that begin with k/"),
            (of(Type::Readwrite, &[0], &[0]), "read and write all keys"),
            (of(Type::Read, b"k", &[0]), "read keys from k on"),
            (of(Type::Read, b"a\n", b"m"), "read keys from a\\n to before m"),
        ] {
            assert_eq!(permission_text(&permission), want);
        }
        assert_eq!(object_of(&of(Type::Readwrite, b"k", b""))["what"], "readwrite");
    }
}
