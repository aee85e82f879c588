//! The local store: install, list, upgrade, roll back, revoke.
use super::args::{EngineName, InstallArgs, RevokeArgs, StoreArg};
use super::{engine, now, read_trust};
use crate::support::ui::Ui;
use anyhow::{Context, Result, bail};
use mayfly_packs::{PackError, PackFiles, Policy, Store, StoreOptions};
use serde_json::json;
use std::path::PathBuf;

/// Is the name new to the store, or not?
#[derive(Clone, Copy, PartialEq)]
pub enum Change {
    Install,
    Upgrade,
}

/// Where the store is when nobody says.
pub fn default_folder() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let data = || from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")));
    let folder = from("MAYFLY_PACKS").or_else(|| data().map(|data| data.join("mayfly/packs")));
    folder.context("no place for the store: give --store DIR or set MAYFLY_PACKS")
}

fn open(args: &StoreArg) -> Result<Store> {
    let folder = match &args.store {
        Some(folder) => folder.clone(),
        None => default_folder()?,
    };
    Ok(Store::open(&folder, StoreOptions::default())?)
}

/// Installs or upgrades, after trusting what `--trust` names.
pub fn install(args: &InstallArgs, change: Change, ui: Ui) -> Result<()> {
    let mut store = open(&args.store)?;
    store.expire(now(), &mut ())?;
    if let Some(file) = &args.trust {
        let mut trust = store.trust()?;
        for entry in read_trust(Some(file))?.keys {
            trust.add(entry.key, entry.not_after);
        }
        store.set_trust(&trust)?;
    }
    let files = PackFiles::Folder(args.pack.clone());
    let policy = Policy::at(now());
    // Checked in full before its name is believed.
    let verified = store.verify(&files, &policy)?;
    let name = verified.manifest().name.clone();
    match (change, store.state().active(&name)) {
        (Change::Install, Some(_)) => bail!(PackError::AlreadyInstalled { name }),
        (Change::Upgrade, None) => bail!(PackError::NotInstalled { name }),
        _ => {}
    }
    store.activate(&files, &policy, &*engine(EngineName::Wasmtime)?, &mut ())?;
    // No process watches on the command line: the golden vectors have decided.
    store.settle(&name, &mut ())?;
    let active = store.state().active(&name).context("the pack was not activated")?;
    let text = format!("{name} {} is in use (generation {})", active.version, active.generation);
    ui.result(
        &text,
        &json!({"name": name, "version": active.version, "counter": active.counter, "generation": active.generation}),
    )
}

/// What is installed, and what a rollback would bring back.
pub fn list(args: &StoreArg, ui: Ui) -> Result<()> {
    let mut store = open(args)?;
    store.expire(now(), &mut ())?;
    let state = store.state();
    let (mut text, mut rows) = (String::new(), Vec::new());
    for name in state.names() {
        let Some(active) = state.active(name) else { continue };
        text += &format!("{name} {} (counter {}, generation {})", active.version, active.counter, active.generation);
        if let Some(previous) = state.previous(name) {
            let left = previous.kept_until.saturating_sub(now());
            text += &format!(", before it {} for {left} s more", previous.version);
        }
        text.push('\n');
        rows.push(json!({"name": name, "active": active, "previous": state.previous(name)}));
    }
    if rows.is_empty() {
        text = "no packs are installed".into();
    }
    ui.result(&text, &json!({"packs": rows}))
}

/// Back to the previous pack, which is verified again first.
pub fn rollback(name: &str, args: &StoreArg, ui: Ui) -> Result<()> {
    let mut store = open(args)?;
    store.expire(now(), &mut ())?;
    if let Some(previous) = store.state().previous(name) {
        store.load(name, previous.generation, &Policy::at(now()), &*engine(EngineName::Wasmtime)?)?;
    }
    let generation = store.rollback(name, &mut ())?;
    let version = store.state().active(name).map(|active| active.version.clone()).unwrap_or_default();
    let text = format!("{name} {version} is in use again (generation {generation})");
    ui.result(&text, &json!({"name": name, "version": version, "generation": generation}))
}

/// Adds to the store's list of what must not run.
pub fn revoke(args: &RevokeArgs, ui: Ui) -> Result<()> {
    let mut store = open(&args.store)?;
    let mut trust = store.trust()?;
    let what = match (&args.key, &args.name, args.counter) {
        (Some(key), _, _) => {
            trust.revoke_key(key, &args.reason);
            format!("key {key}")
        }
        (None, Some(name), Some(counter)) => {
            trust.revoke_pack(name, counter, &args.reason);
            format!("{name} with counter {counter}")
        }
        _ => bail!("name a pack with --counter, or give --key"),
    };
    store.set_trust(&trust)?;
    let refused = refused(&store)?;
    let mut text = format!("{what} is revoked");
    for name in &refused {
        text += &format!("\n{name} in use is refused from now on: upgrade it or roll it back");
    }
    ui.result(&text, &json!({"revoked": what, "refused": refused}))
}

/// Installed packs that the store's trust no longer lets run.
fn refused(store: &Store) -> Result<Vec<String>> {
    let mut refused = Vec::new();
    for name in store.state().names() {
        let Some(active) = store.state().active(name) else { continue };
        if store.recheck(name, active.generation, &Policy::at(now())).is_err() {
            refused.push(name.to_owned());
        }
    }
    Ok(refused)
}
