//! Is an artefact what its signer made, and is that one trusted? Asked by whoever takes a registration, and again by whoever loads.

use super::manifest::{Manifest, SIGNED_AS};
use crate::proto::modelspb::Signed;
use mayfly_base::NodeId;
use mayfly_wire::PublicKey;

/// Why an artefact must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The manifest cannot be read.
    #[error("{what}")]
    Manifest {
        /// What is wrong with it.
        what: String,
    },
    /// It has no signature, or another one.
    #[error("{name}: its signature is not the one of its signer {signer} over this manifest")]
    Signature {
        /// The model and version.
        name: String,
        /// Who is said to have signed.
        signer: String,
    },
    /// The signer is not trusted.
    #[error(
        "{name} was signed by {signer}, who is not on the trust list: admit that node, or have the model signed by one that is"
    )]
    Signer {
        /// The model and version.
        name: String,
        /// Who signed.
        signer: String,
    },
    /// The bytes are others than were signed.
    #[error("{name}: its bytes have digest {found}, {want} was signed")]
    Bytes {
        /// The model and version.
        name: String,
        /// The digest of what is there.
        found: String,
        /// The digest that was signed.
        want: String,
    },
    /// It is past its last day.
    #[error("{name} is past its last day (not_after)")]
    Expired {
        /// The model and version.
        name: String,
    },
}

/// The manifest, if whoever signed it is trusted. `now_s`: seconds since 1970.
///
/// # Errors
/// [`Unfit`].
pub fn check(signed: &Signed, is_trusted: impl Fn(&NodeId) -> bool, now_s: i64) -> Result<Manifest, Unfit> {
    let manifest = Manifest::read(&signed.manifest).map_err(|what| Unfit::Manifest { what })?;
    let name = format!("{}@{}", manifest.name, manifest.version);
    let forged = || Unfit::Signature { name: name.clone(), signer: manifest.signer.clone() };
    let key = PublicKey::new(&signed.public_key).map_err(|_| forged())?;
    if key.id().to_string() != manifest.signer {
        return Err(forged());
    }
    key.verify(SIGNED_AS, &signed.manifest, &signed.signature).map_err(|_| forged())?;
    if !is_trusted(&key.id()) {
        return Err(Unfit::Signer { name, signer: manifest.signer });
    }
    if manifest.not_after.is_some_and(|last| now_s > last) {
        return Err(Unfit::Expired { name });
    }
    Ok(manifest)
}

/// Are these the bytes that were signed?
///
/// # Errors
/// [`Unfit::Bytes`].
pub fn check_bytes(manifest: &Manifest, bytes: &[u8]) -> Result<(), Unfit> {
    let found = blake3::hash(bytes).to_hex().to_string();
    if found == manifest.digest && bytes.len() as u64 == manifest.size {
        return Ok(());
    }
    let name = format!("{}@{}", manifest.name, manifest.version);
    Err(Unfit::Bytes { name, found, want: manifest.digest.clone() })
}
