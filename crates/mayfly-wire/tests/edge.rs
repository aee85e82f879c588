//! X.509 for edge and HTTP, and classical cryptography turned away everywhere.

mod common;

use common::*;
use mayfly_wire::*;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, NamedGroup, ServerConfig, ServerConnection};
use std::sync::Arc;

/// A handshake in memory: the group that was agreed on, or the first error of either side.
fn handshake(client: ClientConfig, server: ServerConfig) -> Result<NamedGroup, rustls::Error> {
    let name = ServerName::try_from("node.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, |mut part| server.read_tls(&mut part).unwrap());
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, |mut part| client.read_tls(&mut part).unwrap());
        client.process_new_packets()?;
    }
    Ok(client.negotiated_key_exchange_group().unwrap().name())
}

fn feed(mut bytes: &[u8], mut read: impl FnMut(&[u8]) -> usize) {
    while !bytes.is_empty() {
        let taken = read(bytes);
        bytes = &bytes[taken..];
    }
}

fn names() -> Vec<String> {
    vec!["node.example".into()]
}

fn server(policy: KeyExchange) -> ServerConfig {
    edge_server_config(&identity(1), &names(), policy).unwrap()
}

fn client(policy: KeyExchange) -> ClientConfig {
    edge_client_config(&[edge_certificate(&identity(1), &names()).unwrap()], policy).unwrap()
}

/// A client that knows ML-DSA but only this key exchange.
fn client_with(group: &'static dyn rustls::crypto::SupportedKxGroup) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(edge_certificate(&identity(1), &names()).unwrap()).unwrap();
    let mut provider = default_provider();
    provider.kx_groups = vec![group];
    let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

#[test]
fn every_policy_shakes_hands_over_x509() {
    let hybrid = NamedGroup::Unknown(0x11ed);
    assert_eq!(handshake(client(KeyExchange::Hybrid), server(KeyExchange::Hybrid)), Ok(hybrid));
    assert_eq!(handshake(client(KeyExchange::Pure), server(KeyExchange::Pure)), Ok(NamedGroup::MLKEM1024));
    assert_eq!(handshake(client(KeyExchange::Public), server(KeyExchange::Public)), Ok(hybrid));
    assert_eq!(handshake(client(KeyExchange::Pure), server(KeyExchange::Public)), Ok(NamedGroup::MLKEM1024));
    assert!(handshake(client(KeyExchange::Pure), server(KeyExchange::Hybrid)).is_err());
}

#[test]
fn browsers_groups_are_for_the_public_port_only() {
    let browser = || client_with(kx_group::X25519MLKEM768);
    assert_eq!(handshake(browser(), server(KeyExchange::Public)), Ok(NamedGroup::X25519MLKEM768));
    assert!(handshake(browser(), server(KeyExchange::Hybrid)).is_err());
    for classical in [kx_group::X25519, kx_group::SECP384R1] {
        assert!(handshake(client_with(classical), server(KeyExchange::Public)).is_err(), "{classical:?}");
    }
}

#[test]
fn a_classical_chain_is_refused_even_when_it_is_trusted() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let certificate = rcgen::CertificateParams::new(names()).unwrap().self_signed(&key).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let mut provider = default_provider();
    provider.kx_groups = vec![SECP384R1_MLKEM1024];
    let builder = ServerConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions().unwrap();
    let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = builder.with_no_client_auth().with_single_cert(chain.clone(), secret).unwrap();
    let client = edge_client_config(&chain, KeyExchange::Hybrid).unwrap();
    assert!(handshake(client, server).is_err());
}

#[test]
fn another_nodes_certificate_is_refused() {
    let other = edge_server_config(&identity(2), &names(), KeyExchange::Hybrid).unwrap();
    assert!(handshake(client(KeyExchange::Hybrid), other).is_err());
    let elsewhere = edge_server_config(&identity(1), &["other.example".into()], KeyExchange::Hybrid).unwrap();
    assert!(handshake(client(KeyExchange::Hybrid), elsewhere).is_err());
}

/// The group's key exchange by itself: both sides reach one secret, wrong shares are refused.
#[test]
fn the_hybrid_group_agrees_and_checks_lengths() {
    let group = SECP384R1_MLKEM1024;
    let offer = group.start().unwrap();
    let share = offer.pub_key().to_vec();
    assert_eq!((share.len(), share[0]), (97 + 1568, 4), "the curve's point comes first");
    assert!(offer.hybrid_component().is_none(), "the curve is never offered alone");
    let answer = group.start_and_complete(&share).unwrap();
    assert_eq!(answer.pub_key.len(), 97 + 1568);
    let secret = offer.complete(&answer.pub_key).unwrap();
    assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());
    assert_eq!(secret.secret_bytes().len(), 48 + 32);
    for wrong in [0, 1, 97, share.len() - 1, share.len() + 1] {
        let mut cut = share.clone();
        cut.resize(wrong, 0);
        assert!(group.start_and_complete(&cut).is_err(), "{wrong}");
    }
    let mut off_curve = share.clone();
    off_curve[50] ^= 1;
    assert!(group.start_and_complete(&off_curve).is_err());
}

#[tokio::test]
async fn a_classical_quic_client_gets_nowhere() {
    let (a, b) = (identity(1), identity(2));
    let node = bind(&a, trust(&[&a, &b]));
    let mut provider = default_provider();
    provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    let roots = rustls::RootCertStore { roots: Vec::new() };
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"mayfly/1".to_vec()];
    let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let socket = quinn::Endpoint::client(loopback()).unwrap();
    let connecting = socket.connect_with(quinn::ClientConfig::new(Arc::new(quic)), node.addr(), "node.example");
    let refused = soon("the handshake", connecting.unwrap()).await;
    // Alert 40: no group in common.
    let closed =
        matches!(&refused, Err(quinn::ConnectionError::ConnectionClosed(c)) if u64::from(c.error_code) == 0x128);
    assert!(closed, "{refused:?}");
    assert!(node.links().is_empty());
}
