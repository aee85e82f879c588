//! What clients ask, as their member's server would.

use super::node::Engine as Member;
use crate::check::kv::{Changes, answer, everything, got, range, request};
use crate::check::{Answer, Change, What};
use mayfly_mesh::{Engine, MeshError, kv};

/// Asks a member.
pub async fn ask(member: &Member, what: What) -> Result<Answer, MeshError> {
    let Some(request) = request(what) else {
        member.read_barrier().await?;
        let read = member.store().read(|transaction| kv::range(transaction, &range(what.key())))?;
        return Ok(got(&read.expect("no error of a client's")));
    };
    let outcome = member.propose(kv::entry(request)).await?;
    Ok(answer(kv::outcome(&outcome).expect("an outcome").expect("no error of a client's")))
}

/// What every revision changed, from the state of a member.
pub fn changes(member: &Member) -> Vec<Change> {
    let mut changes = Changes::default();
    for revision in 2..=member.store().read(kv::revision).expect("readable") {
        let state = member.store().read(|transaction| kv::range(transaction, &everything(revision)));
        changes.add(&state.expect("readable").expect("not compacted"));
    }
    changes.found
}
