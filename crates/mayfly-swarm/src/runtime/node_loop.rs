//! What runs as long as the node does.

use super::{Runtime, Stop};
use crate::disk::Batch;
use crate::{Node, Now, Output};
use alloc::vec::Vec;
use mayfly_wire::{Event, Peer, Transport};
use std::time::Duration;
use tracing::{debug, info, warn};

/// SWIM's packets.
const TOPIC_SWIM: u16 = 1;
/// Messages about the memory.
const TOPIC_MEMORY: u16 = 2;
/// Messages about the trust list.
pub(super) const TOPIC_TRUST: u16 = 3;
/// A request that is not answered by then has failed, and another neighbour is asked.
const REQUEST_TIME: Duration = Duration::from_secs(3);
/// A code for requests that make no sense.
pub(super) const REFUSED: u16 = 1;
/// Between looks at the links, and between notes on disk of who is there.
const LOOK_TIME: Duration = Duration::from_secs(2);
/// At least between two notes on disk.
const CALM_TIME: Duration = Duration::from_millis(50);

impl<T: Transport> Runtime<T> {
    pub(super) fn spawn_loops(&self) {
        tokio::spawn(self.clone().take_events());
        tokio::spawn(self.clone().keep_time());
        tokio::spawn(self.clone().look_after());
        if let Some(trust) = self.0.trust.clone() {
            tokio::spawn(self.clone().spread_trust(trust));
        }
    }

    async fn take_events(self) {
        while let Some(event) = self.0.transport.next().await {
            match event {
                Event::Datagram { topic: TOPIC_SWIM, payload, .. } => {
                    self.perform(|node, now| node.datagram(&payload, now));
                }
                Event::Request { from, topic: TOPIC_MEMORY, payload, reply } => {
                    self.perform(|node, now| {
                        let (answer, outputs) = node.request(from.id, &payload, now);
                        match answer {
                            Some(answer) => reply.answer(answer),
                            None => reply.refuse(REFUSED, "this is no message about the memory"),
                        }
                        outputs
                    });
                }
                Event::Request { from, topic: TOPIC_TRUST, payload, reply } => self.answer_trust(from, payload, reply),
                Event::Request { reply, .. } => reply.refuse(REFUSED, "nothing here answers to this topic"),
                Event::Up { peer } => {
                    debug!(peer = %peer.id.short(), addr = %peer.addr, "link up");
                    self.greet_with_trust(peer);
                }
                Event::Down { id, why } => debug!(peer = %id.short(), ?why, "link down"),
                _ => {}
            }
        }
    }

    async fn keep_time(self) {
        let mut stop = self.0.stop.subscribe();
        while stop.borrow_and_update().is_none() {
            let (due, now) = (self.node().due_ms(), self.now().steady_ms);
            let wait = Duration::from_millis(due.saturating_sub(now).min(1_000));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.due.notified() => {}
                _ = stop.changed() => {}
            }
            self.carry_out(Node::tick); // and looks at what is due next: woken by its own doing, it would never sleep
        }
    }

    /// Measures links, and keeps on disk whom to call at the next start.
    async fn look_after(self) {
        let mut stop = self.0.stop.subscribe();
        let mut kept = Vec::new();
        while stop.borrow_and_update().is_none() {
            let links = self.0.transport.links();
            let (peers, clock) = {
                let mut node = self.node();
                links.iter().for_each(|link| node.measured(link.peer.id, link.rtt_ms));
                (node.contacts(), node.clock())
            };
            if peers != kept {
                let done = self.0.disk.commit(Batch { clock, peers: Some(peers.clone()), ..Batch::default() }).await;
                match done {
                    Ok(()) => kept = peers,
                    Err(error) => warn!(%error, "cannot keep the member list"),
                }
            }
            tokio::time::sleep(CALM_TIME).await; // when one comes, others do: they are kept together
            tokio::select! {
                () = tokio::time::sleep(LOOK_TIME) => {}
                () = self.0.members_changed.notified() => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Turns the node, does what it says, and looks anew at when it is due.
    pub(super) fn perform(&self, turn: impl FnOnce(&mut Node, Now) -> Vec<Output>) {
        self.carry_out(turn);
        self.0.due.notify_one();
    }

    fn carry_out(&self, turn: impl FnOnce(&mut Node, Now) -> Vec<Output>) {
        let now = self.now();
        let outputs = {
            let mut node = self.node();
            let mut outputs = turn(&mut node, now);
            // While nobody else turns the node: the disk gets things in the order in which the node learned of them.
            let clock = node.clock();
            outputs.iter_mut().for_each(|output| {
                if let Output::Persist(changes) = output {
                    self.0.disk.owe(Batch { changes: core::mem::take(changes), clock, peers: None });
                }
            });
            outputs
        };
        for output in outputs {
            match output {
                Output::Persist(_) => {} // done above
                Output::Datagram { to, payload } => self.send(to, payload),
                Output::Request { to, token, payload } => self.ask(to, token, payload),
                Output::Changed(record) => self.announce(record),
                Output::Up(peer) => {
                    info!(peer = %peer.id.short(), addr = %peer.addr, "member up");
                    self.0.members_changed.notify_one();
                }
                Output::Down(id) => {
                    info!(peer = %id.short(), "member down");
                    self.0.members_changed.notify_one();
                }
                Output::Superseded(addr) => self.give_way(addr),
            }
        }
    }

    fn send(&self, to: Peer, payload: Vec<u8>) {
        let runtime = self.clone();
        tokio::spawn(async move {
            if let Err(error) = runtime.0.transport.datagram(to, TOPIC_SWIM, &payload).await {
                debug!(peer = %to.id.short(), %error, "packet not sent");
            }
        });
    }

    fn ask(&self, to: Peer, token: u64, payload: Vec<u8>) {
        let runtime = self.clone();
        tokio::spawn(async move {
            let asked = runtime.0.transport.request(to, TOPIC_MEMORY, &payload);
            let answer = match tokio::time::timeout(REQUEST_TIME, asked).await {
                Ok(Ok(answer)) => Some(answer),
                Ok(Err(error)) => {
                    debug!(peer = %to.id.short(), %error, "no answer");
                    None
                }
                Err(_) => None,
            };
            runtime.perform(|node, now| node.answer(token, answer.as_deref(), now));
        });
    }

    fn give_way(&self, addr: std::net::SocketAddr) {
        let runtime = self.clone();
        tokio::spawn(async move {
            warn!(%addr, "the same identity started later elsewhere: stopping");
            if let Err(error) = runtime.finish(Stop::Superseded(addr)).await {
                warn!(%error, "the disk was not flushed");
            }
        });
    }
}
