//! ONNX: fixtures of real exporters (see `bench/golden/onnx/README.md`), models of our own, and damaged ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use mayfly_format::onnx::{
    AttributeKind, AttributeProto, ElementType, GraphBuilder, GraphProto, MAX_DEPTH, ModelProto, NodeProto, OnnxData,
    StringStringEntry, TensorProto,
};
use mayfly_format::{FormatError, Position};
use prost::Message as _;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx").join(name)
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(golden(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "onnx"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

fn parse(bytes: &[u8]) -> Result<ModelProto, FormatError> {
    ModelProto::parse("x.onnx", bytes)
}

fn graph_of(bytes: &[u8]) -> GraphProto {
    parse(bytes).unwrap().graph.unwrap()
}

/// All tensors of a model: weights, and constants in nodes.
fn tensors(graph: &GraphProto) -> Vec<&TensorProto> {
    let constants = graph.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.t.as_deref());
    graph.initializer.iter().chain(constants).collect()
}

#[test]
fn every_fixture_is_read_with_all_its_tensors() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 36, "{}", fixtures.len());
    for (name, bytes) in &fixtures {
        let model = parse(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let graph = model.graph().unwrap();
        assert!(!graph.node.is_empty() && !graph.input.is_empty() && !graph.output.is_empty(), "{name}");
        let opset = model.opset_version().unwrap();
        assert!((1..=24).contains(&opset), "{name}: {opset}");
        for tensor in tensors(graph) {
            let values = tensor.to_tensor().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(values.data.len(), values.shape.iter().product::<usize>(), "{name} {}", values.name);
        }
    }
}

/// Counts and values that the generator's side knows: PyTorch's seed 1 and scikit-learn's coefficients.
#[test]
fn values_are_the_exporters() {
    let graph = graph_of(&fs::read(golden("sklearn-linear.onnx")).unwrap());
    let node = &graph.node[0];
    assert_eq!((node.domain.as_str(), node.op_type.as_str()), ("ai.onnx.ml", "LinearRegressor"));
    assert_eq!(node.floats("intercepts").unwrap().unwrap(), [152.133_48]);
    assert_eq!(node.floats("coefficients").unwrap().unwrap().len(), 10);

    let graph = graph_of(&fs::read(golden("sklearn-logistic.onnx")).unwrap());
    assert_eq!(graph.node[0].text_or("post_transform", "NONE").unwrap(), "SOFTMAX");
    assert_eq!(graph.node[0].ints("classlabels_ints").unwrap().unwrap(), [0, 1, 2]);

    let graph = graph_of(&fs::read(golden("torch-ts-lstm.onnx")).unwrap());
    let lstm = graph.node.iter().find(|n| n.op_type == "LSTM").unwrap();
    assert_eq!(lstm.int_or("hidden_size", 0).unwrap(), 8);
    assert_eq!(lstm.input[4], ""); // no sequence lengths
    let w = graph.initializer.iter().find(|t| t.name == lstm.input[1]).unwrap();
    assert_eq!(w.to_tensor().unwrap().shape, [1, 32, 3]);

    let graph = graph_of(&fs::read(golden("torch-ts-rnn.onnx")).unwrap());
    let rnn = graph.node.iter().find(|n| n.op_type == "RNN").unwrap();
    assert_eq!(rnn.texts("activations").unwrap().unwrap(), ["Tanh"]);

    let graph = graph_of(&fs::read(golden("sklearn-mlp-classifier-strings.onnx")).unwrap());
    let labels = graph.initializer.iter().find_map(|t| match t.to_tensor().unwrap().data {
        OnnxData::Text(labels) => Some(labels),
        _ => None,
    });
    assert_eq!(labels.unwrap(), ["setosa", "versicolor", "virginica"]);
}

#[test]
fn what_is_written_is_read_back() {
    for (name, bytes) in fixtures() {
        let model = parse(&bytes).unwrap();
        assert_eq!(parse(&model.to_bytes()).unwrap(), model, "{name}");
    }
}

/// One node of each attribute kind, several tensors, a free and a fixed dimension.
fn written() -> ModelProto {
    let mut graph = GraphBuilder::new("written");
    graph.input("x", ElementType::Float, &["batch".into(), 1.into(), 6.into()]);
    graph.output("y", ElementType::Float, &["batch".into(), 2.into()]);
    graph.output("scaled", ElementType::Float, &["batch".into(), 2.into()]);
    graph.f32("conv.w", &[2, 1, 3], &[0.5, -0.25, 1.0, 0.0, 2.0, -1.0]);
    graph.f32("conv.b", &[2], &[0.125, -0.5]);
    graph.f32("out.w", &[2, 8], &std::array::from_fn::<_, 16, _>(|i| (i as f32 - 7.5) / 8.0));
    graph.f32("out.b", &[2], &[0.0, 1.0]);
    graph.i64("shape", &[2], &[0, -1]);
    let kernel = vec![AttributeProto::ints("kernel_shape", &[3]), AttributeProto::ints("pads", &[0, 0])];
    graph.node("Conv", &["x", "conv.w", "conv.b"], &["c"], kernel);
    graph.node("LeakyRelu", &["c"], &["r"], vec![AttributeProto::float("alpha", 0.0)]);
    graph.node("Reshape", &["r", "shape"], &["f"], vec![AttributeProto::int("allowzero", 0)]);
    graph.node("Gemm", &["f", "out.w", "out.b"], &["y"], vec![AttributeProto::int("transB", 1)]);
    let half = TensorProto::f32("half", &[], &[0.5]);
    graph.node("Constant", &[], &["half"], vec![AttributeProto::tensor("value", half)]);
    graph.node("Mul", &["y", "half"], &["halved"], vec![]);
    graph.operator_set("ai.onnx.ml", 3);
    let scaler = vec![AttributeProto::floats("offset", &[0.0, 1.0]), AttributeProto::floats("scale", &[2.0, 4.0])];
    graph.node_of("ai.onnx.ml", "Scaler", &["halved"], &["scaled"], scaler);
    graph.finish("mayfly").unwrap()
}

/// The committed file is exactly what our builder makes (`MAYFLY_BLESS=1` makes it); ONNX's checker has passed it and ONNX Runtime has run it:
/// see `bench/golden/onnx/check.py`.
#[test]
fn a_model_of_our_own_is_the_one_that_onnx_checked() {
    let model = written();
    if std::env::var_os("MAYFLY_BLESS").is_some() {
        model.write(golden("written.onnx")).unwrap();
    }
    assert!(fs::read(golden("written.onnx")).unwrap() == model.to_bytes());
    assert_eq!(ModelProto::read(golden("written.onnx")).unwrap(), model);
}

#[test]
fn attributes_of_the_wrong_kind_are_errors() {
    let model = written();
    let gemm = &model.graph().unwrap().node[3];
    let error = gemm.float_or("transB", 0.0).unwrap_err();
    let want = "ONNX model, attribute transB of node \"y.Gemm\" (Gemm): expected a number, found a whole number";
    assert_eq!(error.to_string(), want);
    assert!(gemm.text_or("transB", "").is_err() && gemm.tensor("transB").is_err());
    assert!(gemm.ints("transB").is_err() && gemm.floats("transB").is_err() && gemm.texts("transB").is_err());
    assert_eq!(gemm.int_or("transA", 7).unwrap(), 7);
    assert_eq!(gemm.attribute("transB").unwrap().kind(), Some(AttributeKind::Int));
    let unknown = AttributeProto { name: "a".into(), r#type: 13, ..AttributeProto::default() };
    let node = NodeProto { attribute: vec![unknown], ..NodeProto::default() };
    assert!(node.int_or("a", 0).unwrap_err().to_string().ends_with("found something else"));
}

/// One tensor of every element type, stored in both ways, and the values that must come out.
#[test]
fn tensors_of_every_type_and_storage() {
    let typed = |data_type: ElementType, fill: fn(&mut TensorProto)| {
        let mut tensor =
            TensorProto { name: "t".into(), dims: vec![2], data_type: data_type.code(), ..TensorProto::default() };
        fill(&mut tensor);
        tensor.to_tensor().unwrap().data
    };
    let raw =
        |data_type, bytes: &[u8]| TensorProto::with_raw("t", data_type, &[2], bytes.to_vec()).to_tensor().unwrap().data;
    use ElementType as E;
    assert_eq!(typed(E::Float, |t| t.float_data = vec![1.5, -2.0]), OnnxData::F32(vec![1.5, -2.0]));
    assert_eq!(raw(E::Float, &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]), OnnxData::F32(vec![1.5, -2.0]));
    assert_eq!(typed(E::Float16, |t| t.int32_data = vec![0x3e00, 0xc000]), OnnxData::F32(vec![1.5, -2.0]));
    assert_eq!(raw(E::Float16, &[0, 0x3e, 0, 0xc0]), OnnxData::F32(vec![1.5, -2.0]));
    assert_eq!(typed(E::Bfloat16, |t| t.int32_data = vec![0x3fc0, 0xc000]), OnnxData::F32(vec![1.5, -2.0]));
    assert_eq!(raw(E::Bfloat16, &[0xc0, 0x3f, 0, 0xc0]), OnnxData::F32(vec![1.5, -2.0]));
    assert_eq!(typed(E::Double, |t| t.double_data = vec![1.5, -2.0]), OnnxData::F64(vec![1.5, -2.0]));
    assert_eq!(
        raw(E::Double, &[1.5_f64.to_le_bytes(), (-2.0_f64).to_le_bytes()].concat()),
        OnnxData::F64(vec![1.5, -2.0])
    );
    for (t, bytes) in [(E::Int16, 2), (E::Int32, 4), (E::Int64, 8)] {
        let data = [-2_i64, 300].map(|x| x.to_le_bytes()[..bytes].to_vec()).concat();
        assert_eq!(raw(t, &data), OnnxData::I64(vec![-2, 300]));
    }
    for (t, bytes) in [(E::Uint16, 2), (E::Uint32, 4), (E::Uint64, 8)] {
        let data = [65_534_u64, 300].map(|x| x.to_le_bytes()[..bytes].to_vec()).concat();
        assert_eq!(raw(t, &data), OnnxData::I64(vec![65_534, 300]));
    }
    for t in [E::Int16, E::Int32] {
        assert_eq!(typed(t, |t| t.int32_data = vec![-2, 300]), OnnxData::I64(vec![-2, 300]));
    }
    assert_eq!(typed(E::Uint16, |t| t.int32_data = vec![65_534, 300]), OnnxData::I64(vec![65_534, 300]));
    assert_eq!(typed(E::Int64, |t| t.int64_data = vec![-2, i64::MAX]), OnnxData::I64(vec![-2, i64::MAX]));
    for t in [E::Uint32, E::Uint64] {
        assert_eq!(typed(t, |t| t.uint64_data = vec![1, 4_294_967_295]), OnnxData::I64(vec![1, 4_294_967_295]));
    }
    assert_eq!(typed(E::Int8, |t| t.int32_data = vec![-128, 127]), OnnxData::I8(vec![-128, 127]));
    assert_eq!(raw(E::Int8, &[0x80, 0x7f]), OnnxData::I8(vec![-128, 127]));
    assert_eq!(typed(E::Uint8, |t| t.int32_data = vec![0, 255]), OnnxData::U8(vec![0, 255]));
    assert_eq!(raw(E::Uint8, &[0, 255]), OnnxData::U8(vec![0, 255]));
    assert_eq!(typed(E::Bool, |t| t.int32_data = vec![0, 1]), OnnxData::Bool(vec![false, true]));
    assert_eq!(raw(E::Bool, &[0, 1]), OnnxData::Bool(vec![false, true]));
    assert_eq!(
        typed(E::String, |t| t.string_data = vec!["a".into(), "β".into()]),
        OnnxData::Text(vec!["a".into(), "β".into()])
    );
}

#[test]
fn tensors_convert_only_where_that_makes_sense() {
    let values = |t: TensorProto| t.to_tensor().unwrap();
    let doubles = TensorProto::with_raw("d", ElementType::Double, &[1], 0.1_f64.to_le_bytes().to_vec());
    assert_eq!(values(doubles.clone()).to_f32().unwrap(), [0.1_f32]);
    assert!(values(doubles).to_i64().is_err());
    assert_eq!(values(TensorProto::i8("i", &[2], &[-1, 2])).to_i64().unwrap(), [-1, 2]);
    assert!(values(TensorProto::i8("i", &[2], &[-1, 2])).to_f32().is_err());
    assert_eq!(values(TensorProto::i64("s", &[], &[5])).to_i64().unwrap(), [5]);
}

#[test]
fn tensors_that_make_no_sense_are_refused() {
    let with = |change: fn(&mut TensorProto)| {
        let mut tensor = TensorProto::f32("w", &[2], &[1.0, 2.0]);
        change(&mut tensor);
        let error = tensor.to_tensor().unwrap_err();
        let mut graph = GraphBuilder::new("g");
        graph.initializer(tensor);
        let of_model = graph.finish("p").err().map(|e| e.to_string());
        (error.to_string(), of_model)
    };
    let both = |change, want: &str| assert_eq!(with(change), (want.to_owned(), Some(want.to_owned())));
    both(|t| t.dims = vec![3], "ONNX model, tensor \"w\": expected 3 elements, as the dimensions [3] say, found 2");
    both(|t| t.dims = vec![1], "ONNX model, tensor \"w\": expected 1 elements, as the dimensions [1] say, found 2");
    both(|t| t.dims = vec![-1], "ONNX model, tensor \"w\": expected dimensions of 0 or more, found -1");
    both(
        |t| t.dims = vec![1 << 40, 1 << 40],
        "ONNX model, tensor \"w\": expected dimensions that can be multiplied, found [1099511627776, 1099511627776]",
    );
    both(
        |t| t.raw_data.truncate(7),
        "ONNX model, tensor \"w\": expected 2 elements, as the dimensions [2] say, found 7 bytes",
    );
    both(|t| t.raw_data.clear(), "ONNX model, tensor \"w\": expected 2 elements, as the dimensions [2] say, found 0");
    both(
        |t| t.data_type = 8,
        "ONNX model, tensor \"w\": expected 2 elements, as the dimensions [2] say, found 8 bytes",
    );
    // an unknown type is only an error when the tensor is used
    let (error, of_model) = with(|t| t.data_type = 14);
    assert_eq!(
        error,
        "ONNX model: tensor \"w\" of element type 14 is not supported; convert it to float, double or an integer type"
    );
    assert_eq!(of_model, None);
    let (error, _) = with(|t| {
        *t = TensorProto {
            name: "w".into(),
            dims: vec![1],
            data_type: 3,
            int32_data: vec![200],
            ..TensorProto::default()
        };
    });
    assert_eq!(error, "ONNX model, tensor \"w\": expected elements within the range of their type, found 200");
    let (error, _) = with(|t| {
        *t = TensorProto {
            name: "w".into(),
            dims: vec![1],
            data_type: 13,
            uint64_data: vec![u64::MAX],
            ..TensorProto::default()
        };
    });
    assert_eq!(error, "ONNX model, tensor \"w\": expected elements below 2^63, found 18446744073709551615");
}

/// The location is the attacker's: it is shown, and nothing is opened.
#[test]
fn external_data_is_refused_wherever_it_is() {
    let outside = TensorProto {
        external_data: vec![StringStringEntry { key: "location".into(), value: "../../etc/passwd".into() }],
        ..TensorProto::f32("w", &[2], &[1.0, 2.0])
    };
    let flagged = TensorProto { data_location: 1, external_data: vec![], ..outside.clone() };
    for tensor in [outside, flagged] {
        let mut as_weight = GraphBuilder::new("g");
        as_weight.initializer(tensor.clone());
        let mut as_constant = GraphBuilder::new("g");
        as_constant.node("Constant", &[], &["c"], vec![AttributeProto::tensor("value", tensor)]);
        for graph in [as_weight, as_constant] {
            let error = graph.finish("p").unwrap_err();
            assert!(matches!(&error, FormatError::ExternalData { tensor, .. } if tensor == "w"), "{error}");
        }
    }
}

fn relu(input: &str, output: &str) -> NodeProto {
    NodeProto { op_type: "Relu".into(), input: vec![input.into()], output: vec![output.into()], ..NodeProto::default() }
}

#[test]
fn graphs_that_cannot_be_computed_are_refused() {
    let with = |change: fn(&mut ModelProto)| {
        let mut model = written();
        change(&mut model);
        parse(&model.to_bytes()).unwrap_err().to_string()
    };
    fn graph(model: &mut ModelProto) -> &mut GraphProto {
        model.graph.as_mut().unwrap()
    }
    type Change = fn(&mut ModelProto);
    let cases: [(Change, &str); 7] = [
        (|m| m.graph = None, "x.onnx, whole file: expected a graph, found a model without one"),
        (|m| m.opset_import.clear(), "x.onnx, model: expected the version of an operator set, found none"),
        (
            |m| graph(m).node.swap(0, 1),
            "x.onnx, node 0 (LeakyRelu \"r.LeakyRelu\"): expected inputs that are made before, found \"c\", which is not",
        ),
        (
            |m| graph(m).node.push(relu("x", "y")),
            "x.onnx, node 7 (Relu \"\"): expected outputs of new names, found \"y\", which is taken",
        ),
        (
            |m| graph(m).node.push(relu("z", "z")),
            "x.onnx, node 7 (Relu \"\"): expected inputs that are made before, found \"z\", which is not",
        ),
        (|m| graph(m).node[2].op_type.clear(), "x.onnx, node 2 ( \"f.Reshape\"): expected an operator, found none"),
        (
            |m| graph(m).output[0].name = "nothing".into(),
            "x.onnx, output \"nothing\": expected a value that a node makes, found none of that name",
        ),
    ];
    for (change, want) in cases {
        assert_eq!(with(change), want);
    }
}

/// Graphs in nodes see the values around them, and those do not see theirs.
#[test]
fn inner_graphs_have_their_own_scope() {
    let inner = |input: &str| GraphProto { node: vec![relu(input, "inside")], ..GraphProto::default() };
    let node = |input: &str| {
        let g = AttributeProto { g: Some(Box::new(inner(input))), r#type: 5, ..AttributeProto::default() };
        NodeProto { op_type: "If".into(), attribute: vec![g], output: vec!["o".into()], ..NodeProto::default() }
    };
    let with = |nodes: Vec<NodeProto>| {
        let mut model = written();
        model.graph.as_mut().unwrap().node.extend(nodes);
        parse(&model.to_bytes())
    };
    with(vec![node("x"), relu("o", "p")]).unwrap();
    assert!(with(vec![node("nowhere")]).is_err());
    assert!(with(vec![node("x"), relu("inside", "p")]).is_err());
}

/// A protobuf field of bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

#[test]
fn unknown_fields_are_skipped() {
    let model = written();
    let mut bytes = model.to_bytes();
    bytes.extend(field(15, b"\xff\xff\xff")); // not a message of ours, so anything may be inside
    bytes.extend([13 << 3 | 5, 1, 2, 3, 4]); // a fixed 32-bit number
    bytes.extend([12 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]); // a fixed 64-bit number
    bytes.extend([11 << 3, 0x85, 0x01]); // a varint
    assert_eq!(parse(&bytes).unwrap(), model);
}

#[test]
fn features_that_change_the_meaning_are_refused() {
    let mut with_functions = written().to_bytes();
    with_functions.extend([0xca, 0x01, 0]); // field 25, empty
    let sparse = field(7, &field(15, b""));
    for bytes in [with_functions, sparse] {
        let error = parse(&bytes).unwrap_err();
        assert!(matches!(error, FormatError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn damage_is_found_at_its_byte() {
    let at = |bytes: &[u8]| match parse(bytes).unwrap_err() {
        FormatError::Malformed { at: Position::Offset(at), expected, .. } => (at, expected),
        other => panic!("{other}"),
    };
    assert_eq!(at(&[7 << 3 | 2, 100, 0]), (1, "at most 1 bytes, the rest of the message in ModelProto".into()));
    let inner = field(7, &[5 << 3 | 2, 9, 8, 7]);
    assert_eq!(at(&inner), (3, "at most 2 bytes, the rest of the message in GraphProto".into()));
    assert_eq!(at(&[8, 0xff]), (1, "a number in ModelProto".into()));
    assert_eq!(
        at(&[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        (1, "a number of at most 10 bytes in ModelProto".into())
    );
    assert_eq!(at(&[8, 1, 9 << 3 | 3]), (2, "a field of wire type 0, 1, 2 or 5 in ModelProto".into()));
    assert_eq!(at(&[9 << 3 | 1, 0, 0]), (1, "8 bytes in ModelProto".into()));
}

#[test]
fn endless_nesting_is_refused() {
    let nested = |levels: usize| {
        let mut graph = GraphProto::default();
        for _ in 0..levels {
            let attribute = AttributeProto { g: Some(Box::new(graph)), ..AttributeProto::default() };
            let node = NodeProto { op_type: "Loop".into(), attribute: vec![attribute], ..NodeProto::default() };
            graph = GraphProto { node: vec![node], ..GraphProto::default() };
        }
        let mut model = written();
        model.graph = Some(graph);
        parse(&model.encode_to_vec())
    };
    nested((MAX_DEPTH - 1) / 3).unwrap();
    let error = nested(MAX_DEPTH / 3 + 1).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge { limit, .. } if limit == MAX_DEPTH as u64), "{error}");
}

/// Whatever the bytes are: no panic, and what is accepted can be looked at, written and read again.
fn survives(bytes: &[u8]) {
    let Ok(model) = parse(bytes) else { return };
    for tensor in tensors(model.graph().unwrap()) {
        let _ = tensor.to_tensor().map(|t| (t.to_f32().is_ok(), t.to_i64().is_ok()));
    }
    assert_eq!(parse(&model.to_bytes()).unwrap().graph().unwrap().node.len(), model.graph().unwrap().node.len());
}

/// The small fixtures, one of each exporter.
fn small() -> Vec<Vec<u8>> {
    let names = ["sklearn-linear", "torch-ts-embedding", "written"];
    names.iter().map(|name| fs::read(golden(&format!("{name}.onnx"))).unwrap()).collect()
}

#[test]
fn every_truncation_is_survived() {
    for bytes in small() {
        (0..bytes.len()).for_each(|n| survives(&bytes[..n]));
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    for mut bytes in small() {
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            survives(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_byte_turned_into_a_huge_number_is_survived() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for bytes in small() {
        for at in 0..bytes.len() {
            survives(&[&bytes[..at], &huge, &bytes[at + 1..]].concat());
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = ModelProto::read(Path::new("/nowhere/x.onnx")).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/x.onnx: "), "{error}");
}
