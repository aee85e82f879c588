//! The hash of a model's content; `docs/formats/model.md` has the sequence.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::Tensor;

/// The metadata key of the hash, left out of it.
pub(super) const KEY: &str = "blake3";

/// The hash in lower-case hex. The order of the tensors does not matter.
pub(super) fn content(format: &str, metadata: &BTreeMap<String, String>, tensors: &[Tensor]) -> String {
    let mut hasher = Hasher(blake3::Hasher::new());
    hasher.string(format);
    hasher.number(metadata.keys().filter(|k| *k != KEY).count() as u64);
    for (key, value) in metadata.iter().filter(|(k, _)| *k != KEY) {
        hasher.string(key);
        hasher.string(value);
    }
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    hasher.number(sorted.len() as u64);
    for tensor in sorted {
        hasher.tensor(tensor);
    }
    hasher.0.finalize().to_hex().to_string()
}

struct Hasher(blake3::Hasher);

impl Hasher {
    fn number(&mut self, n: u64) {
        self.0.update(&n.to_le_bytes());
    }

    fn string(&mut self, s: &str) {
        self.number(s.len() as u64);
        self.0.update(s.as_bytes());
    }

    fn tensor(&mut self, tensor: &Tensor) {
        self.string(&tensor.name);
        self.string(tensor.data.dtype().name());
        self.number(tensor.shape.len() as u64);
        for &dim in &tensor.shape {
            self.number(dim as u64);
        }
        self.number(tensor.data.byte_len());
        let Ok(()) = tensor.data.le_bytes(&mut |bytes| {
            self.0.update(bytes);
            Ok::<(), Infallible>(())
        });
    }
}
