//! Why a file is no backup that may be used.

use crate::error::MeshError;
use std::path::PathBuf;

/// Why a file is no backup that may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The system does not let it be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another program's file.
    #[error("{path} is no snapshot of a mesh: {what}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is, or what it lacks.
        what: &'static str,
    },
    /// A file of a later version of this program.
    #[error("{path} has format {found}, this program reads {known}: take a newer one")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// What is known here.
        known: u32,
    },
    /// It has not the length of a snapshot.
    #[error(
        "{path} is cut: {bytes} bytes are no whole snapshot, which is 32 bytes longer than a multiple of 512; take it again, or another one"
    )]
    Cut {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Its bytes are not what was written.
    #[error("{path} is damaged: {what}; take another one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Nobody has signed it.
    #[error(
        "{path} is not signed, so that anybody may have made it: take one that a node of the mesh signed, or say --unsigned if you know where it comes from"
    )]
    Unsigned {
        /// The file.
        path: PathBuf,
    },
    /// Its signature is another one.
    #[error(
        "{path} is wrongly signed in the name of {signer}: {what}; do not use it, unless you know better and say --unsigned"
    )]
    Signature {
        /// The file.
        path: PathBuf,
        /// Who is said to have signed.
        signer: String,
        /// What is wrong.
        what: String,
    },
    /// Whoever signed is not trusted.
    #[error("{path} was signed by {signer}, {why}: --signer {signer} says that it may be believed")]
    Signer {
        /// The file.
        path: PathBuf,
        /// Who signed.
        signer: String,
        /// Why it is not trusted.
        why: String,
    },
    /// The folder it was to be restored into.
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

impl BackupError {
    /// One word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Foreign { .. } => "foreign",
            Self::NewerFormat { .. } => "newer_format",
            Self::Cut { .. } => "cut",
            Self::Damaged { .. } => "damaged",
            Self::Unsigned { .. } => "unsigned",
            Self::Signature { .. } => "signature",
            Self::Signer { .. } => "signer",
            Self::Mesh(_) => "mesh",
        }
    }
}
