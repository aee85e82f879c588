//! Identities, trust lists and tokens, in memory and on disk.

mod common;

use common::*;
use mayfly_wire::*;
use std::path::Path;

const CHEAP: SealCost = SealCost { memory_kib: 64, passes: 1, lanes: 1 };

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn identities_survive_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    let made = Identity::load_or_create(&path, None).unwrap();
    assert_eq!(Identity::load_or_create(&path, None).unwrap().id(), made.id());
    assert_eq!(mode(&path), 0o600);
    assert!(matches!(made.create(&path), Err(WireError::Exists { .. })));
    assert_ne!(Identity::generate().unwrap().id(), made.id());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    identity(1).create(&path).unwrap();
    for open in [0o640, 0o604, 0o620, 0o601] {
        set_mode(&path, open);
        let refused = Identity::load(&path, None);
        assert!(matches!(refused, Err(WireError::TooOpen { mode, .. }) if mode == open), "{open:o}: {refused:?}");
    }
    set_mode(&path, 0o400);
    assert!(Identity::load(&path, None).is_ok());
}

#[test]
fn a_seal_opens_with_its_passphrase_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    identity(1).create_sealed(&path, b"correct horse", CHEAP).unwrap();
    assert_eq!(Identity::load(&path, Some(b"correct horse")).unwrap().id(), identity(1).id());
    assert!(matches!(Identity::load(&path, Some(b"correct house")), Err(WireError::Passphrase { .. })));
    assert!(matches!(Identity::load(&path, None), Err(WireError::Sealed { .. })));
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(8).any(|w| w == [1; 8]), "the seed shows");
    identity(1).replace_sealed(&path, b"battery", CHEAP).unwrap();
    assert!(Identity::load(&path, Some(b"battery")).is_ok());
    let greedy = SealCost { memory_kib: (1 << 20) + 1, ..CHEAP };
    assert!(matches!(identity(1).replace_sealed(&path, b"x", greedy), Err(WireError::SealCost { .. })));
}

#[test]
fn damaged_key_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    for sealed in [false, true] {
        match sealed {
            true => identity(1).replace_sealed(&path, b"pass", CHEAP).unwrap(),
            false => identity(1).replace(&path).unwrap(),
        }
        let whole = std::fs::read(&path).unwrap();
        let load = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Identity::load(&path, Some(b"pass"))
        };
        for len in 0..whole.len() {
            assert!(matches!(load(&whole[..len]), Err(WireError::Damaged { .. })), "{len} bytes, sealed {sealed}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            let refused = load(&flipped);
            assert!(
                matches!(refused, Err(WireError::Damaged { .. } | WireError::Version { .. })),
                "byte {at}: {refused:?}"
            );
        }
    }
}

/// A forger who can compute the checksum still cannot ask for the machine's whole memory, or pass another's name off.
#[test]
fn forged_key_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    let forge = |at: usize, with: &[u8]| {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at..at + with.len()].copy_from_slice(with);
        let end = bytes.len() - 16;
        let check = blake3::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&check.as_bytes()[..16]);
        std::fs::write(&path, bytes).unwrap();
        Identity::load(&path, Some(b"pass"))
    };
    identity(1).create_sealed(&path, b"pass", CHEAP).unwrap();
    assert!(matches!(forge(40, &u32::MAX.to_le_bytes()), Err(WireError::SealCost { memory_kib: u32::MAX, .. })));
    identity(1).replace_sealed(&path, b"pass", CHEAP).unwrap();
    assert!(matches!(forge(8, &identity(2).id().0), Err(WireError::Passphrase { .. })), "the name is authenticated");
    identity(1).replace(&path).unwrap();
    assert!(matches!(forge(8, &identity(2).id().0), Err(WireError::Damaged { .. })));
}

#[test]
fn signatures_hold_for_their_purpose_only() {
    let (a, b) = (identity(1), identity(2));
    let signature = a.sign("one", b"message").unwrap();
    assert_eq!(signature.len(), SIGNATURE_LEN);
    assert!(a.public_key().verify("one", b"message", &signature).is_ok());
    for (key, context, message) in [(&b, "one", "message"), (&a, "two", "message"), (&a, "one", "massage")] {
        let refused = key.public_key().verify(context, message.as_bytes(), &signature);
        assert!(matches!(refused, Err(WireError::Signature { .. })), "{context} {message}");
    }
    assert!(matches!(PublicKey::new(&[0; 31]), Err(WireError::PublicKey { len: 31 })));
}

#[test]
fn lists_grow_by_what_members_sign() {
    let (a, b, c, d) = (identity(1), identity(2), identity(3), identity(4));
    let mut list = TrustList::found(&a, 1).unwrap();
    assert_eq!(list.swarm(), a.id());
    assert_eq!(list.admit(&a, b.public_key(), 2).unwrap(), Change::Added(b.id()));
    assert_eq!(list.admit(&b, c.public_key(), 3).unwrap(), Change::Added(c.id()));
    assert_eq!(list.admit(&a, c.public_key(), 4).unwrap(), Change::Nothing);
    assert!(matches!(list.admit(&d, d.public_key(), 5), Err(WireError::NotMember { .. })));
    assert_eq!(list.revoke(&c, b.id(), 6).unwrap(), Change::Removed(b.id()));
    assert_eq!(list.admitted_by(b.id()), [c.id()]);
    assert!(matches!(list.member(b.id()), Err(WireError::Revoked { .. })));
    assert!(matches!(list.admit(&a, b.public_key(), 7), Err(WireError::Revoked { .. })), "gone is gone");
    assert!(matches!(list.revoke(&b, a.id(), 8), Err(WireError::Revoked { .. })));
    assert_eq!(list.members().map(|(id, _)| id).collect::<Vec<_>>().len(), 2);
    let again = TrustList::from_records(list.records().to_vec()).unwrap();
    assert_eq!(again.digest(), list.digest());
}

#[test]
fn forged_records_change_nothing() {
    let (a, b, c) = (identity(1), identity(2), identity(3));
    let list = trust(&[&a, &b]);
    let mut other = list.clone();
    other.admit(&b, c.public_key(), 9).unwrap();
    let good = other.records()[2].clone();
    let mut forged = Vec::new();
    let mut flipped = good.clone();
    flipped.signature[17] ^= 4;
    forged.push(flipped);
    let mut renamed = good.clone();
    if let Record::Admit { by, .. } = &mut renamed.body {
        *by = a.id();
    }
    forged.push(renamed);
    let mut later = good.clone();
    if let Record::Admit { at_ms, .. } = &mut later.body {
        *at_ms += 1;
    }
    forged.push(later);
    let mut target = list.clone();
    let merge = target.merge(&forged);
    assert_eq!((merge.changes.len(), merge.refused.len()), (0, 3));
    assert!(merge.refused.iter().all(|(_, error)| matches!(error, WireError::Signature { .. })), "{merge:?}");
    let foreign = trust(&[&b, &a]);
    let merge = target.merge(foreign.records());
    assert!(merge.refused.iter().all(|(_, error)| matches!(error, WireError::OtherSwarm { .. })));
    assert_eq!(target.digest(), list.digest());
    assert_eq!(target.merge(&[good]).changes, [Change::Added(c.id())]);
}

#[test]
fn lists_that_do_not_start_with_one_founder_are_refused() {
    let (a, b) = (identity(1), identity(2));
    let records = trust(&[&a, &b]).records().to_vec();
    let founding = |list: Result<TrustList>| matches!(list, Err(WireError::Founding { .. }));
    assert!(founding(TrustList::from_records(Vec::new())));
    assert!(founding(TrustList::from_records(records[1..].to_vec())));
    assert!(founding(TrustList::from_records(vec![records[0].clone(), records[0].clone()])));
    let mut forged = records[0].clone();
    forged.signature[0] ^= 1;
    assert!(matches!(TrustList::from_records(vec![forged]), Err(WireError::Signature { .. })));
}

#[test]
fn revoking_a_key_revokes_what_it_was_rotated_into() {
    let (a, b, thief, later) = (identity(1), identity(2), identity(3), identity(4));
    let list = trust(&[&a, &b]);
    let mut rotated = list.clone();
    let change = rotated.rotate(&b, &thief, 5).unwrap();
    assert_eq!(change, Change::Rotated { old: b.id(), new: thief.id() });
    rotated.rotate(&thief, &later, 6).unwrap();
    let mut revoked = list.clone();
    revoked.revoke(&a, b.id(), 5).unwrap();
    // Whichever was heard first, nobody of the chain is left.
    let (mut one, mut two) = (rotated.clone(), revoked.clone());
    one.merge(revoked.records());
    two.merge(rotated.records());
    for list in [&one, &two] {
        for id in [b.id(), thief.id(), later.id()] {
            assert!(list.member(id).is_err());
        }
        assert_eq!(list.members().len(), 1);
    }
    // Nobody rotates into a key that is not theirs, or that is a member.
    assert!(list.clone().rotate(&b, &a, 5).is_err());
}

#[test]
fn lists_survive_the_disk_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (identity(1), identity(2), identity(3));
    assert!(TrustStore::load(folder.path()).unwrap().is_none());
    let store = TrustStore::create(folder.path(), trust(&[&a, &b])).unwrap();
    store.admit(&b, c.public_key(), 3).unwrap();
    store.revoke(&a, b.id(), 4).unwrap();
    let again = TrustStore::load(folder.path()).unwrap().unwrap();
    assert_eq!(again.digest(), store.digest());
    assert!(matches!(TrustStore::create(folder.path(), trust(&[&a])), Err(WireError::Exists { .. })));
    let path = folder.path().join("trust.list");
    let whole = std::fs::read(&path).unwrap();
    for len in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(matches!(TrustStore::load(folder.path()), Err(WireError::Damaged { .. })), "{len} bytes");
    }
    for at in (0..whole.len()).step_by(131).chain(0..20) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert!(matches!(TrustStore::load(folder.path()), Err(WireError::Damaged { .. })), "byte {at}");
    }
}

#[test]
fn what_cannot_be_written_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (identity(1), identity(2));
    let store = TrustStore::create(folder.path(), trust(&[&a, &b])).unwrap();
    let before = store.digest();
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(matches!(store.revoke(&a, b.id(), 5), Err(WireError::Io { .. })));
    assert!(matches!(store.issue_token(&a, 1000, &[], 5), Err(WireError::Io { .. })));
    assert_eq!(store.digest(), before);
    assert!(store.member(b.id()).is_ok());
}

#[test]
fn a_spent_token_stays_spent_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (identity(1), identity(2), identity(3));
    let store = TrustStore::create(folder.path(), trust(&[&a])).unwrap();
    let token = store.issue_token(&a, 1000, &[loopback()], 10_000).unwrap();
    let text = token.to_string();
    assert!(text.starts_with("mfj1.") && text.len() < 7000, "{} characters", text.len());
    let token: JoinToken = text.parse().unwrap();
    let store = TrustStore::load(folder.path()).unwrap().unwrap();
    assert!(matches!(store.redeem(&a, &token, b.public_key(), 11_000), Err(WireError::TokenExpired { .. })));
    assert!(matches!(store.redeem(&b, &token, b.public_key(), 10_500), Err(WireError::TokenIssuer { .. })));
    assert!(store.redeem(&a, &token, b.public_key(), 10_999).is_ok());
    assert!(matches!(store.redeem(&a, &token, c.public_key(), 10_999), Err(WireError::TokenUsed)));
    let store = TrustStore::load(folder.path()).unwrap().unwrap();
    assert!(matches!(store.redeem(&a, &token, c.public_key(), 10_999), Err(WireError::TokenUsed)));
    assert!(store.member(b.id()).is_ok() && store.member(c.id()).is_err());
}

#[test]
fn no_other_text_is_a_token() {
    let store = TrustStore::in_memory(trust(&[&identity(1)]));
    let text = store.issue_token(&identity(1), 1000, &[], 0).unwrap().to_string();
    for other in
        ["", "mfj1.", "mfj2.AAAA", &text[1..], &text[..text.len() - 3], &format!("{text}AAAA"), &"x".repeat(9000)]
    {
        assert!(other.parse::<JoinToken>().is_err(), "{} characters", other.len());
    }
    assert!(format!("  {text}\n").parse::<JoinToken>().is_ok());
    // A changed claim is found by the signature.
    let mut bytes = text.into_bytes();
    bytes[50] = if bytes[50] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(bytes).unwrap().parse::<JoinToken>();
    let refused = forged.and_then(|token| store.redeem(&identity(1), &token, identity(2).public_key(), 1));
    assert!(refused.is_err());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let identity = identity(1);
    let shown = format!("{identity:?} {:?}", identity.public_key());
    assert!(shown.len() < 80 && !shown.contains("1, 1"), "{shown}");
    let token = TrustStore::in_memory(trust(&[&identity])).issue_token(&identity, 1, &[], 0).unwrap();
    assert!(format!("{token:?}").len() < 80);
}
