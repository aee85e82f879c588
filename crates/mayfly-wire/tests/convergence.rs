//! Trust lists become equal whatever order records come in, and say who stays.

mod common;

use common::*;
use mayfly_wire::*;

fn copy(list: &TrustList) -> TrustList {
    TrustList::from_bytes(&list.to_bytes().unwrap()).unwrap()
}

fn tell_each_other(a: &mut TrustList, b: &mut TrustList) {
    for _ in 0..3 {
        let (from_a, from_b) = (a.records().to_vec(), b.records().to_vec());
        a.merge(&from_b);
        b.merge(&from_a);
    }
}

/// A member lets somebody in while another shuts the member out: the lists of two nodes that hear it in different order.
#[test]
fn lists_become_equal_whatever_comes_first() {
    let (f, x, z) = (identity(1), identity(2), identity(3));
    let mut a = TrustList::found(&f, 1).unwrap();
    a.admit(&f, x.public_key(), 2).unwrap();
    let mut b = copy(&a);
    a.admit(&x, z.public_key(), 3).unwrap(); // at one node
    b.revoke(&f, x.id(), 3).unwrap(); // at another, at the same time
    tell_each_other(&mut a, &mut b);
    assert_eq!(a.digest(), b.digest());
    for list in [&a, &b] {
        assert!(matches!(list.member(z.id()), Err(WireError::NotMember { .. })), "the revoker did not know of z");
        assert!(matches!(list.member(x.id()), Err(WireError::Revoked { .. })));
    }
    // z was not shut out: somebody else may let it in.
    assert_eq!(a.admit(&f, z.public_key(), 4).unwrap(), Change::Added(z.id()));
}

/// A key is rotated while it is revoked elsewhere.
#[test]
fn lists_become_equal_after_rotation_and_revocation() {
    let (f, x, y) = (identity(1), identity(2), identity(3));
    let mut a = TrustList::found(&f, 1).unwrap();
    a.admit(&f, x.public_key(), 2).unwrap();
    let mut b = copy(&a);
    a.rotate(&x, &y, 3).unwrap();
    b.revoke(&f, x.id(), 3).unwrap();
    tell_each_other(&mut a, &mut b);
    assert_eq!(a.digest(), b.digest());
    for list in [&a, &b] {
        assert_eq!(list.gone().len(), 2);
        assert_eq!(list.members().len(), 1);
    }
}

/// Whom the revoked member let in stays if the revoker knew, or goes on demand; the founder's end is not the swarm's.
#[test]
fn whom_a_revoked_member_let_in_stays_or_goes() {
    let (f, x, y, z) = (identity(1), identity(2), identity(3), identity(4));
    let mut list = TrustList::found(&f, 1).unwrap();
    list.admit(&f, x.public_key(), 2).unwrap();
    list.admit(&x, y.public_key(), 3).unwrap();
    list.admit(&y, z.public_key(), 4).unwrap();
    let mut stay = copy(&list);
    stay.revoke(&z, f.id(), 5).unwrap();
    stay.revoke(&z, x.id(), 6).unwrap();
    assert_eq!(stay.members().map(|(id, _)| id).len(), 2);
    assert!(stay.member(y.id()).is_ok() && stay.member(z.id()).is_ok());
    let mut go = copy(&list);
    let change = go.revoke_with(&f, x.id(), Admitted::Go, 5).unwrap();
    assert_eq!(change, Change::Removed(x.id()));
    assert_eq!(go.members().len(), 1, "y and z went with x");
    // Both at once: whom every revocation keeps stays.
    tell_each_other(&mut stay, &mut go);
    assert_eq!(stay.digest(), go.digest());
    assert_eq!(stay.members().len(), 0, "f was revoked, and nobody else stands");
}

/// Two members who revoke each other are both out, everywhere.
#[test]
fn mutual_revocations_count_both() {
    let (f, x, y) = (identity(1), identity(2), identity(3));
    let mut a = trust(&[&f, &x, &y]);
    let mut b = copy(&a);
    a.revoke(&x, y.id(), 5).unwrap();
    b.revoke(&y, x.id(), 5).unwrap();
    tell_each_other(&mut a, &mut b);
    assert_eq!(a.digest(), b.digest());
    assert_eq!(a.members().map(|(id, _)| id).collect::<Vec<_>>(), [f.id()]);
}
