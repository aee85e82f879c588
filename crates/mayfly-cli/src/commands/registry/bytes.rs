//! `mayfly model pull` and `verify`, and the way of bytes.

use super::args::{PullArgs, Trust, Which};
use super::show::get;
use super::words::called;
use crate::commands::mesh::{Reached, Target, connect};
use crate::support::input::Input;
use crate::support::output::{Extensions, Files};
use crate::support::ui::Ui;
use anyhow::{Context, Result, anyhow, bail};
use mayfly_mesh::models::{self, CHUNK, Manifest};
use mayfly_mesh::proto::modelspb::{BlobRequest, DownloadRequest, UploadRequest, Version};
use mayfly_wire::TrustStore;
use serde_json::json;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Models of any format.
const ANY: Extensions = Extensions::Not { what: "a model", are: &["csv", "json", "svg"] };

pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What was signed, if whoever signed it is trusted here.
fn trusted(version: &Version, trust: &Trust) -> Result<Manifest> {
    let signed = version.signed.as_ref().ok_or_else(|| anyhow!("{} is not signed", called(version)))?;
    let list = match trust.signer {
        Some(_) => None,
        None => Some(TrustStore::load(&trust.data)?.with_context(|| {
            format!(
                "{} has no trust list: --data names the folder of a node, or --signer whom to trust",
                trust.data.display()
            )
        })?),
    };
    let is_trusted = |id: &mayfly_base::NodeId| match (&list, trust.signer) {
        (_, Some(signer)) => *id == signer,
        (Some(list), None) => list.member(*id).is_ok(),
        (None, None) => false,
    };
    Ok(models::check(signed, is_trusted, now_s())?)
}

/// The bytes of an artefact, which are not looked at yet.
async fn download(reached: &Reached, manifest: &Manifest, ui: Ui) -> Result<Vec<u8>> {
    let digest = manifest.digest().map_err(|what| anyhow!(what))?;
    let request = DownloadRequest { digest: digest.as_bytes().to_vec(), offset: 0 };
    let mut parts = reached.ask_at_length(reached.models().download(request)).await?;
    let mut bytes = Vec::new();
    let progress = ui.progress("bytes", usize::try_from(manifest.size).unwrap_or(usize::MAX));
    while let Some(part) = reached.within(parts.message()).await.map_err(|status| reached.failed(&status))? {
        if part.offset != bytes.len() as u64 || part.bytes.len() as u64 + part.offset > manifest.size {
            bail!("{} sends other bytes than were signed", reached.address);
        }
        bytes.extend(part.bytes);
        progress.set_position(bytes.len() as u64);
    }
    progress.finish_and_clear();
    Ok(bytes)
}

/// The bytes of a version, once signature, signer and bytes have been looked at, and what is made of them. That is done on a thread of its own that has
/// the processor when nobody else wants it: calls go on beside it.
pub async fn load<T: Send + 'static>(
    reached: &Reached,
    version: &Version,
    trust: &Trust,
    ui: Ui,
    make: impl FnOnce(&[u8]) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (version, trust) = (version.clone(), trust.clone());
    let manifest = aside(move || trusted(&version, &trust)).await?;
    let bytes = download(reached, &manifest, ui).await?;
    aside(move || {
        models::check_bytes(&manifest, &bytes)?;
        make(&bytes)
    })
    .await
}

async fn aside<T: Send + 'static>(act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("load".into()).spawn(move || {
        #[cfg(target_os = "linux")] // where it is the thread that is nice, and not the process
        let _ = rustix::process::nice(10); // as fast as others will have it, otherwise
        let _ = tell.send(act()); // nobody waits any more
    })?;
    told.await.map_err(|_| anyhow!("the thread that loads has panicked"))?
}

pub async fn pull(args: &PullArgs, ui: Ui) -> Result<()> {
    let mut files = Files::reading([])?;
    let output = files.writing("OUT", &args.output, ANY)?;
    files.refuse_json(ui)?;
    let reached = connect(&args.target).await?;
    let version = get(&reached, &args.which).await?;
    let manifest = trusted(&version, &args.trust)?;
    let bytes = download(&reached, &manifest, ui).await?;
    models::check_bytes(&manifest, &bytes)?;
    output.write(|out| Ok(out.write_all(&bytes)?))?;
    let object = json!({ "name": version.name, "version": version.version, "digest": manifest.digest, "file": output.to_string() });
    files.result(ui, &format!("{} written: signed by {}", called(&version), manifest.signer), &object)
}

pub async fn verify(which: &Which, file: &Path, trust: &Trust, target: &Target, ui: Ui) -> Result<()> {
    let input = Input::open(file)?;
    let bytes = std::fs::read(&*input).with_context(|| format!("cannot read {}", file.display()))?;
    let reached = connect(target).await?;
    let version = get(&reached, which).await?;
    let manifest = trusted(&version, trust)?;
    models::check_bytes(&manifest, &bytes)?;
    let object =
        json!({ "name": version.name, "version": version.version, "signer": manifest.signer, "is_signed": true });
    ui.result(&format!("{} is {}, signed by {}", file.display(), called(&version), manifest.signer), &object)
}

/// Sends an artefact, from where an upload of it broke off.
pub async fn upload(reached: &Reached, bytes: Vec<u8>, ui: Ui) -> Result<()> {
    let digest = blake3_of(&bytes);
    let there = reached.ask(reached.models().blob(BlobRequest { digest: digest.clone() })).await?;
    let size = bytes.len() as u64;
    if there.size == size {
        return Ok(());
    }
    let progress = ui.progress("bytes", bytes.len());
    let shown = progress.clone();
    let received = usize::try_from(there.received).unwrap_or(0);
    let parts = (received..bytes.len()).step_by(CHUNK).map(move |offset| {
        shown.set_position(offset as u64);
        let end = (offset + CHUNK).min(bytes.len());
        UploadRequest { digest: digest.clone(), size, offset: offset as u64, bytes: bytes[offset..end].to_vec() }
    });
    let parts = futures_util::stream::iter(parts);
    let sent = reached.ask_at_length(reached.models().upload(parts)).await?;
    progress.finish_and_clear();
    if sent.size != size {
        bail!("{} took {} of {size} bytes: push again, it goes on from there", reached.address, sent.received);
    }
    Ok(())
}

fn blake3_of(bytes: &[u8]) -> Vec<u8> {
    models::digest(bytes).to_vec()
}
