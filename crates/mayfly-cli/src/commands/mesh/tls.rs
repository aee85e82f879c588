//! TLS to nodes that speak it.

use super::target::Target;
use anyhow::{Context, Result};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::path::Path;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Whose certificates are believed, and the one of one's own.
pub struct Tls(ClientTlsConfig);

impl Tls {
    /// None for nodes that are asked in clear.
    pub fn new(target: &Target) -> Result<Option<Self>> {
        let Some(path) = &target.cacert else { return Ok(None) };
        prefer_hybrid();
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?));
        if let Some((cert, key)) = target.own_cert.as_deref().zip(target.own_key.as_deref()) {
            config = config.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        Ok(Some(Self(config)))
    }

    pub fn config(&self) -> ClientTlsConfig {
        self.0.clone()
    }
}

/// Keys are agreed on in the hybrid of X25519 and ML-KEM-768, if the node speaks it.
fn prefer_hybrid() {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    let _ = provider.install_default(); // it fails only when this was done before
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
