use super::*;
use crate::learn::{Contribution, Seat};

fn node(i: u8) -> NodeId {
    NodeId([i; 32])
}

fn body(i: u8) -> Digest {
    Digest([100 + i; 32])
}

const RESULT: Digest = Digest([9; 32]);
const TERM: Term = Term { count: 1, node: NodeId([3; 32]) };

fn member() -> Learner {
    member_of(Digest::default())
}

/// Node 1 of three, which has everybody's report and body of round 0 of a run.
fn member_of(run: Digest) -> Learner {
    let roster: Roster = (1..=3).map(|i| (node(i), 10)).collect();
    let kept = Kept { roster, ..Kept::default() };
    let config = LearnerConfig { run, exchange: Exchange::All, ..LearnerConfig::default() };
    let mut learner = Learner::new(node(1), config, kept.clone(), [kept.state], Rng::new(1), 0);
    assert_eq!(learner.start(), [Command::Train(0)]);
    for i in 2..=3 {
        learner.noticed(node(i), true, 0);
        let report = Report { round: 0, parent: kept.state, node: node(i), rows: 10, body: body(i) };
        learner.message(node(i), Message::Report(report), 0);
        learner.has_body(body(i), 0);
    }
    learner.trained(0, 10, body(1), 0);
    learner
}

fn contribution(i: u8, staleness: u8) -> Contribution {
    Contribution { node: node(i), body: body(i), rows: 10, staleness }
}

fn proposal(contributions: Vec<Contribution>) -> Proposal {
    let mut roster: Roster = (1..=3).map(|i| (node(i), 10)).collect();
    contributions.iter().for_each(|one| roster.set(one.node, Seat { rows: 10, next: 1 }));
    Proposal { round: 0, parent: Digest::default(), term: TERM, contributions, roster, result: RESULT }
}

fn is_accept(command: &Command) -> bool {
    matches!(command, Command::Send(_, Message::Accept { .. }))
}

#[test]
fn only_the_result_that_was_computed_here_is_accepted() {
    let all = proposal((1..=3).map(|i| contribution(i, 0)).collect());
    for (result, accepts) in [(RESULT, true), (Digest([8; 32]), false)] {
        let mut learner = member();
        let asked = learner.message(node(3), Message::Propose(all.clone()), 1);
        assert_eq!(asked, [Command::Compute(all.clone())]);
        let commands = learner.computed(&all, result, 2);
        assert_eq!(commands.iter().any(is_accept), accepts, "{commands:?}");
        assert_eq!(learner.kept().accepted.is_some(), accepts);
        if accepts {
            assert!(matches!(&commands[..], [Command::Keep(_), Command::Send(..)]), "on disk first: {commands:?}");
        }
    }
}

#[test]
fn a_state_may_be_the_last_whatever_the_rounds() {
    let mut learner = member();
    assert!(!learner.is_over());
    learner.end();
    assert!(learner.is_over());
    let commands: Vec<Command> = learner.start().into_iter().chain(learner.tick(1_000_000)).collect();
    assert!(!commands.iter().any(|command| matches!(command, Command::Train(_))), "{commands:?}");
    let campaign = |command: &Command| matches!(command, Command::Send(_, Message::Prepare { .. }));
    assert!(!commands.iter().any(campaign), "{commands:?}");
}

#[test]
fn proposals_that_cannot_be_are_not_looked_at() {
    let one = |i| contribution(i, 0);
    let fit = proposal(vec![one(1), one(2)]);
    let cases = [
        ("a minority", proposal(vec![one(1)])),
        ("somebody twice", proposal(vec![one(1), one(1), one(2)])),
        ("another order", proposal(vec![one(2), one(1)])),
        ("a stranger", proposal(vec![one(1), one(2), one(7)])),
        ("before the first round", proposal(vec![one(1), contribution(2, 1)])),
        ("another state", Proposal { parent: RESULT, ..fit.clone() }),
        ("another leader's term", Proposal { term: Term { node: node(2), ..TERM }, ..fit.clone() }),
    ];
    for (what, proposal) in cases {
        assert_eq!(member().message(node(3), Message::Propose(proposal), 1), [], "{what}");
    }
    assert_eq!(member().message(node(3), Message::Propose(fit.clone()), 1), [Command::Compute(fit)]);
}

#[test]
fn nothing_of_a_lower_term_is_accepted_after_a_promise() {
    let mut learner = member();
    let term = Term { count: 2, node: node(2) };
    let promised = learner.message(node(2), Message::Prepare { round: 0, term }, 1);
    assert!(matches!(&promised[..], [Command::Keep(kept), Command::Send(..)] if kept.promised == term), "{promised:?}");
    let late = proposal(vec![contribution(1, 0), contribution(2, 0)]);
    let refused = [Command::Send(node(3), Message::Refuse { term })];
    assert_eq!(learner.message(node(3), Message::Propose(late), 2), refused);
}

#[test]
fn the_first_report_of_a_round_counts() {
    let mut learner = member();
    let second = Report { round: 0, parent: Digest::default(), node: node(2), rows: 99, body: body(50) };
    learner.message(node(2), Message::Report(second), 1);
    learner.message(node(3), Message::Report(Report { node: node(2), round: 1, ..second }), 1);
    assert_eq!(learner.reports.get(&node(2)).map(|report| report.body), Some(body(2)));
}

#[test]
fn a_new_leader_proposes_what_was_accepted() {
    let campaigning = (0..64).map(|i| member_of(Digest([i; 32]))).find(|learner| learner.campaign.is_some());
    let mut learner = campaigning.expect("node 1 is the first of a third of all runs");
    let term = learner.kept().promised;
    assert_eq!(term.node, node(1));
    let accepted = proposal(vec![contribution(2, 0), contribution(3, 0)]);
    let promise = Message::Promise { term, round: 0, accepted: Some(accepted.clone()) };
    let commands = learner.message(node(2), promise, 1);
    let proposed = Message::Propose(Proposal { term, ..accepted });
    assert!(commands.contains(&Command::Send(node(3), proposed)), "{commands:?}");
}
