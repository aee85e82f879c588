//! Who gets in: policies, strangers, revoked keys, join tokens, rotation. Nothing of a refused node reaches the other side's application.

mod common;

use common::*;
use mayfly_wire::*;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Nothing but silence comes in for a while.
async fn assert_quiet(at: &Endpoint) {
    let heard = tokio::time::timeout(Duration::from_millis(300), at.next()).await;
    assert!(heard.is_err(), "heard {heard:?}");
}

#[tokio::test]
async fn both_policies_agree_on_keys_with_themselves() {
    let (a, b) = (identity(1), identity(2));
    let list = trust(&[&a, &b]);
    for policy in [KeyExchange::Hybrid, KeyExchange::Pure] {
        let ends = (bind_with(&a, list.clone(), config(policy)), bind_with(&b, list.clone(), config(policy)));
        let to = peer(&ends.1);
        let _serving = answer_all(Arc::new(ends.1));
        assert_eq!(soon("a request", ends.0.request(to, TOPIC, b"abc")).await.unwrap(), b"cba", "{policy:?}");
    }
    let public = Endpoint::bind(a, Arc::new(TrustStore::in_memory(list)), config(KeyExchange::Public));
    assert!(matches!(public, Err(WireError::Tls { .. })), "{public:?}");
}

#[tokio::test]
async fn policies_without_a_common_group_do_not_meet() {
    let (a, b) = (identity(1), identity(2));
    let list = trust(&[&a, &b]);
    let (a, b) = (bind_with(&a, list.clone(), config(KeyExchange::Pure)), bind(&b, list));
    let refused = soon("the handshake", a.connect(peer(&b))).await;
    assert!(matches!(refused, Err(WireError::Connect { .. })), "{refused:?}");
    assert_quiet(&b).await;
}

#[tokio::test]
async fn unknown_keys_are_refused_by_either_side() {
    let (a, b, stranger) = (identity(1), identity(2), identity(3));
    let b = bind(&b, trust(&[&a, &b]));
    // The stranger trusts b; b does not trust the stranger.
    let generous = bind(&stranger, trust(&[&stranger, b.identity()]));
    let refused = soon("the handshake", generous.request(peer(&b), TOPIC, b"let me in")).await;
    assert!(matches!(refused, Err(WireError::ClosedBy { why: CloseReason::NotMember, .. })), "{refused:?}");
    // Nor does b call one that it does not trust, whatever that one thinks.
    let refused = b.request(peer(&generous), TOPIC, b"").await;
    assert!(matches!(refused, Err(WireError::NotMember { id }) if id == stranger.id()), "{refused:?}");
    // A stranger in a member's place is found out by its key.
    let posing = Peer { id: a.id(), addr: generous.addr() };
    let refused = soon("the handshake", b.connect(posing)).await;
    assert!(matches!(refused, Err(WireError::Connect { .. } | WireError::NotMember { .. })), "{refused:?}");
    assert_quiet(&b).await;
    assert_quiet(&generous).await;
}

#[tokio::test]
async fn revocation_closes_live_links_and_keeps_them_closed() {
    let (a, b) = pair();
    let (to, back) = (peer(&b), peer(&a));
    soon("the link", a.connect(to)).await.unwrap();
    assert!(matches!(soon("up", a.next()).await, Some(Event::Up { .. })));
    assert!(matches!(soon("up", b.next()).await, Some(Event::Up { .. })));
    b.trust().revoke(b.identity(), a.id(), now_ms()).unwrap();
    let down = soon("down", b.next()).await;
    assert!(matches!(down, Some(Event::Down { why: CloseReason::Revoked, id }) if id == a.id()), "{down:?}");
    let down = soon("down", a.next()).await;
    assert!(matches!(down, Some(Event::Down { why: CloseReason::Revoked, id }) if id == b.id()), "{down:?}");
    // The session that a kept would skip the check in the handshake; the one after it stands.
    let refused = soon("coming back", a.request(to, TOPIC, b"")).await;
    assert!(matches!(refused, Err(WireError::ClosedBy { why: CloseReason::Revoked, .. })), "{refused:?}");
    let refused = b.request(back, TOPIC, b"").await;
    assert!(matches!(refused, Err(WireError::Revoked { id }) if id == a.id()), "{refused:?}");
    assert_quiet(&b).await;
}

#[tokio::test]
async fn a_token_lets_one_node_in_once() {
    let (a, newcomer, thief) = (identity(1), identity(2), identity(3));
    let issuer = bind(&a, trust(&[&a]));
    let token: JoinToken = issuer.issue_token(60_000, &[issuer.addr()]).unwrap().to_string().parse().unwrap();
    let settings = config(KeyExchange::Hybrid);
    let list = soon("joining", join(&newcomer, &token, &[], &settings)).await.unwrap();
    assert_eq!(list.digest(), issuer.trust().digest());
    let member = bind(&newcomer, list);
    soon("the link", member.connect(peer(&issuer))).await.unwrap();
    // No token is out any more: the door is shut before anything can be said.
    let late = soon("the thief", join(&thief, &token, &[issuer.addr()], &settings)).await;
    assert!(matches!(late, Err(WireError::ClosedBy { why: CloseReason::NotMember, .. })), "{late:?}");
    // While another token is out, the handshake lets strangers knock; the used token still does not open.
    let _other = issuer.issue_token(60_000, &[]).unwrap();
    let refused = soon("the thief", join(&thief, &token, &[issuer.addr()], &settings)).await;
    assert!(matches!(refused, Err(WireError::ClosedBy { why: CloseReason::JoinRefused, .. })), "{refused:?}");
    assert!(matches!(issuer.trust().member(thief.id()), Err(WireError::NotMember { .. })));
}

#[tokio::test]
async fn bad_tokens_open_nothing() {
    let (a, b, newcomer) = (identity(1), identity(2), identity(3));
    let list = trust(&[&a, &b]);
    let issuer = bind(&a, list.clone());
    let at = [issuer.addr()];
    let settings = config(KeyExchange::Hybrid);
    let _knocking_is_allowed = issuer.issue_token(60_000, &[]).unwrap();
    let expired = issuer.trust().issue_token(&a, 1, &[], now_ms() - 10_000).unwrap();
    let unlisted = TrustStore::in_memory(list.clone()).issue_token(&a, 60_000, &[], now_ms()).unwrap();
    let stolen_swarm = TrustStore::in_memory(trust(&[&b, &a])).issue_token(&a, 60_000, &[], now_ms()).unwrap();
    for token in [&expired, &unlisted, &stolen_swarm] {
        let refused = soon("joining", join(&newcomer, token, &at, &settings)).await;
        assert!(matches!(refused, Err(WireError::ClosedBy { why: CloseReason::JoinRefused, .. })), "{refused:?}");
    }
    let by_another = TrustStore::in_memory(list).issue_token(&b, 60_000, &[], now_ms()).unwrap();
    let refused = soon("joining", join(&newcomer, &by_another, &at, &settings)).await;
    assert!(matches!(refused, Err(WireError::Connect { .. } | WireError::NotMember { .. })), "{refused:?}");
    let nobody = soon("joining", join(&newcomer, &expired, &[], &settings)).await;
    assert!(matches!(nobody, Err(WireError::TokenText { .. })), "{nobody:?}");
    assert_eq!(issuer.trust().list().members().len(), 2);
    assert_quiet(&issuer).await;
}

#[tokio::test]
async fn without_a_token_out_nobody_may_knock() {
    let (a, newcomer) = (identity(1), identity(2));
    let store = trust(&[&a]);
    let token = TrustStore::in_memory(store.clone()).issue_token(&a, 60_000, &[], now_ms()).unwrap();
    let issuer = bind(&a, store);
    let refused = soon("joining", join(&newcomer, &token, &[issuer.addr()], &config(KeyExchange::Hybrid))).await;
    assert!(matches!(refused, Err(WireError::ClosedBy { why: CloseReason::NotMember, .. })), "{refused:?}");
}

/// A newcomer who may knock must not get a word through without its token.
#[tokio::test]
async fn a_knocking_stranger_can_say_nothing_but_join() {
    let (a, stranger) = (identity(1), identity(2));
    let issuer = bind(&a, trust(&[&a]));
    let _open = issuer.issue_token(60_000, &[]).unwrap();
    let generous = bind(&stranger, trust(&[&stranger, &a]));
    let refused = soon("the request", generous.request(peer(&issuer), TOPIC, b"hello")).await;
    assert!(matches!(refused, Err(WireError::ClosedBy { why: CloseReason::NotMember, .. })), "{refused:?}");
    assert_quiet(&issuer).await;
}

#[tokio::test]
async fn a_rotated_key_takes_the_place_of_the_old_one() {
    let (a, b) = pair();
    let to = peer(&b);
    soon("the link", a.connect(to)).await.unwrap();
    let new = identity(9);
    b.trust().rotate(a.identity(), &new, now_ms()).unwrap();
    until("the old key's link to be closed", || b.links().is_empty()).await;
    let refused = soon("the old key", a.request(to, TOPIC, b"")).await;
    assert!(matches!(refused, Err(WireError::ClosedBy { why: CloseReason::Revoked, .. })), "{refused:?}");
    let renewed = bind(&new, b.trust().list());
    soon("the new key", renewed.connect(to)).await.unwrap();
}

#[tokio::test]
async fn a_second_process_with_the_same_key_takes_the_link_over() {
    let (a, b) = (identity(1), identity(2));
    let list = trust(&[&a, &b]);
    let (first, second, b) = (bind(&a, list.clone()), bind(&a, list.clone()), bind(&b, list));
    soon("the first", first.connect(peer(&b))).await.unwrap();
    soon("the second", second.connect(peer(&b))).await.unwrap();
    assert!(matches!(soon("up", first.next()).await, Some(Event::Up { .. })));
    let down = soon("down", first.next()).await;
    assert!(matches!(down, Some(Event::Down { why: CloseReason::Replaced, .. })), "{down:?}");
    assert_eq!((b.links().len(), second.links().len()), (1, 1));
}
