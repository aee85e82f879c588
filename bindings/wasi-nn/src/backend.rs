//! Backend, graphs and execution contexts.

use mayfly_format::model_file::{ModelFile, ReadOptions};
use mayfly_nn::{Model, Registry as Layers, Session};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime_wasi_nn::backend::{
    BackendError, BackendExecutionContext, BackendFromDir, BackendGraph, BackendInner, Id, NamedTensor,
};
use wasmtime_wasi_nn::wit::{ExecutionTarget, GraphEncoding, Tensor, TensorType};
use wasmtime_wasi_nn::{ExecutionContext, Graph, GraphRegistry, Registry, witx};

/// The names by which the one input and the one output can be asked for; index 0 does as well.
const INPUT: &str = "input";
const OUTPUT: &str = "output";

/// What a guest may take of the host: wasi-nn has no call that gives a model or a context back.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Models that a guest may load from its own bytes.
    pub models: usize,
    /// Bytes of such a model.
    pub model_bytes: usize,
    /// Execution contexts, over all models.
    pub contexts: usize,
    /// Rows of one computation.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { models: 16, model_bytes: 64 << 20, contexts: 64, rows: 4096 }
    }
}

/// The backend: encoding `autodetect`, target CPU.
pub struct MayflyBackend {
    limits: Limits,
    loaded: usize,
    contexts: Arc<AtomicUsize>,
}

impl MayflyBackend {
    /// A backend that grants so much.
    pub fn new(limits: &Limits) -> Self {
        Self { limits: *limits, loaded: 0, contexts: Arc::default() }
    }

    /// A model of the host's as a graph that guests can use.
    pub fn graph(&self, model: Model) -> Graph {
        let (limits, contexts) = (self.limits, self.contexts.clone());
        Graph::from(Box::new(LoadedModel { model: Arc::new(model), limits, contexts }) as Box<dyn BackendGraph>)
    }
}

/// What a guest sees: the backend, and models of the host's by name for `load_by_name`.
pub fn context(models: impl IntoIterator<Item = (String, Model)>, limits: &Limits) -> witx::WasiNnCtx {
    let backend = MayflyBackend::new(limits);
    let named = models.into_iter().map(|(name, model)| (name, backend.graph(model))).collect();
    witx::WasiNnCtx::new([backend.into()], Registry::from(Named(named)))
}

struct Named(HashMap<String, Graph>);

impl GraphRegistry for Named {
    fn get(&self, name: &str) -> Option<&Graph> {
        self.0.get(name)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Graph> {
        self.0.get_mut(name)
    }
}

impl BackendInner for MayflyBackend {
    fn encoding(&self) -> GraphEncoding {
        GraphEncoding::Autodetect
    }

    fn load(&mut self, builders: &[&[u8]], target: ExecutionTarget) -> Result<Graph, BackendError> {
        let [bytes] = builders else { return Err(BackendError::InvalidNumberOfBuilders(1, builders.len())) };
        if !matches!(target, ExecutionTarget::Cpu) {
            return Err(refuse("only the target `cpu` is offered"));
        }
        if bytes.len() > self.limits.model_bytes {
            return Err(BackendError::NotEnoughMemory(bytes.len()));
        }
        if self.loaded >= self.limits.models {
            return Err(refuse(format!("{} models are loaded already, which is the limit", self.loaded)));
        }
        let file = ModelFile::parse("the guest's model", bytes, &ReadOptions::default()).map_err(refuse)?;
        let model = Model::from_file("the guest's model", file, &Layers::new()).map_err(refuse)?;
        self.loaded += 1;
        Ok(self.graph(model))
    }

    fn as_dir_loadable(&mut self) -> Option<&mut dyn BackendFromDir> {
        None
    }
}

struct LoadedModel {
    model: Arc<Model>,
    limits: Limits,
    contexts: Arc<AtomicUsize>,
}

impl BackendGraph for LoadedModel {
    fn init_execution_context(&self) -> Result<ExecutionContext, BackendError> {
        let open = self.contexts.fetch_add(1, Ordering::Relaxed);
        let run = Run {
            model: self.model.clone(),
            limits: self.limits,
            contexts: self.contexts.clone(),
            input: None,
            output: None,
            session: None,
        };
        if open >= self.limits.contexts {
            // `run` is dropped here and gives its place back.
            return Err(refuse(format!("{open} execution contexts are open already, which is the limit")));
        }
        Ok(ExecutionContext::from(Box::new(run) as Box<dyn BackendExecutionContext>))
    }
}

/// One execution context.
struct Run {
    model: Arc<Model>,
    limits: Limits,
    contexts: Arc<AtomicUsize>,
    input: Option<Vec<f32>>,
    output: Option<Tensor>,
    /// The session for the number of rows of the latest computation.
    session: Option<(usize, Session)>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.contexts.fetch_sub(1, Ordering::Relaxed);
    }
}

impl BackendExecutionContext for Run {
    fn set_input(&mut self, id: Id, tensor: &Tensor) -> Result<(), BackendError> {
        check_id(&id, INPUT)?;
        self.input = Some(self.read(tensor)?);
        Ok(())
    }

    fn get_output(&mut self, id: Id) -> Result<Tensor, BackendError> {
        check_id(&id, OUTPUT)?;
        self.output.clone().ok_or_else(|| refuse("nothing is computed yet: call `compute` first"))
    }

    fn compute(&mut self, inputs: Option<Vec<NamedTensor>>) -> Result<Option<Vec<NamedTensor>>, BackendError> {
        let named = inputs.is_some();
        for NamedTensor { name, tensor } in inputs.into_iter().flatten() {
            self.set_input(Id::Name(name), &tensor)?;
        }
        let input = self.input.as_ref().ok_or_else(|| refuse("no input is set: call `set_input` first"))?;
        let rows = input.len() / self.model.network.input_len().max(1);
        if self.session.as_ref().is_none_or(|(known, _)| *known != rows) {
            self.session = Some((rows, self.model.session(rows).map_err(refuse)?));
        }
        let Some((_, session)) = &mut self.session else { return Err(refuse("no session")) };
        let values = session.infer(input).map_err(refuse)?;
        let shape = [&[rows][..], self.model.network.output_shape()].concat();
        let output = Tensor {
            dimensions: shape.into_iter().map(|d| u32::try_from(d).unwrap_or(u32::MAX)).collect(),
            ty: TensorType::Fp32,
            data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        self.output = Some(output.clone());
        Ok(named.then(|| vec![NamedTensor { name: OUTPUT.to_owned(), tensor: output }]))
    }
}

impl Run {
    /// The values of an input: whole rows of f32, as many as its dimensions say.
    fn read(&self, tensor: &Tensor) -> Result<Vec<f32>, BackendError> {
        if !matches!(tensor.ty, TensorType::Fp32) {
            return Err(BackendError::UnsupportedTensorType(format!("{:?}; Mayfly takes f32", tensor.ty)));
        }
        let width = self.model.network.input_len();
        let elements = tensor.dimensions.iter().try_fold(1usize, |n, d| n.checked_mul(*d as usize));
        let fits =
            elements.is_some_and(|n| n > 0 && n % width.max(1) == 0 && n.checked_mul(4) == Some(tensor.data.len()));
        if !fits {
            let (dims, bytes) = (&tensor.dimensions, tensor.data.len());
            return Err(refuse(format!("expected rows of {width} f32, found {dims:?} in {bytes} bytes")));
        }
        let rows = tensor.data.len() / 4 / width.max(1);
        if rows > self.limits.rows {
            return Err(refuse(format!("{rows} rows at once; {} are allowed", self.limits.rows)));
        }
        Ok(tensor.data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

fn check_id(id: &Id, name: &str) -> Result<(), BackendError> {
    if id.index() == Some(0) || id.name() == Some(name) {
        return Ok(());
    }
    Err(refuse(format!("there is no tensor {id:?}: a model has one `{name}`, with index 0")))
}

fn refuse(what: impl std::fmt::Display) -> BackendError {
    BackendError::BackendAccess(wasmtime::Error::msg(what.to_string()))
}
