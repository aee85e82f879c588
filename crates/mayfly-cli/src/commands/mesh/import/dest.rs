//! The destination: changes and progress in one transaction, guarded by the progress that was seen last.

use super::super::connect::Reached;
use super::super::words;
use super::job::{Job, Progress, State, exactly};
use super::page::Pages;
use super::stop::{Side, Stop};
use crate::support::text::plain;
use anyhow::anyhow;
use mayfly_mesh::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use mayfly_mesh::proto::etcdserverpb::request_op::Request;
use mayfly_mesh::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnRequest,
};

/// Operations of a transaction: etcd takes 128, and one is the progress.
const MAX_OPS: usize = 127;
/// Bytes of a transaction; etcd takes 1.5 MiB, and what surrounds them counts.
const MAX_BYTES: usize = 1 << 20;

/// A key as it is to be; None is gone.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

pub struct Dest<'j> {
    pub reached: Reached,
    job: &'j Job,
    /// What this program is called in the progress that it writes.
    by: String,
    /// The revision of the progress that was seen last; 0 is none.
    seen: i64,
    pages: Pages,
}

impl<'j> Dest<'j> {
    pub fn new(reached: Reached, job: &'j Job, by: String) -> Self {
        Self { reached, job, by, seen: 0, pages: Pages::new(Side::Dest) }
    }

    /// Some of the keys of a range, as they are now.
    pub async fn page(&mut self, range: &RangeRequest) -> Result<RangeResponse, Stop> {
        self.pages.next(&self.reached, range).await
    }

    /// How far the import has come.
    pub async fn progress(&mut self) -> Result<Option<Progress>, Stop> {
        let found = self.page(&exactly(&self.job.key)).await?.kvs.into_iter().next();
        self.seen = found.as_ref().map_or(0, |kv| kv.mod_revision);
        let read = |value: &[u8]| {
            let name = plain(&String::from_utf8_lossy(&self.job.key));
            Progress::read(value).map_err(|what| Stop::Over(anyhow!("{name} is no progress of an import: {what}")))
        };
        found.map(|kv| read(&kv.value)).transpose()
    }

    /// The revision here of the last change of the import that is known.
    pub fn seen(&self) -> i64 {
        self.seen
    }

    /// Notes how far it has come.
    pub async fn note(&mut self, state: State, revision: i64) -> Result<(), Stop> {
        self.commit(Vec::new(), Some((state, revision))).await
    }

    /// Makes changes in their order, and notes with the last of them how far it has come: together where they fit.
    pub async fn change(&mut self, changes: Vec<Change>, then: Option<(State, i64)>) -> Result<(), Stop> {
        let mut parts = split(changes);
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            self.commit(part, None).await?;
        }
        self.commit(last, then).await
    }

    async fn commit(&mut self, changes: Vec<Change>, then: Option<(State, i64)>) -> Result<(), Stop> {
        let key = self.job.key.clone();
        let compare = Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: key.clone(),
            target_union: Some(TargetUnion::ModRevision(self.seen)),
            ..Compare::default()
        };
        let first = changes.first().map(|(key, _)| key.clone());
        let mut success: Vec<RequestOp> = changes.into_iter().map(operation).collect();
        if let Some((state, revision)) = then {
            let value = self.job.progress(state, revision, &self.by).write();
            success.push(operation((key, Some(value))));
        }
        if success.is_empty() {
            return Ok(());
        }
        let request = TxnRequest { compare: vec![compare], success, failure: Vec::new() };
        let mut kv = self.reached.kv();
        let answer = self.reached.within(kv.txn(request)).await;
        let answer = answer.map_err(|status| Stop::of_change(&self.reached, first.as_deref(), status))?.into_inner();
        if !answer.succeeded {
            return Err(Stop::NotAlone);
        }
        if then.is_some() {
            self.seen = words::revision(answer.header.as_ref());
        }
        Ok(())
    }
}

fn operation((key, value): Change) -> RequestOp {
    let request = match value {
        Some(value) => Request::RequestPut(PutRequest { key, value, ..PutRequest::default() }),
        None => Request::RequestDeleteRange(DeleteRangeRequest { key, ..DeleteRangeRequest::default() }),
    };
    RequestOp { request: Some(request) }
}

fn bytes_of((key, value): &Change) -> usize {
    key.len() + value.as_ref().map_or(0, Vec::len)
}

/// Would these fit into a transaction?
pub fn fits(ops: usize, bytes: usize) -> bool {
    ops <= MAX_OPS && bytes <= MAX_BYTES
}

/// Parts that each fit, in their order; a change that is too long alone is one.
fn split(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for change in changes {
        let more = bytes_of(&change);
        if !part.is_empty() && !fits(part.len() + 1, bytes + more) {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += more;
        part.push(change);
    }
    parts.push(part);
    parts
}

/// Changes of one revision of the source.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub revision: i64,
    pub changes: Vec<Change>,
}

/// Steps that may share a transaction, one after the other: they fit into it, and none touches a key of another, so that every version is here, too.
pub fn together(steps: Vec<Step>) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    let mut bytes = 0;
    for step in steps {
        let more: usize = step.changes.iter().map(bytes_of).sum();
        if let Some(last) = all.last_mut() {
            let is_apart = step.changes.iter().all(|(key, _)| last.changes.iter().all(|(other, _)| other != key));
            if is_apart && fits(last.changes.len() + step.changes.len(), bytes + more) {
                last.revision = step.revision;
                last.changes.extend(step.changes);
                bytes += more;
                continue;
            }
        }
        bytes = more;
        all.push(step);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_base::Rng;

    fn put(key: u64, len: usize) -> Change {
        (format!("{key}").into_bytes(), Some(vec![0; len]))
    }

    /// Against the definition: the order stays, what is together fits and has each key once, and a revision is torn only where it does not fit.
    #[test]
    fn what_is_together_fits() {
        let mut is_merged = false;
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let keys = 1 + rng.below(300);
            let size = 1 + rng.below(3) as usize * 200_000;
            let steps: Vec<Step> = (1..=1 + rng.below(40) as i64)
                .map(|revision| {
                    let mut changes: Vec<Change> = Vec::new();
                    for _ in 0..rng.below(8) {
                        let change = put(rng.below(keys), rng.below(size as u64) as usize);
                        changes.retain(|(key, _)| *key != change.0);
                        changes.push(change);
                    }
                    Step { revision, changes }
                })
                .collect();
            let want: Vec<Change> = steps.iter().flat_map(|step| step.changes.clone()).collect();
            let each: Vec<Vec<Change>> = steps.iter().map(|step| step.changes.clone()).collect();
            let ends: Vec<i64> = steps.iter().map(|step| step.revision).collect();
            let all = together(steps);
            let got: Vec<Change> = all.iter().flat_map(|step| step.changes.clone()).collect();
            assert_eq!(got, want);
            let mut upto = 0;
            for step in &all {
                let first = upto;
                while ends.get(upto).is_some_and(|end| *end <= step.revision) {
                    upto += 1;
                }
                // It says the revision that its changes are the last of, and more than one only where they fit.
                let of: Vec<Change> = each[first..upto].concat();
                assert_eq!(step.changes, of);
                let bytes = step.changes.iter().map(bytes_of).sum();
                assert!(upto - first == 1 || fits(step.changes.len(), bytes), "{} revisions do not fit", upto - first);
                is_merged |= upto - first > 1;
                let mut names: Vec<_> = step.changes.iter().map(|(key, _)| key).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), step.changes.len(), "a key twice");
            }
            let parts: Vec<Vec<Change>> = all.into_iter().flat_map(|step| split(step.changes)).collect();
            for part in &parts {
                assert!(part.len() == 1 || fits(part.len(), part.iter().map(bytes_of).sum()));
            }
            assert_eq!(parts.concat(), want);
        }
        assert!(is_merged, "nothing shares a transaction");
    }
}
