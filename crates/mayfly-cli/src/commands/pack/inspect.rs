//! `mayfly pack inspect`: what a pack says of itself, and with trust what its kernels say.
use super::args::{EngineName, PackArg};
use super::{TEXT_BYTES, engine, kind, verified};
use crate::support::text::plain;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_packs::{ENVELOPE_FILE, Envelope, HostLimits, KernelInfo, MANIFEST_FILE, Manifest, Pack, PackFiles, vet};
use serde_json::{Value, json};

/// Modules larger than the format allows are not looked into.
const MODULE_BYTES: u64 = 8 << 20;

/// Without `--trust` nothing is believed and nothing is run; with it the pack is verified and `kernel_info` is called.
pub fn run(args: &PackArg, ui: Ui) -> Result<()> {
    let files = PackFiles::Folder(args.pack.clone());
    let manifest = Manifest::from_json(&files.read(MANIFEST_FILE, TEXT_BYTES)?)?;
    let envelope = files.read(ENVELOPE_FILE, TEXT_BYTES).ok().map(|bytes| Envelope::from_json(&bytes)).transpose()?;
    let signers: Vec<String> =
        envelope.iter().flat_map(|e| &e.signatures).map(|signature| signature.key_id.to_string()).collect();
    let checked = args.trust.is_some();
    let infos = if checked { infos(args, ui)? } else { vec![None; manifest.kernels.len()] };
    let mut text = head(&manifest, &signers, checked);
    let mut offered = serde_json::Map::new();
    for (kernel, info) in manifest.kernels.iter().zip(infos) {
        let exports = optional_exports(kernel, &files);
        text += &format!(
            "  {:<16} {:<14} {}{}\n",
            kernel.id,
            kernel.category,
            plain(&signature(kernel)),
            shown(&exports, info)
        );
        let info = info.map(|i| json!({"abi_version": i.abi_version, "descriptor_bytes": i.descriptor_bytes}));
        offered.insert(kernel.id.clone(), json!({"exports": exports, "info": info}));
    }
    let offered = Value::Object(offered);
    ui.result(&text, &json!({"checked": checked, "says_signed_by": signers, "manifest": manifest, "kernels": offered}))
}

/// What a pack says of itself. Whoever made it chose these words, so none of them may look like ours.
fn head(manifest: &Manifest, signers: &[String], checked: bool) -> String {
    let mut text = match checked {
        true => "checked: signed by a trusted key, and unchanged since\n".to_owned(),
        false => "NOT CHECKED: anybody can have written what follows; `--trust FILE` checks it\n".to_owned(),
    };
    let Manifest { name, version, counter, description, author, .. } = manifest;
    text += &format!("  {} {} (counter {counter})\n", plain(name), plain(version));
    text += &format!("  description: {}\n", plain(description));
    text += &format!("  author: {} <{}>\n", plain(&author.name), plain(&author.email));
    let says = if checked { "signature by" } else { "says to be signed by" };
    signers.iter().for_each(|signer| text += &format!("  {says} {signer}\n"));
    text
}

/// What each kernel of a trusted pack says about itself.
fn infos(args: &PackArg, ui: Ui) -> Result<Vec<Option<KernelInfo>>> {
    let name = EngineName::Wasmtime;
    let pack = Pack::load(&verified(args, Some(kind(name)), ui)?, &*engine(name)?)?;
    Ok(pack.kernels().iter().map(|kernel| kernel.info()).collect::<Result<_, _>>()?)
}

/// The optional functions of the ABI that a module exports; none for one that does not pass vetting.
fn optional_exports(kernel: &mayfly_packs::KernelEntry, files: &PackFiles) -> Vec<&'static str> {
    let wasm = files.read(&kernel.path, MODULE_BYTES).ok();
    let Some(vetted) = wasm.and_then(|wasm| vet(&wasm, kernel, &HostLimits::default()).ok()) else { return Vec::new() };
    let all = [
        (vetted.has_init, "kernel_init"),
        (vetted.has_backward, "kernel_backward"),
        (vetted.has_info, "kernel_info"),
        (vetted.has_cleanup, "kernel_cleanup"),
    ];
    all.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
}

fn shown(exports: &[&str], info: Option<KernelInfo>) -> String {
    let mut text = if exports.is_empty() { String::new() } else { format!("; {}", exports.join(", ")) };
    if let Some(info) = info {
        text += &format!(": ABI {}, descriptor of {} bytes", info.abi_version, info.descriptor_bytes);
    }
    text
}

/// `x: f32[rows, dim] -> y: f32[rows, dim]`
fn signature(kernel: &mayfly_packs::KernelEntry) -> String {
    let show = |specs: &[mayfly_packs::TensorSpec]| {
        let one = |spec: &mayfly_packs::TensorSpec| {
            let dims: Vec<String> =
                spec.shape.iter().map(|d| d.as_str().map_or_else(|| d.to_string(), String::from)).collect();
            format!("{}: {}[{}]", spec.name, spec.dtype.name(), dims.join(", "))
        };
        specs.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    format!("{} -> {}", show(&kernel.inputs), show(&kernel.outputs))
}
