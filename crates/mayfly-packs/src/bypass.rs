//! When the native reference is used although the kernel works. Nothing is bypassed unless a caller asks for it.

/// The rule by which a call goes to the native reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum BypassRule {
    /// Always the kernel.
    #[default]
    Never,
    /// The reference when the overhead of a call passes this share of the kernel's time; attention, and matrix products
    /// of more than 1000 x 1000, always.
    Ratio {
        /// Overhead over kernel time, in percent.
        percent: f64,
        /// Overhead of a call, in nanoseconds, as `mayfly pack bench` prints it.
        overhead_ns: f64,
    },
}

/// Products above this size on both sides stay native.
const PRODUCT_SIDE: usize = 1000;

impl BypassRule {
    /// `kernel_ns`: the kernel's usual time; `None` before it is known. `largest`: the two largest dimensions of the product, if the kernel is one.
    pub(crate) fn bypasses(self, category: &str, kernel_ns: Option<f64>, largest: Option<(usize, usize)>) -> bool {
        let Self::Ratio { percent, overhead_ns } = self else { return false };
        let product = largest.is_some_and(|(a, b)| a > PRODUCT_SIDE && b > PRODUCT_SIDE);
        let dear = kernel_ns.is_some_and(|ns| overhead_ns * 100.0 > percent * ns);
        category == "attention" || product || dear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        let rule = BypassRule::Ratio { percent: 10.0, overhead_ns: 1000.0 };
        assert!(rule.bypasses("custom", Some(9_999.0), None));
        assert!(!rule.bypasses("custom", Some(10_000.0), None));
        assert!(!rule.bypasses("custom", None, None));
        assert!(rule.bypasses("attention", None, None));
        assert!(rule.bypasses("adapter", None, Some((1001, 1001))));
        assert!(!rule.bypasses("adapter", None, Some((4096, 16))));
        assert!(!BypassRule::Never.bypasses("attention", Some(1.0), Some((4096, 4096))));
    }
}
