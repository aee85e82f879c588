//! Gradients of outputs with respect to inputs: every layer against finite differences of the f64 reference, at more rows than are run at a time.
mod common;

use common::{inputs, networks, values};
use mayfly_graph::interpret;
use mayfly_nn::*;

const SEED: u64 = 5;

/// A network whose biases, gains and statistics are not 0 and 1, where mistakes hide.
fn moved(spec: &NetworkSpec) -> Network {
    let mut network = Network::new(spec.clone(), SEED).unwrap();
    let statistics: Vec<_> = network.running().collect();
    let shift = values(network.params().len(), SEED + 1);
    network.params_mut().iter_mut().zip(shift).for_each(|(p, s)| *p += 0.2 * s);
    // A variance is positive.
    for range in statistics {
        network.params_mut()[range].iter_mut().for_each(|p| *p = p.abs() + 0.5);
    }
    network
}

/// `Σ dy·y` of one row in the f64 reference.
fn weighed(network: &Network, row: &[f64], dy: &[f32]) -> f64 {
    let params: Vec<f64> = network.params().iter().map(|p| f64::from(*p)).collect();
    let graph = network.spec().lower(Mode::Inference).unwrap().graph;
    interpret(&graph, &params, &[row], 1).unwrap()[0].iter().zip(dy).map(|(y, dy)| y * f64::from(*dy)).sum()
}

#[test]
fn every_layer() {
    let mut checked = 0;
    for (name, spec) in networks() {
        let network = moved(&spec);
        let (n, outputs, rows) = (network.input_len(), network.output_len(), 35);
        let (x, dy) = (inputs(&spec, rows, SEED + 2), values(rows * outputs, SEED + 3));
        let Ok(mut gradients) = network.input_gradients() else {
            assert!(name.starts_with("embedding") || spec.layers[0].kind() == "embedding", "{name}");
            continue;
        };
        let got = gradients.run(&x, &[], &dy).unwrap();
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs()));
        assert!(near(&got.y, &network.predict(&x).unwrap()), "{name}");
        // Layers of the user's own are f32 in the reference too.
        let (step, tolerance) = if name == "custom" { (2e-3, 3e-3) } else { (1e-5, 3e-4) };
        for row in [0, 34] {
            let (dy, mut wide) = (&dy[row * outputs..(row + 1) * outputs], Vec::new());
            wide.extend(x[row * n..(row + 1) * n].iter().map(|v| f64::from(*v)));
            for i in 0..n {
                let mut at = |d: f64| {
                    wide[i] += d;
                    let sum = weighed(&network, &wide, dy);
                    wide[i] -= d;
                    sum
                };
                let want = (at(step) - at(-step)) / (2.0 * step);
                let got = f64::from(got.x[row * n + i]);
                assert!((got - want).abs() <= tolerance * (1.0 + want.abs()), "{name}, {row} {i}: {got}, not {want}");
            }
        }
        assert!(got.x.iter().any(|g| g.abs() > 1e-3), "{name}: a test of zeros proves nothing");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let network = moved(&NetworkSpec::dense(3, &[4], Act::Tanh.into(), 2, Activation::IDENTITY));
    let mut gradients = network.input_gradients().unwrap();
    assert!(matches!(gradients.run(&[0.0; 6], &[], &[0.0; 3]), Err(NnError::Length { want: 4, got: 3, .. })));
    assert!(gradients.run(&[0.0; 5], &[], &[0.0; 4]).is_err());
    assert!(gradients.run(&[0.0; 3], &[("side", &[1.0])], &[0.0; 2]).unwrap_err().to_string().contains("\"side\""));
    assert_eq!(gradients.run(&[], &[], &[]).unwrap(), Gradients::default());
}
