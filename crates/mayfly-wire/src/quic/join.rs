//! How a node becomes a member: both sides of Join.

use super::config::Listener;
use super::dial::{check_peer, hear, open, say};
use super::{EndpointConfig, Inner, config, now_ms, reason, refuse_public};
use crate::tls::{self, Trusting};
use crate::trust::{ListPage, pages_of};
use crate::{CloseReason, Frame, Identity, JoinToken, Kind, Peer, PublicKey, Result, TrustList, WireError};
use crate::{from_payload, to_payload};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{info, warn};

/// How long the newcomer may take to read the last of the list before the connection is closed under it.
const READ_TIME: Duration = Duration::from_secs(30);
/// How long a page of the list may take on its way.
const PAGE_TIME: Duration = Duration::from_secs(30);

/// Redeems a token at its issuer and brings the swarm's trust list back; [`crate::TrustStore::create`] keeps it.
/// The addresses in `also` are tried after the token's own contacts; those that cannot be reached from `config.listen` are left out.
///
/// # Errors
/// [`WireError::ClosedBy`] with [`CloseReason::JoinRefused`] and the reason when the token is expired, used or not the issuer's, and with
/// [`CloseReason::NotMember`] when the issuer has no token out at all; [`WireError::WrongPeer`] or [`WireError::Connect`] when
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
    let mut last = WireError::TokenText { reason: "it names no address, and none was given" };
    for addr in token.contacts().iter().chain(also) {
        let to = Peer { id: token.issuer(), addr: *addr };
        let asked = async {
            let socket = socket_for(to.addr, config)?;
            let opened = timeout(config.handshake_timeout(), open(&socket, client.clone(), config, to)).await;
            let after_ms = config.handshake_timeout_ms;
            let connection = opened.map_err(|_| WireError::TimedOut { what: "the handshake", after_ms })??;
            ask(&connection, to, token, config).await
        };
        match asked.await {
            Ok(list) => return check(list, identity, token),
            Err(error @ WireError::ClosedBy { why: CloseReason::JoinRefused, .. }) => return Err(error),
            Err(error) => last = explain(error, to, token),
        }
    }
    Err(last)
}

/// A socket to call `to` from, of the family and, where it names one, the interface that the node will listen on: an issuer that it cannot reach later is of no use.
fn socket_for(to: SocketAddr, config: &EndpointConfig) -> Result<quinn::Endpoint> {
    let listen = config.listen.ip();
    let takes_both = listen == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if listen.is_ipv4() != to.is_ipv4() && !takes_both {
        let (here, there) = if listen.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        let way = "to reach both, listen on [::]:PORT and say --advertise ADDR";
        let reason = format!("this node listens on {listen}, which speaks {here} and not {there}; {way}");
        return Err(WireError::Connect { addr: to, reason });
    }
    let ip = if takes_both && to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { listen };
    let ours = EndpointConfig { listen: SocketAddr::new(ip, 0), ..config.clone() };
    config::socket(Listener::bind(ours.listen)?, &ours, None, None)
}

/// What the handshake alone cannot say.
fn explain(error: WireError, to: Peer, token: &JoinToken) -> WireError {
    match error {
        // The issuer's door is shut to strangers while it has no token out.
        WireError::ClosedBy { peer, why: CloseReason::NotMember, .. } => {
            let expired = token.expires_ms() <= now_ms();
            let what = if expired { "this token has expired" } else { "this token was used, or has expired there" };
            let said = format!("the member has no token out that is still good: {what}; ask for a new one");
            WireError::ClosedBy { peer, why: CloseReason::NotMember, said }
        }
        WireError::NotMember { id } if id == to.id => {
            let reason = format!("whoever listens there is not {}, who issued the token", to.id.short());
            WireError::Connect { addr: to.addr, reason }
        }
        other => other,
    }
}

async fn ask(
    connection: &quinn::Connection,
    to: Peer,
    token: &JoinToken,
    config: &EndpointConfig,
) -> Result<TrustList> {
    check_peer(connection, to.id)?;
    let limit = config.limits.payload;
    let first = Frame::encode(Kind::Join, 0, 1, &token.to_bytes()?, limit)?;
    let mut receive = say(connection, to, &first).await?;
    let mut list: Option<TrustList> = None;
    loop {
        let page = timeout(PAGE_TIME, hear(connection, to, &mut receive, Kind::Joined, limit)).await;
        let after_ms = PAGE_TIME.as_millis() as u64;
        let page = page.map_err(|_| WireError::TimedOut { what: "a page of the trust list", after_ms })??;
        let ListPage { left, records } = from_payload("a page of the trust list", &page.payload)?;
        if records.is_empty() {
            let reason = format!("{left} records are missing");
            return Err(WireError::Payload { what: "a page of the trust list", reason });
        }
        let so_far = match list {
            None => TrustList::from_records(records)?,
            Some(list) => extend(list, &records)?,
        };
        if left == 0 {
            connection.close(CloseReason::Leaving.code().into(), b"");
            return Ok(so_far);
        }
        list = Some(so_far);
    }
}

/// Each page is verified as it comes: who sends nonsense is found out at the first of it.
fn extend(mut list: TrustList, records: &[crate::SignedRecord]) -> Result<TrustList> {
    let merge = list.merge(records);
    match merge.refused.into_iter().next() {
        Some((_, error)) => Err(error),
        None if merge.taken == records.len() => Ok(list),
        None => Err(WireError::Payload { what: "a page of the trust list", reason: "a record came twice".into() }),
    }
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

/// Somebody who asks to be let in.
pub(super) struct Joining {
    pub(super) send: quinn::SendStream,
    pub(super) token: JoinToken,
    pub(super) key: PublicKey,
}

/// The issuer's side: spends the token, lets the key in, hands the list over; or says why not.
pub(super) async fn admit(inner: &Arc<Inner>, connection: &quinn::Connection, asked: Joining) {
    let Joining { mut send, token, key } = asked;
    let id = key.id();
    let list = match redeem(inner.clone(), token, key).await {
        Ok(list) => list,
        Err(error) => {
            warn!(id = %id.short(), %error, "join refused");
            let words: String = told(&error).chars().take(reason::MOST_WORDS).collect();
            return connection.close(CloseReason::JoinRefused.code().into(), words.as_bytes());
        }
    };
    info!(id = %id.short(), "a node joined");
    if let Err(error) = hand_over(&mut send, &list, inner.config.limits.payload).await {
        warn!(id = %id.short(), %error, "the trust list was not handed over: the token is spent, a new one lets the same key in again");
    }
    let _ = timeout(READ_TIME, connection.closed()).await;
    connection.close(CloseReason::Leaving.code().into(), b"");
}

/// What a stranger is told of an error: everything about the token, nothing about this machine.
fn told(error: &WireError) -> String {
    match error {
        WireError::Io { .. } | WireError::Tls { .. } => "the member could not write it down; its log says why".into(),
        error => error.to_string(),
    }
}

async fn hand_over(send: &mut quinn::SendStream, list: &TrustList, limit: usize) -> Result<(), String> {
    for page in pages_of(list) {
        let page = to_payload("a page of the trust list", &page).map_err(|e| e.to_string())?;
        let frame = Frame::encode(Kind::Joined, 0, 1, &page, limit).map_err(|e| e.to_string())?;
        let written = timeout(PAGE_TIME, send.write_all(&frame)).await;
        written.map_err(|_| "it took too long".to_string())?.map_err(|e| e.to_string())?;
    }
    let _ = send.finish();
    Ok(())
}

/// Signing, verifying and syncing files are not for the threads that carry packets.
async fn redeem(inner: Arc<Inner>, token: JoinToken, key: PublicKey) -> Result<TrustList> {
    let work = move || inner.trust.redeem(&inner.identity, &token, &key, now_ms());
    tokio::task::spawn_blocking(work).await.map_err(WireError::tls("redeeming the token"))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrustStore;

    fn identity(seed: u8) -> Identity {
        Identity::from_seed(&[seed; 32]).unwrap()
    }

    /// What comes back must be a list of the token's swarm with its issuer and the newcomer on it.
    #[test]
    fn a_list_without_us_is_refused() {
        let (issuer, us, other) = (identity(1), identity(2), identity(3));
        let list = |newcomer: &Identity| {
            let mut list = TrustList::found(&issuer, 1).unwrap();
            list.admit(&issuer, newcomer.public_key(), 2).unwrap();
            list
        };
        let token = TrustStore::in_memory(list(&other)).issue_token(&issuer, 60_000, &[], 3).unwrap();
        assert!(check(list(&us), &us, &token).is_ok());
        assert!(matches!(check(list(&other), &us, &token), Err(WireError::NotMember { id }) if id == us.id()));
        let elsewhere = TrustList::found(&other, 1).unwrap();
        assert!(matches!(check(elsewhere, &us, &token), Err(WireError::OtherSwarm { .. })));
    }
}
