//! Reading a model takes memory in proportion to the file, whatever the file claims.
//!
//! The allocator counts for the whole process, so this file has one test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::alloc::System;

use cap::Cap;
use mayfly_format::fann_net::FannFile;
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, Tensor, TensorData, TensorFile};
use mayfly_format::onnx::{GraphBuilder, ModelProto};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The most memory that `run` held at one time, beyond what was held before.
fn peak_bytes(run: impl FnOnce()) -> usize {
    // The mark of the highest level only rises, so first fill up to it.
    let filler = vec![0_u8; ALLOCATOR.max_allocated() - ALLOCATOR.allocated()];
    let mark = ALLOCATOR.max_allocated();
    run();
    drop(filler);
    ALLOCATOR.max_allocated() - mark
}

/// Slack for messages, buffers and the floor that small files have.
const SLACK_BYTES: usize = 2 << 20;

fn holds(what: &str, file_len: usize, factor: usize, run: impl FnOnce()) {
    let peak = peak_bytes(run);
    assert!(peak <= factor * file_len + SLACK_BYTES, "{what}: {peak} bytes for a file of {file_len}");
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A protobuf field of bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

fn fann() {
    let text = String::from_utf8(golden("fann/curve-thyroid.net")).unwrap();
    holds("honest FANN", text.len(), 4, || drop(FannFile::parse("f", text.as_bytes()).unwrap()));
    for key in [
        "num_layers=3",
        "cascade_activation_functions_count=10",
        "cascade_activation_steepnesses_count=4",
        "layer_sizes=22",
    ] {
        let absurd = format!("{}4000000000", key.trim_end_matches(|c: char| c.is_ascii_digit()));
        let text = text.replace(key, &absurd);
        holds(key, text.len(), 8, || assert!(FannFile::parse("f", text.as_bytes()).is_err()));
    }
    let many = text.replace("(22, 5,", "(4000000000, 5,");
    holds("connections", many.len(), 8, || assert!(FannFile::parse("f", many.as_bytes()).is_err()));
}

fn onnx() {
    const LEN: usize = 2 << 20;
    let mut honest = GraphBuilder::new("g");
    honest.f32("w", &[LEN / 4], &vec![0.5; LEN / 4]);
    let honest = honest.finish("p").unwrap().to_bytes();
    holds("honest ONNX", honest.len(), 3, || drop(ModelProto::parse("o", &honest).unwrap()));
    let parse = |bytes: &[u8]| drop(ModelProto::parse("o", bytes));
    // empty messages of each kind, two bytes each
    for (name, tag) in [("nodes", 1), ("tensors", 5), ("inputs", 11)] {
        let bytes = field(7, &[tag << 3 | 2, 0].repeat(LEN / 2));
        holds(name, bytes.len(), 30, || parse(&bytes));
    }
    // just small enough for the limit
    let node = field(1, &field(15, &[0; 5]));
    let nodes = field(7, &node.repeat(LEN / node.len()));
    holds("nodes within the limit", nodes.len(), 30, || parse(&nodes));
    let attributes = field(7, &field(1, &[5 << 3 | 2, 0].repeat(LEN / 2)));
    holds("attributes", attributes.len(), 30, || parse(&attributes));
    let names = field(7, &field(1, &[1 << 3 | 2, 0].repeat(LEN / 2)));
    holds("names", names.len(), 30, || parse(&names));
    let packed = field(7, &field(5, &field(7, &vec![1; LEN])));
    holds("packed numbers", packed.len(), 30, || parse(&packed));
    let properties = [14 << 3 | 2, 0].repeat(LEN / 2);
    holds("properties", properties.len(), 30, || parse(&properties));
}

fn models() {
    const LEN: usize = 2 << 20;
    let tensor = Tensor { name: "w".into(), shape: vec![LEN / 4], data: TensorData::F32(vec![0.5; LEN / 4]) };
    let honest = ModelFile { spec: "{}".into(), tensors: vec![tensor], ..ModelFile::default() };
    let honest = honest.to_bytes(NanPolicy::Refuse).unwrap();
    let options = ReadOptions::default();
    holds("honest model", honest.len(), 2, || drop(ModelFile::parse("m", &honest, &options).unwrap()));
    let with_header = |header: &str| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let zeros = "0,".repeat(LEN / 2);
    let texts: String = (0..LEN / 10).map(|i| format!("\"{i:x}\":\"\",")).collect();
    let entry = |i| format!(r#""{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    let entries: Vec<String> = (0..60_000).map(entry).collect();
    let headers = [
        ("a long shape", format!(r#"{{"w":{{"dtype":"U8","shape":[{zeros}0],"data_offsets":[0,0]}}}}"#)),
        ("unknown keys", format!(r#"{{"w":{{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[{zeros}0]}}}}"#)),
        ("long metadata", format!(r#"{{"__metadata__":{{{texts}"":""}}}}"#)),
        ("many tensors", format!("{{{}}}", entries.join(","))),
    ];
    for (name, header) in headers {
        let file = with_header(&header);
        holds(name, file.len(), 16, || drop(TensorFile::parse("m", &file, &options)));
    }
    let claims = [&(1_u64 << 62).to_le_bytes()[..], b"{}"].concat();
    holds("a claimed header", claims.len(), 1, || assert!(TensorFile::parse("m", &claims, &options).is_err()));
}

#[test]
fn memory_is_bounded_by_the_file() {
    let before = peak_bytes(|| drop(vec![0_u8; 5 << 20]));
    assert_eq!(before, 5 << 20, "the measure itself");
    fann();
    onnx();
    models();
}
