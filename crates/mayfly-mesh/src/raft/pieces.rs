//! Artefacts of the registry, asked of other members and told to them.

use super::consensus::Shared;
use super::inbox::{NOT_KEPT, Refusal};
use super::link::NoAnswer;
use crate::engine::{Piece, PieceAsk};
use crate::error::{MeshError, Result};
use crate::models::{Blobs, CHUNK};
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::told::Answer;
use crate::proto::linkpb::{GivePiece, Piece as PieceAsked, PieceTold};
use blake3::Hash;
use mayfly_wire::Transport;
use openraft::AsyncRuntime;
use std::io;
use std::time::Duration;

/// For a piece and its way through a slow link.
const TIME: Duration = Duration::from_secs(30);

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Asks another member.
    pub(super) async fn piece_over_there(&self, member: u64, ask: PieceAsk) -> Result<Piece> {
        let unsure = |reason: String| MeshError::Unsure { reason };
        let peer = self.links.found(member).ok_or_else(|| unsure(format!("member {member:x} has no address")))?;
        let question = match ask {
            PieceAsk::Get { digest, offset } => Question::Piece(PieceAsked { digest: digest.to_vec(), offset }),
            PieceAsk::Give { digest, size, offset, bytes } => {
                Question::Give(GivePiece { digest: digest.to_vec(), size, offset, bytes })
            }
        };
        match self.links.ask::<R>((member, peer), question, TIME).await {
            Ok(Answer::Piece(PieceTold { size, received, bytes })) => Ok(Piece { size, received, bytes }),
            Ok(_) => Err(unsure("it answered another question".into())),
            Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => Err(unsure(reason)),
        }
    }

    pub(super) async fn piece_told(
        &self,
        PieceAsked { digest, offset }: PieceAsked,
    ) -> core::result::Result<Answer, Refusal> {
        self.with_blobs(&digest, move |blobs, digest| told(blobs, digest, Some(offset))).await
    }

    pub(super) async fn piece_given(&self, given: GivePiece) -> core::result::Result<Answer, Refusal> {
        let GivePiece { digest, size, offset, bytes } = given;
        self.with_blobs(&digest, move |blobs, digest| {
            if blobs.len(digest)?.is_none() && blobs.receive(digest, offset, &bytes)? >= size {
                blobs.finish(digest)?;
            }
            told(blobs, digest, None)
        })
        .await
    }

    async fn with_blobs(
        &self,
        digest: &[u8],
        act: impl FnOnce(&Blobs, Hash) -> io::Result<PieceTold> + Send + 'static,
    ) -> core::result::Result<Answer, Refusal> {
        let refused = |reason: String| (NOT_KEPT, reason);
        let digest: [u8; 32] = digest.try_into().map_err(|_| refused("a digest has 32 bytes".into()))?;
        let blobs = self.blobs.get().cloned().ok_or_else(|| refused("this member keeps no artefacts".into()))?;
        let done = self.orders.aside(move || act(&blobs, digest.into())).await;
        let told = done.map_err(|e| refused(e.to_string()))?.map_err(|e| refused(e.to_string()))?;
        Ok(Answer::Piece(told))
    }
}

/// What is here of an artefact.
fn told(blobs: &Blobs, digest: Hash, from: Option<u64>) -> io::Result<PieceTold> {
    let Some(size) = blobs.len(digest)? else {
        return Ok(PieceTold { received: blobs.received(digest)?, ..PieceTold::default() });
    };
    let bytes = match from {
        Some(offset) if offset < size => blobs.read(digest, offset, CHUNK)?,
        _ => Vec::new(),
    };
    Ok(PieceTold { size, received: size, bytes })
}
