//! Where tests and benchmarks find real data that is not in the repository. Not part of the public interface.

use std::path::{Path, PathBuf};

/// The folder of test data: the variable `MAYFLY_DATA`, else `../shared/data` seen from the root of the repository.
fn folder() -> PathBuf {
    match std::env::var_os("MAYFLY_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    }
}

/// A file of the test data, such as `fann/mushroom.train`. Where it is absent, says so and gives `None`: the test then returns.
///
/// # Panics
/// When it is absent although `CI` is set: there nothing may be skipped.
pub fn find(relative: &str) -> Option<PathBuf> {
    present(folder().join(relative), "set MAYFLY_DATA to the folder of test data")
}

/// A file of the Debian package `dataset-fashion-mnist`, such as `train-images-idx3-ubyte.gz`; else as [`find`], but never required.
pub fn find_fashion_mnist(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/share/datasets/fashion-mnist").join(name);
    if path.is_file() {
        return Some(path);
    }
    say_skipped(&path, "apt-get install dataset-fashion-mnist");
    None
}

fn present(path: PathBuf, advice: &str) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path);
    }
    let in_ci = std::env::var_os("CI").is_some();
    assert!(!in_ci, "{} is absent, and in CI no test may be skipped: {advice}", path.display());
    say_skipped(&path, advice);
    None
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so, and this is only called from tests")]
fn say_skipped(path: &Path, advice: &str) {
    eprintln!("SKIPPED: {} is absent ({advice})", path.display());
}
