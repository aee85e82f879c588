//! One way to lay out modules: a module with children is a folder with a `mod.rs`, never a `name.rs` beside `name/`.

use super::Finding;
use super::source::Source;
use std::collections::BTreeSet;

pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let folders: BTreeSet<&str> = sources
        .iter()
        .filter_map(|source| source.path.rsplit_once('/'))
        .flat_map(|(folder, _)| above(folder))
        .collect();
    let beside = |source: &&Source| {
        let name = source.path.strip_suffix(".rs").unwrap_or_default();
        source.path.contains("/src/") && folders.contains(name)
    };
    let what = |source: &Source| {
        let name = source.path.trim_end_matches(".rs");
        source.finding(1, format!("a module with children is {name}/mod.rs, not a file beside its folder"))
    };
    sources.iter().filter(beside).map(what).collect()
}

/// A folder and those that it lies in.
fn above(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| folder.rsplit_once('/').map(|(above, _)| above))
}

#[cfg(test)]
mod tests {
    use super::super::source::Kind;
    use super::*;

    fn found(paths: &[&str]) -> Vec<String> {
        let parse = |path: &&str| Source::parse(path, "mayfly-x", Kind::Library, "").unwrap();
        check(&paths.iter().map(parse).collect::<Vec<_>>()).into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_file_beside_its_folder_is_found() {
        assert_eq!(found(&["crates/x/src/a.rs", "crates/x/src/a/b.rs"]), ["crates/x/src/a.rs"]);
        assert_eq!(found(&["crates/x/src/a.rs", "crates/x/src/a/b/c.rs"]), ["crates/x/src/a.rs"]);
        assert!(found(&["crates/x/src/a/mod.rs", "crates/x/src/a/b.rs", "crates/x/src/ab.rs"]).is_empty());
        assert!(found(&["crates/x/tests/a.rs", "crates/x/tests/a/b.rs"]).is_empty(), "the root of a test");
    }
}
