//! Every operation of the table in every mode: equals the reference, gradient equals finite differences, dead memory may hold anything, nothing missing.
#[path = "common/cases.rs"]
mod cases;
mod common;
use cases::CASES;
use common::*;
use mayfly_graph::*;
use std::collections::BTreeSet;

fn built(build: cases::Build) -> (Graph, NodeId) {
    let mut g = Graph::new();
    let y = build(&mut g).unwrap();
    (g, y)
}

#[test]
fn equals_the_reference() {
    for isa in Isa::available() {
        for (op, label, build) in CASES {
            for batch in [1, 3] {
                let (mut g, y) = built(*build);
                g.output("y", y).unwrap();
                let f = fill(g, batch, 11);
                let mut session =
                    Session::new(Plan::new(&f.graph, &f.options(isa)).unwrap(), &narrow(&f.params)).unwrap();
                f.write_inputs(&mut session);
                session.run();
                close(session.output(0), &f.reference()[0], 1e-5)
                    .unwrap_or_else(|e| panic!("{op} ({label}), batch {batch}, {}: {e}", isa.name()));
            }
        }
    }
}

/// Two rows that are three each are six rows, to the bit, and have their gradients.
#[test]
fn a_folded_batch_is_a_larger_one() {
    // These name shapes of their own.
    let unfolded = ["embed", "reshape", "loss_rows", "expand"];
    let mut tried = 0;
    for (op, label, build) in CASES.iter().filter(|(op, ..)| !unfolded.contains(op)) {
        let values = |fold: usize, batch: usize| {
            let (mut g, y) = folded(fold, || built(*build));
            g.output("y", y).unwrap();
            let f = fill(g, batch, 11);
            let plan = Plan::new(&f.graph, &f.options(Isa::detect())).unwrap();
            let mut session = Session::new(plan, &narrow(&f.params)).unwrap();
            f.write_inputs(&mut session);
            session.run();
            (session.output(0).to_vec(), f.graph.shape(y).unwrap())
        };
        let ((few, of_few), (many, of_many)) = (values(3, 2), values(1, 6));
        assert_eq!(few, many, "{op} ({label})");
        assert_eq!(of_few.dims()[1..], of_many.dims()[1..], "{op} ({label})");
        assert_eq!((of_few.dims()[0], of_many.dims()[0]), (3, 1), "{op} ({label})");
        folded(3, || check_gradient(op, label, *build, Isa::detect()));
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn gradient_equals_finite_differences() {
    for isa in Isa::available() {
        for (op, label, build) in CASES {
            check_gradient(op, label, *build, isa);
        }
    }
}

fn check_gradient(op: &str, label: &str, build: cases::Build, isa: Isa) {
    let (mut g, y) = built(build);
    let loss = with_loss(&mut g, y, Loss::Mse);
    g.output("loss", loss).unwrap();
    let f = fill(g, 3, 5);
    let trained = gradient(&f.graph, loss).unwrap();
    let plan = Plan::new(&trained, &f.options(isa)).unwrap();
    let mut session = Session::for_training(plan);
    f.write_inputs(&mut session);
    let mut grads = vec![0.0; f.params.len()];
    session.run_poisoned(&narrow(&f.params), &mut grads);
    let weights = f.graph.params().iter().filter(|p| p.role == Role::Weight).flat_map(|p| p.range());
    for i in weights {
        let want = slope(&f, i);
        close(&[grads[i]], &[want], 3e-4)
            .unwrap_or_else(|e| panic!("{op} ({label}), parameter {i}, {}: {e}", isa.name()));
    }
}

/// Central difference of the loss in f64.
fn slope(f: &Filled, i: usize) -> f64 {
    let h = 1e-5;
    let at = |d: f64| {
        let mut p = f.params.clone();
        p[i] += d;
        f.reference_at(&p)[0][0]
    };
    (at(h) - at(-h)) / (2.0 * h)
}

/// What a change of each input makes of `Σ dy·y`, in every example.
#[test]
fn gradient_of_inputs_equals_finite_differences() {
    for (op, label, build) in CASES {
        let (mut g, y) = built(*build);
        g.output("y", y).unwrap();
        let mut f = fill(g, 3, 5);
        let graph = input_gradient(&f.graph, y).unwrap();
        let plan = Plan::new(&graph, &PlanOptions::batch(3)).unwrap();
        let mut rng = Rng(7);
        let dy: Vec<f64> = (0..f.graph.shape(y).unwrap().at(3).len()).map(|_| rng.value()).collect();
        let mut session = Session::new(plan.clone(), &narrow(&f.params)).unwrap();
        f.write_inputs(&mut session);
        session.input_mut(f.inputs.len()).copy_from_slice(&narrow(&dy));
        session.run_poisoned(&narrow(&f.params), &mut []);
        let names: Vec<String> = f.graph.inputs().iter().map(|(name, _)| name.clone()).collect();
        for (i, name) in names.iter().enumerate().filter(|(_, name)| !name.starts_with("ids")) {
            let Some(place) = plan.outputs().position(|(output, _)| output == format!("d_{name}")) else { continue };
            let got = session.output(place).to_vec();
            for (at, got) in got.iter().enumerate() {
                let want = slope_of_input(&mut f, &dy, (i, at));
                close(&[*got], &[want], 3e-4).unwrap_or_else(|e| panic!("{op} ({label}), {name} {at}: {e}"));
            }
        }
        let first = format!("d_{}", names[0]);
        assert!(names[0].starts_with("ids") || plan.outputs().any(|(name, _)| name == first), "{op} ({label})");
    }
}

fn slope_of_input(f: &mut Filled, dy: &[f64], (input, at): (usize, usize)) -> f64 {
    let before = f.inputs[input][at];
    let mut sum = |moved: f64| {
        f.inputs[input][at] = before + moved;
        f.reference()[0].iter().zip(dy).map(|(y, dy)| y * dy).sum::<f64>()
    };
    let step = 1e-5;
    let slope = (sum(step) - sum(-step)) / (2.0 * step);
    f.inputs[input][at] = before;
    slope
}

#[test]
fn every_forward_operation_has_an_example() {
    let covered: BTreeSet<&str> = CASES
        .iter()
        .flat_map(|(_, _, b)| built(*b).0.nodes().iter().map(|n| n.op.name()).collect::<Vec<_>>())
        .collect();
    let named: BTreeSet<&str> = CASES.iter().map(|c| c.0).collect();
    assert!(
        named.is_subset(&covered),
        "labels that name no operation of their graph: {:?}",
        named.difference(&covered).collect::<Vec<_>>()
    );
    let missing: Vec<_> = mayfly_graph::ops::FORWARD.iter().filter(|n| !covered.contains(**n)).collect();
    assert!(missing.is_empty(), "no example for {missing:?}");
}

#[test]
fn running_statistics_follow_the_batch() {
    let (mut g, y) = built(CASES.iter().find(|c| c.0 == "batch_norm" && c.1 == "features").unwrap().2);
    let loss = with_loss(&mut g, y, Loss::Mse);
    g.output("loss", loss).unwrap();
    let f = fill(g, 3, 5);
    let running = f.graph.params().iter().find(|p| p.role == Role::RunningStat).unwrap().clone();
    let mut session =
        Session::for_training(Plan::new(&gradient(&f.graph, loss).unwrap(), &PlanOptions::batch(3)).unwrap());
    f.write_inputs(&mut session);
    let params = narrow(&f.params);
    let mut grads = vec![0.0; params.len()];
    session.backprop(&params, &mut grads).unwrap();
    let shift = &f.params[f.graph.params().iter().find(|p| p.name == "x_shift").unwrap().range()];
    for c in 0..5 {
        let column: Vec<f64> = (0..3).map(|r| f.inputs[0][r * 5 + c] + shift[c]).collect();
        let mean = column.iter().sum::<f64>() / 3.0;
        let at = running.offset + c;
        close(&[grads[at]], &[f.params[at] - mean], 1e-5).unwrap();
    }
}

#[test]
fn the_tolerance_refuses_a_wrong_value() {
    assert!(close(&[1.0], &[1.0], 1e-5).is_ok());
    assert!(close(&[0.0], &[0.0], 1e-5).is_ok());
    assert!(close(&[1.001], &[1.0], 1e-5).is_err());
    assert!(close(&[1e-3], &[0.0], 1e-5).is_err());
    assert!(close(&[f32::NAN], &[0.0], 1e-5).is_err());
    assert!(close(&[f32::NAN], &[f64::NAN], 1e-5).is_err());
    assert!(close(&[1.0, 2.0], &[1.0], 1e-5).is_err());
}

/// Every example, forward and with its gradient, at every power of two rows: planned, or refused with an error.
#[test]
fn batches_of_any_size_are_planned_or_refused() {
    for (op, label, build) in CASES {
        let mut g = Graph::new();
        let y = build(&mut g).unwrap();
        g.output("y", y).unwrap();
        let mut graphs = vec![g.clone()];
        let loss = with_loss(&mut g, y, Loss::Mse);
        graphs.extend(gradient(&g, loss));
        for (graph, shift) in graphs.iter().flat_map(|g| (0..usize::BITS).map(move |s| (g, s))) {
            for batch in [1 << shift, usize::MAX >> shift] {
                let options = PlanOptions { arena_limit: usize::MAX, ..PlanOptions::batch(batch) };
                match Plan::new(graph, &options) {
                    Ok(plan) => assert!(plan.arena_bytes() <= isize::MAX as usize, "{op} {label} {batch}"),
                    Err(GraphError::Overflow { .. } | GraphError::TooLarge { .. }) => {}
                    Err(e) => panic!("{op} {label}, batch {batch}: {e}"),
                }
            }
        }
    }
}
