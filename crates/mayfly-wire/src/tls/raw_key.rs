//! Links between nodes: raw public keys on both sides, held against the trust list.

use super::policy::{KeyExchange, SIGNATURES};
use super::signing::NodeKey;
use crate::{Identity, PublicKey, Result, TrustStore, WireError};
use mayfly_base::NodeId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, ServerSessionMemoryCache};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme};
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;

const ALPN: &[u8] = b"mayfly/1";
/// Sessions kept for resumption on each side. One holds the peer's key: about 3 kB.
const SESSIONS: usize = 1024;

/// Whose keys are let through the handshake.
#[derive(Clone, Debug)]
pub(crate) enum Trusting {
    /// Members; on the accepting side also unknown keys while a join token is out.
    List(Arc<TrustStore>),
    /// One node: the issuer of the token that a newcomer holds.
    Only(NodeId),
}

impl Trusting {
    fn check(&self, id: NodeId, side: Side, now: UnixTime) -> Result<()> {
        match (self, side) {
            (Self::Only(want), _) if id == *want => Ok(()),
            (Self::Only(want), _) => Err(WireError::WrongPeer { want: *want, got: id }),
            (Self::List(store), _) => match (store.member(id), side) {
                (Err(WireError::NotMember { .. }), Side::Accepting) if store.expects_joins(now.as_secs() * 1000) => {
                    Ok(())
                }
                (checked, _) => checked.map(drop),
            },
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Connecting,
    Accepting,
}

#[derive(Debug)]
struct Verifier(Trusting);

impl Verifier {
    fn check(&self, spki: &CertificateDer<'_>, side: Side, now: UnixTime) -> Result<(), Error> {
        let key = PublicKey::from_spki(spki).map_err(|_| CertificateError::BadEncoding)?;
        self.0.check(key.id(), side, now).map_err(|error| {
            Error::from(match error {
                WireError::Revoked { .. } => CertificateError::Revoked,
                _ => CertificateError::UnknownIssuer,
            })
        })
    }
}

fn verify_signature(
    message: &[u8],
    key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = SubjectPublicKeyInfoDer::from(key.as_ref());
    verify_tls13_signature_with_raw_key(message, &spki, signed, &SIGNATURES)
}

const NO_TLS12: Error = Error::PeerIncompatible(PeerIncompatible::Tls13RequiredForQuic);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, Side::Connecting, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ML_DSA_87]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, Side::Accepting, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ML_DSA_87]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The side that connects. Who was meant is not checked here but when the link is up, where the error can say who answered instead.
pub(crate) fn client_config(identity: &Identity, trust: Trusting, policy: KeyExchange) -> Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(policy.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(WireError::tls("the TLS policy"))?
        .dangerous() // rustls's word for a verifier that is not its own
        .with_custom_certificate_verifier(Arc::new(Verifier(trust)))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(NodeKey::raw(identity))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false; // it would tell listeners who is called
    config.enable_early_data = false;
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

/// The side that accepts. Sessions are kept here, not in tickets, so there is no ticket key to steal.
pub(crate) fn server_config(identity: &Identity, trust: Trusting, policy: KeyExchange) -> Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(policy.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(WireError::tls("the TLS policy"))?
        .with_client_cert_verifier(Arc::new(Verifier(trust)))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(NodeKey::raw(identity))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_early_data_size = 0;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Ok(config)
}
