//! Tries every order: slow, and easy to see through. For histories of up to 20 calls.

use super::{Answer, Change, Found, History, Key, Value, What};
use std::collections::{BTreeMap, HashSet};

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Model {
    keys: BTreeMap<Key, (Value, i64)>,
    changes: Vec<Change>,
}

impl Model {
    fn run(&mut self, what: What) -> Answer {
        let key = what.key();
        let found: Found = self.keys.get(&key).copied();
        let revision = self.changes.len() as i64 + 1;
        let value = match what {
            What::Put(_, value) => Some(value),
            What::Swap(_, expected, value) if found.map(|(value, _)| value) == expected => Some(value),
            What::Delete(_) if found.is_some() => None,
            _ => return Answer { revision, wrote: false, found },
        };
        match value {
            Some(value) => drop(self.keys.insert(key, (value, revision + 1))),
            None => drop(self.keys.remove(&key)),
        }
        self.changes.push(Change { key, value });
        Answer { revision: revision + 1, wrote: true, found }
    }
}

/// Is there an order that gives these answers and ends in these changes?
pub fn is_possible(history: &History) -> bool {
    assert!(history.calls.len() <= 20, "it would take for ever");
    if history.calls.iter().any(|call| call.answered.is_some_and(|(returned, _)| returned < call.asked)) {
        return false;
    }
    search(history, 0, &Model::default(), &mut HashSet::new())
}

fn search(history: &History, done: u32, model: &Model, tried: &mut HashSet<(u32, Model)>) -> bool {
    if !history.changes.starts_with(&model.changes) || !tried.insert((done, model.clone())) {
        return false;
    }
    let is_open = |i: &usize| done & (1 << i) == 0;
    let open: Vec<usize> = (0..history.calls.len()).filter(is_open).collect();
    let is_answered = |i: &usize| history.calls[*i].answered.is_some();
    if model.changes == history.changes && !open.iter().any(is_answered) {
        return true;
    }
    let first_answer = open.iter().filter_map(|i| history.calls[*i].answered).map(|(returned, _)| returned).min();
    open.into_iter().any(|i| {
        let call = history.calls[i];
        if first_answer.is_some_and(|returned| returned < call.asked) {
            return false; // another was answered before this was asked
        }
        let mut after = model.clone();
        let answer = after.run(call.what);
        let agrees = call.answered.is_none_or(|(_, told)| told == answer);
        agrees && search(history, done | 1 << i, &after, tried)
    })
}
