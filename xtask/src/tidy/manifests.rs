//! Versions and lints are declared once, in the root manifest; members inherit them.

use super::Finding;
use anyhow::{Context, Result};
use std::path::Path;
use toml::{Table, Value};

/// The workspace members: benchmarks and fuzzing are workspaces of their own, so that nobody else pays for them.
const MEMBER_FOLDERS: &[&str] = &["crates", "xtask"];

pub(crate) fn check_all(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in super::source::package_folders(root)? {
        let below = folder.strip_prefix(root).unwrap_or(&folder);
        if !MEMBER_FOLDERS.iter().any(|top| below.starts_with(top)) {
            continue;
        }
        let path = folder.join("Cargo.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        findings.extend(check(&below.join("Cargo.toml").to_string_lossy(), &text)?);
    }
    Ok(findings)
}

fn check(path: &str, text: &str) -> Result<Vec<Finding>> {
    let manifest: Table = text.parse().with_context(|| format!("{path} is not TOML"))?;
    let line = |key: &str| text.lines().position(|line| line.trim_start().starts_with(key)).map_or(1, |at| at + 1);
    let mut findings = Vec::new();
    for name in dependency_tables(&manifest).into_iter().flatten().filter(|(_, d)| !inherits(d)).map(|(name, _)| name) {
        let what = format!("`{name}` must be `workspace = true`: versions stand once, in the root manifest");
        findings.push(Finding::new(path, line(name), what));
    }
    for key in ["edition", "rust-version", "license"] {
        if !manifest.get("package").and_then(|p| p.get(key)).is_some_and(inherits) {
            findings.push(Finding::new(
                path,
                line(key),
                format!("`{key}` must be inherited: `{key}.workspace = true`"),
            ));
        }
    }
    if !manifest.get("lints").is_some_and(inherits) {
        findings.push(Finding::new(path, line("[lints"), "lints must be inherited: `[lints]` with `workspace = true`"));
    }
    Ok(findings)
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// Every dependency table of a manifest, those under `[target.…]` too.
fn dependency_tables(manifest: &Table) -> Vec<&Table> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|t| t.values().filter_map(Value::as_table));
    targets.chain([manifest]).flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"x\"\nedition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n";

    fn found(more: &str) -> Vec<String> {
        check("crates/x/Cargo.toml", &format!("{GOOD}{more}")).unwrap().into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn inherited_dependencies_pass() {
        assert!(
            found("[dependencies]\nserde.workspace = true\nhalf = { workspace = true, features = [\"std\"] }\n")
                .is_empty()
        );
    }

    #[test]
    fn versions_outside_the_root_are_found_in_every_table() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            let found = found(&format!("[{table}]\nserde = \"1\"\n"));
            assert!(found.len() == 1 && found[0].contains("`serde`"), "{table}: {found:?}");
        }
        assert_eq!(found("[dependencies]\nx = { path = \"../x\" }\n").len(), 1);
    }

    #[test]
    fn package_keys_and_lints_are_inherited() {
        let text = GOOD.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(
            check("Cargo.toml", &text).unwrap(),
            [Finding::new("Cargo.toml", 3, "`edition` must be inherited: `edition.workspace = true`")]
        );
        assert_eq!(check("Cargo.toml", &GOOD.replace("[lints]\nworkspace = true", "")).unwrap().len(), 1);
    }
}
