//! Passwords: Argon2id, with a salt of each one's own. This takes some 20 MiB and tens of milliseconds, so not everybody's at once and not where others wait.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, Params};

/// Bytes of a salt.
const SALT: usize = 16;

/// What is kept of a password: a PHC string.
///
/// # Errors
/// Why it cannot be hashed.
pub(crate) fn hash(password: &str) -> Result<String, String> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|e| format!("the system gives no random numbers: {e}"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|e| e.to_string())?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|e| e.to_string())?;
    Ok(hash.to_string())
}

/// Is it the password of this hash? Without a hash it takes the same time: nobody learns so who is a user.
pub(crate) fn is_right(password: &str, hash: Option<&str>) -> bool {
    match hash.and_then(|hash| PasswordHash::new(hash).ok()) {
        Some(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        None => {
            let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
            let done = Argon2::default().hash_password_into(password.as_bytes(), &[0; SALT], &mut out);
            std::hint::black_box((done.is_ok(), out));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{hash, is_right};
    use std::time::Instant;

    #[test]
    fn the_right_one_is_right() {
        let kept = hash("pw").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("pw").unwrap(), "salts differ");
        assert!(is_right("pw", Some(&kept)));
        for (wrong, hash) in [("pW", Some(&kept[..])), ("", Some(&kept)), ("pw", None), ("pw", Some("no hash"))] {
            assert!(!is_right(wrong, hash));
        }
        assert!(is_right("", Some(&hash("").unwrap())));
    }

    /// The shortest of some, since others use the processor as well. To leave the work out would be a thousand times faster.
    #[test]
    fn unknown_users_take_as_long_as_wrong_passwords() {
        let kept = hash("pw").unwrap();
        let time = |hash: Option<&str>| {
            let start = Instant::now();
            assert!(!is_right("other", hash));
            start.elapsed()
        };
        let (wrong, unknown) = (0..9).map(|_| (time(Some(&kept)), time(None))).unzip::<_, _, Vec<_>, Vec<_>>();
        let (wrong, unknown) = (wrong.iter().min().unwrap(), unknown.iter().min().unwrap());
        assert!(*unknown < *wrong * 4 && *wrong < *unknown * 4, "{wrong:?} {unknown:?}");
    }
}
