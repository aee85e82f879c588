//! `mayfly mesh watch`.

use super::advice::{is_passing, said};
use super::args::WatchArgs;
use super::connect::{Reached, Way, again, connect_by};
use super::requests;
use super::words::{self, kv_json, line};
use crate::support::text::plain;
use crate::support::ui::Ui;
use anyhow::{Error, Result, anyhow};
use futures_util::stream::{self, StreamExt};
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use mayfly_mesh::proto::mvccpb::Event;
use mayfly_mesh::proto::mvccpb::event::EventType;
use serde_json::{Value, json};
use std::convert::Infallible;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

/// Why a stream ends.
enum Stop {
    /// Another node may go on with it.
    Lost(Status),
    Over(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Over(error)
    }
}

/// What is watched, and how far.
struct Watch<'a> {
    args: &'a WatchArgs,
    ui: Ui,
    /// The first revision that was not seen yet; 0 is whatever comes.
    next: i64,
    /// Has a node ever begun with it?
    begun: bool,
    /// Is it between two nodes?
    away: bool,
}

pub async fn run(args: &WatchArgs, ui: Ui) -> Result<()> {
    let way = Way::new(&args.target)?;
    let mut reached = connect_by(&way, &args.target).await?;
    let mut watch = Watch { args, ui, next: args.rev, begun: false, away: false };
    loop {
        let Err(stop) = watch.follow(&reached).await;
        let status = match stop {
            Stop::Over(error) => return Err(error),
            Stop::Lost(status) if !watch.begun => return Err(reached.failed(&status)),
            Stop::Lost(status) => status,
        };
        watch.leave(&reached, &status);
        reached = again(&way, &args.target, &reached.address).await?;
    }
}

impl Watch<'_> {
    /// Prints what one node tells, as long as it does.
    async fn follow(&mut self, reached: &Reached) -> Result<Infallible, Stop> {
        let stop = |status: Status| match is_passing(&status) {
            true => Stop::Lost(status),
            false => Stop::Over(reached.failed(&status)),
        };
        let mut client = reached.watch();
        let call = client.watch(self.request());
        let mut answers = reached.within(call).await.map_err(stop)?.into_inner();
        loop {
            let answer = answers.message().await.map_err(stop)?;
            let answer = answer.ok_or_else(|| Stop::Lost(Status::unavailable("the node ended the stream")))?;
            self.take(&answer, &reached.address)?;
        }
    }

    /// One watcher from the next revision on. The stream stays open behind it: some nodes end with it.
    fn request(&self) -> Request<impl stream::Stream<Item = WatchRequest> + Send + 'static + use<>> {
        let (key, range_end) = requests::bounds(&self.args.range);
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: self.next,
            progress_notify: self.args.progress,
            prev_kv: self.args.prev_kv,
            ..WatchCreateRequest::default()
        };
        let asked = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let mut request = Request::new(stream::iter([asked]).chain(stream::pending()));
        // A node that is cut off from the others sees no changes: it is to say so.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        request
    }

    fn take(&mut self, answer: &WatchResponse, address: &str) -> Result<()> {
        if answer.canceled {
            return Err(refused(answer, self.next, address));
        }
        for event in &answer.events {
            self.ui.result(&event_text(event), &event_json(event))?;
        }
        self.next = next_behind(self.next, answer);
        if answer.created {
            self.begin(address);
        } else if answer.events.is_empty() && self.args.progress {
            let revision = words::revision(answer.header.as_ref());
            self.ui.result(&format!("no more changes up to revision {revision}"), &json!({ "progress": revision }))?;
        }
        Ok(())
    }

    fn begin(&mut self, address: &str) {
        if self.away {
            self.ui.note(format!("watching again at {}, from revision {} on", plain(address), self.next));
        }
        (self.begun, self.away) = (true, false);
    }

    fn leave(&mut self, reached: &Reached, status: &Status) {
        if !self.away {
            let (address, reason) = (plain(&reached.address), plain(&said(status)));
            let next = self.next;
            self.ui.note(format!("{address} went away ({reason}): looking for one that goes on from revision {next}"));
        }
        self.away = true;
    }
}

/// The first revision that was not seen after this answer. All changes of one revision come in one answer.
fn next_behind(next: i64, answer: &WatchResponse) -> i64 {
    let revision = words::revision(answer.header.as_ref());
    let seen = answer.events.iter().filter_map(|event| event.kv.as_ref()).map(|kv| kv.mod_revision).max();
    match seen {
        Some(seen) => next.max(seen + 1),
        None if answer.created && next > 0 => next, // older changes are still to come
        None => next.max(revision + 1),
    }
}

/// Why a node watches no more.
fn refused(answer: &WatchResponse, next: i64, address: &str) -> Error {
    if answer.compact_revision > 0 {
        return anyhow!(
            "{address}: the changes from revision {next} on are gone: all before revision {0} are compacted; \
             `mayfly mesh get` reads what is there now, and --rev {0} watches what is left",
            answer.compact_revision
        );
    }
    let reason = if answer.cancel_reason.is_empty() { "no reason given" } else { answer.cancel_reason.as_str() };
    anyhow!("{address} does not watch this: {reason}")
}

fn is_delete(event: &Event) -> bool {
    event.r#type == i32::from(EventType::Delete)
}

fn event_text(event: &Event) -> String {
    let Some(kv) = &event.kv else { return "a change without a key".into() };
    let now = if is_delete(event) { "(deleted)".into() } else { line(&kv.value) };
    let before = event.prev_kv.as_ref().map(|before| format!("  was {}", line(&before.value))).unwrap_or_default();
    format!("{}  {now}{before}  at revision {}", line(&kv.key), kv.mod_revision)
}

fn event_json(event: &Event) -> Value {
    let kv = event.kv.as_ref().map(|kv| match is_delete(event) {
        true => json!({ "key": words::bytes_json(&kv.key), "mod_revision": kv.mod_revision }),
        false => kv_json(kv),
    });
    let kind = if is_delete(event) { "delete" } else { "put" };
    json!({ "type": kind, "kv": kv, "prev_kv": event.prev_kv.as_ref().map(kv_json) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_mesh::proto::etcdserverpb::ResponseHeader;
    use mayfly_mesh::proto::mvccpb::KeyValue;

    fn event(kind: EventType, revision: i64) -> Event {
        let kv = KeyValue { key: b"k".to_vec(), mod_revision: revision, ..KeyValue::default() };
        Event { r#type: kind.into(), kv: Some(kv), prev_kv: None }
    }

    fn answer(revision: i64) -> WatchResponse {
        let header = Some(ResponseHeader { revision, ..ResponseHeader::default() });
        WatchResponse { header, ..WatchResponse::default() }
    }

    /// What is watched next after these answers.
    fn next_after(rev: i64, answers: &[WatchResponse]) -> i64 {
        answers.iter().fold(rev, next_behind)
    }

    #[test]
    fn nothing_is_seen_twice_or_missed() {
        let created = WatchResponse { created: true, ..answer(7) };
        assert_eq!(next_after(0, std::slice::from_ref(&created)), 8);
        assert_eq!(next_after(3, std::slice::from_ref(&created)), 3);
        assert_eq!(next_after(0, &[created.clone(), answer(20)]), 21);
        assert_eq!(next_after(90, &[created.clone(), answer(20)]), 90);
        let events = vec![event(EventType::Put, 9), event(EventType::Delete, 11)];
        // The node may be further than what it tells.
        let told = WatchResponse { events, ..answer(30) };
        assert_eq!(next_after(0, &[created, told]), 12);
    }

    #[test]
    fn what_is_compacted_is_named() {
        let gone = WatchResponse { canceled: true, compact_revision: 50, ..answer(60) };
        let error = refused(&gone, 12, "a:1").to_string();
        assert!(error.contains("revision 12") && error.contains("--rev 50"), "{error}");
        let odd = WatchResponse { canceled: true, cancel_reason: "no".into(), ..answer(1) };
        assert_eq!(refused(&odd, 0, "a:1").to_string(), "a:1 does not watch this: no");
    }

    #[test]
    fn a_deleted_key_has_no_value() {
        let object = event_json(&event(EventType::Delete, 5));
        assert_eq!(object, json!({ "type": "delete", "kv": { "key": "k", "mod_revision": 5 }, "prev_kv": null }));
        assert_eq!(event_text(&event(EventType::Delete, 5)), "k  (deleted)  at revision 5");
        assert_eq!(event_json(&event(EventType::Put, 5))["kv"]["value"], "");
    }
}
