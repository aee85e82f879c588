//! Who asks: what a client shows, and whose it is in one state.

use super::line::ClientInfo;
use super::used::Used;
use crate::auth::{Look, Rights, Shown, admin};
use crate::etcd_error::EtcdError;
use crate::kv::Answer;
use crate::module::Fault;
use crate::proto::meshpb::Caller;
use redb::ReadTransaction;
use std::sync::Arc;
use tonic::Request;
use tonic::codegen::http::{Extensions, HeaderMap};

/// Where clients show their token: the first that is there counts.
const KEYS: [&str; 2] = ["token", "authorization"];
const BEARER: &str = "Bearer ";

/// What a client shows.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// Nothing.
    Nobody,
    /// The name in its certificate.
    Named(Arc<str>),
    /// What is no token.
    Stranger,
    /// What may be a token; and where to say that it was used.
    Shows(Shown, Arc<Used>),
}

impl Who {
    pub(super) fn of_headers(headers: &HeaderMap, extensions: &Extensions, used: &Arc<Used>) -> Self {
        if let Some(value) = KEYS.iter().find_map(|key| headers.get(*key)) {
            let text = value.to_str().unwrap_or_default();
            let shown = Shown::read(text.strip_prefix(BEARER).unwrap_or(text));
            return shown.map_or(Self::Stranger, |shown| Self::Shows(shown, used.clone()));
        }
        let name = extensions.get::<ClientInfo>().and_then(|info| info.common_name.clone());
        name.map_or(Self::Nobody, Self::Named)
    }

    /// Of a request that came through [`super::gate::Gated`].
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or(Self::Nobody)
    }

    /// The user, where callers are looked at and this one is known. A token does not count where nobody is asked for one.
    pub(super) fn user(&self, transaction: &ReadTransaction) -> Result<Answer<Option<String>>, Fault> {
        if !transaction.state()?.enabled {
            return Ok(Ok(None));
        }
        Ok(match self {
            Self::Nobody => Ok(None),
            Self::Named(name) => Ok(Some(name.to_string())),
            Self::Stranger => Err(EtcdError::InvalidAuthToken),
            Self::Shows(shown, used) => match shown.user(transaction)? {
                Some(user) => {
                    used.note(shown.index);
                    Ok(Some(user))
                }
                None => Err(EtcdError::InvalidAuthToken),
            },
        })
    }

    /// The caller of an entry: what is known of it now, to be looked at again when the entry is applied.
    pub(super) fn caller(&self, transaction: &ReadTransaction) -> Result<Answer<Option<Caller>>, Fault> {
        let auth_revision = transaction.state()?.revision;
        let caller = |user: Option<String>| user.map(|user| Caller { user, auth_revision, is_member: false });
        Ok(self.user(transaction)?.map(caller))
    }

    /// What it may do in this state. What is no token is refused, even by those who ask for nothing.
    pub(super) fn rights(&self, transaction: &ReadTransaction) -> Result<Answer<Rights>, Fault> {
        match self.caller(transaction)? {
            Ok(caller) => Rights::of(transaction, caller.as_ref()).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Is it an administrator?
    pub(super) fn admin(&self, transaction: &ReadTransaction) -> Result<Answer<()>, Fault> {
        match self.user(transaction)? {
            Ok(user) => admin(transaction, user.as_deref()),
            Err(error) => Ok(Err(error)),
        }
    }
}
