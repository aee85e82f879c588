//! What plans look like, what is refused, and the user's own operations.
mod common;
use common::*;
use mayfly_graph::*;
use std::sync::Arc;

fn mlp(g: &mut Graph) -> NodeId {
    let x = g.input("x", Shape::batched(&[4]).unwrap()).unwrap();
    let (w1, b1) = (g.param("w1", &[8, 4]).unwrap(), g.param("b1", &[8]).unwrap());
    let (w2, b2) = (g.param("w2", &[3, 8]).unwrap(), g.param("b2", &[3]).unwrap());
    let z = g.linear(x, w1, Some(b1)).unwrap();
    let h = g.act(z, Act::Relu).unwrap();
    g.linear(h, w2, Some(b2)).unwrap()
}

#[test]
fn inference_plan_is_two_packed_layers() {
    let mut g = Graph::new();
    let y = mlp(&mut g);
    g.output("y", y).unwrap();
    insta::assert_snapshot!(Plan::new(&g, &PlanOptions::batch(2)).unwrap());
}

#[test]
fn training_plan_writes_gradients_in_place() {
    let mut g = Graph::new();
    let y = mlp(&mut g);
    let loss = with_loss(&mut g, y, Loss::Mse);
    g.output("loss", loss).unwrap();
    insta::assert_snapshot!(Plan::new(&gradient(&g, loss).unwrap(), &PlanOptions::batch(2)).unwrap());
}

#[test]
fn memory_of_dead_values_is_used_again() {
    let mut g = Graph::new();
    let mut x = g.input("x", Shape::batched(&[64]).unwrap()).unwrap();
    for i in 0..20 {
        let w = g.param(&format!("w{i}"), &[64, 64]).unwrap();
        x = g.linear(x, w, None).unwrap();
    }
    g.output("y", x).unwrap();
    let plan = Plan::new(&g, &PlanOptions::batch(1)).unwrap();
    assert_eq!(plan.arena_bytes(), 3 * 64 * 4, "the input and two values that take turns");
}

/// A first layer that alone reads the input takes it from the caller; one that is not alone must find it in the session.
#[test]
fn inputs_arrive_whoever_else_reads_them() {
    let params: Vec<f32> = (0..12 + 3 + 24 + 3).map(|i| (i as f32 * 0.7).sin()).collect();
    let x: Vec<f32> = (0..8).map(|i| i as f32 - 3.5).collect();
    for others in 0..4 {
        let mut g = Graph::new();
        let i = g.input("x", Shape::batched(&[4]).unwrap()).unwrap();
        let (w, b) = (g.param("w", &[3, 4]).unwrap(), g.param("b", &[3]).unwrap());
        let (v, c) = (g.param("v", &[3, 8]).unwrap(), g.param("c", &[3]).unwrap());
        let y = g.linear(i, w, Some(b)).unwrap();
        let y = match others {
            0 => y,
            1 => {
                let part = g.slice(i, 1, 1, 3).unwrap();
                g.add(y, part).unwrap()
            }
            2 => {
                let wide = g.concat(&[i, i], 1).unwrap();
                let z = g.linear(wide, v, Some(c)).unwrap();
                g.mul(y, z).unwrap()
            }
            _ => {
                g.output("other", i).unwrap();
                y
            }
        };
        g.output("y", y).unwrap();
        let plan = Plan::new(&g, &PlanOptions::batch(2)).unwrap();
        let params = &params[..plan.param_len()];
        let (mut direct, mut copied) =
            (Session::new(plan.clone(), params).unwrap(), Session::new(plan, params).unwrap());
        direct.infer(&x).unwrap();
        copied.input_mut(0).copy_from_slice(&x);
        copied.run();
        for output in 0..1 + usize::from(others == 3) {
            assert_eq!(direct.output(output), copied.output(output), "{others}");
            assert!(copied.output(output).iter().any(|v| *v != 0.0));
        }
    }
}

#[test]
fn constants_are_folded() {
    let mut g = Graph::new();
    let x = g.input("x", Shape::batched(&[3]).unwrap()).unwrap();
    let a = g.constant(&[1.0, 2.0, 3.0], &[3]).unwrap();
    let b = g.constant(&[0.5], &[]).unwrap();
    let c = g.mul(a, b).unwrap();
    let c = g.act(c, Act::Square).unwrap();
    let y = g.add(x, c).unwrap();
    g.output("y", y).unwrap();
    let plan = Plan::new(&g, &PlanOptions::batch(1)).unwrap();
    assert_eq!(plan.to_string().lines().filter(|l| l.contains(" = ")).count(), 1);
    let mut s = Session::new(plan, &[]).unwrap();
    assert_eq!(s.infer(&[0.0, 0.0, 0.0]).unwrap(), [0.25, 1.0, 2.25]);
}

#[test]
fn refusals_say_what_is_wrong() {
    let mut g = Graph::new();
    let x = g.input("x", Shape::batched(&[4]).unwrap()).unwrap();
    let w = g.param("w", &[3, 5]).unwrap();
    let e = g.linear(x, w, None).unwrap_err();
    assert_eq!(e.to_string(), "linear: shape [3, 5] where [out, 4] for the weight was expected");
    assert!(matches!(g.input("x", Shape::scalar()), Err(GraphError::DuplicateName { kind: "input", .. })));
    assert!(matches!(g.reduce(x, ReduceKind::Sum, 0), Err(GraphError::BadShape { .. })));
    assert!(matches!(g.slice(x, 1, usize::MAX, 2), Err(GraphError::BadAttribute { .. })));
    assert!(matches!(g.dropout(x, 1.0, 0), Err(GraphError::BadAttribute { .. })));
    assert!(matches!(gradient(&g, x), Err(GraphError::LossNotScalar { .. })));
    assert!(matches!(Plan::new(&g, &PlanOptions::batch(1)), Err(GraphError::EmptyPlan { .. })));
    g.output("y", x).unwrap();
    assert!(matches!(Plan::new(&g, &PlanOptions::batch(0)), Err(GraphError::EmptyPlan { .. })));
    let tight = PlanOptions { arena_limit: 100, ..PlanOptions::batch(100) };
    assert!(matches!(Plan::new(&g, &tight), Err(GraphError::TooLarge { needed: 1600, limit: 100 })));
    let plan = Plan::new(&g, &PlanOptions::batch(1)).unwrap();
    assert!(matches!(Session::new(plan.clone(), &[0.0; 3]), Err(GraphError::Length { want: 15, got: 3, .. })));
    assert!(matches!(
        Session::new(plan, &[0.0; 15]).unwrap().infer(&[0.0; 5]),
        Err(GraphError::Length { want: 4, got: 5, .. })
    ));
}

/// `x·|x|`
#[derive(Debug)]
struct SignedSquare;

impl CustomActivation for SignedSquare {
    fn name(&self) -> &'static str {
        "signed_square"
    }
    fn forward(&self, y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x * x.abs());
    }
    fn backward(&self, dx: &mut [f32], dy: &[f32], x: &[f32], _: &[f32]) {
        dx.iter_mut().zip(dy.iter().zip(x)).for_each(|(dx, (dy, x))| *dx = dy * 2.0 * x.abs());
    }
}

#[test]
fn a_custom_activation_trains() {
    let mut g = Graph::new();
    let x = leaf(&mut g, "x", &[6]);
    let y = g.custom_act(x, Arc::new(SignedSquare)).unwrap();
    let loss = with_loss(&mut g, y, Loss::Mse);
    g.output("loss", loss).unwrap();
    let f = fill(g, 2, 3);
    let mut session =
        Session::for_training(Plan::new(&gradient(&f.graph, loss).unwrap(), &PlanOptions::batch(2)).unwrap());
    f.write_inputs(&mut session);
    let mut grads = vec![0.0; 6];
    session.backprop(&narrow(&f.params), &mut grads).unwrap();
    for c in 0..6 {
        let want: f64 = (0..2)
            .map(|r| {
                let x = f.inputs[0][r * 6 + c] + f.params[c];
                f.inputs[2][r] * 2.0 / 6.0 * (x * x.abs() - f.inputs[1][r * 6 + c]) * 2.0 * x.abs()
            })
            .sum();
        close(&[grads[c]], &[want], 1e-5).unwrap();
    }
}
