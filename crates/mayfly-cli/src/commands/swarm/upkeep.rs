//! `mayfly node --quota` and `--compact-keep`.

use crate::support::exit::Usage;
use mayfly_mesh::{Keep, UpkeepConfig};
use std::time::Duration;

const BYTES: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("", 1),
];
const SECONDS: &[(&str, u64)] = &[("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

/// # Errors
/// What is no number of bytes, or no amount of history.
pub fn config(quota: Option<&str>, keep: Option<&str>) -> Result<UpkeepConfig, Usage> {
    let mut config = UpkeepConfig::default();
    if let Some(text) = quota {
        let bytes = in_units(text, BYTES);
        let bytes =
            bytes.ok_or_else(|| Usage(format!("--quota {text}: this is no number of bytes, as 500MB or 8GiB")))?;
        config.quota_bytes = if bytes == 0 { u64::MAX } else { bytes };
    }
    if let Some(text) = keep {
        let revisions = text.parse().ok().map(Keep::Revisions);
        let kept = revisions.or_else(|| in_units(text, SECONDS).map(|s| Keep::For(Duration::from_secs(s))));
        let kept = kept.filter(|kept| !matches!(kept, Keep::Revisions(0) | Keep::For(Duration::ZERO)));
        let wrong = || Usage(format!("--compact-keep {text}: this is neither revisions nor a time, as 10000 or 1h"));
        config.keep = Some(kept.ok_or_else(wrong)?);
    }
    Ok(config)
}

/// A whole number with one of the units.
fn in_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, times) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_times_are_read() {
        let of = |quota, keep| config(quota, keep).map(|config| (config.quota_bytes, config.keep)).unwrap();
        assert_eq!(of(None, None), (2 << 30, None));
        assert_eq!(of(Some("8GiB"), Some("10000")), (8 << 30, Some(Keep::Revisions(10_000))));
        assert_eq!(of(Some("500 mb"), Some("1h")), (500_000_000, Some(Keep::For(Duration::from_secs(3_600)))));
        assert_eq!(of(Some("0"), Some("7d")), (u64::MAX, Some(Keep::For(Duration::from_secs(7 * 86_400)))));
        for wrong in ["", "x", "-1", "1.5GiB", "8 gigs", "99999999999TiB"] {
            assert!(config(Some(wrong), None).is_err(), "{wrong:?}");
        }
        for wrong in ["", "h", "0", "0s", "-5", "1w", "1h30m"] {
            assert!(config(None, Some(wrong)).is_err(), "{wrong:?}");
        }
    }
}
