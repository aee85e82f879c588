//! What others ask, and what they send.

use super::{Hub, REFUSED};
use crate::calls::Heard;
use crate::links::{BODY_TIME, TOPIC, late};
use crate::message::{Answer, Ask, Sent};
use crate::participant::Incoming;
use crate::store::Kind;
use crate::{CallId, LearnError, Result};
use mayfly_base::NodeId;
use mayfly_format::data::Survey;
use mayfly_swarm::learn::Digest;
use mayfly_wire::{BodyReader, Event, Peer, Reply, Transport, from_payload, to_payload};
use std::time::Duration;

impl<T: Transport> Hub<T> {
    pub(super) async fn take_events(self) {
        let mut stop = self.links().stopping();
        loop {
            let event = tokio::select! {
                event = self.links().transport().next() => event,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            match event {
                Some(Event::Request { from, topic: TOPIC, payload, reply }) => self.answer(from, &payload, reply),
                Some(Event::Body { from, topic: TOPIC, meta, body }) => {
                    tokio::spawn(self.clone().receive(from, meta, body));
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    fn answer(&self, from: Peer, payload: &[u8], reply: Reply) {
        let answer = from_payload("a message of a run", payload)
            .map_err(LearnError::from)
            .and_then(|ask| self.answer_to(from, ask));
        let payload = answer.and_then(|answer| Ok(to_payload("an answer of a run", &answer)?));
        match payload {
            Ok(payload) => reply.answer(payload),
            Err(error) => reply.refuse(REFUSED, error.to_string()),
        }
    }

    fn answer_to(&self, from: Peer, ask: Ask) -> Result<Answer> {
        if self.0.calls.has(ask.run()) {
            return self.answer_of_call(from.id, ask);
        }
        let mut runs = self.runs();
        let Some(seat) = runs.get_mut(&ask.run()) else { return Ok(Answer::NotHere) };
        Ok(match ask {
            Ask::Survey { .. } => Answer::NotHere, // the name of a run, not of a call
            Ask::Say { message, .. } => match seat.incoming.try_send(Incoming::Message(from.id, message)) {
                Ok(()) => Answer::Taken,
                Err(_) => Answer::NotHere, // said again if it matters
            },
            Ask::Fetch { digest, run } => {
                let store = seat.store.clone();
                drop(runs);
                if !store.has(digest) {
                    return Ok(Answer::NotHere);
                }
                self.links().spawn_send(from, run, digest, store);
                Answer::Coming
            }
            Ask::Record { .. } => Answer::Record(seat.record.to_vec()),
            Ask::Enrol { rows, .. } => match (&seat.roster, &mut seat.enrolled) {
                (Some(roster), _) => Answer::Begun(roster.clone()),
                (None, Some((wanted, enrolled))) => {
                    if enrolled.len() < *wanted {
                        enrolled.insert(from.id, rows);
                    }
                    Answer::NotYet
                }
                (None, None) => Answer::NotYet,
            },
        })
    }

    /// A call is to be had from whoever has it; surveys are taken by whoever made it, and answered by whoever knows what came of it.
    fn answer_of_call(&self, from: NodeId, ask: Ask) -> Result<Answer> {
        let id = ask.run();
        match ask {
            Ask::Record { .. } => Ok(self.0.calls.bytes(id).map_or(Answer::NotHere, Answer::Call)),
            Ask::Survey { survey, .. } => self.hear_survey(id, from, *survey),
            _ => Ok(Answer::NotHere),
        }
    }

    fn hear_survey(&self, id: CallId, from: NodeId, survey: Survey) -> Result<Answer> {
        if let Some(why) = self.failure(id) {
            return Ok(Answer::Refused(why));
        }
        match self.0.calls.hear(id, from, survey) {
            Ok(Heard::Waits) => Ok(Answer::NotYet),
            Ok(Heard::Complete) => {
                self.spawn_begin(id);
                Ok(Answer::NotYet)
            }
            Ok(Heard::Begun(run)) => Ok(Answer::Run(run)),
            Ok(Heard::NotMine) => Ok(Answer::NotHere),
            Err(error @ LearnError::File { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(call = %id, node = %from.short(), %error, "rows that do not go with those of others");
                Ok(Answer::Refused(error.to_string()))
            }
        }
    }

    /// Takes a body or a state in, if it is as long as one and is what it is called.
    async fn receive(self, from: Peer, meta: Vec<u8>, body: BodyReader) {
        if let Err(error) = self.try_receive(from, &meta, body).await {
            tracing::debug!(peer = %from.id.short(), %error, "a body was refused");
        }
    }

    async fn try_receive(&self, from: Peer, meta: &[u8], body: BodyReader) -> Result<()> {
        let Sent { run, digest } = from_payload("the head of a body", meta)?;
        let unknown = || LearnError::UnknownRun { id: run.to_string() };
        let (store, (body_len, state_len), incoming, fetching) = {
            let runs = self.runs();
            let seat = runs.get(&run).ok_or_else(unknown)?;
            (seat.store.clone(), seat.lens, seat.incoming.clone(), seat.fetching.clone())
        };
        let len = usize::try_from(body.declared_len()).unwrap_or(usize::MAX);
        let kind = match len {
            len if len == body_len => Kind::Body,
            len if len == state_len => Kind::State,
            got => return Err(LearnError::Length { what: "an update", want: body_len, got }),
        };
        if kind == Kind::State && !fetching.has(digest) {
            return Err(LearnError::Unasked { digest });
        }
        let time = BODY_TIME + Duration::from_secs(len as u64 >> 20);
        let bytes = tokio::time::timeout(time, body.read_to_end(len as u64)).await;
        let bytes = bytes.map_err(|_| late("a body", time))??;
        let taken = tokio::task::spawn_blocking(move || {
            let got = Digest::of(&bytes);
            if got != digest {
                return Err(LearnError::Digest { what: "a body", want: digest, got });
            }
            store.put(kind, digest, &bytes)
        });
        taken.await.map_err(|_| LearnError::Stopped)??;
        let _ = incoming.send(Incoming::Arrived { from: from.id, kind, digest }).await; // the run may have ended
        Ok(())
    }
}
