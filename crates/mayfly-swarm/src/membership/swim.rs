//! The state machine around `foca`: timers by time, members by name.

use super::Metadata;
use super::meta::{Board, Item};
use crate::{Result, SwarmError};
use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Buf, BufMut};
use core::cmp::{Ordering, Reverse};
use core::convert::Infallible;
use core::num::{NonZeroU8, NonZeroUsize};
use core::time::Duration;
use foca::{
    AccumulatingRuntime, Codec, Config, Foca, Header, Incarnation, OwnedNotification, PeriodicParams, PostcardCodec,
    State, Timer,
};
use mayfly_base::{NodeId, Rng};
use mayfly_wire::Peer;
use rand_core_10::TryRng;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// Times of failure detection. The defaults find a crash within 5 s among 50 members, and nobody dead at a loss of 10 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipConfig {
    /// Milliseconds between probes, each of one random member.
    pub probe_interval_ms: u64,
    /// Milliseconds to wait for an answer before others are asked to probe.
    pub probe_timeout_ms: u64,
    /// Others who are asked.
    pub indirect_probes: usize,
    /// Milliseconds that a suspect has to say that it lives.
    pub suspicion_ms: u64,
    /// Milliseconds between packets with changes, and how many members get one.
    pub gossip_interval_ms: u64,
    /// Members who get each packet with changes.
    pub gossip_fan_out: usize,
    /// Milliseconds between attempts to reach members who are down.
    pub announce_down_interval_ms: u64,
    /// How long a member who is down is remembered.
    pub forget_down_ms: u64,
    /// Most bytes of a packet.
    pub packet_bytes: usize,
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self {
            probe_interval_ms: 400,
            probe_timeout_ms: 200,
            indirect_probes: 3,
            suspicion_ms: 2_000,
            gossip_interval_ms: 100,
            gossip_fan_out: 3,
            announce_down_interval_ms: 5_000,
            forget_down_ms: 7 * 24 * 3_600_000,
            packet_bytes: 1_100,
        }
    }
}

impl MembershipConfig {
    fn to_foca(self) -> Result<Config> {
        let count = |option: &'static str, n: usize| {
            NonZeroUsize::new(n).ok_or(SwarmError::Option { option, got: "0".into(), want: "at least 1" })
        };
        let mut config = Config::simple();
        config.probe_period = Duration::from_millis(self.probe_interval_ms);
        config.probe_rtt = Duration::from_millis(self.probe_timeout_ms);
        config.num_indirect_probes = count("indirect_probes", self.indirect_probes)?;
        config.max_transmissions = NonZeroU8::new(12).unwrap_or(NonZeroU8::MIN);
        config.suspect_to_down_after = Duration::from_millis(self.suspicion_ms);
        config.remove_down_after = Some(Duration::from_millis(self.forget_down_ms));
        config.max_packet_size = count("packet_bytes", self.packet_bytes.saturating_sub(1))?; // and the kind
        config.notify_down_members = true;
        let every = |ms, num_members| Some(PeriodicParams { frequency: Duration::from_millis(ms), num_members });
        config.periodic_gossip = every(self.gossip_interval_ms, count("gossip_fan_out", self.gossip_fan_out)?);
        config.periodic_announce_to_down_members =
            every(self.announce_down_interval_ms, NonZeroUsize::MIN.saturating_add(1));
        config.periodic_announce = every(30_000, NonZeroUsize::MIN);
        Ok(config)
    }
}

/// A name with an address, and which life of it. A life that was taken for over goes on under the next renewal; however often, it is earlier than a later start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ident {
    id: NodeId,
    addr: SocketAddr,
    generation: u64,
    renewal: u32,
}

impl foca::Identity for Ident {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        Some(Self { renewal: self.renewal.wrapping_add(1), ..*self })
    }

    fn addr(&self) -> NodeId {
        self.id
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.generation, self.renewal, self.addr) > (adversary.generation, adversary.renewal, adversary.addr)
    }
}

/// Postcard, with an eye on whether somebody else uses this node's name.
#[derive(Clone)]
struct Watching {
    inner: PostcardCodec,
    here: Ident,
    seen: Arc<Mutex<Seen>>,
}

/// What [`Watching`] has noticed since somebody looked.
#[derive(Default)]
struct Seen {
    /// A later life of this node's name.
    other: Option<SocketAddr>,
    /// Somebody takes this node for dead, and in which incarnation of it.
    suspicion: Option<Incarnation>,
}

impl Watching {
    fn look(&self, ident: &Ident) {
        let is_other = ident.id == self.here.id && ident.addr != self.here.addr;
        if is_other && ident.generation > self.here.generation {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).other = Some(ident.addr);
        }
    }

    fn look_at(&self, member: &foca::Member<Ident>) {
        self.look(member.id());
        let is_suspect = member.state() == State::Suspect;
        if is_suspect && (member.id().id, member.id().generation) == (self.here.id, self.here.generation) {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).suspicion = Some(member.incarnation());
        }
    }
}

impl Codec<Ident> for Watching {
    type Error = <PostcardCodec as Codec<Ident>>::Error;

    fn encode_header(&mut self, header: &Header<Ident>, buf: impl BufMut) -> core::result::Result<(), Self::Error> {
        self.inner.encode_header(header, buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> core::result::Result<Header<Ident>, Self::Error> {
        let header: Header<Ident> = self.inner.decode_header(buf)?;
        self.look(&header.src);
        self.look(&header.dst); // links go by name: what was meant for a twin may come here
        Ok(header)
    }

    fn encode_member(
        &mut self,
        member: &foca::Member<Ident>,
        buf: impl BufMut,
    ) -> core::result::Result<(), Self::Error> {
        self.inner.encode_member(member, buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> core::result::Result<foca::Member<Ident>, Self::Error> {
        let member: foca::Member<Ident> = self.inner.decode_member(buf)?;
        self.look_at(&member);
        Ok(member)
    }
}

/// Our generator in the clothes that foca wants.
struct Draws(Rng);

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> core::result::Result<u32, Infallible> {
        Ok((self.0.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> core::result::Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> core::result::Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Is a member there?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It does not answer, and may come back.
    Down,
    /// It said goodbye.
    Left,
}

/// A member as this node knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Member {
    /// Who and where.
    pub id: NodeId,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Rises with every start of the member.
    pub generation: u64,
    /// Is it there?
    pub state: MemberState,
    /// Since when, in the milliseconds of the driver's steady clock.
    pub since_ms: u64,
    /// What it says of itself.
    pub metadata: Metadata,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MembershipOutput {
    /// Send a packet.
    Packet {
        /// To whom.
        to: Peer,
        /// What.
        bytes: Vec<u8>,
    },
    /// A member came, or came back.
    Up(Peer),
    /// A member went.
    Down(NodeId),
    /// The same identity runs elsewhere, and started later.
    Superseded(SocketAddr),
}

/// What is due at some time.
enum Alarm {
    Foca(Timer<Ident>),
    /// Tell a suspect that it is one, once more.
    Warn(Suspicion),
}

/// A member that this node's probe did not reach. The time until it is declared dead is foca's to keep.
#[derive(Clone, Copy)]
struct Suspicion {
    member: Ident,
    incarnation: Incarnation,
    /// Warnings still to be given.
    left: u64,
}

/// Warnings that a suspect is given before it is declared dead, at even distances.
const WARNINGS: u64 = 8;
/// The kinds of packets: one of SWIM as foca made it, and a warning: who warns, who is meant, and in which incarnation.
const SWIM: u8 = 0;
const WARNING: u8 = 1;
/// Probes of an unhealthy member are slower by at most this factor, less 1 (as in Lifeguard).
const WORST_HEALTH: u32 = 8;

/// An alarm and when it is due; the order of equal times is foca's.
struct Due {
    at_ms: u64,
    turn: u64,
    alarm: Alarm,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        let alarms = match (&self.alarm, &other.alarm) {
            (Alarm::Foca(a), Alarm::Foca(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Alarm::Foca(_), Alarm::Warn(_)) => Ordering::Less,
            (Alarm::Warn(_), Alarm::Foca(_)) => Ordering::Greater,
            (Alarm::Warn(_), Alarm::Warn(_)) => Ordering::Equal,
        };
        self.at_ms.cmp(&other.at_ms).then(alarms).then(self.turn.cmp(&other.turn))
    }
}

/// SWIM for one node.
pub struct Membership {
    foca: Foca<Ident, Watching, Draws, Board>,
    seen: Arc<Mutex<Seen>>,
    runtime: AccumulatingRuntime<Ident>,
    timers: BinaryHeap<Reverse<Due>>,
    turn: u64,
    board: Board,
    metadata: Metadata,
    version: u64,
    said_ms: u64,
    members: BTreeMap<NodeId, Member>,
    config: MembershipConfig,
    /// How much this node has reason to doubt itself rather than others: 0 is well.
    health: u32,
    /// The latest incarnation that somebody suspected.
    refuted: Option<Incarnation>,
}

/// Milliseconds after which a node says again what it is, for those who missed it.
const SAY_EVERY_MS: u64 = 60_000;

impl Membership {
    /// A node alone. `generation` must be higher than that of any start before: a stamp's milliseconds.
    ///
    /// # Errors
    /// [`SwarmError::Option`] for a count of 0.
    pub fn new(here: Peer, generation: u64, config: MembershipConfig, rng: Rng) -> Result<Self> {
        let board = Board::default();
        let ident = Ident { id: here.id, addr: here.addr, generation, renewal: 0 };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let codec = Watching { inner: PostcardCodec, here: ident, seen: seen.clone() };
        let foca = Foca::with_custom_broadcast(ident, config.to_foca()?, Draws(rng), codec, board.clone());
        Ok(Self {
            foca,
            seen,
            runtime: AccumulatingRuntime::new(),
            timers: BinaryHeap::new(),
            turn: 0,
            board,
            metadata: Metadata::default(),
            version: generation << 16,
            said_ms: 0,
            members: BTreeMap::new(),
            config,
            health: 0,
            refuted: None,
        })
    }

    /// Knocks at a member. It is not needed that it answers: knock again, or at another.
    pub fn join(&mut self, seed: Peer, now_ms: u64) -> Vec<MembershipOutput> {
        let seed = Ident { id: seed.id, addr: seed.addr, generation: 0, renewal: 0 };
        let _ = self.foca.announce(seed, &mut self.runtime); // fails only for packets too small for one identity
        self.drain(now_ms)
    }

    /// Says goodbye; the node stays silent afterwards.
    pub fn leave(&mut self, now_ms: u64) -> Vec<MembershipOutput> {
        self.metadata.is_leaving = true;
        self.say(now_ms);
        let _ = self.foca.broadcast(&mut self.runtime);
        let _ = self.foca.leave_cluster(&mut self.runtime);
        self.drain(now_ms)
    }

    /// Changes what the others are told about this node.
    pub fn describe(&mut self, metadata: Metadata, now_ms: u64) {
        if metadata != self.metadata {
            self.metadata = metadata;
            self.say(now_ms);
        }
    }

    fn say(&mut self, now_ms: u64) {
        self.version += 1;
        self.said_ms = now_ms;
        let item = Item::encode(self.foca.identity().id, self.version, self.metadata.clone());
        let _ = self.foca.add_broadcast(&item); // our own item is well formed
    }

    /// A packet came.
    ///
    /// # Errors
    /// [`SwarmError::Message`] for one that cannot be read; nothing has changed then.
    pub fn packet(&mut self, bytes: &[u8], now_ms: u64) -> Result<Vec<MembershipOutput>> {
        let handled = match bytes.split_first() {
            Some((&SWIM, packet)) => self.foca.handle_data(packet, &mut self.runtime).map_err(|e| e.to_string()),
            Some((&WARNING, warning)) => self.warned(warning),
            _ => Err("its kind is unknown".into()),
        };
        let outputs = self.drain(now_ms);
        match handled {
            Ok(()) => Ok(outputs),
            Err(reason) if outputs.is_empty() => Err(SwarmError::Message { reason }),
            Err(_) => Ok(outputs), // part of it was good
        }
    }

    /// Somebody is about to take this node for dead. It says to all that it lives, and to that one directly: the incarnation is in the header of whatever it sends.
    fn warned(&mut self, warning: &[u8]) -> core::result::Result<(), String> {
        let read = postcard::from_bytes(warning).map_err(|e| e.to_string());
        let (by, member, incarnation): (Ident, Ident, Incarnation) = read?;
        if member == *self.foca.identity() {
            self.suspected(incarnation);
            let suspect = foca::Member::new(member, incarnation, State::Suspect);
            let _ = self.foca.apply_many(core::iter::once(suspect), true, &mut self.runtime);
            let _ = self.foca.announce(by, &mut self.runtime); // fails only for packets too small for one identity
        }
        Ok(())
    }

    /// To be suspected is a sign that this node does not hear well.
    fn suspected(&mut self, incarnation: Incarnation) {
        if self.refuted.is_none_or(|refuted| refuted < incarnation) {
            self.refuted = Some(incarnation);
            self.health = (self.health + 1).min(WORST_HEALTH);
        }
    }

    /// Tells a suspect directly, as long as it is one.
    fn warn(&mut self, suspicion: Suspicion, now_ms: u64) -> Option<MembershipOutput> {
        let Suspicion { member, incarnation, left } = suspicion;
        let is_it = |m: &foca::Member<Ident>| *m.id() == member && m.incarnation() == incarnation;
        let is_suspect = self.foca.iter_members().any(|m| is_it(m) && m.state() == State::Suspect);
        if !is_suspect || left == 0 {
            return None;
        }
        let next = Suspicion { left: left - 1, ..suspicion };
        self.schedule(now_ms + self.config.suspicion_ms / WARNINGS, Alarm::Warn(next));
        let warning = postcard::to_stdvec(&(self.foca.identity(), member, incarnation)).unwrap_or_default(); // plain numbers into a Vec: there is no way to fail
        let bytes = core::iter::once(WARNING).chain(warning).collect();
        Some(MembershipOutput::Packet { to: Peer { id: member.id, addr: member.addr }, bytes })
    }

    fn schedule(&mut self, at_ms: u64, alarm: Alarm) {
        self.turn += 1;
        self.timers.push(Reverse(Due { at_ms, turn: self.turn, alarm }));
    }

    /// When [`Membership::tick`] is due.
    pub fn due_ms(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse(due)| due.at_ms)
    }

    /// Does what is due.
    pub fn tick(&mut self, now_ms: u64) -> Vec<MembershipOutput> {
        let mut outputs = Vec::new();
        if now_ms >= self.said_ms + SAY_EVERY_MS && !self.members.is_empty() {
            self.say(now_ms);
        }
        while self.due_ms().is_some_and(|at| at <= now_ms) {
            let Some(Reverse(due)) = self.timers.pop() else { break };
            let timer = match due.alarm {
                Alarm::Foca(timer) => timer,
                Alarm::Warn(suspicion) => {
                    outputs.extend(self.warn(suspicion, now_ms));
                    continue;
                }
            };
            let suspect = match &timer {
                Timer::ChangeSuspectToDown { member_id, .. } => Some(*member_id),
                _ => None,
            };
            let (is_probe, before) = (matches!(timer, Timer::ProbeRandomMember(_)), self.health);
            let _ = self.foca.handle_timer(timer, &mut self.runtime); // complains about late timers, and goes on
            let mut done = self.drain(now_ms);
            if is_probe && self.health == before {
                self.health = before.saturating_sub(1); // the last probe has not failed
            }
            if let Some(ident) = suspect.filter(|ident| self.foca.iter_members().any(|member| member.id() == ident)) {
                // It has refuted the suspicion, and foca tells it that it is down all the same.
                done.retain(|output| !matches!(output, MembershipOutput::Packet { to, .. } if to.id == ident.id));
            }
            outputs.extend(done);
        }
        self.forget_old(now_ms);
        outputs
    }

    fn drain(&mut self, now_ms: u64) -> Vec<MembershipOutput> {
        let mut outputs = Vec::new();
        let seen = core::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.suspicion.into_iter().for_each(|incarnation| self.suspected(incarnation));
        outputs.extend(seen.other.map(MembershipOutput::Superseded));
        while let Some((after, timer)) = self.runtime.to_schedule() {
            let mut after_ms = after.as_millis() as u64;
            match timer {
                Timer::ProbeRandomMember(_) | Timer::SendIndirectProbe { .. } => {
                    after_ms = after_ms.saturating_mul(u64::from(self.health) + 1);
                }
                Timer::ChangeSuspectToDown { member_id, incarnation, .. } => {
                    self.health = (self.health + 1).min(WORST_HEALTH);
                    let suspicion = Suspicion { member: member_id, incarnation, left: WARNINGS };
                    self.schedule(now_ms, Alarm::Warn(suspicion));
                }
                _ => {}
            }
            self.schedule(now_ms.saturating_add(after_ms), Alarm::Foca(timer));
        }
        while let Some(note) = self.runtime.to_notify() {
            outputs.extend(self.note(note, now_ms));
        }
        while let Some((to, bytes)) = self.runtime.to_send() {
            let to = Peer { id: to.id, addr: to.addr };
            let bytes = core::iter::once(SWIM).chain(bytes.iter().copied()).collect();
            outputs.push(MembershipOutput::Packet { to, bytes });
        }
        outputs
    }

    fn note(&mut self, note: OwnedNotification<Ident>, now_ms: u64) -> Option<MembershipOutput> {
        match note {
            OwnedNotification::MemberUp(ident) => Some(self.set_up(ident, now_ms)),
            OwnedNotification::Rename(_, ident) => {
                let member = self.members.get_mut(&ident.id)?;
                (member.addr, member.generation) = (ident.addr, ident.generation);
                let is_alive = member.state == MemberState::Alive;
                is_alive.then_some(MembershipOutput::Up(Peer { id: ident.id, addr: ident.addr }))
            }
            OwnedNotification::MemberDown(ident) => {
                let is_leaving = self.board.get(ident.id).is_leaving;
                let member = self.members.get_mut(&ident.id)?;
                member.state = if is_leaving { MemberState::Left } else { MemberState::Down };
                member.since_ms = now_ms;
                Some(MembershipOutput::Down(ident.id))
            }
            OwnedNotification::Rejoin(_) => {
                self.call_around();
                None
            }
            _ => None,
        }
    }

    /// Under a new generation, nobody is heard until somebody has heard of it.
    fn call_around(&mut self) {
        let alive = self.members.values().filter(|member| member.state == MemberState::Alive).take(8);
        for &Member { id, addr, generation, .. } in alive {
            let _ = self.foca.announce(Ident { id, addr, generation, renewal: 0 }, &mut self.runtime);
        }
    }

    fn set_up(&mut self, ident: Ident, now_ms: u64) -> MembershipOutput {
        let Ident { id, addr, generation, .. } = ident;
        let state = MemberState::Alive;
        let member = Member { id, addr, generation, state, since_ms: now_ms, metadata: Metadata::default() };
        self.members.insert(id, member);
        if now_ms > self.said_ms + 1_000 {
            self.say(now_ms); // the newcomer has not heard it
        }
        MembershipOutput::Up(Peer { id, addr })
    }

    fn forget_old(&mut self, now_ms: u64) {
        let keep_ms = self.config.forget_down_ms;
        let board = &self.board;
        self.members.retain(|&id, member| {
            let keep = member.state == MemberState::Alive || now_ms.saturating_sub(member.since_ms) < keep_ms;
            if !keep {
                board.forget(id);
            }
            keep
        });
    }

    /// Forgets a member that is no longer wanted, for example one whose key was revoked.
    pub fn forget(&mut self, id: NodeId) {
        self.members.remove(&id);
        self.board.forget(id);
    }

    /// Every other member, in the order of names.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.members.values().map(|member| Member { metadata: self.board.get(member.id), ..member.clone() })
    }

    /// Is this one of the others, alive or not?
    pub fn knows(&self, id: NodeId) -> bool {
        self.members.contains_key(&id)
    }

    /// The others who are alive.
    pub fn alive(&self) -> impl Iterator<Item = Peer> + '_ {
        let alive = self.members.values().filter(|member| member.state == MemberState::Alive);
        alive.map(|member| Peer { id: member.id, addr: member.addr })
    }

    /// This node's name and address.
    pub fn here(&self) -> Peer {
        let ident = self.foca.identity();
        Peer { id: ident.id, addr: ident.addr }
    }

    /// What this node says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}
