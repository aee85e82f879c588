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

/// Weights belong to a graph, a precision and an instruction set; other values for one session leave the others alone; threads share them.
/// On another thread, where there are any.
#[cfg(not(target_family = "wasm"))]
fn elsewhere(act: impl FnOnce() -> Vec<f32> + Send + 'static) -> Vec<f32> {
    std::thread::spawn(act).join().unwrap()
}

#[cfg(target_family = "wasm")]
fn elsewhere(act: impl FnOnce() -> Vec<f32>) -> Vec<f32> {
    act()
}

#[test]
fn weights_are_shared_by_sessions_that_fit() {
    let mut g = Graph::new();
    let y = mlp(&mut g);
    g.output("y", y).unwrap();
    let (one, four) = (Plan::new(&g, &PlanOptions::batch(1)).unwrap(), Plan::new(&g, &PlanOptions::batch(4)).unwrap());
    let params: Vec<f32> = (0..one.param_len()).map(|i| (i as f32 * 0.3).sin()).collect();
    let weights = Weights::new(&one, &params).unwrap();
    let mut a = Session::with_weights(one.clone(), weights.clone()).unwrap();
    let mut b = Session::with_weights(four, a.weights().unwrap().clone()).unwrap();
    let x = [0.5, -1.0, 2.0, 0.25];
    let want = a.infer(&x).unwrap().to_vec();
    let rows = elsewhere(move || b.infer(&x.repeat(4)).unwrap().to_vec());
    close(&rows, &want.repeat(4).iter().map(|v| f64::from(*v)).collect::<Vec<_>>(), 1e-6).unwrap();
    let mut c = Session::with_weights(one.clone(), weights.clone()).unwrap();
    c.set_params(&vec![0.0; params.len()]).unwrap();
    assert_eq!(c.infer(&x).unwrap(), [0.0; 3]);
    assert_eq!(a.infer(&x).unwrap(), want);
    // A session with weights of its own writes them in place.
    let own: *const Weights = &**c.weights().unwrap();
    c.set_params(&params).unwrap();
    assert!(std::ptr::eq(own, &**c.weights().unwrap()));
    assert_eq!(c.infer(&x).unwrap(), want);

    let mut h = Graph::new();
    let y = mlp(&mut h);
    let y = h.act(y, Act::Tanh).unwrap();
    h.output("y", y).unwrap();
    let same_layers = Plan::new(&h, &PlanOptions::batch(1)).unwrap();
    assert!(Session::with_weights(same_layers, weights.clone()).is_ok(), "the same layers, packed alike");
    let bf16 = Plan::new(&g, &PlanOptions { precision: Precision::Bf16, ..PlanOptions::batch(1) }).unwrap();
    let b1 = h.param("b3", &[3]).unwrap();
    let longer = h.add(y, b1).unwrap();
    h.output("z", longer).unwrap();
    let other = Plan::new(&h, &PlanOptions::batch(1)).unwrap();
    for plan in [bf16, other] {
        assert!(matches!(Session::with_weights(plan, weights.clone()), Err(GraphError::ForeignWeights)));
    }
    if PlanOptions::batch(1).isa != Isa::scalar() {
        let scalar = Plan::new(&g, &PlanOptions { isa: Isa::scalar(), ..PlanOptions::batch(1) }).unwrap();
        assert!(matches!(Session::with_weights(scalar, weights), Err(GraphError::ForeignWeights)));
    }
}

/// Parameters that steps read as they are (here: added to each row, and named as a result) are kept beside the packed ones.
#[test]
fn parameters_that_are_not_packed_are_there() {
    let mut g = Graph::new();
    let x = g.input("x", Shape::batched(&[2]).unwrap()).unwrap();
    let (w, p) = (g.param("w", &[2, 2]).unwrap(), g.param("p", &[2]).unwrap());
    let z = g.linear(x, w, None).unwrap();
    let y = g.mul(z, p).unwrap();
    g.output("y", y).unwrap();
    g.output("p", p).unwrap();
    let mut s = Session::new(Plan::new(&g, &PlanOptions::batch(1)).unwrap(), &[1.0, 0.0, 0.0, 1.0, 3.0, 5.0]).unwrap();
    assert_eq!(s.infer(&[1.0, 2.0]).unwrap(), [3.0, 10.0]);
    assert_eq!(s.output(1), [3.0, 5.0]);
}

/// Gradients of three parameters against finite differences; `sums` makes of a, b and c what the rows are multiplied with.
fn gradients_of_three(sums: impl Fn(&mut Graph, [NodeId; 3]) -> NodeId) -> Vec<f32> {
    let mut g = Graph::new();
    let x = g.input("x", Shape::batched(&[5]).unwrap()).unwrap();
    let params = ["a", "b", "c"].map(|n| g.param(n, &[5]).unwrap());
    let z = sums(&mut g, params);
    let y = g.mul(x, z).unwrap();
    let loss = with_loss(&mut g, y, Loss::Mse);
    g.output("loss", loss).unwrap();
    let f = fill(g, 3, 9);
    let plan = Plan::new(&gradient(&f.graph, loss).unwrap(), &PlanOptions::batch(3)).unwrap();
    let mut session = Session::for_training(plan);
    f.write_inputs(&mut session);
    let mut grads = vec![f32::NAN; 15];
    session.run_poisoned(&narrow(&f.params), &mut grads);
    for i in 0..15 {
        let at = |h: f64| {
            let mut params = f.params.clone();
            params[i] += h;
            f.reference_at(&params)[0][0]
        };
        close(&[grads[i]], &[(at(1e-5) - at(-1e-5)) / 2e-5], 1e-4).unwrap();
    }
    grads
}

/// One node that is the gradient of several parameters is written to each of their places, whether or not a further step reads it.
#[test]
fn a_gradient_of_several_parameters_reaches_all() {
    let grads = gradients_of_three(|g, [a, b, c]| {
        let ab = g.add(a, b).unwrap();
        let e = g.act(c, Act::Exp).unwrap();
        g.add(ab, e).unwrap()
    });
    assert_eq!(grads[..5], grads[5..10], "a and b enter alike");
    assert!(grads.iter().all(|g| *g != 0.0));
    let grads = gradients_of_three(|g, [a, b, c]| {
        let ab = g.add(a, b).unwrap();
        g.add(ab, c).unwrap()
    });
    assert!(grads[..5] == grads[5..10] && grads[..5] == grads[10..]);
}

/// A gradient that others are computed from is there for them, and in its place.
#[test]
fn a_gradient_that_is_read_again_is_in_its_place() {
    let grads = gradients_of_three(|g, [a, b, c]| {
        let e = g.act(b, Act::Exp).unwrap();
        let q = g.act(c, Act::Tanh).unwrap();
        let ae = g.add(a, e).unwrap();
        g.add(ae, q).unwrap()
    });
    assert!(grads.iter().all(|g| *g != 0.0));
}

/// What is added to every row alike is no residual, which has a row for each.
#[test]
fn a_vector_that_is_added_is_no_residual() {
    let mut g = Graph::new();
    let x = g.input("x", Shape::batched(&[3]).unwrap()).unwrap();
    let (w, v) = (g.param("w", &[4, 3]).unwrap(), g.param("v", &[4]).unwrap());
    let y = g.linear(x, w, None).unwrap();
    let y = g.add(y, v).unwrap();
    g.output("y", y).unwrap();
    let f = fill(g, 3, 4);
    let plan = Plan::new(&f.graph, &PlanOptions::batch(3)).unwrap();
    let mut session = Session::new(plan, &narrow(&f.params)).unwrap();
    f.write_inputs(&mut session);
    session.run();
    close(session.output(0), &f.reference_at(&f.params)[0], 1e-5).unwrap();
}

/// Dropout draws its mask from the session's step, forward and backward alike.
#[test]
fn dropout_follows_the_step() {
    const N: usize = 64;
    let mut g = Graph::new();
    let x = leaf(&mut g, "x", &[N]);
    let y = g.dropout(x, 0.5, 7).unwrap();
    g.output("y", y).unwrap();
    let mut inference = g.clone();
    let mut session =
        Session::new(Plan::new(&inference, &PlanOptions::batch(1)).unwrap(), &vec![0.0; inference.param_len()])
            .unwrap();
    let loss = with_loss(&mut inference, y, Loss::Mse);
    let training = gradient(&inference, loss).unwrap();
    let mut trained = Session::for_training(Plan::new(&training, &PlanOptions::batch(1)).unwrap());
    let mut masks = Vec::new();
    for step in [0, 1, 2, u64::MAX] {
        let mut mask = vec![0.0; N];
        mayfly_kernels::dropout_fwd(Isa::detect(), &mut mask, &[1.0; N], 0.5, 7, step);
        session.set_step(step);
        assert_eq!(session.infer(&[1.0; N]).unwrap(), mask, "step {step}");
        // The target is 1 everywhere, so the gradient is zero exactly where the value was dropped.
        trained.set_step(step);
        trained.input_mut(0).fill(1.0);
        trained.input_mut(1).fill(3.0);
        trained.input_mut(2).fill(1.0);
        let mut grads = vec![f32::NAN; training.param_len()];
        trained.backprop(&vec![0.0; training.param_len()], &mut grads).unwrap();
        let dropped = |v: &[f32]| v.iter().map(|v| *v == 0.0).collect::<Vec<_>>();
        assert_eq!(dropped(&grads), dropped(&mask), "step {step}");
        masks.push(mask);
    }
    assert!((1..4).all(|i| masks[i] != masks[0] && masks[i] != masks[i - 1]));
}

/// What is dropped of a constant is not one either.
#[test]
fn dropout_of_a_constant_follows_the_step() {
    let mut g = Graph::new();
    let x = g.constant(&[1.0; 64], &[64]).unwrap();
    let y = g.dropout(x, 0.5, 7).unwrap();
    g.output("y", y).unwrap();
    let mut session = Session::new(Plan::new(&g, &PlanOptions::batch(1)).unwrap(), &[]).unwrap();
    let mut at = |step| {
        session.set_step(step);
        session.run();
        session.output(0).to_vec()
    };
    assert_ne!(at(0), at(1));
}

/// int8 is used where it pays and is exact; where not, the plan says so.
#[test]
fn plans_say_in_which_precision_layers_run() {
    let plan = |sizes: &[usize], precision| {
        let mut g = Graph::new();
        let mut x = g.input("x", Shape::batched(&sizes[..1]).unwrap()).unwrap();
        for (i, io) in sizes.windows(2).enumerate() {
            let w = g.param(&format!("layers.{i}.weight"), &[io[1], io[0]]).unwrap();
            x = g.linear(x, w, None).unwrap();
        }
        g.output("y", x).unwrap();
        Plan::new(&g, &PlanOptions { precision, ..PlanOptions::batch(1) }).unwrap()
    };
    let report = |sizes: &[usize], precision| -> Vec<(String, Precision, PrecisionReason)> {
        plan(sizes, precision).precisions().map(|p| (p.weight.to_string(), p.used, p.reason)).collect()
    };
    use PrecisionReason::*;
    let name = |i: usize| format!("layers.{i}.weight");
    assert_eq!(report(&[64, 128], Precision::Int8), [(name(0), Precision::F32, FitsCache)]);
    assert_eq!(
        report(&[64, 128, 1], Precision::Int8),
        [(name(0), Precision::Int8, Asked), (name(1), Precision::Int8, Asked)]
    );
    assert_eq!(report(&[64, 128, 1], Precision::Bf16)[1], (name(1), Precision::Bf16, Asked));
    let wide = mayfly_kernels::I8_MAX_INPUTS;
    assert_eq!(
        report(&[wide + 1, 1, wide, 1], Precision::Int8),
        [
            (name(0), Precision::F32, TooManyInputs),
            (name(1), Precision::Int8, Asked),
            (name(2), Precision::Int8, Asked)
        ]
    );
    assert!(plan(&[64, 128], Precision::Int8).precisions().all(|p| p.asked == Precision::Int8 && p.size == [64, 128]));
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
