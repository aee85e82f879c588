//! Vetting: what a module may contain before an engine sees it.

mod body;

pub use body::Effort;

use crate::error::{PackError, Result, check_limit};
use crate::limits::{ARITY, EXPORTS, FUNCTIONS, GLOBALS, HostLimits, MODULE_BYTES, SEGMENTS};
use crate::manifest::KernelEntry;
use std::collections::BTreeMap;
use wasmparser::{
    Export, ExternalKind, FuncType, FuncValidatorAllocations, GlobalType, MemoryType, Parser, Payload, TableType,
    ValType, ValidPayload, Validator, WasmFeatures,
};

/// What vetting found out about a module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vetted {
    /// Exports `__heap_base`.
    pub has_heap_base: bool,
    /// Exports `kernel_alloc`.
    pub has_alloc: bool,
    /// Exports `kernel_init`.
    pub has_init: bool,
    /// Exports `kernel_cleanup`.
    pub has_cleanup: bool,
    /// Exports `kernel_backward`.
    pub has_backward: bool,
    /// Exports `kernel_info`.
    pub has_info: bool,
    /// The memory's first size, in pages of 64 KiB.
    pub min_pages: u64,
    /// Elements of its table, 0 for none.
    pub table_elements: u64,
    /// Uses 128-bit SIMD: in an operator, a local, a parameter, a block or a global.
    pub uses_simd: bool,
    /// What compiling it costs.
    pub effort: Effort,
}

/// The allow-list. Relaxed SIMD is missing because it gives other bits on other machines.
fn allowed() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::GC_TYPES
}

/// Checks a module against the allow-list, the ABI and the limits of its manifest entry and of the host.
///
/// # Errors
/// [`PackError::ForbiddenImport`], [`PackError::StartFunction`], [`PackError::BadModule`], [`PackError::LimitExceeded`]
/// or [`PackError::MissingExport`].
pub fn vet(wasm: &[u8], kernel: &KernelEntry, host: &HostLimits) -> Result<Vetted> {
    check_limit(format!("{}: bytes of the module", kernel.id), wasm.len() as u64, MODULE_BYTES)?;
    let survey = Survey::take(wasm, &kernel.id)?;
    // The survey comes first: it names an import or a start function whatever else is wrong with the module.
    let effort = survey.validate(wasm, &kernel.id)?;
    Ok(Vetted { effort, ..survey.check(kernel, host)? })
}

/// What the sections say, before validation.
#[derive(Default)]
struct Survey {
    types: Vec<Option<FuncType>>,
    functions: Vec<u32>,
    globals: Vec<GlobalType>,
    memories: Vec<MemoryType>,
    tables: Vec<TableType>,
    exports: BTreeMap<String, (ExternalKind, u32)>,
    bodies: Vec<body::Facts>,
    uses_simd: bool,
}

impl Survey {
    fn take(wasm: &[u8], kernel: &str) -> Result<Self> {
        let mut survey = Self::default();
        let mut parser = Parser::new(0);
        parser.set_features(allowed());
        for payload in parser.parse_all(wasm) {
            survey.add(payload.map_err(|e| bad(kernel, e))?, wasm, kernel)?;
        }
        Ok(survey)
    }

    /// Validates the module and counts what compiling it costs.
    fn validate(&self, wasm: &[u8], kernel: &str) -> Result<Effort> {
        let mut parser = Parser::new(0);
        parser.set_features(allowed());
        let mut validator = Validator::new_with_features(allowed());
        let (mut effort, mut facts) = (Effort::default(), self.bodies.iter());
        let mut allocations = FuncValidatorAllocations::default();
        for payload in parser.parse_all(wasm) {
            let payload = payload.map_err(|e| bad(kernel, e))?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(|e| bad(kernel, e))? {
                let facts = facts.next().copied().unwrap_or_default();
                let (one, used) = body::validate(function, &body, facts, allocations, self, kernel)?;
                allocations = used;
                effort.add(one);
                effort.check_module(kernel)?;
            }
        }
        Ok(effort)
    }

    fn add(&mut self, payload: Payload<'_>, wasm: &[u8], kernel: &str) -> Result<()> {
        match payload {
            Payload::ImportSection(section) => return refuse_imports(section, kernel),
            Payload::StartSection { .. } => return Err(PackError::StartFunction { kernel: kernel.to_owned() }),
            Payload::TypeSection(section) => {
                check_limit(format!("{kernel}: types"), u64::from(section.count()), FUNCTIONS)?;
                for group in section {
                    let group = group.map_err(|e| bad(kernel, e))?;
                    let function = |ty: wasmparser::SubType| match ty.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(function) => Some(function),
                        _ => None,
                    };
                    self.types.extend(group.into_types().map(function));
                }
                self.look_at_types(kernel)?;
            }
            Payload::FunctionSection(section) => {
                check_limit(format!("{kernel}: functions"), u64::from(section.count()), FUNCTIONS)?;
                self.functions = collect(section, kernel)?;
            }
            Payload::GlobalSection(section) => {
                check_limit(format!("{kernel}: globals"), u64::from(section.count()), GLOBALS)?;
                self.globals = collect(section, kernel)?.into_iter().map(|g| g.ty).collect();
                self.uses_simd |= self.globals.iter().any(|global| global.content_type == ValType::V128);
            }
            Payload::MemorySection(section) => {
                check_limit(format!("{kernel}: memories"), u64::from(section.count()), 1)?;
                self.memories = collect(section, kernel)?;
            }
            Payload::TableSection(section) => {
                check_limit(format!("{kernel}: tables"), u64::from(section.count()), 1)?;
                self.tables = collect(section, kernel)?.into_iter().map(|t| t.ty).collect();
            }
            Payload::ExportSection(section) => {
                check_limit(format!("{kernel}: exports"), u64::from(section.count()), EXPORTS)?;
                let entry = |e: Export<'_>| (e.name.to_owned(), (e.kind, e.index));
                self.exports = collect(section, kernel)?.into_iter().map(entry).collect();
            }
            Payload::ElementSection(section) => {
                check_limit(format!("{kernel}: element segments"), u64::from(section.count()), SEGMENTS)?;
            }
            Payload::DataSection(section) => {
                check_limit(format!("{kernel}: data segments"), u64::from(section.count()), SEGMENTS)?;
            }
            Payload::CodeSectionEntry(body) => {
                let facts = body::Facts::of(&body, wasm, kernel)?;
                self.uses_simd |= facts.uses_simd;
                self.bodies.push(facts);
            }
            _ => {}
        }
        Ok(())
    }

    fn function_type(&self, index: u32) -> Option<&FuncType> {
        self.types.get(index as usize)?.as_ref()
    }

    /// There are no imports, so functions are counted from the first that has a body.
    fn type_of_function(&self, index: u32) -> Option<&FuncType> {
        self.function_type(*self.functions.get(index as usize)?)
    }

    fn look_at_types(&mut self, kernel: &str) -> Result<()> {
        for ty in self.types.iter().flatten() {
            for list in [ty.params(), ty.results()] {
                check_limit(format!("{kernel}: parameters or results of a function"), list.len() as u64, ARITY)?;
                self.uses_simd |= list.contains(&ValType::V128);
            }
        }
        Ok(())
    }

    fn check(&self, kernel: &KernelEntry, host: &HostLimits) -> Result<Vetted> {
        let id = &kernel.id;
        let memory = self.exported_memory(id)?;
        let pages = kernel.resource_limits.max_memory_pages.min(host.max_memory_pages);
        check_limit(format!("{id}: first pages of memory"), memory.initial, pages)?;
        let table_elements = self.tables.first().map_or(0, |t| t.initial);
        let elements = kernel.resource_limits.max_table_elements.min(host.max_table_elements);
        check_limit(format!("{id}: elements of the table"), table_elements, elements)?;
        self.check_function(id, &kernel.entry_point, Some((1, 1)))?
            .ok_or_else(|| missing(id, &kernel.entry_point, "(i32) -> i32"))?;
        let optional = |name: &str, arity| Ok::<bool, PackError>(self.check_function(id, name, Some(arity))?.is_some());
        let vetted = Vetted {
            has_heap_base: self.has_heap_base(id)?,
            has_alloc: optional("kernel_alloc", (1, 1))?,
            has_init: optional("kernel_init", (2, 1))?,
            has_cleanup: optional("kernel_cleanup", (0, 1))?,
            has_backward: optional("kernel_backward", (1, 1))?,
            has_info: optional("kernel_info", (1, 1))?,
            min_pages: memory.initial,
            table_elements,
            uses_simd: self.uses_simd,
            effort: Effort::default(),
        };
        if vetted.has_backward && kernel.abi_version == 1 && (kernel.inputs.len(), kernel.outputs.len()) != (1, 1) {
            let what = "kernel_backward of a version 1 kernel takes one input and one output; declare `abi_version` 2";
            return Err(bad(id, what));
        }
        if vetted.has_heap_base || vetted.has_alloc {
            Ok(vetted)
        } else {
            Err(missing(id, "__heap_base", "an immutable i32 global, or kernel_alloc(i32) -> i32"))
        }
    }

    fn exported_memory(&self, kernel: &str) -> Result<MemoryType> {
        let memory = match self.exports.get("memory") {
            Some((ExternalKind::Memory, index)) => self.memories.get(*index as usize),
            _ => None,
        };
        memory.copied().ok_or_else(|| missing(kernel, "memory", "a memory"))
    }

    fn has_heap_base(&self, kernel: &str) -> Result<bool> {
        let Some((kind, index)) = self.exports.get("__heap_base") else { return Ok(false) };
        let global = (*kind == ExternalKind::Global).then(|| self.globals.get(*index as usize)).flatten();
        match global {
            Some(g) if g.content_type == ValType::I32 && !g.mutable => Ok(true),
            _ => Err(wrong(kernel, "__heap_base", "an immutable i32 global", "something else")),
        }
    }

    /// A function of so many i32 parameters and results; `None` when there is no such export.
    fn check_function(&self, kernel: &str, name: &str, arity: Option<(usize, usize)>) -> Result<Option<()>> {
        let Some((kind, index)) = self.exports.get(name) else { return Ok(None) };
        let (params, results) = arity.unwrap_or((0, 0));
        let expected = format!("({}) -> i32", vec!["i32"; params].join(", "));
        if *kind != ExternalKind::Func {
            return Err(wrong(kernel, name, &expected, &format!("{kind:?}")));
        }
        let ty = self.type_of_function(*index);
        let all_i32 = |types: &[ValType], n: usize| types.len() == n && types.iter().all(|t| *t == ValType::I32);
        match ty {
            Some(ty) if all_i32(ty.params(), params) && all_i32(ty.results(), results) => Ok(Some(())),
            Some(ty) => Err(wrong(kernel, name, &expected, &ty.to_string())),
            None => Err(wrong(kernel, name, &expected, "no such function")),
        }
    }
}

fn refuse_imports(section: wasmparser::ImportSectionReader<'_>, kernel: &str) -> Result<()> {
    match section.into_imports().next() {
        None => Ok(()),
        Some(import) => {
            let import = import.map_err(|e| bad(kernel, e))?;
            let (module, name) = (import.module.to_owned(), import.name.to_owned());
            Err(PackError::ForbiddenImport { kernel: kernel.to_owned(), module, name })
        }
    }
}

fn collect<'a, T: wasmparser::FromReader<'a>>(
    section: wasmparser::SectionLimited<'a, T>,
    kernel: &str,
) -> Result<Vec<T>> {
    section.into_iter().map(|item| item.map_err(|e| bad(kernel, e))).collect()
}

fn bad(kernel: &str, error: impl std::fmt::Display) -> PackError {
    PackError::BadModule { kernel: kernel.to_owned(), what: error.to_string() }
}

fn missing(kernel: &str, export: &str, expected: &str) -> PackError {
    wrong(kernel, export, expected, "nothing")
}

fn wrong(kernel: &str, export: &str, expected: &str, found: &str) -> PackError {
    let (kernel, export) = (kernel.to_owned(), export.to_owned());
    PackError::MissingExport { kernel, export, expected: expected.to_owned(), found: found.to_owned() }
}
