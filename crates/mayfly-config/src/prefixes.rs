//! Things by prefix, found by a key that begins with it.

use std::collections::{BTreeMap, HashMap};

/// Things by prefix. A look takes one look-up for each length that any prefix has, however many there are.
#[derive(Clone, Debug)]
pub(crate) struct Prefixes<T> {
    by_length: BTreeMap<usize, HashMap<Box<str>, T>>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { by_length: BTreeMap::new() }
    }
}

impl<T> Prefixes<T> {
    /// What is there for each prefix of a key, the shortest first.
    pub(crate) fn of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a T)> {
        self.by_length.range(..=key.len()).filter_map(move |(length, all)| {
            let prefix = key.get(..*length)?;
            Some((prefix, all.get(prefix)?))
        })
    }

    pub(crate) fn get_mut(&mut self, prefix: &str) -> Option<&mut T> {
        self.by_length.get_mut(&prefix.len())?.get_mut(prefix)
    }

    #[cfg(any(feature = "schema", test))]
    pub(crate) fn insert(&mut self, prefix: &str, thing: T) -> Option<T> {
        self.by_length.entry(prefix.len()).or_default().insert(prefix.into(), thing)
    }

    pub(crate) fn remove(&mut self, prefix: &str) -> Option<T> {
        let all = self.by_length.get_mut(&prefix.len())?;
        let thing = all.remove(prefix);
        if all.is_empty() {
            self.by_length.remove(&prefix.len());
        }
        thing
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.by_length.values().flatten().map(|(prefix, thing)| (&**prefix, thing))
    }
}

impl<T: Default> Prefixes<T> {
    pub(crate) fn entry(&mut self, prefix: &str) -> &mut T {
        self.by_length.entry(prefix.len()).or_default().entry(prefix.into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(prefixes: &Prefixes<i32>, key: &str) -> Vec<i32> {
        prefixes.of(key).map(|(_, thing)| *thing).collect()
    }

    #[test]
    fn things_are_found_by_every_prefix_of_a_key_until_they_are_removed() {
        let mut prefixes = Prefixes::default();
        for (prefix, thing) in [("", 0), ("a", 1), ("a/", 2), ("a/b", 3), ("b", 4), ("ä", 5)] {
            assert_eq!(prefixes.insert(prefix, thing), None);
        }
        assert_eq!(found(&prefixes, "a/b/c"), [0, 1, 2, 3]);
        assert_eq!(found(&prefixes, "a"), [0, 1]);
        assert_eq!(found(&prefixes, ""), [0]);
        assert_eq!(found(&prefixes, "äb"), [0, 5]); // the length 1 ends within a character
        assert_eq!((prefixes.remove("a/"), prefixes.remove("a/"), prefixes.remove("c")), (Some(2), None, None));
        *prefixes.entry("a/b") += 10;
        assert_eq!(found(&prefixes, "a/b/c"), [0, 1, 13]);
        for prefix in ["", "a", "a/b", "b", "ä"] {
            assert!(prefixes.get_mut(prefix).is_some());
            prefixes.remove(prefix);
        }
        assert!(prefixes.by_length.is_empty() && prefixes.iter().next().is_none());
    }
}
