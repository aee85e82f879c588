//! A long bad day of a swarm, and a model of what was acknowledged in it: nothing that somebody was told is done may be undone.

use super::{Sim, SimConfig};
use crate::crdt::Stamp;
use crate::{Result, SwarmError};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use mayfly_base::Rng;

/// What [`ordeal`] does to a swarm.
#[derive(Clone, Debug, PartialEq)]
pub struct OrdealConfig {
    /// Hosts, network, seed.
    pub sim: SimConfig,
    /// Acts of mischief and writes.
    pub steps: usize,
    /// Members stay away for this long now and then; 0 for never. Beyond the time that tombstones are kept, see the design page for what then holds.
    pub absence_ms: u64,
}

/// What came out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrdealReport {
    /// Writes and deletions that were acknowledged.
    pub acknowledged: usize,
    /// Times that a host went away, by a kill or with a goodbye.
    pub departures: usize,
    /// Requests and answers that were sent, in bytes.
    pub request_bytes: u64,
}

/// An acknowledged write, or a deletion.
#[derive(Clone, Debug)]
struct Op {
    stamp: Stamp,
    value: Option<Vec<u8>>,
    /// Writes of this key that the host had seen when it did this.
    seen: BTreeSet<Stamp>,
}

struct Ordeal {
    sim: Sim,
    rng: Rng,
    nodes: usize,
    absence_ms: u64,
    ops: BTreeMap<Vec<u8>, Vec<Op>>,
    /// Host and key: the highest stamp acknowledged there, which no kill takes away.
    floor: BTreeMap<(usize, Vec<u8>), Stamp>,
    /// Host and key: every version that was seen there, and when first. What a kill took away before it was on the disk was not seen.
    seen: BTreeMap<(usize, Vec<u8>), BTreeMap<Stamp, u64>>,
    report: OrdealReport,
    trace: Vec<String>,
}

const KEYS: u64 = 6;
/// What came from others is on the disk after this long: 100 ms, and a commit.
const WRITE_BEHIND_MS: u64 = 150;

/// Kills, goodbyes, returns, rolling restarts, lonely starts, cuts, loss and clocks that jump, under writes and deletions; then peace. At every step:
/// a host has what it acknowledged, or something newer. At the end: all are equal, and what they have is the newest that was acknowledged.
///
/// # Errors
/// [`SwarmError::Message`] with the history when that is not so; those of [`Sim::new`].
pub fn ordeal(config: &OrdealConfig) -> Result<OrdealReport> {
    let sim = Sim::new(config.sim.clone())?;
    let (rng, nodes, absence_ms) = (Rng::stream(config.sim.seed, 11), config.sim.nodes, config.absence_ms);
    let (ops, floor, seen, report) = Default::default();
    let mut ordeal = Ordeal { sim, rng, nodes, absence_ms, ops, floor, seen, report, trace: Vec::new() };
    ordeal.sim.run_until(100, 60_000, Sim::agrees_on_members);
    for _ in 0..config.steps {
        ordeal.step()?;
    }
    ordeal.make_peace()?;
    ordeal.report.request_bytes = ordeal.sim.request_bytes();
    Ok(ordeal.report)
}

impl Ordeal {
    fn step(&mut self) -> Result<()> {
        match self.rng.below(100) {
            0..45 => self.write()?,
            45..51 => {
                self.write()?;
                self.depart(); // nobody has heard of it yet, perhaps
            }
            51..57 => self.depart(),
            57..70 => self.come_back()?,
            70..74 => self.rolling_restart()?,
            74..77 => self.lonely_start()?,
            77..82 => self.cut(),
            82..90 => self.sim.heal(),
            90..93 => {
                let loss = [0.0, 0.1, 0.3][self.rng.below(3) as usize];
                self.sim.set_loss(loss);
            }
            93..96 => self.jump_clock(),
            _ => self.stay_away()?,
        }
        let pause = [0, 5, 30, 300, 1_500, 6_000][self.rng.below(6) as usize];
        self.pass(pause)
    }

    /// Time goes by, and everything is looked at.
    fn pass(&mut self, ms: u64) -> Result<()> {
        let end = self.sim.now_ms() + ms;
        loop {
            self.look()?;
            let left = end - self.sim.now_ms();
            if left == 0 {
                return Ok(());
            }
            self.sim.run_for(left.min(200));
        }
    }

    fn key(&mut self) -> Vec<u8> {
        format!("key-{}", self.rng.below(KEYS)).into_bytes()
    }

    fn pick(&mut self, is_up: bool) -> Option<usize> {
        let of: Vec<usize> = (0..self.nodes).filter(|&i| self.sim.node(i).is_some() == is_up).collect();
        of.get(self.rng.below(of.len() as u64) as usize).copied()
    }

    /// A put or a deletion at any host; the disk takes its time now and then.
    fn write(&mut self) -> Result<()> {
        let Some(host) = self.pick(true) else { return Ok(()) };
        let key = self.key();
        let size = [8, 8, 600][self.rng.below(3) as usize];
        let value: Vec<u8> = (0..size).map(|_| self.rng.next_u64() as u8).collect();
        let value = (self.rng.below(5) < 3).then_some(value);
        let delay = if self.rng.below(4) == 0 { self.rng.below(60) } else { 0 };
        self.say(format!(
            "{} {} at {host} within {delay} ms",
            if value.is_some() { "put" } else { "delete" },
            text(&key)
        ));
        self.sim.begin_write(host, &key, value.as_deref(), delay)
    }

    fn depart(&mut self) {
        let Some(host) = self.pick(true) else { return };
        self.go(host);
    }

    fn go(&mut self, host: usize) {
        self.report.departures += 1;
        if self.rng.below(2) == 0 {
            self.say(format!("kill {host}"));
            self.sim.crash(host);
            let now = self.sim.now_ms();
            let of_host = self.seen.iter_mut().filter(|((other, _), _)| *other == host);
            of_host.for_each(|(_, seen)| seen.retain(|_, first| now - *first >= WRITE_BEHIND_MS));
        } else {
            self.say(format!("leave {host}"));
            self.sim.leave(host);
        }
    }

    fn come_back(&mut self) -> Result<()> {
        let Some(host) = self.pick(false) else { return Ok(()) };
        self.say(format!("start {host}"));
        self.sim.start(host)
    }

    fn rolling_restart(&mut self) -> Result<()> {
        let (down, up) = (self.rng.below(4_000), self.rng.below(4_000));
        for host in 0..self.nodes {
            if self.sim.node(host).is_some() {
                self.go(host);
            }
            self.pass(down)?;
            self.say(format!("start {host}"));
            self.sim.start(host)?;
            if self.rng.below(2) == 0 {
                self.write()?;
            }
            self.pass(up)?;
        }
        Ok(())
    }

    /// All are down, and one begins alone, for longer than anything takes to time out.
    fn lonely_start(&mut self) -> Result<()> {
        while let Some(host) = self.pick(true) {
            self.go(host);
        }
        self.come_back()?;
        self.pass(1_000)?;
        self.write()?;
        let alone = self.rng.below(20_000);
        self.pass(alone)
    }

    fn cut(&mut self) {
        let word = self.rng.next_u64();
        self.say(format!("cut {word:x}"));
        self.sim.cut(|i| (word >> i & 1) as u8);
    }

    fn jump_clock(&mut self) {
        if self.absence_ms > 0 {
            return; // ages are measured by clocks: those of a swarm with a horizon have to be right to a part of it
        }
        let host = self.rng.below(self.nodes as u64) as usize;
        let offset = self.rng.below(7_200_000) as i64 - 3_600_000;
        self.say(format!("clock of {host} {offset} ms off"));
        self.sim.set_clock(host, offset);
    }

    /// One or two are away for long, while the others go on.
    fn stay_away(&mut self) -> Result<()> {
        if self.absence_ms == 0 {
            return Ok(());
        }
        let away: Vec<usize> = (0..1 + self.rng.below(2)).filter_map(|_| self.pick(true)).collect();
        for &host in &away {
            if self.sim.node(host).is_some() {
                self.go(host);
            }
        }
        for _ in 0..4 {
            self.write()?;
            self.pass(self.absence_ms / 4)?;
        }
        for host in away {
            if self.sim.node(host).is_none() {
                self.say(format!("start {host}"));
                self.sim.start(host)?;
            }
        }
        Ok(())
    }

    fn say(&mut self, what: String) {
        let now = self.sim.now_ms();
        self.trace.push(format!("{now:>8} {what}"));
    }

    /// Learns what was acknowledged and who has what, and checks every host against what it acknowledged.
    fn look(&mut self) -> Result<()> {
        for (host, record) in self.sim.take_acknowledged() {
            let at = (host, record.key.clone());
            let seen = self.seen.get(&at).map(|seen| seen.keys().copied().collect()).unwrap_or_default();
            self.seen.entry(at.clone()).or_default().insert(record.stamp, 0); // on the disk before it is acknowledged
            self.report.acknowledged += 1;
            self.say(format!("acknowledged {} {:?} at {host}", text(&record.key), record.stamp.ms));
            let floor = self.floor.entry(at).or_default();
            *floor = record.stamp.max(*floor);
            self.ops.entry(record.key).or_default().push(Op { stamp: record.stamp, value: record.value, seen });
        }
        for host in 0..self.nodes {
            let Some(node) = self.sim.node(host) else { continue };
            for key in self.ops.keys() {
                if let Some(record) = node.replica().record(key) {
                    let first = self.sim.now_ms();
                    self.seen.entry((host, key.clone())).or_default().entry(record.stamp).or_insert(first);
                }
            }
        }
        let fault = (0..self.nodes).find_map(|host| self.lost_at(host));
        fault.map_or(Ok(()), |what| Err(self.fail(&what)))
    }

    /// Something that a host acknowledged and has neither kept nor replaced by something newer.
    fn lost_at(&self, host: usize) -> Option<String> {
        let node = self.sim.node(host)?;
        self.ops.keys().find_map(|key| {
            let floor = *self.floor.get(&(host, key.clone()))?;
            let here = node.replica().record(key);
            let is_kept = match &here {
                Some(record) => record.stamp >= floor,
                None => self.ops.get(key)?.iter().any(|op| op.stamp >= floor && op.value.is_none()),
            };
            // Where tombstones have an age, what comes back behind a deletion is judged at the end, by who had seen what.
            let is_deleted = self.ops.get(key)?.iter().any(|op| op.stamp >= floor && op.value.is_none());
            let is_judged_later = self.absence_ms > 0 && is_deleted;
            let here = here.map(|record| record.stamp.ms);
            (!is_kept && !is_judged_later).then(|| format!("{} at {host} is {here:?}, below {:?}", text(key), floor.ms))
        })
    }

    fn newest(&self, key: &[u8]) -> Option<&Op> {
        self.ops.get(key)?.iter().max_by_key(|op| op.stamp)
    }

    /// No more faults: all come back, become equal, and have the newest of everything.
    fn make_peace(&mut self) -> Result<()> {
        self.say("peace".to_string());
        self.sim.heal();
        self.sim.set_loss(0.0);
        while self.pick(false).is_some() {
            self.come_back()?;
        }
        self.pass(100)?;
        let rest = self.sim.run_until(200, 300_000, |sim| sim.agrees_on_members() && sim.replicas_equal());
        self.pass(3_000)?;
        // Tombstones whose time is over go when each member looks at them next, and not in the same moment.
        let still = self.sim.run_until(200, 30_000, |sim| sim.replicas_equal());
        if rest.is_none() || still.is_none() {
            return Err(self.fail(&format!("they do not become equal: {}", self.difference())));
        }
        if !self.sim.disks_equal_memory() {
            return Err(self.fail("a disk is not what its node holds"));
        }
        let Some(node) = self.sim.node(0) else { return Ok(()) };
        let fault = self.ops.keys().find_map(|key| self.wrong(key, node.replica().record(key)));
        fault.map_or(Ok(()), |what| Err(self.fail(&what)))
    }

    /// Keys that members have different versions of.
    fn difference(&self) -> String {
        let of = |key: &Vec<u8>, host: usize| {
            let node = self.sim.node(host)?;
            Some(node.replica().record(key).map(|record| (record.stamp, record.value.is_some())))
        };
        let differ = |key: &&Vec<u8>| (1..self.nodes).any(|host| of(key, host) != of(key, 0));
        let members = self.sim.agrees_on_members();
        let keys = self.ops.keys().filter(differ).map(|key| {
            let all: Vec<String> = (0..self.nodes)
                .map(|host| format!("{host}: {:?}", of(key, host).map(|r| r.map(|(s, v)| (s.ms, v)))))
                .collect();
            format!("{} is {}", text(key), all.join(", "))
        });
        format!("members agree: {members}; {}", keys.collect::<Vec<_>>().join("; "))
    }

    /// What is wrong with the version of a key that all have at the end.
    fn wrong(&self, key: &[u8], here: Option<crate::memory::Record>) -> Option<String> {
        let newest = self.newest(key)?;
        let value = here.as_ref().and_then(|record| record.value.clone());
        if value == newest.value {
            return None;
        }
        let stamp = here.map(|record| record.stamp);
        // Beyond the horizon, a deletion need not undo what its host had never heard of.
        let is_unheard = stamp.is_some_and(|stamp| !newest.seen.contains(&stamp));
        if self.absence_ms > 0 && newest.value.is_none() && is_unheard {
            return None;
        }
        let (ours, newest) = (stamp.map(|stamp| stamp.ms), newest.stamp.ms);
        Some(format!("{} ends as {ours:?}, the newest that was acknowledged is {newest}", text(key)))
    }

    fn fail(&self, what: &str) -> SwarmError {
        let seed = self.sim.config().seed;
        let last = self.trace.len().saturating_sub(60);
        let history = self.trace.get(last..).unwrap_or_default().join("\n");
        SwarmError::Message { reason: format!("seed {seed}: {what}\n{history}") }
    }
}

fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
