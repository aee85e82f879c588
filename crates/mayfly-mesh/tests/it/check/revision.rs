//! Checks by revision: the order is known, so it is replayed and compared with the times. n log n.

use super::{Answer, Call, Change, Found, HELD, History, Key, Value, What};
use std::collections::{BTreeMap, HashMap};

/// Why it cannot have happened.
pub type Verdict = Result<(), String>;

pub fn check(history: &History) -> Verdict {
    let state = State::new(&history.changes);
    let mut places: Vec<Option<i64>> = Vec::with_capacity(history.calls.len());
    let mut makers: HashMap<i64, usize> = HashMap::new();
    for (i, call) in history.calls.iter().enumerate() {
        let Some((returned, answer)) = call.answered else {
            places.push(None);
            continue;
        };
        if returned < call.asked {
            return Err(format!("call {i} was answered before it was asked: {call:?}"));
        }
        check_answer(&state, call.what, answer).map_err(|why| format!("call {i}: {why}: {call:?}"))?;
        if answer.wrote && makers.insert(answer.revision, i).is_some() {
            return Err(format!("revision {} was made twice", answer.revision));
        }
        places.push(Some(2 * answer.revision + i64::from(!answer.wrote)));
    }
    settle_unknown(history, &state, &makers, &mut places)?;
    check_times(&history.calls, &places)
}

struct State {
    last: i64,
    changes: Vec<Change>,
    /// By key: revisions and what they left there.
    keys: BTreeMap<Key, Vec<(i64, Option<Value>)>>,
}

impl State {
    fn new(changes: &[Change]) -> Self {
        let mut keys: BTreeMap<Key, Vec<_>> = BTreeMap::new();
        for (revision, change) in (2..).zip(changes) {
            keys.entry(change.key).or_default().push((revision, change.value));
        }
        Self { last: changes.len() as i64 + 1, changes: changes.to_vec(), keys }
    }

    fn at(&self, key: Key, revision: i64) -> Found {
        let versions = self.keys.get(&key)?;
        let after = versions.partition_point(|(made, _)| *made <= revision);
        let (made, value) = *versions.get(after.checked_sub(1)?)?;
        Some((value?, made))
    }

    fn change(&self, revision: i64) -> Option<Change> {
        self.changes.get(usize::try_from(revision - 2).ok()?).copied()
    }
}

/// What a call does to a state in which it finds something; none if it does nothing.
fn effect(what: What, found: Found) -> Option<Change> {
    match what {
        What::Put(key, value) => Some(Change { key, value: Some(value) }),
        What::Delete(key) => found.map(|_| Change { key, value: None }),
        What::Swap(key, expected, value) => {
            (found.map(|(value, _)| value) == expected).then_some(Change { key, value: Some(value) })
        }
        What::Get(_) => None,
    }
}

fn check_answer(state: &State, what: What, answer: Answer) -> Verdict {
    let Answer { revision, wrote, found } = answer;
    if revision < 1 || revision > state.last {
        return Err(format!("revision {revision} does not exist, {} is the last", state.last));
    }
    let before = state.at(what.key(), if wrote { revision - 1 } else { revision });
    if found != before {
        return Err(format!("it found {found:?} where {before:?} was"));
    }
    match (wrote, effect(what, before)) {
        (true, Some(change)) if state.change(revision) == Some(change) => Ok(()),
        (true, _) => Err(format!("revision {revision} is {:?}", state.change(revision))),
        (false, None) => Ok(()),
        (false, Some(_)) => Err("it did nothing where it had something to do".into()),
    }
}

/// Finds the unanswered call that made each revision that no answered one made. Values tell them; deletions of a key are
/// taken in the order in which they were asked, which is the one that leaves most room.
fn settle_unknown(
    history: &History,
    state: &State,
    makers: &HashMap<i64, usize>,
    places: &mut [Option<i64>],
) -> Verdict {
    let mut writes: HashMap<Value, usize> = HashMap::new();
    let mut deletes: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    let mut unknown: Vec<usize> = (0..history.calls.len()).filter(|i| history.calls[*i].answered.is_none()).collect();
    unknown.sort_by_key(|i| std::cmp::Reverse(history.calls[*i].asked));
    for i in unknown {
        match history.calls[i].what {
            What::Put(_, value) | What::Swap(_, _, value) => drop(writes.insert(value, i)),
            What::Delete(key) => deletes.entry(key).or_default().push(i),
            What::Get(_) => {}
        }
    }
    for revision in (2..=state.last).filter(|revision| !makers.contains_key(revision)) {
        let Some(change) = state.change(revision) else { continue };
        if change.value.is_none() && change.key >= HELD {
            continue;
        }
        let maker = match change.value {
            Some(value) => writes.remove(&value),
            None => deletes.get_mut(&change.key).and_then(Vec::pop),
        };
        let nobody = || format!("nobody asked for revision {revision}: {change:?}");
        let maker = maker.ok_or_else(nobody)?;
        if effect(history.calls[maker].what, state.at(change.key, revision - 1)) != Some(change) {
            return Err(format!("revision {revision} is not what call {maker} does: {:?}", history.calls[maker]));
        }
        places[maker] = Some(2 * revision);
    }
    Ok(())
}

/// What was answered before another was asked stands before it.
fn check_times(calls: &[Call], places: &[Option<i64>]) -> Verdict {
    let mut asked: Vec<usize> = (0..calls.len()).filter(|i| places[*i].is_some()).collect();
    asked.sort_by_key(|i| calls[*i].asked);
    let mut answered: Vec<(u64, i64)> =
        asked.iter().filter_map(|i| Some((calls[*i].answered?.0, places[*i]?))).collect();
    answered.sort_unstable();
    let (mut answered, mut seen) = (answered.into_iter().peekable(), 0);
    for i in asked {
        while let Some((_, place)) = answered.next_if(|(returned, _)| *returned < calls[i].asked) {
            seen = seen.max(place);
        }
        if places[i].is_some_and(|place| place < seen) {
            return Err(format!(
                "call {i} stands at {:?}, before what was answered at {} before it was asked: {:?}",
                places[i].map(|place| place / 2),
                seen / 2,
                calls[i]
            ));
        }
    }
    Ok(())
}
