//! What a store has to tell besides its packs: what was lost and made good, and what lies there that is not its own.

use std::fmt;
use std::path::PathBuf;

/// Something that the owner of a store should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreNotice {
    /// `state.json` was gone or unreadable; the state was made anew from the packs on disk and the ledger in `store.json`.
    StateRebuilt {
        /// What was wrong with it.
        what: String,
        /// Packs that were found.
        packs: usize,
    },
    /// `store.json` was gone or unreadable; it is made anew from `state.json`.
    MarkerRebuilt {
        /// What was wrong with it.
        what: String,
    },
    /// `trust.json` is gone: nobody is trusted.
    TrustLost {
        /// Revocations that the ledger has kept.
        revocations: usize,
    },
    /// A pack of the state is not on disk.
    Missing {
        /// The pack's name.
        name: String,
        /// Its folder.
        generation: u64,
    },
    /// Something that no store has put there. It is left alone.
    Stray {
        /// Where it lies, from the store's folder on.
        path: PathBuf,
    },
}

impl fmt::Display for StoreNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateRebuilt { what, packs } => write!(
                f,
                "state.json was lost ({what}): the state was rebuilt from the {packs} packs on disk; counters, rollbacks and revocations are kept"
            ),
            Self::MarkerRebuilt { what } => write!(f, "store.json was lost ({what}): it was rebuilt from state.json"),
            Self::TrustLost { revocations } => write!(
                f,
                "trust.json was lost: no key is trusted until one is added with --trust; {revocations} revocations are kept"
            ),
            Self::Missing { name, generation } => {
                write!(f, "packs/{name}/{generation} is missing or incomplete: install {name} again, or roll it back")
            }
            Self::Stray { path } => write!(f, "{} is not of this store; it is left alone", path.display()),
        }
    }
}
