//! The manifest: what a pack says about itself, checked first by the schema and then for what a schema cannot say.

use crate::error::{PackError, Result, check_limit};
use crate::limits::{MANIFEST_BYTES, PAGE_BYTES};
use crate::schema::manifest_schema;
use crate::shape::Dim;
use crate::tensor::DType;
use crate::version::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The published JSON Schema of `kernels.json`.
pub const SCHEMA: &str = include_str!("../../../docs/formats/kernel-pack.schema.json");

/// `kernels.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The schema's name.
    #[serde(rename = "$schema")]
    pub schema: String,
    /// The pack's name.
    pub name: String,
    /// `major.minor.patch`.
    pub version: String,
    /// For people.
    pub description: String,
    /// The newest ABI that a kernel of the pack uses.
    pub abi_version: u32,
    /// The oldest runtime that will do.
    pub min_runtime_version: String,
    /// The newest runtime that will do.
    #[serde(default)]
    pub max_runtime_version: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Seconds since 1970 after which the pack is refused.
    #[serde(default)]
    pub not_after: Option<u64>,
    /// Grows with every release of the name.
    pub counter: u64,
    /// Who made it.
    pub author: Author,
    /// The kernels.
    pub kernels: Vec<KernelEntry>,
    /// Kernel id → `native:<reference>`.
    #[serde(default)]
    pub fallbacks: BTreeMap<String, String>,
    /// The golden vectors.
    #[serde(default)]
    pub golden: Option<FileRef>,
}

/// Who made a pack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Author {
    /// For people.
    pub name: String,
    /// For people.
    pub email: String,
    /// Id of the key that one of the signatures must be by.
    pub signing_key: String,
}

/// A file of the pack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRef {
    /// Relative path.
    pub path: String,
    /// `sha256:<hex>`.
    pub hash: String,
}

/// One kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelEntry {
    /// Unique in the pack.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub category: String,
    /// The module.
    pub path: String,
    /// `sha256:<hex>` of the module.
    pub hash: String,
    /// 1 or 2.
    #[serde(default = "one")]
    pub abi_version: u32,
    /// The exported function.
    #[serde(default = "kernel_forward")]
    pub entry_point: String,
    /// What goes in.
    pub inputs: Vec<TensorSpec>,
    /// What comes out.
    pub outputs: Vec<TensorSpec>,
    /// Bytes of scratch memory: a number or an expression of symbols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Value>,
    /// Parameters, four bytes each in the order of names.
    #[serde(default)]
    pub params: BTreeMap<String, ParamSpec>,
    /// What it needs at most.
    pub resource_limits: ResourceLimits,
    /// Engine → what it needs of it.
    pub platforms: BTreeMap<String, Platform>,
    /// Untrusted, never read.
    #[serde(default)]
    pub benchmarks: serde_json::Map<String, Value>,
}

/// A tensor by the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Unique among the kernel's tensors.
    pub name: String,
    /// Type of an element.
    pub dtype: DType,
    /// Numbers and expressions of symbols.
    pub shape: Vec<Value>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamSpec {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// A number, or one of `values`.
    pub default: Value,
    /// The names of an enumeration; the guest gets the index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Types of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// IEEE 754 single.
    F32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 32 bits.
    U32,
    /// Index into `values`, as `u32`.
    Enum,
}

/// What a kernel needs at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Pages of 64 KiB.
    pub max_memory_pages: u64,
    /// Ticks of 10 ms.
    pub max_epoch_ticks: u64,
    /// Over all tables.
    pub max_table_elements: u64,
}

/// What a kernel needs of an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    /// Of the engine.
    pub min_version: String,
    /// `simd`, `bulk_memory`.
    #[serde(default)]
    pub features: Vec<String>,
}

fn one() -> u32 {
    1
}

fn kernel_forward() -> String {
    "kernel_forward".into()
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`PackError::SchemaViolation`] with the place, or [`PackError::LimitExceeded`].
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        check_limit("bytes of kernels.json", bytes.len() as u64, MANIFEST_BYTES)?;
        let document: Value = serde_json::from_slice(bytes).map_err(|e| PackError::schema("", e.to_string()))?;
        manifest_schema()?.check(&document)?;
        // From the bytes, not the document: `Value` keeps the last of two members with one name, this refuses both.
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| PackError::schema("", e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The text of `kernels.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    fn check(&self) -> Result<()> {
        let (mut ids, mut paths) = (BTreeSet::new(), BTreeSet::new());
        for (i, kernel) in self.kernels.iter().enumerate() {
            let at = |member: &str| format!("/kernels/{i}/{member}");
            if !ids.insert(&kernel.id) {
                return Err(PackError::schema(at("id"), format!("`{}` occurs twice", kernel.id)));
            }
            crate::files::check_path(&kernel.path).map_err(|e| PackError::schema(at("path"), e.to_string()))?;
            paths.insert(&kernel.path);
            if kernel.abi_version > self.abi_version {
                let what = format!("the pack says ABI {}, the kernel {}", self.abi_version, kernel.abi_version);
                return Err(PackError::schema(at("abi_version"), what));
            }
            kernel.check().map_err(|(member, what)| PackError::schema(at(&member), what))?;
        }
        if let Some((id, _)) = self.fallbacks.iter().find(|(id, _)| !ids.contains(id)) {
            return Err(PackError::schema(format!("/fallbacks/{id}"), "no kernel of that id"));
        }
        self.check_golden()
    }

    fn check_golden(&self) -> Result<()> {
        let Some(golden) = &self.golden else { return Ok(()) };
        crate::files::check_path(&golden.path).map_err(|e| PackError::schema("/golden/path", e.to_string()))
    }

    pub(crate) fn parse_version(path: &str, text: &str) -> Result<Version> {
        text.parse().map_err(|what: String| PackError::schema(path, what))
    }
}

impl KernelEntry {
    /// What a schema cannot say; member and complaint.
    fn check(&self) -> Result<(), (String, String)> {
        let shapes = Shapes::parse(self)?;
        if self.abi_version == 1 && (self.inputs.len() > 2 || self.outputs.len() > 1) {
            return Err(("abi_version".into(), "ABI 1 has at most two inputs and one output; use ABI 2".into()));
        }
        let mut names = BTreeSet::new();
        for spec in self.inputs.iter().chain(&self.outputs) {
            if !names.insert(&spec.name) {
                return Err(("outputs".into(), format!("two tensors are called `{}`", spec.name)));
            }
        }
        for (name, param) in &self.params {
            param.to_bytes(&param.default).map_err(|what| (format!("params/{name}/default"), what))?;
        }
        // Limits against shapes: the memory must hold at least the smallest tensors that the shapes allow.
        let least = shapes.least_bytes(self);
        let memory = self.resource_limits.max_memory_pages * PAGE_BYTES;
        if least > memory {
            let what = format!("{memory} bytes cannot hold the declared tensors, which take at least {least}");
            return Err(("resource_limits/max_memory_pages".into(), what));
        }
        Ok(())
    }

    /// The hash without its prefix.
    pub fn hash_hex(&self) -> &str {
        self.hash.strip_prefix("sha256:").unwrap_or(&self.hash)
    }
}

impl FileRef {
    pub(crate) fn hash_hex(&self) -> &str {
        self.hash.strip_prefix("sha256:").unwrap_or(&self.hash)
    }
}

impl ParamSpec {
    /// The four bytes that the guest gets.
    ///
    /// # Errors
    /// What is expected, when the value is not of the type.
    pub fn to_bytes(&self, value: &Value) -> Result<[u8; 4], String> {
        let found = || format!("found {value}");
        let bytes = match self.kind {
            ParamType::F32 => value.as_f64().map(|v| (v as f32).to_le_bytes()),
            ParamType::I32 => value.as_i64().and_then(|v| i32::try_from(v).ok()).map(i32::to_le_bytes),
            ParamType::U32 => value.as_u64().and_then(|v| u32::try_from(v).ok()).map(u32::to_le_bytes),
            ParamType::Enum => {
                let index = value.as_str().and_then(|v| self.values.iter().position(|known| known == v));
                let index = index.ok_or_else(|| format!("expected one of {:?}, {}", self.values, found()))?;
                u32::try_from(index).ok().map(u32::to_le_bytes)
            }
        };
        bytes.ok_or_else(|| format!("expected a number of type {:?}, {}", self.kind, found()).to_lowercase())
    }

    /// Reads a value as a person types it.
    pub fn parse(&self, text: &str) -> Value {
        let number = || serde_json::from_str::<Value>(text).ok().filter(Value::is_number);
        match self.kind {
            ParamType::Enum => Value::String(text.to_owned()),
            _ => number().unwrap_or_else(|| Value::String(text.to_owned())),
        }
    }
}

/// A kernel's shapes, ready to be bound.
#[derive(Clone, Debug)]
pub(crate) struct Shapes {
    pub(crate) symbols: Vec<String>,
    pub(crate) inputs: Vec<Vec<Dim>>,
    pub(crate) outputs: Vec<Vec<Dim>>,
    pub(crate) scratch: Dim,
}

impl Shapes {
    pub(crate) fn parse(kernel: &KernelEntry) -> Result<Self, (String, String)> {
        let mut symbols = Vec::new();
        let mut read = |specs: &[TensorSpec], member: &str| {
            let tensor = |(i, spec): (usize, &TensorSpec)| {
                let dim = |(d, value)| {
                    parse_dim(value, &mut symbols).map_err(|what| (format!("{member}/{i}/shape/{d}"), what))
                };
                spec.shape.iter().enumerate().map(dim).collect::<Result<Vec<Dim>, _>>()
            };
            specs.iter().enumerate().map(tensor).collect::<Result<Vec<_>, _>>()
        };
        let (inputs, outputs) = (read(&kernel.inputs, "inputs")?, read(&kernel.outputs, "outputs")?);
        let scratch = match &kernel.scratch {
            Some(value) => parse_dim(value, &mut symbols).map_err(|what| ("scratch".into(), what))?,
            None => Dim::number(0),
        };
        let shapes = Self { symbols, inputs, outputs, scratch };
        shapes.check_bound()?;
        Ok(shapes)
    }

    /// Every symbol must stand alone in some input's shape, or no call could know its value.
    fn check_bound(&self) -> Result<(), (String, String)> {
        let bound: BTreeSet<usize> = self.inputs.iter().flatten().filter_map(Dim::binds).collect();
        let used = self.inputs.iter().chain(&self.outputs).flatten().chain([&self.scratch]).flat_map(Dim::symbols);
        match used.into_iter().find(|symbol| !bound.contains(symbol)) {
            Some(symbol) => {
                Err(("inputs".into(), format!("symbol `{}` stands alone in no input's shape", self.symbols[symbol])))
            }
            None => Ok(()),
        }
    }

    /// Bytes of all tensors when every symbol is 1.
    fn least_bytes(&self, kernel: &KernelEntry) -> u64 {
        let bytes = |(spec, dims): (&TensorSpec, &Vec<Dim>)| {
            let elements = dims.iter().map(Dim::least).fold(1, u64::saturating_mul);
            // An odd number of 4-bit values is no tensor; half a byte more or less decides nothing here.
            spec.dtype.bytes(elements.next_multiple_of(2)).unwrap_or(u64::MAX)
        };
        let inputs = kernel.inputs.iter().zip(&self.inputs);
        inputs.chain(kernel.outputs.iter().zip(&self.outputs)).map(bytes).fold(0, u64::saturating_add)
    }
}

fn parse_dim(value: &Value, symbols: &mut Vec<String>) -> Result<Dim, String> {
    match value {
        Value::Number(number) => Dim::parse(&number.to_string(), symbols),
        Value::String(text) => Dim::parse(text, symbols),
        other => Err(format!("expected a number or an expression, found {other}")),
    }
}
