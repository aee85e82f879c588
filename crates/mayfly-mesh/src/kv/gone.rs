//! What of history nobody may ask for any more.

use super::tables::Place;
use crate::module::Fault;
use crate::proto::mvccpb::KeyValue;
use redb::ReadableTable;

/// Versions, and bytes of them, that are looked at in one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) versions: usize,
    pub(crate) bytes: usize,
}

/// Where history is compacted and not removed yet, the versions that are gone are told apart from those that are kept.
pub(super) struct Gone<'v, V> {
    versions: &'v V,
    compacted: i64,
    /// Everything that is gone up to here is removed.
    removed: i64,
}

impl<'v, V: ReadableTable<(&'static [u8], i64, u32), (i64, i64, i64)>> Gone<'v, V> {
    pub(super) fn new(versions: &'v V, compacted: i64, removed: i64) -> Self {
        Self { versions, compacted, removed }
    }

    /// Is there a later version up to where history is compacted, or was the key deleted before? A deletion at that revision itself is kept for watchers
    /// that start there.
    pub(super) fn is(&self, record: &KeyValue, place: Place) -> Result<bool, Fault> {
        if place.main > self.compacted || self.removed >= self.compacted {
            return Ok(false);
        }
        let key = &record.key[..];
        let later = match place.sub.checked_add(1) {
            Some(sub) => (key, place.main, sub),
            None => (key, place.main + 1, 0),
        };
        let is_replaced =
            later.1 <= self.compacted && self.versions.range(later..=(key, self.compacted, u32::MAX))?.next().is_some();
        Ok(is_replaced || (record.version == 0 && place.main < self.compacted))
    }
}
