//! Who is interested in a key.

use crate::kv::Span;
use std::collections::{BTreeMap, HashMap};

/// Things by the keys that they are about: those about one key are found at once, those about ranges one after the other.
#[derive(Debug)]
pub(super) struct Index<T> {
    keys: HashMap<Vec<u8>, BTreeMap<u64, T>>,
    ranges: BTreeMap<u64, (Keys, T)>,
    next: u64,
}

/// Keys, as `key` and `range_end` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) key: Vec<u8>,
    pub(crate) range_end: Vec<u8>,
}

impl Keys {
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        Span::new(&self.key, &self.range_end).contains(key)
    }

    /// Is it a range that ends before it begins?
    pub(super) fn is_empty(&self) -> bool {
        Span::new(&self.key, &self.range_end).bounds().is_none()
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { keys: HashMap::new(), ranges: BTreeMap::new(), next: 0 }
    }
}

impl<T> Index<T> {
    /// Adds a thing; its number takes it away again.
    pub(super) fn add(&mut self, keys: &Keys, thing: T) -> u64 {
        let number = self.next;
        self.next += 1;
        if keys.range_end.is_empty() {
            self.keys.entry(keys.key.clone()).or_default().insert(number, thing);
        } else {
            self.ranges.insert(number, (keys.clone(), thing));
        }
        number
    }

    pub(super) fn remove(&mut self, keys: &Keys, number: u64) {
        if !keys.range_end.is_empty() {
            self.ranges.remove(&number);
        } else if let Some(all) = self.keys.get_mut(&keys.key) {
            all.remove(&number);
            if all.is_empty() {
                self.keys.remove(&keys.key);
            }
        }
    }

    /// All that are about a key.
    pub(super) fn about<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a T> {
        let of_key = self.keys.get(key).into_iter().flat_map(BTreeMap::values);
        let of_ranges = self.ranges.values().filter(|(keys, _)| keys.contains(key)).map(|(_, thing)| thing);
        of_key.chain(of_ranges)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        let of_ranges = self.ranges.values().map(|(_, thing)| thing);
        self.keys.values().flat_map(BTreeMap::values).chain(of_ranges)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.values().map(BTreeMap::len).sum::<usize>() + self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(key: &str, range_end: &str) -> Keys {
        Keys { key: key.into(), range_end: range_end.into() }
    }

    #[test]
    fn things_are_found_by_keys_and_ranges_until_they_are_removed() {
        let mut index = Index::default();
        let all = [keys("b", ""), keys("b", ""), keys("a", "c"), keys("b", "\0"), keys("c", "")];
        let numbers: Vec<u64> = all.iter().zip(0..).map(|(keys, i)| index.add(keys, i)).collect();
        let found = |index: &Index<i32>, key: &str| {
            let mut found: Vec<i32> = index.about(key.as_bytes()).copied().collect();
            found.sort_unstable();
            found
        };
        assert_eq!((found(&index, "b"), index.len()), (vec![0, 1, 2, 3], 5));
        assert_eq!((found(&index, "a"), found(&index, "c"), found(&index, "")), (vec![2], vec![3, 4], vec![]));
        for i in [0, 2, 4] {
            index.remove(&all[i], numbers[i]);
        }
        assert_eq!((found(&index, "b"), found(&index, "c"), index.len()), (vec![1, 3], vec![3], 2));
        index.remove(&all[1], numbers[1]);
        index.remove(&all[3], numbers[3]);
        assert!(index.len() == 0 && index.keys.is_empty());
    }
}
