//! Artefacts of the registry, from member to member.

/// What another member is asked about an artefact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceAsk {
    /// Its bytes from an offset on.
    Get {
        /// BLAKE3 of the artefact.
        digest: [u8; 32],
        /// From here on.
        offset: u64,
    },
    /// To keep these.
    Give {
        /// BLAKE3 of the artefact.
        digest: [u8; 32],
        /// Of the whole.
        size: u64,
        /// From here on.
        offset: u64,
        /// Some of it.
        bytes: Vec<u8>,
    },
}

/// What another member has of an artefact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Of the whole, where it is there; otherwise 0.
    pub size: u64,
    /// How much of it has come there so far.
    pub received: u64,
    /// What was asked for.
    pub bytes: Vec<u8>,
}
