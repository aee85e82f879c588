//! Tokens stand for a password that was found to be right. Members keep the digest of a token's secret, so that whoever reads their files cannot use it.

use super::tables::Look;
use crate::module::Fault;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a secret.
const SECRET: usize = 20;
/// Of `<secret>.<index>`: hexadecimal digits, and a number.
const MAX_TEXT: usize = 2 * SECRET + 1 + 20;

/// A secret that is given to one client.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// One that nobody can guess.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; SECRET]);
        getrandom::fill(&mut *bytes)?;
        let mut digits = Zeroizing::new(String::with_capacity(2 * SECRET));
        for byte in bytes.iter() {
            digits.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        }
        Ok(Self(digits))
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }

    /// What the client is given, once an entry has made its token.
    pub(crate) fn token(&self, index: u64) -> String {
        format!("{}.{index}", *self.0)
    }
}

fn digest(secret: &str) -> [u8; 32] {
    *blake3::Hasher::new_derive_key("mayfly-mesh auth token 1").update(secret.as_bytes()).finalize().as_bytes()
}

/// A token as a client shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The index of the entry that made it.
    pub(crate) index: u64,
    digest: [u8; 32],
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({})", self.index)
    }
}

impl Shown {
    /// None for what is no token.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (secret, index) = text.split_once('.').filter(|_| text.len() <= MAX_TEXT)?;
        let is_number = !index.is_empty() && index.bytes().all(|digit| digit.is_ascii_digit());
        let index = index.parse().ok().filter(|_| is_number)?;
        Some(Self { index, digest: digest(secret) })
    }

    /// Whose it is, if it is one.
    ///
    /// # Errors
    /// The database.
    pub(crate) fn user(&self, transaction: &impl Look) -> Result<Option<String>, Fault> {
        let kept = transaction.token(self.index)?;
        // Two hashes are compared in a time that does not tell where they differ.
        let is_it = |kept: &[u8; 32]| blake3::Hash::from(*kept) == blake3::Hash::from(self.digest);
        Ok(kept.filter(|token| is_it(&token.digest)).map(|token| token.user))
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, Shown};

    #[test]
    fn what_is_given_can_be_shown() {
        let [a, b] = [Secret::draw().unwrap(), Secret::draw().unwrap()];
        assert_ne!(a.digest(), b.digest());
        let text = a.token(80);
        assert_eq!((text.len(), &text[40..]), (43, ".80"));
        let shown = Shown::read(&text).unwrap();
        assert_eq!((shown.index, shown.digest), (80, a.digest()));
        assert_eq!(format!("{shown:?}"), "Shown(80)");
    }

    #[test]
    fn what_is_no_token_is_none() {
        let long = format!("{}.1", "a".repeat(70));
        for text in ["", "a", "a.", "a.b", "a.-1", "a.+1", "a.1.2", "Bearer a", "a.99999999999999999999999", &long] {
            assert_eq!(Shown::read(text), None, "{text}");
        }
    }
}
