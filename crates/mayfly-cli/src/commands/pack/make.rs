//! Making packs: keys, hashes, signatures.
use super::{TEXT_BYTES, read_text};
use crate::support::exit::Usage;
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

/// Copies what the draft names, fills in the hashes, and writes the manifest, unsigned. Nothing is written before all of it is known.
pub fn build(dir: &Path, output: &Path, force: bool, ui: Ui) -> Result<()> {
    if output == Path::new("-") {
        return usage("-o -: a pack is a folder, which standard output cannot hold; name one".into());
    }
    let from = PackFiles::Folder(dir.to_owned());
    let mut draft: Value = serde_json::from_slice(&from.read(MANIFEST_FILE, TEXT_BYTES)?)
        .with_context(|| format!("{} is not JSON", dir.join(MANIFEST_FILE).display()))?;
    let mut files = Vec::new();
    for kernel in draft["kernels"].as_array_mut().into_iter().flatten() {
        fill_hash(kernel, &from, &mut files)?;
    }
    if !draft["golden"].is_null() {
        fill_hash(&mut draft["golden"], &from, &mut files)?;
    }
    if draft["author"]["signing_key"].is_null() {
        draft["author"]["signing_key"] = json!(NO_KEY);
    }
    let text = serde_json::to_string_pretty(&draft)?;
    let manifest = Manifest::from_json(text.as_bytes())?;
    files.push((MANIFEST_FILE.to_owned(), text.into_bytes()));
    check_place(dir, output, &files, force)?;
    if output.join(ENVELOPE_FILE).exists() {
        // Forced. The signatures were of other files; without them first, no crash leaves a pack that looks tampered with.
        std::fs::remove_file(output.join(ENVELOPE_FILE)).context("the old signatures cannot be removed")?;
    }
    for (path, bytes) in &files {
        write(&output.join(path), bytes)?;
    }
    let (kernels, plural) = (manifest.kernels.len(), if manifest.kernels.len() == 1 { "" } else { "s" });
    let said = format!("{} {}: {kernels} kernel{plural}, not signed yet", manifest.name, manifest.version);
    ui.result(&said, &json!({"pack": output, "kernels": manifest.kernels.len(), "files": files.len()}))
}

/// May these files be written here? Never over what they are made of; over a signed pack, and over what no build has left there,
/// only by force.
fn check_place(dir: &Path, output: &Path, files: &[(String, Vec<u8>)], force: bool) -> Result<()> {
    for (path, _) in files {
        let (source, target) = (dir.join(path), output.join(path));
        if matches!((source.canonicalize(), target.canonicalize()), (Ok(a), Ok(b)) if a == b) {
            let target = target.display();
            return usage(format!(
                "{target} is what the pack is made of, and would be lost: choose another folder for -o"
            ));
        }
    }
    if force {
        return Ok(());
    }
    if output.join(ENVELOPE_FILE).exists() {
        let advice = "write to another folder, or replace it and lose its signatures with --force";
        return usage(format!("{} is a signed pack: {advice}", output.display()));
    }
    let built = built_before(output);
    let is_foreign = |path: &&String| {
        std::fs::symlink_metadata(output.join(path)).is_ok() && !built.iter().any(|known| known == *path)
    };
    match files.iter().map(|(path, _)| path).find(is_foreign) {
        Some(path) => usage(format!(
            "{} is there already, and is not as a build has left it: write to another folder, or replace it with --force",
            output.join(path).display()
        )),
        None => Ok(()),
    }
}

/// Nothing was written: the command line asks for what must not be.
fn usage<T>(what: String) -> Result<T> {
    Err(Usage(what).into())
}

/// The files of an unsigned pack that an earlier build has left.
fn built_before(output: &Path) -> Vec<String> {
    let files = PackFiles::Folder(output.to_owned());
    let manifest = files.read(MANIFEST_FILE, TEXT_BYTES).ok().and_then(|bytes| Manifest::from_json(&bytes).ok());
    let Some(manifest) = manifest else { return Vec::new() };
    let kernels = manifest.kernels.into_iter().map(|kernel| (kernel.path, kernel.hash));
    let named = kernels.chain(manifest.golden.into_iter().map(|file| (file.path, file.hash)));
    // A file that is not what the manifest says was changed by somebody since.
    let unchanged = |(path, hash): &(String, String)| {
        let now = files.read(path, MODULE_BYTES).map(|bytes| format!("sha256:{}", sha256_hex(&bytes)));
        now.is_ok_and(|now| now == *hash)
    };
    let known = named.filter(unchanged).map(|(path, _)| path);
    known.chain([MANIFEST_FILE.to_owned()]).collect()
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
    let key = SecretKey::from_json(&read_text(key)?)?;
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
