//! Sizes and the slices that they promise. A product of sizes that wraps around would let a short slice pass for a long one, so none is ever computed unchecked.

/// The product of sizes.
///
/// # Panics
/// If it, or the product of some of them, exceeds `usize`: every part of it that a kernel computes afterwards is then known to fit,
/// also where another size is zero.
#[inline(always)]
#[track_caller]
pub(crate) fn product<const N: usize>(name: &str, sizes: &[usize; N]) -> usize {
    // Two sizes have no part but themselves: no need to look at zeros, which a small layer would feel.
    if let [one, other] = sizes[..] {
        return match one.checked_mul(other) {
            Some(total) => total,
            None => too_large(name, sizes),
        };
    }
    let (mut total, mut none) = (1usize, false);
    for &size in sizes {
        none |= size == 0;
        total = match total.checked_mul(size.max(1)) {
            Some(total) => total,
            None => too_large(name, sizes),
        };
    }
    if none { 0 } else { total }
}

/// Panics unless each argument of the kernel `name` has as many elements as the product of its sizes.
#[inline(always)]
#[track_caller]
pub(crate) fn check_len<const N: usize>(name: &str, lengths: &[usize], sizes: &[usize; N]) {
    let want = product(name, sizes);
    if lengths.iter().any(|&len| len != want) {
        wrong_length(name, lengths, sizes);
    }
}

/// The product of sizes, or `usize::MAX`, which no slice has: lengths that are asked for before there is a slice.
#[inline(always)]
pub(crate) fn capped(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |total: usize, &size| total.saturating_mul(size))
}

#[cold]
#[inline(never)]
#[track_caller]
fn too_large(name: &str, sizes: &[usize]) -> ! {
    // tidy: panic, because a wrong size handed to a kernel is a bug of the caller
    panic!("{name}: sizes {sizes:?} exceed the address space")
}

#[cold]
#[inline(never)]
#[track_caller]
fn wrong_length(name: &str, lengths: &[usize], sizes: &[usize]) -> ! {
    // tidy: panic, because a wrong length handed to a kernel is a bug of the caller
    panic!("{name}: lengths {lengths:?}, the sizes say {sizes:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<const N: usize>(sizes: &[usize; N]) {
        let caught = std::panic::catch_unwind(|| product("test", sizes)).expect_err("a product that wraps");
        assert!(caught.downcast_ref::<alloc::string::String>().is_some_and(|m| m.contains("address space")));
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "a panic ends the program there")]
    fn products_are_exact_or_refused() {
        assert_eq!(product("test", &[]), 1);
        assert_eq!(product("test", &[3, 0, 5]), 0);
        assert_eq!(product("test", &[usize::MAX]), usize::MAX);
        assert_eq!(capped(&[usize::MAX / 2, 2]), usize::MAX - 1);
        assert_eq!(capped(&[usize::MAX / 2, 3]), usize::MAX);
        refused(&[usize::MAX, 2]);
        refused(&[1 << (usize::BITS / 2), 1 << (usize::BITS / 2)]);
        refused(&[0, usize::MAX, 2]);
    }
}
