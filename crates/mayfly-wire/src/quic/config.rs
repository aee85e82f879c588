//! Settings, ours and QUIC's.

use super::floor::FlooredCubic;
use crate::tls::KeyExchange;
use crate::{Identity, Limits, Result, WireError};
use aws_lc_rs::hmac;
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// UDP payload on loopback, where it needs no probing (the interface carries 65,536 bytes; a quarter keeps bursts small), and on Ethernet, which quinn probes for
/// (1,452, its upper bound).
const LOOPBACK_MTU: u16 = 16_384;
const ETHERNET_MTU: u16 = 1452;
/// Bytes that the system may hold for us.
const SOCKET_BUFFER: usize = 4 << 20;
/// Bytes under way on a fresh loopback link: there is no path to be gentle with.
const LOOPBACK_WINDOW: u64 = 1 << 20;
/// Packets that may come before one acknowledgement has to go: a wake-up for every second packet costs more than it tells where nothing gets lost.
const LOOPBACK_ACK_EVERY: u32 = 10;
/// Bytes on their way to us that one stream and one link may have, and that one link may have on its way from us.
const STREAM_WINDOW: u32 = 8 << 20;
const LINK_WINDOW: u32 = 16 << 20;

/// How long an address stays proven: as long as a call may wait at the door when many do.
const RETRY_LIFETIME: Duration = Duration::from_secs(60);

/// How an endpoint behaves. Start from [`EndpointConfig::new`].
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How keys are agreed on: hybrid unless told; pure is the other choice.
    pub key_exchange: KeyExchange,
    /// What a message may measure.
    pub limits: Limits,
    /// What the program calls itself in Hello.
    pub program: String,
    /// A quiet link sends something this often, in milliseconds; 5,000.
    pub keep_alive_ms: u64,
    /// A link that hears nothing for this long is lost, in milliseconds; 15,000.
    pub idle_timeout_ms: u32,
    /// How long a handshake may take, in milliseconds; 10,000.
    pub handshake_timeout_ms: u64,
    /// How long an answer may take, and the head of an incoming message, in milliseconds; 30,000.
    pub request_timeout_ms: u64,
    /// Most links at once; 4,096.
    pub max_links: usize,
    /// Most handshakes at once, others wait; 256.
    pub max_handshakes: usize,
    /// From this many handshakes on, an address must prove itself by QUIC Retry before anything is computed for it; 64.
    pub retry_from: usize,
    /// Messages that wait for [`crate::Transport::next`] before links are held up; 1,024.
    pub inbox: usize,
    /// Requests at once per link; 256.
    pub max_requests: u32,
    /// Incoming bodies at once per link; 16.
    pub max_bodies: u32,
}

impl EndpointConfig {
    /// The defaults.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            key_exchange: KeyExchange::default(),
            limits: Limits::default(),
            program: concat!("mayfly/", env!("CARGO_PKG_VERSION")).into(),
            keep_alive_ms: 5_000,
            idle_timeout_ms: 15_000,
            handshake_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            max_links: 4096,
            max_handshakes: 256,
            retry_from: 64,
            inbox: 1024,
            max_requests: 256,
            max_bodies: 16,
        }
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// A UDP socket that listens, before anything else of a node is there: a node that cannot have its port has then done nothing.
#[derive(Debug)]
pub struct Listener(std::net::UdpSocket);

impl Listener {
    /// Binds; port 0 takes a free one.
    ///
    /// # Errors
    /// [`WireError::Listen`].
    pub fn bind(addr: SocketAddr) -> Result<Self> {
        let udp = std::net::UdpSocket::bind(addr);
        udp.map(Self).map_err(|e| WireError::Listen { addr, reason: e.to_string() })
    }
}

/// A socket's endpoint; without `server`, one that only connects. With `identity`, it tells those who still talk to the process that had this name before that it is gone:
/// otherwise they would take its silence for loss until the link's idle timeout.
pub(super) fn socket(
    listener: Listener,
    config: &EndpointConfig,
    server: Option<rustls::ServerConfig>,
    identity: Option<&Identity>,
) -> Result<quinn::Endpoint> {
    let failed = |reason: String| WireError::Listen { addr: config.listen, reason };
    let Listener(udp) = listener;
    // Many handshakes at once arrive faster than one thread reads. What the system does not grant is not missed.
    let _ = socket2::SockRef::from(&udp).set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket2::SockRef::from(&udp).set_send_buffer_size(SOCKET_BUFFER);
    let server = server.map(|tls| quic_server(config, tls)).transpose()?;
    let mut settings = identity.map(lasting).unwrap_or_default();
    settings.max_udp_payload_size(LOOPBACK_MTU).map_err(|e| failed(e.to_string()))?;
    let runtime = Arc::new(quinn::TokioRuntime);
    quinn::Endpoint::new(settings, server, udp, runtime).map_err(|e| failed(e.to_string()))
}

/// Connection ids that the next process of this identity recognises as its own, and the key of stateless resets (RFC 9000, 10.3) that its peers then believe.
fn lasting(identity: &Identity) -> quinn::EndpointConfig {
    let reset_key = identity.derive("mayfly-wire 1 stateless reset");
    let id_key = identity.derive("mayfly-wire 1 connection ids");
    let id_key = u64::from_le_bytes(core::array::from_fn(|i| id_key[i]));
    let mut settings = quinn::EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset_key[..])));
    settings.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));
    settings
}

fn quic_server(config: &EndpointConfig, tls: rustls::ServerConfig) -> Result<quinn::ServerConfig> {
    let crypto = QuicServerConfig::with_initial(Arc::new(tls), initial_suite()?).map_err(WireError::tls("QUIC"))?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    server
        .retry_token_lifetime(RETRY_LIFETIME)
        .max_incoming(config.max_links)
        .transport_config(transport(config, config.listen));
    Ok(server)
}

pub(super) fn quic_client(tls: rustls::ClientConfig) -> Result<Arc<QuicClientConfig>> {
    let crypto = QuicClientConfig::with_initial(Arc::new(tls), initial_suite()?).map_err(WireError::tls("QUIC"))?;
    Ok(Arc::new(crypto))
}

/// QUIC's first packets are always AES-128, under a key that everybody can compute; it protects nothing.
fn initial_suite() -> Result<rustls::quic::Suite> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
    suite.ok_or(WireError::Tls { what: "QUIC", reason: "the TLS library lacks its initial cipher suite".into() })
}

/// For links over the path to `addr`.
pub(super) fn transport(config: &EndpointConfig, addr: SocketAddr) -> Arc<TransportConfig> {
    let is_loopback = addr.ip().is_loopback();
    let mut cubic = CubicConfig::default();
    let mut transport = TransportConfig::default();
    if is_loopback {
        cubic.initial_window(LOOPBACK_WINDOW);
        let mut acks = AckFrequencyConfig::default();
        acks.ack_eliciting_threshold(VarInt::from_u32(LOOPBACK_ACK_EVERY));
        transport.initial_mtu(LOOPBACK_MTU).mtu_discovery_config(None).ack_frequency_config(Some(acks));
        // quinn hands ten packets to the system at once, which takes 64 KiB: ten of these are refused, count as lost, and the link falls back to packets of 1,200.
        transport.enable_segmentation_offload(false);
    }
    let largest_mtu = if is_loopback { LOOPBACK_MTU } else { ETHERNET_MTU };
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(config.max_requests))
        .max_concurrent_uni_streams(VarInt::from_u32(config.max_bodies))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(config.idle_timeout_ms))))
        .keep_alive_interval(Some(Duration::from_millis(config.keep_alive_ms)))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(LINK_WINDOW))
        .send_window(LINK_WINDOW.into())
        .congestion_controller_factory(Arc::new(FlooredCubic { cubic: Arc::new(cubic), largest_mtu }));
    Arc::new(transport)
}
