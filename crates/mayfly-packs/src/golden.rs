//! Golden vectors: small inputs and the outputs that a kernel must give.

use crate::bytes::{from_base64, to_base64};
use crate::error::{PackError, Result};
use crate::limits::{MAX_RANK, elements};
use crate::manifest::Manifest;
use crate::tensor::{DType, Tensor, ulp_distance};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The golden vectors of a pack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Golden {
    /// In the order of the file.
    pub cases: Vec<GoldenCase>,
}

/// One call and what it must give.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenCase {
    /// Kernel id.
    pub kernel: String,
    /// Parameters that differ from the defaults.
    pub params: Vec<(String, Value)>,
    /// In the manifest's order.
    pub inputs: Vec<GoldenTensor>,
    /// In the manifest's order.
    pub outputs: Vec<GoldenTensor>,
    /// The largest distance allowed, by [`ulp_distance`], for outputs that name none of their own.
    pub max_ulp: u64,
}

/// A tensor with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenTensor {
    /// As the manifest has it.
    pub name: String,
    /// What it holds.
    pub tensor: Tensor,
    /// The largest distance allowed for this output; `None`: the case's.
    pub max_ulp: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenFile {
    version: u32,
    cases: Vec<CaseFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    kernel: String,
    #[serde(default)]
    params: serde_json::Map<String, Value>,
    inputs: Vec<TensorFile>,
    outputs: Vec<TensorFile>,
    max_ulp: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorFile {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_ulp: Option<u64>,
}

impl Golden {
    /// Reads `golden.json`; its kernels must be in the manifest.
    ///
    /// # Errors
    /// [`PackError::SchemaViolation`] with the place.
    pub fn from_json(bytes: &[u8], manifest: &Manifest) -> Result<Self> {
        let bad = |at: String, what: String| PackError::schema(format!("golden:{at}"), what);
        let file: GoldenFile = serde_json::from_slice(bytes).map_err(|e| bad(String::new(), e.to_string()))?;
        if file.version != 1 {
            return Err(bad("/version".into(), format!("expected 1, found {}", file.version)));
        }
        let mut cases = Vec::new();
        for (i, case) in file.cases.into_iter().enumerate() {
            if !manifest.kernels.iter().any(|k| k.id == case.kernel) {
                return Err(bad(format!("/cases/{i}/kernel"), format!("no kernel `{}`", case.kernel)));
            }
            let read = |list: Vec<TensorFile>| list.into_iter().map(read_tensor).collect::<Result<Vec<_>, String>>();
            let wrong = |what| bad(format!("/cases/{i}"), what);
            let (inputs, outputs) = (read(case.inputs).map_err(wrong)?, read(case.outputs).map_err(wrong)?);
            let params = case.params.into_iter().collect();
            cases.push(GoldenCase { kernel: case.kernel, params, inputs, outputs, max_ulp: case.max_ulp });
        }
        Ok(Self { cases })
    }

    /// The text of `golden.json`.
    pub fn to_json(&self) -> String {
        let tensor = |t: &GoldenTensor| TensorFile {
            name: t.name.clone(),
            dtype: t.tensor.dtype,
            shape: t.tensor.shape.clone(),
            data: to_base64(&t.tensor.data),
            max_ulp: t.max_ulp,
        };
        let case = |c: &GoldenCase| CaseFile {
            kernel: c.kernel.clone(),
            params: c.params.iter().cloned().collect(),
            inputs: c.inputs.iter().map(tensor).collect(),
            outputs: c.outputs.iter().map(tensor).collect(),
            max_ulp: c.max_ulp,
        };
        serde_json::to_string_pretty(&GoldenFile { version: 1, cases: self.cases.iter().map(case).collect() })
            .unwrap_or_default()
    }

    /// Holds what `run` gives against every case and returns how many there were.
    ///
    /// # Errors
    /// [`PackError::GoldenMismatch`] at the first element too far away, or the error of `run`.
    pub fn check(&self, mut run: impl FnMut(&GoldenCase) -> Result<Vec<Tensor>>) -> Result<usize> {
        for (index, case) in self.cases.iter().enumerate() {
            let found = run(case)?;
            if found.len() != case.outputs.len() {
                let what = format!("expected {} outputs, found {}", case.outputs.len(), found.len());
                return Err(PackError::schema(format!("golden:/cases/{index}/outputs"), what));
            }
            case.outputs.iter().zip(&found).try_for_each(|(expected, found)| case.compare(index, expected, found))?;
        }
        Ok(self.cases.len())
    }
}

impl GoldenCase {
    fn compare(&self, index: usize, expected: &GoldenTensor, found: &Tensor) -> Result<()> {
        if (found.dtype, &found.shape) != (expected.tensor.dtype, &expected.tensor.shape) {
            let what = format!("`{}`: expected {:?}, found {:?}", expected.name, expected.tensor.shape, found.shape);
            return Err(PackError::schema(format!("golden:/cases/{index}/outputs"), what));
        }
        let max_ulp = expected.max_ulp.unwrap_or(self.max_ulp);
        let pairs = expected.tensor.to_f64().into_iter().zip(found.to_f64());
        for (element, (a, b)) in pairs.enumerate() {
            let ulp = ulp_distance(found.dtype, a, b);
            if ulp > max_ulp {
                return Err(PackError::GoldenMismatch {
                    kernel: self.kernel.clone(),
                    case: index,
                    output: expected.name.clone(),
                    element,
                    expected: a,
                    found: b,
                    ulp,
                    max_ulp,
                });
            }
        }
        Ok(())
    }
}

fn read_tensor(file: TensorFile) -> Result<GoldenTensor, String> {
    let elements = elements(file.shape.iter().map(|d| *d as u64));
    let bytes = elements.filter(|_| file.shape.len() <= MAX_RANK).and_then(|n| file.dtype.bytes(n));
    let data = from_base64(&file.data).filter(|data| Some(data.len() as u64) == bytes);
    let data = data.ok_or_else(|| format!("`{}`: data does not fit the shape {:?}", file.name, file.shape))?;
    let tensor = Tensor { dtype: file.dtype, shape: file.shape, data };
    Ok(GoldenTensor { name: file.name, tensor, max_ulp: file.max_ulp })
}
