//! The envelope: who signed the manifest's bytes. The style is DSSE's, with the payload beside it instead of inside.

use crate::bytes::{from_base64, to_base64};
use crate::error::{PackError, Result, check_limit};
use crate::keys::{KeyId, SecretKey};
use crate::limits::{ENVELOPE_BYTES, SIGNATURES};
use serde::{Deserialize, Serialize};

const PAYLOAD_TYPE: &str = "application/vnd.mayfly.kernel-pack+json";
const ALGORITHM: &str = "ed25519+ml-dsa-87";

/// `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`: what is signed.
pub fn pre_authentication_encoding(payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// Signatures over one manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// At most eight, no two by the same key.
    pub signatures: Vec<Signature>,
}

/// One signer's two signatures.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Who says to have signed.
    pub key_id: KeyId,
    pub(crate) ed25519: Vec<u8>,
    pub(crate) ml_dsa: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeFile {
    payload_type: String,
    signatures: Vec<SignatureFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    key_id: String,
    algorithm: String,
    ed25519: String,
    ml_dsa_87: String,
}

impl Envelope {
    /// Adds a signature over `manifest`, in place of an older one by the same key.
    ///
    /// # Errors
    /// [`PackError::LimitExceeded`] for a ninth signer.
    pub fn sign(&mut self, manifest: &[u8], key: &SecretKey) -> Result<()> {
        let (ed25519, ml_dsa) = key.sign(&pre_authentication_encoding(manifest))?;
        let key_id = key.public().id().clone();
        self.signatures.retain(|s| s.key_id != key_id);
        check_limit("signatures in the envelope", self.signatures.len() as u64 + 1, SIGNATURES as u64)?;
        self.signatures.push(Signature { key_id, ed25519, ml_dsa });
        Ok(())
    }

    /// Reads `kernels.json.sig`.
    ///
    /// # Errors
    /// [`PackError::BadEnvelope`] or [`PackError::LimitExceeded`].
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        check_limit("bytes of kernels.json.sig", bytes.len() as u64, ENVELOPE_BYTES)?;
        let file: EnvelopeFile = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if file.payload_type != PAYLOAD_TYPE {
            return Err(bad(format!("payload_type: expected {PAYLOAD_TYPE}, found {}", file.payload_type)));
        }
        check_limit("signatures in the envelope", file.signatures.len() as u64, SIGNATURES as u64)?;
        if file.signatures.is_empty() {
            return Err(bad("no signatures: sign the pack with `mayfly pack sign`"));
        }
        let mut envelope = Self::default();
        for (i, entry) in file.signatures.iter().enumerate() {
            let signature = read_signature(entry).map_err(|what| bad(format!("/signatures/{i}/{what}")))?;
            if envelope.signatures.iter().any(|s| s.key_id == signature.key_id) {
                return Err(bad(format!("/signatures/{i}/key_id: the key signs twice")));
            }
            envelope.signatures.push(signature);
        }
        Ok(envelope)
    }

    /// The text of `kernels.json.sig`.
    pub fn to_json(&self) -> String {
        let entry = |s: &Signature| SignatureFile {
            key_id: s.key_id.to_string(),
            algorithm: ALGORITHM.into(),
            ed25519: to_base64(&s.ed25519),
            ml_dsa_87: to_base64(&s.ml_dsa),
        };
        let signatures = self.signatures.iter().map(entry).collect();
        let file = EnvelopeFile { payload_type: PAYLOAD_TYPE.into(), signatures };
        serde_json::to_string_pretty(&file).unwrap_or_default()
    }
}

fn read_signature(entry: &SignatureFile) -> Result<Signature, String> {
    if entry.algorithm != ALGORITHM {
        return Err(format!("algorithm: expected {ALGORITHM}, found {}", entry.algorithm));
    }
    let key_id = entry.key_id.parse::<KeyId>().ok().filter(|id| id.as_str() == entry.key_id);
    let key_id = key_id.ok_or("key_id: expected 64 lowercase hex digits")?;
    let bytes = |text: &str, what: &str, len: usize| {
        let bytes = from_base64(text).filter(|b| b.len() == len);
        bytes.ok_or_else(|| format!("{what}: expected {len} bytes in base64"))
    };
    Ok(Signature {
        key_id,
        ed25519: bytes(&entry.ed25519, "ed25519", 64)?,
        ml_dsa: bytes(&entry.ml_dsa_87, "ml_dsa_87", 4627)?,
    })
}

fn bad(what: impl Into<String>) -> PackError {
    PackError::BadEnvelope { what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_keeps_payloads_apart() {
        let text = String::from_utf8(pre_authentication_encoding(b"{}")).unwrap();
        assert_eq!(text, "DSSEv1 39 application/vnd.mayfly.kernel-pack+json 2 {}");
    }

    #[test]
    fn round_trip_and_refusals() {
        let key = SecretKey::from_seeds("a", [1; 32], [2; 32]);
        let mut envelope = Envelope::default();
        envelope.sign(b"manifest", &key).unwrap();
        envelope.sign(b"manifest", &key).unwrap();
        assert_eq!(envelope.signatures.len(), 1);
        let text = envelope.to_json();
        assert_eq!(Envelope::from_json(text.as_bytes()).unwrap(), envelope);
        for (from, to) in
            [("kernel-pack+json", "else"), ("ed25519+", "rsa+"), ("\"key_id\"", "\"keyid\""), ("==\"", "=\"")]
        {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from} occurs");
            assert!(matches!(Envelope::from_json(changed.as_bytes()), Err(PackError::BadEnvelope { .. })), "{from}");
        }
        let twice = Envelope { signatures: [envelope.signatures.clone(), envelope.signatures].concat() };
        assert!(matches!(Envelope::from_json(twice.to_json().as_bytes()), Err(PackError::BadEnvelope { .. })));
    }

    #[test]
    fn too_many_signers() {
        let mut envelope = Envelope::default();
        for seed in 0..8 {
            envelope.sign(b"m", &SecretKey::from_seeds("a", [seed; 32], [seed; 32])).unwrap();
        }
        let ninth = envelope.sign(b"m", &SecretKey::from_seeds("a", [9; 32], [9; 32]));
        assert!(matches!(ninth, Err(PackError::LimitExceeded { asked: 9, limit: 8, .. })));
    }
}
