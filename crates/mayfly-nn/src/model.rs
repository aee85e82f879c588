//! Model files: a network with what is needed to use it, as safetensors (`docs/formats/model.md`).
use crate::error::{NnError, Result};
use crate::network::{Mask, Network};
use crate::quantise::{dequantise, quantise};
use crate::registry::Registry;
use crate::spec::{Mode, NetworkSpec};
use mayfly_format::data::Encoder;
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, Tensor, TensorData};
use mayfly_graph::{ParamInfo, Precision, Role, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The tensor that says which connections of a sparse network exist.
const MASK: &str = "mask";
/// What errors call the encoder.
const ENCODER: &str = "the encoder of the model";
/// The metadata key that says how weights are stored, and so run.
const PRECISION: &str = "precision";

/// A network as a file holds it.
///
/// ```
/// use mayfly_nn::{Act, Activation, Model, Network, NetworkSpec};
/// let spec = NetworkSpec::dense(4, &[8], Act::Relu.into(), 3, Activation::Softmax);
/// let model = Model::new(Network::new(spec, 1)?);
/// let path = std::env::temp_dir().join("mayfly-doc-model.mayfly");
/// model.save(&path)?;
/// let again = Model::load(&path)?;
/// assert_eq!(again.network.params(), model.network.params());
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    /// The network. Its parameters are f32; after loading a quantised file they are exactly what the quantised ones stand for.
    pub network: Network,
    /// How weights are stored and run.
    pub precision: Precision,
    /// How raw data becomes inputs, and outputs answers; JSON.
    pub encoder: Option<String>,
    /// Figures measured on test data; JSON.
    pub metrics: Option<String>,
    /// How it was trained; JSON.
    pub training: Option<String>,
    /// Other metadata.
    pub other: BTreeMap<String, String>,
}

impl Model {
    /// A network with nothing besides, in f32.
    pub fn new(network: Network) -> Self {
        Model {
            network,
            precision: Precision::F32,
            encoder: None,
            metrics: None,
            training: None,
            other: BTreeMap::new(),
        }
    }

    /// The same model with what turns raw rows into its inputs, and its outputs into answers.
    ///
    /// # Errors
    /// An encoder that is no JSON: one with numbers that are not finite.
    pub fn with_encoder(mut self, encoder: &Encoder) -> Result<Model> {
        let json = serde_json::to_string(encoder).map_err(|source| NnError::Json { what: ENCODER, source })?;
        self.encoder = Some(json);
        Ok(self)
    }

    /// What turns raw rows into the model's inputs, and its outputs into answers; none in networks that were saved without.
    ///
    /// # Errors
    /// A description that is not an encoder's.
    pub fn data_encoder(&self) -> Result<Option<Encoder>> {
        let read = |json: &String| serde_json::from_str(json).map_err(|source| NnError::Json { what: ENCODER, source });
        self.encoder.as_ref().map(read).transpose()
    }

    /// The same model with weights of another precision: they become what they will be in the file.
    ///
    /// Every trained parameter of two or more dimensions is quantised: to bf16, or to int8 with one scale for each of its rows (output units).
    ///
    /// # Errors
    /// Weights that the precision cannot hold: those that are not finite in int8, and in bf16 those so near the largest f32 that they would become infinite.
    pub fn quantised(&self, precision: Precision) -> Result<Model> {
        let mut file = Model { precision, ..self.clone() }.to_file()?;
        file.other.insert(PRECISION.to_owned(), precision_name(precision).to_owned());
        // The description may hold layers of the user's own, which JSON would lose: it is taken over as it is.
        Model::from_parts("model", file, self.network.spec().clone())
    }

    /// A session that runs `batch` rows at a time, at the model's precision.
    ///
    /// # Errors
    /// A batch of no rows, or one that needs too much memory.
    pub fn session(&self, batch: usize) -> Result<Session> {
        self.network.session(batch, self.precision)
    }

    /// The outputs for rows of inputs, at the model's precision.
    ///
    /// # Errors
    /// Values that do not make up whole rows.
    pub fn predict(&self, x: &[f32]) -> Result<Vec<f32>> {
        self.network.predict_with(x, self.precision)
    }

    /// Writes the file; an existing one is replaced when the new one is complete.
    ///
    /// # Errors
    /// What the operating system refuses, and parameters that are NaN.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(self.to_file()?.write(path, NanPolicy::Refuse)?)
    }

    /// Reads a file that [`Model::save`] wrote.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or whose tensors do not fit its network.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Model::load_with(path, &Registry::new())
    }

    /// Reads a file whose network may have layers of the user's own.
    ///
    /// # Errors
    /// As for [`Model::load`], and layers that are not in the registry.
    pub fn load_with(path: impl AsRef<Path>, registry: &Registry) -> Result<Model> {
        let path = path.as_ref();
        let file = ModelFile::read(path, &ReadOptions::default())?;
        Model::from_file(&path.display().to_string(), file, registry)
    }

    /// The file that [`Model::save`] writes, as bytes: for models that are sent or embedded.
    ///
    /// # Errors
    /// Parameters that are NaN.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.to_file()?.to_bytes(NanPolicy::Refuse)?)
    }

    /// A model from the bytes of its file; layers of the user's own are looked up in `registry`.
    ///
    /// # Errors
    /// As for [`Model::load_with`].
    pub fn from_bytes(bytes: &[u8], registry: &Registry) -> Result<Model> {
        let name = "model in memory";
        Model::from_file(name, ModelFile::parse(name, bytes, &ReadOptions::default())?, registry)
    }

    /// The file's content.
    ///
    /// # Errors
    /// A description that is no JSON, or weights that cannot be quantised.
    pub fn to_file(&self) -> Result<ModelFile> {
        let mut other = self.other.clone();
        if self.precision != Precision::F32 {
            other.insert(PRECISION.to_owned(), precision_name(self.precision).to_owned());
        }
        Ok(ModelFile {
            spec: self.network.spec().to_json()?,
            encoder: self.encoder.clone(),
            metrics: self.metrics.clone(),
            training: self.training.clone(),
            other,
            tensors: to_tensors(&self.network, self.precision)?,
        })
    }

    /// A model from a file's content; `name` is the file's, for messages.
    ///
    /// # Errors
    /// As for [`Model::load_with`].
    pub fn from_file(name: &str, file: ModelFile, registry: &Registry) -> Result<Model> {
        let spec = NetworkSpec::from_json(&file.spec, registry)?;
        Model::from_parts(name, file, spec)
    }

    fn from_parts(name: &str, mut file: ModelFile, spec: NetworkSpec) -> Result<Model> {
        let precision = match file.other.remove(PRECISION).as_deref() {
            None | Some("f32") => Precision::F32,
            Some("bf16") => Precision::Bf16,
            Some("int8") => Precision::Int8,
            Some(other) => {
                return Err(NnError::BadModel {
                    file: name.to_owned(),
                    what: format!("the precision {other:?}; f32, bf16 and int8 are known"),
                });
            }
        };
        let network = from_tensors(name, spec, file.tensors)?;
        Ok(Model {
            network,
            precision,
            encoder: file.encoder,
            metrics: file.metrics,
            training: file.training,
            other: file.other,
        })
    }
}

fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::Int8 => "int8",
    }
}

/// The network's parameters by name, and its mask.
pub(crate) fn to_tensors(network: &Network, precision: Precision) -> Result<Vec<Tensor>> {
    let mut tensors = Vec::new();
    let names: Vec<&str> = network.named_params().map(|(info, _)| info.name.as_str()).collect();
    let scales = scale_names(&names);
    for ((info, values), scales) in network.named_params().zip(&scales) {
        let stored = if info.role == Role::Weight && info.shape.rank() >= 2 { precision } else { Precision::F32 };
        quantise([&info.name, scales], info.shape.dims(), values, stored, &mut tensors)?;
    }
    if let Some(mask) = network.mask() {
        let exists: Vec<u8> = mask.values().iter().map(|m| u8::from(*m != 0.0)).collect();
        tensors.push(Tensor { name: MASK.to_owned(), shape: vec![exists.len()], data: TensorData::U8(exists) });
    }
    Ok(tensors)
}

/// What the tensors of scales of int8 parameters are called: `.scale` behind the name, as often as it takes to be a name of its own.
fn scale_names(params: &[&str]) -> Vec<String> {
    let mut taken: BTreeSet<String> = params.iter().map(|name| (*name).to_owned()).collect();
    let free = |name: &&str| {
        let mut scales = format!("{name}.scale");
        while !taken.insert(scales.clone()) {
            scales.push_str(".scale");
        }
        scales
    };
    params.iter().map(free).collect()
}

/// The network of a description from its tensors; each must be there, of the right shape, and none besides.
pub(crate) fn from_tensors(file: &str, spec: NetworkSpec, tensors: Vec<Tensor>) -> Result<Network> {
    let bad = |what: String| NnError::BadModel { file: file.to_owned(), what };
    let layout = spec.lower(Mode::Inference)?.graph.params().to_vec();
    let mut tensors: BTreeMap<String, Tensor> = tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
    let mut params: Vec<f32> = Vec::new(); // grows with what the file holds
    let names: Vec<&str> = layout.iter().map(|info| info.name.as_str()).collect();
    let scales = scale_names(&names);
    for (info, scales) in layout.iter().zip(&scales) {
        let values = take_param(info, scales, &mut tensors).map_err(bad)?;
        params.extend_from_slice(&values);
    }
    let mask = match tensors.remove(MASK).map(|t| t.data) {
        Some(TensorData::U8(exists)) => Some(Mask::new(exists.into_iter().map(|m| m != 0))),
        Some(other) => return Err(bad(format!("the mask holds {}, not U8", other.dtype().name()))),
        None => None,
    };
    match tensors.keys().next() {
        Some(name) => Err(bad(format!("the tensor {name:?} belongs to no layer of the network"))),
        None => Network::from_parts(spec, &params, mask),
    }
}

fn take_param(
    info: &ParamInfo,
    scales: &str,
    tensors: &mut BTreeMap<String, Tensor>,
) -> std::result::Result<Vec<f32>, String> {
    let name = &info.name;
    let tensor = tensors
        .remove(name)
        .ok_or_else(|| format!("the tensor {name:?} of shape {:?} is missing", info.shape.dims()))?;
    if tensor.shape != info.shape.dims() {
        return Err(format!(
            "the tensor {name:?} has shape {:?}, the network needs {:?}",
            tensor.shape,
            info.shape.dims()
        ));
    }
    dequantise(tensor, scales, tensors.remove(scales))
}
