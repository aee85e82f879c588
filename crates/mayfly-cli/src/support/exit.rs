//! How a command ends: its exit code, and what is printed when it failed. `docs/cli.md` has the table.
pub use super::ends::{Closed, Detailed, Ended, Interrupted, Usage};
use super::text;
use super::ui::{say, write_line};
use serde_json::json;
use std::process::ExitCode;

/// Something went wrong: a file that cannot be read, a network that cannot be trained.
pub const FAILED: u8 = 1;
/// The command line cannot be followed. Nothing was read or written.
pub const USAGE: u8 = 2;
/// A signal ended the command: 128 and its number.
pub const SIGNALLED: u8 = 128;

/// Says what went wrong, as `--json` asks for it, and gives the exit code.
pub fn end(result: anyhow::Result<()>, json: bool) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if find::<Closed>(&error).is_some() {
        return ExitCode::SUCCESS;
    }
    let message = message(&error);
    if json {
        let object = find::<Detailed>(&error).map(|detailed| detailed.object.clone());
        // Who closed standard output wants no error either.
        let _ = write_line(&text::json(&object.unwrap_or_else(|| json!({ "error": message }))));
    }
    // Errors quote what strangers have written.
    say(format!("error: {}", text::lines(&message)));
    ExitCode::from(code(&error))
}

/// What clap found wrong, or help that was asked for.
pub fn end_parsing(error: &clap::Error, json: bool) -> ExitCode {
    let is_failure = error.use_stderr();
    if json && is_failure {
        let text = error.to_string();
        // Up to the usage, which is for people: some errors list what they mean below their first line.
        let said: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let _ = write_line(&json!({ "error": said.join(" ").trim_start_matches("error: ") }).to_string());
    }
    let _ = error.print();
    ExitCode::from(if is_failure { USAGE } else { 0 })
}

fn code(error: &anyhow::Error) -> u8 {
    match find::<Interrupted>(error) {
        Some(Interrupted(signal)) => SIGNALLED + signal,
        None if find::<Usage>(error).is_some() => USAGE,
        None => find::<Ended>(error).map_or(FAILED, |ended| ended.code),
    }
}

/// An error of this kind, under whatever context.
fn find<E: std::error::Error + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.chain().find_map(|cause| cause.downcast_ref::<E>())
}

/// The chain of causes, without those whose words the error above them repeats already.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        _ if text.ends_with(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::anyhow!("no such file").context("a.csv: no such file").context("cannot train");
        assert_eq!(message(&error), "cannot train: a.csv: no such file");
    }

    #[test]
    fn kinds_are_found_under_their_context() {
        let under = |error: anyhow::Error| code(&Err::<(), _>(error).context("while writing").unwrap_err());
        assert_eq!(under(Usage("no".into()).into()), USAGE);
        assert_eq!(under(Interrupted(15).into()), 143);
        assert_eq!(under(anyhow::anyhow!("disk full")), FAILED);
    }
}
