//! Certificates: signed, chained, and refused when anything about them was changed.
mod common;

use common::{dense, planned_on};
use mayfly_lifecycle::{
    Certificate, CertificateError, CertificateFile, Host, HostConfig, Lease, SignedCertificate, Task,
};
use mayfly_wire::Identity;

fn chain(identity: &Identity, lives: usize) -> Vec<Certificate> {
    let host = Host::start(HostConfig { node: identity.id(), ..HostConfig::default() }).unwrap();
    let planned = planned_on(&host);
    (0..lives).map(|_| planned.lease(&Lease::default()).unwrap().dissolve()).collect()
}

fn signed(identity: &Identity, lives: usize) -> CertificateFile {
    let all = chain(identity, lives).into_iter().map(|one| SignedCertificate::sign(one, identity).unwrap());
    CertificateFile::new(identity.public_key().clone(), all.collect())
}

#[test]
fn a_file_is_read_and_verified() {
    let identity = Identity::generate().unwrap();
    let file = signed(&identity, 4);
    file.verify().unwrap();
    let again = CertificateFile::from_bytes(&file.to_bytes()).unwrap();
    assert_eq!(again, file);
    again.verify().unwrap();
    assert_eq!(again.certificates()[3].certificate().number, 3);
    // A part of a chain is a chain.
    CertificateFile::new(identity.public_key().clone(), file.certificates()[1..3].to_vec()).verify().unwrap();
}

#[test]
fn another_node_cannot_sign_or_be_named() {
    let (identity, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let certificate = chain(&identity, 1)[0];
    assert!(matches!(SignedCertificate::sign(certificate, &other), Err(CertificateError::Node { .. })));
    let signed = SignedCertificate::sign(certificate, &identity).unwrap();
    assert!(matches!(signed.verify(other.public_key()), Err(CertificateError::Node { .. })));
}

#[test]
fn a_chain_shows_what_is_missing_or_exchanged() {
    let identity = Identity::generate().unwrap();
    let file = signed(&identity, 4);
    let with = |order: &[usize]| {
        let some = order.iter().map(|i| file.certificates()[*i].clone()).collect();
        CertificateFile::new(identity.public_key().clone(), some).verify()
    };
    assert!(matches!(with(&[0, 2, 3]), Err(CertificateError::Missing { before: 0, found: 2 })));
    assert!(matches!(with(&[0, 2, 1, 3]), Err(CertificateError::Missing { before: 0, found: 2 })));
    assert!(matches!(with(&[1, 1]), Err(CertificateError::Missing { before: 1, found: 1 })));
    // The same numbers from another start of the node.
    let other = signed(&identity, 2);
    let mixed = vec![file.certificates()[0].clone(), other.certificates()[1].clone()];
    let mixed = CertificateFile::new(identity.public_key().clone(), mixed).verify();
    assert!(matches!(mixed, Err(CertificateError::Previous { number: 1 })), "{mixed:?}");
}

/// A changed bit anywhere is refused, and so is a cut.
#[test]
fn changed_files_are_refused() {
    let identity = Identity::generate().unwrap();
    let bytes = signed(&identity, 2).to_bytes();
    let verify = |bytes: &[u8]| CertificateFile::from_bytes(bytes).and_then(|file| file.verify());
    verify(&bytes).unwrap();
    let step = if std::env::var_os("MAYFLY_HEAVY").is_some() { 1 } else { 37 };
    for at in (0..bytes.len()).step_by(step) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(verify(&changed).is_err(), "byte {at}");
    }
    let head = 21 + 2592;
    for cut in (0..bytes.len()).step_by(step).filter(|cut| *cut != head && *cut != head + (bytes.len() - head) / 2) {
        assert!(CertificateFile::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn networks_of_one_description_have_one_plan() {
    let host = Host::start(HostConfig::default()).unwrap();
    let (mut one, two) = (dense(&[4, 8, 2]), dense(&[4, 9, 2]));
    let plan = host.build(&Task::network(one.clone())).unwrap().plan();
    one.params_mut().fill(0.5);
    assert_eq!(host.build(&Task::network(one.clone())).unwrap().plan(), plan);
    assert_ne!(host.build(&Task::network(two)).unwrap().plan(), plan);
    assert_ne!(host.build(&Task::network(one).rows(2)).unwrap().plan(), plan);
    assert_eq!(host.figures().plans.0, 3);
}
