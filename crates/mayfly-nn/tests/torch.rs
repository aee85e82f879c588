//! Layers, losses and optimisers against PyTorch: `bench/golden/nn/layers.py` made the values, in f64.
use mayfly_graph::{Plan, PlanOptions, gradient};
use mayfly_nn::*;
use serde_json::Value;

const ROWS: usize = 3;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/torch.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn close(name: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tolerance * (1.0 + w.abs()), "{name}[{i}]: {g} instead of {w}");
    }
}

/// The network of a case with PyTorch's parameters; running statistics keep their start.
fn network(case: &Value) -> Network {
    let spec = NetworkSpec::from_json(&case["spec"].to_string(), &Registry::new()).unwrap();
    let mut network = Network::new(spec, 1).unwrap();
    let mut known = case["params"].as_object().unwrap().clone();
    for info in network.layout().to_vec() {
        match known.remove(&info.name) {
            Some(values) => network.params_mut()[info.range()].copy_from_slice(&floats(&values)),
            None => assert!(info.name.ends_with("running"), "PyTorch has no {}", info.name),
        }
    }
    assert!(known.is_empty(), "we have none of {:?}", known.keys());
    network
}

#[test]
fn layers_and_losses() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 35);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let network = network(case);
        let loss = Loss::by_name(case["loss_name"].as_str().unwrap()).unwrap();
        let lowered = network.spec().lower(Mode::Training { loss: &loss, seed: 0 }).unwrap();
        let graph = gradient(&lowered.graph, lowered.loss.unwrap()).unwrap();
        let mut session = Session::for_training(Plan::new(&graph, &PlanOptions::batch(ROWS)).unwrap());
        session.input_mut(0).copy_from_slice(&floats(&case["x"]));
        session.input_mut(1).copy_from_slice(&floats(&case["t"]));
        session.input_mut(2).fill(1.0 / ROWS as f32);
        let mut grads = vec![0.0; network.params().len()];
        session.backprop(network.params(), &mut grads).unwrap();
        close(&format!("{name}: outputs"), session.output(0), &floats(&case["y"]), 1e-5);
        close(&format!("{name}: loss"), session.output(1), &[case["loss"].as_f64().unwrap() as f32], 1e-5);
        for info in network.layout().iter().filter(|i| !i.name.ends_with("running")) {
            close(
                &format!("{name}: gradient of {}", info.name),
                &grads[info.range()],
                &floats(&case["grads"][&info.name]),
                1e-5,
            );
        }
    }
}

/// In use, a network computes what it computed in training: all cases but batch norm, which uses other statistics, and those whose loss has the last activation inside.
#[test]
fn outputs_in_use() {
    for case in golden()["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if !name.starts_with("batch_norm") {
            close(name, &network(case).predict(&floats(&case["x"])).unwrap(), &floats(&case["y"]), 1e-5);
        }
    }
}

#[test]
fn optimisers() {
    for case in golden()["optimisers"].as_array().unwrap() {
        let spec = NetworkSpec::dense(3, &[4], Act::Tanh.into(), 2, Activation::IDENTITY);
        let network = Network::from_parts(spec, &floats(&case["start"]), None).unwrap();
        let algorithm: Algorithm = serde_json::from_value(case["algorithm"].clone()).unwrap();
        let mut trainer = Trainer::new(network, TrainConfig { algorithm, ..TrainConfig::default() }).unwrap();
        for _ in 0..10 {
            trainer.step(&floats(&case["x"]), &floats(&case["t"])).unwrap();
        }
        close(case["name"].as_str().unwrap(), trainer.network().params(), &floats(&case["end"]), 2e-5);
    }
}
