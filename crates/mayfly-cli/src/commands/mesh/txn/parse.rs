//! The text of a transaction, as `etcdctl txn` reads it: comparisons, an empty line, requests for when they hold, an empty line, requests for when they
//! do not.

use super::super::args::{Pair, Removal, Selection};
use super::super::requests;
use super::super::words::lease_id;
use super::scan::{Fault, Scanner, Word, fault};
use clap::{Parser, Subcommand};
use mayfly_mesh::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use mayfly_mesh::proto::etcdserverpb::request_op::Request;
use mayfly_mesh::proto::etcdserverpb::{Compare, RequestOp, TxnRequest};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A request, with the options that it has on the command line.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    asked: Asked,
}

#[derive(Subcommand)]
enum Asked {
    Get(Selection),
    Put(Pair),
    Del(Removal),
}

/// The request; or the line, the column and what is wrong there.
pub fn transaction(text: &str) -> Result<TxnRequest, String> {
    let (mut request, mut paragraph) = (TxnRequest::default(), 0);
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            paragraph += 1;
            continue;
        }
        let done = match paragraph {
            0 => comparison(line).map(|one| request.compare.push(one)),
            1 => operation(line).map(|one| request.success.push(one)),
            2 => operation(line).map(|one| request.failure.push(one)),
            _ => Err(fault(1, "a transaction has three paragraphs, each ended by an empty line: this is a fourth")),
        };
        done.map_err(|fault| format!("line {}, column {}: {}", at + 1, fault.column, fault.message))?;
    }
    if request == TxnRequest::default() {
        return Err("line 1, column 1: there is neither a comparison nor a request".into());
    }
    Ok(request)
}

/// Such as `mod("k") > "0"`.
fn comparison(line: &str) -> Result<Compare, Fault> {
    let mut scanner = Scanner::new(line);
    scanner.skip_blanks();
    let column = scanner.column();
    let name = scanner.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
    expect(&mut scanner, '(', "behind value, mod, create, version or lease")?;
    let key = scanner.word(|c| c == ')' || c.is_whitespace())?;
    expect(&mut scanner, ')', "behind the key")?;
    let result = operator(&mut scanner)?;
    let operand = scanner.word(char::is_whitespace)?;
    if !scanner.is_at_end() {
        return Err(fault(scanner.column(), "a comparison ends before this"));
    }
    let (target, union) = target(&name, column, operand)?;
    Ok(Compare {
        result: result.into(),
        target: target.into(),
        key: key.bytes,
        range_end: Vec::new(),
        target_union: Some(union),
    })
}

fn expect(scanner: &mut Scanner, wanted: char, place: &str) -> Result<(), Fault> {
    match scanner.next_is(wanted) {
        true => Ok(()),
        false => Err(fault(scanner.column(), format!("a {wanted} belongs {place}"))),
    }
}

fn operator(scanner: &mut Scanner) -> Result<CompareResult, Fault> {
    scanner.skip_blanks();
    let column = scanner.column();
    match scanner.take_while(|c| matches!(c, '=' | '!' | '<' | '>')).as_str() {
        "=" => Ok(CompareResult::Equal),
        "!=" => Ok(CompareResult::NotEqual),
        ">" => Ok(CompareResult::Greater),
        "<" => Ok(CompareResult::Less),
        _ => Err(fault(column, "one of =, !=, > and < belongs here")),
    }
}

fn target(name: &str, column: usize, operand: Word) -> Result<(CompareTarget, TargetUnion), Fault> {
    Ok(match name {
        "value" | "val" => (CompareTarget::Value, TargetUnion::Value(operand.bytes)),
        "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(&operand)?)),
        "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number(&operand)?)),
        "version" | "ver" => (CompareTarget::Version, TargetUnion::Version(number(&operand)?)),
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(lease(&operand)?)),
        _ => return Err(fault(column, "what is compared is value, mod, create, version or lease")),
    })
}

fn number(operand: &Word) -> Result<i64, Fault> {
    let number = std::str::from_utf8(&operand.bytes).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| fault(operand.column, "a whole number belongs here"))
}

/// 0 is no lease.
fn lease(operand: &Word) -> Result<i64, Fault> {
    match std::str::from_utf8(&operand.bytes) {
        Ok("0") => Ok(0),
        Ok(digits) => lease_id(digits).map_err(|message| fault(operand.column, message)),
        Err(_) => Err(fault(operand.column, "the id of a lease belongs here")),
    }
}

/// Such as `put k v --lease 1f`.
fn operation(line: &str) -> Result<RequestOp, Fault> {
    let (mut scanner, mut words) = (Scanner::new(line), Vec::new());
    while !scanner.is_at_end() {
        words.push(scanner.word(char::is_whitespace)?);
    }
    let column = words.first().map_or(1, |word| word.column);
    let words = words.into_iter().map(|word| OsString::from_vec(word.bytes));
    let parsed = Line::try_parse_from(words).map_err(|error| fault(column, first_words(&error)))?;
    let request = match parsed.asked {
        Asked::Get(what) => Request::RequestRange(requests::range(&what)),
        Asked::Put(Pair { value: None, ignore_value: false, .. }) => return Err(fault(column, "put needs a value")),
        Asked::Put(mut pair) => {
            let value = pair.value.take().unwrap_or_default();
            Request::RequestPut(requests::put(&pair, value.into_encoded_bytes()))
        }
        Asked::Del(what) => {
            Request::RequestDeleteRange(requests::delete(&what).map_err(|wrong| fault(column, wrong.to_string()))?)
        }
    };
    Ok(RequestOp { request: Some(request) })
}

/// What is wrong, without the usage that follows.
fn first_words(error: &clap::Error) -> String {
    let text = error.to_string();
    let said: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    said.join(" ").trim_start_matches("error: ").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparisons(lines: &str) -> Vec<(i32, i32, Vec<u8>, Option<TargetUnion>)> {
        let request = transaction(lines).unwrap();
        request.compare.into_iter().map(|one| (one.target, one.result, one.key, one.target_union)).collect()
    }

    #[test]
    fn definitions_hold() {
        <Line as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_example_of_etcdctl_is_read() {
        let text = "mod(\"key1\") > \"0\"\n\nput key1 \"overwrote-key1\"\n\nput key1 \"created-key1\"\nput key2 \"some extra key\"\n\n";
        let request = transaction(text).unwrap();
        assert_eq!((request.compare.len(), request.success.len(), request.failure.len()), (1, 1, 2));
        let Some(Request::RequestPut(put)) = &request.failure[1].request else { panic!("no put") };
        assert_eq!((put.key.as_slice(), put.value.as_slice()), (&b"key2"[..], &b"some extra key"[..]));
    }

    #[test]
    fn everything_can_be_compared() {
        let text = "value(\"k\") = \"v\"\nval(k)!=v\r\n  mod ( 'k' ) > 3\ncreate(k) < \"0\"\nversion(k) = -1\nlease(k) = 1f\nlease(k) = 0\n";
        let k = || b"k".to_vec();
        let value = || Some(TargetUnion::Value(b"v".to_vec()));
        let expected = [
            (3, 0, k(), value()),
            (3, 3, k(), value()),
            (2, 1, k(), Some(TargetUnion::ModRevision(3))),
            (1, 2, k(), Some(TargetUnion::CreateRevision(0))),
            (0, 0, k(), Some(TargetUnion::Version(-1))),
            (4, 0, k(), Some(TargetUnion::Lease(0x1f))),
            (4, 0, k(), Some(TargetUnion::Lease(0))),
        ];
        assert_eq!(comparisons(text), expected);
    }

    #[test]
    fn requests_have_their_options() {
        let text = "\nget a --prefix --limit 3\nput 'k 1' \"\\xff\" --lease 1f --prev-kv\ndel a b\nput k --ignore-value\nput k -\n";
        let request = transaction(text).unwrap();
        assert!(request.compare.is_empty() && request.failure.is_empty());
        let ops: Vec<Request> = request.success.into_iter().filter_map(|op| op.request).collect();
        use Request::{RequestDeleteRange, RequestPut, RequestRange};
        let [RequestRange(get), RequestPut(put), RequestDeleteRange(del), keep, dash] = &ops[..] else {
            panic!("other requests")
        };
        assert_eq!((get.range_end.as_slice(), get.limit), (&b"b"[..], 3));
        assert_eq!((put.key.as_slice(), put.value.as_slice()), (&b"k 1"[..], &[0xff][..]));
        assert_eq!((put.lease, put.prev_kv), (0x1f, true));
        assert_eq!((del.key.as_slice(), del.range_end.as_slice()), (&b"a"[..], &b"b"[..]));
        assert!(matches!(keep, RequestPut(put) if put.ignore_value));
        assert!(matches!(dash, RequestPut(put) if put.value == b"-"));
    }

    #[test]
    fn faults_name_line_and_column() {
        for (text, place, part) in [
            ("", "line 1, column 1", "neither"),
            ("mod(k) > 0\n  size(k) = 1\n", "line 2, column 3", "what is compared"),
            ("mod k > 0", "line 1, column 5", "a ( belongs"),
            ("mod(k > 0", "line 1, column 7", "a ) belongs"),
            ("mod(k) >= 0", "line 1, column 8", "one of"),
            ("mod(k) > x", "line 1, column 10", "whole number"),
            ("mod(k) >", "line 1, column 9", "missing"),
            ("mod(k) > 0 1", "line 1, column 12", "ends before"),
            ("lease(k) = xyz", "line 1, column 12", "hexadecimal"),
            ("\nput k \"v", "line 2, column 7", "not closed"),
            ("\n put k", "line 2, column 2", "needs a value"),
            ("\nput k v w", "line 2, column 1", "unexpected"),
            ("\nfetch k", "line 2, column 1", "fetch"),
            ("\ndel '' --prefix", "line 2, column 1", "--all"),
            ("\n\n\nput k v", "line 4, column 1", "a fourth"),
        ] {
            let wrong = transaction(text).unwrap_err();
            assert!(wrong.starts_with(&format!("{place}:")) && wrong.contains(part), "{text:?}: {wrong}");
        }
    }
}
