//! The checkers of histories: they agree, let through what can have happened, and convict what cannot.

use crate::check::revision::check;
use crate::check::search::is_possible;
use crate::check::{Answer, Call, Change, History, What};
use mayfly_base::Rng;

/// A history that did happen: calls take effect at one time between question and answer; some answers are lost, some calls never happen.
fn possible(rng: &mut Rng, calls: u64) -> History {
    let mut calls: Vec<(u64, u64, u64, What)> = (0..calls)
        .map(|i| {
            let asked = rng.below(40);
            let at = asked + rng.below(12);
            let key = rng.below(2) as u8;
            let expected = (rng.below(3) > 0).then(|| rng.below(i + 1));
            let what = match rng.below(8) {
                0..3 => What::Put(key, i),
                3 => What::Delete(key),
                4 | 5 => What::Swap(key, expected, i),
                _ => What::Get(key),
            };
            (at, asked, at + rng.below(12), what)
        })
        .collect();
    calls.sort_by_key(|(at, ..)| *at);
    let mut history = History::default();
    for (_, asked, returned, what) in calls {
        let fate = rng.below(8);
        let answer = if fate == 0 { None } else { Some(run(&mut history.changes, what)) };
        let answered = answer.filter(|_| fate > 1).map(|answer| (returned, answer));
        history.calls.push(Call { what, asked, answered });
    }
    history
}

fn run(changes: &mut Vec<Change>, what: What) -> Answer {
    let key = what.key();
    let last = changes.iter().rposition(|change| change.key == key);
    let found = last.and_then(|i| Some((changes[i].value?, i as i64 + 2)));
    let change = match what {
        What::Put(_, value) => Some(Some(value)),
        What::Swap(_, expected, value) if found.map(|(value, _)| value) == expected => Some(Some(value)),
        What::Delete(_) if found.is_some() => Some(None),
        _ => None,
    };
    changes.extend(change.map(|value| Change { key, value }));
    Answer { revision: changes.len() as i64 + 1, wrote: change.is_some(), found }
}

fn pick(rng: &mut Rng, of: usize) -> usize {
    rng.below(of.max(1) as u64) as usize
}

/// Changes something at random, so that some histories cannot have happened.
fn distort(rng: &mut Rng, history: &mut History) {
    if history.calls.is_empty() {
        return;
    }
    let i = pick(rng, history.calls.len());
    match rng.below(9) {
        0 => history.calls[i].asked = rng.below(60),
        1 => drop(history.calls[i].answered.as_mut().map(|(returned, _)| *returned = rng.below(60))),
        2 => drop(history.calls[i].answered.as_mut().map(|(_, answer)| answer.revision += 1)),
        3 => drop(history.calls[i].answered.as_mut().map(|(_, answer)| answer.revision -= 1)),
        4 => drop(history.calls[i].answered.as_mut().map(|(_, answer)| answer.wrote = !answer.wrote)),
        5 => drop(history.calls[i].answered.as_mut().map(|(_, answer)| answer.found = None)),
        6 => history.calls[i].answered = None,
        7 => drop(history.changes.pop()),
        _ => {
            let (a, b) = (pick(rng, history.changes.len()), pick(rng, history.changes.len()));
            if !history.changes.is_empty() {
                history.changes.swap(a, b);
            }
        }
    }
}

#[test]
fn what_happened_is_possible_and_both_checkers_agree_on_what_did_not() {
    let (mut rng, mut convicted, mut let_through) = (Rng::new(1), 0, 0);
    for round in 0..4_000 {
        let calls = 1 + rng.below(8);
        let mut history = possible(&mut rng, calls);
        assert_eq!(check(&history), Ok(()), "round {round}: {history:#?}");
        assert!(is_possible(&history), "round {round}: {history:#?}");
        for _ in 0..=rng.below(2) {
            distort(&mut rng, &mut history);
        }
        let verdict = check(&history);
        assert_eq!(verdict.is_ok(), is_possible(&history), "round {round}: {verdict:?} on {history:#?}");
        if verdict.is_ok() { let_through += 1 } else { convicted += 1 }
    }
    assert!(convicted > 500 && let_through > 500, "{convicted} convicted, {let_through} let through");
}

const fn answer(revision: i64, wrote: bool, found: crate::check::Found) -> Answer {
    Answer { revision, wrote, found }
}

fn call(what: What, asked: u64, returned: u64, answer: Answer) -> Call {
    Call { what, asked, answered: Some((returned, answer)) }
}

fn unknown(what: What, asked: u64) -> Call {
    Call { what, asked, answered: None }
}

const fn put(key: u8, value: u64) -> Change {
    Change { key, value: Some(value) }
}

const fn gone(key: u8) -> Change {
    Change { key, value: None }
}

/// What is wrong with it, and a history that no correct store gives.
type Forged = (&'static str, Vec<Call>, Vec<Change>);

fn forged() -> Vec<Forged> {
    use What::{Get, Put};
    let first = call(Put(0, 1), 0, 1, answer(2, true, None));
    let second = call(Put(0, 2), 2, 3, answer(3, true, Some((1, 2))));
    let both = vec![put(0, 1), put(0, 2)];
    vec![
        ("an acknowledged write is lost", vec![first, second], vec![put(0, 1)]),
        (
            "the first of two acknowledged writes is lost",
            vec![first, call(Put(0, 2), 2, 3, answer(2, true, None))],
            vec![put(0, 2)],
        ),
        ("a stale read", vec![first, second, call(Get(0), 4, 5, answer(2, false, Some((1, 2))))], both.clone()),
        (
            "a read of an empty store after a write",
            vec![first, call(Get(0), 4, 5, answer(1, false, None))],
            vec![put(0, 1)],
        ),
        (
            "a read goes back",
            vec![
                first,
                unknown(Put(0, 2), 1),
                call(Get(0), 4, 5, answer(3, false, Some((2, 3)))),
                call(Get(0), 6, 7, answer(2, false, Some((1, 2)))),
            ],
            both.clone(),
        ),
        (
            "a read of the future",
            vec![call(Get(0), 0, 1, answer(2, false, Some((1, 2)))), call(Put(0, 1), 2, 3, answer(2, true, None))],
            vec![put(0, 1)],
        ),
        ("a value that nobody wrote", vec![first, call(Get(0), 4, 5, answer(2, false, Some((7, 2))))], vec![put(0, 1)]),
        ("a write happens twice", vec![first], vec![put(0, 1), put(0, 1)]),
        ("an unanswered write happens twice", vec![unknown(Put(0, 1), 0)], vec![put(0, 1), put(0, 1)]),
        ("two writes get one revision", vec![first, call(Put(1, 2), 2, 3, answer(2, true, None))], vec![put(0, 1)]),
        (
            "writes stand in the wrong order",
            vec![call(Put(0, 1), 0, 1, answer(3, true, Some((2, 2)))), call(Put(0, 2), 2, 3, answer(2, true, None))],
            vec![put(0, 2), put(0, 1)],
        ),
    ]
}

/// More of them: swaps, deletions, and writes that nobody answered.
fn forged_further() -> Vec<Forged> {
    use What::{Delete, Get, Put, Swap};
    let first = call(Put(0, 1), 0, 1, answer(2, true, None));
    let second = call(Put(0, 2), 2, 3, answer(3, true, Some((1, 2))));
    let both = vec![put(0, 1), put(0, 2)];
    vec![
        (
            "two swaps of the same value",
            vec![
                first,
                call(Swap(0, Some(1), 2), 2, 3, answer(3, true, Some((1, 2)))),
                call(Swap(0, Some(1), 3), 2, 3, answer(4, true, Some((1, 2)))),
            ],
            vec![put(0, 1), put(0, 2), put(0, 3)],
        ),
        (
            "a swap of another value",
            vec![first, call(Swap(0, Some(7), 2), 2, 3, answer(3, true, Some((1, 2))))],
            both.clone(),
        ),
        (
            "a swap that should have happened",
            vec![first, call(Swap(0, Some(1), 2), 2, 3, answer(2, false, Some((1, 2))))],
            vec![put(0, 1)],
        ),
        ("an unanswered swap happens where it may not", vec![first, unknown(Swap(0, Some(7), 2), 0)], both.clone()),
        (
            "a write before it was asked",
            vec![unknown(Put(0, 1), 9), call(Get(0), 4, 5, answer(2, false, Some((1, 2))))],
            vec![put(0, 1)],
        ),
        (
            "a deletion of nothing that makes a revision",
            vec![call(Delete(0), 0, 1, answer(2, true, None))],
            vec![gone(0)],
        ),
        (
            "a deletion that does nothing",
            vec![first, call(Delete(0), 2, 3, answer(2, false, Some((1, 2))))],
            vec![put(0, 1)],
        ),
        (
            "a deleted key comes back",
            vec![
                first,
                call(Delete(0), 2, 3, answer(3, true, Some((1, 2)))),
                call(Get(0), 4, 5, answer(3, false, Some((1, 2)))),
            ],
            vec![put(0, 1), gone(0)],
        ),
        ("a deletion that nobody asked for", vec![first], vec![put(0, 1), gone(0)]),
        ("a revision of the future", vec![first, call(Get(0), 4, 5, answer(9, false, Some((1, 2))))], vec![put(0, 1)]),
        ("an answer before the question", vec![call(Put(0, 1), 5, 1, answer(2, true, None))], vec![put(0, 1)]),
        (
            "a write found what was gone",
            vec![first, second, call(Put(0, 3), 4, 5, answer(4, true, Some((1, 2))))],
            vec![put(0, 1), put(0, 2), put(0, 3)],
        ),
        (
            "two reads see two orders",
            vec![
                unknown(Put(0, 1), 0),
                unknown(Put(1, 2), 0),
                call(Get(0), 1, 2, answer(3, false, Some((1, 3)))),
                call(Get(1), 3, 4, answer(2, false, None)),
            ],
            vec![put(1, 2), put(0, 1)],
        ),
    ]
}

#[test]
fn forged_histories_are_convicted_by_both() {
    let mut forged = forged();
    forged.extend(forged_further());
    assert!(forged.len() >= 20);
    for (name, calls, changes) in forged {
        let history = History { calls, changes };
        assert!(check(&history).is_err(), "by revision: {name}");
        assert!(!is_possible(&history), "by search: {name}");
    }
}
