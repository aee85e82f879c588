//! Numbers for people.

/// A number with four significant digits, whatever its size: `0.3333`, `12.50`, `1.8e-29`.
///
/// ```
/// use mayfly_format::figure;
/// assert_eq!([0.0, 0.25, 12.5, 98765.4, 1.8e-29, -2.5e9].map(figure), ["0", "0.2500", "12.50", "98765", "1.800e-29", "-2.500e9"]);
/// ```
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let before = size.log10().floor() as i32 + 1; // digits before the point, none or fewer below 1
    let decimals = usize::try_from(4 - before).unwrap_or(0);
    format!("{value:.decimals$}")
}
