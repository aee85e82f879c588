//! Leases of a cluster of several: their time is the leader's, who is asked by all others.

use super::consensus::Shared;
use super::link::NoAnswer;
use crate::entry::Entry;
use crate::error::{MeshError, Result};
use crate::lease::{self, Host, LeaseAsk, LeaseTime, Lessor};
use crate::mutant::Guard;
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::told::Answer;
use crate::proto::linkpb::{Lease, Refused};
use crate::store::Store;
use mayfly_wire::{Peer, Transport};
use openraft::async_runtime::Select2;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{AsyncRuntime, Instant};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A member, as leases need it.
struct Leases<T, R: AsyncRuntime>(Arc<Shared<T, R>>);

impl<T: Transport, R: AsyncRuntime> Host for Leases<T, R> {
    fn lessor(&self) -> &Lessor {
        &self.0.lessor
    }

    fn leads(&self) -> Option<u64> {
        self.0.leads()
    }

    async fn aside<X: Send + 'static>(
        &self,
        act: impl FnOnce(&Store, &Lessor) -> Result<X> + Send + 'static,
    ) -> Result<X> {
        let lessor = self.0.lessor.clone();
        self.0.orders.read(move |store| act(store, &lessor)).await
    }

    async fn say(&self, entry: Entry) -> Result<()> {
        self.0.propose_here(entry.encode()).await.map(drop)
    }

    fn commits(&self) -> watch::Receiver<()> {
        self.0.orders.store.commits()
    }

    async fn wait(&self, commits: &mut watch::Receiver<()>, most: Option<Duration>) -> bool {
        let news = R::select2(commits.changed(), self.0.ends());
        let news = async { matches!(news.await, Select2::First(Ok(()))) };
        match most {
            Some(most) => R::timeout(most, news).await.unwrap_or(true),
            None => news.await,
        }
    }

    async fn pause(&self, time: Duration) -> bool {
        R::timeout(time, self.0.ends()).await.is_err()
    }
}

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Ends leases while this member leads.
    pub(super) async fn keep_leases(self: Arc<Self>) {
        lease::drive(Leases(self)).await;
    }

    /// The term in which this member leads, as far as it knows.
    fn leads(&self) -> Option<u64> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        (metrics.current_leader == Some(self.links.member)).then_some(metrics.current_term)
    }

    /// Asks whoever leads.
    pub(super) async fn lease_anywhere(self: &Arc<Self>, ask: LeaseAsk) -> Result<Option<LeaseTime>> {
        let until = R::Instant::now() + self.config.patience();
        loop {
            let reason = match self.lease_here(ask).await {
                Ok((_, time)) => return Ok(time),
                Err(MeshError::NoLeader { reason }) => match self.leader() {
                    Some(leader) if leader.0 != self.links.member => match self.lease_over_there(leader, ask).await {
                        Ok((index, time)) => {
                            self.wait_applied(index).await?;
                            return Ok(time);
                        }
                        Err(reason) => reason,
                    },
                    _ => reason,
                },
                Err(error) => return Err(error),
            };
            if R::Instant::now() >= until {
                return Err(MeshError::NoLeader { reason });
            }
            R::sleep(self.config.moment()).await;
        }
    }

    /// The answer of this member, if it leads and a majority says so after the question; and an entry whose state it is about.
    async fn lease_here(self: &Arc<Self>, ask: LeaseAsk) -> Result<(u64, Option<LeaseTime>)> {
        if !self.orders.store.left_out().is(Guard::RenewalByMajority) {
            // A later leader begins after this, and gives every lease its whole time: what this one promises holds.
            let index = self.confirmed().await?;
            self.wait_applied(index).await?;
        }
        let leases = Leases(self.clone());
        let asked = R::timeout(self.config.request(), lease::ask(&leases, ask)).await;
        let time = asked.map_err(|_| MeshError::Unsure { reason: "a lease does not end".into() })??;
        Ok((self.orders.store.applied()?.index, time))
    }

    async fn lease_over_there(
        &self,
        leader: (u64, Peer),
        ask: LeaseAsk,
    ) -> std::result::Result<(u64, Option<LeaseTime>), String> {
        let question = match ask {
            LeaseAsk::Renew(id) => Question::Renew(id),
            LeaseAsk::TimeToLive(id) => Question::TimeToLive(id),
        };
        match self.ask_leader(leader, question, self.config.request()).await {
            Ok(Answer::Lease(Lease { index, found, granted_seconds, remaining_seconds })) => {
                let time = LeaseTime { granted_s: granted_seconds, remaining_s: remaining_seconds };
                Ok((index, found.then_some(time)))
            }
            Ok(Answer::Refused(Refused { reason, .. })) => Err(reason),
            Ok(_) => Err("the leader answered another question".into()),
            Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => Err(reason),
        }
    }

    /// Answers another member.
    pub(super) async fn lease_told(self: &Arc<Self>, ask: LeaseAsk) -> Answer {
        match self.lease_here(ask).await {
            Ok((index, time)) => {
                let LeaseTime { granted_s, remaining_s } = time.unwrap_or(LeaseTime { granted_s: 0, remaining_s: 0 });
                let found = time.is_some();
                Answer::Lease(Lease { index, found, granted_seconds: granted_s, remaining_seconds: remaining_s })
            }
            Err(error) => self.refusal(&error),
        }
    }
}
