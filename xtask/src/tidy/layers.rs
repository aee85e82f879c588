//! Layer direction: a crate depends only on crates below it, and the two columns meet only at the top.

use super::Finding;
use crate::process;
use anyhow::{Context, Result};
use serde::Deserialize;

/// Where a crate stands: the shared ground, one of the two columns, the top that sees both, or a tool beside it all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Column {
    Shared,
    Neural,
    Swarm,
    Top,
    Tool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    pub(crate) column: Column,
    pub(crate) height: u8,
}

/// A workspace package and the workspace packages that it depends on, of whatever kind.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: String,
    pub(crate) inside: Vec<String>,
}

/// Reads `cargo metadata` of the root workspace.
pub(crate) fn workspace() -> Result<Vec<Package>> {
    let text = process::output(&mut process::cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    packages(&text)
}

fn packages(metadata: &str) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: String,
        manifest_path: String,
        dependencies: Vec<Dependency>,
    }
    #[derive(Deserialize)]
    struct Dependency {
        name: String,
        path: Option<String>,
    }
    let metadata: Metadata = serde_json::from_str(metadata).context("cargo metadata has an unexpected form")?;
    let inside = |d: Dependency| d.path.is_some().then_some(d.name);
    Ok(metadata
        .packages
        .into_iter()
        .map(|p| Package {
            name: p.name,
            manifest: p.manifest_path,
            inside: p.dependencies.into_iter().filter_map(inside).collect(),
        })
        .collect())
}

pub(crate) fn check(packages: &[Package], table: &[Layer]) -> Vec<Finding> {
    packages.iter().flat_map(|package| check_package(package, table)).collect()
}

fn check_package(package: &Package, table: &[Layer]) -> Vec<Finding> {
    let find = |name: &str| table.iter().find(|layer| layer.name == name);
    let Some(from) = find(&package.name) else {
        let what = format!("crate `{}` has no layer: add a row to LAYERS in xtask/src/tidy/config.rs", package.name);
        return vec![Finding::new(&package.manifest, 1, what)];
    };
    let refuse = |name: &String| {
        let to = find(name)?;
        let what = refusal(from, to)?;
        Some(Finding::new(&package.manifest, 1, format!("`{}` must not depend on `{}`: {what}", from.name, to.name)))
    };
    package.inside.iter().filter_map(refuse).collect()
}

/// Why `from` may not depend on `to`, or nothing when it may.
fn refusal(from: &Layer, to: &Layer) -> Option<&'static str> {
    let columns_meet = to.column == Column::Shared || from.column == to.column || from.column == Column::Top;
    if from.column == Column::Tool || to.column == Column::Tool {
        return Some("tools stand beside the library: neither imports the other");
    }
    if !columns_meet {
        return Some("the columns meet only from `mayfly-node` upwards");
    }
    (to.height >= from.height).then_some("a crate depends only on crates below it")
}

#[cfg(test)]
mod tests {
    use super::super::config::LAYERS;
    use super::*;

    fn findings(name: &str, inside: &[&str]) -> Vec<String> {
        let inside = inside.iter().map(ToString::to_string).collect();
        let package = Package { name: name.into(), manifest: "Cargo.toml".into(), inside };
        check(&[package], LAYERS).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn downward_is_fine() {
        assert!(findings("mayfly-nn", &["mayfly-graph", "mayfly-kernels", "mayfly-format", "mayfly-base"]).is_empty());
        assert!(findings("mayfly-market", &["mayfly-mesh", "mayfly-wire", "mayfly-base"]).is_empty());
        assert!(findings("mayfly-node", &["mayfly-nn", "mayfly-market"]).is_empty());
        assert!(findings("mayfly-cli", &["mayfly", "mayfly-node", "mayfly-nn"]).is_empty());
    }

    #[test]
    fn upward_and_sideways_are_refused() {
        for (from, to) in [
            ("mayfly-graph", "mayfly-nn"),
            ("mayfly-kernels", "mayfly-format"),
            ("mayfly-forecast", "mayfly-adapt"),
            ("mayfly-node", "mayfly"),
            ("mayfly-serve", "mayfly-cli"),
            ("mayfly-base", "mayfly-kernels"),
        ] {
            let found = findings(from, &[to]);
            assert_eq!(found.len(), 1, "{from} -> {to} passed");
        }
    }

    #[test]
    fn columns_stay_apart() {
        assert!(findings("mayfly-nn", &["mayfly-wire"])[0].contains("columns meet only"));
        assert!(findings("mayfly-market", &["mayfly-kernels"])[0].contains("columns meet only"));
        assert!(findings("mayfly-cli", &["xtask"])[0].contains("tools stand beside"));
    }

    #[test]
    fn unknown_crate_needs_a_row() {
        assert!(findings("mayfly-new", &[])[0].contains("has no layer"));
    }

    #[test]
    fn metadata_keeps_only_path_dependencies() {
        let text = r#"{"packages":[{"name":"a","manifest_path":"/a/Cargo.toml","dependencies":[
            {"name":"b","path":"/b","kind":null},{"name":"serde","path":null,"kind":"dev"}]}]}"#;
        let packages = packages(text).unwrap();
        assert_eq!((packages[0].name.as_str(), &packages[0].inside), ("a", &vec!["b".to_string()]));
    }
}
