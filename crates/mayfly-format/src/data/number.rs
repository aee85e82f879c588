//! Decimal numbers in text.

/// A finite decimal number without white space around it: what `f64::from_str` reads, correctly rounded.
pub(super) fn number(field: &[u8]) -> Option<f64> {
    short(field).or_else(|| {
        let text = std::str::from_utf8(field).ok()?;
        text.parse().ok().filter(|value: &f64| value.is_finite())
    })
}

/// Powers of ten that are exact.
const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// Whole numbers up to here are exact.
const EXACT: u64 = 1 << 53;

/// Most numbers in tables are short: digits with a point among them. Then both the digits and the power of ten are exact,
/// and one division rounds correctly (Clinger 1990). `None` means: not that easy.
fn short(field: &[u8]) -> Option<f64> {
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    if digits.len() >= POWERS.len() {
        return None;
    }
    let (mut whole, mut point) = (0_u64, None);
    for (index, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => whole = whole * 10 + u64::from(byte - b'0'), // at most 18 digits
            b'.' if point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    let fraction = point.map_or(0, |index| digits.len() - index - 1);
    let count = digits.len() - usize::from(point.is_some());
    if count == 0 || whole > EXACT {
        return None;
    }
    let magnitude = whole as f64 / POWERS.get(fraction)?;
    Some(if digits.len() < field.len() { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_std(text: &str) -> Option<u64> {
        text.parse().ok().filter(|v: &f64| v.is_finite()).map(f64::to_bits)
    }

    proptest! {
        #[test]
        fn the_short_way_has_the_bits_of_the_long(text in "[-+]?[0-9]{0,19}\\.?[0-9]{0,19}(e-?[0-9]{1,3})?") {
            prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), by_std(&text), "{}", text);
        }

        #[test]
        fn every_printed_number_comes_back(bits: u64) {
            let value = f64::from_bits(bits);
            let back = number(value.to_string().as_bytes());
            prop_assert_eq!(back.map(f64::to_bits), value.is_finite().then_some(bits));
        }
    }

    #[test]
    fn numbers_are_finite_decimals() {
        for text in [
            "1",
            "-1.5e3",
            ".5",
            "-.5",
            "+7.",
            "-0",
            "0.1",
            "5.827000141143799",
            "9007199254740993",
            "00000000000000000001",
        ] {
            assert_eq!(number(text.as_bytes()).map(f64::to_bits), by_std(text), "{text}");
            assert!(by_std(text).is_some());
        }
        for text in [
            "",
            "-",
            ".",
            "-.",
            "1,5",
            "0x10",
            "1e999",
            "inf",
            "-Infinity",
            "nan",
            "1 2",
            "1_000",
            "true",
            "\u{661}",
            "1.2.3",
        ] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}
