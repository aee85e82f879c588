//! Making packs: keys, hashes, signatures.
use super::TEXT_BYTES;
use crate::support::ui::Ui;
use anyhow::{Context, Result, ensure};
use mayfly_format::atomic;
use mayfly_packs::{ENVELOPE_FILE, Envelope, MANIFEST_FILE, Manifest, PackFiles, SecretKey, sha256_hex};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

const MODULE_BYTES: u64 = 16 << 20;
/// Stands in a draft for the key that will sign first.
const NO_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes a new key pair; an old one is never overwritten.
pub fn keygen(dir: &Path, name: &str, ui: Ui) -> Result<()> {
    let (secret, public) = (dir.join("secret.json"), dir.join("public.json"));
    ensure!(!secret.exists() && !public.exists(), "{} has a key already; choose another folder", dir.display());
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let key = SecretKey::generate(name)?;
    write_secret(&secret, key.to_json().as_bytes()).with_context(|| format!("cannot write {}", secret.display()))?;
    write(&public, key.public().to_json().as_bytes())?;
    let id = key.public().id().to_string();
    let text = format!("key {id}\n{} is secret, {} is for everybody", secret.display(), public.display());
    ui.result(&text, &json!({"key_id": id, "secret": secret, "public": public}))
}

/// A file that only its owner reads, from its first moment on.
fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(atomic::write(path, |out| out.write_all(bytes))?)
}

/// Copies what the draft names, fills in the hashes, and writes the manifest, unsigned.
pub fn build(dir: &Path, output: &Path, ui: Ui) -> Result<()> {
    let from = PackFiles::Folder(dir.to_owned());
    let mut draft: Value = serde_json::from_slice(&from.read(MANIFEST_FILE, TEXT_BYTES)?)
        .with_context(|| format!("{} is not JSON", dir.join(MANIFEST_FILE).display()))?;
    let mut copied = Vec::new();
    for kernel in draft["kernels"].as_array_mut().into_iter().flatten() {
        fill_hash(kernel, &from, &mut copied)?;
    }
    if !draft["golden"].is_null() {
        fill_hash(&mut draft["golden"], &from, &mut copied)?;
    }
    if draft["author"]["signing_key"].is_null() {
        draft["author"]["signing_key"] = json!(NO_KEY);
    }
    let text = serde_json::to_string_pretty(&draft)?;
    let manifest = Manifest::from_json(text.as_bytes())?;
    for (path, bytes) in &copied {
        write(&output.join(path), bytes)?;
    }
    write(&output.join(MANIFEST_FILE), text.as_bytes())?;
    let (kernels, plural) = (manifest.kernels.len(), if manifest.kernels.len() == 1 { "" } else { "s" });
    let said = format!("{} {}: {kernels} kernel{plural}, not signed yet", manifest.name, manifest.version);
    ui.result(&said, &json!({"pack": output, "kernels": manifest.kernels.len(), "files": copied.len() + 1}))
}

fn fill_hash(entry: &mut Value, from: &PackFiles, copied: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let path = entry["path"].as_str().context("a kernel without `path`")?.to_owned();
    let bytes = from.read(&path, MODULE_BYTES)?;
    entry["hash"] = json!(format!("sha256:{}", sha256_hex(&bytes)));
    copied.push((path, bytes));
    Ok(())
}

/// Adds a signature; the first signer becomes the manifest's `signing_key` if it has none.
pub fn sign(pack: &Path, key: &Path, ui: Ui) -> Result<()> {
    let files = PackFiles::Folder(pack.to_owned());
    let key = std::fs::read_to_string(key).with_context(|| format!("cannot read {}", key.display()))?;
    let key = SecretKey::from_json(&key)?;
    let id = key.public().id().to_string();
    let mut text = files.read(MANIFEST_FILE, TEXT_BYTES)?;
    let mut envelope = match pack.join(ENVELOPE_FILE).exists() {
        true => Envelope::from_json(&files.read(ENVELOPE_FILE, TEXT_BYTES)?)?,
        false => Envelope::default(),
    };
    if Manifest::from_json(&text)?.author.signing_key == NO_KEY {
        let mut manifest: Value = serde_json::from_slice(&text)?;
        manifest["author"]["signing_key"] = json!(id);
        text = serde_json::to_string_pretty(&manifest)?.into_bytes();
        envelope = Envelope::default();
        write(&pack.join(MANIFEST_FILE), &text)?;
    }
    envelope.sign(&text, &key)?;
    write(&pack.join(ENVELOPE_FILE), envelope.to_json().as_bytes())?;
    ui.result(&format!("signed by {id}"), &json!({"signed_by": id, "signatures": envelope.signatures.len()}))
}
