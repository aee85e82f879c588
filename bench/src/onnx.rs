//! Just enough ONNX to hand a dense network to the runtimes that read it.
//!
//! Written by hand and apart from the library under test, so that no fault of ours can flatter us.
//! Field numbers are those of `onnx.proto`, IR version 8, opset 13.

use crate::cases::Activation;
use crate::net::Net;

const FLOAT: u64 = 1;
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
    let opset = Message::default().int(2, 13);
    let graph = graph(net, rows);
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

fn node(op: &str, inputs: &[&str], output: &str) -> Message {
    inputs.iter().fold(Message::default(), |node, input| node.text(1, input)).text(2, output).text(4, op)
}

fn tensor(name: &str, dims: &[usize], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let dims = dims.iter().fold(Message::default(), |tensor, &d| tensor.int(1, d as u64));
    dims.int(2, FLOAT).text(8, name).bytes(9, &raw)
}

fn value(name: &str, dims: &[usize]) -> Message {
    let dim = |shape: Message, &d: &usize| shape.message(1, Message::default().int(1, d as u64));
    let shape = dims.iter().fold(Message::default(), dim);
    let tensor = Message::default().int(1, FLOAT).message(2, shape);
    Message::default().text(1, name).message(2, Message::default().message(1, tensor))
}
