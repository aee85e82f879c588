//! ONNX: no panic, and what is accepted is written as bytes that read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_format::onnx::ModelProto;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = ModelProto::parse("fuzz.onnx", bytes) else { return };
    let graph = model.graph().expect("a model that was accepted has a graph");
    let constants = graph.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.t.as_deref());
    for tensor in graph.initializer.iter().chain(constants) {
        if let Ok(values) = tensor.to_tensor() {
            assert_eq!(values.data.len(), values.shape.iter().product::<usize>());
            let _ = (values.to_f32(), values.to_i64());
        }
    }
    for node in &graph.node {
        for attribute in &node.attribute {
            let name = &attribute.name;
            let _ = (
                node.int_or(name, 0),
                node.float_or(name, 0.0),
                node.text_or(name, ""),
                node.texts(name),
                node.tensor(name),
            );
        }
    }
    let written = model.to_bytes();
    let again = ModelProto::parse("again.onnx", &written).expect("what was written is read");
    assert_eq!(again.to_bytes(), written);
});
