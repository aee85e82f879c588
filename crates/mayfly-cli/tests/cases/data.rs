//! Data files: what is read, what is refused, and in which words.
use crate::case::{Case, Ran};
use std::fmt::Write;

/// Trains a few epochs on a file of the folder, which must succeed.
fn trained(case: &Case, file: &str, more: &[&str]) -> Ran {
    case.ok(&[&["train", file, "--epochs", "3", "-o", "m.mayfly"], more].concat())
}

/// What training on a file says before it starts and after it ends.
fn says(file: &str, more: &[&str]) -> String {
    trained(&Case::with(&[file]), file, more).err
}

/// Rows of two numbers and a class that follows from them, each made by `row(i, a, b, class)`.
fn rows(count: usize, row: impl Fn(usize, f64, f64, usize) -> String) -> String {
    let mut text = String::new();
    for i in 0..count {
        let (a, b) = ((i * 37 % 101) as f64 / 10.0, (i * 53 % 89) as f64 / 10.0);
        let _ = writeln!(text, "{}", row(i, a, b, usize::from(a > b)));
    }
    text
}

#[test]
fn a_pointer_or_a_page_in_place_of_data_is_named() {
    let case = Case::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n";
    let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n";
    for name in ["d.csv", "d.parquet", "d.npz", "d.data", "d-images-idx3-ubyte", "m.safetensors", "m.onnx", "m.net"] {
        for (content, word) in [(pointer, "git lfs pull"), (page, "HTML page")] {
            case.write(name, content);
            let command = if name.starts_with('m') { "info" } else { "train" };
            let said = case.refused(&[command, name]);
            assert!(said.contains(word), "{name}: {said}");
        }
    }
}

#[test]
fn headings_that_are_numbers() {
    let said = says("headings-that-are-years.csv", &[]);
    assert!(said.contains("target (2 classes: no, yes)") && said.contains("numbers 2019, 2020, 2021"), "{said}");
    let said = says("headings-that-are-years-to-regress.csv", &[]);
    assert!(said.contains("growth (a number)"), "{said}");
    let case = Case::new();
    case.write(
        "counted.csv",
        "0,1,class\n".to_owned() + &rows(60, |_, a, b, k| format!("{},{},k{k}", a + 0.05, b + 0.05)),
    );
    assert!(trained(&case, "counted.csv", &[]).err.contains("numbers 0, 1"));
    // A row of data with a word in it is no header, and the error says how to say otherwise.
    case.write("odd.csv", "5.1,odd,1\n".to_owned() + &rows(60, |_, a, b, k| format!("{a},{b},{k}")));
    let said = case.refused(&["train", "odd.csv"]);
    assert!(said.contains("line 1") && said.contains("--header"), "{said}");
    assert!(trained(&case, "odd.csv", &["--header"]).err.contains("5.1"));
}

#[test]
fn markers_of_missing_values() {
    let said = says("marker-in-a-small-table.csv", &[]);
    assert!(said.contains("5 inputs") && said.contains("missing in \"width\""), "{said}");
    let case = Case::new();
    for marker in ["N/A", "None", "#N/A", "-", "?", "nan", "NULL", ".", "n.a.", "<NA>"] {
        let row = |i: usize, a, b, k| if i % 7 == 3 { format!("{a},{marker},{k}") } else { format!("{a},{b},{k}") };
        case.write("d.csv", "a,b,class\n".to_owned() + &rows(40, row));
        let said = trained(&case, "d.csv", &[]).err;
        assert!(said.contains("2 inputs") && said.contains("missing in \"b\""), "{marker}: {said}");
    }
    let row = |i: usize, a, b, k| if i % 7 == 3 { format!("{a},unknown,{k}") } else { format!("{a},{b},{k}") };
    case.write("d.csv", "a,b,class\n".to_owned() + &rows(40, row));
    let said = case.refused(&["train", "d.csv"]);
    assert!(said.contains("line 5") && said.contains("\"unknown\"") && said.contains("--missing"), "{said}");
    assert!(trained(&case, "d.csv", &["--missing", "unknown"]).err.contains("missing in \"b\""));
    // The marker stays with the model.
    case.write("new.csv", "a,b\n1.5,unknown\n");
    assert_eq!(case.ok(&["predict", "m.mayfly", "new.csv"]).lines().len(), 2);
    let row = |i: usize, a, b, k| if i % 7 == 3 { format!("{a},-999,{k}") } else { format!("{a},{b},{k}") };
    case.write("d.csv", "a,b,class\n".to_owned() + &rows(40, row));
    assert!(trained(&case, "d.csv", &["--missing", "-999"]).err.contains("missing in \"b\""));
    assert!(trained(&case, "d.csv", &["--missing", "drop,-999"]).err.contains("2 inputs"));
    assert!(case.refused(&["train", "d.csv", "--missing", "error,-999"]).contains("line 5"));
}

#[test]
fn row_numbers_and_identifiers_are_no_inputs() {
    let said = says("unnamed-row-numbers.csv", &[]);
    assert!(said.contains("left out: \"Unnamed: 0\" (row numbers)"), "{said}");
    let case = Case::new();
    case.write(
        "d.csv",
        "user_id,a,b,class\n".to_owned() + &rows(60, |i, a, b, k| format!("{},{a},{b},{k}", i * 7919 % 1009)),
    );
    assert!(trained(&case, "d.csv", &[]).err.contains("left out: \"user_id\" (identifiers"));
    assert!(trained(&case, "d.csv", &["--kinds", "user_id=number"]).err.contains("numbers user_id, a, b"));
    case.write("d.csv", "day,a,b,class\n".to_owned() + &rows(60, |i, a, b, k| format!("{i},{a},{b},{k}")));
    assert!(trained(&case, "d.csv", &[]).err.contains("counts up by one"));
    let said = trained(&case, "d.csv", &["--id", "day"]).err;
    assert!(said.contains("left out: \"day\" (identifiers") && said.contains("2 inputs"), "{said}");
}

#[test]
fn one_class_has_one_name() {
    assert!(says("booleans-in-mixed-case.csv", &[]).contains("2 classes: false, true"));
    assert!(says("no-break-space.csv", &[]).contains("(2 classes"));
    let case = Case::new();
    let spelt = |i: usize, k: usize| [["No", "NO", "no"], ["Yes", "YES", "yes"]][k][i % 3];
    case.write("d.csv", "a,b,answer\n".to_owned() + &rows(60, |i, a, b, k| format!("{a},{b},{}", spelt(i, k))));
    assert!(trained(&case, "d.csv", &[]).err.contains("2 classes: no, yes"));
    case.write("other.csv", "a,b,answer\n1,2,No\n2,1,YES\n");
    assert_eq!(case.ok(&["eval", "m.mayfly", "other.csv", "--json"]).json()["rows"], 2);
    let colour = |i: usize, k: usize| [["Red", "red"], ["Blue", "blue"]][k][i % 2];
    case.write("d.csv", "a,b,answer\n".to_owned() + &rows(60, |i, a, b, k| format!("{a},{b},{}", colour(i, k))));
    let said = trained(&case, "d.csv", &[]).err;
    assert!(said.contains("4 classes") && said.contains("differ only in case"), "{said}");
}

#[test]
fn codes_keep_their_zeros() {
    let case = Case::with(&["codes-with-zeros.csv"]);
    trained(&case, "codes-with-zeros.csv", &[]);
    let predicted = case.ok(&["predict", "m.mayfly", "codes-with-zeros.csv"]);
    assert_eq!(predicted.lines()[0], "prediction,01,02,10");
    // As an input they are categories too, and one that begins without a zero is found again.
    case.write(
        "d.csv",
        "zip,a,class\n".to_owned() + &rows(60, |i, a, _, k| format!("{},{a},{k}", ["01", "02", "10"][i % 3])),
    );
    assert!(trained(&case, "d.csv", &[]).err.contains("categories zip (3)"));
    case.write("new.csv", "zip,a\n10,1.5\n");
    assert_eq!(case.ok(&["predict", "m.mayfly", "new.csv"]).lines().len(), 2);
}

#[test]
fn names_and_dates_are_no_inputs() {
    let case = Case::with(&["people.csv", "new-people.csv"]);
    let said = trained(&case, "people.csv", &[]).err;
    assert!(said.contains("left out: \"name\" (names") && said.contains("left out: \"joined\" (dates"), "{said}");
    assert_eq!(case.ok(&["predict", "m.mayfly", "new-people.csv"]).lines().len(), 3);
    // Dates that come again, times, and names of which one comes twice.
    let row =
        |i: usize, a, b, k| format!("{}.{}.2024,{}:30,n{},{a},{b},{k}", i % 5 + 1, i % 3 + 1, i % 7 + 10, i.max(1));
    case.write("d.csv", "day,hour,who,a,b,class\n".to_owned() + &rows(40, row));
    let said = trained(&case, "d.csv", &[]).err;
    assert!(said.contains("left out: \"day\", \"hour\" (dates") && said.contains("left out: \"who\" (names"), "{said}");
    // A target of them is refused, with the reason.
    assert!(case.refused(&["train", "d.csv", "--target", "day"]).contains("dates"));
}

#[test]
fn what_was_imputed_is_said() {
    let case = Case::with(&["blank-cells.csv"]);
    let said = trained(&case, "blank-cells.csv", &[]).err;
    assert!(said.contains("imputed: ") && said.contains("missing in \"width\", by the mean"), "{said}");
    let said = case.ok(&["predict", "m.mayfly", "blank-cells.csv"]).err;
    assert!(said.contains("imputed: 60 cells missing in \"width\""), "{said}");
}

#[test]
fn infinities_are_errors_with_their_line() {
    let case = Case::with(&["infinity.csv"]);
    let said = case.refused(&["train", "infinity.csv"]);
    assert!(said.contains("line ") && said.contains("\"Infinity\"") && said.contains("finite"), "{said}");
    for word in ["inf", "-INF", "∞"] {
        case.write("d.csv", format!("a,b,class\n1,{word},x\n2,3,y\n4,3,y\n"));
        assert!(case.refused(&["train", "d.csv"]).contains("line 2"), "{word}");
    }
}

#[test]
fn decimal_commas_and_groups_of_digits() {
    let said = says("decimal-commas.csv", &[]);
    assert!(said.contains("decimal commas") && said.contains("Preis (a number)"), "{said}");
    assert!(says("thousands.csv", &[]).contains("price (a number)"));
    let case = Case::with(&["currency.csv"]);
    let said = case.refused(&["train", "currency.csv"]);
    assert!(said.contains("line 2") && said.contains("\"$1,147,940.95\"") && said.contains("currency sign"), "{said}");
    case.write("d.csv", "a,b,class\n".to_owned() + &rows(40, |_, a, b, k| format!("{a},{b}%,{k}")));
    assert!(case.refused(&["train", "d.csv"]).contains("percent sign"));
    // Three digits behind a comma can be either: refused until somebody says which.
    let line = |i: usize, _, _, k| format!("{}\t1,{:03}\t{k}", i % 7, i * 7 + 100);
    case.write("d.tsv", "a\tb\tclass\n".to_owned() + &rows(40, line));
    let said = case.refused(&["train", "d.tsv"]);
    assert!(said.contains("--decimal comma") && said.contains("--decimal point"), "{said}");
    assert!(trained(&case, "d.tsv", &["--decimal", "comma"]).err.contains("numbers a, b"));
    // A model that was trained with decimal commas does not read 1.500 as a little more than one.
    let line = |i: usize, _, _, _| format!("1.{:03},5;{}", i * 20 + 100, i * 20 + 1100);
    case.write("d.csv", "a;b\n".to_owned() + &rows(40, line));
    case.ok(&["train", "d.csv", "-o", "m.mayfly", "--epochs", "200"]);
    case.write("one.csv", "a\n1.500\n");
    let answer: f64 = case.ok(&["predict", "m.mayfly", "one.csv"]).lines()[1].parse().unwrap();
    assert!((1300.0..1700.0).contains(&answer), "{answer}");
}

#[test]
fn tables_of_other_shapes() {
    let said = says("trailing-commas.csv", &[]);
    assert!(said.contains("target (2 classes: no, yes)") && said.contains("\"column5\" (no value"), "{said}");
    let said = says("white-space.data", &[]);
    assert!(said.contains("white space") && said.contains("x3 (a number)"), "{said}");
    let case = Case::new();
    let body = rows(60, |_, a, b, k| format!("{a};{b};k{k}"));
    case.write("sep.csv", format!("sep=;\r\na;b;class\n{body}"));
    assert!(trained(&case, "sep.csv", &[]).err.contains("semicolons"));
    case.write("title.csv", format!("Measured in May\n\na;b;class\n{body}"));
    let said = trained(&case, "title.csv", &[]).err;
    assert!(said.contains("one line above the table") && said.contains("class (2 classes"), "{said}");
    case.write("r.csv", "a,b,class\n".to_owned() + &rows(60, |i, a, b, k| format!("\"r{i}\",{a},{b},k{k}")));
    let said = trained(&case, "r.csv", &[]).err;
    assert!(said.contains("numbers a, b") && said.contains("left out: \"column1\""), "{said}");
    case.write("wide.csv", "a\0,\0b\0\n\0");
    assert!(case.refused(&["train", "wide.csv"]).contains("UTF-16"));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    says("byte-order-mark.data", &[]);
    let case = Case::new();
    case.write("d.csv", "\u{feff}a,b,class\n".to_owned() + &rows(40, |_, a, b, k| format!("{a},{b},{k}")));
    assert!(trained(&case, "d.csv", &[]).err.contains("numbers a, b"));
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_of_other_codecs_and_nested_columns() {
    says("lz4.parquet", &[]);
    let said = says("nested.parquet", &["--ignore", "tags"]);
    assert!(said.contains("left out: \"tags\" (to be ignored)"), "{said}");
    let case = Case::with(&["nested.parquet"]);
    assert!(case.refused(&["train", "nested.parquet"]).contains("--ignore tags"));
}

#[test]
fn images_without_labels() {
    let case = Case::with(&["t-images-idx3-ubyte"]);
    let said = case.refused(&["train", "t-images-idx3-ubyte"]);
    assert!(said.contains("t-labels-idx1-ubyte") && said.contains("--labels"), "{said}");
}

#[test]
fn options_are_the_same_in_a_file() {
    let case = Case::new();
    case.write(
        "d.txt",
        "a|b|class\n".to_owned()
            + &rows(40, |i, a, b, k| format!("{}|{b}|{k}", if i % 9 == 1 { "x".into() } else { a.to_string() })),
    );
    case.write(
        "t.toml",
        "missing = \"x\"\ndelimiter = \"pipe\"\nheader = true\nkinds = [\"b=ignore\"]\ntarget = \"class\"\n",
    );
    let said = trained(&case, "d.txt", &["--config", "t.toml"]).err;
    assert!(said.contains("missing in \"a\"") && said.contains("left out: \"b\" (to be ignored)"), "{said}");
    case.write("t.toml", "delimeter = \"pipe\"\n");
    assert!(case.refused(&["train", "d.txt", "--config", "t.toml"]).contains("delimeter"));
}
