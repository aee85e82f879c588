//! Requests of arguments, both on the command line and in transactions.

use super::args::{Order, Pair, Range, Removal, Selection, SortBy};
use crate::support::exit::Usage;
use mayfly_mesh::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use mayfly_mesh::proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest};

/// Without an end: all keys from the first one on.
const OPEN_END: &[u8] = &[0];
/// The least key there is.
const FIRST_KEY: &[u8] = &[0];

/// The first key of a range and the first one behind it, as etcd takes them.
pub fn bounds(range: &Range) -> (Vec<u8>, Vec<u8>) {
    let key = range.key.as_encoded_bytes().to_vec();
    let end = match &range.range_end {
        _ if range.from_key => OPEN_END.to_vec(),
        _ if range.prefix => prefix_end(&key),
        Some(end) => end.as_encoded_bytes().to_vec(),
        None => Vec::new(),
    };
    let all = key.is_empty() && (range.prefix || range.from_key);
    (if all { FIRST_KEY.to_vec() } else { key }, end)
}

/// The first key behind all those that start with the prefix.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|byte| *byte != 0xff) else { return OPEN_END.to_vec() };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end
}

pub fn range(what: &Selection) -> RangeRequest {
    let (key, range_end) = bounds(&what.range);
    let order = match what.order {
        Some(Order::Descend) => SortOrder::Descend,
        Some(Order::Ascend) => SortOrder::Ascend,
        None if what.sort_by.is_some() => SortOrder::Ascend,
        None => SortOrder::None,
    };
    let by = match what.sort_by {
        Some(SortBy::Version) => SortTarget::Version,
        Some(SortBy::Create) => SortTarget::Create,
        Some(SortBy::Mod) => SortTarget::Mod,
        Some(SortBy::Value) => SortTarget::Value,
        Some(SortBy::Key) | None => SortTarget::Key,
    };
    RangeRequest {
        key,
        range_end,
        limit: what.limit,
        revision: what.rev,
        sort_order: order.into(),
        sort_target: by.into(),
        serializable: what.serializable,
        keys_only: what.keys_only,
        count_only: what.count_only,
        ..RangeRequest::default()
    }
}

pub fn put(pair: &Pair, value: Vec<u8>) -> PutRequest {
    PutRequest {
        key: pair.key.as_encoded_bytes().to_vec(),
        value,
        lease: pair.lease.unwrap_or(0),
        prev_kv: pair.prev_kv,
        ignore_value: pair.ignore_value,
        ignore_lease: pair.ignore_lease,
    }
}

/// # Errors
/// When a slip would delete everything.
pub fn delete(what: &Removal) -> Result<DeleteRangeRequest, Usage> {
    let (key, range_end) = bounds(&what.range);
    if key == FIRST_KEY && range_end == OPEN_END && !what.all {
        return Err(Usage("this deletes every key there is: --all says that it is meant".into()));
    }
    Ok(DeleteRangeRequest { key, range_end, prev_kv: what.prev_kv })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range_of(key: &str, end: Option<&str>, prefix: bool, from_key: bool) -> Range {
        Range { key: key.into(), range_end: end.map(Into::into), prefix, from_key }
    }

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(prefix_end(b"a"), b"b");
        assert_eq!(prefix_end(b"a/"), b"a0");
        assert_eq!(prefix_end(&[b'a', 0xff]), b"b");
        assert_eq!(prefix_end(&[b'a', 0xfe, 0xff, 0xff]), [b'a', 0xff]);
        assert_eq!(prefix_end(&[0xff, 0xff]), OPEN_END);
        assert_eq!(prefix_end(b""), OPEN_END);
    }

    /// Against the definition: a key lies in the range if and only if it starts with the prefix.
    #[test]
    fn a_prefix_holds_what_starts_with_it() {
        let bytes = [0, 1, b'a', 0xfe, 0xff];
        let pairs = bytes.iter().flat_map(|a| bytes.iter().map(|b| vec![*a, *b]));
        let keys: Vec<Vec<u8>> = pairs.chain(bytes.iter().map(|a| vec![*a])).collect();
        for prefix in &keys {
            let end = prefix_end(prefix);
            for key in &keys {
                let is_in = key >= prefix && (end == OPEN_END || *key < end);
                assert_eq!(is_in, key.starts_with(prefix), "{prefix:?} {key:?}");
            }
        }
    }

    #[test]
    fn ranges_are_etcd_s() {
        let of = |key, end, prefix, from_key| bounds(&range_of(key, end, prefix, from_key));
        assert_eq!(of("k", None, false, false), (b"k".to_vec(), vec![]));
        assert_eq!(of("k", Some("m"), false, false), (b"k".to_vec(), b"m".to_vec()));
        assert_eq!(of("k", None, false, true), (b"k".to_vec(), vec![0]));
        assert_eq!(of("", None, true, false), (vec![0], vec![0]));
        assert_eq!(of("", None, false, true), (vec![0], vec![0]));
        assert_eq!(of("", None, false, false), (vec![], vec![]));
    }

    #[test]
    fn a_slip_does_not_delete_everything() {
        for (prefix, from_key) in [(true, false), (false, true)] {
            let all = |all| Removal { range: range_of("", None, prefix, from_key), all, prev_kv: false };
            assert!(delete(&all(false)).is_err());
            assert_eq!(delete(&all(true)).unwrap().range_end, OPEN_END);
        }
        let some = Removal { range: range_of("a", None, true, false), all: false, prev_kv: false };
        assert_eq!(delete(&some).unwrap().range_end, b"b");
    }
}
