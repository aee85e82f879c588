//! Random graphs: the plan agrees with the interpreter, its gradients with finite differences, whatever is fused, aliased or reused.
mod common;
use common::{Rng, *};
use mayfly_graph::*;
use proptest::prelude::*;

/// Grows a graph of `[batch, 6]` values by random operations over random earlier values.
fn random_graph(seed: u64, size: usize) -> (Graph, NodeId) {
    let mut rng = Rng(seed);
    let mut g = Graph::new();
    let mut values = vec![leaf(&mut g, "x", &[6]), leaf(&mut g, "z", &[6])];
    for i in 0..size {
        let pick = |rng: &mut Rng, v: &[NodeId]| v[rng.below(v.len())];
        let (a, b) = (pick(&mut rng, &values), pick(&mut rng, &values));
        values.push(grow(&mut g, &mut rng, i, a, b).unwrap());
    }
    // Sum of the last few, so that much of the graph is alive.
    let last = values[values.len().saturating_sub(3)..].to_vec();
    let y = last[1..].iter().fold(last[0], |s, v| g.add(s, *v).unwrap());
    (g, y)
}

fn grow(g: &mut Graph, rng: &mut Rng, i: usize, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
    match rng.below(9) {
        0 => g.add(a, b),
        1 => g.binary(Binary::Sub, a, b),
        2 => {
            let t = g.mul(a, b)?;
            g.act(t, Act::Tanh)
        }
        3 | 4 => {
            let (w, bias) = (g.param(&format!("w{i}"), &[6, 6])?, g.param(&format!("b{i}"), &[6])?);
            let z = g.linear(a, w, Some(bias))?;
            let h = g.act(z, Act::Tanh)?;
            if rng.below(2) == 0 { g.add(h, b) } else { Ok(h) }
        }
        5 => {
            let s = g.slice(a, 1, 1, 3)?;
            let r = g.slice(b, 1, 0, 3)?;
            g.concat(&[s, r], 1)
        }
        6 => {
            let r = g.reshape(a, Shape::batched(&[2, 3])?)?;
            let t = g.transpose(r, &[0, 2, 1])?;
            g.reshape(t, Shape::batched(&[6])?)
        }
        7 => g.softmax(a),
        _ => g.act(a, Act::Sigmoid),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plan_equals_interpreter(seed in any::<u64>(), size in 1usize..14, batch in 1usize..5) {
        let (mut g, y) = random_graph(seed, size);
        g.output("y", y).unwrap();
        let f = fill(g, batch, seed ^ 1);
        let plan = Plan::new(&f.graph, &PlanOptions::batch(batch)).unwrap();
        let params = narrow(&f.params);
        let mut session = Session::new(plan, &params).unwrap();
        f.write_inputs(&mut session);
        session.run();
        let first = session.output(0).to_vec();
        if let Err(e) = close(&first, &f.reference()[0], 3e-5) {
            prop_assert!(false, "{}\n{}", e, session.plan());
        }
        // Again, with everything dead poisoned: not one bit may change.
        session.run_poisoned(&params, &mut []);
        prop_assert_eq!(session.output(0), &first[..]);
    }

    #[test]
    fn gradient_equals_difference(seed in any::<u64>(), size in 1usize..8) {
        let (mut g, y) = random_graph(seed, size);
        let loss = with_loss(&mut g, y, Loss::Mse);
        g.output("loss", loss).unwrap();
        let f = fill(g, 2, seed ^ 2);
        let plan = Plan::new(&gradient(&f.graph, loss).unwrap(), &PlanOptions::batch(2)).unwrap();
        let mut session = Session::for_training(plan);
        f.write_inputs(&mut session);
        let mut grads = vec![0.0; f.params.len()];
        session.run_poisoned(&narrow(&f.params), &mut grads);
        // Along one random direction: cheaper than every coordinate, and as strict.
        let mut rng = Rng(seed);
        let direction: Vec<f64> = f.params.iter().map(|_| rng.value()).collect();
        let at = |h: f64| f.reference_at(&f.params.iter().zip(&direction).map(|(p, d)| p + h * d).collect::<Vec<_>>())[0][0];
        let want = (at(1e-5) - at(-1e-5)) / 2e-5;
        let got: f64 = grads.iter().zip(&direction).map(|(g, d)| f64::from(*g) * d).sum();
        if let Err(e) = close(&[got as f32], &[want], 5e-4) {
            prop_assert!(false, "{}\n{}", e, session.plan());
        }
    }
}
