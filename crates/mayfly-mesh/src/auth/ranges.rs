//! Keys that somebody may read, or write.

/// Spans of keys in their order, which neither overlap nor touch: what two permissions cover together, they allow together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Span>);

/// From a key up to, and without, another one; without an end: to the last key there is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
}

/// What a `range_end` says.
enum End<'a> {
    /// This key alone.
    Point,
    Open,
    At(&'a [u8]),
}

impl<'a> End<'a> {
    fn of(range_end: &'a [u8]) -> Self {
        match range_end {
            [] => Self::Point,
            [0] => Self::Open,
            end => Self::At(end),
        }
    }
}

/// May a permission be about these keys?
pub(super) fn is_range(key: &[u8], range_end: &[u8]) -> bool {
    let is_ordered = match End::of(range_end) {
        End::Point | End::Open => true,
        End::At(end) => key < end,
    };
    !key.is_empty() && is_ordered
}

impl Ranges {
    /// Of permissions, each a key and its `range_end`.
    pub(super) fn of<'p>(permissions: impl Iterator<Item = (&'p [u8], &'p [u8])>) -> Self {
        let span = |(key, range_end): (&[u8], &[u8])| {
            let end = match End::of(range_end) {
                End::Point => Some([key, &[0]].concat()),
                End::Open => None,
                End::At(end) => Some(end.to_vec()),
            };
            Span { start: key.to_vec(), end }
        };
        let mut spans: Vec<Span> = permissions.map(span).collect();
        spans.sort_by(|a, b| a.start.cmp(&b.start));
        let mut apart: Vec<Span> = Vec::new();
        for span in spans {
            match apart.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| *end >= span.start) => {
                    last.end = last.end.take().zip(span.end).map(|(a, b)| a.max(b));
                }
                _ => apart.push(span),
            }
        }
        Self(apart)
    }

    /// Is every key in it that a request means?
    pub(super) fn cover(&self, key: &[u8], range_end: &[u8]) -> bool {
        let before = self.0.partition_point(|span| span.start[..] <= *key);
        let Some(span) = before.checked_sub(1).and_then(|at| self.0.get(at)) else { return false };
        let Some(until) = &span.end else { return true };
        let has_start = *key < until[..];
        has_start
            && match End::of(range_end) {
                End::Point => true,
                End::Open => false,
                End::At(end) => *end <= until[..],
            }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ranges, is_range};
    use mayfly_base::Rng;

    fn ranges(permissions: &[(&str, &str)]) -> Ranges {
        Ranges::of(permissions.iter().map(|(key, end)| (key.as_bytes(), end.as_bytes())))
    }

    #[test]
    fn what_touches_is_one() {
        let ranges = ranges(&[("c", "e"), ("a", "c"), ("m", ""), ("m\0", "n"), ("x", "\0"), ("y", "z")]);
        for (key, end, is_covered) in [
            ("a", "e", true),
            ("a", "e\0", false),
            ("b", "", true),
            ("e", "", false),
            ("m", "n", true),
            ("m", "", true),
            ("l", "n", false),
            ("a", "\0", false),
            ("w", "\0", false),
            ("x", "\0", true),
            ("zz", "\0", true),
            ("d", "x", false),
            ("", "", false),
        ] {
            assert_eq!(ranges.cover(key.as_bytes(), end.as_bytes()), is_covered, "{key:?} {end:?}");
        }
        assert!(!Ranges::default().cover(b"a", b""));
    }

    #[test]
    fn a_permission_has_keys() {
        assert!(is_range(b"a", b"") && is_range(b"a", b"\0") && is_range(b"\0", b"\0") && is_range(b"a", b"a\0"));
        assert!(!is_range(b"", b"") && !is_range(b"", b"\0") && !is_range(b"b", b"a") && !is_range(b"b", b"b"));
    }

    /// Against the definition: a request is covered if each of its keys is in some permission. Keys have two letters at most here, so they can be counted.
    #[test]
    fn random_permissions_cover_what_they_hold() {
        let letters = [1_u8, 2, 3];
        let mut keys: Vec<Vec<u8>> = letters.iter().map(|a| vec![*a]).collect();
        keys.extend(letters.iter().flat_map(|a| letters.iter().map(|b| vec![*a, *b])));
        // Between any two of them there may be longer ones: those just behind each stand for them.
        let all: Vec<Vec<u8>> = keys.iter().flat_map(|key| [key.clone(), [&key[..], &[0]].concat()]).collect();
        let means = |(key, end): &(Vec<u8>, Vec<u8>), one: &[u8]| match &end[..] {
            [] => one == key,
            [0] => one >= &key[..],
            end => one >= &key[..] && one < end,
        };
        let mut rng = Rng::new(3);
        for _ in 0..3_000 {
            let mut pair = || {
                let key = keys[rng.below(keys.len() as u64) as usize].clone();
                let end = match rng.below(8) {
                    0..3 => Vec::new(),
                    3 => vec![0],
                    _ => keys[rng.below(keys.len() as u64) as usize].clone(),
                };
                (key, end)
            };
            let granted: Vec<_> = (0..5).map(|_| pair()).filter(|(key, end)| is_range(key, end)).collect();
            let ranges = Ranges::of(granted.iter().map(|(key, end)| (&key[..], &end[..])));
            let asked = pair();
            if is_range(&asked.0, &asked.1) {
                let is_open = asked.1 == [0];
                let last = [0xff; 9];
                let mut wanted = all.iter().map(|key| &key[..]).chain(is_open.then_some(&last[..]));
                let want = wanted.all(|one| !means(&asked, one) || granted.iter().any(|pair| means(pair, one)));
                assert_eq!(ranges.cover(&asked.0, &asked.1), want, "{asked:?} of {granted:?}");
            }
        }
    }
}
