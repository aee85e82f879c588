//! Passwords: Argon2id, with a salt of each one's own. This takes some 20 MiB and tens of milliseconds, so not everybody's at once and not where others wait.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};

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

/// Nobody's password, with the parameters of all others.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Is it the password of this hash? Without a hash the same work is done, on nobody's: so nobody learns who is a user.
pub(crate) fn is_right(password: &str, hash: Option<&str>) -> bool {
    let known = hash.and_then(|hash| PasswordHash::new(hash).ok());
    let is_known = known.is_some();
    let compared = known.map_or_else(|| PasswordHash::new(NOBODYS), Ok);
    let is_same = compared.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
    is_same && is_known
}

#[cfg(test)]
mod tests {
    use super::{NOBODYS, PasswordHash, hash, is_right};

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

    #[test]
    fn nobodys_takes_the_work_of_others() {
        let [nobodys, others] = [NOBODYS.to_string(), hash("pw").unwrap()];
        let [nobodys, others] = [&nobodys, &others].map(|text| PasswordHash::new(text).unwrap());
        assert_eq!(
            (nobodys.algorithm, nobodys.version, nobodys.params),
            (others.algorithm, others.version, others.params)
        );
        assert_eq!(nobodys.salt.unwrap().len(), others.salt.unwrap().len());
        assert_eq!(nobodys.hash.unwrap().len(), others.hash.unwrap().len());
    }
}
