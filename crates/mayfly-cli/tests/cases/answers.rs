//! Answers and figures: in which units, by which columns, over which rows.
use crate::case::{Case, Ran};

/// The answers as numbers, row by row.
fn numbers(ran: &Ran) -> Vec<Vec<f64>> {
    let row = |line: &&str| line.split(',').map(|field| field.parse().unwrap()).collect();
    ran.lines().iter().skip(1).map(row).collect()
}

#[test]
fn json_answers_are_in_the_units_of_the_target() {
    let case = Case::with(&["regression.csv"]);
    case.ok(&["train", "regression.csv", "--epochs", "40", "-o", "m.mayfly"]);
    let text = numbers(&case.ok(&["predict", "m.mayfly", "regression.csv"]));
    let object = case.ok(&["predict", "m.mayfly", "regression.csv", "--json"]).json();
    let outputs: Vec<Vec<f64>> = serde_json::from_value(object["outputs"].clone()).unwrap();
    assert_eq!(text, outputs);
    assert!((900.0..1500.0).contains(&outputs[0][0]), "{}", outputs[0][0]);
    // Two targets of different sizes, and a model that went through int8.
    case.write(
        "two.csv",
        "a,b,c\n".to_owned() + &(0..60).map(|i| format!("{i}.5,{},{}\n", i * 100, 7 - i)).collect::<String>(),
    );
    case.ok(&["train", "two.csv", "--target", "b,c", "--epochs", "20", "-o", "two.mayfly"]);
    case.ok(&["quantize", "two.mayfly", "q.mayfly", "--to", "int8"]);
    for model in ["two.mayfly", "q.mayfly"] {
        let object = case.ok(&["predict", model, "two.csv", "--json"]).json();
        assert_eq!(object["columns"], serde_json::json!(["b", "c"]));
        let outputs: Vec<Vec<f64>> = serde_json::from_value(object["outputs"].clone()).unwrap();
        assert_eq!(outputs, numbers(&case.ok(&["predict", model, "two.csv"])));
    }
}

#[test]
fn columns_of_a_network_without_names_fit_or_are_named() {
    let case = Case::with(&["four-inputs.onnx", "four-inputs.csv", "four-inputs-behind-an-id.csv"]);
    let want = case.ok(&["predict", "four-inputs.onnx", "four-inputs.csv"]).out;
    let behind = "four-inputs-behind-an-id.csv";
    let said = case.refused(&["predict", "four-inputs.onnx", behind]);
    assert!(said.contains("\"id\"") && said.contains("--inputs") && said.contains("--ignore"), "{said}");
    assert_eq!(case.ok(&["predict", "four-inputs.onnx", behind, "--ignore", "id"]).out, want);
    assert_eq!(case.ok(&["predict", "four-inputs.onnx", behind, "--inputs", "a,b,c,d"]).out, want);
    assert_ne!(case.ok(&["predict", "four-inputs.onnx", behind, "--inputs", "b,a,c,d"]).out, want);
    assert!(case.refused(&["predict", "four-inputs.onnx", behind, "--inputs", "a,b,c"]).contains("takes 4"));
    // One row alone, in which the id does not count up, is refused as well.
    let text = std::fs::read_to_string(case.path(behind)).unwrap();
    case.write("one.csv", text.lines().take(2).collect::<Vec<_>>().join("\n"));
    case.refused(&["predict", "four-inputs.onnx", "one.csv"]);
}

#[test]
fn an_answer_depends_on_its_row_alone() {
    let case = Case::with(&["four-inputs.onnx", "missing-cell-beside-some.csv", "missing-cell-beside-others.csv"]);
    for file in ["missing-cell-beside-some.csv", "missing-cell-beside-others.csv"] {
        let said = case.refused(&["predict", "four-inputs.onnx", file]);
        assert!(said.contains("line 3") && said.contains("is missing"), "{said}");
    }
    case.write("word.csv", "a,b,c,d\n1,2,3,4\n1,red,3,4\n");
    assert!(case.refused(&["predict", "four-inputs.onnx", "word.csv"]).contains("\"b\""));
}

#[test]
fn a_file_never_names_the_classes_of_a_network() {
    let case = Case::with(&["three-outputs.onnx", "classes-by-name.csv", "classes-by-other-names.csv"]);
    let answers = case.ok(&["predict", "three-outputs.onnx", "classes-by-name.csv"]);
    assert_eq!(answers.lines()[0], "output1,output2,output3");
    assert_eq!(answers.out, case.ok(&["predict", "three-outputs.onnx", "classes-by-other-names.csv"]).out);
    let eval = case.ok(&["eval", "three-outputs.onnx", "classes-by-other-names.csv"]);
    assert!(eval.err.contains("output 1 is \"aa\""), "{}", eval.err);
}

#[test]
fn prediction_needs_no_target() {
    let case = Case::with(&["four-inputs.onnx", "constant-words-last.csv"]);
    let ran = case.ok(&["predict", "four-inputs.onnx", "constant-words-last.csv"]);
    assert!(ran.err.contains("left out: "), "{}", ran.err);
    case.write("target.csv", "a,b,c,d,target\n1,2,3,4,0\n4,3,2,1,0\n");
    assert_eq!(case.ok(&["predict", "four-inputs.onnx", "target.csv"]).lines().len(), 3);
    // A constant number under another name may be an input: somebody has to say.
    case.write("other.csv", "a,b,c,d,e\n1,2,3,4,0\n4,3,2,1,0\n");
    case.refused(&["predict", "four-inputs.onnx", "other.csv"]);
    assert_eq!(case.ok(&["predict", "four-inputs.onnx", "other.csv", "--ignore", "e"]).lines().len(), 3);
}

#[test]
fn figures_are_called_what_they_are() {
    let case = Case::with(&["target-comes-first.csv", "constant-target.csv", "tiny-numbers.csv"]);
    case.write(
        "five.csv",
        "length,width,target\n45.2,-6.3,no\n45.1,-2.4,yes\n18.9,1.1,no\n79.2,-3.2,yes\n44.6,2.3,no\n",
    );
    let ran = case.ok(&["train", "five.csv", "--epochs", "20", "-o", "m.mayfly"]);
    assert!(
        ran.out.starts_with("training rows: accuracy") && ran.err.contains("none is held out"),
        "{}{}",
        ran.out,
        ran.err
    );
    let object = case.ok(&["train", "five.csv", "--epochs", "20", "-o", "m.mayfly", "--json"]).json();
    assert!(object["test_accuracy"].is_null() && object["test_loss"].is_null() && object["train_accuracy"].is_f64());
    let ran = case.ok(&["train", "target-comes-first.csv", "--epochs", "3", "-o", "m.mayfly"]);
    assert!(ran.err.contains("target: width"), "{}", ran.err);
    assert!(case.refused(&["train", "constant-target.csv"]).contains("the same value, 42.5"));
    let ran = case.ok(&["train", "tiny-numbers.csv", "--epochs", "30", "-o", "m.mayfly"]);
    assert!(ran.out.contains("e-") && !ran.out.contains("0.0000"), "{}", ran.out);
    let residuals = ran.lines().last().unwrap().split_whitespace().count();
    assert_eq!(residuals, 7, "{}", ran.out);
}

#[test]
fn nothing_is_measured_on_nothing() {
    let case = Case::with(&["regression.csv"]);
    case.ok(&["train", "regression.csv", "--epochs", "3", "-o", "m.mayfly"]);
    let text = std::fs::read_to_string(case.path("regression.csv")).unwrap();
    case.write("none.csv", format!("{}\n", text.lines().next().unwrap()));
    assert!(case.refused(&["eval", "m.mayfly", "none.csv"]).contains("no rows"));
    // One row, and a target that never varies: an error is shown, R² is not.
    case.write("one.csv", text.lines().take(2).collect::<Vec<_>>().join("\n"));
    let ran = case.ok(&["eval", "m.mayfly", "one.csv"]);
    assert!(ran.out.contains("R² undefined") && ran.out.contains("over 1 row"), "{}", ran.out);
    assert!(case.ok(&["eval", "m.mayfly", "one.csv", "--json"]).json()["test_r2"].is_null());
    assert!(case.refused(&["train", "regression.csv", "--test", "none.csv"]).contains("no rows to test on"));
}

#[test]
fn four_rows_of_xor_are_learnt() {
    let case = Case::with(&["xor.data"]);
    let ran = case.ok(&["train", "xor.data", "-o", "m.mayfly"]);
    assert!(ran.err.contains("none is held out"), "{}", ran.err);
    assert_eq!(case.ok(&["eval", "m.mayfly", "xor.data", "--json"]).json()["test_accuracy"], 1.0);
}

#[test]
fn the_positive_class_has_precision_and_recall() {
    let case = Case::new();
    let row = |i: usize| format!("{},{}\n", i % 10, ["ill", "well"][usize::from(i % 10 > 2)]);
    case.write("d.csv", "a,state\n".to_owned() + &(0..90).map(row).collect::<String>());
    let object = case.ok(&["train", "d.csv", "--positive", "ill", "--epochs", "40", "-o", "m.mayfly", "--json"]).json();
    assert!(object["test_recall"].is_f64() && object["test_precision"].is_f64(), "{object}");
    assert!(case.ok(&["eval", "m.mayfly", "d.csv"]).out.contains("\"ill\": precision"));
    assert!(case.refused(&["train", "d.csv", "--positive", "sick"]).contains("no class \"sick\""));
}
