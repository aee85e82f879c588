//! Range.

use super::span::Span;
use super::tables::{Clock, Found, Reader};
use crate::etcd_error::EtcdError;
use crate::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::proto::etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader};
use crate::proto::mvccpb::KeyValue;
use crate::refusal::Stop;
use std::cmp::Ordering;

/// What is asked for, without a header's ids.
pub(super) fn range(reader: &dyn Reader, request: &RangeRequest) -> Result<RangeResponse, Stop> {
    let clock = reader.clock();
    let at = revision(clock, request.revision)?;
    let span = Span::new(&request.key, &request.range_end);
    let header = Some(ResponseHeader { revision: clock.revision, ..ResponseHeader::default() });
    let keep = if request.count_only { 0 } else { fetched(request) };
    let (mut rows, mut count) = (Vec::new(), 0);
    reader.visit(&span, at, &mut |key, found| {
        if count < keep {
            rows.push(Row { found, kv: found.describe(key), is_loaded: false });
        }
        count += 1;
        true
    })?;
    rows.retain(|row| is_within(request, &row.found));
    sort(reader, request, &mut rows)?;
    let more = usize::try_from(request.limit).is_ok_and(|limit| limit > 0 && rows.len() > limit);
    if more {
        rows.truncate(usize::try_from(request.limit).unwrap_or(usize::MAX));
    }
    for row in &mut rows {
        match request.keys_only {
            true => row.kv.value = Vec::new(),
            false => row.load(reader)?,
        }
    }
    Ok(RangeResponse { header, kvs: rows.into_iter().map(|row| row.kv).collect(), more, count: count as i64 })
}

struct Row {
    found: Found,
    kv: KeyValue,
    is_loaded: bool,
}

impl Row {
    fn load(&mut self, reader: &dyn Reader) -> Result<(), Stop> {
        if !self.is_loaded {
            self.kv = reader.load(self.found.place)?;
            self.is_loaded = true;
        }
        Ok(())
    }
}

/// The revision that is read: 0 and below mean now.
fn revision(clock: Clock, asked: i64) -> Result<i64, EtcdError> {
    match asked {
        asked if asked > clock.revision => Err(EtcdError::FutureRev),
        ..=0 => Ok(clock.revision),
        asked if asked < clock.compacted => Err(EtcdError::Compacted),
        asked => Ok(asked),
    }
}

/// How many keys are taken before bounds and sorting: one more than the limit, to know whether there are more. All of them where those come between;
/// but a target without an order is sorted after the cut, as etcd does.
fn fetched(request: &RangeRequest) -> usize {
    let is_bounded =
        [request.min_mod_revision, request.max_mod_revision, request.min_create_revision, request.max_create_revision];
    let is_whole = request.sort_order() != SortOrder::None || is_bounded.iter().any(|bound| *bound != 0);
    match usize::try_from(request.limit) {
        Ok(limit) if limit > 0 && !is_whole => limit.saturating_add(1),
        _ => usize::MAX,
    }
}

fn is_within(request: &RangeRequest, found: &Found) -> bool {
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(found.place.main, request.min_mod_revision, request.max_mod_revision)
        && within(found.create, request.min_create_revision, request.max_create_revision)
}

/// Rows come in the order of keys. Sorting is stable, also downwards: equal ones stay in the order of keys.
fn sort(reader: &dyn Reader, request: &RangeRequest, rows: &mut [Row]) -> Result<(), Stop> {
    let (order, target) = (request.sort_order(), request.sort_target());
    if target == SortTarget::Key && order != SortOrder::Descend {
        return Ok(());
    }
    if target == SortTarget::Value {
        for row in rows.iter_mut() {
            row.load(reader)?;
        }
    }
    let compare = |a: &Row, b: &Row| -> Ordering {
        match target {
            SortTarget::Key => a.kv.key.cmp(&b.kv.key),
            SortTarget::Version => a.kv.version.cmp(&b.kv.version),
            SortTarget::Create => a.kv.create_revision.cmp(&b.kv.create_revision),
            SortTarget::Mod => a.kv.mod_revision.cmp(&b.kv.mod_revision),
            SortTarget::Value => a.kv.value.cmp(&b.kv.value),
        }
    };
    match order {
        SortOrder::Descend => rows.sort_by(|a, b| compare(b, a)),
        SortOrder::None | SortOrder::Ascend => rows.sort_by(compare),
    }
    Ok(())
}
