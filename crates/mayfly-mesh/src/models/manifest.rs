//! What the maker of an artefact says of it, and signs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a signature on a manifest is for: the context of ML-DSA-87.
pub const SIGNED_AS: &str = "mayfly model 1";
const FORMAT: u32 = 1;
/// The longest manifest in bytes.
pub const MAX_MANIFEST: usize = 256 << 10;
const MAX_NAME: usize = 128;

/// What the maker of an artefact says of it. The bytes that are signed are kept as they are, so that no two programs need to write it alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u32,
    /// The name of the model.
    pub name: String,
    /// Counted up from 1.
    pub version: u64,
    /// BLAKE3 of the artefact's bytes, 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// What goes in and comes out.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub schema: serde_json::Value,
    /// Figures measured when it was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// What it was made from.
    #[serde(default)]
    pub lineage: Lineage,
    /// Seconds since 1970 after which it must not go live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
    /// Seconds since 1970 when it was signed.
    pub signed_at: i64,
    /// The node id of the signer: 64 hexadecimal digits.
    pub signer: String,
}

/// What an artefact was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Versions that it was trained on from, as `name@version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// The run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The data: a name, or a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The budget of differential privacy that was spent on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
}

impl Manifest {
    /// One of these bytes.
    pub fn new(name: &str, version: u64, artefact: &[u8], signer: String, signed_at: i64) -> Self {
        Self {
            format: FORMAT,
            name: name.into(),
            version,
            digest: blake3::hash(artefact).to_hex().to_string(),
            size: artefact.len() as u64,
            schema: serde_json::Value::Null,
            metrics: BTreeMap::new(),
            lineage: Lineage::default(),
            not_after: None,
            signed_at,
            signer,
        }
    }

    /// The manifest in these bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_MANIFEST {
            return Err(format!("the manifest has {} bytes, {MAX_MANIFEST} are the most", bytes.len()));
        }
        let format: Format = serde_json::from_slice(bytes).map_err(|e| format!("the manifest is not one: {e}"))?;
        if format.format != FORMAT {
            return Err(format!("the manifest has format {}, this program reads {FORMAT}", format.format));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| format!("the manifest is not one: {e}"))?;
        check_name(&manifest.name)?;
        manifest.digest()?;
        if manifest.version == 0 || manifest.size == 0 {
            return Err("versions begin with 1, and an artefact has bytes".into());
        }
        Ok(manifest)
    }

    /// The bytes to sign.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default() // strings, numbers and maps of strings are always written
    }

    /// BLAKE3 of the artefact.
    ///
    /// # Errors
    /// What it says instead.
    pub fn digest(&self) -> Result<blake3::Hash, String> {
        blake3::Hash::from_hex(&self.digest)
            .map_err(|_| format!("{:?} is no digest of 64 hexadecimal digits", self.digest))
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// May a model be called so?
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if begins && name.len() <= MAX_NAME && name.chars().all(is_fit) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name of a model: 1 to {MAX_NAME} lower-case letters, digits, dots, dashes and underscores, the first a letter or digit"
    ))
}

#[cfg(test)]
mod tests {
    use super::Manifest;

    #[test]
    fn what_is_written_is_read() {
        let manifest = Manifest::new("pumps", 3, b"bytes", "ab".into(), 7);
        assert_eq!(Manifest::read(&manifest.write()), Ok(manifest));
    }

    #[test]
    fn what_is_none_is_refused() {
        let whole = Manifest::new("pumps", 3, b"bytes", "ab".into(), 7);
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let mut other = whole.clone();
            change(&mut other);
            Manifest::read(&other.write()).expect_err("refused")
        };
        assert!(refused(&|m| m.format = 2).contains("format 2"));
        assert!(refused(&|m| m.name = "../x".into()).contains("no name"));
        assert!(refused(&|m| m.name = String::new()).contains("no name"));
        assert!(refused(&|m| m.digest.truncate(63)).contains("no digest"));
        assert!(refused(&|m| m.version = 0).contains("begin with 1"));
        assert!(refused(&|m| m.size = 0).contains("has bytes"));
        assert!(Manifest::read(b"{").is_err());
    }
}
