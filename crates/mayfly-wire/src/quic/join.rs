//! How a node becomes a member: both sides of Join.

use super::dial::{check_peer, exchange, open};
use super::{EndpointConfig, Inner, config, now_ms, refuse_public};
use crate::tls::{self, Trusting};
use crate::{CloseReason, Frame, Identity, JoinToken, Kind, Peer, PublicKey, Result, TrustList, WireError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long the newcomer may take to read the list before the connection is closed under it.
const READ_TIME: Duration = Duration::from_secs(10);

/// Redeems a token at its issuer and brings the swarm's trust list back; [`crate::TrustStore::create`] keeps it.
/// The addresses in `also` are tried after the token's own contacts; `config.listen` says which interface to use.
///
/// # Errors
/// [`WireError::ClosedBy`] with [`CloseReason::JoinRefused`] when the token is expired, used or not the issuer's; [`WireError::WrongPeer`], [`WireError::NotMember`] when
/// somebody else answers; [`WireError::Connect`], [`WireError::TimedOut`] when nobody does: the error of the last address.
pub async fn join(
    identity: &Identity,
    token: &JoinToken,
    also: &[SocketAddr],
    config: &EndpointConfig,
) -> Result<TrustList> {
    refuse_public(config.key_exchange)?;
    let client = tls::client_config(identity, Trusting::Only(token.issuer()), config.key_exchange)?;
    let client = config::quic_client(client)?;
    let ours = EndpointConfig { listen: SocketAddr::new(config.listen.ip(), 0), ..config.clone() };
    let socket = config::socket(&ours, None, None)?;
    let mut last = WireError::TokenText { reason: "it names no address, and none was given" };
    for addr in token.contacts().iter().chain(also) {
        let to = Peer { id: token.issuer(), addr: *addr };
        let asked = async {
            let connection = open(&socket, client.clone(), config, to).await?;
            ask(&connection, to, token, config).await
        };
        match tokio::time::timeout(config.handshake_timeout() * 2, asked).await {
            Ok(Ok(list)) => return check(list, identity, token),
            Ok(Err(error @ WireError::ClosedBy { why: CloseReason::JoinRefused, .. })) => return Err(error),
            Ok(Err(error)) => last = error,
            Err(_) => {
                last = WireError::TimedOut { what: "joining", after_ms: config.handshake_timeout_ms * 2 };
            }
        }
    }
    Err(last)
}

async fn ask(
    connection: &quinn::Connection,
    to: Peer,
    token: &JoinToken,
    config: &EndpointConfig,
) -> Result<TrustList> {
    check_peer(connection, to.id)?;
    let first = Frame::encode(Kind::Join, 0, 1, &token.to_bytes()?, config.limits.payload)?;
    let answer = exchange(connection, to, &first, Kind::Joined, config.limits.trust_list).await?;
    connection.close(CloseReason::Leaving.code().into(), b"");
    TrustList::from_bytes(&answer.payload)
}

/// The list must be of the swarm that the token is for, and have us on it.
fn check(list: TrustList, identity: &Identity, token: &JoinToken) -> Result<TrustList> {
    if list.swarm() != token.swarm() {
        return Err(WireError::OtherSwarm { what: "the trust list", want: token.swarm(), got: list.swarm() });
    }
    list.member(token.issuer())?;
    list.member(identity.id())?;
    Ok(list)
}

/// The issuer's side: spends the token, lets the key in, hands the list over.
pub(super) async fn admit(
    inner: &Arc<Inner>,
    connection: &quinn::Connection,
    mut send: quinn::SendStream,
    token: JoinToken,
    key: PublicKey,
) -> Result<(), CloseReason> {
    let id = key.id();
    let list = redeem(inner.clone(), token, key).await.map_err(|error| {
        warn!(id = %id.short(), %error, "join refused");
        CloseReason::JoinRefused
    })?;
    info!(id = %id.short(), "a node joined");
    send.write_all(&list).await.map_err(|_| CloseReason::Lost)?;
    let _ = send.finish();
    let _ = tokio::time::timeout(READ_TIME, connection.closed()).await;
    connection.close(CloseReason::Leaving.code().into(), b"");
    Ok(())
}

/// Signing, verifying and syncing files are not for the threads that carry packets.
async fn redeem(inner: Arc<Inner>, token: JoinToken, key: PublicKey) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let work = move || {
        let list = inner.trust.redeem(&inner.identity, &token, &key, now_ms())?;
        Frame::encode(Kind::Joined, 0, 1, &list.to_bytes()?, inner.config.limits.trust_list)
    };
    tokio::task::spawn_blocking(work).await.map_err(WireError::tls("redeeming the token"))?
}
