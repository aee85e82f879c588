//! A node's folder: what must be there, who may read it, and what is taken back when a first start fails.

use anyhow::{Context, Result, bail};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub const KEY: &str = "identity.key";
pub const TRUST: &str = "trust.list";
pub const MEMORY: &str = "memory.redb";

/// The folder and what it held before this start.
pub struct Folder {
    path: PathBuf,
    had: Had,
}

/// What the caller gave that makes up for a lost file.
#[derive(Clone, Copy, Default)]
pub struct Means {
    pub token: bool,
    pub new_memory: bool,
}

struct Had {
    folder: bool,
    key: bool,
    trust: bool,
    memory: bool,
}

impl Folder {
    /// Makes the folder, for its owner alone, or takes the one that is there as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let file = |name: &str| path.join(name).exists();
        let had = Had { folder: path.is_dir(), key: file(KEY), trust: file(TRUST), memory: holds(&path.join(MEMORY)) };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.with_context(|| format!("cannot make the folder {}", path.display()))?;
        let folder = Self { path: path.to_owned(), had };
        folder.warn_if_open()?;
        Ok(folder)
    }

    pub fn is_member(&self) -> bool {
        self.had.trust
    }

    fn warn_if_open(&self) -> Result<()> {
        let meta = std::fs::metadata(&self.path).with_context(|| format!("cannot look at {}", self.path.display()))?;
        let mode = meta.permissions().mode() & 0o777;
        let data = self.path.display();
        if mode & 0o022 != 0 {
            tracing::warn!(
                "{data} can be changed by others on this machine (mode {mode:03o}): run `chmod 700 {data}`, or choose another --data"
            );
        } else if mode & 0o055 != 0 {
            tracing::warn!(
                "{data} can be looked into by others on this machine (mode {mode:03o}); the node's own files are its owner's alone"
            );
        }
        Ok(())
    }

    /// Losing a file must not look like a first start: a node would found a swarm of its own over the data of another.
    pub fn check_whole(&self, means: Means) -> Result<()> {
        let Had { key, trust, memory, .. } = self.had;
        let (lost, way) = match (trust, key, memory) {
            (true, false, _) => (
                KEY,
                "without one, let this node go: `mayfly swarm revoke` at another member, then join with a new --token from another --data folder",
            ),
            (true, true, false) if !means.new_memory => {
                (MEMORY, "without one, start once with --new-memory, and the other members give back what they have")
            }
            (false, ..) if (key || memory) && !means.token => (
                TRUST,
                "without one, join again with --token TOKEN (of `mayfly swarm token` at a member), or start in another --data folder",
            ),
            _ => return Ok(()),
        };
        bail!(
            "{} belongs to a node, but its {lost} is missing or empty: put it back from a backup; {way}",
            self.path.display()
        )
    }

    /// Only the owner reads what this start made; what was there keeps its mode.
    pub fn keep_private(&self) -> Result<()> {
        if self.had.memory {
            return Ok(());
        }
        let memory = self.path.join(MEMORY);
        let private = std::fs::set_permissions(&memory, std::fs::Permissions::from_mode(0o600));
        private.with_context(|| format!("cannot keep others out of {}", memory.display()))
    }

    /// A first start failed: nothing of it stays, so that the next one is a first start as well.
    pub fn take_back(&self) {
        if self.path.join(TRUST).exists() {
            return; // it did get in
        }
        for (name, had) in [(KEY, self.had.key), (MEMORY, self.had.memory)] {
            if !had {
                let _ = std::fs::remove_file(self.path.join(name)); // it may not have come to that
            }
        }
        if !self.had.folder {
            let _ = std::fs::remove_dir(&self.path); // only if it is empty
        }
    }
}

/// An emptied file is no memory.
fn holds(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|name| std::fs::write(dir.path().join(name), b"x").unwrap());
        let folder = Folder::open(dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn a_lost_file_is_named_and_is_no_first_start() {
        let refused = |files: &[&str], means| folder(files).1.check_whole(means).err().map(|e| e.to_string());
        let (none, token) = (Means::default(), Means { token: true, new_memory: false });
        let new_memory = Means { token: false, new_memory: true };
        for files in [&[][..], &[KEY, TRUST, MEMORY], &["notes.txt"]] {
            assert_eq!((refused(files, none), refused(files, token)), (None, None), "{files:?}");
        }
        assert_eq!(refused(&[KEY, MEMORY], token), None, "it joins again");
        assert_eq!(refused(&[KEY, TRUST], new_memory), None, "it is filled by the others");
        assert!(refused(&[KEY, MEMORY], new_memory).is_some() && refused(&[KEY, TRUST], token).is_some());
        for (files, lost) in [
            (&[KEY, MEMORY][..], TRUST),
            (&[KEY], TRUST),
            (&[MEMORY], TRUST),
            (&[TRUST, MEMORY], KEY),
            (&[TRUST], KEY),
            (&[KEY, TRUST], MEMORY),
        ] {
            let error = refused(files, none).unwrap();
            assert!(error.contains(&format!("its {lost} is missing")), "{files:?}: {error}");
        }
        let (dir, _) = folder(&[KEY, TRUST]);
        std::fs::write(dir.path().join(MEMORY), b"").unwrap();
        assert!(Folder::open(dir.path()).unwrap().check_whole(none).is_err(), "an emptied memory");
    }

    #[test]
    fn a_failed_first_start_leaves_what_was_there() {
        let (dir, before) = folder(&["notes.txt", MEMORY]);
        std::fs::write(dir.path().join(KEY), b"new").unwrap();
        before.take_back();
        let mut left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [MEMORY, "notes.txt"]);
    }
}
