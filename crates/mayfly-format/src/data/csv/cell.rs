//! One field of a CSV record: a number, missing, or something else.

use crate::data::number::number;

/// Cuts ASCII white space off both ends.
pub(super) fn trim(field: &[u8]) -> &[u8] {
    field.trim_ascii()
}

/// A number written with a decimal comma, which is not read but worth a better message.
pub(super) fn has_decimal_comma(field: &[u8]) -> bool {
    let commas = field.iter().filter(|&&byte| byte == b',').count();
    let pointed: Vec<u8> = field.iter().map(|&byte| if byte == b',' { b'.' } else { byte }).collect();
    commas == 1 && number(&pointed).is_some()
}

/// What stands for a missing value.
#[derive(Debug, Clone)]
pub(super) struct MissingTokens(Vec<Vec<u8>>);

impl MissingTokens {
    pub(super) fn new(tokens: &[String]) -> Self {
        Self(tokens.iter().map(|t| t.trim().as_bytes().to_vec()).collect())
    }

    /// Whether a trimmed field is one of them, in any case.
    pub(super) fn contain(&self, field: &[u8]) -> bool {
        self.0.iter().any(|token| token.eq_ignore_ascii_case(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_in_any_case_but_whole() {
        let tokens = MissingTokens::new(&["".into(), "NA".into(), "NaN".into()]);
        for (field, want) in [("", true), ("na", true), ("NAN", true), ("NAP", false), ("0", false)] {
            assert_eq!(tokens.contain(field.as_bytes()), want, "{field}");
        }
    }

    #[test]
    fn decimal_commas() {
        for (field, want) in [("1,5", true), ("-0,25", true), ("1,000,000", false), ("a,b", false), ("1.5", false)] {
            assert_eq!(has_decimal_comma(field.as_bytes()), want, "{field}");
        }
    }
}
