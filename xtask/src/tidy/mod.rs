//! `cargo xtask tidy`: the house rules as a test.
//!
//! Rust is parsed with `syn`, so that a rule sees functions and calls and not lookalikes in strings.
//! Each rule is a pure function from sources or metadata to findings, with its tests beside it.

mod bans;
mod circles;
mod config;
mod docs;
mod layers;
mod licences;
mod manifests;
mod modules;
mod sizes;
mod source;
mod unsafety;
mod words;

use crate::process::{print, root};
use anyhow::{Result, bail};
use source::Source;
use std::path::PathBuf;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// A file of words, one a line, that may appear in no tracked file.
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
}

/// One broken rule: where, and what to do about it.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = root();
    let mut findings = Vec::new();
    let sources = source::collect(&root, &mut findings)?;
    for source in &sources {
        findings.extend(check(source));
    }
    findings.extend(sizes::stale_exceptions(&sources, config::LONG_FUNCTIONS));
    findings.extend(layers::check(&layers::workspace()?, config::LAYERS));
    findings.extend(modules::check(&sources));
    findings.extend(circles::check(&sources, config::CIRCLES));
    findings.extend(manifests::check_all(&root)?);
    findings.extend(licences::check_all()?);
    findings.extend(words::check_all(&root, args.words.as_deref())?);
    print(&sizes::figures(&sources));
    report(findings, sources.len())
}

fn check(source: &Source) -> Vec<Finding> {
    let mut findings = sizes::check(source, config::LONG_FUNCTIONS);
    findings.extend(bans::check(source));
    findings.extend(docs::check(source));
    findings.extend(unsafety::check(source, config::UNSAFE_CRATES));
    findings
}

fn report(mut findings: Vec<Finding>, files: usize) -> Result<()> {
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for Finding { path, line, what } in &findings {
        print(&format!("{path}:{line}: {what}"));
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings in {files} files", findings.len());
    }
    print(&format!("tidy: {files} files, nothing to say"));
    Ok(())
}
