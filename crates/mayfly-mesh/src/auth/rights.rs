//! What a caller may do in one state.

use super::ranges::Ranges;
use super::tables::Look;
use crate::etcd_error::EtcdError;
use crate::module::Fault;
use crate::proto::authpb::permission::Type;
use crate::proto::authpb::{Permission, User};
use crate::proto::meshpb::Caller;
use crate::refusal::Answer;

/// The user that is always an administrator, and the role that makes one of anybody. It may be granted without being there, as in etcd.
pub(super) const ROOT: &str = "root";

/// What a caller may do in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everything: an administrator, or callers are not looked at.
    Everything,
    /// What its roles say.
    Granted(Granted),
    /// Nothing that anybody is asked about, and why.
    Nothing(EtcdError),
}

/// What the roles of a user say, together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    reads: Ranges,
    writes: Ranges,
}

/// Are callers looked at?
///
/// # Errors
/// The database.
pub(crate) fn is_enabled(look: &impl Look) -> Result<bool, Fault> {
    Ok(look.state()?.enabled)
}

impl Rights {
    /// What a caller may do whose request was taken when auth had the revision that it names. `None`: nobody said who they are.
    ///
    /// # Errors
    /// The database.
    pub(crate) fn of(look: &impl Look, caller: Option<&Caller>) -> Result<Self, Fault> {
        let state = look.state()?;
        if !state.enabled {
            return Ok(Self::Everything);
        }
        let Some(caller) = caller else { return Ok(Self::Nothing(EtcdError::UserEmpty)) };
        if caller.auth_revision < state.revision {
            return Ok(Self::Nothing(EtcdError::AuthOldRevision));
        }
        match look.user(&caller.user)? {
            None => Ok(Self::Nothing(EtcdError::PermissionDenied)),
            Some(user) if is_admin(&user) => Ok(Self::Everything),
            Some(user) => Ok(Self::Granted(granted(look, &user)?)),
        }
    }

    /// # Errors
    /// Why these keys may not be read; [`EtcdError::PermissionDenied`] where the caller is known.
    pub(crate) fn may_read(&self, key: &[u8], range_end: &[u8]) -> Answer<()> {
        self.may(key, range_end, |granted| &granted.reads)
    }

    /// # Errors
    /// Those of [`Self::may_read`].
    pub(crate) fn may_write(&self, key: &[u8], range_end: &[u8]) -> Answer<()> {
        self.may(key, range_end, |granted| &granted.writes)
    }

    fn may(&self, key: &[u8], range_end: &[u8], of: impl Fn(&Granted) -> &Ranges) -> Answer<()> {
        match self {
            Self::Everything => Ok(()),
            Self::Granted(granted) if of(granted).cover(key, range_end) => Ok(()),
            Self::Granted(_) => Err(EtcdError::PermissionDenied),
            Self::Nothing(why) => Err(*why),
        }
    }

    /// # Errors
    /// Why the caller is no user.
    pub(crate) fn is_user(&self) -> Answer<()> {
        match self {
            Self::Everything | Self::Granted(_) => Ok(()),
            Self::Nothing(why) => Err(*why),
        }
    }

    pub(crate) fn is_everything(&self) -> bool {
        *self == Self::Everything
    }
}

/// Is it an administrator? Asked of users alone, whatever has changed since the request was taken.
///
/// # Errors
/// The database.
pub(crate) fn admin(look: &impl Look, user: Option<&str>) -> Result<Answer<()>, Fault> {
    if !look.state()?.enabled {
        return Ok(Ok(()));
    }
    let Some(name) = user.filter(|name| !name.is_empty()) else { return Ok(Err(EtcdError::UserEmpty)) };
    Ok(match look.user(name)? {
        None => Err(EtcdError::UserNotFound),
        Some(user) if is_admin(&user) => Ok(()),
        Some(_) => Err(EtcdError::PermissionDenied),
    })
}

fn is_admin(user: &User) -> bool {
    user.roles.iter().any(|role| role == ROOT)
}

/// Roles that are not there any more allow nothing.
fn granted(look: &impl Look, user: &User) -> Result<Granted, Fault> {
    let mut permissions = Vec::new();
    for name in &user.roles {
        permissions.extend(look.role(name)?.map(|role| role.key_permission).unwrap_or_default());
    }
    let of = |other: Type| {
        let is = |permission: &&Permission| [other, Type::Readwrite].contains(&permission.perm_type());
        Ranges::of(permissions.iter().filter(is).map(|permission| (&permission.key[..], &permission.range_end[..])))
    };
    Ok(Granted { reads: of(Type::Read), writes: of(Type::Write) })
}
