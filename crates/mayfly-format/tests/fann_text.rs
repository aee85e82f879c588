//! FANN text: round trips of random nets, and text that is damaged in every way we can think of.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use mayfly_format::fann_net::{
    FannActivation, FannConnection, FannFile, FannScale, FannScaling, FannTopology, FannVersion, Precision,
};
use mayfly_format::{FormatError, Position};
use proptest::prelude::*;

fn parse(text: &str) -> Result<FannFile, FormatError> {
    FannFile::parse("x.net", text.as_bytes())
}

fn small() -> String {
    let mut net = FannFile::layered(&[2, 2, 1]).unwrap();
    net.scaling = Some(FannScaling { input: scale(2), output: scale(1) });
    net.to_text().unwrap()
}

fn scale(n: usize) -> FannScale {
    FannScale { mean: vec![0.5; n], deviation: vec![2.0; n], new_min: vec![-1.0; n], factor: vec![1.0; n] }
}

/// A number with three decimals, which six decimals hold exactly enough.
fn thousandth() -> impl Strategy<Value = f32> {
    (-200_000_i32..200_000).prop_map(|k| k as f32 / 1000.0)
}

fn version() -> impl Strategy<Value = FannVersion> {
    prop_oneof![
        Just(FannVersion::Float20),
        Just(FannVersion::Float21),
        (0_u32..=20).prop_map(|decimal_point| FannVersion::Fixed20 { decimal_point }),
        (0_u32..=20).prop_map(|decimal_point| FannVersion::Fixed21 { decimal_point }),
    ]
}

prop_compose! {
    fn net()(
        sizes in prop::collection::vec(1_u32..6, 2..5),
        shortcut: bool,
        version in version(),
        sparse: bool,
        scaled: bool,
        learning_rate in thousandth(),
        seed: u64,
    ) -> FannFile {
        let mut net = if shortcut { FannFile::shortcut(&sizes) } else { FannFile::layered(&sizes) }.unwrap();
        net.version = version;
        net.training.learning_rate = learning_rate;
        net.training.bit_fail_limit = 0.0;
        net.cascade.candidate_limit = 1.0;
        net.cascade.weight_multiplier = 2.0;
        net.cascade.activation_steepnesses = vec![3.0];
        net.scaling = (scaled && version == FannVersion::Float21).then(|| FannScaling {
            input: scale(sizes[0] as usize),
            output: scale(*sizes.last().unwrap() as usize),
        });
        randomise(&mut net, seed, sparse);
        net
    }
}

fn randomise(net: &mut FannFile, mut seed: u64, sparse: bool) {
    let mut bits = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    let point = net.version.decimal_point();
    let mut number = || match point {
        None => f64::from(f32::from_bits(bits() & 0x3fff_ffff | bits() << 31)), // below 2 in size, down to subnormals
        Some(point) => f64::from((bits() % 2000) as i32 - 1000) / f64::from(1_u32 << point),
    };
    for connection in &mut net.connections {
        connection.weight = number();
    }
    for neuron in &mut net.neurons {
        neuron.steepness = number();
        neuron.activation = FannActivation::ALL[(neuron.steepness.to_bits() % 20) as usize];
    }
    if sparse {
        net.connection_rate = 0.25;
        for connection in &mut net.connections {
            connection.source /= 2; // still in an earlier layer
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(net in net()) {
        let text = net.to_text().unwrap();
        let back = parse(&text).unwrap();
        prop_assert_eq!(&back, &net);
        prop_assert_eq!(back.to_text().unwrap(), text);
    }

    /// Other white space, including line ends of Windows, makes no difference.
    #[test]
    fn white_space_is_free(net in net()) {
        let text = net.to_text().unwrap();
        prop_assert_eq!(parse(&text.replace('\n', "\r\n")).unwrap(), net.clone());
let tight = (0..10).fold(text, |text, digit| text.replace(&format!("{digit}, "), &format!("{digit},")));
        prop_assert_eq!(parse(&tight.replace(") (", ")\n\t(")).unwrap(), net);
    }
}

#[test]
fn the_extremes_of_double_survive() {
    let mut net = FannFile::layered(&[1, 1]).unwrap();
    for weight in [f64::MAX, f64::MIN_POSITIVE, -0.0, 5e-324, 1.0 / 3.0, -1e22, 9.999_999_999_999_999e-5] {
        net.connections[0].weight = weight;
        let back = parse(&net.to_text().unwrap()).unwrap();
        assert_eq!(back.connections[0].weight.to_bits(), weight.to_bits());
    }
}

/// Negative steepness, or none, is odd but legal: the clamp then does what C's comparisons do.
#[test]
fn odd_steepnesses_follow_the_c_code() {
    let mut net = FannFile::layered(&[1, 1]).unwrap();
    net.connections[0].weight = 1.0;
    net.neurons[2].activation = FannActivation::Linear;
    let mut run = |steepness: f64, x: f32| {
        net.neurons[2].steepness = steepness;
        net.run(&[x], Precision::Single).unwrap()[0]
    };
    assert_eq!(run(0.0, 7.0), 0.0);
    assert_eq!(run(1.0, 1e9), 150.0);
    assert_eq!(run(0.5, -1e9), -300.0);
    assert_eq!(run(-1.0, 7.0), -150.0); // -7 > -150, so it is "above the maximum"
}

/// Replaces `from`, which must be there, and returns the error of the result.
fn broken(from: &str, to: &str) -> FormatError {
    let text = small();
    assert!(text.contains(from), "{from}");
    parse(&text.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn errors_say_where_and_what() {
    let shown = [
        broken("FANN_FLO_2.1", "FANN_FLO_1.0"),
        broken("FANN_FLO_2.1", "FANN_FLO_3.0"),
        broken("learning_rate=", "learning_rat="),
        broken("quickprop_mu=", "quickprop_mux="),
        broken("quickprop_mu=1.750000", "quickprop_mu=nan"),
        broken("training_algorithm=2", "training_algorithm=5"),
        broken("layer_sizes=3 3 2", "layer_sizes=3 4000000000 2"),
        broken("(3, 4, ", "(4, 4, "),
        broken("(3, 4, ", "(99, 4, "),
        broken("(0, 0.0", "(1, 0.0"),
        broken("connections (", "connection ("),
        broken("scale_included=1", "scale_included=2"),
        parse(&format!("{}more", small())).unwrap_err(),
        parse("").unwrap_err(),
    ]
    .map(|e| e.to_string());
    let expected = [
        "x.net: the format of FANN 1.0 (FANN_FLO_1.0) is not supported; load the net with FANN 1.1 or later and save it again",
        "x.net, line 1, column 1: expected FANN_FLO_2.0, FANN_FLO_2.1, FANN_FIX_2.0, FANN_FIX_2.1, FANN_FLO_1.1 or FANN_FIX_1.1, found FANN_FLO_3.0",
        "x.net, line 3, column 1: expected `learning_rate=`, found learning_rat=0.700000",
        "x.net, line 12, column 1: expected a parameter that FANN writes at this place, or `layer_sizes=`, found quickprop_mux=1.750000",
        "x.net, line 12, column 14: expected a finite number, found nan",
        "x.net, line 7, column 20: expected a number that FANN uses for training_algorithm, found 5",
        "x.net: number of neurons in layer_sizes, for the rest of the text, is 4000000005, the limit is 87",
        "x.net, line 45, column 1: expected `(`, found the end of the text",
        "x.net: number of connections in num_inputs, for the rest of the text, is 105, the limit is 57",
        "x.net, connection 0 of neuron 3: expected source 0, as the net is fully connected, found 1",
        "x.net, line 44, column 1: expected `connections (connected_to_neuron, weight)=`, found connection (connected_to_neuron, weight)=(0, 0.0000000000000…",
        "x.net, line 34, column 16: expected a number that FANN uses for scale_included (0 or 1), found 2",
        "x.net, line 45, column 1: expected the end of the text, found more",
        "x.net, line 1, column 1: expected FANN_FLO_2.0, FANN_FLO_2.1, FANN_FIX_2.0, FANN_FIX_2.1, FANN_FLO_1.1 or FANN_FIX_1.1, found nothing",
    ];
    assert_eq!(shown, expected);
}

type Change = fn(&mut FannFile);

#[test]
fn nets_that_make_no_sense_are_refused() {
    let changes: [(Change, &str); 16] = [
        (|n| n.layer_sizes.truncate(1), "layer_sizes"),
        (|n| n.layer_sizes[1] = 0, "layer 1"),
        (|n| n.layer_sizes[0] = 1, "layer 0"),
        (|n| n.layer_sizes[2] = 1, "the last layer"),
        (|n| n.layer_sizes[1] = u32::MAX, "neurons"),
        (|n| n.neurons[0].inputs = 1, "neuron 0 (layer 0)"),
        (|n| n.neurons[5].inputs = 1, "neuron 5 (layer 1)"),
        (|n| n.connections.truncate(3), "connections"),
        (|n| n.connections[0].source = 99, "connection 0 of neuron 3"),
        (|n| n.connections.swap(0, 1), "connection 0 of neuron 3"),
        (|n| n.connections[8].source = 6, "connection 2 of neuron 6"),
        (|n| n.connections[2].weight = f64::NAN, "weight of connection 2"),
        (|n| n.neurons[1].steepness = f64::INFINITY, "steepness of neuron 1"),
        (|n| n.training.quickprop_mu = f32::NAN, "quickprop_mu"),
        (|n| n.scaling.as_mut().unwrap().output.factor.clear(), "scale_factor_out"),
        (|n| n.version = FannVersion::Float20, "scaling"),
    ];
    for (change, place) in changes {
        let mut net = parse(&small()).unwrap();
        change(&mut net);
        for result in [net.check(), net.to_text().map(drop), net.run(&[0.0, 0.0], Precision::Single).map(drop)] {
            match result {
                Err(FormatError::Malformed { at: Position::Part(at), .. }) => assert_eq!(at, place),
                other => panic!("{place}: {other:?}"),
            }
        }
    }
}

#[test]
fn fixed_point_values_must_fit() {
    let mut net = FannFile::layered(&[1, 1]).unwrap();
    net.version = FannVersion::Fixed20 { decimal_point: 20 };
    net.connections[1].weight = 2048.0;
    let error = net.to_text().unwrap_err();
    assert!(matches!(error, FormatError::FixedPointRange { decimal_point: 20, .. }), "{error}");
    net.connections[1].weight = 2047.0;
    assert_eq!(parse(&net.to_text().unwrap()).unwrap().connections[1].weight, 2047.0);
    net.version = FannVersion::Fixed20 { decimal_point: 31 };
    let error = net.check().unwrap_err();
    assert_eq!(error.to_string(), "FANN net, decimal_point: expected at most 30, found 31");
}

#[test]
fn a_wrong_number_of_inputs_is_an_error() {
    let net = parse(&small()).unwrap();
    for inputs in [&[][..], &[0.0], &[0.0; 3]] {
        let wide: Vec<f64> = inputs.iter().map(|&x| f64::from(x)).collect();
        let errors =
            [net.run(inputs, Precision::Single).unwrap_err(), net.run_scaled(&wide, Precision::Single).unwrap_err()];
        for error in errors {
            assert!(matches!(error, FormatError::InputCount { want: 2, got } if got == inputs.len()), "{error}");
        }
    }
}

#[test]
fn too_many_connections_are_refused_before_they_are_made() {
    let error = FannFile::layered(&[70_000, 70_000]).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
    assert!(FannFile::layered(&[u32::MAX, u32::MAX, u32::MAX]).is_err());
    assert!(FannFile::shortcut(&[3]).is_err());
    assert!(FannFile::layered(&[]).is_err());
}

/// Whatever the text is: no panic, and what is accepted can be run and is written and read back the same.
fn survives(text: &[u8]) {
    let Ok(net) = FannFile::parse("damaged.net", text) else { return };
    let inputs = vec![0.5; net.input_count()];
    net.run(&inputs, Precision::Single).unwrap();
    match net.to_text() {
        Ok(text) => {
            assert_eq!(FannFile::parse("again.net", text.as_bytes()).unwrap().connections.len(), net.connections.len())
        }
        Err(FormatError::FixedPointRange { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

fn originals() -> Vec<Vec<u8>> {
    let golden =
        |name: &str| std::fs::read(format!("{}/tests/golden/fann/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    vec![small().into_bytes(), golden("fixed-sparse.net")]
}

#[test]
fn every_truncation_is_survived() {
    for text in originals() {
        (0..text.len()).for_each(|n| survives(&text[..n]));
        // only white space may be missing
        let cut = text.trim_ascii_end().len() - 1;
        assert!(FannFile::parse("cut.net", &text[..cut]).is_err());
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    for mut text in originals() {
        for bit in 0..text.len() * 8 {
            text[bit / 8] ^= 1 << (bit % 8);
            survives(&text);
            text[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Each number of the text in turn becomes an absurd one.
#[test]
fn every_absurd_number_is_survived() {
    let absurd = ["4294967295", "2147483648", "-1", "99999999999999999999", "1e999", "nan", "0", "", "0x10", "1e-400"];
    for text in originals() {
        let text = String::from_utf8(text).unwrap();
        let mut at = 0;
        while let Some(start) = text[at..].find(|c: char| c.is_ascii_digit()).map(|i| at + i) {
            let end = text[start..].find(|c: char| !"0123456789.e+-".contains(c)).map_or(text.len(), |i| start + i);
            for number in absurd {
                survives([&text[..start], number, &text[end..]].concat().as_bytes());
            }
            at = end;
        }
    }
}

#[test]
fn sources_in_a_sparse_net_are_free_but_earlier() {
    let mut net = FannFile::layered(&[2, 2, 1]).unwrap();
    net.connection_rate = 0.5;
    net.connections[6] = FannConnection { source: 0, weight: 1.0 }; // an input, skipping a layer
    net.check().unwrap();
    net.connections[6].source = 7; // itself
    assert!(net.check().is_err());
    assert_eq!(net.topology, FannTopology::Layered);
}
