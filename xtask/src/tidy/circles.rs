//! Files of one crate that import each other, directly or through more: such files can only be read, and changed, together.
//!
//! What a file takes from the modules above it or below it does not count: a `mod.rs` that hands on what its children have is how
//! modules are made. Names that are handed on are followed to the file that has them.

use super::Finding;
use super::source::{Kind, Source};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{ItemUse, UseTree};

/// Files that may stay in a circle, and why.
pub(crate) struct Circle {
    pub(crate) files: &'static [&'static str],
    /// Why they are not parted.
    pub(crate) because: &'static str,
}

/// A module's path below the crate's root.
type Path = Vec<String>;

/// The modules of one crate.
struct Crate<'a> {
    files: BTreeMap<Path, &'a Source>,
    /// Names that a module hands on: where each comes from.
    handed_on: BTreeMap<(Path, String), Path>,
}

pub(crate) fn check(sources: &[Source], allowed: &[Circle]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.kind != Kind::Test) {
        if let Some((root, _)) = source.path.split_once("/src/") {
            crates.entry(root).or_default().push(source);
        }
    }
    let circles: Vec<Vec<&Source>> = crates.values().flat_map(|files| Crate::new(files).circles()).collect();
    let is_allowed = |circle: &Vec<&Source>| {
        allowed
            .iter()
            .any(|one| !one.because.is_empty() && circle.iter().all(|source| one.files.contains(&source.path.as_str())))
    };
    let finding = |circle: &Vec<&Source>| {
        let names: Vec<&str> = circle.iter().map(|source| source.path.rsplit('/').next().unwrap_or_default()).collect();
        circle[0].finding(1, format!("{} import each other: what they share wants a file of its own", names.join(", ")))
    };
    circles.iter().filter(|circle| !is_allowed(circle)).map(finding).collect()
}

impl<'a> Crate<'a> {
    fn new(sources: &[&'a Source]) -> Self {
        let files: BTreeMap<Path, &Source> = sources.iter().map(|source| (module_of(&source.path), *source)).collect();
        let mut all = Crate { files, handed_on: BTreeMap::new() };
        for (module, source) in all.files.clone() {
            for (path, name) in
                imports(source).into_iter().filter_map(|import| Some((import.path, import.handed_on_as?)))
            {
                if let Some(path) = all.absolute(&module, &path) {
                    all.handed_on.insert((module.clone(), name), path);
                }
            }
        }
        all
    }

    /// A path as written in a module, from the crate's root. None for other crates.
    fn absolute(&self, module: &Path, written: &[String]) -> Option<Path> {
        let (mut from, mut rest) = (module.clone(), written);
        match rest.first()?.as_str() {
            "crate" => (from, rest) = (Vec::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    from.pop()?;
                    rest = &rest[1..];
                }
            }
            child => {
                let below = [&from[..], &[child.to_owned()]].concat();
                self.files.contains_key(&below).then_some(())?;
            }
        }
        from.extend_from_slice(rest);
        Some(from)
    }

    /// The file that has what a path names.
    fn file_of(&self, path: &Path, hops: usize) -> Option<&Path> {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, _) = self.files.get_key_value(&path[..length])?;
        let next = path.get(length).and_then(|name| self.handed_on.get(&(module.clone(), name.clone())));
        match next {
            Some(origin) if hops > 0 => {
                let whole = [&origin[..], &path[length + 1..]].concat();
                self.file_of(&whole, hops - 1)
            }
            _ => Some(module),
        }
    }

    /// What each file imports, those above and below it left out.
    fn edges(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let targets = |module: &Path, source: &Source| {
            let found = imports(source).into_iter().filter_map(|import| {
                let to = self.file_of(&self.absolute(module, &import.path)?, 8)?;
                (!to.starts_with(module) && !module.starts_with(to)).then_some(to)
            });
            found.collect()
        };
        self.files.iter().map(|(module, source)| (module, targets(module, source))).collect()
    }

    /// Files that reach each other.
    fn circles(&self) -> Vec<Vec<&'a Source>> {
        let edges = self.edges();
        let reach: BTreeMap<&Path, BTreeSet<&Path>> = edges.keys().map(|from| (*from, reached(&edges, from))).collect();
        let mut circles = BTreeSet::new();
        for (from, all) in &reach {
            let circle: Vec<&Path> = all.iter().copied().filter(|to| reach[to].contains(from)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().map(|circle| circle.into_iter().map(|module| self.files[module]).collect()).collect()
    }
}

/// Everything that can be got to from a file.
fn reached<'p>(edges: &BTreeMap<&'p Path, BTreeSet<&'p Path>>, from: &'p Path) -> BTreeSet<&'p Path> {
    let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(at) = left.pop() {
        left.extend(edges.get(at).into_iter().flatten().filter(|to| seen.insert(**to)));
    }
    seen
}

/// `crates/x/src/a/mod.rs` and `crates/x/src/a.rs` are `a`.
fn module_of(path: &str) -> Path {
    let below = path.split_once("/src/").map_or(path, |(_, below)| below).trim_end_matches(".rs");
    let mut parts: Path = below.split('/').map(String::from).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// A path that a file names.
struct Import {
    path: Path,
    /// For `pub use`: the name that others find it under.
    handed_on_as: Option<String>,
}

fn imports(source: &Source) -> Vec<Import> {
    struct Finder<'s> {
        source: &'s Source,
        found: Vec<Import>,
    }
    impl<'ast> Visit<'ast> for Finder<'_> {
        fn visit_item_use(&mut self, item: &'ast ItemUse) {
            if !self.source.is_test(item.use_token.span.start().line) {
                let is_handed_on = !matches!(item.vis, syn::Visibility::Inherited);
                flatten(&item.tree, Vec::new(), is_handed_on, &mut self.found);
            }
        }
        fn visit_path(&mut self, path: &'ast syn::Path) {
            let words: Path = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let line = path.segments.first().map_or(0, |segment| segment.ident.span().start().line);
            if matches!(words[0].as_str(), "crate" | "super") && !self.source.is_test(line) {
                self.found.push(Import { path: words, handed_on_as: None });
            }
            visit::visit_path(self, path);
        }
    }
    let mut finder = Finder { source, found: Vec::new() };
    finder.visit_file(&source.syntax);
    finder.found
}

/// Every name of a `use` by its whole path.
fn flatten(tree: &UseTree, mut path: Path, is_handed_on: bool, found: &mut Vec<Import>) {
    let mut leaf = |path: Path, name: String| {
        found.push(Import { path, handed_on_as: is_handed_on.then_some(name) });
    };
    match tree {
        UseTree::Path(one) => {
            path.push(one.ident.to_string());
            flatten(&one.tree, path, is_handed_on, found);
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, path.clone(), is_handed_on, found)),
        UseTree::Glob(_) => leaf(path, "*".into()),
        UseTree::Name(one) if one.ident == "self" => {
            let name = path.last().cloned().unwrap_or_default();
            leaf(path, name);
        }
        UseTree::Name(one) => {
            path.push(one.ident.to_string());
            leaf(path, one.ident.to_string());
        }
        UseTree::Rename(one) => {
            path.push(one.ident.to_string());
            leaf(path, one.rename.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let parse = |(path, text): &(&str, &str)| {
            Source::parse(&format!("crates/x/src/{path}"), "mayfly-x", Kind::Library, text).unwrap()
        };
        check(&files.iter().map(parse).collect::<Vec<_>>(), &[]).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn circles_are_found() {
        let two =
            found(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "use super::a::{A, C as D};")]);
        assert!(two.len() == 1 && two[0].starts_with("a.rs, b.rs import"), "{two:?}");
        let three = [
            ("lib.rs", ""),
            ("a.rs", "use crate::b;"),
            ("b.rs", "fn f() { crate::c::g() }"),
            ("c.rs", "use crate::a::X;"),
        ];
        assert_eq!(found(&three).len(), 1);
    }

    #[test]
    fn names_that_are_handed_on_are_followed() {
        let files =
            [("lib.rs", "pub use a::A; pub(crate) use b::B;"), ("a.rs", "use crate::B;"), ("b.rs", "use super::A;")];
        assert_eq!(found(&files).len(), 1);
        let files = [
            ("lib.rs", "pub use m::B;"),
            ("m/mod.rs", "pub use b::B;"),
            ("m/b.rs", "use crate::c;"),
            ("c.rs", "use crate::B;"),
        ];
        assert_eq!(found(&files).len(), 1);
    }

    #[test]
    fn one_way_and_family_and_tests_are_none() {
        assert!(
            found(&[("lib.rs", ""), ("a.rs", "use crate::b::B; use std::b;"), ("b.rs", "use serde::a;")]).is_empty()
        );
        assert!(
            found(&[("lib.rs", ""), ("a/mod.rs", "pub use b::B; fn f() {}"), ("a/b.rs", "use super::f;")]).is_empty()
        );
        let test = "#[cfg(test)] mod tests { use crate::a::A; }";
        assert!(found(&[("lib.rs", ""), ("a.rs", "use crate::b::B;"), ("b.rs", test)]).is_empty());
    }

    #[test]
    fn an_argued_circle_passes() {
        let parse = |(path, text): (&str, &str)| Source::parse(path, "mayfly-x", Kind::Library, text).unwrap();
        let sources = [("crates/x/src/a.rs", "use crate::b::B;"), ("crates/x/src/b.rs", "use crate::a::A;")].map(parse);
        assert_eq!(check(&sources, &[]).len(), 1);
        assert!(
            check(&sources, &[Circle { files: &["crates/x/src/a.rs", "crates/x/src/b.rs"], because: "they are one" }])
                .is_empty()
        );
    }
}
