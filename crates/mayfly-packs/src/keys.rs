//! Keys that sign packs: Ed25519 and ML-DSA-87 together, so that a signature stays sound while either does.

use crate::bytes::{from_base64, hex, sha256_parts, to_base64};
use crate::error::{PackError, Result};
use ed25519_dalek::Signer;
use ml_dsa::{MlDsa87, Seed};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The context string of the ML-DSA signatures (FIPS 204, section 5.2).
const CONTEXT: &[u8] = b"mayfly-pack-v1";
const KEY_ID_DOMAIN: &[u8] = b"mayfly-pack-key-v1\0";
const SECRET_KIND: &str = "mayfly-pack-secret-key";
const PUBLIC_KIND: &str = "mayfly-pack-public-key";

/// SHA-256 over both public keys, in lowercase hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

const KEY_ID_DIGITS: usize = 64;

impl FromStr for KeyId {
    type Err = PackError;

    /// Reads 64 hex digits, in capitals too; white space around them does not count.
    fn from_str(text: &str) -> Result<Self> {
        let digits = text.trim();
        if let Some(odd) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(bad(format!("a key id has {KEY_ID_DIGITS} hex digits; `{}` is none", odd.escape_default())));
        }
        if digits.len() != KEY_ID_DIGITS {
            return Err(bad(format!("a key id has {KEY_ID_DIGITS} hex digits, these are {}", digits.len())));
        }
        Ok(Self(digits.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for KeyId {
    type Error = PackError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

impl KeyId {
    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What signs. Its seeds are overwritten when it is dropped and never shown by `Debug`.
pub struct SecretKey {
    name: String,
    ed25519_seed: Zeroizing<[u8; 32]>,
    ml_dsa_seed: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    kind: String,
    version: u32,
    name: String,
    ed25519_seed: Zeroizing<String>,
    ml_dsa_87_seed: Zeroizing<String>,
}

impl SecretKey {
    /// A key from two seeds of 32 random bytes each; `name` is for people.
    pub fn from_seeds(name: &str, ed25519_seed: [u8; 32], ml_dsa_seed: [u8; 32]) -> Self {
        let name = name.to_owned();
        Self { name, ed25519_seed: Zeroizing::new(ed25519_seed), ml_dsa_seed: Zeroizing::new(ml_dsa_seed) }
    }

    /// A key from the system's randomness.
    ///
    /// # Errors
    /// [`PackError::Io`] when the system has none to give.
    pub fn generate(name: &str) -> Result<Self> {
        let mut seeds = Zeroizing::new([0; 64]);
        random(&mut *seeds)?;
        let (mut first, mut second) = ([0; 32], [0; 32]);
        first.copy_from_slice(&seeds[..32]);
        second.copy_from_slice(&seeds[32..]);
        Ok(Self::from_seeds(name, first, second))
    }

    /// The JSON of a secret key file.
    pub fn to_json(&self) -> Zeroizing<String> {
        let file = SecretFile {
            kind: SECRET_KIND.into(),
            version: 1,
            name: self.name.clone(),
            ed25519_seed: Zeroizing::new(to_base64(&*self.ed25519_seed)),
            ml_dsa_87_seed: Zeroizing::new(to_base64(&*self.ml_dsa_seed)),
        };
        Zeroizing::new(serde_json::to_string_pretty(&file).unwrap_or_default())
    }

    /// Reads a secret key file.
    ///
    /// # Errors
    /// [`PackError::BadKey`] with what is wrong.
    pub fn from_json(text: &str) -> Result<Self> {
        let file: SecretFile = serde_json::from_str(text).map_err(|e| bad(format!("not a secret key file: {e}")))?;
        check_kind(&file.kind, SECRET_KIND, file.version)?;
        let seed = |text: &str, which| array::<32>(text).ok_or_else(|| bad(format!("{which}: expected 32 bytes")));
        let (ed25519, ml_dsa) =
            (seed(&file.ed25519_seed, "ed25519_seed")?, seed(&file.ml_dsa_87_seed, "ml_dsa_87_seed")?);
        Ok(Self::from_seeds(&file.name, ed25519, ml_dsa))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let ed25519 = self.ed25519().verifying_key().to_bytes();
        let ml_dsa = self.ml_dsa().expanded_key().verifying_key().encode();
        PublicKey::new(&self.name, ed25519, ml_dsa.to_vec())
    }

    /// Both signatures over a message: Ed25519, ML-DSA-87. Both are deterministic.
    ///
    /// # Errors
    /// [`PackError::Other`] should the ML-DSA implementation refuse the context string.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let ed25519 = self.ed25519().sign(message).to_bytes().to_vec();
        let ml_dsa = self.ml_dsa();
        let signature = ml_dsa.expanded_key().sign_deterministic(message, CONTEXT).map_err(PackError::other)?;
        Ok((ed25519, signature.encode().to_vec()))
    }

    fn ed25519(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.ed25519_seed)
    }

    fn ml_dsa(&self) -> ml_dsa::SigningKey<MlDsa87> {
        ml_dsa::SigningKey::<MlDsa87>::from_seed(&Seed::from(*self.ml_dsa_seed))
    }
}

/// What checks signatures.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey {
    /// For people; it says nothing about who holds the key.
    pub name: String,
    id: KeyId,
    ed25519: [u8; 32],
    ml_dsa: Vec<u8>,
}

/// The JSON of a public key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicFile {
    pub(crate) kind: String,
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) key_id: String,
    pub(crate) ed25519: String,
    pub(crate) ml_dsa_87: String,
}

impl PublicKey {
    fn new(name: &str, ed25519: [u8; 32], ml_dsa: Vec<u8>) -> Self {
        let id = KeyId(hex(&sha256_parts(&[KEY_ID_DOMAIN, &ed25519, &ml_dsa])));
        Self { name: name.to_owned(), id, ed25519, ml_dsa }
    }

    /// The key's id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The JSON of a public key file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.to_file()).unwrap_or_default()
    }

    /// Reads a public key file.
    ///
    /// # Errors
    /// [`PackError::BadKey`] with what is wrong.
    pub fn from_json(text: &str) -> Result<Self> {
        let file: PublicFile = serde_json::from_str(text).map_err(|e| bad(format!("not a public key file: {e}")))?;
        Self::from_file(&file)
    }

    pub(crate) fn to_file(&self) -> PublicFile {
        PublicFile {
            kind: PUBLIC_KIND.into(),
            version: 1,
            name: self.name.clone(),
            key_id: self.id.to_string(),
            ed25519: to_base64(&self.ed25519),
            ml_dsa_87: to_base64(&self.ml_dsa),
        }
    }

    pub(crate) fn from_file(file: &PublicFile) -> Result<Self> {
        check_kind(&file.kind, PUBLIC_KIND, file.version)?;
        let ed25519 = array::<32>(&file.ed25519).ok_or_else(|| bad("ed25519: expected 32 bytes in base64"))?;
        let checked = ed25519_dalek::VerifyingKey::from_bytes(&ed25519);
        if checked.map_or(true, |key| key.is_weak()) {
            return Err(bad("ed25519: not a point of the curve, or one of small order"));
        }
        let ml_dsa = array::<2592>(&file.ml_dsa_87).ok_or_else(|| bad("ml_dsa_87: expected 2,592 bytes in base64"))?;
        let key = Self::new(&file.name, ed25519, ml_dsa.to_vec());
        if key.id.0 != file.key_id {
            return Err(bad(format!("key_id: expected {}, found {}", key.id, file.key_id)));
        }
        Ok(key)
    }

    /// Checks both signatures.
    ///
    /// # Errors
    /// [`PackError::BadSignature`] naming the first that does not fit.
    pub(crate) fn check(&self, message: &[u8], ed25519: &[u8], ml_dsa: &[u8]) -> Result<()> {
        let wrong = |algorithm| PackError::BadSignature { key_id: self.id.to_string(), algorithm };
        self.check_ed25519(message, ed25519).ok_or_else(|| wrong("Ed25519"))?;
        self.check_ml_dsa(message, ml_dsa).ok_or_else(|| wrong("ML-DSA-87"))
    }

    fn check_ed25519(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.ed25519).ok()?;
        let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
        key.verify_strict(message, &signature).ok()
    }

    fn check_ml_dsa(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let encoded = ml_dsa::EncodedVerifyingKey::<MlDsa87>::try_from(&self.ml_dsa[..]).ok()?;
        let key = ml_dsa::VerifyingKey::<MlDsa87>::decode(&encoded);
        let signature = ml_dsa::Signature::<MlDsa87>::try_from(signature).ok()?;
        key.verify_with_context(message, CONTEXT, &signature).then_some(())
    }
}

fn check_kind(found: &str, expected: &str, version: u32) -> Result<()> {
    if found != expected {
        return Err(bad(format!("kind: expected {expected}, found {found}")));
    }
    if version == 1 { Ok(()) } else { Err(bad(format!("version: expected 1, found {version}"))) }
}

fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = Zeroizing::new(from_base64(text)?);
    bytes[..].try_into().ok()
}

fn bad(what: impl Into<String>) -> PackError {
    PackError::BadKey { what: what.into() }
}

/// Bytes from the operating system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    let failed = |e: getrandom::Error| PackError::Io { path: "system randomness".into(), message: e.to_string() };
    getrandom::fill(bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seeds("test", [seed; 32], [seed; 32])
    }

    #[test]
    fn files_round_trip_and_ids_are_recomputed() {
        let secret = SecretKey::from_json(&key(1).to_json()).unwrap();
        let public = secret.public();
        assert_eq!(PublicKey::from_json(&public.to_json()).unwrap(), public);
        let other = key(2).public();
        let forged = public.to_json().replace(public.id().as_str(), other.id().as_str());
        assert!(matches!(PublicKey::from_json(&forged), Err(PackError::BadKey { .. })));
        assert!(!format!("{:?}", key(1)).contains("AQEB"), "seeds are not shown");
    }

    #[test]
    fn a_key_id_is_64_hex_digits() {
        let id = key(1).public().id().clone();
        let read = |text: &str| text.parse::<KeyId>();
        assert_eq!(read(&id.as_str().to_uppercase()), Ok(id.clone()));
        assert_eq!(read(&format!(" {id}\n")), Ok(id.clone()));
        for bad in ["", "abc", &id.as_str()[1..], &format!("{id}0"), &id.as_str().replace(['a', 'b', 'c'], "g"), "ä"] {
            assert!(matches!(read(bad), Err(PackError::BadKey { .. })), "{bad}");
        }
    }

    #[test]
    fn both_signatures_must_fit() {
        let (ed, ml) = key(1).sign(b"message").unwrap();
        let public = key(1).public();
        public.check(b"message", &ed, &ml).unwrap();
        let (ed2, ml2) = key(2).sign(b"message").unwrap();
        let names = |e: Result<()>| match e {
            Err(PackError::BadSignature { algorithm, .. }) => algorithm,
            other => panic!("{other:?}"),
        };
        assert_eq!(names(public.check(b"message", &ed2, &ml)), "Ed25519");
        assert_eq!(names(public.check(b"message", &ed, &ml2)), "ML-DSA-87");
        assert_eq!(names(public.check(b"massage", &ed, &ml)), "Ed25519");
        assert_eq!(names(public.check(b"message", &ed[..63], &ml)), "Ed25519");
        assert_eq!(names(public.check(b"message", &ed, &ml[..4000])), "ML-DSA-87");
        // Without its context string the ML-DSA signature is for something else.
        let plain = key(1).ml_dsa().expanded_key().sign_deterministic(b"message", b"").unwrap();
        assert_eq!(names(public.check(b"message", &ed, &plain.encode())), "ML-DSA-87");
    }

    #[test]
    fn small_order_points_are_no_keys() {
        let mut file = key(1).public().to_file();
        let mut identity = [0; 32];
        identity[0] = 1;
        file.ed25519 = to_base64(&identity);
        assert!(matches!(PublicKey::from_file(&file), Err(PackError::BadKey { .. })));
    }
}
