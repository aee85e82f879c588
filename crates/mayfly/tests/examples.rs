//! The examples do what they say, and stay short enough to be read.
#[path = "../examples/air_passengers.rs"]
mod air_passengers;
#[path = "../examples/custom.rs"]
mod custom;
#[path = "../examples/digits.rs"]
mod digits;
#[path = "../examples/iris.rs"]
mod iris;
#[path = "../examples/xor.rs"]
mod xor;

#[test]
fn xor_is_learnt() {
    let worst = xor::run().unwrap();
    assert!(worst < 0.1, "{worst}");
}

#[test]
fn iris_is_told_apart() {
    let accuracy = iris::run().unwrap();
    assert!(accuracy >= 0.9, "{accuracy}");
}

#[test]
fn digits_are_read() {
    let accuracy = digits::run().unwrap();
    assert!(accuracy >= 0.95, "{accuracy}");
}

#[test]
fn the_forecast_beats_last_year() {
    let [ours, naive] = air_passengers::run().unwrap();
    assert!(ours < 0.7 * naive, "{ours} {naive}");
}

#[test]
fn functions_of_ones_own_train_and_load() {
    let loss = custom::run().unwrap();
    assert!(loss < 0.01, "{loss}");
}

#[test]
fn examples_are_short() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 5);
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines < 80, "{}: {lines} lines", file.display());
    }
}
