//! What went wrong at a node, and what to do about it.

use anyhow::{Error, anyhow};
use std::error::Error as Cause;
use tonic::{Code, Status};

/// What etcd's texts call for, by a part of each. The first that fits is taken.
const ADVICE: &[(&str, &str)] = &[
    ("no leader", NO_MAJORITY),
    ("leader transfer took too long", "the one before may lead on: see `mayfly mesh status`, then try again"),
    (
        "request timed out",
        "no majority answered in time, and it may have been done all the same: see `mayfly mesh status`",
    ),
    ("leader changed", "try again"),
    ("server stopped", "the node is going down: ask another one (--endpoints)"),
    ("has been compacted", "older revisions are gone: name a later one (--rev), or none for what is there now"),
    (
        "is a future revision",
        "it has not been written yet: `mayfly mesh status` and every answer with --json say how far the mesh is",
    ),
    ("lease not found", "it has expired or was revoked: `mayfly mesh lease list` has those that live"),
    ("lease already exists", "choose another id, or none"),
    ("too large lease TTL", "choose a shorter time"),
    ("request is too large", "a request has at most 1.5 MiB: split it, or keep a reference to what is large"),
    ("too many operations in txn", "split it into smaller ones"),
    ("duplicate key given in txn", "a transaction writes each key once"),
    ("too many requests", "the node is busy: try again in a moment"),
    ("key is not provided", "a key has at least one byte; --prefix with an empty one means all keys"),
    ("key not found", "--ignore-value and --ignore-lease keep what a key has: it must be there"),
    ("message length too large", "more was found than fits into one answer: ask for less at once with --limit"),
    ("in sync with leader", "let it catch up, then promote it"),
    ("can only promote a learner", "it has a vote already: see `mayfly mesh member list`"),
    ("bad leader transferee", "only a member with a vote can lead: see `mayfly mesh member list`"),
    ("member URLs are invalid", "a URL is http://HOST:PORT"),
    ("unhealthy cluster", "first bring back or remove the members that are down: see `mayfly mesh status`"),
    ("not enough started members", "first bring back or remove the members that are down: see `mayfly mesh status`"),
    ("member not found", "`mayfly mesh member list` has the ids"),
    ("Peer URLs already exists", "another member has that URL: see `mayfly mesh member list`"),
    ("not leader", "another member leads by now: try again"),
    ("user name is empty", "--user says who asks; if a user is to be made, it needs a name"),
    ("authentication failed", "the name or the password is another one"),
    ("password was given for no password user", "this user has no password: only a certificate can say who it is"),
    ("invalid auth token", "users have changed meanwhile: try again"),
    ("revision of auth store is old", "users or roles have changed meanwhile: try again"),
    ("authentication is not enabled", "`mayfly mesh auth enable` begins to look at who asks"),
    ("root user does not exist", "first `mayfly mesh user add root`, and `mayfly mesh user grant-role root root`"),
    ("root user does not have root role", "first `mayfly mesh user grant-role root root`"),
    ("user name already exists", "choose another name: `mayfly mesh user list` has those that are taken"),
    ("user name not found", "`mayfly mesh user list` has the names"),
    ("role name already exists", "choose another name: `mayfly mesh role list` has those that are taken"),
    ("role name not found", "`mayfly mesh role list` has the names"),
    ("role is not granted to the user", "`mayfly mesh user get NAME` has those that are"),
    ("permission is not granted to the role", "`mayfly mesh role get NAME` has those that are, each with its range"),
    (
        "invalid auth management",
        "user and role root stay as long as it is looked at who asks; a range ends behind its key",
    ),
    (
        "database space exceeded",
        "`mayfly mesh compact`, then `defrag` and `alarm disarm`; or delete, or raise its --quota",
    ),
    (
        "corrupt cluster",
        "its state is not what it was, or not that of the others: see `mayfly mesh check`, and let it join anew",
    ),
];

const NO_MAJORITY: &str = "no majority is within reach: see `mayfly mesh status`";

/// A question that a node did not answer as hoped.
pub fn failed(address: &str, status: &Status) -> Error {
    let said = said(status);
    match advice(status.code(), &said) {
        Some(advice) => anyhow!("{address}: {said}: {advice}"),
        None => anyhow!("{address}: {said}"),
    }
}

/// The node's own words, or what broke underway.
pub fn said(status: &Status) -> String {
    match status.source() {
        Some(source) => cause(source),
        None if status.message().is_empty() => status.code().description().into(),
        None => status.message().into(),
    }
}

/// What lies under an error: the layers above say little.
pub fn cause(error: &(dyn Cause + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Could another node answer, or this one a little later?
pub fn is_passing(status: &Status) -> bool {
    use Code::{Aborted, Cancelled, DeadlineExceeded, Internal, Unavailable, Unknown};
    // A token that is not known any more: one asks for another.
    let is_token = status.code() == Code::Unauthenticated;
    is_token || matches!(status.code(), Aborted | Cancelled | DeadlineExceeded | Internal | Unavailable | Unknown)
}

fn advice(code: Code, said: &str) -> Option<&'static str> {
    let known = ADVICE.iter().find(|(part, _)| said.contains(part)).map(|(_, advice)| *advice);
    known.or(match code {
        Code::Unavailable | Code::Unknown | Code::Cancelled => {
            Some("is the node still running? What was asked may have been done all the same")
        }
        Code::DeadlineExceeded => {
            Some("what was asked may have been done all the same; --timeout waits longer, `mayfly mesh status` shows who answers")
        }
        Code::PermissionDenied | Code::Unauthenticated => {
            Some("--user says who asks: somebody whose roles allow it, or root for users, roles and members")
        }
        Code::Unimplemented => Some("this node does not offer it: an older version, or no node of a mesh"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etcd_s_words_stay_and_advice_follows() {
        let error = failed("a:1", &Status::unavailable("etcdserver: no leader")).to_string();
        assert_eq!(error, format!("a:1: etcdserver: no leader: {NO_MAJORITY}"));
        let compacted = Status::out_of_range("etcdserver: mvcc: required revision has been compacted");
        assert!(failed("a:1", &compacted).to_string().contains("--rev"));
        let odd = Status::data_loss("something else");
        assert_eq!(failed("a:1", &odd).to_string(), "a:1: something else");
    }

    #[test]
    fn longer_texts_come_before_those_that_they_hold() {
        for (at, (part, _)) in ADVICE.iter().enumerate() {
            let hidden = ADVICE[..at].iter().find(|(before, _)| part.contains(before));
            assert!(hidden.is_none(), "{part} is never reached: {hidden:?}");
        }
        assert!(
            advice(Code::Unavailable, "etcdserver: request timed out, leader transfer took too long")
                != advice(Code::Unavailable, "etcdserver: request timed out")
        );
    }

    #[test]
    fn what_has_no_words_has_a_code() {
        assert_eq!(said(&Status::new(Code::NotFound, "")), Code::NotFound.description());
    }

    #[test]
    fn a_refusal_is_no_outage() {
        assert!(is_passing(&Status::unavailable("")));
        assert!(!is_passing(&Status::permission_denied("")));
        assert!(!is_passing(&Status::invalid_argument("")));
    }
}
