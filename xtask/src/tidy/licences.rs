//! The licences of dependencies: each is one that `deny.toml` allows, and `deny.toml` allows none that no dependency has.

use super::Finding;
use crate::process::{self, root};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeSet;

const FILE: &str = "deny.toml";

/// A package and what its manifest says of its licence.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None for packages of the house.
    source: Option<String>,
}

/// Reads `cargo metadata`, which knows every dependency of every feature and system.
pub(crate) fn check_all() -> Result<Vec<Finding>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let text = process::output(&mut process::cargo(&["metadata", "--format-version", "1", "--all-features"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata has an unexpected form")?;
    let table = std::fs::read_to_string(root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    Ok(check(&metadata.packages, &allowed(&table)?))
}

fn allowed(deny: &str) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licenses,
    }
    #[derive(Deserialize)]
    struct Licenses {
        allow: BTreeSet<String>,
    }
    let deny: Deny = toml::from_str(deny).with_context(|| format!("{FILE} has an unexpected form"))?;
    Ok(deny.licenses.allow)
}

fn check(packages: &[Package], allowed: &BTreeSet<String>) -> Vec<Finding> {
    let (mut findings, mut met) = (Vec::new(), BTreeSet::new());
    for package in packages.iter().filter(|package| package.source.is_some()) {
        let terms = package.license.as_deref().unwrap_or_default();
        if !permits(terms, allowed, &mut met) {
            let (name, version) = (&package.name, &package.version);
            let what = format!("{name} {version} has the licence `{terms}`, which is not allowed here");
            findings.push(Finding::new(FILE, 1, what));
        }
    }
    let unused = allowed.difference(&met);
    findings
        .extend(unused.map(|name| Finding::new(FILE, 1, format!("no dependency has the licence {name}: take it out"))));
    findings
}

/// Whether an SPDX expression can be met with allowed licences. Notes in `met` those that it names.
fn permits(terms: &str, allowed: &BTreeSet<String>, met: &mut BTreeSet<String>) -> bool {
    let spaced = terms.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at, allowed, met) && at == words.len()
}

/// `a OR b OR …`
fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>, met: &mut BTreeSet<String>) -> bool {
    let mut good = both(words, at, allowed, met);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        good |= both(words, at, allowed, met);
    }
    good
}

/// `a AND b AND …`
fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>, met: &mut BTreeSet<String>) -> bool {
    let mut good = one(words, at, allowed, met);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        good &= one(words, at, allowed, met);
    }
    good
}

/// A licence, one with an exception, or brackets.
fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>, met: &mut BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let good = either(words, at, allowed, met);
        *at += 1;
        return good && words.get(*at - 1) == Some(&")");
    }
    let mut name = (*word).to_owned();
    if let (Some(&"WITH"), Some(exception)) = (words.get(*at), words.get(*at + 1)) {
        name = format!("{name} WITH {exception}");
        *at += 2;
    }
    let good = allowed.contains(&name);
    if good {
        met.insert(name);
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn expressions() {
        let allowed = set(&["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]);
        let good = |terms| permits(terms, &allowed, &mut BTreeSet::new());
        for terms in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "GPL-2.0 OR (MIT AND Apache-2.0)",
        ] {
            assert!(good(terms), "{terms}");
        }
        assert!(good("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
        for terms in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT MIT",
            "GPL-3.0 WITH LLVM-exception",
            "(MIT OR Zlib) AND ISC",
        ] {
            assert!(!good(terms), "{terms}");
        }
    }

    #[test]
    fn what_is_missing_and_what_is_left_over() {
        let package = |license: Option<&str>| Package {
            name: "x".into(),
            version: "1.0.0".into(),
            license: license.map(String::from),
            source: Some("registry".into()),
        };
        let found = |packages: &[Package]| check(packages, &set(&["MIT", "ISC"])).len();
        assert_eq!(found(&[package(Some("MIT")), package(Some("ISC"))]), 0);
        assert_eq!(found(&[package(Some("MIT"))]), 1, "nothing has ISC");
        assert_eq!(found(&[package(Some("MIT OR ISC")), package(Some("MPL-2.0")), package(None)]), 2);
    }
}
