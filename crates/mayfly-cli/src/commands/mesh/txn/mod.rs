//! `mayfly mesh txn`.

mod parse;
mod scan;

use super::answers::{Shown, delete_json, delete_text, put_json, put_text, range_json, range_text};
use super::connect::connect;
use super::target::Target;
use super::words;
use crate::support::input::is_dash;
use crate::support::ui::{Ui, grouped};
use anyhow::{Context, Result, anyhow, bail};
use mayfly_mesh::proto::etcdserverpb::response_op::Response;
use mayfly_mesh::proto::etcdserverpb::{ResponseOp, TxnResponse};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// The longest text that is read: escapes make it longer than the request that it stands for.
const MAX_TEXT_BYTES: u64 = 16 << 20;

pub async fn run(file: Option<&Path>, target: &Target, ui: Ui) -> Result<()> {
    let (text, name) = match file.filter(|path| !is_dash(path)) {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let name = path.display().to_string();
            (read(file, &name)?, name)
        }
        None => (read(std::io::stdin(), "standard input")?, "standard input".into()),
    };
    let request = parse::transaction(&text).map_err(|wrong| anyhow!("{name}, {wrong}"))?;
    let reached = connect(target).await?;
    let mut kv = reached.kv();
    let answer = reached.ask(kv.txn(request)).await?;
    ui.result(&answer_text(&answer), &answer_json(&answer))
}

fn read(input: impl Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    input.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > MAX_TEXT_BYTES {
        bail!("{name} has more than {} bytes: split it into smaller transactions", grouped(MAX_TEXT_BYTES as usize));
    }
    String::from_utf8(bytes).map_err(|_| anyhow!("{name} is not UTF-8: other bytes are written \"\\xff\""))
}

fn answer_json(answer: &TxnResponse) -> Value {
    json!({
        "revision": words::revision(answer.header.as_ref()),
        "succeeded": answer.succeeded,
        "responses": answer.responses.iter().map(op_json).collect::<Vec<_>>(),
    })
}

fn op_json(op: &ResponseOp) -> Value {
    match &op.response {
        Some(Response::ResponseRange(range)) => json!({ "get": range_json(range) }),
        Some(Response::ResponsePut(put)) => json!({ "put": put_json(put) }),
        Some(Response::ResponseDeleteRange(delete)) => json!({ "del": delete_json(delete) }),
        Some(Response::ResponseTxn(inner)) => json!({ "txn": answer_json(inner) }),
        None => Value::Null,
    }
}

/// Begins as that of `etcdctl`, which scripts look for.
fn answer_text(answer: &TxnResponse) -> String {
    let first = if answer.succeeded { "SUCCESS" } else { "FAILURE" };
    let ops = answer.responses.iter().map(|op| format!("\n\n{}", op_text(op)));
    format!("{first}{}", ops.collect::<String>())
}

fn op_text(op: &ResponseOp) -> String {
    match &op.response {
        Some(Response::ResponseRange(range)) if range.kvs.is_empty() && range.count > 0 => {
            range_text(range, Shown::Count)
        }
        Some(Response::ResponseRange(range)) => range_text(range, Shown::KeysAndValues),
        Some(Response::ResponsePut(put)) => put_text(put),
        Some(Response::ResponseDeleteRange(delete)) => delete_text(delete),
        Some(Response::ResponseTxn(inner)) => answer_text(inner),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_mesh::proto::etcdserverpb::{DeleteRangeResponse, PutResponse};

    #[test]
    fn answers_are_in_the_order_of_requests() {
        let op = |response| ResponseOp { response: Some(response) };
        let deleted = DeleteRangeResponse { deleted: 1, ..DeleteRangeResponse::default() };
        let responses =
            vec![op(Response::ResponsePut(PutResponse::default())), op(Response::ResponseDeleteRange(deleted))];
        let answer = TxnResponse { succeeded: true, responses, header: None };
        assert_eq!(answer_text(&answer), "SUCCESS\n\nstored\n\n1 key deleted");
        let object = answer_json(&answer);
        assert_eq!(object["succeeded"], true);
        assert!(object["responses"][0]["put"].is_object());
        assert_eq!(object["responses"][1]["del"]["deleted"], 1);
    }
}
