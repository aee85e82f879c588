//! The real endpoint: QUIC on UDP.

mod accept;
mod config;
mod dial;
mod floor;
mod join;
mod link;
mod reason;
mod serve;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub use config::{EndpointConfig, Listener};
pub(crate) use dial::read_first_words;
pub use join::join;

use crate::identity::random;
use crate::inbox::Inbox;
use crate::tls::{self, KeyExchange, Trusting};
use crate::{BodyWriter, CloseReason, Event, Identity, LinkStats, Peer, Result, Transport, TrustStore, WireError};
use mayfly_base::NodeId;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};
use table::Table;
use tokio::sync::Semaphore;

/// A node's end of all its links. Dropping it closes them without a word; [`Transport::close`] says goodbye.
pub struct Endpoint {
    inner: Arc<Inner>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({} at {})", self.inner.identity.id().short(), self.inner.addr)
    }
}

struct Inner {
    identity: Identity,
    trust: Arc<TrustStore>,
    config: EndpointConfig,
    addr: SocketAddr,
    socket: quinn::Endpoint,
    /// See [`dial::Hello`].
    process: u64,
    client: Arc<quinn::crypto::rustls::QuicClientConfig>,
    links: Table,
    dialing: dial::Dialing,
    /// Links whose handshake is not through.
    handshakes: Arc<Semaphore>,
    inbox: Inbox,
}

impl Inner {
    fn hello(&self) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        dial::Hello::frame(&self.config.program, self.process)
    }
}

impl Endpoint {
    /// Listens. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`WireError::Listen`] when the address cannot be bound, [`WireError::Tls`] for [`KeyExchange::Public`], which is not for nodes.
    pub fn bind(identity: Identity, trust: Arc<TrustStore>, config: EndpointConfig) -> Result<Self> {
        Self::on(Listener::bind(config.listen)?, identity, trust, config)
    }

    /// As [`Endpoint::bind`], on a socket that is bound to `config.listen` already.
    ///
    /// # Errors
    /// Those of [`Endpoint::bind`].
    pub fn on(listener: Listener, identity: Identity, trust: Arc<TrustStore>, config: EndpointConfig) -> Result<Self> {
        refuse_public(config.key_exchange)?;
        let trusting = Trusting::List(trust.clone());
        let client = tls::client_config(&identity, trusting.clone(), config.key_exchange)?;
        let server = tls::server_config(&identity, trusting, config.key_exchange)?;
        let socket = config::socket(listener, &config, Some(server), Some(&identity))?;
        let addr = socket.local_addr().map_err(|e| WireError::Listen { addr: config.listen, reason: e.to_string() })?;
        let mut process = [0; 8];
        random(&mut process)?;
        let inner = Arc::new(Inner {
            process: u64::from_le_bytes(process),
            identity,
            trust,
            addr,
            client: config::quic_client(client)?,
            links: Table::default(),
            dialing: dial::Dialing::default(),
            handshakes: Arc::new(Semaphore::new(config.max_handshakes)),
            inbox: Inbox::new(config.inbox),
            socket,
            config,
        });
        tokio::spawn(accept::accept_all(inner.socket.clone(), Arc::downgrade(&inner)));
        tokio::spawn(watch_trust(inner.trust.clone(), Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// Who is trusted. Changes take effect at once: a key that is shut out loses its links.
    pub fn trust(&self) -> &Arc<TrustStore> {
        &self.inner.trust
    }

    /// This node's keys.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Connections that the socket holds, those in their handshake and those being closed counted.
    pub fn open_connections(&self) -> usize {
        self.inner.socket.open_connections()
    }

    /// A token that lets one node in through this one, which must be running when it is redeemed.
    ///
    /// # Errors
    /// Those of [`TrustStore::issue_token`].
    pub fn issue_token(&self, valid_ms: u64, contacts: &[SocketAddr]) -> Result<crate::JoinToken> {
        self.inner.trust.issue_token(&self.inner.identity, valid_ms, contacts, now_ms())
    }

    /// Which member listens at an address; it may be this node itself.
    ///
    /// # Errors
    /// [`WireError::Connect`], also when whoever listens there is no member or takes this node for none, and [`WireError::TimedOut`].
    pub async fn who_is_at(&self, addr: SocketAddr) -> Result<NodeId> {
        dial::who_is_at(&self.inner, addr).await
    }

    /// Closes the links to a node.
    pub fn disconnect(&self, id: NodeId, why: CloseReason) {
        self.inner.links.of(id).iter().for_each(|link| link.close(why));
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.inner.inbox.close();
        self.inner.socket.close(CloseReason::Leaving.code().into(), b"");
    }
}

impl Transport for Endpoint {
    fn id(&self) -> NodeId {
        self.inner.identity.id()
    }

    fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    async fn connect(&self, to: Peer) -> Result<()> {
        dial::link_to(&self.inner, to).await.map(drop)
    }

    async fn request(&self, to: Peer, topic: u16, payload: &[u8]) -> Result<Vec<u8>> {
        dial::link_to(&self.inner, to).await?.request(topic, payload, &self.inner.config).await
    }

    async fn datagram(&self, to: Peer, topic: u16, payload: &[u8]) -> Result<()> {
        dial::link_to(&self.inner, to).await?.datagram(topic, payload, &self.inner.config)
    }

    async fn body(&self, to: Peer, topic: u16, meta: &[u8], len: u64) -> Result<BodyWriter> {
        dial::link_to(&self.inner, to).await?.body(topic, meta, len, &self.inner.config).await
    }

    async fn next(&self) -> Option<Event> {
        self.inner.inbox.next().await
    }

    fn links(&self) -> Vec<LinkStats> {
        self.inner.links.primaries().iter().map(|link| link.stats()).collect()
    }

    async fn close(&self) {
        self.inner.inbox.close();
        self.inner.links.all().iter().for_each(|link| link.close(CloseReason::Leaving));
        self.inner.socket.close(CloseReason::Leaving.code().into(), b"");
        // A peer that does not answer must not keep a node from stopping.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), self.inner.socket.wait_idle()).await;
    }
}

fn refuse_public(policy: KeyExchange) -> Result<()> {
    match policy {
        KeyExchange::Hybrid | KeyExchange::Pure => Ok(()),
        KeyExchange::Public => Err(WireError::Tls {
            what: "the key exchange",
            reason: "the public policy is not for links between nodes".into(),
        }),
    }
}

/// Closes the links of those who are members no more.
async fn watch_trust(trust: Arc<TrustStore>, inner: Weak<Inner>) {
    let mut changes = trust.watch();
    drop(trust);
    while changes.changed().await.is_ok() {
        let Some(inner) = inner.upgrade() else { return };
        for link in inner.links.all() {
            if let Some(why) = shut_out(&inner.trust, link.peer.id) {
                link.close(why);
            }
        }
    }
}

/// Why a node may have no link, if so.
fn shut_out(trust: &TrustStore, id: NodeId) -> Option<CloseReason> {
    match trust.member(id) {
        Ok(_) => None,
        Err(WireError::Revoked { .. }) => Some(CloseReason::Revoked),
        Err(_) => Some(CloseReason::NotMember),
    }
}

/// Milliseconds since 1970; 0 on a clock before that.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
