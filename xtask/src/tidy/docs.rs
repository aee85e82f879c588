//! Every crate opens with what it is. (Documentation of each public item is rustc's own `missing_docs`.)

use super::Finding;
use super::source::Source;

/// Fewer words than this say nothing.
const LEAST_WORDS: usize = 4;

pub(crate) fn check(source: &Source) -> Option<Finding> {
    let words =
        source.syntax.attrs.iter().filter_map(doc_text).map(|text| text.split_whitespace().count()).sum::<usize>();
    (source.is_root && words < LEAST_WORDS)
        .then(|| source.finding(1, "no crate-level docs: open with `//!` and what this crate is"))
}

fn doc_text(attr: &syn::Attribute) -> Option<String> {
    let value = attr.meta.require_name_value().ok().filter(|meta| meta.path.is_ident("doc"))?;
    match &value.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Kind;
    use super::*;

    fn found(path: &str, text: &str) -> bool {
        check(&Source::parse(path, "mayfly-x", Kind::Library, text).unwrap()).is_some()
    }

    #[test]
    fn roots_need_docs() {
        assert!(found("crates/x/src/lib.rs", "fn f() {}"));
        assert!(found("crates/x/src/main.rs", "//! x\nfn main() {}"));
        assert!(found("crates/x/src/lib.rs", "// SIMD kernels for small networks\n"));
        assert!(!found("crates/x/src/lib.rs", "//! SIMD kernels for small networks.\n"));
        assert!(!found("crates/x/src/a.rs", "fn f() {}"));
    }
}
