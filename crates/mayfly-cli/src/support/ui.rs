//! Where words go: results to standard output, everything else to standard error; with `--json` one object and nothing more.
//! Nothing here fails or panics because nobody listens: a training does not end with the terminal that it was started from.
use super::ends::Closed;
use super::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// How this run talks.
#[derive(Clone, Copy)]
pub struct Ui {
    pub json: bool,
}

/// A line for the person watching, if anybody does.
pub fn say(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// A line of result.
///
/// # Errors
/// [`Closed`] when its reader is gone, and what else keeps it from being written, such as a full disk.
pub fn write_line(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// What became of writing to standard output.
pub fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        Err(error) => Err(anyhow::Error::from(error).context("cannot write to standard output")),
        Ok(()) => Ok(()),
    }
}

impl Ui {
    /// A line for the person watching.
    pub fn note(&self, text: impl AsRef<str>) {
        say(text);
    }

    /// The result: text for people, or the object.
    ///
    /// # Errors
    /// As [`write_line`]: a command that goes on printing ends with its reader.
    pub fn result(&self, text: &str, object: &Value) -> anyhow::Result<()> {
        write_line(&if self.json { text::json(object) } else { text.trim_end().to_string() })
    }

    /// A progress bar on a terminal, nothing elsewhere. `unit` is what it counts.
    pub fn progress(&self, unit: &str, count: usize) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::hidden());
        }
        let template = format!("{unit} {{pos:>4}}/{{len}} {{bar:30.blue/white.dim}} {{msg}}  {{eta}} left");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(count as u64).with_style(style)
    }
}

/// Thousands separated, so that a person can read the size.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// So many of something that is called by a regular noun.
#[cfg_attr(not(any(feature = "forecast", feature = "swarm")), allow(dead_code))]
pub fn counted(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// A time as a person says it.
pub fn seconds(s: f64) -> String {
    if s < 1e-3 {
        format!("{:.1} µs", s * 1e6)
    } else if s < 1.0 {
        format!("{:.1} ms", s * 1e3)
    } else if s < 120.0 {
        format!("{s:.1} s")
    } else {
        format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(seconds(0.000_012), "12.0 µs");
        assert_eq!(seconds(125.0), "2 min 5 s");
    }
}
