//! The local store: install, list, upgrade, roll back, revoke.
use super::args::{EngineName, InstallArgs, RevokeArgs, StoreArg};
use super::{engine, now, read_trust};
use crate::support::text::plain;
use crate::support::ui::Ui;
use anyhow::{Context, Result, bail};
use mayfly_packs::{KeyId, PackError, PackFiles, Policy, Store, StoreNotice, StoreOptions, StoreState, StoreView};
use serde_json::json;
use std::path::PathBuf;

/// Stray files that a person is told of, each by its path.
const STRAYS_SHOWN: usize = 10;

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

fn folder(args: &StoreArg) -> Result<PathBuf> {
    args.store.clone().map_or_else(default_folder, Ok)
}

fn open(args: &StoreArg, ui: Ui) -> Result<Store> {
    let store = Store::open(&folder(args)?, StoreOptions::default())?;
    store.notices().iter().for_each(|notice| ui.note(plain(&notice.to_string())));
    Ok(store)
}

/// Installs or upgrades, after trusting what `--trust` names.
pub fn install(args: &InstallArgs, change: Change, ui: Ui) -> Result<()> {
    // Read before a store is made for it.
    let keys = args.trust.as_deref().map(|file| read_trust(Some(file), ui)).transpose()?;
    let mut store = open(&args.store, ui)?;
    store.expire(now(), &mut ())?;
    if let Some(keys) = keys {
        let mut trust = store.trust()?;
        for entry in keys.keys {
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

/// What is installed, and what a rollback would bring back. Nothing is changed: whoever may read the store may ask.
pub fn list(args: &StoreArg, ui: Ui) -> Result<()> {
    let folder = folder(args)?;
    let view = StoreView::read(&folder)?;
    let (mut text, mut rows) = (String::new(), Vec::new());
    let state = view.state();
    for name in state.names() {
        let Some(active) = state.active(name) else { continue };
        text += &format!("{name} {} (counter {}, generation {})", active.version, active.counter, active.generation);
        let previous = state.previous(name).filter(|pack| active.watched_until.is_some() || now() <= pack.kept_until);
        if let Some(previous) = previous {
            let left = previous.kept_until.saturating_sub(now());
            text += &format!(", before it {} for {left} s more", previous.version);
        }
        let refused = view.recheck(name, active.generation, &Policy::at(now())).err();
        let refused = refused.map(|error| plain(&error.to_string()));
        if let Some(why) = &refused {
            text += &format!("; REFUSED: {why}");
        }
        text.push('\n');
        rows.push(json!({"name": name, "active": active, "previous": previous, "refused": refused}));
    }
    if rows.is_empty() {
        text = "no packs are installed".into();
    }
    let strays = view.strays()?;
    let notices: Vec<String> = view.notices().iter().chain(&strays).map(|notice| plain(&notice.to_string())).collect();
    let hidden = strays.len().saturating_sub(STRAYS_SHOWN);
    notices.iter().take(notices.len() - hidden).for_each(|notice| ui.note(notice));
    if hidden > 0 {
        ui.note(format!("{hidden} more things in {} are not of this store", folder.display()));
    }
    ui.result(&text, &json!({"packs": rows, "notices": notices}))
}

/// Back to the previous pack, which is verified again first.
pub fn rollback(name: &str, args: &StoreArg, ui: Ui) -> Result<()> {
    let mut store = open(args, ui)?;
    store.expire(now(), &mut ())?;
    if let Some(previous) = store.state().previous(name) {
        store.load(name, previous.generation, &Policy::at(now()), &*engine(EngineName::Wasmtime)?)?;
    }
    let left = store.state().active(name).map(|active| active.version.clone()).unwrap_or_default();
    let generation = store.rollback(name, &mut ())?;
    let version = store.state().active(name).map(|active| active.version.clone()).unwrap_or_default();
    let text = format!("{name} {version} is in use again (generation {generation}); {left} stays out from now on");
    ui.result(&text, &json!({"name": name, "version": version, "generation": generation}))
}

/// Adds to the store's list of what must not run.
pub fn revoke(args: &RevokeArgs, ui: Ui) -> Result<()> {
    // Read before a store is made for it.
    let key = args.key.as_deref().map(str::parse::<KeyId>).transpose().context("--key")?;
    let mut store = open(&args.store, ui)?;
    let mut trust = store.trust()?;
    let (what, known) = match (&key, &args.name, args.counter) {
        (Some(key), _, _) => (format!("key {key}"), trust.revoke_key(key, &args.reason)),
        (None, Some(name), Some(counter)) => {
            trust.revoke_pack(name, counter, &args.reason);
            (format!("{} with counter {counter}", plain(name)), has_seen(store.state(), name, counter))
        }
        _ => bail!("name a pack with --counter, or give --key"),
    };
    store.set_trust(&trust)?;
    let refused = refused(&store)?;
    let mut text = format!("{what} is revoked");
    if !known {
        let unknown =
            if key.is_some() { "it is among no trusted keys of this store" } else { "this store never had it" };
        text += &format!("; {unknown}: it is refused if it comes");
    }
    for name in &refused {
        text += &format!("\n{name} in use is refused from now on: upgrade it or roll it back");
    }
    ui.result(&text, &json!({"revoked": what, "known": known, "refused": refused}))
}

/// Was a release with this counter, or a later one, ever installed?
fn has_seen(state: &StoreState, name: &str, counter: u64) -> bool {
    state.highest_counter(name).is_some_and(|highest| counter <= highest)
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

/// Whom the default store trusts.
pub fn default_trust(ui: Ui) -> Result<mayfly_packs::TrustedKeys> {
    let view = StoreView::read(&default_folder()?)?;
    let lost = |notice: &&StoreNotice| matches!(notice, StoreNotice::TrustLost { .. });
    view.notices().iter().filter(lost).for_each(|notice| ui.note(notice.to_string()));
    Ok(view.trust()?)
}
