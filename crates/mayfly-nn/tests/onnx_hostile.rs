//! Damaged graphs: whatever is changed in a model, importing it gives a network or an error, never a panic, and an error says where.
mod onnx_common;

use mayfly_base::Rng;
use mayfly_format::onnx::{AttributeProto, Dim, ElementType, GraphBuilder, ModelProto, TensorProto};
use mayfly_nn::NnError;
use mayfly_nn::onnx::{ImportOptions, OnnxError, import};
use onnx_common::fixtures;

/// Rounds per fixture.
const ROUNDS: u64 = 60;

const NUMBERS: [i64; 10] = [0, 1, -1, 2, -2, 3, 7, i64::MAX, i64::MIN, 1 << 33];

fn pick<'a, T>(rng: &mut Rng, all: &'a mut [T]) -> Option<&'a mut T> {
    let n = all.len() as u64;
    if n == 0 { None } else { all.get_mut(rng.below(n) as usize) }
}

fn number(rng: &mut Rng) -> i64 {
    NUMBERS[rng.below(NUMBERS.len() as u64) as usize]
}

fn damage_attribute(rng: &mut Rng, attribute: &mut AttributeProto) {
    if let Some(i) = &mut attribute.i {
        *i = number(rng);
    }
    if let Some(f) = &mut attribute.f {
        *f = [0.0, -1.0, f32::NAN, f32::INFINITY][rng.below(4) as usize];
    }
    if let Some(text) = &mut attribute.s {
        *text = b"reverse".to_vec();
    }
    if let Some(v) = pick(rng, &mut attribute.ints) {
        *v = NUMBERS[2];
    }
    if rng.below(2) == 0 {
        attribute.ints.push(number(rng));
        attribute.floats.pop();
    }
}

fn damage_tensor(rng: &mut Rng, tensor: &mut TensorProto) {
    match rng.below(3) {
        0 => tensor.dims.reverse(),
        1 if tensor.data_type == ElementType::Int64.code() && tensor.raw_data.len() >= 8 => {
            let value = number(rng).to_le_bytes();
            tensor.raw_data[..8].copy_from_slice(&value);
        }
        _ => {
            tensor.dims.push(1);
        }
    }
}

fn damage(rng: &mut Rng, model: &mut ModelProto) {
    let graph = model.graph.as_mut().unwrap();
    let names: Vec<String> = graph
        .node
        .iter()
        .flat_map(|n| n.output.clone())
        .chain(graph.initializer.iter().map(|t| t.name.clone()))
        .collect();
    if graph.node.is_empty() || names.is_empty() {
        return;
    }
    let other = names[rng.below(names.len() as u64) as usize].clone();
    match rng.below(8) {
        0 => {
            let at = rng.below(graph.node.len() as u64) as usize;
            let gone = graph.node.remove(at);
            let stand_in = gone.input.first().cloned().unwrap_or_default();
            let replace = |i: &mut String| {
                if gone.output.contains(i) {
                    i.clone_from(&stand_in)
                }
            };
            graph.node.iter_mut().flat_map(|n| &mut n.input).for_each(replace);
        }
        1 => pick(rng, &mut graph.node).into_iter().for_each(|n| n.input.reverse()),
        2 => {
            let Some(node) = pick(rng, &mut graph.node) else { return };
            if let Some(input) = pick(rng, &mut node.input) {
                *input = other;
            }
        }
        3 => pick(rng, &mut graph.node).into_iter().for_each(|n| n.attribute.clear()),
        4 => {
            let Some(node) = pick(rng, &mut graph.node) else { return };
            if let Some(a) = pick(rng, &mut node.attribute) {
                damage_attribute(rng, a);
            }
        }
        5 => {
            if let Some(t) = pick(rng, &mut graph.initializer) {
                damage_tensor(rng, t);
            }
        }
        6 => {
            let op = graph.node[rng.below(graph.node.len() as u64) as usize].op_type.clone();
            pick(rng, &mut graph.node).into_iter().for_each(|n| n.op_type.clone_from(&op));
        }
        _ => {
            let Some(node) = pick(rng, &mut graph.node) else { return };
            node.input.pop();
            if let Some(t) = node.attribute.iter_mut().find_map(|a| a.t.as_deref_mut()) {
                damage_tensor(rng, t);
            }
        }
    }
}

#[test]
fn damaged_graphs_are_networks_or_errors() {
    let (mut fine, mut refused) = (0, 0);
    for path in fixtures() {
        let whole = ModelProto::read(&path).unwrap();
        for round in 0..ROUNDS {
            let mut rng = Rng::stream(round, path.as_os_str().len() as u64);
            let mut model = whole.clone();
            (0..=rng.below(3)).for_each(|_| damage(&mut rng, &mut model));
            match import(&model, &ImportOptions::default()) {
                Ok(imported) => {
                    fine += 1;
                    let x = vec![0.5; imported.model.network.input_len()];
                    let _ = imported.model.predict(&x);
                }
                Err(e) => {
                    refused += 1;
                    assert!(e.to_string().len() > 10, "{e}");
                }
            }
        }
    }
    assert!(fine > 100 && refused > 500, "{fine} imported, {refused} refused");
}

fn tiny(build: impl FnOnce(&mut GraphBuilder)) -> OnnxError {
    let mut graph = GraphBuilder::new("tiny");
    graph.input("x", ElementType::Float, &["batch".into(), 2.into(), 3.into()]);
    graph.output("y", ElementType::Float, &["batch".into(), 2.into(), 3.into()]);
    build(&mut graph);
    match import(&graph.finish("a test").unwrap(), &ImportOptions::default()) {
        Err(NnError::Onnx(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_say_which_node_and_why() {
    let unknown = tiny(|g| g.node("Einsum", &["x"], &["y"], Vec::new()));
    assert!(
        matches!(&unknown, OnnxError::Operator { op, supported, .. } if op == "Einsum" && supported.contains(&"Gemm")),
        "{unknown}"
    );
    let batch = tiny(|g| g.node("ReduceMean", &["x"], &["y"], vec![AttributeProto::ints("axes", &[0])]));
    assert!(batch.to_string().contains("y.ReduceMean") && batch.to_string().contains("batch"), "{batch}");
    let mixed = tiny(|g| {
        g.i64("to", &[2], &[3, -1]);
        g.node("Reshape", &["x", "to"], &["y"], Vec::new());
    });
    assert!(mixed.to_string().contains("Reshape"), "{mixed}");
    let bomb = tiny(|g| {
        g.i64("to", &[3], &[1, 1 << 20, 1 << 12]);
        g.f32("one", &[1], &[1.0]);
        g.node("Expand", &["one", "to"], &["big"], Vec::new());
        g.node("MatMul", &["x", "big"], &["y"], Vec::new());
    });
    assert!(bomb.to_string().contains("more"), "{bomb}");
    let count = tiny(|g| {
        g.node("Shape", &["x"], &["s"], Vec::new());
        g.i64("zero", &[], &[0]);
        g.node("Gather", &["s", "zero"], &["n"], Vec::new());
        g.node("Cast", &["n"], &["rows"], vec![AttributeProto::int("to", 1)]);
        g.node("Div", &["x", "rows"], &["y"], Vec::new());
    });
    assert!(count.to_string().contains("number of rows"), "{count}");
    let before = tiny(|g| g.node("GRU", &["x"], &["y"], Vec::new()));
    assert!(before.to_string().contains("GRU"), "{before}");
}

/// The longest range that 64 bits can name, counted down; an axis that comes twice; the least integer negated, divided and taken modulo.
#[test]
fn the_ends_of_integers_are_errors() {
    let shapes = |g: &mut GraphBuilder| {
        g.input("x", ElementType::Float, &[Dim::Free("batch".into()), Dim::Fixed(2), Dim::Fixed(3)]);
        g.output("y", ElementType::Float, &[Dim::Free("batch".into())]);
    };
    for (start, end, step) in
        [(1, i64::MIN, -1), (0, i64::MAX, 1), (i64::MIN, i64::MAX, 1), (i64::MAX, i64::MIN, i64::MIN)]
    {
        let mut g = GraphBuilder::new("g");
        shapes(&mut g);
        g.i64("a", &[], &[start]);
        g.i64("b", &[], &[end]);
        g.i64("c", &[], &[step]);
        g.node("Range", &["a", "b", "c"], &["r"], vec![]);
        g.node("Relu", &["x"], &["y"], vec![]);
        let result = import(&g.finish("test").unwrap(), &ImportOptions::default());
        // The last has two elements: 2^63 − 1 and −1.
        assert_eq!(result.is_ok(), step == i64::MIN, "{start} {end} {step}");
    }
    for op in ["Neg", "Div", "Mod", "Mul", "Sub"] {
        let mut g = GraphBuilder::new("g");
        shapes(&mut g);
        g.i64("least", &[1], &[i64::MIN]);
        g.i64("minus", &[1], &[-1]);
        let inputs: &[&str] = if op == "Neg" { &["least"] } else { &["least", "minus"] };
        g.node(op, inputs, &["r"], vec![]);
        g.node("Reshape", &["x", "r"], &["y"], vec![]);
        assert!(import(&g.finish("test").unwrap(), &ImportOptions::default()).is_err(), "{op}");
    }
    for (op, axes) in [("ReduceMean", [1, 1]), ("ReduceMean", [1, -2]), ("ReduceMax", [2, -1]), ("ReduceL2", [2, 2])] {
        let mut g = GraphBuilder::new("g");
        g.operator_set("", 11);
        shapes(&mut g);
        g.node(op, &["x"], &["y"], vec![AttributeProto::ints("axes", &axes)]);
        let said = import(&g.finish("test").unwrap(), &ImportOptions::default()).unwrap_err().to_string();
        assert!(said.contains("twice"), "{op} {axes:?}: {said}");
    }
}

/// Free sizes are given by the whole shape; what it says must go with what the model says.
#[test]
fn free_sizes_are_given_by_a_shape() {
    let mut g = GraphBuilder::new("g");
    g.input("x", ElementType::Float, &["batch".into(), 2.into(), "height".into(), "width".into()]);
    g.output("y", ElementType::Float, &["batch".into()]);
    g.node("Flatten", &["x"], &["y"], vec![]);
    let model = g.finish("test").unwrap();
    let with = |shape: &str| {
        let options = ImportOptions { shape: Some(shape.parse().unwrap()), ..ImportOptions::default() };
        import(&model, &options).map(|i| i.model.network.input_len()).map_err(|e| e.to_string())
    };
    assert_eq!(with("1,2,3,4"), Ok(24));
    assert_eq!(with("x=7,2,3,4"), Ok(24)); // rows are free
    for (shape, word) in [("1,3,3,4", "dimension 1 is 2"), ("2,3,4", "4 dimensions"), ("z=1,2,3,4", "\"z\"")] {
        assert!(with(shape).unwrap_err().contains(word), "{shape}");
    }
    let said = import(&model, &ImportOptions::default()).unwrap_err().to_string();
    assert!(said.contains("dimension 2 (\"height\") is free") && said.contains("--shape 1,N1,N2,N3"), "{said}");
    let sizes = [("height".to_owned(), 3), ("width".to_owned(), 4)].into();
    assert!(import(&model, &ImportOptions { sizes, ..ImportOptions::default() }).is_ok());
    for bad in ["", "1,,2", "0,3", "a,b", "1,-2", "x="] {
        assert!(bad.parse::<mayfly_nn::onnx::InputShape>().is_err(), "{bad:?}");
    }
}
