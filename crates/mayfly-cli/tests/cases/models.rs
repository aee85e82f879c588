//! Model files: what is read under which name, what is applied, and what is said of what cannot be run.
use crate::case::{Case, Ran};

/// What the networks of the exclusive or answer, computed by `fann_run` of FANN 2.2.
const XOR: [f64; 4] = [-0.982_415_795, 0.985_207_677, 0.993_766_427, -0.993_729_293];

fn answers(ran: &Ran) -> Vec<f64> {
    ran.lines()[1..].iter().map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect()
}

fn close(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() <= tolerance * (1.0 + w.abs())), "{got:?} {want:?}");
}

#[test]
fn fann_networks_of_any_version_locale_and_name() {
    for net in ["fann-2.1.0.net", "decimal-commas.net", "brain.trained"] {
        let case = Case::with(&[net, "xor-rows.csv"]);
        close(&answers(&case.ok(&["predict", net, "xor-rows.csv"])), &XOR, 1e-5);
        assert_eq!(case.ok(&["info", net, "--json"]).json()["format"], "fann");
        case.ok(&["convert", net, "again.net"]);
        close(&answers(&case.ok(&["predict", "again.net", "xor-rows.csv"])), &XOR, 1e-5);
    }
    let case = Case::with(&["rectifier.net", "xor-rows.csv"]);
    close(&answers(&case.ok(&["predict", "rectifier.net", "xor-rows.csv"])), &[1.0; 4], 1e-5);
}

/// The targets' units, computed by `fann_scale_input`, `fann_run` and `fann_descale_output` of FANN 2.2, whatever the file was converted to.
#[test]
fn the_scaling_of_a_fann_network_is_applied_shown_and_kept() {
    let want = [376.781_158, 507.917_114, 373.542_053, 468.970_428, 547.980_469];
    let case = Case::with(&["scaled.net", "scaled.data"]);
    let info = case.ok(&["info", "scaled.net"]).out;
    assert!(info.contains("scaling") && info.contains("153.2"), "{info}");
    let mae = case.ok(&["eval", "scaled.net", "scaled.data", "--json"]).json()["test_mae"].as_f64().unwrap();
    assert!(mae < 50.0, "{mae}");
    let mut from = "scaled.net".to_owned();
    for to in ["m.mayfly", "m.net", "m.onnx"] {
        close(&answers(&case.ok(&["predict", &from, "scaled.data"]))[..5], &want, 1e-4);
        case.ok(&["convert", &from, to]);
        from = to.to_owned();
    }
    close(&answers(&case.ok(&["predict", "m.onnx", "scaled.data"]))[..5], &want, 1e-4);
    assert!(case.ok(&["info", "m.mayfly"]).out.contains("scaling"));
}

#[test]
fn an_onnx_cast_to_whole_numbers_cuts_off() {
    let case = Case::with(&["cast-truncates.onnx"]);
    case.write("rows.csv", "a,b\n5.9,-3.2\n0.4,1.6\n10.0,1.99\n");
    close(&answers(&case.ok(&["predict", "cast-truncates.onnx", "rows.csv"])), &[-24.5, 10.5, 20.5], 1e-6);
    case.ok(&["convert", "cast-truncates.onnx", "m.mayfly"]);
    case.ok(&["convert", "m.mayfly", "again.onnx"]);
    close(&answers(&case.ok(&["predict", "again.onnx", "rows.csv"])), &[-24.5, 10.5, 20.5], 1e-6);
}

#[test]
fn onnx_weights_beside_the_model_are_read() {
    let case = Case::with(&["external.onnx", "net.onnx.data", "inside.onnx", "iris-rows.csv"]);
    let inside = case.ok(&["predict", "inside.onnx", "iris-rows.csv"]).out;
    assert_eq!(case.ok(&["predict", "external.onnx", "iris-rows.csv"]).out, inside);
    assert!(case.ok(&["info", "external.onnx"]).out.contains("net.onnx.data"));
    std::fs::remove_file(case.path("net.onnx.data")).unwrap();
    let said = case.refused(&["predict", "external.onnx", "iris-rows.csv"]);
    assert!(said.contains("net.onnx.data") && said.contains("not there"), "{said}");
    assert!(case.ok(&["info", "external.onnx"]).out.contains("cannot be run"));
}

#[test]
fn free_sizes_are_given_on_the_command_line() {
    let case = Case::with(&["free-sizes.onnx"]);
    let info = case.ok(&["info", "free-sizes.onnx"]).out;
    for word in ["height", "width", "Conv", "cannot be run", "--shape 1,N1,N2,N3"] {
        assert!(info.contains(word), "{word}: {info}");
    }
    let json = case.ok(&["info", "free-sizes.onnx", "--json"]).json();
    assert_eq!((&json["runs"], &json["graph"]["inputs"][0]["name"]), (&false.into(), &"x".into()));
    let row: Vec<String> = (0..3 * 4 * 5).map(|i| format!("{}", f64::from(i % 7) * 0.25)).collect();
    let names: Vec<String> = (0..row.len()).map(|i| format!("p{i}")).collect();
    case.write("rows.csv", format!("{}\n{}\n", names.join(","), row.join(",")));
    assert!(case.refused(&["predict", "free-sizes.onnx", "rows.csv"]).contains("--shape"));
    let direct = case.ok(&["predict", "free-sizes.onnx", "rows.csv", "--shape", "1,3,4,5"]).out;
    assert_eq!(case.ok(&["predict", "free-sizes.onnx", "rows.csv", "--shape", "x=8,3,4,5"]).out, direct);
    case.ok(&["convert", "free-sizes.onnx", "m.mayfly", "--shape", "1,3,4,5"]);
    assert_eq!(case.ok(&["predict", "m.mayfly", "rows.csv"]).out, direct);
    assert_eq!(case.ok(&["info", "free-sizes.onnx", "--shape", "1,3,4,5", "--json"]).json()["inputs"], 60);
    let said = case.refused(&["info", "m.mayfly", "--shape", "1,3,4,5"]);
    assert!(said.contains("only an ONNX model"), "{said}");
}

#[test]
fn models_of_other_programs_are_named() {
    let case = Case::new();
    for (name, content, word) in [
        ("m.pt", &b"PK\x03\x04\x14\0\0\0"[..], "zip archive"),
        ("m.pkl", b"\x80\x04\x95\x10", "pickle"),
        ("m.h5", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("m.onnx", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("m.bin", b"\0\0\0\0\0\0\0\0\0", "neither content nor extension"),
    ] {
        case.write(name, content);
        let said = case.refused(&["info", name]);
        assert!(said.contains(word), "{name}: {said}");
    }
}

/// A table of two classes, three rows of the first to one of the second.
fn table(rows: usize) -> String {
    let row = |i: usize| {
        let t = i as f64 * 0.37;
        let kind = if i.is_multiple_of(4) { "rare" } else { "often" };
        format!("{:.4},{:.4},{kind}\n", t.sin() + if kind == "rare" { 0.8 } else { 0.0 }, t.cos())
    };
    format!("a,b,kind\n{}", (0..rows).map(row).collect::<String>())
}

#[test]
fn training_goes_on_from_a_stored_network() {
    let case = Case::new();
    case.write("d.csv", table(200)).write("other.csv", table(90));
    let first = case.ok(&["train", "d.csv", "--epochs", "3", "--seed", "7", "-o", "m.mayfly", "--json"]).json();
    // The same file is split into the same rows again, and the loss goes on falling.
    let on = case.ok(&["train", "d.csv", "--from", "m.mayfly", "--epochs", "30", "-o", "n.mayfly", "--json"]).json();
    assert_eq!(on["seed"], 7);
    assert!(on["train_loss"].as_f64().unwrap() < first["train_loss"].as_f64().unwrap(), "{first} {on}");
    assert_eq!(on["parameters"], first["parameters"]);
    // Without a step, it is the same network.
    let lr = [
        "train",
        "d.csv",
        "--from",
        "m.mayfly",
        "--epochs",
        "1",
        "--lr",
        "1e-30",
        "--algorithm",
        "sgd",
        "-o",
        "s.mayfly",
    ];
    case.ok(&lr);
    let [before, after] = ["m.mayfly", "s.mayfly"].map(|m| case.ok(&["predict", m, "d.csv"]).out);
    assert_eq!(before, after);
    for stream in [&["--stream"][..], &[]] {
        case.ok(&[&["train", "other.csv", "--from", "m.mayfly", "--epochs", "2", "-o", "o.mayfly"], stream].concat());
    }
    case.write("wrong.csv", "a,c,kind\n1,2,rare\n3,4,often\n");
    assert!(case.refused(&["train", "wrong.csv", "--from", "m.mayfly"]).contains("\"b\""));
    assert!(case.refused(&["train", "d.csv", "--from", "m.mayfly", "--hidden", "9"]).contains("--hidden"));
    case.ok(&["convert", "m.mayfly", "m.onnx"]);
    let said = case.refused(&["train", "d.csv", "--from", "m.onnx"]);
    assert!(said.contains("does not say which columns"), "{said}");
}

#[test]
fn training_ends_at_the_desired_error() {
    let case = Case::new();
    case.write("d.csv", table(200));
    let train = |more: &[&str]| {
        let args =
            [&["train", "d.csv", "--patience", "0", "--epochs", "40", "-o", "m.mayfly", "--json"][..], more].concat();
        case.ok(&args)
    };
    let whole = train(&[]).json()["epochs"].as_u64().unwrap();
    let reached = train(&["--desired-error", "0.2"]);
    assert!(
        reached.json()["epochs"].as_u64().unwrap() < whole && reached.err.contains("aim reached"),
        "{}",
        reached.err
    );
    assert!(case.run(&["train", "d.csv", "--desired-error", "nan"]).err.contains("0 or more"));
}

#[test]
fn rare_classes_can_weigh_more() {
    let case = Case::new();
    case.write("d.csv", table(400));
    let share = |weights: &str| {
        let train = ["train", "d.csv", "--hidden", "0", "--epochs", "60", "--class-weights", weights, "-o", "m.mayfly"];
        case.ok(&train);
        case.ok(&["predict", "m.mayfly", "d.csv"]).lines().iter().filter(|l| l.starts_with("rare")).count()
    };
    let (plain, balanced, all) = (share("rare=1"), share("balanced"), share("rare=1000"));
    assert!(plain < balanced && balanced < all, "{plain} {balanced} {all}");
    for (weights, word) in [
        ("often", "no weight"),
        ("x=1", "no class is called so"),
        ("rare=-1", "no weight"),
        ("rare=0,often=0", "no class has"),
    ] {
        let said = case.run(&["train", "d.csv", "--class-weights", weights]).err;
        assert!(said.contains(word), "{weights}: {said}");
    }
}
