//! `mayfly mesh get`, `put` and `del`.

use super::answers::{Shown, delete_json, delete_text, put_json, put_text, range_json, range_text};
use super::args::{DelArgs, GetArgs, PutArgs};
use super::connect::connect;
use super::{requests, words};
use crate::support::exit::Usage;
use crate::support::input::is_dash;
use crate::support::ui::{Ui, grouped, written};
use anyhow::{Context, Result, bail};
use mayfly_base::atomic::{self, Access};
use mayfly_mesh::MAX_REQUEST_BYTES;
use mayfly_mesh::proto::etcdserverpb::RangeResponse;
use mayfly_mesh::proto::mvccpb::KeyValue;
use serde_json::json;
use std::ffi::OsStr;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;

pub async fn get(args: &GetArgs, ui: Ui) -> Result<()> {
    if ui.json && args.output.as_deref().is_some_and(is_dash) {
        let why = "-o - writes the value to standard output, where --json has no place beside it";
        return Err(Usage(why.into()).into());
    }
    let reached = connect(&args.target).await?;
    let mut kv = reached.kv();
    let answer = reached.ask(kv.range(requests::range(&args.what))).await?;
    if let Some(path) = &args.output {
        return write_value(only(&answer)?, path, ui);
    }
    match answer.kvs.as_slice() {
        [kv] if args.value_only && !ui.json && !std::io::stdout().is_terminal() => write_raw(&kv.value),
        _ => words::show(ui, &range_text(&answer, shown(args)), &range_json(&answer)),
    }
}

pub async fn put(args: &PutArgs, ui: Ui) -> Result<()> {
    let value = value_of(args)?;
    let reached = connect(&args.target).await?;
    let mut kv = reached.kv();
    let answer = reached.ask(kv.put(requests::put(&args.pair, value))).await?;
    ui.result(&put_text(&answer), &put_json(&answer))
}

pub async fn delete(args: &DelArgs, ui: Ui) -> Result<()> {
    let request = requests::delete(&args.what)?;
    let reached = connect(&args.target).await?;
    let mut kv = reached.kv();
    let answer = reached.ask(kv.delete_range(request)).await?;
    ui.result(&delete_text(&answer), &delete_json(&answer))
}

fn shown(args: &GetArgs) -> Shown {
    match &args.what {
        what if what.count_only => Shown::Count,
        what if what.keys_only => Shown::Keys,
        _ if args.value_only => Shown::Values,
        _ => Shown::KeysAndValues,
    }
}

/// The one key whose value goes into a file.
fn only(answer: &RangeResponse) -> Result<&KeyValue> {
    match answer.kvs.as_slice() {
        [kv] => Ok(kv),
        [] => bail!("there is no such key, and -o needs one"),
        more => bail!("{} keys are found, and -o takes the value of one: name it", grouped(more.len())),
    }
}

/// The value's bytes and nothing else.
fn write_value(kv: &KeyValue, path: &Path, ui: Ui) -> Result<()> {
    if is_dash(path) {
        return write_raw(&kv.value);
    }
    let done = atomic::write(path, Access::Usual, |out| out.write_all(&kv.value));
    done.with_context(|| format!("cannot write {}", path.display()))?;
    let text = format!("{} bytes in {}", grouped(kv.value.len()), path.display());
    let object = json!({ "key": words::bytes_json(&kv.key), "output": path, "bytes": kv.value.len(), "mod_revision": kv.mod_revision });
    ui.result(&text, &object)
}

fn write_raw(value: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(value).and_then(|()| out.flush()))
}

/// The bytes to write: of the argument, of standard input, or of a file.
fn value_of(args: &PutArgs) -> Result<Vec<u8>> {
    match (&args.pair.value, &args.file) {
        _ if args.pair.ignore_value => Ok(Vec::new()),
        (_, Some(path)) if !is_dash(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            read_value(file, &path.display().to_string())
        }
        (Some(value), None) if value != OsStr::new("-") => Ok(value.as_encoded_bytes().to_vec()),
        (None, None) => Err(Usage("a value is missing: VALUE, --file FILE, or - for standard input".into()).into()),
        _ => read_value(std::io::stdin(), "standard input"),
    }
}

fn read_value(input: impl Read, name: &str) -> Result<Vec<u8>> {
    let (most, mut bytes) = (MAX_REQUEST_BYTES, Vec::new());
    input.take(most as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if bytes.len() > most {
        bail!("{name} has more than the {} bytes that a request may have", grouped(most));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_one_value() {
        let kvs = |count| RangeResponse { kvs: vec![KeyValue::default(); count], ..RangeResponse::default() };
        assert!(only(&kvs(0)).is_err());
        assert!(only(&kvs(1)).is_ok());
        assert!(only(&kvs(2)).unwrap_err().to_string().starts_with("2 keys"));
    }

    #[test]
    fn too_long_a_value_is_not_read_to_its_end() {
        assert_eq!(read_value(&[7u8; 3][..], "x").unwrap(), [7; 3]);
        let most = std::io::repeat(1).take(MAX_REQUEST_BYTES as u64);
        assert_eq!(read_value(most, "x").unwrap().len(), MAX_REQUEST_BYTES);
        assert!(read_value(std::io::repeat(1), "x").unwrap_err().to_string().contains("1,572,864"));
    }
}
