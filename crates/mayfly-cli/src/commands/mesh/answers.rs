//! What became of requests, in words and as objects.

use super::words::{self, kv_json, line};
use crate::support::ui::counted;
use mayfly_mesh::proto::etcdserverpb::{DeleteRangeResponse, PutResponse, RangeResponse};
use mayfly_mesh::proto::mvccpb::KeyValue;
use serde_json::{Value, json};

/// What of found keys is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    KeysAndValues,
    Keys,
    Values,
    Count,
}

pub fn range_json(answer: &RangeResponse) -> Value {
    json!({
        "revision": words::revision(answer.header.as_ref()),
        "count": answer.count,
        "more": answer.more,
        "kvs": answer.kvs.iter().map(kv_json).collect::<Vec<_>>(),
    })
}

/// A line for each key and what its value takes, as `etcdctl` prints them.
pub fn range_text(answer: &RangeResponse, shown: Shown) -> String {
    let one = |kv: &KeyValue| match shown {
        Shown::KeysAndValues => format!("{}\n{}", line(&kv.key), words::block(&kv.value)),
        Shown::Keys => line(&kv.key),
        Shown::Values | Shown::Count => words::block(&kv.value),
    };
    match shown {
        Shown::Count => answer.count.to_string(),
        _ => answer.kvs.iter().map(one).collect::<Vec<_>>().join("\n"),
    }
}

pub fn put_json(answer: &PutResponse) -> Value {
    json!({ "revision": words::revision(answer.header.as_ref()), "prev_kv": answer.prev_kv.as_ref().map(kv_json) })
}

pub fn put_text(answer: &PutResponse) -> String {
    match &answer.prev_kv {
        Some(before) => format!("stored; it was\n{}", words::block(&before.value)),
        None => "stored".into(),
    }
}

pub fn delete_json(answer: &DeleteRangeResponse) -> Value {
    json!({
        "revision": words::revision(answer.header.as_ref()),
        "deleted": answer.deleted,
        "prev_kvs": answer.prev_kvs.iter().map(kv_json).collect::<Vec<_>>(),
    })
}

pub fn delete_text(answer: &DeleteRangeResponse) -> String {
    let count = counted(usize::try_from(answer.deleted).unwrap_or(0), "key");
    let before = answer.prev_kvs.iter().map(|kv| format!("\n{}\n{}", line(&kv.key), words::block(&kv.value)));
    format!("{count} deleted{}", before.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> RangeResponse {
        let kv = |key: &[u8], value: &[u8]| KeyValue { key: key.into(), value: value.into(), ..KeyValue::default() };
        RangeResponse { kvs: vec![kv(b"a\n", b"1\n2"), kv(b"b", &[0xff])], count: 5, more: true, header: None }
    }

    #[test]
    fn keys_stay_on_their_lines() {
        assert_eq!(range_text(&found(), Shown::KeysAndValues), "a\\n\n1\n2\nb\n0xff");
        assert_eq!(range_text(&found(), Shown::Keys), "a\\n\nb");
        assert_eq!(range_text(&found(), Shown::Values), "1\n2\n0xff");
        assert_eq!(range_text(&found(), Shown::Count), "5");
        assert_eq!(range_text(&RangeResponse::default(), Shown::KeysAndValues), "");
    }

    #[test]
    fn objects_keep_every_byte() {
        let object = range_json(&found());
        assert_eq!((&object["count"], &object["more"]), (&json!(5), &json!(true)));
        assert_eq!(object["kvs"][0]["key"], "a\n");
        assert_eq!(object["kvs"][1]["value"], json!({ "hex": "ff" }));
    }
}
