//! Weights in files beside the model: read from its folder and below, and from nowhere else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use mayfly_format::FormatError;
use mayfly_format::onnx::{AttributeProto, ElementType, GraphBuilder, ModelProto, StringStringEntry, TensorProto};
use std::path::Path;

/// `y = w · x + c` with the tensors `w` of 6 floats and `c`, a Constant, of 3.
fn model() -> ModelProto {
    let mut graph = GraphBuilder::new("net");
    graph.input("x", ElementType::Float, &["batch".into(), 2.into()]);
    graph.output("y", ElementType::Float, &["batch".into(), 3.into()]);
    graph.f32("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    graph.node("Gemm", &["x", "w"], &["h"], vec![AttributeProto::int("transB", 1)]);
    let constant = TensorProto::f32("c", &[3], &[0.25, 0.5, 0.75]);
    graph.node("Constant", &[], &["c"], vec![AttributeProto::tensor("value", constant)]);
    graph.node("Add", &["h", "c"], &["y"], vec![]);
    graph.finish("a test").unwrap()
}

fn move_out(tensor: &mut TensorProto, file: &mut Vec<u8>, entries: &[(&str, &str)]) {
    let entry = |key: &str, value: &str| StringStringEntry { key: key.into(), value: value.into() };
    file.resize(file.len().next_multiple_of(64), 0xff);
    let (offset, length) = (file.len().to_string(), tensor.raw_data.len().to_string());
    file.append(&mut tensor.raw_data);
    tensor.data_location = 1;
    tensor.external_data = vec![entry("location", "net.onnx.data"), entry("offset", &offset), entry("length", &length)];
    for (key, value) in entries {
        tensor.external_data.retain(|e| e.key != *key);
        if *value != "-" {
            tensor.external_data.push(entry(key, value));
        }
    }
}

/// Writes the model with its weights outside; `entries` replace what the tensor `w` says of its place, "-" leaves it out.
fn written(folder: &Path, entries: &[(&str, &str)]) -> Result<ModelProto, FormatError> {
    let (mut model, mut file) = (model(), Vec::new());
    let graph = model.graph.as_mut().unwrap();
    move_out(&mut graph.initializer[0], &mut file, entries);
    move_out(graph.node[1].attribute[0].t.as_mut().unwrap(), &mut file, &[]);
    if !folder.join("net.onnx.data").exists() {
        std::fs::write(folder.join("net.onnx.data"), file).unwrap();
    }
    std::fs::write(folder.join("net.onnx"), model.to_bytes()).unwrap();
    ModelProto::read(folder.join("net.onnx"))
}

#[test]
fn weights_outside_are_the_weights_inside() {
    let folder = tempfile::tempdir().unwrap();
    for entries in [&[][..], &[("length", "-")], &[("offset", "-")], &[("location", "./net.onnx.data")]] {
        assert_eq!(written(folder.path(), entries).unwrap(), model());
    }
    std::fs::create_dir(folder.path().join("weights")).unwrap();
    std::fs::copy(folder.path().join("net.onnx.data"), folder.path().join("weights/w")).unwrap();
    assert_eq!(written(folder.path(), &[("location", "weights/w")]).unwrap(), model());
    // Bytes alone have no folder.
    let bytes = std::fs::read(folder.path().join("net.onnx")).unwrap();
    assert!(matches!(ModelProto::parse("net.onnx", &bytes), Err(FormatError::ExternalData { .. })));
    assert_eq!(ModelProto::peek(folder.path().join("net.onnx")).unwrap().graph().unwrap().node.len(), 3);
}

#[test]
fn places_that_are_not_the_models_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(parent.path().join("secret"), [0; 64]).unwrap();
    std::fs::create_dir(folder.join("sub")).unwrap();
    let absolute = parent.path().join("secret").display().to_string();
    let cases: Vec<(Vec<(&str, &str)>, &str)> = vec![
        (vec![("location", "../secret")], "below it"),
        (vec![("location", "sub/../../secret")], "below it"),
        (vec![("location", "..\\secret")], "below it"),
        (vec![("location", &absolute)], "below it"),
        (vec![("location", "")], "below it"),
        (vec![("location", "-")], "below it"),
        (vec![("location", "missing")], "not there"),
        (vec![("location", "sub")], "no file"),
        (vec![("length", "25")], "24"),
        (vec![("length", "18446744073709551615")], "24"),
        (vec![("length", "-24")], "no number of bytes"),
        (vec![("offset", "18446744073709551600")], "the file has"),
        (vec![("offset", "1000")], "the file has"),
        (vec![("offset", "0x10")], "no number of bytes"),
    ];
    for (entries, word) in cases {
        match written(&folder, &entries) {
            Err(error @ FormatError::ExternalData { .. }) => {
                assert!(error.to_string().contains(word) && error.to_string().contains("\"w\""), "{entries:?}: {error}")
            }
            other => panic!("{entries:?}: {other:?}"),
        }
    }
    std::fs::write(
        folder.join("net.onnx.data"),
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 99\n",
    )
    .unwrap();
    assert!(written(&folder, &[]).unwrap_err().to_string().contains("git lfs pull"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_within_the_folder_and_not_out_of_it() {
    use std::os::unix::fs::symlink;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    written(&folder, &[]).unwrap();
    symlink("net.onnx.data", folder.join("inside")).unwrap();
    assert_eq!(written(&folder, &[("location", "inside")]).unwrap(), model());
    std::fs::copy(folder.join("net.onnx.data"), parent.path().join("outside")).unwrap();
    symlink("../outside", folder.join("leaving")).unwrap();
    symlink("..", folder.join("up")).unwrap();
    for location in ["leaving", "up/outside"] {
        let error = written(&folder, &[("location", location)]).unwrap_err();
        assert!(error.to_string().contains("leads out"), "{error}");
    }
    // The folder may be reached by a link.
    symlink(&folder, parent.path().join("alias")).unwrap();
    written(&folder, &[]).unwrap();
    assert_eq!(ModelProto::read(parent.path().join("alias/net.onnx")).unwrap(), model());
}

/// Many tensors of one small file would take more memory than all files hold.
#[test]
fn the_same_bytes_are_not_taken_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &[]).unwrap();
    let mut model = ModelProto::peek(folder.path().join("net.onnx")).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let mut tensor = graph.initializer[0].clone();
    for i in 0..40 {
        tensor.name = format!("w{i}");
        graph.initializer.push(tensor.clone());
    }
    std::fs::write(folder.path().join("net.onnx"), model.to_bytes()).unwrap();
    let error = ModelProto::read(folder.path().join("net.onnx")).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
}
