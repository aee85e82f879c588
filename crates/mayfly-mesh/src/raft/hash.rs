//! What the histories of members come to, so that the leader can compare them.

use super::consensus::Shared;
use super::link::NoAnswer;
use crate::error::{MeshError, Result};
use crate::etcd_error::EtcdError;
use crate::kv::{self, Answer, KvHash};
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::told;
use crate::proto::linkpb::{Hashed, Refused};
use mayfly_wire::Transport;
use openraft::AsyncRuntime;
use std::time::Duration;

/// A member reads all its history for an answer.
const TIME: Duration = Duration::from_secs(60);

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Answers another member. One that cannot read its history says that it is corrupt.
    pub(super) async fn hash_told(&self, revision: i64) -> told::Answer {
        match self.orders.read(move |store| store.read(|state| kv::hash(state, revision))).await {
            Ok(Ok(KvHash { hash, revision, compacted })) => {
                told::Answer::Hashed(Hashed { hash: hash.to_vec(), revision, compacted, refused: 0 })
            }
            Ok(Err(error)) => told::Answer::Hashed(Hashed { refused: error.number(), ..Hashed::default() }),
            Err(MeshError::Damaged { .. }) => {
                told::Answer::Hashed(Hashed { refused: EtcdError::Corrupt.number(), ..Hashed::default() })
            }
            Err(error) => self.refusal(&error),
        }
    }

    pub(super) async fn hash_over_there(&self, member: u64, revision: i64) -> Result<Answer<KvHash>> {
        let unsure = |reason: String| MeshError::Unsure { reason };
        let peer = self.links.found(member).ok_or_else(|| unsure(format!("member {member:x} has no address")))?;
        match self.links.ask::<R>((member, peer), Question::HashKv(revision), TIME).await {
            Ok(told::Answer::Hashed(told)) => answer_of(told).map_err(unsure),
            Ok(told::Answer::Refused(Refused { reason, .. })) => Err(unsure(reason)),
            Ok(_) => Err(unsure("it answered another question".into())),
            Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => Err(unsure(reason)),
        }
    }
}

fn answer_of(told: Hashed) -> std::result::Result<Answer<KvHash>, String> {
    let Hashed { hash, revision, compacted, refused } = told;
    match (refused, EtcdError::from_number(refused)) {
        (0, _) => {
            let hash = hash.try_into().map_err(|_| "a hash has not 32 bytes")?;
            Ok(Ok(KvHash { hash, revision, compacted }))
        }
        (_, Some(error)) => Ok(Err(error)),
        (number, None) => Err(format!("its error {number} is not known here")),
    }
}
