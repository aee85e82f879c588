//! The Rust files under the rules, parsed once, each knowing which of its lines are test code.

use super::Finding;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Folders that hold packages, directly or one level down.
const PACKAGE_FOLDERS: &[&str] = &["crates", "bindings", "xtask", "bench", "fuzz"];

/// What a file is for: rules differ between library code, programs that speak to people, and tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Library,
    Program,
    Test,
}

/// One parsed file.
pub(crate) struct Source {
    /// Path below the repository root.
    pub(crate) path: String,
    /// Name of the package, from its manifest.
    pub(crate) package: String,
    pub(crate) kind: Kind,
    /// Is it the root of a crate (`lib.rs`, `main.rs`)?
    pub(crate) is_root: bool,
    pub(crate) lines: Vec<String>,
    pub(crate) syntax: syn::File,
    pub(crate) tokens: proc_macro2::TokenStream,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub(crate) fn parse(path: &str, package: &str, kind: Kind, text: &str) -> syn::Result<Self> {
        let syntax = syn::parse_file(text)?;
        let tokens = text.parse().map_err(syn::Error::from)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_root = path.contains("/src/") && matches!(name, "lib.rs" | "main.rs") && path.matches('/').count() <= 3;
        let tests = test_lines(&syntax);
        let lines = text.lines().map(String::from).collect();
        Ok(Self { path: path.into(), package: package.into(), kind, is_root, lines, syntax, tokens, tests })
    }

    /// Was it written by a program, which nobody splits? Both its folder and its first line say so.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.contains("/generated/") && self.line(1).contains("@generated")
    }

    /// Is this line (from 1) test code?
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.kind == Kind::Test || self.tests.iter().any(|range| range.contains(&line))
    }

    /// The line by its number from 1, trimmed; empty when there is none.
    pub(crate) fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|i| self.lines.get(i)).map_or("", |line| line.trim())
    }

    pub(crate) fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding::new(&self.path, line, what)
    }
}

/// Every Rust file of every package. A file that does not parse is a finding, not an end.
pub(crate) fn collect(root: &Path, findings: &mut Vec<Finding>) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for package in package_folders(root)? {
        collect_package(root, &package, &mut sources, findings)?;
    }
    Ok(sources)
}

/// The folders with a manifest that names a package.
pub(crate) fn package_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for top in PACKAGE_FOLDERS.iter().map(|name| root.join(name)).filter(|top| top.is_dir()) {
        let below = std::fs::read_dir(&top)?.filter_map(|entry| Some(entry.ok()?.path()));
        found.extend(below.chain([top.clone()]).filter(|folder| folder.join("Cargo.toml").is_file()));
    }
    found.sort();
    Ok(found)
}

fn collect_package(root: &Path, folder: &Path, all: &mut Vec<Source>, findings: &mut Vec<Finding>) -> Result<()> {
    let package = package_name(folder)?;
    let mut files = BTreeSet::new();
    for part in ["src", "tests", "benches", "examples", "fuzz_targets"] {
        walk(&folder.join(part), &mut files)?;
    }
    let program = folder.join("src/main.rs").is_file() && !folder.join("src/lib.rs").is_file();
    let mut test_modules = Vec::new();
    let first = all.len();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let path = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        match Source::parse(&path, &package, kind(folder, &file, program), &text) {
            Ok(source) => {
                test_modules.extend(test_module_paths(&source));
                all.push(source);
            }
            Err(error) => findings.push(Finding::new(&path, error.span().start().line, format!("no Rust: {error}"))),
        }
    }
    for source in &mut all[first..] {
        if test_modules
            .iter()
            .any(|path| source.path == format!("{path}.rs") || source.path.starts_with(&format!("{path}/")))
        {
            source.kind = Kind::Test;
        }
    }
    Ok(())
}

fn package_name(folder: &Path) -> Result<String> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    let name = manifest.get("package").and_then(|p| p.get("name")).and_then(toml::Value::as_str);
    Ok(name.unwrap_or_default().to_string())
}

fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.insert(path);
        }
    }
    Ok(())
}

fn kind(folder: &Path, file: &Path, program: bool) -> Kind {
    let below = file.strip_prefix(folder).unwrap_or(file);
    let top = below.components().next().and_then(|c| c.as_os_str().to_str()).unwrap_or_default();
    let binary = program || below.starts_with("src/bin") || below == Path::new("src/main.rs");
    match top {
        "tests" | "benches" | "fuzz_targets" => Kind::Test,
        "examples" => Kind::Program,
        _ if binary => Kind::Program,
        _ => Kind::Library,
    }
}

/// `#[cfg(test)] mod name;` puts a whole file, or folder, into the tests: their paths, without `.rs`.
fn test_module_paths(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let base = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_string(),
        _ => source.path.trim_end_matches(".rs").to_string(),
    };
    let outside = source.syntax.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_test_only(&module.attrs) => Some(&module.ident),
        _ => None,
    });
    outside.map(|name| format!("{base}/{name}")).collect()
}

fn test_lines(syntax: &syn::File) -> Vec<RangeInclusive<usize>> {
    #[derive(Default)]
    struct Tests(Vec<RangeInclusive<usize>>);
    impl<'ast> Visit<'ast> for Tests {
        fn visit_item(&mut self, item: &'ast syn::Item) {
            match item_attrs(item) {
                Some(attrs) if is_test_only(attrs) => self.0.push(lines_of(item)),
                _ => visit::visit_item(self, item),
            }
        }
        fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
            if is_test_only(&function.attrs) {
                self.0.push(lines_of(function));
            }
        }
    }
    let mut tests = Tests::default();
    tests.visit_file(syntax);
    tests.0
}

/// First to last line of a node.
pub(crate) fn lines_of(node: &impl Spanned) -> RangeInclusive<usize> {
    let span = node.span();
    span.start().line..=span.end().line
}

fn item_attrs(item: &syn::Item) -> Option<&[syn::Attribute]> {
    match item {
        syn::Item::Fn(i) => Some(&i.attrs),
        syn::Item::Mod(i) => Some(&i.attrs),
        syn::Item::Impl(i) => Some(&i.attrs),
        syn::Item::Struct(i) => Some(&i.attrs),
        syn::Item::Macro(i) => Some(&i.attrs),
        syn::Item::Static(i) => Some(&i.attrs),
        _ => None,
    }
}

/// `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_test_only(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        let condition = attr.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        let starts = |prefix: &str| condition.replace(' ', "").starts_with(prefix);
        attr.path().is_ident("test") || (attr.path().is_ident("cfg") && (condition == "test" || starts("all(test,")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, text: &str) -> Source {
        Source::parse(path, "mayfly-x", Kind::Library, text).unwrap()
    }

    #[test]
    fn test_lines_are_known() {
        let source = parse(
            "crates/x/src/a.rs",
            "fn code() {}\n#[cfg(test)]\nmod tests {\n  fn helper() {}\n}\n#[test]\nfn t() {\n}\n#[cfg(not(test))]\nfn more() {}\n#[cfg(all(test, unix))]\nfn u() {}\n",
        );
        let tests: Vec<usize> = (1..=12).filter(|&line| source.is_test(line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 6, 7, 8, 11, 12]);
    }

    #[test]
    fn out_of_line_test_modules_are_followed() {
        let text = "#[cfg(test)] mod tests; mod code;";
        assert_eq!(test_module_paths(&parse("crates/x/src/lib.rs", text)), ["crates/x/src/tests"]);
        assert_eq!(test_module_paths(&parse("crates/x/src/dot.rs", text)), ["crates/x/src/dot/tests"]);
        assert_eq!(test_module_paths(&parse("crates/x/src/dot/mod.rs", text)), ["crates/x/src/dot/tests"]);
    }

    #[test]
    fn kinds() {
        let of = |file: &str, program| kind(Path::new("/r/crates/x"), &Path::new("/r/crates/x").join(file), program);
        assert_eq!(of("src/a.rs", false), Kind::Library);
        assert_eq!(of("src/a.rs", true), Kind::Program);
        assert_eq!(of("src/main.rs", false), Kind::Program);
        assert_eq!(of("tests/a.rs", false), Kind::Test);
        assert_eq!(of("examples/a.rs", false), Kind::Program);
    }

    #[test]
    fn roots() {
        assert!(parse("crates/x/src/lib.rs", "").is_root);
        assert!(parse("xtask/src/main.rs", "").is_root);
        assert!(!parse("crates/x/src/deep/lib.rs", "").is_root);
        assert!(!parse("crates/x/src/a.rs", "").is_root);
    }
}
