//! Joining beyond the everyday: reasons for refusals, long lists, addresses of another family.

mod common;

use common::*;
use mayfly_wire::*;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn many(number: u16) -> Identity {
    let mut seed = [77; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    Identity::from_seed(&seed).unwrap()
}

#[tokio::test]
async fn a_refusal_carries_its_reason() {
    let (a, newcomer) = (identity(1), identity(2));
    let issuer = bind(&a, trust(&[&a, &identity(3)]));
    issuer.trust().revoke(&a, identity(3).id(), 5).unwrap();
    let at = [issuer.addr()];
    let settings = config(KeyExchange::Hybrid);
    let used = issuer.issue_token(60_000, &at).unwrap();
    issuer.trust().redeem(&a, &used, identity(4).public_key(), now_ms()).unwrap();
    let _open = issuer.issue_token(60_000, &[]).unwrap();
    let expired = issuer.trust().issue_token(&a, 1, &at, now_ms() - 10_000).unwrap();
    let forgotten = TrustStore::in_memory(issuer.trust().list()).issue_token(&a, 60_000, &at, now_ms()).unwrap();
    for (token, reason) in [(&used, "used before"), (&expired, "expired"), (&forgotten, "in no book")] {
        let refused = soon("joining", join(&newcomer, token, &[], &settings)).await.unwrap_err();
        assert!(matches!(refused, WireError::ClosedBy { why: CloseReason::JoinRefused, .. }), "{refused:?}");
        assert!(refused.to_string().contains(reason), "{reason}: {refused}");
    }
    // A key that was revoked gets its reason, and the token stays good.
    let open = issuer.issue_token(60_000, &at).unwrap();
    let refused = soon("joining", join(&identity(3), &open, &[], &settings)).await.unwrap_err();
    assert!(matches!(&refused, WireError::ClosedBy { why: CloseReason::Revoked, .. }), "{refused:?}");
    assert!(soon("joining", join(&newcomer, &open, &[], &settings)).await.is_ok());
}

/// Far more than a frame holds, in both directions of time: the newcomer gets all of it, and its own record last.
#[tokio::test]
async fn a_list_longer_than_a_payload_is_handed_over() {
    let a = identity(1);
    let mut list = TrustList::found(&a, 1).unwrap();
    for number in 0..700 {
        list.admit(&a, many(number).public_key(), 2).unwrap();
    }
    assert!(list.to_bytes().unwrap().len() > Limits::default().payload);
    let issuer = bind(&a, list);
    let token = issuer.issue_token(60_000, &[issuer.addr()]).unwrap();
    let got = soon("joining", join(&identity(2), &token, &[], &config(KeyExchange::Hybrid))).await.unwrap();
    assert_eq!(got.members().len(), 702);
    assert_eq!(got.digest(), issuer.trust().digest());
}

#[tokio::test]
async fn addresses_of_another_family_are_told_before_the_token_is_spent() {
    let a = identity(1);
    let mut settings = config(KeyExchange::Hybrid);
    settings.listen = "[::1]:0".parse().unwrap();
    let Ok(issuer) =
        Endpoint::bind(a.clone(), std::sync::Arc::new(TrustStore::in_memory(trust(&[&a]))), settings.clone())
    else {
        return; // this machine has no IPv6
    };
    let token = issuer.issue_token(60_000, &[issuer.addr()]).unwrap();
    let four = config(KeyExchange::Hybrid);
    let refused = soon("joining", join(&identity(2), &token, &[], &four)).await.unwrap_err();
    assert!(refused.to_string().contains("[::]:PORT"), "{refused}");
    assert!(soon("joining", join(&identity(2), &token, &[], &settings)).await.is_ok(), "the token is still good");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr: SocketAddr = taken.local_addr().unwrap();
    let refused = Listener::bind(addr).unwrap_err();
    assert!(matches!(refused, WireError::Listen { addr: named, .. } if named == addr), "{refused:?}");
    assert!(refused.to_string().contains("cannot listen on"), "{refused}");
}

#[test]
fn a_passphrase_for_a_plain_key_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    identity(1).create(&path).unwrap();
    assert!(matches!(Identity::load(&path, Some(b"words")), Err(WireError::NotSealed { .. })));
    assert!(Identity::load(&path, None).is_ok());
}
