//! Sizes of functions and files: hard limits, and the figures to aim at.

use super::Finding;
use super::config::{AIMS, LONG_BY_COMMENT, LongFunction, MAX_FILE_LINES, MAX_FUNCTION_LINES};
use super::source::{Kind, Source};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A function, from the line of its `fn` to its closing brace.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
    /// Line of its first attribute or doc comment.
    first: usize,
}

pub(crate) fn check(source: &Source, allowed: &[LongFunction]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.is_generated() {
        return findings;
    }
    let count = source.lines.len();
    if count > MAX_FILE_LINES {
        findings.push(source.finding(1, format!("{count} lines; the limit is {MAX_FILE_LINES}: split the file")));
    }
    let long = functions(source).into_iter().filter(|f| f.lines > MAX_FUNCTION_LINES);
    for function in long.filter(|f| !is_allowed(source, f, allowed)) {
        let Function { name, line, lines, .. } = function;
        findings.push(source.finding(line, format!("`{name}` has {lines} lines; the limit is {MAX_FUNCTION_LINES}")));
    }
    findings
}

/// Exceptions in the table that no long function needs any more.
pub(crate) fn stale_exceptions(sources: &[Source], allowed: &[LongFunction]) -> Vec<Finding> {
    let needed = |exception: &LongFunction| {
        let in_file = sources.iter().filter(|source| source.path == exception.path).flat_map(functions);
        in_file.into_iter().any(|f| f.name == exception.name && f.lines > MAX_FUNCTION_LINES)
    };
    let stale = allowed.iter().filter(|exception| !needed(exception));
    stale.map(|e| Finding::new(e.path, 1, format!("the exception for `{}` is not needed: remove it", e.name))).collect()
}

fn is_allowed(source: &Source, function: &Function, allowed: &[LongFunction]) -> bool {
    let listed = allowed.iter().any(|e| e.path == source.path && e.name == function.name);
    listed || (source.package == LONG_BY_COMMENT && argues_its_length(source, function))
}

/// `// tidy: long, because …` among the comments and attributes above the function.
fn argues_its_length(source: &Source, function: &Function) -> bool {
    let comments = (1..function.first).rev().take_while(|&n| source.line(n).starts_with("//"));
    let mut above = comments.chain(function.first..function.line);
    above.any(|n| source.line(n).strip_prefix("// tidy: long, because ").is_some_and(|why| why.len() > 3))
}

pub(crate) fn functions(source: &Source) -> Vec<Function> {
    #[derive(Default)]
    struct Functions(Vec<Function>);
    impl Functions {
        fn add(&mut self, sig: &syn::Signature, node: &impl Spanned) {
            let (line, end) = (sig.span().start().line, node.span().end().line);
            let first = node.span().start().line.min(line);
            self.0.push(Function { name: sig.ident.to_string(), line, lines: end - line + 1, first });
        }
    }
    impl<'ast> Visit<'ast> for Functions {
        fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
            self.add(&f.sig, f);
            visit::visit_item_fn(self, f);
        }
        fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
            self.add(&f.sig, f);
            visit::visit_impl_item_fn(self, f);
        }
        fn visit_trait_item_fn(&mut self, f: &'ast syn::TraitItemFn) {
            if f.default.is_some() {
                self.add(&f.sig, f);
            }
            visit::visit_trait_item_fn(self, f);
        }
    }
    let mut found = Functions::default();
    found.visit_file(&source.syntax);
    found.0
}

/// One line of figures over code outside tests.
pub(crate) fn figures(sources: &[Source]) -> String {
    let code = || sources.iter().filter(|source| source.kind != Kind::Test && !source.is_generated());
    let mut function_lines: Vec<usize> = code()
        .flat_map(|source| functions(source).into_iter().filter(|f| !source.is_test(f.line)))
        .map(|f| f.lines)
        .collect();
    let mut file_lines: Vec<usize> = code().map(|source| source.lines.len()).collect();
    let (median, p90, file) = (rank(&mut function_lines, 50), rank(&mut function_lines, 90), rank(&mut file_lines, 50));
    let file_p90 = rank(&mut file_lines, 90);
    format!(
        "sizes outside tests: {} functions, median {median} lines (aim {}), 90th percentile {p90} (aim {}); \
         {} files, median {file} (aim {}), 90th percentile {file_p90}",
        function_lines.len(),
        AIMS.0,
        AIMS.1,
        file_lines.len(),
        AIMS.2
    )
}

/// The value at a percentile (nearest rank); 0 of nothing.
fn rank(values: &mut [usize], percentile: usize) -> usize {
    values.sort_unstable();
    let at = (values.len() * percentile).div_ceil(100);
    values.get(at.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(package: &str, text: &str) -> Source {
        Source::parse("crates/x/src/a.rs", package, Kind::Library, text).unwrap()
    }

    fn long(above: &str, lines: usize) -> String {
        format!("{above}\nfn long() {{\n{}}}\n", "    let _ = 1;\n".repeat(lines - 2))
    }

    #[test]
    fn seventy_lines_pass_and_seventy_one_do_not() {
        assert!(check(&source("mayfly-nn", &long("", 70)), &[]).is_empty());
        let found = check(&source("mayfly-nn", &long("", 71)), &[]);
        assert_eq!(found, [Finding::new("crates/x/src/a.rs", 2, "`long` has 71 lines; the limit is 70")]);
    }

    #[test]
    fn what_a_program_wrote_is_not_split() {
        let text = long("// This file is @generated by prost-build.", 71);
        let at = |path: &str| Source::parse(path, "mayfly-mesh", Kind::Library, &text).unwrap();
        assert!(check(&at("crates/x/src/generated/a.rs"), &[]).is_empty());
        assert_eq!(check(&at("crates/x/src/a.rs"), &[]).len(), 1);
    }

    #[test]
    fn methods_and_trait_defaults_count() {
        let body = "let _ = 1;\n".repeat(80);
        let text = format!("struct S; impl S {{ fn a() {{\n{body}}} }} trait T {{ fn b() {{\n{body}}} fn c(); }}");
        let names: Vec<String> = check(&source("mayfly-nn", &text), &[]).into_iter().map(|f| f.what).collect();
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn only_kernels_argue_by_comment_and_only_with_a_reason() {
        let argued = long("// tidy: long, because the unrolled rows share one epilogue\n#[inline]", 90);
        assert!(check(&source("mayfly-kernels", &argued), &[]).is_empty());
        assert_eq!(check(&source("mayfly-nn", &argued), &[]).len(), 1);
        assert_eq!(check(&source("mayfly-kernels", &long("// tidy: long, because so", 90)), &[]).len(), 1);
        assert_eq!(check(&source("mayfly-kernels", &long("// long", 90)), &[]).len(), 1);
    }

    #[test]
    fn listed_functions_pass_until_they_are_short() {
        let listed = [LongFunction { path: "crates/x/src/a.rs", name: "long" }];
        let sources = [source("mayfly-nn", &long("", 71))];
        assert!(check(&sources[0], &listed).is_empty());
        assert!(stale_exceptions(&sources, &listed).is_empty());
        assert_eq!(stale_exceptions(&[source("mayfly-nn", &long("", 70))], &listed).len(), 1);
    }

    #[test]
    fn files_have_a_limit() {
        assert!(check(&source("mayfly-nn", &"//\n".repeat(1000)), &[]).is_empty());
        assert_eq!(check(&source("mayfly-nn", &"//\n".repeat(1001)), &[]).len(), 1);
    }

    #[test]
    fn ranks_are_nearest_ranks() {
        assert_eq!(rank(&mut [5, 1, 3], 50), 3);
        assert_eq!(rank(&mut [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 90), 9);
        assert_eq!(rank(&mut [], 50), 0);
    }

    #[test]
    fn figures_leave_tests_out() {
        let text = format!("fn a() {{\n}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", long("", 60));
        assert!(figures(&[source("mayfly-nn", &text)]).contains("1 functions, median 2 lines"));
    }
}
