//! Just enough ONNX to hand a dense network to the runtimes that read it.
//!
//! Written by hand and apart from the library under test, so that no fault of ours can flatter us.
//! Field numbers are those of `onnx.proto`, IR version 8, opset 13.

use crate::cases::Activation;
use crate::net::Net;

/// Element types of tensors.
const FLOAT: u64 = 1;
const UINT8: u64 = 2;
const INT8: u64 = 3;
const INT32: u64 = 6;
/// Types of attributes.
const INT: u64 = 2;

/// A protocol-buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, inner: Self) -> Self {
        self.bytes(field, &inner.0)
    }
}

/// The network for a fixed number of rows: `Gemm` (weights `[outputs, inputs]`, as PyTorch exports) and `Relu` or `Tanh`.
pub fn model(net: &Net, rows: usize) -> Vec<u8> {
    with_header(graph(net, rows))
}

/// The same network in int8 as `onnxruntime.quantization.quantize_static` writes it (QDQ): weights to 127 steps a side for each output,
/// what goes into a layer to 255 steps over the range that it has on the rows that are timed.
pub fn quantised(net: &Net, rows: usize) -> Vec<u8> {
    with_header(quantised_graph(net, rows))
}

fn with_header(graph: Message) -> Vec<u8> {
    let opset = Message::default().int(2, 13);
    Message::default().int(1, 8).text(2, "mayfly-bench").message(7, graph).message(8, opset).0
}

fn graph(net: &Net, rows: usize) -> Message {
    let last = net.layers.len() - 1;
    let mut graph = Message::default().text(2, "net");
    let mut from = "x".to_string();
    for (at, layer) in net.layers.iter().enumerate() {
        let (w, b, z) = (format!("w{at}"), format!("b{at}"), if at == last { "y".into() } else { format!("z{at}") });
        let transposed = Message::default().text(1, "transB").int(3, 1).int(20, INT);
        graph = graph
            .message(1, node("Gemm", &[&from, &w, &b], &z).message(5, transposed))
            .message(5, tensor(&w, &[layer.outputs, layer.inputs], &layer.weights))
            .message(5, tensor(&b, &[layer.outputs], &layer.bias));
        from = z;
        if at != last {
            let op = if net.activation == Activation::Relu { "Relu" } else { "Tanh" };
            let h = format!("h{at}");
            graph = graph.message(1, node(op, &[&from], &h));
            from = h;
        }
    }
    graph.message(11, value("x", &[rows, net.inputs()])).message(12, value("y", &[rows, net.outputs()]))
}

fn quantised_graph(net: &Net, rows: usize) -> Message {
    let last = net.layers.len() - 1;
    let mut graph = Message::default().text(2, "net");
    let mut from = "x".to_string();
    for (at, (layer, [low, high])) in net.layers.iter().zip(net.ranges(rows)).enumerate() {
        let name = |what: &str| format!("{what}{at}");
        let scale = (high.max(0.0) - low.min(0.0)) / 255.0;
        let zero = (-low.min(0.0) / scale).round() as u8;
        let steps: Vec<f32> = layer.weights.chunks(layer.inputs).map(|row| largest(row) / 127.0).collect();
        let rows_of_w = layer.weights.chunks(layer.inputs).zip(&steps);
        let w: Vec<u8> =
            rows_of_w.flat_map(|(w, step)| w.iter().map(move |w| (w / step).round() as i8 as u8)).collect();
        let b_steps: Vec<f32> = steps.iter().map(|step| step * scale).collect();
        let b = layer.bias.iter().zip(&b_steps).flat_map(|(b, step)| ((b / step).round() as i32).to_le_bytes());
        let z = if at == last { "y".into() } else { name("z") };
        let transposed = Message::default().text(1, "transB").int(3, 1).int(20, INT);
        let by_row = || Message::default().text(1, "axis").int(3, 0).int(20, INT);
        graph = graph
            .message(5, tensor(&name("xs"), &[], &[scale]))
            .message(5, raw_tensor(&name("xz"), &[], UINT8, &[zero]))
            .message(5, tensor(&name("ws"), &[layer.outputs], &steps))
            .message(5, raw_tensor(&name("wz"), &[layer.outputs], INT8, &vec![0; layer.outputs]))
            .message(5, raw_tensor(&name("wq"), &[layer.outputs, layer.inputs], INT8, &w))
            .message(5, tensor(&name("bs"), &[layer.outputs], &b_steps))
            .message(5, raw_tensor(&name("bz"), &[layer.outputs], INT32, &vec![0; 4 * layer.outputs]))
            .message(5, raw_tensor(&name("bq"), &[layer.outputs], INT32, &b.collect::<Vec<u8>>()))
            .message(1, node("QuantizeLinear", &[&from, &name("xs"), &name("xz")], &name("xq")))
            .message(1, node("DequantizeLinear", &[&name("xq"), &name("xs"), &name("xz")], &name("xd")))
            .message(
                1,
                node("DequantizeLinear", &[&name("wq"), &name("ws"), &name("wz")], &name("wd")).message(5, by_row()),
            )
            .message(
                1,
                node("DequantizeLinear", &[&name("bq"), &name("bs"), &name("bz")], &name("bd")).message(5, by_row()),
            )
            .message(1, node("Gemm", &[&name("xd"), &name("wd"), &name("bd")], &z).message(5, transposed));
        from = z;
        if at != last {
            let op = if net.activation == Activation::Relu { "Relu" } else { "Tanh" };
            graph = graph.message(1, node(op, &[&from], &name("h")));
            from = name("h");
        }
    }
    graph.message(11, value("x", &[rows, net.inputs()])).message(12, value("y", &[rows, net.outputs()]))
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()))
}

fn node(op: &str, inputs: &[&str], output: &str) -> Message {
    inputs.iter().fold(Message::default(), |node, input| node.text(1, input)).text(2, output).text(4, op)
}

fn tensor(name: &str, dims: &[usize], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    raw_tensor(name, dims, FLOAT, &raw)
}

fn raw_tensor(name: &str, dims: &[usize], element: u64, raw: &[u8]) -> Message {
    let dims = dims.iter().fold(Message::default(), |tensor, &d| tensor.int(1, d as u64));
    dims.int(2, element).text(8, name).bytes(9, raw)
}

fn value(name: &str, dims: &[usize]) -> Message {
    let dim = |shape: Message, &d: &usize| shape.message(1, Message::default().int(1, d as u64));
    let shape = dims.iter().fold(Message::default(), dim);
    let tensor = Message::default().int(1, FLOAT).message(2, shape);
    Message::default().text(1, name).message(2, Message::default().message(1, tensor))
}
