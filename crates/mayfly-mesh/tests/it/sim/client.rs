//! What clients ask, as their member's server would.

use super::node::Engine as Member;
use crate::check::kv::{Changes, answer, everything, got, range, request};
use crate::check::{Answer, Change, What};
use mayfly_mesh::proto::etcdserverpb::alarm_request::AlarmAction;
use mayfly_mesh::proto::etcdserverpb::{AlarmRequest, AlarmType, CompactionRequest};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{Engine, EtcdError, MeshError, kv};

/// Asks a member.
pub async fn ask(member: &Member, what: What) -> Result<Answer, MeshError> {
    let Some(request) = request(what) else {
        member.read_barrier().await?;
        let read = member.store().read(|transaction| kv::range(transaction, &range(what.key())))?;
        return Ok(got(&read.expect("no error of a client's")));
    };
    let outcome = member.propose(kv::entry(request)).await?;
    match kv::outcome(&outcome).expect("an outcome") {
        Err(EtcdError::NoSpace) => Err(MeshError::Busy), // nor did it happen
        answered => Ok(answer(answered.expect("no error of a client's"))),
    }
}

/// What every revision has changed that is not known yet, up to one, from the state of a member.
pub fn learn(member: &Member, changes: &mut Changes, upto: i64) -> Result<(), MeshError> {
    let upto = upto.min(member.store().read(kv::revision)?);
    for revision in changes.found.len() as i64 + 2..=upto {
        let state = member.store().read(|transaction| kv::range(transaction, &everything(revision)))?;
        changes.add(&state.expect("not compacted"));
    }
    Ok(())
}

/// All of it.
pub fn changes(member: &Member, mut known: Changes) -> Vec<Change> {
    learn(member, &mut known, i64::MAX).expect("readable");
    known.found
}

/// Takes the alarms of full disks back, as an operator does where whoever raised them was started again meanwhile.
pub async fn disarm(member: &Member) -> Result<(), MeshError> {
    for alarm in member.store().read(kv::alarms)?.into_iter().filter(|alarm| alarm.alarm() == AlarmType::Nospace) {
        let action = AlarmAction::Deactivate.into();
        let request = AlarmRequest { action, member_id: alarm.member_id, alarm: alarm.alarm };
        member.propose(kv::entry(Request::Alarm(request))).await?;
    }
    Ok(())
}

/// Compacts; whether that was done or was done before is all the same.
pub async fn compact(member: &Member, revision: i64) -> Result<(), MeshError> {
    let compaction = CompactionRequest { revision, physical: false };
    member.propose(kv::entry(Request::Compaction(compaction))).await.map(drop)
}
