//! A cluster, its clients, and what happens to them.

use super::client;
use super::lessee::{self, Promise};
use super::net::{FAIR, Net, Weather};
use super::node::{Make, Node, run_behind, seat};
use super::runtime::{Gate, Rt};
use super::watcher::{Stream, Told};
use crate::check::kv::Changes;
use crate::check::{Answer, Call, HELD, History, What};
use mayfly_base::Rng;
use mayfly_mesh::{Engine, LeaseAsk, MemberChange, MeshError, Tag, kv};
use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CLIENTS: u64 = 6;
const WATCHERS: u64 = 2;
const LESSEES: u64 = 2;
/// More than these are learners.
const MAX_VOTERS: u8 = 7;
/// After the last fault, a write succeeds within this, and all members come to the same state.
const RECOVERY_MS: u64 = 5_000;
/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(4);
const CATCH_UP_NS: u64 = 20_000_000_000;

/// What is simulated.
#[derive(Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub members: u8,
    /// Of virtual time, with faults.
    pub seconds: u64,
    pub make: Make,
    /// Clocks are set, as those on walls are.
    pub sets_clocks: bool,
    /// Instead of faults: so many members are killed at the beginning, the leader among them, and come back at the end.
    pub dead: usize,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let members = if seed % 10 == 9 { 5 } else { 3 };
        Self { seed, members, seconds: 8, make: |store| store, sets_clocks: false, dead: 0 }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub history: History,
    /// Of the history and the last states: the same for the same seed.
    pub hash: String,
    /// What went wrong besides the history.
    pub trouble: Vec<String>,
    pub faults: BTreeMap<&'static str, u64>,
    pub answered: usize,
    pub turned_away: usize,
}

impl Report {
    /// What a correct cluster never has.
    pub fn verdict(&self) -> Result<(), String> {
        match self.trouble.first() {
            Some(trouble) => Err(trouble.clone()),
            None => crate::check::revision::check(&self.history),
        }
    }
}

/// A member that is up.
type Member = (Arc<Gate>, super::node::Engine);

/// What clients share.
struct Shared {
    /// None for members that are down.
    up: Vec<Option<Member>>,
    /// None for calls that were refused: they must not have happened.
    calls: Vec<Option<Call>>,
    /// How many were told that nobody leads, or that too many ask.
    turned_away: usize,
    last_value: u64,
    /// By watcher.
    told: Vec<Told>,
    /// What was changed, as far as history may be compacted by now.
    known: Changes,
    promises: Vec<Promise>,
    /// What a lessee was told and must not be.
    broken: Vec<String>,
    is_over: bool,
}

impl Shared {
    /// A member that is up.
    fn any(&self, rng: &mut Rng) -> Option<Member> {
        let up: Vec<&Member> = self.up.iter().flatten().collect();
        (!up.is_empty()).then(|| up[rng.below(up.len() as u64) as usize].clone())
    }

    fn value(&mut self) -> u64 {
        self.last_value += 1;
        self.last_value
    }
}

/// What became of a call.
#[derive(PartialEq, Eq)]
enum Outcome {
    Answered,
    /// It did not happen.
    Refused,
    Unknown,
}

/// Asks a member, and notes what was asked and answered, and when. Was there an answer?
async fn call(shared: &Mutex<Shared>, member: Member, what: What) -> bool {
    let ask = move |engine| async move { client::ask(&engine, what).await.map(Some) };
    call_with(shared, member, what, ask).await == Outcome::Answered
}

/// The same, in another way; none is a refusal.
async fn call_with<F: Future<Output = Result<Option<Answer>, MeshError>> + Send + 'static>(
    shared: &Mutex<Shared>,
    (gate, engine): Member,
    what: What,
    ask: impl FnOnce(super::node::Engine) -> F + Send + 'static,
) -> Outcome {
    let place = {
        let mut shared = shared.lock().expect("no panic");
        shared.calls.push(Some(Call { what, asked: Rt::now_ns(), answered: None }));
        shared.calls.len() - 1
    };
    let asked = run_behind(gate, async move { ask(engine).await });
    let outcome = Rt::timeout(PATIENCE, asked).await;
    let mut shared = shared.lock().expect("no panic");
    match outcome {
        Ok(Some(Ok(Some(answer)))) => {
            if let Some(call) = &mut shared.calls[place] {
                call.answered = Some((Rt::now_ns(), answer));
            }
            Outcome::Answered
        }
        Ok(Some(Ok(None))) => {
            shared.calls[place] = None;
            Outcome::Refused
        }
        Ok(Some(Err(MeshError::NoLeader { .. } | MeshError::Busy))) => {
            shared.calls[place] = None; // nor did it happen
            shared.turned_away += 1;
            Outcome::Unknown
        }
        _ => Outcome::Unknown,
    }
}

/// Puts the key, and keeps the lease alive for some rounds.
async fn hold(shared: &Mutex<Shared>, rng: &mut Rng, promise: &mut Promise, ttl: i64) {
    let (of, lease) = (promise.key, i64::from(promise.key));
    let is_broken = |promise: &Promise, what: &str| {
        let now = Rt::now_ns();
        if now < promise.until {
            let early = (promise.until - now) / 1_000_000;
            let broken = format!("{what} {of} was told that its lease is gone, {early} ms before its time");
            shared.lock().expect("no panic").broken.push(broken);
        }
    };
    let value = shared.lock().expect("no panic").value();
    let Some(member) = shared.lock().expect("no panic").any(rng) else { return };
    match call_with(shared, member, What::Put(of, value), move |engine| async move {
        lessee::put(&engine, of, value, lease).await
    })
    .await
    {
        Outcome::Refused => return is_broken(promise, "the put of key"),
        Outcome::Answered | Outcome::Unknown => {}
    }
    for _ in 0..rng.below(8) {
        Rt::sleep(Duration::from_millis(rng.below(ttl.unsigned_abs() * 850))).await;
        if shared.lock().expect("no panic").is_over {
            return;
        }
        let Some((gate, engine)) = shared.lock().expect("no panic").any(rng) else { continue };
        let asked = Rt::now_ns();
        let renewed = run_behind(gate, async move { engine.lease(LeaseAsk::Renew(lease)).await });
        match Rt::timeout(PATIENCE, renewed).await {
            Ok(Some(Ok(Some(_)))) => promise.renew(asked, ttl),
            Ok(Some(Ok(None))) => return is_broken(promise, "the lessee of key"),
            _ => {}
        }
    }
}

fn voters(engine: &super::node::Engine) -> usize {
    engine.members().iter().filter(|member| member.is_voter).count()
}

/// Keys that hang on leases.
fn held(engine: &super::node::Engine) -> Vec<u8> {
    let everything = crate::check::kv::everything(0);
    let state = engine.store().read(|transaction| kv::range(transaction, &everything)).expect("readable");
    let kvs = state.expect("now is not compacted").kvs;
    (HELD..=u8::MAX).filter(|of| kvs.iter().any(|kv| kv.key == crate::check::kv::key(*of))).collect()
}

struct World {
    plan: Plan,
    net: Net,
    rng: Rng,
    nodes: Vec<Node>,
    shared: Arc<Mutex<Shared>>,
    /// When to start a killed member again.
    due: BTreeMap<usize, u64>,
    /// When a stopped member goes on.
    stopped: BTreeMap<usize, u64>,
    /// When there is room again on a disk.
    full: BTreeMap<usize, u64>,
    trouble: Vec<String>,
    faults: BTreeMap<&'static str, u64>,
}

pub fn run(plan: Plan) -> Report {
    Rt::simulate(plan.seed, async move {
        let told = vec![Told::default(); WATCHERS as usize];
        let shared = Shared {
            up: Vec::new(),
            calls: Vec::new(),
            turned_away: 0,
            last_value: 0,
            told,
            known: Changes::default(),
            promises: Vec::new(),
            broken: Vec::new(),
            is_over: false,
        };
        let mut world = World {
            plan,
            net: Net::new(plan.seed),
            rng: Rng::new(plan.seed),
            nodes: Vec::new(),
            shared: Arc::new(Mutex::new(shared)),
            due: BTreeMap::new(),
            stopped: BTreeMap::new(),
            full: BTreeMap::new(),
            trouble: Vec::new(),
            faults: BTreeMap::new(),
        };
        world.found().await;
        let mut clients: Vec<_> = (0..CLIENTS).map(|client| SimRuntime::spawn(world.client(client))).collect();
        clients.extend((0..LESSEES).map(|lessee| SimRuntime::spawn(world.lessee(lessee))));
        clients.extend((0..WATCHERS).map(|watcher| SimRuntime::spawn(world.watcher(watcher))));
        clients.push(SimRuntime::spawn(world.compactor()));
        world.suffer().await;
        world.recover().await;
        world.shared().is_over = true;
        for client in clients {
            client.await.expect("no panic");
        }
        world.let_go().await;
        world.settle().await;
        world.report().await
    })
}

impl World {
    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("no panic")
    }

    async fn pause_ms(&mut self, from: u64, to: u64) {
        let ms = from + self.rng.below(to - from);
        Rt::sleep(Duration::from_millis(ms)).await;
    }

    /// One founds the cluster, the others join it and get votes.
    async fn found(&mut self) {
        self.nodes.push(Node::new(1, 1, &mut self.rng));
        self.start(0).await;
        let founder = self.nodes[0].engine.clone().expect("started");
        while founder.leader() != Some(1) {
            Rt::sleep(Duration::from_millis(20)).await;
        }
        for place in 2..=self.plan.members {
            let (founder, seat) = (founder.clone(), seat(super::node::peer(place)));
            let add = MemberChange::Add { peers: seat.url().into_iter().collect(), wants_vote: true };
            let added = self.nodes[0].run(async move { founder.change_members(add).await }).await;
            let id = added.expect("alive").expect("answered").expect("added");
            self.nodes.push(Node::new(id, place, &mut self.rng));
            let new = self.nodes.len() - 1;
            self.start(new).await;
        }
        while voters(&founder) < usize::from(self.plan.members.min(MAX_VOTERS)) {
            Rt::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn start(&mut self, i: usize) {
        let seed = self.rng.next_u64();
        let (net, make) = (self.net.clone(), self.plan.make);
        let others: Vec<_> = self.nodes.iter().map(|node| node.peer).collect();
        match self.nodes[i].start(&net, &others, seed, make).await {
            Ok(true) => {}
            Ok(false) => drop(self.due.insert(i, Rt::now_ns() + 500_000_000)), // nobody lets it in yet
            Err(MeshError::Removed { .. }) if self.nodes[i].is_leaving => self.leave(i),
            Err(error) => self.trouble.push(format!("member {i} does not start: {error}")),
        }
        let (gate, up) = (self.nodes[i].gate.clone(), self.nodes[i].engine.clone());
        let mut shared = self.shared();
        shared.up.resize(self.nodes.len(), None);
        shared.up[i] = up.map(|engine| (gate, engine));
    }

    fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    async fn suffer(&mut self) {
        let end = Rt::now_ns() + self.plan.seconds * 1_000_000_000;
        for i in 0..self.plan.dead {
            self.count("killed");
            let left = self.nodes[i].disk.after_kill();
            self.kill(i, left);
            self.due.insert(i, end);
        }
        while Rt::now_ns() < end {
            self.pause_ms(100, 1_400).await;
            self.tend().await;
            if self.plan.dead == 0 {
                self.fault().await;
            }
        }
    }

    /// Starts again what is due, and finds who has ended.
    async fn tend(&mut self) {
        let now = Rt::now_ns();
        let over: Vec<usize> = self.stopped.iter().filter(|(_, until)| **until <= now).map(|(i, _)| *i).collect();
        for i in over {
            self.stopped.remove(&i);
            self.nodes[i].gate.go_on();
        }
        for i in 0..self.nodes.len() {
            if let Some(error) = self.nodes[i].ended().await {
                // The last is what its disk says after a failure that it met beside its writer.
                if matches!(error, MeshError::Removed { .. }) && self.nodes[i].is_leaving {
                    self.leave(i);
                    continue;
                }
                let known = ["the power is gone", "refused to flush", "Previous I/O error", "no room is left"];
                let is_expected =
                    matches!(&error, MeshError::Disk { reason, .. } if known.iter().any(|is| reason.contains(is)));
                if !is_expected {
                    self.trouble.push(format!("member {i} ended: {error}"));
                }
                let left = self.nodes[i].disk.after_power_loss(&mut self.rng);
                self.kill(i, left);
            }
        }
        let over: Vec<usize> = self.full.iter().filter(|(_, until)| **until <= now).map(|(i, _)| *i).collect();
        for i in over {
            self.full.remove(&i);
            self.nodes[i].disk.set_free(u64::MAX);
        }
        let due: Vec<usize> = self.due.iter().filter(|(_, at)| **at <= now).map(|(i, _)| *i).collect();
        for i in due {
            self.due.remove(&i);
            self.start(i).await;
        }
    }

    fn kill(&mut self, i: usize, left: crate::common::disk::Disk) {
        self.nodes[i].kill(&self.net, left);
        self.shared().up[i] = None;
        self.stopped.remove(&i);
        let back = Rt::now_ns() + (20 + self.rng.below(2_500)) * 1_000_000;
        self.due.insert(i, back);
    }

    /// A member that is up; half the time the leader.
    fn victim(&mut self) -> Option<usize> {
        let up: Vec<usize> = (0..self.nodes.len()).filter(|i| self.nodes[*i].engine.is_some()).collect();
        let leads = |i: &usize| {
            self.nodes[*i].engine.as_ref().is_some_and(|engine| engine.leader() == Some(self.nodes[*i].member))
        };
        let leader = up.iter().copied().find(leads);
        let any = if up.is_empty() { None } else { Some(up[self.rng.below(up.len() as u64) as usize]) };
        if self.rng.below(2) == 0 { leader.or(any) } else { any }
    }

    async fn fault(&mut self) {
        let Some(i) = self.victim() else { return };
        if self.plan.sets_clocks && self.rng.below(3) == 0 {
            self.count("a clock is set");
            let ms = self.rng.below(20_000) as i64 - 10_000;
            self.nodes[i].set_ms.store(ms, Ordering::Relaxed);
        }
        match self.rng.below(21) {
            0 | 1 => {
                self.count("kill");
                let left = self.nodes[i].disk.after_kill();
                self.kill(i, left);
            }
            2 | 3 => {
                self.count("power loss");
                let left = self.nodes[i].disk.after_power_loss(&mut self.rng);
                self.kill(i, left);
            }
            4 => {
                self.count("power loss at a step of the disk");
                let steps = self.rng.below(40);
                self.nodes[i].disk.go_dark_after(steps);
            }
            5 => {
                self.count("failed flush");
                self.nodes[i].disk.fail_next_flush();
            }
            6 => {
                self.count("power loss of all");
                for i in (0..self.nodes.len()).filter(|i| self.nodes[*i].engine.is_some()).collect::<Vec<_>>() {
                    let left = self.nodes[i].disk.after_power_loss(&mut self.rng);
                    self.kill(i, left);
                }
            }
            7 => {
                self.count("pause");
                self.nodes[i].gate.stop();
                let until = Rt::now_ns() + (100 + self.rng.below(3_000)) * 1_000_000;
                self.stopped.insert(i, until);
            }
            8 => {
                let other = self.rng.below(self.nodes.len() as u64) as usize;
                self.count("cut in one direction");
                self.net.cut(self.nodes[i].peer.id, self.nodes[other].peer.id);
            }
            9 | 10 => self.isolate(i),
            11 => {
                self.count("weather");
                let (loss, double) = (self.rng.below(20), self.rng.below(20));
                self.net.set_weather(Weather { loss, double, delay_us: 500 + self.rng.below(60_000) });
            }
            12 => {
                self.count("hand-over");
                let to = self.nodes[self.rng.below(self.nodes.len() as u64) as usize].member;
                if let Some(engine) = self.nodes[i].engine.clone() {
                    drop(self.nodes[i].run(async move { engine.hand_over(to).await }));
                }
            }
            13 => self.wipe(i),
            14 => self.fill_up(i),
            15 => self.remove(i),
            _ => {
                self.net.heal();
                self.net.set_weather(FAIR);
            }
        }
    }

    fn fill_up(&mut self, i: usize) {
        self.count("full disk");
        self.nodes[i].disk.set_free(0);
        let until = Rt::now_ns() + (200 + self.rng.below(2_000)) * 1_000_000;
        self.full.insert(i, until);
    }

    fn isolate(&mut self, i: usize) {
        self.count("isolation");
        for other in &self.nodes {
            self.net.cut(self.nodes[i].peer.id, other.peer.id);
            self.net.cut(other.peer.id, self.nodes[i].peer.id);
        }
    }

    /// One at a time: whoever loses a majority of disks has lost what was acknowledged.
    fn wipe(&mut self, i: usize) {
        let voters = self.nodes[0].engine.as_ref().map_or(0, voters);
        if i > 0 && voters == self.nodes.len() && self.nodes.iter().all(|node| !node.is_wiped && !node.is_leaving) {
            self.count("lost disk");
            self.kill(i, crate::common::disk::Disk::default());
            self.nodes[i].is_wiped = true;
        }
    }

    /// Takes a member out for good; its node comes back as another one.
    fn remove(&mut self, i: usize) {
        let voters = self.nodes[0].engine.as_ref().map_or(0, voters);
        let is_calm = voters == self.nodes.len() && self.nodes.iter().all(|node| !node.is_wiped && !node.is_leaving);
        if let (true, Some(engine)) = (i > 0 && is_calm, self.nodes[0].engine.clone()) {
            self.count("removal");
            self.nodes[i].is_leaving = true;
            let removal = MemberChange::Remove(self.nodes[i].member);
            drop(self.nodes[0].run(async move { engine.change_members(removal).await }));
        }
    }

    /// It has learned that it was taken out.
    fn leave(&mut self, i: usize) {
        self.count("left");
        self.kill(i, crate::common::disk::Disk::default());
        (self.nodes[i].is_wiped, self.nodes[i].is_leaving) = (true, false);
    }

    /// The faults are over: the cluster works again.
    async fn recover(&mut self) {
        self.net.heal();
        self.net.set_weather(FAIR);
        self.stopped.values_mut().for_each(|until| *until = 0);
        self.full.values_mut().for_each(|until| *until = 0);
        let start = Rt::now_ns();
        while Rt::now_ns() < start + CATCH_UP_NS {
            self.due.values_mut().for_each(|at| *at = 0); // also of who ended of a fault that came before
            self.tend().await;
            if let Some(engine) = self.nodes[0].engine.clone() {
                let disarmed = self.nodes[0].run(async move { client::disarm(&engine).await });
                drop(Rt::timeout(PATIENCE, disarmed).await); // it is tried again
            }
            if self.write().await {
                let ms = (Rt::now_ns() - start) / 1_000_000;
                if ms > RECOVERY_MS {
                    self.trouble.push(format!("the first write came {ms} ms after the last fault"));
                }
                return;
            }
            Rt::sleep(Duration::from_millis(50)).await;
        }
        self.trouble.push("no write succeeds after the last fault".into());
    }

    /// Nobody asks any more: all members come to the same state.
    async fn settle(&mut self) {
        let start = Rt::now_ns();
        while !self.are_equal() {
            if Rt::now_ns() > start + CATCH_UP_NS {
                return self.trouble.push(format!("members differ: {:?}", self.hashes()));
            }
            self.due.values_mut().for_each(|at| *at = 0);
            self.tend().await;
            Rt::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Nobody renews a lease any more: they all end.
    async fn let_go(&mut self) {
        let start = Rt::now_ns();
        loop {
            self.tend().await;
            let held = match &self.nodes[0].engine {
                Some(engine) if engine.read_barrier().await.is_ok() => held(engine),
                _ => vec![HELD],
            };
            if held.is_empty() {
                return;
            }
            if Rt::now_ns() > start + CATCH_UP_NS {
                return self.trouble.push(format!("keys {held:?} outlive their leases"));
            }
            self.due.values_mut().for_each(|at| *at = 0);
            Rt::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn write(&mut self) -> bool {
        let Some(engine) = self.nodes[0].engine.clone() else { return false };
        let value = self.shared().value();
        call(&self.shared, (self.nodes[0].gate.clone(), engine), What::Put(0, value)).await
    }

    fn hashes(&self) -> Vec<Option<(u64, String)>> {
        let hash = |node: &Node| {
            let (applied, hash) = node.engine.as_ref()?.store().hash(Tag::KV).ok()??;
            let (_, cluster) = node.engine.as_ref()?.store().hash(Tag::CLUSTER).ok()??;
            let both =
                [hash, cluster].map(|hash| hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>());
            Some((applied.index, both.concat()))
        };
        self.nodes.iter().map(hash).collect()
    }

    fn are_equal(&self) -> bool {
        let hashes = self.hashes();
        hashes[0].is_some() && hashes.iter().all(|hash| *hash == hashes[0])
    }

    fn client(&self, client: u64) -> impl Future<Output = ()> + Send + use<> {
        let (mut rng, shared) = (Rng::stream(self.plan.seed, 100 + client), self.shared.clone());
        async move {
            loop {
                Rt::sleep(Duration::from_millis(2 + rng.below(60))).await;
                let (member, what) = {
                    let mut shared = shared.lock().expect("no panic");
                    if shared.is_over {
                        return;
                    }
                    let up: Vec<Member> = shared.up.iter().flatten().cloned().collect();
                    if up.is_empty() {
                        continue;
                    }
                    let value = shared.value();
                    let what = What::random(&mut rng, value, shared.calls.iter().rev().flatten());
                    (up[rng.below(up.len() as u64) as usize].clone(), what)
                };
                call(&shared, member, what).await;
            }
        }
    }

    /// Holds a key by a lease for a while, one after the other.
    fn lessee(&self, lessee: u64) -> impl Future<Output = ()> + Send + use<> {
        let (mut rng, shared) = (Rng::stream(self.plan.seed, 300 + lessee), self.shared.clone());
        async move {
            for round in 0..20 {
                let (of, ttl) = (HELD + (2 * round + lessee) as u8, 2 + rng.below(7) as i64);
                Rt::sleep(Duration::from_millis(2 + rng.below(300))).await;
                let Some((gate, engine)) = shared.lock().expect("no panic").any(&mut rng) else { continue };
                if shared.lock().expect("no panic").is_over {
                    return;
                }
                let lease = i64::from(of);
                let (mut promise, asked) = (Promise { key: of, until: 0 }, Rt::now_ns());
                let granted = run_behind(gate, async move { lessee::grant(&engine, lease, ttl).await });
                if !matches!(Rt::timeout(PATIENCE, granted).await, Ok(Some(Ok(())))) {
                    continue; // if it happened all the same, nothing hangs on it
                }
                promise.renew(asked, ttl);
                hold(&shared, &mut rng, &mut promise, ttl).await;
                shared.lock().expect("no panic").promises.push(promise);
            }
        }
    }

    /// Watches one member after the other.
    fn watcher(&self, watcher: u64) -> impl Future<Output = ()> + Send + use<> {
        let (mut rng, shared) = (Rng::stream(self.plan.seed, 200 + watcher), self.shared.clone());
        async move {
            let mut stream: Option<(Member, Stream)> = None;
            loop {
                Rt::sleep(Duration::from_millis(2 + rng.below(60))).await;
                let (up, next) = {
                    let shared = shared.lock().expect("no panic");
                    if shared.is_over {
                        return;
                    }
                    let up: Vec<Member> = shared.up.iter().flatten().cloned().collect();
                    (up, shared.told[watcher as usize].next())
                };
                if up.is_empty() {
                    continue;
                }
                if stream.is_none() || rng.below(40) == 0 {
                    let (gate, engine) = up[rng.below(up.len() as u64) as usize].clone();
                    let open = run_behind(gate.clone(), {
                        let engine = engine.clone();
                        async move { Stream::open(&engine, next) }
                    });
                    stream = match Rt::timeout(PATIENCE, open).await {
                        Ok(Some(Ok(stream))) => Some(((gate, engine), stream)),
                        _ => None,
                    };
                }
                let Some(((gate, engine), open)) = stream.clone() else { continue };
                let read = run_behind(gate, async move { open.read(&engine) });
                match Rt::timeout(PATIENCE, read).await {
                    Ok(Some(Ok(told))) => shared.lock().expect("no panic").told[watcher as usize].0.extend(told.0),
                    _ => stream = None, // its member is gone, or stands still
                }
            }
        }
    }

    /// Compacts what every watcher has been told, through any member; what it was is noted before.
    fn compactor(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut rng, shared) = (Rng::stream(self.plan.seed, 400), self.shared.clone());
        async move {
            loop {
                Rt::sleep(Duration::from_millis(100 + rng.below(1_500))).await;
                let (gate, engine, upto) = {
                    let mut shared = shared.lock().expect("no panic");
                    if shared.is_over {
                        return;
                    }
                    let Some((gate, engine)) = shared.any(&mut rng) else { continue };
                    let told = shared.told.iter().map(Told::next).min().unwrap_or(2) - 1;
                    if client::learn(&engine, &mut shared.known, told).is_err() {
                        continue; // its disk has failed
                    }
                    (gate, engine, told.min(shared.known.found.len() as i64 + 1))
                };
                if upto > 1 {
                    let compacted = run_behind(gate, async move { client::compact(&engine, upto).await });
                    drop(Rt::timeout(PATIENCE, compacted).await); // others may have gone on
                }
            }
        }
    }

    /// In the end every watcher was told everything, once and in order.
    fn check_watchers(&mut self, changes: &[crate::check::Change]) {
        let Some(engine) = self.nodes[0].engine.clone() else { return };
        let told = std::mem::take(&mut self.shared().told);
        for mut told in told {
            let rest = Stream::open(&engine, told.next()).and_then(|stream| stream.read(&engine));
            told.0.extend(rest.expect("readable").0);
            if let Err(trouble) = told.check(changes) {
                self.trouble.push(trouble);
            }
        }
    }

    /// Members that compare their histories find no difference.
    fn check_alarms(&mut self) {
        let Some(engine) = &self.nodes[0].engine else { return };
        let alarms = engine.store().read(kv::alarms).expect("readable");
        if !alarms.is_empty() {
            self.trouble.push(format!("alarms are up: {alarms:?}"));
        }
    }

    async fn report(mut self) -> Report {
        let calls = std::mem::take(&mut self.shared().calls).into_iter().flatten().collect();
        let hashes = self.hashes();
        let changes = match self.nodes[0].engine.as_ref() {
            Some(engine) => client::changes(engine, std::mem::take(&mut self.shared().known)),
            None => Vec::new(),
        };
        self.check_alarms();
        self.check_watchers(&changes);
        let history = History { calls, changes };
        let (promises, broken) = {
            let mut shared = self.shared();
            (std::mem::take(&mut shared.promises), std::mem::take(&mut shared.broken))
        };
        self.trouble.extend(broken);
        self.trouble.extend(lessee::check(&history, &promises).err());
        let hash =
            blake3::hash(format!("{history:?} {hashes:?} {:?} {:?}", self.faults, self.trouble).as_bytes()).to_string();
        let answered = history.calls.iter().filter(|call| call.answered.is_some()).count();
        let turned_away = self.shared().turned_away;
        Report { history, hash, trouble: self.trouble, faults: self.faults, answered, turned_away }
    }
}
