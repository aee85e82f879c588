//! Hashes, hex, base64 and the keyed hash, each in a few lines over `sha2` and `base64ct`.

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

/// SHA-256 of the bytes, in lowercase hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

/// HMAC-SHA-256 (RFC 2104).
pub(crate) fn hmac_sha256(key: &[u8; 32], message: &[&[u8]]) -> [u8; 32] {
    let (mut inner_pad, mut outer_pad) = ([0x36u8; 64], [0x5cu8; 64]);
    for (i, byte) in key.iter().enumerate() {
        inner_pad[i] ^= byte;
        outer_pad[i] ^= byte;
    }
    let mut hasher = Sha256::new();
    hasher.update(inner_pad);
    for part in message {
        hasher.update(part);
    }
    let inner: [u8; 32] = hasher.finalize().into();
    sha256_parts(&[&outer_pad, &inner])
}

/// Are they equal? Takes the same time wherever they differ.
pub(crate) fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        // RFC 4231, case 1: the key is 20 bytes of 0x0b, which HMAC pads with zeros.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let mac = hmac_sha256(&key, &[b"Hi ", b"There"]);
        assert_eq!(hex(&mac), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert!(same(&mac, &mac.clone()));
        assert!(!same(&mac, &key));
    }

    #[test]
    fn base64_is_strict() {
        assert_eq!(from_base64(&to_base64(&[1, 2, 250])), Some(vec![1, 2, 250]));
        for bad in ["AQI", "AQ==\n", "AR==", "A Q=", "-_=="] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }
}
