//! The cryptography underneath, held against NIST's known answers and against an independent implementation (the `fips203` and `fips204` crates).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::kem::{self, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_1024};
use aws_lc_rs::signature::{ML_DSA_87_SIGNING, PqdsaKeyPair};
use fips203::ml_kem_1024;
use fips203::traits::{Decaps, Encaps, KeyGen as _, SerDes as _};
use fips204::ml_dsa_87;
use fips204::traits::{KeyGen as _, SerDes as _, Signer as _, Verifier as _};
use mayfly_wire::{Identity, PublicKey};
use serde_json::Value;

fn cases(text: &str) -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    assert_eq!(cases.len(), 25);
    cases
}

fn bytes32(case: &Value, name: &str) -> [u8; 32] {
    let text = case[name].as_str().unwrap();
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

#[test]
fn ml_dsa_87_keys_are_those_of_nist() {
    for case in cases(include_str!("vectors/ml-dsa-87-keygen.json")) {
        let seed = bytes32(&case, "seed");
        let identity = Identity::from_seed(&seed).unwrap();
        assert_eq!(sha256(identity.public_key().bytes()), bytes32(&case, "pk_sha256"), "{case}");
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_87_SIGNING, &seed).unwrap();
        let secret = pair.private_key().as_raw_bytes().unwrap();
        assert_eq!(sha256(secret.as_ref()), bytes32(&case, "sk_sha256"), "{case}");
    }
}

#[test]
fn ml_dsa_87_signatures_pass_between_implementations() {
    for seed in 0..10_u8 {
        let ours = Identity::from_seed(&[seed; 32]).unwrap();
        let (their_key, their_secret) = ml_dsa_87::KG::keygen_from_seed(&[seed; 32]);
        assert_eq!(ours.public_key().bytes(), their_key.clone().into_bytes());
        let message = vec![seed; 100 * usize::from(seed)];
        let signed = [b"purpose\0".as_slice(), &message].concat();
        let mut signature: [u8; 4627] = ours.sign("purpose", &message).unwrap().try_into().unwrap();
        assert!(their_key.verify(&signed, &signature, b""));
        signature[usize::from(seed) * 400] ^= 1;
        assert!(!their_key.verify(&signed, &signature, b""));
        assert!(ours.public_key().verify("purpose", &message, &signature).is_err());
        let theirs = their_secret.try_sign_with_seed(&[9; 32], &signed, b"").unwrap();
        assert!(ours.public_key().verify("purpose", &message, &theirs).is_ok());
        // A signature for another FIPS 204 context is none of ours.
        let elsewhere = their_secret.try_sign_with_seed(&[9; 32], &signed, b"elsewhere").unwrap();
        assert!(ours.public_key().verify("purpose", &message, &elsewhere).is_err());
    }
    assert!(PublicKey::new(&[0; 2592]).unwrap().verify("x", b"y", &[0; 4627]).is_err());
}

#[test]
fn ml_kem_1024_keys_of_nist_work_in_both_implementations() {
    for case in cases(include_str!("vectors/ml-kem-1024-keygen.json")) {
        let (their_key, their_secret) = ml_kem_1024::KG::keygen_from_seed(bytes32(&case, "d"), bytes32(&case, "z"));
        let (key, secret) = (their_key.clone().into_bytes(), their_secret.clone().into_bytes());
        assert_eq!(sha256(&key), bytes32(&case, "ek_sha256"), "{case}");
        assert_eq!(sha256(&secret), bytes32(&case, "dk_sha256"), "{case}");
        let our_key = EncapsulationKey::new(&ML_KEM_1024, &key).unwrap();
        let our_secret = DecapsulationKey::new(&ML_KEM_1024, &secret).unwrap();
        they_open_what_we_close(&our_key, &their_secret);
        we_open_what_they_close(&their_key, &our_secret, &their_secret);
    }
}

fn they_open_what_we_close(ours: &EncapsulationKey<kem::AlgorithmId>, theirs: &ml_kem_1024::DecapsKey) {
    let (closed, shared) = ours.encapsulate().unwrap();
    let closed = ml_kem_1024::CipherText::try_from_bytes(closed.as_ref().try_into().unwrap()).unwrap();
    assert_eq!(theirs.try_decaps(&closed).unwrap().into_bytes(), shared.as_ref());
}

fn we_open_what_they_close(
    theirs: &ml_kem_1024::EncapsKey,
    ours: &DecapsulationKey<kem::AlgorithmId>,
    their_secret: &ml_kem_1024::DecapsKey,
) {
    let (shared, closed) = theirs.encaps_from_seed(&[7; 32]);
    let mut closed = closed.into_bytes();
    let shared = shared.into_bytes();
    assert_eq!(ours.decapsulate(Ciphertext::from(closed.as_slice())).unwrap().as_ref(), shared);
    // A changed ciphertext opens to something else, the same something in both (implicit rejection).
    closed[100] ^= 1;
    let rejected = ours.decapsulate(Ciphertext::from(closed.as_slice())).unwrap();
    assert_ne!(rejected.as_ref(), shared);
    let closed = ml_kem_1024::CipherText::try_from_bytes(closed).unwrap();
    assert_eq!(their_secret.try_decaps(&closed).unwrap().into_bytes(), rejected.as_ref());
}
