//! Keys, values, ids and revisions: how they are read and shown.

use crate::support::text::{self, hex};
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_mesh::proto::etcdserverpb::ResponseHeader;
use mayfly_mesh::proto::mvccpb::KeyValue;
use serde_json::{Value, json};

/// The id of a member, in hexadecimal digits.
pub fn member_id(digits: &str) -> Result<u64, String> {
    let bare = digits.strip_prefix("0x").unwrap_or(digits);
    let id = if bare.starts_with('+') { None } else { u64::from_str_radix(bare, 16).ok() };
    id.filter(|id| *id != 0).ok_or_else(|| "an id is 1 to 16 hexadecimal digits, and not 0".into())
}

/// The id of a lease, in hexadecimal digits.
pub fn lease_id(digits: &str) -> Result<i64, String> {
    i64::try_from(member_id(digits)?).map_err(|_| "the id of a lease is at most 7fffffffffffffff".into())
}

/// As `etcdctl` shows it.
pub fn member(id: u64) -> String {
    format!("{id:x}")
}

/// As `etcdctl` shows it.
pub fn lease(id: i64) -> String {
    format!("{id:016x}")
}

/// The revision that an answer is of.
pub fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

/// Text as text, other bytes as hexadecimal digits.
pub fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

/// A key or a value on one line; strangers wrote it.
pub fn line(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("0x{}", hex(bytes)), text::plain)
}

/// A value with its own line breaks; strangers wrote it.
pub fn block(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("0x{}", hex(bytes)), text::lines)
}

pub fn kv_json(kv: &KeyValue) -> Value {
    json!({
        "key": bytes_json(&kv.key),
        "value": bytes_json(&kv.value),
        "create_revision": kv.create_revision,
        "mod_revision": kv.mod_revision,
        "version": kv.version,
        "lease": (kv.lease != 0).then(|| lease(kv.lease)),
    })
}

/// A result; for people nothing at all where there is nothing to say.
pub fn show(ui: Ui, text: &str, object: &Value) -> Result<()> {
    if text.is_empty() && !ui.json { Ok(()) } else { ui.result(text, object) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal() {
        assert_eq!(member_id("ffffffffffffffff"), Ok(u64::MAX));
        assert_eq!(member_id("0x10"), Ok(16));
        assert_eq!(lease_id("7fffffffffffffff"), Ok(i64::MAX));
        assert_eq!(lease_id(&lease(0x1234)), Ok(0x1234));
        for wrong in ["", "0", "0x", "+1", "-1", "g", "10000000000000000", "8e9e05c52164694d "] {
            assert!(member_id(wrong).is_err(), "{wrong:?}");
        }
        assert!(lease_id("8000000000000000").is_err());
    }

    #[test]
    fn bytes_are_text_or_digits() {
        assert_eq!(bytes_json("grün\n".as_bytes()), json!("grün\n"));
        assert_eq!(bytes_json(&[0, 0xff]), json!({ "hex": "00ff" }));
        assert_eq!(line(b"a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(block(b"a\nb\x1b[2J"), "a\nb\\u{1b}[2J");
        assert_eq!(line(&[0xc3, 0x28]), "0xc328");
        assert_eq!(block(&[]), "");
    }

    #[test]
    fn a_key_without_lease_has_none() {
        let kv = KeyValue { key: b"k".to_vec(), mod_revision: 3, ..KeyValue::default() };
        assert_eq!(kv_json(&kv)["lease"], Value::Null);
        assert_eq!(kv_json(&KeyValue { lease: 255, ..kv })["lease"], "00000000000000ff");
    }
}
