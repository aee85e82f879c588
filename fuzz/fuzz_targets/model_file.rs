//! Native models and plain safetensors: no panic, what is accepted is written and reads the same, and the format's own crate agrees.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, TensorFile};

fuzz_target!(|bytes: &[u8]| {
    let options = ReadOptions { nan: NanPolicy::Allow, ..ReadOptions::default() };
    if let Ok(model) = ModelFile::parse("fuzz.mayfly", bytes, &options) {
        let written = model.to_bytes(NanPolicy::Allow).expect("a model that was accepted is written");
        ModelFile::parse("again.mayfly", &written, &options).expect("what was written is read");
    }
    let Ok(file) = TensorFile::parse("fuzz.safetensors", bytes, &options) else { return };
    let theirs = safetensors::SafeTensors::deserialize(bytes).expect("the format's own crate accepts it too");
    assert_eq!(theirs.len(), file.tensors.len());
    let written = file.to_bytes(NanPolicy::Allow).expect("a file that was accepted is written");
    let again = TensorFile::parse("again.safetensors", &written, &options).expect("what was written is read");
    assert_eq!(again.to_bytes(NanPolicy::Allow).expect("and written again"), written);
});
