//! X.509, for edge clients and HTTP: a self-signed certificate of the node's key.

use super::policy::KeyExchange;
use super::signing::NodeKey;
use crate::{Identity, Result, WireError};
use rcgen::{CertificateParams, PKCS_ML_DSA_87, PublicKeyData, SignatureAlgorithm};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;

impl PublicKeyData for NodeKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ML_DSA_87
    }
}

impl rcgen::SigningKey for NodeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign_raw(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// A self-signed X.509 certificate of the node's key for these host names or addresses, DER.
///
/// # Errors
/// [`WireError::Tls`] when a name is none.
pub fn edge_certificate(identity: &Identity, names: &[String]) -> Result<CertificateDer<'static>> {
    let params = CertificateParams::new(names.to_vec()).map_err(WireError::tls("the certificate's names"))?;
    let signed = params.self_signed(&NodeKey(identity.clone())).map_err(WireError::tls("the certificate"))?;
    Ok(signed.der().clone())
}

/// TLS for a public port: [`edge_certificate`], TLS 1.3, no client certificate. Set the ALPN of what is spoken on it.
///
/// # Errors
/// [`WireError::Tls`].
pub fn edge_server_config(identity: &Identity, names: &[String], policy: KeyExchange) -> Result<ServerConfig> {
    let certificate = edge_certificate(identity, names)?;
    let key = CertifiedKey::new(vec![certificate], Arc::new(NodeKey(identity.clone())));
    let builder = ServerConfig::builder_with_provider(policy.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(WireError::tls("the TLS policy"))?;
    Ok(builder.with_no_client_auth().with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key))))
}

/// TLS for a client of such ports that trusts exactly these certificates (DER), all of them ML-DSA-87: a classical chain is refused.
///
/// # Errors
/// [`WireError::Tls`] when a certificate cannot be read or there is none.
pub fn edge_client_config(trusted: &[CertificateDer<'_>], policy: KeyExchange) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone().into_owned()).map_err(WireError::tls("the trusted certificate"))?;
    }
    let provider = policy.provider();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(WireError::tls("the trusted certificates"))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(WireError::tls("the TLS policy"))?;
    Ok(builder.with_webpki_verifier(verifier).with_no_client_auth())
}
