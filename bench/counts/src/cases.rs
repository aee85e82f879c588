//! What is counted: one row through dense nets in each precision, and one training step.

use mayfly_graph::{Act, Graph, GraphError, Isa, Loss, NodeId, Plan, PlanOptions, Precision, Session, Shape, gradient};
use mayfly_kernels::{Sgd, sgd};

/// One call.
pub type Call = Box<dyn FnMut()>;

enum Work {
    Infer(Precision),
    SgdStep,
}

struct Case {
    name: &'static str,
    dims: &'static [usize],
    work: Work,
}

const CASES: &[Case] = &[
    Case { name: "infer 1 row 64-32-16 f32", dims: &[64, 32, 16], work: Work::Infer(Precision::F32) },
    Case { name: "infer 1 row 256-128-64-10 f32", dims: &[256, 128, 64, 10], work: Work::Infer(Precision::F32) },
    Case { name: "infer 1 row 256-128-64-10 bf16", dims: &[256, 128, 64, 10], work: Work::Infer(Precision::Bf16) },
    Case { name: "infer 1 row 256-128-64-10 int8", dims: &[256, 128, 64, 10], work: Work::Infer(Precision::Int8) },
    Case { name: "sgd step 1 row 64-32-10", dims: &[64, 32, 10], work: Work::SgdStep },
];

pub fn names() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

/// Everything up to the first call.
pub fn prepare(name: &str) -> Result<Call, String> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| format!("no case `{name}`; there are: {}", names().join(", ")))?;
    let call = match case.work {
        Work::Infer(precision) => infer(case.dims, precision),
        Work::SgdStep => sgd_step(case.dims),
    };
    call.map_err(|error| error.to_string())
}

/// Dense layers with relu between them.
fn build(graph: &mut Graph, dims: &[usize]) -> Result<NodeId, GraphError> {
    let mut h = graph.input("x", Shape::batched(&dims[..1])?)?;
    for (at, layer) in dims.windows(2).enumerate() {
        if at > 0 {
            h = graph.act(h, Act::Relu)?;
        }
        let w = graph.param(&format!("layers.{at}.weight"), &[layer[1], layer[0]])?;
        let b = graph.param(&format!("layers.{at}.bias"), &layer[1..])?;
        h = graph.linear(h, w, Some(b))?;
    }
    Ok(h)
}

/// Values that are neither zero nor alike.
fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 37 % 101) as f32 / 500.0 - 0.1).collect()
}

fn infer(dims: &[usize], precision: Precision) -> Result<Call, GraphError> {
    let mut graph = Graph::new();
    let y = build(&mut graph, dims)?;
    graph.output("y", y)?;
    let plan = Plan::new(&graph, &PlanOptions { precision, ..PlanOptions::batch(1) })?;
    let mut session = Session::new(plan, &values(graph.param_len()))?;
    session.input_mut(0).copy_from_slice(&values(dims[0]));
    Ok(Box::new(move || {
        session.run();
        std::hint::black_box(session.output(0));
    }))
}

fn sgd_step(dims: &[usize]) -> Result<Call, GraphError> {
    let mut graph = Graph::new();
    let y = build(&mut graph, dims)?;
    let t = graph.input("t", Shape::batched(&dims[dims.len() - 1..])?)?;
    let w = graph.input("w", Shape::batched(&[])?)?;
    let losses = graph.loss_rows(Loss::Mse, y, t)?;
    let loss = graph.weighted_sum(losses, w)?;
    graph.output("loss", loss)?;
    let graph = gradient(&graph, loss)?;
    let mut session = Session::for_training(Plan::new(&graph, &PlanOptions::batch(1))?);
    session.input_mut(0).copy_from_slice(&values(dims[0]));
    session.input_mut(2).fill(1.0);
    let mut parameters = values(graph.param_len());
    let mut gradients = vec![0.0; parameters.len()];
    let isa = Isa::detect();
    Ok(Box::new(move || {
        let ran = session.backprop(&parameters, &mut gradients);
        debug_assert!(ran.is_ok());
        sgd(isa, &mut parameters, &gradients, None, &Sgd::default());
        std::hint::black_box(&parameters);
    }))
}
