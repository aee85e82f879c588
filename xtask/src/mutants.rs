//! `cargo xtask mutants LIST`: puts the faults of `xtask/mutants/LIST.txt` into the code, one at a time, and runs the tests that should notice.
//!
//! The work is done in a git worktree of the last commit beside the build's output (`mutants-work`, kept so that the next run compiles less), never in the
//! files at hand. A fault that changes nothing (its text is not there, or there twice) or that
//! does not compile is an error of the list, not a caught fault.

use crate::process::{cargo, output, print, program, root, run, say};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Where tallies are written down.
const PAGE: &str = "docs/design/testing.md";
/// A test that runs for two minutes hangs.
const NEXTEST: &str = "[profile.default]\nfail-fast = true\nslow-timeout = { period = \"60s\", terminate-after = 2 }\n";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The list of faults: `xtask/mutants/LIST.txt`.
    list: String,
    /// Faults of the list that are left out before the first.
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// How many faults are put in; all that are left when not given.
    #[arg(long)]
    take: Option<usize>,
    /// Only faults whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// No fault is put in after this many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Puts the faults into the files at hand, which must be committed: where these are compiled already it saves the first build.
    #[arg(long)]
    here: bool,
    /// Writes what happened into docs/design/testing.md.
    #[arg(long)]
    write: bool,
}

/// One fault.
#[derive(Debug, PartialEq)]
struct Fault {
    name: String,
    /// The tests that should notice it: arguments of `cargo nextest run`.
    tests: Vec<String>,
    file: String,
    old: String,
    new: String,
}

/// What became of a fault.
enum Verdict {
    /// The first test that failed.
    Caught(String),
    Survived,
}

/// Fails when a fault survives.
pub(crate) fn run_mutants(args: &Args) -> Result<()> {
    let path = root().join(format!("xtask/mutants/{}.txt", args.list));
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let list = parse(&text)?;
    let work = if args.here { Checkout::at_hand()? } else { Checkout::beside_the_build()? };
    let (start, minutes) = (Instant::now(), args.minutes.unwrap_or(u64::MAX));
    let is_time_left = |_: &&Fault| start.elapsed().as_secs() / 60 < minutes;
    let wanted = |fault: &&Fault| args.only.as_ref().is_none_or(|only| fault.name.contains(only.as_str()));
    let chosen = list.iter().skip(args.skip).take(args.take.unwrap_or(usize::MAX)).filter(wanted);
    let (mut rows, mut sound, mut void) = (Vec::new(), Vec::new(), 0);
    for fault in chosen.take_while(is_time_left) {
        if !sound.contains(&&fault.tests) {
            ensure!(failure(&mut work.tests(&fault.tests))?.is_none(), "the tests fail without any fault");
            sound.push(&fault.tests);
        }
        let verdict = match work.with_fault(fault, || failure(&mut work.tests(&fault.tests))) {
            Ok(Some(test)) => Verdict::Caught(test),
            Ok(None) => Verdict::Survived,
            Err(error) => {
                say(&format!("{error:#}"));
                void += 1;
                continue;
            }
        };
        print(&row(fault, &verdict));
        rows.push((fault, verdict));
    }
    let survivors = rows.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Survived)).count();
    say(&format!("{} faults put in, {} caught, {survivors} survived", rows.len(), rows.len() - survivors));
    if args.write {
        note(&args.list, &list, &rows)?;
    }
    match survivors + void {
        0 => Ok(()),
        _ => bail!("{survivors} faults went unnoticed, {void} could not be put in"),
    }
}

/// A list as text: `tests: ARGUMENTS` for what follows, and for each fault a line with its name, `@ FILE`, lines that begin with `-` (what is there) and with `+` (what takes its place).
fn parse(text: &str) -> Result<Vec<Fault>> {
    let (mut faults, mut tests): (Vec<Fault>, Vec<String>) = (Vec::new(), Vec::new());
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    for (at, line) in lines {
        let fault = faults.last_mut();
        if let Some(arguments) = line.strip_prefix("tests:") {
            tests = arguments.split_whitespace().map(str::to_owned).collect();
        } else if !line.starts_with(['@', '-', '+']) {
            let name = line.trim().to_owned();
            let (tests, file, old, new) = (tests.clone(), String::new(), String::new(), String::new());
            faults.push(Fault { name, tests, file, old, new });
        } else {
            let fault = fault.with_context(|| format!("line {}: a fault begins with its name", at + 1))?;
            let (kind, rest) = line.split_at(1);
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match kind {
                "@" => rest.clone_into(&mut fault.file),
                "-" => push_line(&mut fault.old, rest),
                _ => push_line(&mut fault.new, rest),
            }
        }
    }
    ensure!(faults.iter().all(|fault| !fault.tests.is_empty()), "no line `tests:` before the first fault");
    let empty = faults.iter().find(|f| f.file.is_empty() || f.old.is_empty() || f.old == f.new);
    match empty {
        Some(fault) => bail!("the fault {:?} changes nothing", fault.name),
        None => Ok(faults),
    }
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// A checkout of the last commit.
struct Checkout(PathBuf);

impl Checkout {
    fn at_hand() -> Result<Checkout> {
        let changed = output(&mut program("git", &["status", "--porcelain", "--untracked-files=no"]))?;
        ensure!(changed.is_empty(), "--here needs every file committed; these are not:\n{changed}");
        Checkout::new(root())
    }

    fn beside_the_build() -> Result<Checkout> {
        let folder = target().join("mutants-work");
        let (shown, head) = (folder.display().to_string(), output(&mut program("git", &["rev-parse", "HEAD"]))?);
        if folder.join("Cargo.toml").exists() {
            run(program("git", &["checkout", "--quiet", "--force", "--detach", head.trim()]).current_dir(&folder))?;
        } else {
            run(&mut program("git", &["worktree", "prune"]))?;
            run(&mut program("git", &["worktree", "add", "--detach", &shown, head.trim()]))?;
        }
        Checkout::new(folder)
    }

    fn new(folder: PathBuf) -> Result<Checkout> {
        std::fs::write(config(), NEXTEST)?;
        Ok(Checkout(folder))
    }

    /// The command that runs the tests.
    fn tests(&self, tests: &[String]) -> Command {
        let mut command = cargo(&["nextest", "run", "--color", "never", "--config-file"]);
        command.arg(config()).args(tests).current_dir(&self.0).env("CARGO_TARGET_DIR", target());
        command
    }

    /// Does something while the fault is in.
    fn with_fault<T>(&self, fault: &Fault, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let path = self.0.join(&fault.file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let places = text.matches(&fault.old).count();
        ensure!(places == 1, "{:?}: the text stands {places} times in {}, not once", fault.name, fault.file);
        std::fs::write(&path, text.replacen(&fault.old, &fault.new, 1))?;
        let result = act().with_context(|| format!("{:?} in {}", fault.name, fault.file));
        std::fs::write(&path, text)?;
        result
    }
}

/// Where things are built, kept between runs.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Nextest's settings.
fn config() -> PathBuf {
    target().join("mutants-nextest.toml")
}

/// Runs tests: the first that failed, or none. Code that does not compile is an error.
fn failure(tests: &mut Command) -> Result<Option<String>> {
    let out = tests.output().context("cannot start cargo nextest")?;
    if out.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&out.stderr);
    match first_failure(&text) {
        Some(test) => Ok(Some(test)),
        None => bail!("the tests did not run:\n{text}"),
    }
}

/// The name in nextest's first line of a test that failed, crashed or hung.
fn first_failure(text: &str) -> Option<String> {
    let failed = |line: &&str| {
        ["FAIL", "TIMEOUT", "SIGABRT", "SIGSEGV", "ABORT"].iter().any(|w| line.trim_start().starts_with(w))
    };
    let line = text.lines().find(failed)?;
    let mut words = line.split_whitespace().rev();
    let test = words.next()?;
    let binary = words.next()?;
    Some(format!("{} {test}", binary.rsplit("::").next().unwrap_or(binary)))
}

fn row(fault: &Fault, verdict: &Verdict) -> String {
    let caught = match verdict {
        Verdict::Caught(test) => format!("`{test}`"),
        Verdict::Survived => "**nothing**".to_owned(),
    };
    format!("| {} | `{}` | {caught} |", fault.name, short(&fault.file))
}

fn short(file: &str) -> &str {
    Path::new(file).strip_prefix("crates").ok().and_then(Path::to_str).unwrap_or(file)
}

/// Puts the rows into the page; those of faults that were not tried now stay.
fn note(name: &str, list: &[Fault], rows: &[(&Fault, Verdict)]) -> Result<()> {
    let path = root().join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    std::fs::write(&path, noted(&page, name, list, rows)?)?;
    say(&format!("written to {PAGE}"));
    Ok(())
}

fn noted(page: &str, name: &str, list: &[Fault], rows: &[(&Fault, Verdict)]) -> Result<String> {
    let (begin, end) = (format!("<!-- mutants {name} -->\n"), format!("<!-- end of mutants {name} -->"));
    let marked = || format!("{PAGE} has no `{}` … `{end}`", begin.trim_end());
    let (head, rest) = page.split_once(&begin).with_context(marked)?;
    let (old, tail) = rest.split_once(&end).with_context(marked)?;
    let mut table = String::new();
    let (mut tried, mut survived) = (0, 0);
    for fault in list {
        let now = rows.iter().find(|(other, _)| *other == fault).map(|(_, verdict)| row(fault, verdict));
        let before = || old.lines().find(|line| line.starts_with(&format!("| {} | ", fault.name))).map(str::to_owned);
        let Some(line) = now.or_else(before) else { continue };
        tried += 1;
        survived += usize::from(line.ends_with("| **nothing** |"));
        writeln!(table, "{line}")?;
    }
    let tally = format!("{tried} of {} faults put in: {} caught, {survived} unnoticed.", list.len(), tried - survived);
    Ok(format!("{head}{begin}{tally}\n\n| fault | file | caught by |\n|---|---|---|\n{table}{end}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\ntests: -p some-crate\n\nthe sum is a difference\n@ crates/some/src/lib.rs\n- a + b\n+ a - b\n\ntests: --lib\ntwo lines\n@ x.rs\n- if a {\n-     b\n+ {\n";

    fn list() -> Vec<Fault> {
        parse(TEXT).unwrap()
    }

    #[test]
    fn lists_are_read() {
        let list = list();
        let [sum, lines] = &list[..] else { panic!("{list:?}") };
        assert_eq!((sum.name.as_str(), sum.file.as_str()), ("the sum is a difference", "crates/some/src/lib.rs"));
        assert_eq!(
            (&sum.tests[..], &lines.tests[..]),
            (&["-p".to_owned(), "some-crate".to_owned()][..], &["--lib".to_owned()][..])
        );
        assert_eq!((sum.old.as_str(), sum.new.as_str()), ("a + b", "a - b"));
        assert_eq!((lines.old.as_str(), lines.new.as_str()), ("if a {\n    b", "{"));
        assert!(parse("tests: x\nname\n@ f\n- a\n+ a\n").is_err(), "a fault that changes nothing");
        assert!(parse("name\n@ f\n- a\n+ b\n").is_err(), "no tests");
        assert!(parse("tests: x\n@ f\n").is_err(), "no name");
    }

    #[test]
    fn failures_are_named() {
        let text = "   PASS [   0.1s] (1/3) a::b one\n   FAIL [   0.2s] (2/3) mayfly-nn::training a_step\nerror: test run failed\n";
        assert_eq!(first_failure(text).unwrap(), "training a_step");
        assert_eq!(first_failure("error[E0308]: mismatched types"), None);
    }

    #[test]
    fn what_was_tried_before_stays_in_the_page() {
        let list = list();
        let page = "A\n<!-- mutants x -->\n<!-- end of mutants x -->\nB\n";
        let first = noted(page, "x", &list, &[(&list[0], Verdict::Caught("t u".into()))]).unwrap();
        assert!(first.contains("1 of 2 faults put in: 1 caught, 0 unnoticed."), "{first}");
        let second = noted(&first, "x", &list, &[(&list[1], Verdict::Survived)]).unwrap();
        assert!(second.contains("2 of 2 faults put in: 1 caught, 1 unnoticed."), "{second}");
        assert!(
            second.contains(
                "| the sum is a difference | `some/src/lib.rs` | `t u` |\n| two lines | `x.rs` | **nothing** |"
            )
        );
        assert!(second.starts_with("A\n") && second.ends_with("\nB\n"));
        assert!(noted(page, "y", &list, &[]).is_err());
    }
}
