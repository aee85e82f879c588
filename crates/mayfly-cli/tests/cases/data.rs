//! Data files: what is read, what is refused, and in which words.
use crate::case::Case;

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
