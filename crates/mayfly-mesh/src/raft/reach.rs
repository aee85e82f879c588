//! Who reaches whom. A leader hears from everyone, but when it is gone the others must reach each other: a vote is given only to a member that all voters reach.

use super::consensus::Shared;
use super::link::NoAnswer;
use super::members::Known;
use crate::error::{MeshError, Result};
use crate::proto::linkpb::Reached;
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::told::Answer;
use mayfly_wire::Transport;
use openraft::AsyncRuntime;

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Answers another member.
    pub(super) async fn reaches(&self, member: u64) -> Reached {
        if member == self.links.member {
            return Reached::default();
        }
        let asked = match self.links.found(member) {
            Some(peer) => self.links.ask::<R>((member, peer), Question::Reach(member), self.config.patience()).await,
            None => Err(NoAnswer::NotAsked("it is not known here".into())),
        };
        let reason = match asked {
            Ok(_) => String::new(),
            Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => reason,
        };
        Reached { reason }
    }

    /// Asks all voters that are heard from whether they reach a member.
    pub(super) async fn reached_by_voters(&self, known: &Known, member: u64) -> Result<()> {
        let voters = known.heard_voters().filter(|(voter, _)| *voter != self.links.member);
        let asked = voters.map(|(voter, peer)| async move {
            let time = self.config.patience() * 2; // twice what that one waits for
            match self.links.ask::<R>((voter, peer), Question::Reach(member), time).await {
                Ok(Answer::Reached(Reached { reason })) if reason.is_empty() => Ok(()),
                Ok(Answer::Reached(Reached { reason })) => Err((voter, reason)),
                Ok(_) => Err((voter, "it answered another question".into())),
                Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => Err((voter, reason)),
            }
        });
        futures_util::future::try_join_all(asked).await.map(drop).map_err(|(voter, reason)| MeshError::Membership {
            reason: format!("member {member:x} gets a vote when all voters reach it, and {voter:x} does not: {reason}"),
        })
    }
}
