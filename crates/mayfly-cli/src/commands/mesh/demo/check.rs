//! Was what clients saw linearizable? Answers carry revisions, so that it is enough to replay history in its order and to hold it against the clock.

use std::collections::{BTreeMap, HashMap};

/// One change, as a watcher is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub revision: i64,
    pub key: String,
    /// Every value is written once.
    pub value: u64,
}

#[derive(Clone, Debug)]
pub enum What {
    Put { value: u64 },
    Get,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub at_us: u64,
    /// Of the state that was written or read.
    pub revision: i64,
    /// What a read found, and the revision in which that was written.
    pub found: Option<(u64, i64)>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    pub key: String,
    pub what: What,
    pub asked_us: u64,
    /// None: nobody knows whether it happened.
    pub answer: Option<Answer>,
}

/// Acknowledged writes that are not in history as they were acknowledged.
pub fn count_lost(calls: &[Call], history: &[Change]) -> usize {
    let by_revision: HashMap<i64, &Change> = history.iter().map(|change| (change.revision, change)).collect();
    let is_lost = |call: &&Call| match (&call.what, &call.answer) {
        (What::Put { value }, Some(answer)) => {
            by_revision.get(&answer.revision).is_none_or(|there| there.value != *value || there.key != call.key)
        }
        _ => false,
    };
    calls.iter().filter(is_lost).count()
}

/// What the watcher missed, saw twice or out of order, up to where history goes.
pub fn count_gaps(told: &[Change], history: &[Change]) -> usize {
    let (mut gaps, mut next) = (0, 0);
    let last = history.last().map_or(0, |change| change.revision);
    for change in told.iter().filter(|change| change.revision <= last) {
        match history[next..].iter().position(|there| there == change) {
            Some(skipped) => {
                gaps += skipped;
                next += skipped + 1;
            }
            None => gaps += 1,
        }
    }
    gaps + history.len() - next
}

/// # Errors
/// The first contradiction.
pub fn linearizable(calls: &[Call], history: &[Change]) -> Result<(), String> {
    let written = check_history(calls, history)?;
    let mut versions: BTreeMap<&str, Vec<(i64, u64)>> = BTreeMap::new();
    for change in history {
        versions.entry(&change.key).or_default().push((change.revision, change.value));
    }
    let floors = floors(calls);
    for (call, floor) in calls.iter().zip(floors) {
        let revision = match (&call.what, &call.answer) {
            (What::Put { value }, None) => written.get(value).copied(),
            (_, answer) => answer.as_ref().map(|answer| answer.revision),
        };
        let Some(revision) = revision else { continue };
        let is_late = match call.what {
            What::Put { .. } => revision <= floor,
            What::Get => revision < floor,
        };
        if is_late {
            return Err(format!("revision {floor} was known before {call:?} was asked"));
        }
        if let (What::Get, Some(answer)) = (&call.what, &call.answer) {
            let before = versions.get(&call.key[..]).map_or(&[][..], |versions| versions);
            let upto = before.partition_point(|(at, _)| *at <= revision);
            let there = upto.checked_sub(1).map(|last| (before[last].1, before[last].0));
            if there != answer.found {
                return Err(format!("{call:?} should have found {there:?}"));
            }
        }
    }
    Ok(())
}

/// Nothing is in history that nobody wrote, nothing twice, and what was acknowledged is. Gives the revision of each value.
fn check_history(calls: &[Call], history: &[Change]) -> Result<HashMap<u64, i64>, String> {
    if let Some(two) = history.windows(2).find(|two| two[0].revision >= two[1].revision) {
        return Err(format!("{:?} comes before {:?}", two[0], two[1]));
    }
    let puts: HashMap<u64, &str> = calls
        .iter()
        .filter_map(|call| match call.what {
            What::Put { value } => Some((value, &call.key[..])),
            What::Get => None,
        })
        .collect();
    let mut written = HashMap::new();
    for change in history {
        if puts.get(&change.value).is_none_or(|key| *key != change.key) {
            return Err(format!("nobody asked for {change:?}"));
        }
        if written.insert(change.value, change.revision).is_some() {
            return Err(format!("{change:?} happened twice"));
        }
    }
    match count_lost(calls, history) {
        0 => Ok(written),
        lost => Err(format!("{lost} acknowledged writes are lost")),
    }
}

/// For each call, the highest revision that was answered before it was asked.
fn floors(calls: &[Call]) -> Vec<i64> {
    let mut answers: Vec<(u64, i64)> =
        calls.iter().filter_map(|call| call.answer.as_ref().map(|answer| (answer.at_us, answer.revision))).collect();
    answers.sort_unstable();
    let mut highest = 0;
    answers.iter_mut().for_each(|(_, revision)| {
        highest = highest.max(*revision);
        *revision = highest;
    });
    let floor = |call: &Call| {
        let before = answers.partition_point(|(at, _)| *at < call.asked_us);
        before.checked_sub(1).map_or(0, |last| answers[last].1)
    };
    calls.iter().map(floor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: u64, from: u64, to: u64, revision: i64) -> Call {
        let answer = (to > 0).then_some(Answer { at_us: to, revision, found: None });
        Call { key: key.into(), what: What::Put { value }, asked_us: from, answer }
    }

    fn get(key: &str, from: u64, to: u64, revision: i64, found: Option<(u64, i64)>) -> Call {
        let answer = Some(Answer { at_us: to, revision, found });
        Call { key: key.into(), what: What::Get, asked_us: from, answer }
    }

    fn history(changes: &[(i64, &str, u64)]) -> Vec<Change> {
        changes
            .iter()
            .map(|(revision, key, value)| Change { revision: *revision, key: (*key).into(), value: *value })
            .collect()
    }

    #[test]
    fn what_is_right_is_let_go() {
        let changes = history(&[(2, "a", 1), (3, "b", 2), (4, "a", 3)]);
        let calls = [
            put("a", 1, 0, 10, 2),
            put("b", 2, 0, 0, 0), // unknown, and it happened
            put("a", 9, 0, 0, 0), // unknown, and it did not
            get("a", 5, 20, 2, Some((1, 2))),
            put("a", 3, 21, 30, 4),
            get("a", 22, 40, 3, Some((1, 2))), // while the write was on its way
            get("c", 50, 60, 4, None),
        ];
        linearizable(&calls, &changes).expect("linearizable");
        assert_eq!(count_lost(&calls, &changes), 0);
    }

    #[test]
    fn what_is_wrong_is_convicted() {
        let changes = history(&[(2, "a", 1), (3, "a", 2)]);
        let good = [put("a", 1, 0, 10, 2), put("a", 2, 20, 30, 3)];
        let convicts = |calls: &[Call], changes: &[Change]| linearizable(calls, changes).expect_err("it is forged");
        let with = |call: Call| [&good[..], &[call]].concat();
        convicts(&with(get("a", 40, 50, 2, Some((1, 2)))), &changes); // a stale read
        convicts(&with(get("a", 12, 50, 3, Some((1, 2)))), &changes); // not what was there
        convicts(&with(get("a", 12, 50, 3, None)), &changes);
        convicts(&with(put("a", 7, 40, 50, 4)), &changes); // lost
        convicts(&[good[0].clone()], &changes); // from nowhere
        convicts(&[put("b", 1, 0, 10, 2), good[1].clone()], &changes); // another key
        convicts(&[put("a", 1, 20, 30, 2), put("a", 2, 0, 10, 3)], &changes); // against the clock
        convicts(&[put("a", 1, 20, 0, 0), put("a", 2, 0, 10, 3)], &changes); // an unknown one, as well
        convicts(&good, &history(&[(2, "a", 1), (3, "a", 2), (4, "a", 2)])); // twice
        convicts(&good, &history(&[(3, "a", 2), (2, "a", 1)])); // out of order
        assert_eq!(count_lost(&good, &changes[..1]), 1);
    }

    #[test]
    fn gaps_are_counted() {
        let all = history(&[(2, "a", 1), (3, "a", 2), (4, "b", 3)]);
        let of = |places: &[usize]| places.iter().map(|i| all[*i].clone()).collect::<Vec<_>>();
        for (told, gaps) in
            [(&[0, 1, 2][..], 0), (&[0, 2], 1), (&[0, 1], 1), (&[], 3), (&[0, 0, 1, 2], 1), (&[1, 0, 2], 2)]
        {
            assert_eq!(count_gaps(&of(told), &all), gaps, "{told:?}");
        }
    }
}
