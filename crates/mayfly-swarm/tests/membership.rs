//! Failure detection among a few, packet by packet.

use mayfly_base::{NodeId, Rng};
use mayfly_swarm::Membership;
use mayfly_swarm::membership::{MembershipConfig, MembershipOutput};
use mayfly_wire::Peer;
use std::collections::VecDeque;

const WARNING: u8 = 1;

fn peer(number: usize) -> Peer {
    Peer { id: NodeId([number as u8 + 1; 32]), addr: ([10, 0, 0, number as u8 + 1], 7000).into() }
}

/// Members whose packets arrive at once, if a rule lets them through.
struct Few {
    members: Vec<Membership>,
    now_ms: u64,
    /// One who answers, and does nothing of itself.
    passive: Option<usize>,
    /// When, from whom, to whom, and of what kind: everything that was sent, whether or not it arrived.
    sent: Vec<(u64, usize, usize, u8)>,
    downs: Vec<(usize, NodeId)>,
}

impl Few {
    /// All know each other.
    fn new(count: usize, config: MembershipConfig) -> Self {
        let member = |i| Membership::new(peer(i), 1, config, Rng::new(i as u64)).unwrap();
        let members = (0..count).map(member).collect();
        let mut few = Self { members, now_ms: 0, passive: None, sent: Vec::new(), downs: Vec::new() };
        for i in 1..count {
            let joined = few.members[i].join(peer(0), 0);
            few.deliver(i, joined, &|_, _, _| true);
        }
        few.run(3_000, |_, _, _| true);
        assert!(few.members.iter().all(|member| member.alive().count() == count - 1));
        (few.sent, few.downs) = Default::default();
        few
    }

    fn run(&mut self, ms: u64, arrives: impl Fn(usize, usize, u8) -> bool) {
        let (end, passive) = (self.now_ms + ms, self.passive);
        while self.now_ms < end {
            self.now_ms += 10;
            for i in (0..self.members.len()).filter(|&i| Some(i) != passive) {
                let outputs = self.members[i].tick(self.now_ms);
                self.deliver(i, outputs, &arrives);
            }
        }
    }

    fn deliver(&mut self, from: usize, outputs: Vec<MembershipOutput>, arrives: &dyn Fn(usize, usize, u8) -> bool) {
        let mut queue: VecDeque<_> = outputs.into_iter().map(|output| (from, output)).collect();
        while let Some((from, output)) = queue.pop_front() {
            match output {
                MembershipOutput::Packet { to, bytes } => {
                    let at = (0..self.members.len()).find(|&i| peer(i) == to).unwrap();
                    self.sent.push((self.now_ms, from, at, bytes[0]));
                    if arrives(from, at, bytes[0]) {
                        let answers = self.members[at].packet(&bytes, self.now_ms).unwrap();
                        queue.extend(answers.into_iter().map(|answer| (at, answer)));
                    }
                }
                MembershipOutput::Down(id) => self.downs.push((from, id)),
                _ => {}
            }
        }
    }
}

/// Nothing reaches the third member but the warnings of those who are about to declare it dead, and it lives by them; without them it does not.
#[test]
fn a_suspect_is_warned_and_says_that_it_lives() {
    for is_warned in [true, false] {
        let mut few = Few::new(3, MembershipConfig::default());
        few.passive = Some(2);
        few.run(20_000, |_, to, kind| to != 2 || is_warned && kind == WARNING);
        assert!(few.sent.iter().any(|&(_, from, to, kind)| (from < 2, to, kind) == (true, 2, WARNING)));
        let is_declared_dead = few.downs.iter().any(|&(by, id)| by < 2 && id == peer(2).id);
        assert_eq!(is_declared_dead, !is_warned);
    }
}

/// Whom nobody answers doubts itself, and probes less and less often; with the first answers it is its old self.
#[test]
fn who_hears_nothing_probes_less() {
    let config = MembershipConfig { suspicion_ms: 3_600_000, ..MembershipConfig::default() };
    let mut few = Few::new(4, config);
    let count = |few: &mut Few, arrives: fn(usize, usize, u8) -> bool| {
        few.sent.clear();
        few.run(10_000, arrives);
        few.sent.iter().filter(|(_, from, ..)| *from == 0).count()
    };
    let everything = |_: usize, _: usize, _: u8| true;
    let nothing_to_the_first = |_: usize, to: usize, _: u8| to != 0;
    let healthy = count(&mut few, everything);
    few.run(20_000, nothing_to_the_first);
    let in_doubt = count(&mut few, nothing_to_the_first);
    few.run(60_000, everything);
    let again = count(&mut few, everything);
    assert!(in_doubt * 2 < healthy, "{healthy} packets in ten seconds, {in_doubt} in doubt");
    assert!(again * 3 > healthy * 2, "{healthy} packets before, {again} afterwards");
}
