//! Records of a table as they come: of a file, or of a stream that is not over.

use crate::support::input::is_dash;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use tokio::sync::mpsc;

/// Records that are answered together, where so many have come.
pub const TOGETHER: usize = 256;
/// A record has at most so many bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Some records, in their order; none is the end.
pub type Part = Result<Vec<String>>;

/// Reads on a thread of its own, as many at a time as have come.
pub fn read(path: &Path) -> Result<mpsc::Receiver<Part>> {
    let input: Box<dyn Read + Send> = match is_dash(path) {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
    };
    let (send, records) = mpsc::channel(4);
    let name = path.display().to_string();
    std::thread::Builder::new().name("rows".into()).spawn(move || {
        let mut input = BufReader::with_capacity(1 << 16, input);
        loop {
            let part = part(&mut input).with_context(|| format!("cannot read {name}"));
            let is_last = part.as_ref().map_or(true, Vec::is_empty);
            if send.blocking_send(part).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(records)
}

/// At least one, unless it is over. Empty lines are none.
fn part(input: &mut BufReader<impl Read>) -> Part {
    let mut records = Vec::new();
    while records.len() < TOGETHER && (records.is_empty() || input.buffer().contains(&b'\n')) {
        match record(input)? {
            Some(record) if record.trim().is_empty() => {}
            Some(record) => records.push(record),
            None => break,
        }
    }
    Ok(records)
}

/// A line, with those after it as long as a quotation mark is open.
fn record(input: &mut BufReader<impl Read>) -> Result<Option<String>> {
    let (mut bytes, mut is_quoted) = (Vec::new(), false);
    loop {
        let begin = bytes.len();
        let left = MAX_BYTES.saturating_sub(bytes.len() as u64);
        let read = input.take(left).read_until(b'\n', &mut bytes)?;
        if bytes.len() as u64 >= MAX_BYTES {
            bail!("a row of more than {} MiB: is a quotation mark missing?", MAX_BYTES >> 20);
        }
        is_quoted ^= bytes[begin..].iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        if read == 0 || !is_quoted {
            break;
        }
    }
    let record = (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned());
    Ok(record.map(|record| record.trim_end_matches(['\n', '\r']).to_owned()))
}

/// What stands between the fields: of the usual ones, the one that the first record has most of outside quotation marks.
pub fn delimiter_of(record: &str) -> u8 {
    let mut is_quoted = false;
    let outside: Vec<u8> = record
        .bytes()
        .filter(|byte| {
            is_quoted ^= *byte == b'"';
            !is_quoted
        })
        .collect();
    let count = |delimiter: &u8| outside.iter().filter(|byte| *byte == delimiter).count();
    // The last of equals is taken.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Vec<String>> {
        let mut input = BufReader::new(text);
        let mut parts = Vec::new();
        loop {
            let part = part(&mut input).expect("readable");
            if part.is_empty() {
                return parts;
            }
            parts.push(part);
        }
    }

    #[test]
    fn a_record_is_a_line_unless_a_quotation_is_open() {
        let text = b"a,b\r\n\n1,\"x\ny\"\n \n2,\"say \"\"no\"\"\"\n3,\xff\n4,last";
        let records = ["a,b", "1,\"x\ny\"", "2,\"say \"\"no\"\"\"", "3,\u{fffd}", "4,last"];
        assert_eq!(all(text).concat(), records);
        let many = "1,2\n".repeat(3 * TOGETHER);
        assert_eq!(all(many.as_bytes()).iter().map(Vec::len).collect::<Vec<_>>(), [TOGETHER; 3]);
    }

    #[test]
    fn a_quotation_that_is_never_closed_is_refused() {
        let text = format!("1,\"{}", "x\n".repeat(MAX_BYTES as usize / 2));
        let error = part(&mut BufReader::new(text.as_bytes())).expect_err("too long").to_string();
        assert!(error.contains("quotation mark"), "{error}");
    }

    #[test]
    fn delimiters_are_found() {
        for (record, delimiter) in
            [("a,b", b','), ("a;b;c,d", b';'), ("\"a;b;c\",d", b','), ("a\tb", b'\t'), ("alone", b','), ("a|b", b'|')]
        {
            assert_eq!(delimiter_of(record), delimiter, "{record}");
        }
    }
}
