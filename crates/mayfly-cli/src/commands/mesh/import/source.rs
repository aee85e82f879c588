//! The source: what it has at a revision, in pages, and what changes after that.

use super::super::connect::Reached;
use super::super::words;
use super::dest::Step;
use super::job::Job;
use super::page::Pages;
use super::stop::{Side, Stop};
use anyhow::anyhow;
use futures_util::stream::{self, StreamExt};
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{RangeRequest, RangeResponse, WatchCreateRequest, WatchRequest, WatchResponse};
use mayfly_mesh::proto::mvccpb::event::EventType;
use mayfly_mesh::proto::mvccpb::{Event, KeyValue};
use tonic::metadata::MetadataValue;
use tonic::{Request, Status, Streaming};

pub struct Source {
    pub reached: Reached,
    pages: Pages,
}

impl Source {
    pub fn new(reached: Reached) -> Self {
        Self { reached, pages: Pages::new(Side::Source) }
    }

    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Status> {
        let mut kv = self.reached.kv();
        self.reached.within(kv.range(request)).await.map(tonic::Response::into_inner)
    }

    fn stop(&self, status: Status) -> Stop {
        Stop::of(Side::Source, &self.reached, status)
    }

    /// Its newest revision.
    pub async fn revision(&self, job: &Job) -> Result<i64, Stop> {
        let one = RangeRequest { limit: 1, keys_only: true, ..job.there(None) };
        let answer = self.range(one).await.map_err(|status| self.stop(status))?;
        Ok(words::revision(answer.header.as_ref()))
    }

    /// Some of the keys of a range as of a revision, and whether there are more.
    pub async fn page(&mut self, range: RangeRequest, revision: i64) -> Result<(Vec<KeyValue>, bool), Stop> {
        let answer = self.pages.next(&self.reached, &RangeRequest { revision, ..range }).await?;
        Ok((answer.kvs, answer.more))
    }

    /// Watches from a revision on.
    pub async fn watch(&self, job: &Job, from: i64) -> Result<Changes<'_>, Stop> {
        let RangeRequest { key, range_end, .. } = job.there(None);
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: from,
            progress_notify: true,
            fragment: true,
            ..WatchCreateRequest::default()
        };
        let asked = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let mut request = Request::new(stream::iter([asked]).chain(stream::pending()));
        // One that is cut off from the others sees no changes: it is to say so.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        let mut client = self.reached.watch();
        let answers =
            self.reached.within(client.watch(request)).await.map_err(|status| self.stop(status))?.into_inner();
        Ok(Changes { source: self, answers, part: Vec::new() })
    }
}

/// Changes of the source, as it tells them.
pub struct Changes<'s> {
    source: &'s Source,
    answers: Streaming<WatchResponse>,
    /// Events of a revision that has not come to its end.
    part: Vec<Event>,
}

/// What the source tells.
pub enum Told {
    /// Whole revisions, in their order.
    Changes(Vec<Step>),
    /// Nothing changed up to this one.
    Nothing(i64),
}

impl Changes<'_> {
    pub async fn next(&mut self, job: &Job) -> Result<Told, Stop> {
        loop {
            let answer = self.answers.message().await.map_err(|status| self.source.stop(status))?;
            let ended = || self.source.stop(Status::unavailable("the source ended the stream"));
            let answer = answer.ok_or_else(ended)?;
            if answer.canceled && answer.compact_revision > 0 {
                return Err(Stop::Compacted);
            }
            if answer.canceled {
                let address = &self.source.reached.address;
                return Err(Stop::Over(anyhow!("{address} does not watch this: {}", answer.cancel_reason)));
            }
            let (is_progress, revision) = (answer.events.is_empty(), words::revision(answer.header.as_ref()));
            self.part.extend(answer.events);
            match (answer.created, answer.fragment) {
                (true, _) | (_, true) => {}
                _ if is_progress && self.part.is_empty() => return Ok(Told::Nothing(revision)),
                _ => return Ok(Told::Changes(steps(job, std::mem::take(&mut self.part)))),
            }
        }
    }
}

/// The changes of each revision. Of a key that one revision changes twice, the last is what counts.
fn steps(job: &Job, events: Vec<Event>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for event in events {
        let is_delete = event.r#type == i32::from(EventType::Delete);
        let Some(kv) = event.kv else { continue };
        if steps.last().is_none_or(|step| step.revision != kv.mod_revision) {
            steps.push(Step { revision: kv.mod_revision, changes: Vec::new() });
        }
        if let (Some(step), Some(key)) = (steps.last_mut(), job.here(&kv.key)) {
            step.changes.retain(|(other, _)| *other != key);
            step.changes.push((key, (!is_delete).then_some(kv.value)));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_steps() {
        let job = Job::new(1, 2, b"a", b"b").unwrap();
        let event = |kind: EventType, key: &str, revision| {
            let kv = KeyValue { key: key.into(), value: b"v".to_vec(), mod_revision: revision, ..KeyValue::default() };
            Event { r#type: kind.into(), kv: Some(kv), prev_kv: None }
        };
        let events = vec![
            event(EventType::Put, "a1", 5),
            event(EventType::Delete, "a2", 5),
            event(EventType::Put, "a2", 5),
            event(EventType::Delete, "a1", 7),
        ];
        let put = |key: &str| (key.as_bytes().to_vec(), Some(b"v".to_vec()));
        let want = [
            Step { revision: 5, changes: vec![put("b1"), put("b2")] },
            Step { revision: 7, changes: vec![(b"b1".to_vec(), None)] },
        ];
        assert_eq!(steps(&job, events), want);
    }
}
