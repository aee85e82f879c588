//! Who a node is: an ML-DSA-87 key pair (FIPS 204), and the hash of its public half as its name.

mod file;
mod seal;

pub(crate) use file::open as read_file;
pub use seal::SealCost;

use crate::{Result, WireError};
use aws_lc_rs::signature::{KeyPair, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair, VerificationAlgorithm};
use mayfly_base::NodeId;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Length of an ML-DSA-87 public key in bytes.
pub const PUBLIC_KEY_LEN: usize = 2592;
/// Length of an ML-DSA-87 signature in bytes.
pub const SIGNATURE_LEN: usize = 4627;
const SEED_LEN: usize = 32;

/// A node's key pair. Clones share it.
///
/// ```
/// # fn main() -> mayfly_wire::Result<()> {
/// use mayfly_wire::{Identity, PublicKey};
/// let folder = std::env::temp_dir().join(format!("mayfly-doc-{}", std::process::id()));
/// # let _ = std::fs::remove_dir_all(&folder);
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("identity.key");
/// let identity = Identity::generate()?;
/// identity.create(&path)?;
/// let again = Identity::load(&path, None)?;
/// assert_eq!(again.id(), identity.id());
/// assert!(again.public_key().verify("greeting", b"hello", &identity.sign("greeting", b"hello")?).is_ok());
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Identity(Arc<Keys>);

struct Keys {
    seed: Zeroizing<[u8; SEED_LEN]>,
    pair: PqdsaKeyPair,
    public: PublicKey,
}

impl Identity {
    /// A new key pair, from the system's randomness.
    ///
    /// # Errors
    /// [`WireError::Tls`] when the system has no randomness.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        random(&mut seed[..])?;
        Self::from_seed(&seed)
    }

    /// The key pair of a FIPS 204 seed. Whoever knows the seed is the node.
    ///
    /// # Errors
    /// [`WireError::Tls`] when the crypto library fails.
    pub fn from_seed(seed: &[u8; SEED_LEN]) -> Result<Self> {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_87_SIGNING, seed).map_err(WireError::tls("the key pair"))?;
        let public = PublicKey::new(pair.public_key().as_ref())?;
        Ok(Self(Arc::new(Keys { seed: Zeroizing::new(*seed), pair, public })))
    }

    /// The node's name.
    pub fn id(&self) -> NodeId {
        self.0.public.id()
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    /// A signature over `context`, a zero byte and `message`. The context keeps what is signed for one purpose from being used for another.
    ///
    /// # Errors
    /// [`WireError::Tls`] when the crypto library fails.
    pub fn sign(&self, context: &'static str, message: &[u8]) -> Result<Vec<u8>> {
        self.sign_raw(&in_context(context, message))
    }

    pub(crate) fn sign_raw(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; SIGNATURE_LEN];
        let len = self.0.pair.sign(message, &mut out).map_err(WireError::tls("signing"))?;
        out.truncate(len);
        Ok(out)
    }

    /// A secret of this node for one purpose, the same after every start.
    pub(crate) fn derive(&self, context: &'static str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, &self.0.seed[..]))
    }

    /// Writes the key to a new file of mode 0600, unsealed.
    ///
    /// # Errors
    /// [`WireError::Exists`], [`WireError::Io`].
    pub fn create(&self, path: &Path) -> Result<()> {
        refuse_existing(path)?;
        crate::fs::write_atomic(path, &file::plain(self))
    }

    /// Writes the key to a new file of mode 0600, sealed with a passphrase.
    ///
    /// # Errors
    /// [`WireError::Exists`], [`WireError::Io`], [`WireError::SealCost`].
    pub fn create_sealed(&self, path: &Path, passphrase: &[u8], cost: SealCost) -> Result<()> {
        refuse_existing(path)?;
        self.replace_sealed(path, passphrase, cost)
    }

    /// As [`Identity::create_sealed`], over a file that may be there: this is how a passphrase is changed, or a rotated key put in place.
    ///
    /// # Errors
    /// [`WireError::Io`], [`WireError::SealCost`].
    pub fn replace_sealed(&self, path: &Path, passphrase: &[u8], cost: SealCost) -> Result<()> {
        crate::fs::write_atomic(path, &file::sealed(self, passphrase, cost)?)
    }

    /// As [`Identity::create`], over a file that may be there.
    ///
    /// # Errors
    /// [`WireError::Io`].
    pub fn replace(&self, path: &Path) -> Result<()> {
        crate::fs::write_atomic(path, &file::plain(self))
    }

    /// Reads a key file. A passphrase for a key that is not sealed is an error: whoever gives one believes that it is.
    ///
    /// # Errors
    /// [`WireError::TooOpen`], [`WireError::Damaged`], [`WireError::Version`], [`WireError::Sealed`], [`WireError::NotSealed`], [`WireError::Passphrase`],
    /// [`WireError::SealCost`], [`WireError::Io`].
    pub fn load(path: &Path, passphrase: Option<&[u8]>) -> Result<Self> {
        crate::fs::check_private(path)?;
        let bytes = Zeroizing::new(crate::fs::read(path, file::MOST_BYTES)?);
        file::open(path, &bytes, passphrase)
    }

    /// Loads the key, or makes it on the first start.
    ///
    /// # Errors
    /// Those of [`Identity::load`] and [`Identity::create`].
    pub fn load_or_create(path: &Path, passphrase: Option<&[u8]>) -> Result<Self> {
        if path.exists() {
            return Self::load(path, passphrase);
        }
        let identity = Self::generate()?;
        match passphrase {
            Some(words) => identity.create_sealed(path, words, SealCost::default())?,
            None => identity.create(path)?,
        }
        Ok(identity)
    }
}

fn refuse_existing(path: &Path) -> Result<()> {
    if path.exists() { Err(WireError::Exists { path: path.into() }) } else { Ok(()) }
}

/// Shows the name and nothing else.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id().short())
    }
}

/// The public half of an identity.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: Arc<[u8]>,
    id: NodeId,
}

impl PublicKey {
    /// The key of these 2,592 bytes. Every string of that length is a key; whether somebody can sign for it shows when they do.
    ///
    /// # Errors
    /// [`WireError::PublicKey`] for another length.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != PUBLIC_KEY_LEN {
            return Err(WireError::PublicKey { len: bytes.len() });
        }
        Ok(Self { bytes: bytes.into(), id: NodeId(*blake3::hash(bytes).as_bytes()) })
    }

    /// The name of whoever holds the private half.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The key as FIPS 204 encodes it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks a signature made by [`Identity::sign`] with the same context.
    ///
    /// # Errors
    /// [`WireError::Signature`].
    pub fn verify(&self, context: &'static str, message: &[u8], signature: &[u8]) -> Result<()> {
        let signed = in_context(context, message);
        ML_DSA_87
            .verify_sig(&self.bytes, &signed, signature)
            .map_err(|_| WireError::Signature { what: context, signer: self.id })
    }

    /// The key as a SubjectPublicKeyInfo, as TLS raw public keys carry it.
    pub(crate) fn spki(&self) -> Vec<u8> {
        [SPKI_HEAD.as_slice(), &self.bytes].concat()
    }

    /// The key of a SubjectPublicKeyInfo.
    pub(crate) fn from_spki(spki: &[u8]) -> Result<Self> {
        let bytes = spki.strip_prefix(SPKI_HEAD.as_slice());
        Self::new(bytes.ok_or(WireError::PublicKey { len: spki.len() })?)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id.short())
    }
}

/// SEQUENCE { SEQUENCE { OID 2.16.840.1.101.3.4.3.19 }, BIT STRING }: what comes before the key itself, DER (RFC 9881).
const SPKI_HEAD: [u8; 22] = [
    0x30, 0x82, 0x0a, 0x32, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13, 0x03, 0x82,
    0x0a, 0x21, 0x00,
];

fn in_context(context: &str, message: &[u8]) -> Vec<u8> {
    [context.as_bytes(), &[0], message].concat()
}

/// Fills with the system's randomness.
pub(crate) fn random(out: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(out).map_err(WireError::tls("randomness"))
}
