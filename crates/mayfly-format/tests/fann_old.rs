//! Networks of older and newer FANN, of other locales and editors: what they lack, and how they are written.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use mayfly_format::fann_net::{FannActivation, FannFile, FannVersion, Precision};

fn golden(name: &str) -> String {
    let path = format!("{}/tests/golden/fann/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn names() -> Vec<String> {
    let folder = format!("{}/tests/golden/fann", env!("CARGO_MANIFEST_DIR"));
    let all = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    let mut nets: Vec<String> = all.filter(|n| n.ends_with(".net")).collect();
    nets.sort();
    assert!(nets.len() >= 5);
    nets
}

fn parse(text: &[u8]) -> FannFile {
    FannFile::parse("x.net", text).unwrap()
}

fn without(text: &str, keys: &[&str]) -> String {
    let keep = |line: &&str| !keys.iter().any(|key| line.starts_with(&format!("{key}=")));
    text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
}

/// Whatever lines of parameters a file lacks, the network is the same, and they have FANN's defaults.
#[test]
fn what_older_versions_did_not_write_has_its_default() {
    let min = ["cascade_min_out_epochs", "cascade_min_cand_epochs"];
    let two = [&min[..], &["rprop_delta_zero", "scale_included"]].concat();
    for name in names() {
        let text = golden(&name);
        let whole = parse(text.as_bytes());
        let of_2_1 = parse(without(&text, &min).as_bytes());
        let answer = |net: &FannFile| net.run(&vec![0.3; net.input_count()], Precision::Single).unwrap();
        assert_eq!(answer(&of_2_1), answer(&whole), "{name}");
        assert_eq!((of_2_1.cascade.min_out_epochs, of_2_1.cascade.min_cand_epochs), (50, 50));
        if whole.scaling.is_none() && whole.version == FannVersion::Float21 {
            let of_2_0 = parse(without(&text, &two).replace("FANN_FLO_2.1", "FANN_FLO_2.0").as_bytes());
            assert_eq!((of_2_0.version, of_2_0.training.rprop_delta_zero), (FannVersion::Float20, 0.1));
            assert_eq!(of_2_0.connections, whole.connections);
        }
    }
}

/// As the C library writes in a German, Danish or Russian locale: every number with a fraction, and no other, has a comma.
#[test]
fn decimal_commas_byte_order_marks_and_line_ends_make_no_difference() {
    for name in names() {
        let text = golden(&name);
        let whole = parse(text.as_bytes());
        let (head, body) = text.split_once('\n').unwrap();
        let comma = format!("{head}\n{}", body.replace('.', ","));
        let windows = comma.replace('\n', "\r\n");
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf_16_be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let variants: [&[u8]; 6] = [
            comma.as_bytes(),
            windows.as_bytes(),
            &[b"\xef\xbb\xbf", text.as_bytes()].concat(),
            &[b"\xef\xbb\xbf", windows.as_bytes()].concat(),
            &[b"\xff\xfe", utf_16.as_slice()].concat(),
            &[b"\xfe\xff", utf_16_be.as_slice()].concat(),
        ];
        for variant in variants {
            assert_eq!(parse(variant), whole, "{name}");
            assert!(FannFile::is_one(variant));
        }
    }
}

/// A network of FANN 1.1 as its library wrote it, and what FANN 2.2 (`fann_create_from_file`, `fann_run`) answers to it.
#[test]
fn networks_of_fann_1_answer_as_fann_2_reads_them() {
    let text = "FANN_FLO_1.1\n3 0.700000 1.000000 0 5 3 0.50000000000000000000 1.00000000000000000000\n3 3 2 \n0 0 0 3 3 0 3 0 \n\
(0 1.25000000000000000000) (1 -0.75000000000000000000) (2 0.10000000149011611938) (0 -2.00000000000000000000) (1 0.50000000000000000000) (2 -0.30000001192092895508) (3 1.50000000000000000000) (4 -1.00000000000000000000) (5 0.20000000298023223877) \n";
    let net = parse(text.as_bytes());
    assert_eq!((net.input_count(), net.output_count(), net.training.learning_rate), (2, 1, 0.7));
    assert_eq!(net.neurons[3].activation, FannActivation::SigmoidSymmetric);
    assert_eq!((net.neurons[6].activation, net.neurons[6].steepness), (FannActivation::Sigmoid, 1.0));
    for (x, y) in GOLDEN_1_1 {
        let got = net.run(&x, Precision::Single).unwrap()[0];
        assert!((got - y).abs() <= 2e-7, "{got} {y}");
    }
    let comma = text
        .replace("0.", "0,")
        .replace("1.0", "1,0")
        .replace("1.2", "1,2")
        .replace("1.5", "1,5")
        .replace("2.0", "2,0");
    assert_eq!(parse(comma.as_bytes()), net);
    assert!(FannFile::is_one(text.as_bytes()));
    // FANN 1 counted on differently from 8.
    assert!(FannFile::parse("x.net", text.replacen("0 5 3", "0 9 3", 1).as_bytes()).is_err());
    // It is written as 2.1, which FANN 2.2 reads.
    assert!(net.to_text().unwrap().starts_with("FANN_FLO_2.1\n"));
}

const GOLDEN_1_1: [([f32; 2], f32); 5] = [
    ([0.0, 0.0], 0.700_072_944),
    ([1.0, -1.0], 0.989_186_883),
    ([0.5, 0.25], 0.904_094_815),
    ([-3.0, 2.0], 0.010_348_755_9),
    ([10.0, -7.0], 0.995_503_724),
];

/// 18 and 19 came in 2016; the values are those of libfann's source after it.
#[test]
fn the_rectifiers_of_later_versions_are_read_and_written() {
    let mut net = FannFile::layered(&[1, 1]).unwrap();
    net.connections[0].weight = 1.0;
    for (code, negative) in [(18, 0.0), (19, -0.02)] {
        net.neurons[2].activation = FannActivation::from_code(code).unwrap();
        let back = parse(net.to_text().unwrap().as_bytes());
        let run = |x: f32| back.run(&[x], Precision::Single).unwrap()[0];
        assert_eq!([run(-4.0), run(0.0), run(4.0), run(1e6)], [negative, 0.0, 2.0, 300.0]); // steepness 0.5, cut off at 150 / 0.5
    }
    assert_eq!(FannActivation::from_code(20), None);
}
