//! Put and DeleteRange.

use super::range::range;
use super::span::Span;
use super::tables::{Found, Reader};
use super::write::Writer;
use crate::etcd_error::EtcdError;
use crate::proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, ResponseHeader,
};
use crate::proto::mvccpb::KeyValue;
use crate::refusal::Stop;

/// What is there now, if the request has to know; refused where it must be there and is not.
pub(super) fn existing(reader: &dyn Reader, request: &PutRequest) -> Result<Option<Found>, Stop> {
    let keeps = request.ignore_value || request.ignore_lease;
    let found = if keeps || request.prev_kv { reader.get(&request.key)? } else { None };
    if keeps && found.is_none() {
        return Err(EtcdError::KeyNotFound.into());
    }
    Ok(found)
}

/// Refuses a put on a lease that is not there.
pub(super) fn check_lease(writer: &mut Writer<'_>, request: &PutRequest) -> Result<(), Stop> {
    match request.lease {
        0 => Ok(()),
        id if writer.leases()?.get(id)?.is_some() => Ok(()),
        _ => Err(EtcdError::LeaseNotFound.into()),
    }
}

/// A put on its own.
pub(super) fn put_alone(writer: &mut Writer<'_>, request: &PutRequest) -> Result<PutResponse, Stop> {
    check_lease(writer, request)?;
    put(writer, request)
}

pub(super) fn put(writer: &mut Writer<'_>, request: &PutRequest) -> Result<PutResponse, Stop> {
    let found = existing(writer, request)?;
    let needs_value = request.prev_kv || request.ignore_value;
    let before = match found {
        Some(found) if needs_value => Some(writer.load(found.place)?),
        Some(found) => Some(found.describe(&request.key)),
        None => None,
    };
    let old = before.as_ref();
    let value = old.filter(|_| request.ignore_value).map_or(&request.value, |old| &old.value);
    let lease = old.filter(|_| request.ignore_lease).map_or(request.lease, |old| old.lease);
    writer.put(&request.key, value, lease)?;
    let prev_kv: Option<KeyValue> = before.filter(|_| request.prev_kv);
    Ok(PutResponse { header: header(writer), prev_kv })
}

pub(super) fn delete(writer: &mut Writer<'_>, request: &DeleteRangeRequest) -> Result<DeleteRangeResponse, Stop> {
    let mut prev_kvs = Vec::new();
    if request.prev_kv {
        let all = RangeRequest { key: request.key.clone(), range_end: request.range_end.clone(), ..Default::default() };
        prev_kvs = range(writer, &all)?.kvs;
    }
    let deleted = writer.delete(&Span::new(&request.key, &request.range_end))?;
    Ok(DeleteRangeResponse { header: header(writer), deleted, prev_kvs })
}

fn header(writer: &Writer<'_>) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision: writer.clock().revision, ..ResponseHeader::default() })
}
