//! A loaded pack: compiled kernels with their pools of instances, called with tensors.

use crate::abi::{Layout, Needs, code_name};
use crate::call::{Answer, AnsweredBy, CallOptions, Isolation};
use crate::engine::{Budget, Engine, EngineKind, Export, Idle, IdleInstances, Instance, Module, ModuleLimits};
use crate::error::{PackError, Result, check_limit};
use crate::golden::Golden;
use crate::limits::{HostLimits, PAGE_BYTES, elements};
use crate::manifest::{KernelEntry, Manifest, Shapes, TensorSpec};
use crate::metrics::{Counters, Failure, MetricsSnapshot};
use crate::native::{NativeCall, NativeKernel};
use crate::plan::{Given, Placement, Resolved};
use crate::prepared::PreparedCall;
use crate::shape::{Bindings, Dim};
use crate::tensor::{Tensor, TensorView};
use crate::verify::VerifiedPack;
use crate::vet::Vetted;
use arc_swap::ArcSwapOption;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Instances that a kernel keeps between calls.
const KEPT_INSTANCES: usize = 4;
/// The embedded profile: a guest's heap above the memory that its module starts with, and the longest call.
const EMBEDDED_HEAP_BYTES: u64 = 128 << 10;
const EMBEDDED_BUDGET: Duration = Duration::from_millis(100);
/// A tick of `max_epoch_ticks`.
const MANIFEST_TICK: Duration = Duration::from_millis(10);

/// What the interpreter's kernels may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Full,
    Embedded,
}

/// A verified pack, compiled.
pub struct Pack {
    manifest: Manifest,
    kernels: Vec<Kernel>,
    by_id: HashMap<String, usize>,
    golden: Option<Golden>,
}

impl Pack {
    /// Compiles every kernel.
    ///
    /// # Errors
    /// [`PackError::Compile`], [`PackError::MissingFeature`] when a kernel does not name the engine,
    /// or [`PackError::SchemaViolation`] for a fallback that does not exist.
    pub fn load(verified: &VerifiedPack, engine: &dyn Engine) -> Result<Self> {
        Self::load_with(verified, engine, Profile::Full)
    }

    /// As [`Pack::load`] with the embedded profile's bounds: 128 KiB of heap and 100 ms a call.
    ///
    /// # Errors
    /// As [`Pack::load`].
    pub fn load_embedded(verified: &VerifiedPack, engine: &dyn Engine) -> Result<Self> {
        Self::load_with(verified, engine, Profile::Embedded)
    }

    fn load_with(verified: &VerifiedPack, engine: &dyn Engine, profile: Profile) -> Result<Self> {
        let manifest = verified.manifest.clone();
        let make = |entry: &KernelEntry| {
            let (wasm, vetted) =
                verified.modules.get(&entry.id).ok_or_else(|| PackError::other("module not vetted"))?;
            Kernel::new(&manifest, entry, wasm, *vetted, engine, &verified.limits, profile)
        };
        let kernels: Vec<Kernel> = manifest.kernels.iter().map(make).collect::<Result<_>>()?;
        let by_id = kernels.iter().enumerate().map(|(i, k)| (k.entry.id.clone(), i)).collect();
        Ok(Self { manifest, kernels, by_id, golden: verified.golden.clone() })
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its kernels, in the order of the manifest.
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// A kernel by its id.
    ///
    /// # Errors
    /// [`PackError::NoSuchKernel`].
    pub fn kernel(&self, id: &str) -> Result<&Kernel> {
        self.by_id.get(id).and_then(|i| self.kernels.get(*i)).ok_or_else(|| PackError::NoSuchKernel {
            kernel: id.to_owned(),
            pack: self.manifest.name.clone(),
            present: self.kernels.iter().map(|k| k.entry.id.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Runs every golden vector on instances of its own.
    ///
    /// # Errors
    /// [`PackError::GoldenMismatch`], or the error of the call.
    pub fn check_golden(&self) -> Result<usize> {
        let Some(golden) = &self.golden else { return Ok(0) };
        golden.check(|case| {
            let kernel = self.kernel(&case.kernel)?;
            let inputs: Vec<TensorView<'_>> = case.inputs.iter().map(|t| t.tensor.view()).collect();
            kernel.run_guest(&inputs, &kernel.params(&case.params)?, Isolation::Fresh)
        })
    }

    /// Its counters.
    pub fn metrics(&self) -> MetricsSnapshot {
        MetricsSnapshot { kernels: self.kernels.iter().map(|k| k.counters.snapshot(&k.entry.id)).collect() }
    }
}

/// What a kernel says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelInfo {
    /// The version of the ABI that it was written for.
    pub abi_version: u32,
    /// Bytes of the descriptor that it reads.
    pub descriptor_bytes: u32,
}

/// One compiled kernel.
pub struct Kernel {
    pack: String,
    entry: KernelEntry,
    shapes: Shapes,
    vetted: Vetted,
    module: Box<dyn Module>,
    free: Arc<FreeList>,
    /// The waiting instances of all kernels, where the engine has only so many.
    idle: Option<Arc<IdleInstances>>,
    fallback: Option<NativeKernel>,
    /// The longest budget: the manifest's and the host's.
    budget: Duration,
    default_budget: Duration,
    /// Bytes of memory that an instance may have.
    memory: u64,
    counters: Counters,
    /// The shapes of the latest call.
    recent: ArcSwapOption<Resolved>,
}

/// An instance that has been initialised.
pub(crate) struct Warm {
    instance: Box<dyn Instance>,
    number: u64,
    /// Where the host's memory starts, and for `kernel_alloc` how much of it there is.
    base: u32,
    room: u64,
    /// Where the tensors of its latest call lay: a call of the same shapes finds everything in place.
    placement: Option<Placement>,
}

impl Warm {
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self.instance.memory()
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// The instances of a kernel that wait for its next call.
#[derive(Default)]
struct FreeList(Mutex<Vec<Warm>>);

impl FreeList {
    fn pop(&self) -> Option<Warm> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn push(&self, warm: Warm) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT_INSTANCES {
            free.push(warm);
        }
    }
}

impl Idle for FreeList {
    fn drop_one(&self) -> bool {
        self.pop().is_some()
    }
}

impl Kernel {
    fn new(
        manifest: &Manifest,
        entry: &KernelEntry,
        wasm: &[u8],
        vetted: Vetted,
        engine: &dyn Engine,
        host: &HostLimits,
        profile: Profile,
    ) -> Result<Self> {
        check_engine(entry, engine.kind())?;
        let embedded = profile == Profile::Embedded;
        let mut limits = ModuleLimits::of(entry, host);
        if embedded {
            let heap = vetted.min_pages * PAGE_BYTES + EMBEDDED_HEAP_BYTES;
            limits.max_memory_bytes = limits.max_memory_bytes.min(heap);
        }
        let ticks = u32::try_from(entry.resource_limits.max_epoch_ticks).unwrap_or(u32::MAX);
        let budget = MANIFEST_TICK.saturating_mul(ticks).min(host.max_budget);
        let fallback = match manifest.fallbacks.get(&entry.id) {
            Some(name) => Some(find_native(&entry.id, name)?),
            None => None,
        };
        let free: Arc<FreeList> = Arc::default();
        if let Some(idle) = engine.idle() {
            let list: Weak<FreeList> = Arc::downgrade(&free);
            idle.add(list);
        }
        Ok(Self {
            pack: format!("{} {}", manifest.name, manifest.version),
            shapes: Shapes::parse(entry).map_err(|(member, what)| PackError::schema(format!("/{member}"), what))?,
            module: engine.compile(wasm, &limits)?,
            entry: entry.clone(),
            vetted,
            idle: engine.idle(),
            free,
            fallback,
            budget: if embedded { budget.min(EMBEDDED_BUDGET) } else { budget },
            default_budget: host.default_budget,
            memory: limits.max_memory_bytes,
            counters: Counters::default(),
            recent: ArcSwapOption::empty(),
        })
    }

    /// What the manifest says about it.
    pub fn entry(&self) -> &KernelEntry {
        &self.entry
    }

    /// The parameters' bytes: the defaults, replaced by what is given.
    ///
    /// # Errors
    /// [`PackError::BadParam`].
    pub fn params(&self, given: &[(String, Value)]) -> Result<Vec<u8>> {
        let bad = |param: &str, what: String| PackError::BadParam {
            kernel: self.entry.id.clone(),
            param: param.to_owned(),
            what,
        };
        for (name, _) in given {
            if !self.entry.params.contains_key(name) {
                let known: Vec<&str> = self.entry.params.keys().map(String::as_str).collect();
                return Err(bad(name, format!("no such parameter; there is {known:?}")));
            }
        }
        let mut bytes = Vec::new();
        for (name, spec) in &self.entry.params {
            let value = given.iter().rev().find(|(given, _)| given == name).map_or(&spec.default, |(_, value)| value);
            bytes.extend(spec.to_bytes(value).map_err(|what| bad(name, what))?);
        }
        Ok(bytes)
    }

    /// Calls it with inputs by name.
    ///
    /// # Errors
    /// [`PackError::ShapeMismatch`] or [`PackError::BadParam`] for a call that cannot be; else an error of the call, when there is no fallback.
    pub fn run(
        &self,
        inputs: &[(&str, TensorView<'_>)],
        params: &[(String, Value)],
        options: &CallOptions,
    ) -> Result<Answer> {
        let ordered = self.order(inputs)?;
        let resolved = self.resolve(&ordered)?;
        let params = self.params(params)?;
        let mut outputs = resolved.empty_outputs();
        let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(|t| &mut t.data[..]).collect();
        let by = self.run_into(&ordered, &params, &mut slices, options)?;
        Ok(Answer { outputs, by })
    }

    /// Calls it with inputs in the manifest's order, writing to the caller's memory. `params`: see [`Kernel::params`].
    ///
    /// # Errors
    /// As [`Kernel::run`].
    pub fn run_into(
        &self,
        inputs: &[TensorView<'_>],
        params: &[u8],
        outputs: &mut [&mut [u8]],
        options: &CallOptions,
    ) -> Result<AnsweredBy> {
        let resolved = self.resolve(inputs)?;
        self.check_call(&resolved, params, outputs)?;
        let calls = Counters::add(&self.counters.calls, 1);
        if let Some(native) = self.bypass(options, &resolved, calls) {
            native(&NativeCall { inputs, params }, outputs).map_err(PackError::other)?;
            Counters::add(&self.counters.bypassed, 1);
            return Ok(AnsweredBy::Bypass);
        }
        let Err(error) = self.guest(Export::Entry, inputs, params, outputs, options, &resolved) else {
            return Ok(AnsweredBy::Kernel);
        };
        let Some(native) = self.fallback else { return Err(error) };
        native(&NativeCall { inputs, params }, outputs).map_err(|_| error.clone())?;
        Counters::add(&self.counters.degraded, 1);
        Ok(AnsweredBy::Fallback(error))
    }

    /// The guest alone: no bypass, no fallback.
    ///
    /// # Errors
    /// As [`Kernel::run`].
    pub fn run_guest(&self, inputs: &[TensorView<'_>], params: &[u8], isolation: Isolation) -> Result<Vec<Tensor>> {
        let resolved = self.resolve(inputs)?;
        let mut outputs = resolved.empty_outputs();
        let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(|t| &mut t.data[..]).collect();
        self.check_call(&resolved, params, &slices)?;
        Counters::add(&self.counters.calls, 1);
        let options = CallOptions { isolation, ..CallOptions::default() };
        self.guest(Export::Entry, inputs, params, &mut slices, &options, &resolved)?;
        Ok(outputs)
    }

    /// The native reference alone; `None` when the manifest declares none.
    ///
    /// # Errors
    /// [`PackError::ShapeMismatch`] or the reference's complaint.
    pub fn run_native(&self, inputs: &[TensorView<'_>], params: &[u8]) -> Option<Result<Vec<Tensor>>> {
        let native = self.fallback?;
        Some(self.resolve(inputs).and_then(|resolved| {
            let mut outputs = resolved.empty_outputs();
            let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(|t| &mut t.data[..]).collect();
            native(&NativeCall { inputs, params }, &mut slices).map_err(PackError::other)?;
            Ok(outputs)
        }))
    }

    /// The native reference alone, writing to the caller's memory; `None` when the manifest declares none.
    ///
    /// # Errors
    /// [`PackError::ShapeMismatch`] or the reference's complaint.
    pub fn run_native_into(
        &self,
        inputs: &[TensorView<'_>],
        params: &[u8],
        outputs: &mut [&mut [u8]],
    ) -> Option<Result<()>> {
        let native = self.fallback?;
        let checked = self.resolve(inputs).and_then(|resolved| self.check_call(&resolved, params, outputs));
        Some(checked.and_then(|()| native(&NativeCall { inputs, params }, outputs).map_err(PackError::other)))
    }

    /// An instance with room for inputs of these shapes, for calls without copies. Isolation is the instance itself: it is kept for
    /// this caller alone until it is dropped; with [`Isolation::Fresh`] it is new.
    ///
    /// # Errors
    /// As [`Kernel::run`].
    pub fn prepare(&self, shapes: &[&[usize]], params: &[u8], options: &CallOptions) -> Result<PreparedCall<'_>> {
        let given = |(spec, shape): (&TensorSpec, &&'_ [usize])| {
            let bytes = elements(shape.iter().map(|d| *d as u64)).and_then(|n| spec.dtype.bytes(n));
            bytes.map(|bytes| (spec.dtype, bytes)).ok_or_else(|| {
                self.mismatch(&spec.name, spec_shown(spec), format!("{shape:?}, which is no size of a tensor"))
            })
        };
        if shapes.len() != self.entry.inputs.len() {
            return Err(self.mismatch("all", format!("{} inputs", self.entry.inputs.len()), shapes.len().to_string()));
        }
        let sizes = self.entry.inputs.iter().zip(shapes).map(given).collect::<Result<Vec<_>>>()?;
        let given =
            sizes.iter().zip(shapes).map(|((dtype, bytes), shape)| Given { dtype: *dtype, shape, bytes: *bytes });
        let resolved = self.resolve_given(given)?;
        self.check_params(params)?;
        let mut warm = self.take(options.isolation)?;
        let layout = self.place(&mut warm, &resolved.needs, &self.budget_of(options))?;
        let placement = Placement::new(&resolved, layout, warm.instance.memory())?;
        Ok(PreparedCall::new(self, warm, placement, params.to_vec(), *options))
    }

    /// The backward call, `kernel_backward`: `inputs` as for [`Kernel::run_into`] and the gradient of each output give the
    /// gradient of each input. There is no fallback and no bypass.
    ///
    /// # Errors
    /// [`PackError::MissingExport`] when the kernel has no such function, else as [`Kernel::run`].
    pub fn run_backward(
        &self,
        inputs: &[TensorView<'_>],
        gradients: &[TensorView<'_>],
        params: &[u8],
        options: &CallOptions,
    ) -> Result<Vec<Tensor>> {
        if !self.vetted.has_backward {
            return Err(self.no_export("kernel_backward"));
        }
        let resolved = Arc::new(self.resolve(inputs)?.backward());
        self.check_needs(&resolved.needs)?;
        let all: Vec<TensorView<'_>> = inputs.iter().chain(gradients).copied().collect();
        if !resolved.fits(all.iter().map(Given::from)) {
            let expected = resolved.dims.iter().skip(inputs.len()).take(self.entry.outputs.len());
            let found = gradients.iter().map(shown).collect::<Vec<_>>().join(", ");
            return Err(self.mismatch("gradients", format!("{:?}", expected.collect::<Vec<_>>()), found));
        }
        let mut outputs = resolved.empty_outputs();
        let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(|t| &mut t.data[..]).collect();
        self.check_call(&resolved, params, &slices)?;
        Counters::add(&self.counters.calls, 1);
        self.guest(Export::Backward, &all, params, &mut slices, options, &resolved)?;
        Ok(outputs)
    }

    /// What the kernel says about itself by `kernel_info`; `None` when it has no such function.
    ///
    /// # Errors
    /// As [`Kernel::run`].
    pub fn info(&self) -> Result<Option<KernelInfo>> {
        if !self.vetted.has_info {
            return Ok(None);
        }
        let (mut warm, budget) = (self.take(Isolation::Fresh)?, self.budget_of(&CallOptions::default()));
        let needs = Needs { abi_version: 1, outputs: vec![8], ..Needs::default() };
        let layout = self.place(&mut warm, &needs, &budget)?;
        layout.check(warm.instance.memory().len() as u64)?;
        let place = layout.outputs.first().copied().unwrap_or_default();
        match warm.instance.call(Export::Info, &[place.offset.cast_signed()], &budget)? {
            0 => {}
            code => return Err(PackError::KernelTrap { code, message: format!("kernel_info: {}", code_name(code)) }),
        }
        let words: &[u8] = place.of(warm.instance.memory())?;
        let word = |at: usize| words[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        Ok(Some(KernelInfo { abi_version: word(0), descriptor_bytes: word(4) }))
    }

    /// Takes an instance, made and initialised if none is free, and puts it back: what a call costs before it starts.
    ///
    /// # Errors
    /// As [`Kernel::run`].
    pub fn touch_instance(&self, isolation: Isolation) -> Result<()> {
        let warm = self.take(isolation)?;
        self.put_back(warm, isolation, &self.budget_of(&CallOptions::default()));
        Ok(())
    }

    fn order<'a>(&self, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<TensorView<'a>>> {
        if let Some((name, view)) = inputs.iter().find(|(name, _)| !self.entry.inputs.iter().any(|s| s.name == *name)) {
            let known: Vec<&str> = self.entry.inputs.iter().map(|s| s.name.as_str()).collect();
            return Err(self.mismatch(name, format!("one of {known:?}"), shown(view)));
        }
        let one = |spec: &TensorSpec| {
            let mut found = inputs.iter().filter(|(name, _)| *name == spec.name);
            match (found.next(), found.next()) {
                (Some((_, view)), None) => Ok(*view),
                (None, _) => Err(self.mismatch(&spec.name, spec_shown(spec), "nothing".into())),
                (Some(_), Some(_)) => Err(self.mismatch(&spec.name, "one tensor".into(), "two".into())),
            }
        };
        self.entry.inputs.iter().map(one).collect()
    }

    /// The sizes of a call, remembered for the next one.
    fn resolve(&self, inputs: &[TensorView<'_>]) -> Result<Arc<Resolved>> {
        self.resolve_given(inputs.iter().map(Given::from))
    }

    fn resolve_given<'a>(&self, inputs: impl ExactSizeIterator<Item = Given<'a>> + Clone) -> Result<Arc<Resolved>> {
        let recent = self.recent.load();
        if let Some(resolved) = recent.as_ref().filter(|resolved| resolved.fits(inputs.clone())) {
            return Ok(resolved.clone());
        }
        let resolved = Arc::new(self.resolve_anew(&inputs.collect::<Vec<_>>())?);
        self.recent.store(Some(resolved.clone()));
        Ok(resolved)
    }

    fn resolve_anew(&self, inputs: &[Given<'_>]) -> Result<Resolved> {
        if inputs.len() != self.entry.inputs.len() {
            return Err(self.mismatch("all", format!("{} inputs", self.entry.inputs.len()), inputs.len().to_string()));
        }
        let mut bindings = Bindings::default();
        bindings.clear(self.shapes.symbols.len());
        for (given, dims) in inputs.iter().zip(&self.shapes.inputs) {
            given.shape.iter().zip(dims).for_each(|(size, dim)| dim.bind(*size as u64, &mut bindings));
        }
        let specs = self.entry.inputs.iter().chain(&self.entry.outputs);
        let mut resolved =
            Resolved { dims: Vec::new(), dtypes: specs.map(|s| s.dtype).collect(), needs: Needs::default() };
        for ((given, spec), dims) in inputs.iter().zip(&self.entry.inputs).zip(&self.shapes.inputs) {
            let (values, bytes) = self.tensor_size(spec, dims, &bindings, || given.to_string())?;
            let fits = given.dtype == spec.dtype && given.shape.len() == values.len();
            let same = given.shape.iter().zip(&values).all(|(a, b)| *a as u64 == *b);
            if !(fits && same && given.bytes == bytes) {
                return Err(self.mismatch(
                    &spec.name,
                    format!("{} {values:?} in {bytes} bytes", spec_shown(spec)),
                    given.to_string(),
                ));
            }
            resolved.dims.push(values);
            resolved.needs.inputs.push(bytes);
        }
        for (spec, dims) in self.entry.outputs.iter().zip(&self.shapes.outputs) {
            let (values, bytes) = self.tensor_size(spec, dims, &bindings, || "inputs that do not allow it".into())?;
            resolved.dims.push(values);
            resolved.needs.outputs.push(bytes);
        }
        let scratch = self.shapes.scratch.value(&bindings);
        resolved.needs.scratch =
            scratch.ok_or_else(|| self.mismatch("scratch", "a size".into(), "none that goes out even".into()))?;
        resolved.needs.abi_version = self.entry.abi_version;
        resolved.needs.params = self.entry.params.len() as u64 * 4;
        self.check_needs(&resolved.needs)?;
        Ok(resolved)
    }

    /// Before anything is allocated for a call, on either side: what no instance could hold is refused.
    fn check_needs(&self, needs: &Needs) -> Result<()> {
        check_limit(format!("{}: bytes of memory for a call", self.entry.id), needs.least_bytes(), self.memory)
    }

    fn tensor_size(
        &self,
        spec: &TensorSpec,
        dims: &[Dim],
        bindings: &Bindings,
        found: impl Fn() -> String,
    ) -> Result<(Vec<u64>, u64)> {
        let wrong = || self.mismatch(&spec.name, spec_shown(spec), found());
        let values: Vec<u64> = dims.iter().map(|d| d.value(bindings)).collect::<Option<_>>().ok_or_else(wrong)?;
        let bytes = elements(values.iter().copied()).and_then(|n| spec.dtype.bytes(n)).ok_or_else(wrong)?;
        Ok((values, bytes))
    }

    fn check_params(&self, params: &[u8]) -> Result<()> {
        let expected = self.entry.params.len() * 4;
        if params.len() == expected {
            return Ok(());
        }
        let what = format!("expected {expected} bytes of parameters, found {}", params.len());
        Err(PackError::BadParam { kernel: self.entry.id.clone(), param: "all".into(), what })
    }

    fn check_call(&self, resolved: &Resolved, params: &[u8], outputs: &[&mut [u8]]) -> Result<()> {
        self.check_params(params)?;
        let same = outputs.iter().map(|o| o.len() as u64).eq(resolved.needs.outputs.iter().copied());
        let found = || format!("{:?} bytes", outputs.iter().map(|o| o.len()).collect::<Vec<_>>());
        if same {
            Ok(())
        } else {
            Err(self.mismatch("outputs", format!("{:?} bytes", resolved.needs.outputs), found()))
        }
    }

    fn bypass(&self, options: &CallOptions, resolved: &Resolved, calls: u64) -> Option<NativeKernel> {
        let native = self.fallback?;
        let metrics = &self.counters;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        let guest_calls = calls.saturating_sub(1 + load(&metrics.bypassed) + load(&metrics.failures));
        let mean = (guest_calls > 0).then(|| load(&metrics.nanoseconds) as f64 / guest_calls as f64);
        let mut sides: Vec<u64> = resolved.dims.iter().flatten().copied().collect();
        sides.sort_unstable_by(|a, b| b.cmp(a));
        let largest = match sides[..] {
            [a, b, ..] if self.entry.category == "adapter" => Some((a as usize, b as usize)),
            _ => None,
        };
        options.bypass.bypasses(&self.entry.category, mean, largest).then_some(native)
    }

    /// The entry point over tensors that are in place.
    pub(crate) fn enter(
        &self,
        warm: &mut Warm,
        placement: &Placement,
        params: &[u8],
        options: &CallOptions,
    ) -> Result<()> {
        invoke(warm, Export::Entry, placement, params, &self.budget_of(options))
    }

    /// What the metrics keep of a prepared call.
    pub(crate) fn count(&self, start: Instant, instance: u64, resolved: &Resolved, result: &Result<()>) {
        Counters::add(&self.counters.calls, 1);
        match result {
            Ok(()) => drop(Counters::add(&self.counters.nanoseconds, start.elapsed().as_nanos() as u64)),
            Err(error) => {
                let known = resolved.dims.iter().zip(&resolved.dtypes).zip(&resolved.needs.inputs);
                let inputs = known.map(|((dims, dtype), bytes)| format!("{} {dims:?} in {bytes} bytes", dtype.name()));
                let (pack, kernel, inputs) = (self.pack.clone(), self.entry.id.clone(), inputs.collect());
                self.counters.fail(Failure { pack, kernel, inputs, instance, error: error.clone() });
            }
        }
    }

    pub(crate) fn give_back(&self, warm: Warm, isolation: Isolation, options: &CallOptions) {
        self.put_back(warm, isolation, &self.budget_of(options));
    }

    /// The guest, with its failure recorded and its instance dropped on any error.
    fn guest(
        &self,
        export: Export,
        inputs: &[TensorView<'_>],
        params: &[u8],
        outputs: &mut [&mut [u8]],
        options: &CallOptions,
        resolved: &Arc<Resolved>,
    ) -> Result<()> {
        let mut number = 0;
        let result = self.take(options.isolation).and_then(|mut warm| {
            number = warm.number;
            let budget = self.budget_of(options);
            let start = Instant::now();
            self.call(&mut warm, export, inputs, params, outputs, resolved, &budget)?;
            Counters::add(&self.counters.nanoseconds, start.elapsed().as_nanos() as u64);
            self.put_back(warm, options.isolation, &budget);
            Ok(())
        });
        result.inspect_err(|error| {
            let inputs = inputs.iter().map(shown).collect();
            let (pack, kernel) = (self.pack.clone(), self.entry.id.clone());
            self.counters.fail(Failure { pack, kernel, inputs, instance: number, error: error.clone() });
        })
    }

    fn call(
        &self,
        warm: &mut Warm,
        export: Export,
        inputs: &[TensorView<'_>],
        params: &[u8],
        outputs: &mut [&mut [u8]],
        resolved: &Arc<Resolved>,
        budget: &Budget,
    ) -> Result<()> {
        let placement = match warm.placement.take() {
            Some(placement) if Arc::ptr_eq(&placement.resolved, resolved) => placement,
            _ => {
                let layout = self.place(warm, &resolved.needs, budget)?;
                Placement::new(resolved, layout, warm.instance.memory())?
            }
        };
        let (layout, memory) = (&placement.layout, warm.instance.memory());
        layout.inputs.iter().zip(inputs).try_for_each(|(region, view)| put(region, view.data, memory))?;
        invoke(warm, export, &placement, params, budget)?;
        let memory = warm.instance.memory();
        for (region, out) in layout.outputs.iter().zip(outputs) {
            out.copy_from_slice(region.of(memory)?);
        }
        warm.placement = Some(placement);
        Ok(())
    }

    /// A layout that fits into the instance's memory, which grows for it.
    fn place(&self, warm: &mut Warm, needs: &Needs, budget: &Budget) -> Result<Layout> {
        if !self.vetted.has_heap_base && needs.bytes() > warm.room {
            let asked = i32::try_from(needs.bytes())
                .map_err(|_| PackError::limit("bytes of a call", needs.bytes(), i32::MAX as u64))?;
            warm.base = warm.instance.call(Export::Alloc, &[asked], budget)?.cast_unsigned();
            warm.room = needs.bytes();
            if warm.base == 0 {
                return Err(PackError::KernelTrap { code: 4, message: "kernel_alloc gave 0: OUT_OF_MEMORY".into() });
            }
        }
        let layout = needs.layout(warm.base)?;
        if self.vetted.has_heap_base {
            warm.instance.grow_to(layout.end)?;
        }
        Ok(layout)
    }

    fn take(&self, isolation: Isolation) -> Result<Warm> {
        if isolation == Isolation::Reuse
            && let Some(warm) = self.free.pop()
        {
            return Ok(warm);
        }
        let mut instance = self.instantiate()?;
        let number = Counters::add(&self.counters.instances, 1);
        let base = instance.heap_base().unwrap_or(0);
        let mut warm = Warm { instance, number, base, room: 0, placement: None };
        if self.vetted.has_init {
            self.init(&mut warm)?;
        }
        Ok(warm)
    }

    /// A new instance; where the engine has none left, the place of one that waits.
    fn instantiate(&self) -> Result<Box<dyn Instance>> {
        loop {
            match (self.module.instantiate(), &self.idle) {
                (Err(PackError::NoFreeInstance { .. }), Some(idle)) if idle.drop_one() => {}
                (made, _) => return made,
            }
        }
    }

    /// `kernel_init` with the default parameters.
    fn init(&self, warm: &mut Warm) -> Result<()> {
        let params = self.params(&[])?;
        let budget = self.budget_of(&CallOptions::default());
        let needs = Needs { abi_version: 1, params: params.len() as u64, ..Needs::default() };
        let layout = self.place(warm, &needs, &budget)?;
        put(&layout.params, &params, warm.instance.memory())?;
        let args = [layout.params.offset.cast_signed(), layout.params.size.cast_signed()];
        match warm.instance.call(Export::Init, &args, &budget)? {
            0 => Ok(()),
            code => Err(PackError::KernelTrap { code, message: format!("kernel_init: {}", code_name(code)) }),
        }
    }

    /// Keeps the instance for the next call. One whose cleanup fails is dropped: the answer is already copied out.
    fn put_back(&self, mut warm: Warm, isolation: Isolation, budget: &Budget) {
        if isolation == Isolation::Fresh {
            return;
        }
        if self.vetted.has_cleanup && warm.instance.call(Export::Cleanup, &[], budget) != Ok(0) {
            return;
        }
        self.free.push(warm);
    }

    fn budget_of(&self, options: &CallOptions) -> Budget {
        Budget { time: options.budget.unwrap_or(self.default_budget).min(self.budget) }
    }

    fn no_export(&self, export: &str) -> PackError {
        let (kernel, expected) = (self.entry.id.clone(), "(i32) -> i32".to_owned());
        PackError::MissingExport { kernel, export: export.to_owned(), expected, found: "nothing".to_owned() }
    }

    fn mismatch(&self, tensor: &str, expected: String, found: String) -> PackError {
        PackError::ShapeMismatch { kernel: self.entry.id.clone(), tensor: tensor.to_owned(), expected, found }
    }
}

/// Writes descriptor and parameters, anew for every call since the guest may have written over them, and calls the guest.
fn invoke(warm: &mut Warm, export: Export, placement: &Placement, params: &[u8], budget: &Budget) -> Result<()> {
    let (layout, memory) = (&placement.layout, warm.instance.memory());
    put(&layout.descriptor, &placement.descriptor, memory)?;
    put(&layout.params, params, memory)?;
    let code = warm.instance.call(export, &[layout.descriptor.offset.cast_signed()], budget)?;
    if code == 0 { Ok(()) } else { Err(PackError::KernelTrap { code, message: code_name(code).to_owned() }) }
}

fn put(region: &crate::abi::Region, bytes: &[u8], memory: &mut [u8]) -> Result<()> {
    region.of(memory)?.copy_from_slice(bytes);
    Ok(())
}

fn check_engine(entry: &KernelEntry, kind: EngineKind) -> Result<()> {
    if entry.platforms.contains_key(kind.name()) {
        return Ok(());
    }
    Err(PackError::MissingFeature { kernel: entry.id.clone(), feature: kind.name().to_owned() })
}

fn find_native(id: &str, name: &str) -> Result<NativeKernel> {
    let found = name.strip_prefix("native:").and_then(crate::native::find);
    found.ok_or_else(|| PackError::schema(format!("/fallbacks/{id}"), format!("there is no reference `{name}`")))
}

fn shown(view: &TensorView<'_>) -> String {
    Given::from(view).to_string()
}

fn spec_shown(spec: &TensorSpec) -> String {
    let dims: Vec<String> =
        spec.shape.iter().map(|d| d.as_str().map_or_else(|| d.to_string(), str::to_owned)).collect();
    format!("{} [{}]", spec.dtype.name(), dims.join(", "))
}
