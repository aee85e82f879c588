//! `mayfly swarm key`: the passphrase of a node's key.

use super::args::{KeyArgs, KeyCommand};
use super::folder::KEY;
use crate::support::ui::Ui;
use anyhow::{Context, Result, bail};
use mayfly_wire::{Identity, SealCost, WireError};
use serde_json::json;
use std::io::Read;
use std::path::Path;

/// Where the passphrase that opens the key is looked for, and the one that shall open it.
const PASSPHRASE: &str = "MAYFLY_PASSPHRASE";
const NEW_PASSPHRASE: &str = "MAYFLY_NEW_PASSPHRASE";
/// A passphrase is a line, not a book.
const MOST_BYTES: u64 = 4096;

/// The passphrase of a file (`-` is standard input), or else of the environment.
pub fn passphrase(file: Option<&Path>) -> Result<Option<String>> {
    given(file, PASSPHRASE)
}

fn given(file: Option<&Path>, variable: &str) -> Result<Option<String>> {
    let words = match file {
        Some(path) => {
            let mut text = String::new();
            let read = match path == Path::new("-") {
                true => std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text),
                false => std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text)),
            };
            read.with_context(|| format!("cannot read the passphrase from {}", path.display()))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => match std::env::var(variable) {
            Ok(words) => words,
            Err(std::env::VarError::NotPresent) => return Ok(None),
            Err(error) => bail!("{variable}: {error}"),
        },
    };
    if words.is_empty() {
        bail!("the passphrase is empty ({})", file.map_or(variable.into(), |path| path.display().to_string()));
    }
    Ok(Some(words))
}

pub fn run(command: KeyCommand, ui: Ui) -> Result<()> {
    let (args, wish) = match &command {
        KeyCommand::Seal(args) => (args, "sealed"),
        KeyCommand::Unseal(args) => (args, "unsealed"),
        KeyCommand::Passphrase(args) => (args, "changed"),
    };
    let path = args.target.data.join(KEY);
    let is_sealed = matches!(Identity::load(&path, None), Err(WireError::Sealed { .. }));
    match &command {
        KeyCommand::Seal(_) if is_sealed => {
            bail!("{} is sealed already: change its passphrase with `mayfly swarm key passphrase`", path.display())
        }
        KeyCommand::Seal(_) => {
            Identity::load(&path, None)?.replace_sealed(&path, wanted(args)?.as_bytes(), SealCost::default())?
        }
        KeyCommand::Unseal(_) => open(&path, args)?.replace(&path)?,
        KeyCommand::Passphrase(_) => {
            open(&path, args)?.replace_sealed(&path, wanted(args)?.as_bytes(), SealCost::default())?
        }
    }
    let text = match wish {
        "unsealed" => format!("{} is not sealed any more: whoever reads it is this node", path.display()),
        "sealed" => {
            format!("{} is sealed: a start needs its passphrase, in {PASSPHRASE} or --passphrase-file", path.display())
        }
        _ => format!("{} has a new passphrase", path.display()),
    };
    ui.result(&text, &json!({ "key": path, "done": wish }))
}

fn open(path: &Path, args: &KeyArgs) -> Result<Identity> {
    let words = given(args.passphrase_file.as_deref(), PASSPHRASE)?;
    let words =
        words.with_context(|| format!("the passphrase is needed: in {PASSPHRASE}, or --passphrase-file FILE"))?;
    Ok(Identity::load(path, Some(words.as_bytes()))?)
}

fn wanted(args: &KeyArgs) -> Result<String> {
    let words = given(args.new_passphrase_file.as_deref(), NEW_PASSPHRASE)?;
    words.with_context(|| format!("the new passphrase is needed: in {NEW_PASSPHRASE}, or --new-passphrase-file FILE"))
}
