//! Taking over what is there: both sides are read in pages at once, and what differs is changed.

use super::super::words;
use super::dest::{Change, Dest};
use super::job::{Job, State, behind};
use super::source::Source;
use super::stop::Stop;
use anyhow::anyhow;
use mayfly_mesh::proto::etcdserverpb::RangeRequest;
use mayfly_mesh::proto::mvccpb::KeyValue;
use std::collections::BTreeMap;

/// What a load came to.
#[derive(Default)]
pub struct Tally {
    pub put: usize,
    pub deleted: usize,
    pub same: usize,
    /// Keys of the source that have no place here.
    pub skipped: usize,
}

/// Makes the destination as the source is at its newest revision, which is given.
/// With `own`, it goes only over what the import has written itself, up to that revision of the destination.
pub async fn load(
    job: &Job,
    source: &mut Source,
    dest: &mut Dest<'_>,
    own: Option<i64>,
    tally: &mut Tally,
) -> Result<i64, Stop> {
    let revision = source.revision(job).await?;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let (kvs, more) = source.page(job.there(after.as_deref()), revision).await?;
        let upto = kvs.last().map(|kv| kv.key.clone()).filter(|_| more);
        let beside = job.beside(after.as_deref(), upto.as_deref());
        let changes = compare(job, kvs, (&mut *dest, own), beside, tally).await?;
        dest.change(changes, None).await?;
        match upto {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    dest.note(State::Following, revision).await?;
    Ok(revision)
}

/// What of a stretch of keys differs.
async fn compare(
    job: &Job,
    kvs: Vec<KeyValue>,
    (dest, own): (&mut Dest<'_>, Option<i64>),
    beside: RangeRequest,
    tally: &mut Tally,
) -> Result<Vec<Change>, Stop> {
    let all = kvs.len();
    let mut wanted: BTreeMap<Vec<u8>, Vec<u8>> =
        kvs.into_iter().filter_map(|kv| Some((job.here(&kv.key)?, kv.value))).collect();
    tally.skipped += all - wanted.len();
    let mut gone = Vec::new();
    let mut request = beside;
    loop {
        let found = dest.page(&request).await?;
        for kv in &found.kvs {
            if !Job::owns(&kv.key) {
                continue;
            }
            match wanted.get(&kv.key) {
                Some(value) if *value == kv.value => {
                    wanted.remove(&kv.key);
                    tally.same += 1;
                }
                _ if own.is_some_and(|own| kv.mod_revision > own) => {
                    return Err(Stop::Over(anyhow!(
                        "{} was written at {} after the last change of this import: --replace makes it as it is at the source",
                        words::line(&kv.key),
                        dest.reached.address
                    )));
                }
                Some(_) => {}
                None => gone.push((kv.key.clone(), None)),
            }
        }
        match found.kvs.last().filter(|_| found.more) {
            Some(last) => request.key = behind(&last.key),
            None => break,
        }
    }
    tally.deleted += gone.len();
    tally.put += wanted.len();
    Ok(gone.into_iter().chain(wanted.into_iter().map(|(key, value)| (key, Some(value)))).collect())
}

/// A key of the destination that an import would touch, if there is one.
pub async fn first_key(job: &Job, dest: &mut Dest<'_>) -> Result<Option<Vec<u8>>, Stop> {
    let mut request = RangeRequest { keys_only: true, ..job.beside(None, None) };
    loop {
        let found = dest.page(&request).await?;
        if let Some(kv) = found.kvs.iter().find(|kv| Job::owns(&kv.key)) {
            return Ok(Some(kv.key.clone()));
        }
        match found.kvs.last().filter(|_| found.more) {
            Some(last) => request.key = behind(&last.key),
            None => return Ok(None),
        }
    }
}
