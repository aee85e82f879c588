//! Which key exchange, and the one signature scheme.

use super::hybrid::SECP384R1_MLKEM1024;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms};
use std::sync::Arc;
use webpki::aws_lc_rs::ML_DSA_87;

/// How two sides agree on keys. Both ends need the same policy, or one that shares a group with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyExchange {
    /// P-384 and ML-KEM-1024 together (SecP384r1MLKEM1024): safe while either holds.
    #[default]
    Hybrid,
    /// ML-KEM-1024 alone.
    Pure,
    /// Both of these, and X25519MLKEM768 for browsers. For HTTP and edge clients, refused between nodes.
    Public,
}

impl KeyExchange {
    fn groups(self) -> Vec<&'static dyn SupportedKxGroup> {
        match self {
            Self::Hybrid => vec![SECP384R1_MLKEM1024],
            Self::Pure => vec![kx_group::MLKEM1024],
            Self::Public => vec![SECP384R1_MLKEM1024, kx_group::MLKEM1024, kx_group::X25519MLKEM768],
        }
    }

    /// The groups' names as people know them, best first.
    pub fn group_names(self) -> &'static [&'static str] {
        match self {
            Self::Hybrid => &["SecP384r1MLKEM1024"],
            Self::Pure => &["MLKEM1024"],
            Self::Public => &["SecP384r1MLKEM1024", "MLKEM1024", "X25519MLKEM768"],
        }
    }

    /// 256-bit ciphers only, ML-DSA-87 only.
    pub(super) fn provider(self) -> Arc<CryptoProvider> {
        Arc::new(CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
            kx_groups: self.groups(),
            signature_verification_algorithms: SIGNATURES,
            ..aws_lc_rs::default_provider()
        })
    }
}

pub(super) const SIGNATURES: WebPkiSupportedAlgorithms =
    WebPkiSupportedAlgorithms { all: &[ML_DSA_87], mapping: &[(SignatureScheme::ML_DSA_87, &[ML_DSA_87])] };
