//! The swarm's trust list in the mesh: every record is a key, so that an admission or a revocation is known to all members with one revision. Members
//! that the mesh does not reach learn it from each other, as nodes without a mesh do.

use super::answer::{propose_own, read};
use super::follow::{Follow, News};
use crate::engine::Engine;
use crate::kv;
use crate::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::{Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest};
use crate::proto::meshpb::command::Request;
use crate::watch::Hub;
use mayfly_wire::{SignedRecord, TrustStore, from_payload, to_payload};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;

/// A record's key is this and the BLAKE3 of its bytes, which are its value.
const PREFIX: &[u8] = b"/mayfly/trust/";
const PREFIX_END: &[u8] = b"/mayfly/trust0";
/// Between two tries to write, where that fails.
const AGAIN: Duration = Duration::from_secs(1);
const RECORD: &str = "a trust record";

pub(super) struct SharedTrust<E> {
    pub(super) engine: E,
    pub(super) hub: Arc<Hub>,
    pub(super) trust: Arc<TrustStore>,
}

impl<E: Engine> SharedTrust<E> {
    /// Until the node ends.
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.give() => {}
            error = self.take() => tracing::debug!(%error, "the trust list does not follow the mesh any more"),
        }
    }

    /// Writes what the mesh does not have.
    async fn give(&self) {
        let mut changes = self.trust.watch();
        loop {
            changes.borrow_and_update();
            if let Err(error) = self.write_missing().await {
                tracing::debug!(%error, "a change of the trust list is not in the mesh yet");
                tokio::time::sleep(AGAIN).await;
            } else if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn write_missing(&self) -> Result<(), Status> {
        let list = self.trust.list();
        if list.records().len() < 2 {
            return Ok(()); // a swarm of one has nobody to tell, and the first revision is its clients'
        }
        let known: BTreeSet<Vec<u8>> = self.stored(true).await?.0.into_iter().map(|(key, _)| key).collect();
        for record in list.records() {
            let value = to_payload(RECORD, record).map_err(|e| Status::internal(e.to_string()))?;
            let key = [PREFIX, blake3::hash(&value).to_hex().as_bytes()].concat();
            if !known.contains(&key) {
                propose_own(&self.engine, Request::Txn(unless_there(key, value))).await?;
            }
        }
        Ok(())
    }

    /// Takes what is in the mesh, and what comes.
    async fn take(&self) -> Status {
        loop {
            let Err(error) = self.take_from_here().await else { continue }; // history is gone: all is read again
            return error;
        }
    }

    async fn take_from_here(&self) -> Result<(), Status> {
        let mut revision = self.merge_all().await?;
        loop {
            let (key, range_end) = (PREFIX.into(), PREFIX_END.into());
            let request =
                WatchCreateRequest { key, range_end, start_revision: revision + 1, ..WatchCreateRequest::default() };
            match Follow::new(&self.engine, &self.hub, request).await?.next().await? {
                News::Compacted => return Ok(()),
                News::Events(..) => revision = self.merge_all().await?,
            }
        }
    }

    /// A record counts only with those that let its signer in, so all of them are taken together. What nobody of the swarm has signed is left out.
    async fn merge_all(&self) -> Result<i64, Status> {
        let (stored, revision) = self.stored(false).await?;
        let records: Vec<SignedRecord> =
            stored.iter().filter_map(|(_, value)| from_payload(RECORD, value).ok()).collect();
        let trust = self.trust.clone();
        let merged = tokio::task::spawn_blocking(move || trust.merge(&records)).await;
        if let Ok(Err(error)) = merged {
            tracing::warn!(%error, "the trust list cannot be written");
        }
        Ok(revision)
    }

    async fn stored(&self, keys_only: bool) -> Result<(Vec<(Vec<u8>, Vec<u8>)>, i64), Status> {
        let request =
            RangeRequest { key: PREFIX.into(), range_end: PREFIX_END.into(), keys_only, ..RangeRequest::default() };
        let response = read(&self.engine, move |state| kv::range(state, &request)).await?;
        let revision = response.header.map_or(0, |header| header.revision);
        Ok((response.kvs.into_iter().map(|kv| (kv.key, kv.value)).collect(), revision))
    }
}

fn unless_there(key: Vec<u8>, value: Vec<u8>) -> TxnRequest {
    let is_new = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(0)),
        ..Compare::default()
    };
    let put = Op::RequestPut(PutRequest { key, value, ..PutRequest::default() });
    TxnRequest { compare: vec![is_new], success: vec![RequestOp { request: Some(put) }], failure: Vec::new() }
}
