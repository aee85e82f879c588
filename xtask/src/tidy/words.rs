//! Words that may appear in no tracked file: from the table, and from a list given on the command line.

use super::Finding;
use super::config::WORDS;
use crate::process;
use anyhow::{Context, Result};
use std::path::Path;

pub(crate) fn check_all(root: &Path, list: Option<&Path>) -> Result<Vec<Finding>> {
    let more = match list {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => String::new(),
    };
    let words: Vec<&str> = WORDS.iter().copied().chain(more.lines()).map(str::trim).filter(|w| !w.is_empty()).collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let files = process::output(&mut process::program("git", &["ls-files", "-z"]))?;
    let texts = files.split('\0').filter_map(|path| Some((path, std::fs::read_to_string(root.join(path)).ok()?)));
    Ok(texts.flat_map(|(path, text)| check(path, &text, &words)).collect())
}

/// Whole words, in any case.
fn check(path: &str, text: &str, words: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let found = words.iter().filter(|word| has_word(line, word));
        findings.extend(found.map(|word| Finding::new(path, at + 1, format!("the word `{word}` may not appear here"))));
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    let (line, word) = (line.to_lowercase(), word.to_lowercase());
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(&word)
        .any(|(at, found)| !joins(line[..at].chars().next_back()) && !joins(line[at + found.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_in_any_case() {
        let lines = |text| check("a.md", text, &["secret name"]).into_iter().map(|f| f.line).collect::<Vec<_>>();
        assert_eq!(lines("fine\nThe Secret Name.\nsecret names"), [2]);
        assert_eq!(lines("_secret name_"), Vec::<usize>::new());
        assert_eq!(lines("secret name"), [1]);
    }
}
