//! `mayfly mesh snapshot`: the whole state as a file, what such a file is, and a new mesh from it.

use super::args::SnapshotCommand;
use super::backup_words::{self, text_of};
use super::connect::{Reached, connect};
use super::groups::RestoreArgs;
use super::target::Target;
use super::words;
use crate::commands::swarm::MESH;
use crate::support::exit::Detailed;
use crate::support::ui::{Ui, grouped};
use anyhow::{Context, Error, Result, bail};
use mayfly_base::NodeId;
use mayfly_mesh::backup::{self, Backup, BackupError, Restored, Seal, Signer, Wish};
use mayfly_mesh::proto::etcdserverpb::SnapshotRequest;
use mayfly_wire::{TrustStore, WireError};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// At the end of a snapshot.
const SUM_BYTES: usize = 32;

pub async fn run(command: &SnapshotCommand, ui: Ui) -> Result<()> {
    match command {
        SnapshotCommand::Save { file, target } => take(file, target, ui).await,
        SnapshotCommand::Inspect { file } => inspect(file, ui),
        SnapshotCommand::Restore(args) => restore(args, ui),
    }
}

async fn take(file: &Path, target: &Target, ui: Ui) -> Result<()> {
    let reached = connect(target).await?;
    let unwritten = || format!("cannot write {}", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its owner's alone, since values lie in it in clear; gone when it does not come to its end.
    let part =
        tempfile::Builder::new().prefix(".snapshot.").suffix(".part").tempfile_in(folder).with_context(unwritten)?;
    let (bytes, backup) = save(&reached, part.as_file(), part.path()).await?;
    if let Err(error @ BackupError::NewerFormat { .. }) = &backup {
        ui.note(format!("it was not looked at: {error}"));
    }
    let backup = backup.ok();
    if let Some(Backup { seal: Seal::Wrong { signer, what }, .. }) = &backup {
        let (path, signer, what) = (file.into(), signer.clone(), what.clone());
        return Err(BackupError::Signature { path, signer, what })
            .with_context(|| format!("{} gives this", reached.address));
    }
    part.persist(file).map_err(|failed| failed.error).with_context(unwritten)?;
    mayfly_base::atomic::sync_folder(folder).with_context(unwritten)?;
    let (path, at) = (file.display(), &reached.address);
    let (text, signer) = match &backup {
        None => (format!("{path} has the state of {at}, in another format: {} bytes", grouped(bytes)), None),
        Some(Backup { seal: Seal::Good { signer, .. }, revision, .. }) => {
            let signed = format!("signed by {signer}");
            (
                format!("{path} has the state of {at} at revision {revision}: {} bytes, {signed}", grouped(bytes)),
                Some(signer),
            )
        }
        Some(Backup { revision, .. }) => {
            ui.note(format!(
                "{at} signs no snapshots: `mayfly mesh snapshot restore` takes this one with --unsigned alone"
            ));
            (format!("{path} has the state of {at} at revision {revision}: {} bytes, not signed", grouped(bytes)), None)
        }
    };
    let revision = backup.as_ref().map(|backup| backup.revision);
    let signer = signer.map(ToString::to_string);
    ui.result(&text, &json!({ "file": file, "bytes": bytes, "revision": revision, "signer": signer }))
}

/// Writes a snapshot to the disk, whole and with the sum that it says it has, and reads it again; of etcd's own and of later ones, nothing more is known.
async fn save(reached: &Reached, mut file: &File, path: &Path) -> Result<(usize, Result<Backup, BackupError>)> {
    let unwritten = || format!("cannot write {}", path.display());
    let mut stream = reached.ask(reached.maintenance().snapshot(SnapshotRequest {})).await?;
    let (mut hasher, mut tail, mut bytes) = (Sha256::new(), Vec::new(), 0);
    while let Some(message) = reached.within(stream.message()).await.map_err(|status| reached.failed(&status))? {
        file.write_all(&message.blob).with_context(unwritten)?;
        bytes += message.blob.len();
        tail.extend(message.blob);
        let summed = tail.len().saturating_sub(SUM_BYTES);
        hasher.update(&tail[..summed]);
        tail.drain(..summed);
    }
    if tail[..] != hasher.finalize()[..] {
        bail!("{}: the snapshot is not whole: take it again", reached.address);
    }
    file.sync_all().with_context(unwritten)?;
    match backup::inspect(path) {
        Err(error) if !matches!(error, BackupError::Foreign { .. } | BackupError::NewerFormat { .. }) => {
            Err(error.into())
        }
        known => Ok((bytes, known)),
    }
}

fn inspect(file: &Path, ui: Ui) -> Result<()> {
    let backup = backup::inspect(file).map_err(|error| unfit(error, file))?;
    let (text, mut object) = (text_of(&backup, file), backup_words::object_of(&backup, file));
    let Seal::Wrong { signer, what } = &backup.seal else { return ui.result(&text, &object) };
    let error = BackupError::Signature { path: file.into(), signer: signer.clone(), what: what.clone() };
    if !ui.json {
        ui.result(&text, &object)?;
    }
    object["error"] = error.to_string().into();
    object["kind"] = error.kind().into();
    Err(Detailed { message: error.to_string(), object }.into())
}

/// What is wrong with a file, also in a word for programs.
fn unfit(error: BackupError, file: &Path) -> Error {
    let message = error.to_string();
    let object = json!({ "file": file, "error": message, "kind": error.kind() });
    Detailed { message, object }.into()
}

fn restore(args: &RestoreArgs, ui: Ui) -> Result<()> {
    let RestoreArgs { file, data, bump_revision, signer, unsigned } = args;
    let list = TrustStore::load(data)?;
    let may = |id: &NodeId| may_sign(id, *signer, list.as_ref(), data);
    let signer = if *unsigned { Signer::Any } else { Signer::Of(&may) };
    let wish = Wish { signer, bump_revision: *bump_revision };
    let folder = data.join(MESH);
    let restored = backup::restore(file, &folder, &wish).map_err(|error| unfit(error, file))?;
    let Restored { owner, revision, backup } = &restored;
    let mut text = format!(
        "{} has a new mesh with the state of {}: cluster {:016x}, member {}, revision {revision}\n{}\n\
         `mayfly node --data {} --mesh` starts it; others join it with --mesh, each without what it had in its folder {MESH} before",
        data.display(),
        file.display(),
        owner.cluster,
        words::member(owner.member),
        backup_words::counts(backup),
        data.display(),
    );
    for warning in backup_words::warnings(backup) {
        text += &format!("\nwarning: {warning}");
    }
    ui.result(
        &text,
        &json!({
            "data": data,
            "cluster": format!("{:016x}", owner.cluster),
            "member": words::member(owner.member),
            "revision": revision,
            "from": backup_words::object_of(backup, file),
            "missing": backup_words::missing(backup),
            "warnings": backup_words::warnings(backup),
        }),
    )
}

/// What speaks against believing a signer.
fn may_sign(id: &NodeId, named: Option<NodeId>, list: Option<&TrustStore>, data: &Path) -> Result<(), String> {
    let data = data.display();
    match (named, list.map(|list| list.member(*id))) {
        (Some(named), _) if named == *id => Ok(()),
        (Some(_), _) => Err("and --signer names another one".into()),
        (None, Some(Ok(_))) => Ok(()),
        (None, Some(Err(WireError::Revoked { .. }))) => Err(format!("who was shut out of the swarm of {data}")),
        (None, Some(Err(_))) => Err(format!("who is not on the trust list of {data}")),
        (None, None) => Err(format!("and {data} has no trust list that says whom to believe")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_wire::{Identity, TrustList};

    #[test]
    fn who_may_sign_is_on_the_list_or_named() {
        let [a, b, c] = [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]).unwrap());
        let mut list = TrustList::found(&a, 0).unwrap();
        list.admit(&a, b.public_key(), 0).unwrap();
        list.revoke(&a, b.id(), 0).unwrap();
        let list = TrustStore::in_memory(list);
        let may = |id: &Identity, named: Option<&Identity>, list| {
            may_sign(&id.id(), named.map(Identity::id), list, Path::new("d"))
        };
        assert_eq!(may(&a, None, Some(&list)), Ok(()));
        assert!(may(&b, None, Some(&list)).unwrap_err().contains("shut out"));
        assert!(may(&c, None, Some(&list)).unwrap_err().contains("not on the trust list"));
        assert!(may(&a, None, None).unwrap_err().contains("no trust list"));
        assert_eq!(may(&c, Some(&c), Some(&list)), Ok(()));
        assert!(may(&a, Some(&c), Some(&list)).unwrap_err().contains("another one"));
    }
}
