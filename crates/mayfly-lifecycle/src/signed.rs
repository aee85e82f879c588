//! Certificates that a node signed, and chains of them.
use crate::certificate::{BYTES, Certificate};
use mayfly_wire::{Identity, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, WireError};

/// What is signed is signed for this and nothing else.
const CONTEXT: &str = "mayfly dissolve 1";

const MAGIC: &[u8] = b"mayfly certificate 1\n";

/// Why certificates are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It names a node whose key this is not.
    #[error("certificate {number} names node {named}, and the key is {key}'s")]
    Node {
        /// Its number.
        number: u64,
        /// The node that it names.
        named: mayfly_base::NodeId,
        /// The node of the key.
        key: mayfly_base::NodeId,
    },
    /// The node did not sign it.
    #[error("certificate {number}: {source}")]
    Signature {
        /// Its number.
        number: u64,
        /// What the key says.
        source: WireError,
    },
    /// One is missing, or they are not in order.
    #[error("the chain is broken: behind certificate {before} stands {found}")]
    Missing {
        /// The number of the one before.
        before: u64,
        /// The number that was found.
        found: u64,
    },
    /// The one before was another.
    #[error("the chain is broken: certificate {number} does not follow the one before it")]
    Previous {
        /// Its number.
        number: u64,
    },
    /// A file that holds no certificates.
    #[error("no file of certificates: {what} at byte {at}")]
    File {
        /// Where.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The node could not sign.
    #[error("cannot sign: {0}")]
    Signing(WireError),
}

/// A certificate with the signature of its node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCertificate {
    certificate: Certificate,
    signature: Vec<u8>,
}

impl SignedCertificate {
    /// Signs a certificate. It takes the better part of a millisecond, so it is for whoever wants to show it, not for the end of a life.
    ///
    /// # Errors
    /// A certificate that names another node: start the host with this identity's.
    pub fn sign(certificate: Certificate, identity: &Identity) -> Result<SignedCertificate, CertificateError> {
        named(&certificate, identity.public_key())?;
        let signature = identity.sign(CONTEXT, &certificate.to_bytes()).map_err(CertificateError::Signing)?;
        Ok(SignedCertificate { certificate, signature })
    }

    /// What it states.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Checks that the node of this key states it.
    ///
    /// # Errors
    /// Another node, or a signature that its key did not make.
    pub fn verify(&self, key: &PublicKey) -> Result<(), CertificateError> {
        named(&self.certificate, key)?;
        let number = self.certificate.number;
        let refused = |source| CertificateError::Signature { number, source };
        key.verify(CONTEXT, &self.certificate.to_bytes(), &self.signature).map_err(refused)
    }
}

fn named(certificate: &Certificate, key: &PublicKey) -> Result<(), CertificateError> {
    let (number, named) = (certificate.number, certificate.node);
    if named == key.id() { Ok(()) } else { Err(CertificateError::Node { number, named, key: key.id() }) }
}

/// Certificates of one node with its key: what a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFile {
    key: PublicKey,
    certificates: Vec<SignedCertificate>,
}

impl CertificateFile {
    /// Certificates of a node.
    pub fn new(key: PublicKey, certificates: Vec<SignedCertificate>) -> CertificateFile {
        CertificateFile { key, certificates }
    }

    /// The certificates, in their order.
    pub fn certificates(&self) -> &[SignedCertificate] {
        &self.certificates
    }

    /// The key that the file brings. Whether it is the key of a node that anybody trusts, the file does not say.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Checks every signature, and that each certificate follows the one before it: none is missing between the first and the last.
    ///
    /// # Errors
    /// The first that is not as it should be.
    pub fn verify(&self) -> Result<(), CertificateError> {
        self.certificates.iter().try_for_each(|signed| signed.verify(&self.key))?;
        for two in self.certificates.windows(2) {
            let (before, next) = (&two[0].certificate, &two[1].certificate);
            if before.number.checked_add(1) != Some(next.number) {
                return Err(CertificateError::Missing { before: before.number, found: next.number });
            }
            if next.previous != before.hash() {
                return Err(CertificateError::Previous { number: next.number });
            }
        }
        Ok(())
    }

    /// The bytes of a file: `docs/formats/certificate.md`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [MAGIC, self.key.bytes()].concat();
        for SignedCertificate { certificate, signature } in &self.certificates {
            bytes.extend_from_slice(&certificate.to_bytes());
            bytes.extend_from_slice(signature);
        }
        bytes
    }

    /// Reads a file. Nothing is verified.
    ///
    /// # Errors
    /// What is no such file.
    pub fn from_bytes(bytes: &[u8]) -> Result<CertificateFile, CertificateError> {
        let wrong = |at, what| CertificateError::File { at, what };
        let rest = bytes.strip_prefix(MAGIC).ok_or(wrong(0, "another beginning"))?;
        let (key, rest) = rest.split_at_checked(PUBLIC_KEY_LEN).ok_or(wrong(MAGIC.len(), "no whole key"))?;
        let key = PublicKey::new(key).map_err(|_| wrong(MAGIC.len(), "no key"))?;
        let start = MAGIC.len() + PUBLIC_KEY_LEN;
        let read = |(i, entry): (usize, &[u8])| {
            let at = start + i * (BYTES + SIGNATURE_LEN);
            let (form, signature) = entry.split_at_checked(BYTES).ok_or(wrong(at, "a part of a certificate"))?;
            let certificate = Certificate::from_bytes(form).ok_or(wrong(at, "no certificate"))?;
            match signature.len() {
                SIGNATURE_LEN => Ok(SignedCertificate { certificate, signature: signature.to_vec() }),
                _ => Err(wrong(at + BYTES, "a part of a signature")),
            }
        };
        let certificates = rest.chunks(BYTES + SIGNATURE_LEN).enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(CertificateFile { key, certificates })
    }
}
