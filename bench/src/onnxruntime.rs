//! ONNX Runtime through its C API, from the shared library inside the PyPI wheel.
//!
//! `ort-sys` lends the declarations of the function table; the library itself is loaded at run time.

use crate::cases::{Precision, Work};
use crate::contest::{Contestant, time};
use crate::net::Net;
use crate::{onnx, python};
use anyhow::{Context, Result, bail, ensure};
use libloading::Library;
use ort_sys::{
    GraphOptimizationLevel, ONNXTensorElementDataType, OrtAllocatorType, OrtApi, OrtApiBase, OrtEnv, OrtLoggingLevel,
    OrtMemType, OrtMemoryInfo, OrtSession, OrtSessionOptions, OrtStatusPtr, OrtValue,
};
use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::time::Duration;

/// Oldest table with every function that is used; a library of any later version gives it out.
const API_VERSION: u32 = 17;

pub fn contestant(work: Work) -> Result<Box<dyn Contestant>> {
    let Work::Infer { dims, activation, rows, precision } = work else { bail!("ONNX Runtime only infers") };
    Ok(Box::new(Infer::new(&Net::new(dims, activation), rows, precision)?))
}

/// A session with its input and output tensors over memory of ours.
struct Infer {
    runtime: Runtime,
    session: *mut OrtSession,
    input: *mut OrtValue,
    output: *mut OrtValue,
    y: Vec<f32>,
    weights: &'static str,
    /// The input tensor points here.
    _x: Vec<f32>,
}

/// The loaded library with its environment.
struct Runtime {
    api: &'static OrtApi,
    env: *mut OrtEnv,
    version: String,
    _library: Library,
}

impl Runtime {
    fn load() -> Result<Self> {
        let path = library_path()?;
        // SAFETY: ONNX Runtime's initialisers ask for nothing.
        let library = unsafe { Library::new(&path) }.with_context(|| format!("cannot load {}", path.display()))?;
        // SAFETY: the entry point's type is that of onnxruntime_c_api.h; the tables it leads to live as long as the library.
        let (api, version) = unsafe {
            let entry = library.get::<unsafe extern "C" fn() -> *const OrtApiBase>("OrtGetApiBase\0")?;
            let base = &*entry();
            let api = (base.GetApi)(API_VERSION);
            (api.as_ref(), CStr::from_ptr((base.GetVersionString)()).to_string_lossy().into_owned())
        };
        let api = api.with_context(|| format!("ONNX Runtime {version} has no C API of version {API_VERSION}"))?;
        let mut env = null_mut();
        // SAFETY: a C string that lives on, and a place for the result.
        check(api, unsafe { (api.CreateEnv)(OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR, c"bench".as_ptr(), &mut env) })?;
        Ok(Self { api, env, version, _library: library })
    }

    /// A session with one thread and every optimisation.
    fn session(&self, model: &[u8]) -> Result<*mut OrtSession> {
        let api = self.api;
        let mut options: *mut OrtSessionOptions = null_mut();
        let mut session = null_mut();
        // SAFETY: every handle was made by the call before it; the model's bytes are only read during the call.
        unsafe {
            check(api, (api.CreateSessionOptions)(&mut options))?;
            check(api, (api.SetIntraOpNumThreads)(options, 1))?;
            check(api, (api.SetInterOpNumThreads)(options, 1))?;
            check(api, (api.SetSessionGraphOptimizationLevel)(options, GraphOptimizationLevel::ORT_ENABLE_ALL))?;
            let made =
                (api.CreateSessionFromArray)(self.env, model.as_ptr().cast(), model.len(), options, &mut session);
            (api.ReleaseSessionOptions)(options);
            check(api, made)?;
        }
        Ok(session)
    }

    /// A tensor over memory of the caller's, which must outlive it and not move.
    fn tensor(&self, values: &mut [f32], rows: usize) -> Result<*mut OrtValue> {
        let api = self.api;
        let shape = [rows as i64, (values.len() / rows) as i64];
        let mut memory: *mut OrtMemoryInfo = null_mut();
        let mut value = null_mut();
        // SAFETY: the length is given in bytes and is that of the slice; the memory description is copied.
        unsafe {
            check(
                api,
                (api.CreateCpuMemoryInfo)(
                    OrtAllocatorType::OrtArenaAllocator,
                    OrtMemType::OrtMemTypeDefault,
                    &mut memory,
                ),
            )?;
            let made = (api.CreateTensorWithDataAsOrtValue)(
                memory,
                values.as_mut_ptr().cast(),
                size_of_val(values),
                shape.as_ptr(),
                shape.len(),
                ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                &mut value,
            );
            (api.ReleaseMemoryInfo)(memory);
            check(api, made)?;
        }
        Ok(value)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // SAFETY: made by CreateEnv, released once, after everything that used it.
        unsafe { (self.api.ReleaseEnv)(self.env) }
    }
}

/// Turns a status into an error with its message.
fn check(api: &OrtApi, status: OrtStatusPtr) -> Result<()> {
    if status.0.is_null() {
        return Ok(());
    }
    // SAFETY: a status that is not null has a message, and is released once, after the message was copied.
    let message = unsafe {
        let message = CStr::from_ptr((api.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
        (api.ReleaseStatus)(status.0);
        message
    };
    bail!("ONNX Runtime: {message}")
}

/// `onnxruntime/capi/libonnxruntime.so.*` in the virtual environment.
fn library_path() -> Result<PathBuf> {
    let folder = python::site_packages()?.join("onnxruntime/capi");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("no onnxruntime wheel in {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found =
        paths.find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("libonnxruntime.so")));
    found.with_context(|| format!("no libonnxruntime.so in {}", folder.display()))
}

impl Infer {
    fn new(net: &Net, rows: usize, precision: Precision) -> Result<Self> {
        let runtime = Runtime::load()?;
        let (model, weights) = match precision {
            Precision::Int8 => (onnx::quantised(net, rows), "int8 (QDQ)"),
            Precision::F32 | Precision::Bf16 => (onnx::model(net, rows), "f32"),
        };
        let session = runtime.session(&model)?;
        let mut x = net.data(rows).0;
        let mut y = vec![0.0; rows * net.outputs()];
        let (input, output) = (runtime.tensor(&mut x, rows)?, runtime.tensor(&mut y, rows)?);
        Ok(Self { runtime, session, input, output, y, weights, _x: x })
    }

    fn call(&mut self) -> Result<()> {
        let names: [*const c_char; 2] = [c"x".as_ptr(), c"y".as_ptr()];
        let input: *const OrtValue = self.input;
        // SAFETY: one input and one output by the model's own names; both tensors are over memory that we own.
        let status = unsafe {
            (self.runtime.api.Run)(self.session, null(), &names[0], &input, 1, &names[1], 1, &mut self.output)
        };
        check(self.runtime.api, status)
    }
}

impl Drop for Infer {
    fn drop(&mut self) {
        let api = self.runtime.api;
        // SAFETY: each handle was made by its Create function and is released once.
        unsafe {
            (api.ReleaseValue)(self.input);
            (api.ReleaseValue)(self.output);
            (api.ReleaseSession)(self.session);
        }
    }
}

impl Contestant for Infer {
    fn how(&self) -> String {
        format!("ONNX Runtime {} C API, Run into a tensor of ours, 1 thread, {}", self.runtime.version, self.weights)
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        self.y.fill(f32::NAN);
        self.call()?;
        ensure!(self.y.iter().all(|v| v.is_finite()), "ONNX Runtime wrote no output");
        Ok(self.y.iter().map(|&v| f64::from(v)).collect())
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        time(calls, || self.call())
    }
}
