//! `unsafe` lives in few crates; every other one forbids it in its first lines.

use super::Finding;
use super::source::{Kind, Source};
use proc_macro2::{TokenStream, TokenTree};

pub(crate) fn check(source: &Source, allowed: &[&str]) -> Vec<Finding> {
    // Integration tests may bring an allocator that counts; clippy asks each site for its SAFETY comment.
    if allowed.contains(&source.package.as_str()) || source.kind == Kind::Test {
        return Vec::new();
    }
    let mut lines = Vec::new();
    unsafe_lines(source.tokens.clone(), &mut lines);
    let mut findings: Vec<Finding> =
        lines.into_iter().map(|line| source.finding(line, "`unsafe` outside the crates that may hold it")).collect();
    if source.is_root && !source.syntax.attrs.iter().any(forbids_unsafe) {
        findings.push(source.finding(1, "missing `#![forbid(unsafe_code)]`"));
    }
    findings
}

fn forbids_unsafe(attr: &syn::Attribute) -> bool {
    attr.path().is_ident("forbid")
        && attr.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "unsafe_code")
}

fn unsafe_lines(tokens: TokenStream, lines: &mut Vec<usize>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => unsafe_lines(group.stream(), lines),
            TokenTree::Ident(name) if name == "unsafe" => lines.push(name.span().start().line),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &str, path: &str, kind: Kind, text: &str) -> usize {
        check(&Source::parse(path, package, kind, text).unwrap(), &["mayfly-kernels"]).len()
    }

    #[test]
    fn unsafe_only_where_it_may_be() {
        let text = "fn f() { unsafe { g() } }\nunsafe impl Send for X {}";
        assert_eq!(found("mayfly-nn", "crates/x/src/a.rs", Kind::Library, text), 2);
        assert_eq!(found("mayfly-kernels", "crates/x/src/a.rs", Kind::Library, text), 0);
        assert_eq!(found("mayfly-graph", "crates/x/tests/a.rs", Kind::Test, text), 0);
    }

    #[test]
    fn roots_forbid_it() {
        assert_eq!(found("mayfly-nn", "crates/x/src/lib.rs", Kind::Library, "//! x\n"), 1);
        assert_eq!(found("mayfly-nn", "crates/x/src/lib.rs", Kind::Library, "#![deny(unsafe_code)]\n"), 1);
        assert_eq!(found("mayfly-nn", "crates/x/src/lib.rs", Kind::Library, "#![forbid(unsafe_code)]\n"), 0);
        assert_eq!(found("mayfly-kernels", "crates/x/src/lib.rs", Kind::Library, "//! x\n"), 0);
        assert_eq!(found("mayfly-nn", "crates/x/src/a.rs", Kind::Library, "//! x\n"), 0);
    }
}
