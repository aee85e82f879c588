//! An identity as TLS wants it.

use crate::Identity;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;

/// Signs with ML-DSA-87, or not at all.
#[derive(Clone, Debug)]
pub(super) struct NodeKey(pub(super) Identity);

impl NodeKey {
    /// The key with itself in the place of a certificate (RFC 7250).
    pub(super) fn raw(identity: &Identity) -> Arc<CertifiedKey> {
        let spki = CertificateDer::from(identity.public_key().spki());
        Arc::new(CertifiedKey::new(vec![spki], Arc::new(Self(identity.clone()))))
    }
}

impl SigningKey for NodeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ML_DSA_87).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.0.public_key().spki().into())
    }

    /// The enumeration of TLS 1.2, which has no number for ML-DSA.
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Unknown(0)
    }
}

impl Signer for NodeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign_raw(message).map_err(|e| Error::General(e.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ML_DSA_87
    }
}
