//! Leases: they are granted, and end. When one is over, its leader says: [`crate::lease`].

use super::lease_table::{Lease, MAX_SECONDS};
use super::tables::Reader;
use super::write::Writer;
use crate::etcd_error::EtcdError;
use crate::logged::Applied;
use crate::module::Fault;
use crate::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse, ResponseHeader,
};
use crate::proto::meshpb::{Checkpoint, Done, Expire, Granted};
use crate::refusal::Stop;

/// The shortest time to live, in seconds: etcd's, with its usual election timeout.
const MIN_SECONDS: i64 = 2;

pub(super) fn grant(
    writer: &mut Writer<'_>,
    at: Applied,
    request: &LeaseGrantRequest,
) -> Result<LeaseGrantResponse, Stop> {
    let LeaseGrantRequest { ttl, id } = *request;
    if id == 0 {
        return Err(EtcdError::LeaseNotFound.into()); // whoever serves a client has drawn one
    }
    if ttl > MAX_SECONDS {
        return Err(EtcdError::LeaseTtlTooLarge.into());
    }
    if writer.leases()?.get(id)?.is_some() {
        return Err(EtcdError::LeaseExists.into());
    }
    let whole_s = ttl.max(MIN_SECONDS);
    writer.leases()?.keep(Lease { id, whole_s, remaining_s: 0, granted: at.index, checkpoint: (0, 0) })?;
    Ok(LeaseGrantResponse { header: header(writer), id, ttl: whole_s, error: String::new() })
}

pub(super) fn revoke(writer: &mut Writer<'_>, request: &LeaseRevokeRequest) -> Result<LeaseRevokeResponse, Stop> {
    let Some(lease) = writer.leases()?.get(request.id)? else {
        return Err(EtcdError::LeaseNotFound.into());
    };
    end(writer, lease)?;
    Ok(LeaseRevokeResponse { header: header(writer) })
}

/// Its leader found its time over. An expiry counts in the term alone in which it was found: a later leader may have renewed the lease.
pub(super) fn expire(writer: &mut Writer<'_>, at: Applied, expire: &Expire) -> Result<Done, Fault> {
    if let Some(lease) = meant(writer, expire.lease.as_ref())?.filter(|_| expire.term == at.term) {
        end(writer, lease)?;
    }
    Ok(Done {})
}

pub(super) fn checkpoint(writer: &mut Writer<'_>, at: Applied, checkpoint: &Checkpoint) -> Result<Done, Fault> {
    if checkpoint.term != at.term {
        return Ok(Done {});
    }
    let this = (checkpoint.term, checkpoint.number);
    for remains in &checkpoint.leases {
        let lease = meant(writer, remains.lease.as_ref())?;
        if let Some(lease) = lease.filter(|lease| lease.checkpoint < this) {
            let remaining_s = remains.seconds.clamp(0, lease.whole_s);
            writer.leases()?.keep(Lease { remaining_s, checkpoint: this, ..lease })?;
        }
    }
    Ok(Done {})
}

/// The lease that was granted then, if there still is one.
fn meant(writer: &mut Writer<'_>, granted: Option<&Granted>) -> Result<Option<Lease>, Fault> {
    let Some(Granted { id, at }) = granted else { return Ok(None) };
    Ok(writer.leases()?.get(*id)?.filter(|lease| lease.granted == *at))
}

/// Ends a lease and deletes its keys, in their order and in one revision.
fn end(writer: &mut Writer<'_>, lease: Lease) -> Result<(), Fault> {
    let keys = writer.leases()?.attached(lease.id)?;
    for key in &keys {
        writer.delete_key(key, lease.id)?;
    }
    writer.leases()?.take(lease)
}

fn header(writer: &Writer<'_>) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision: writer.clock().revision, ..ResponseHeader::default() })
}
